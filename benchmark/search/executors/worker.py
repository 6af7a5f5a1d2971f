"""The other side of `Processes`: a process that does jobs until its pipe is closed or its parent is gone."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import threading
from contextlib import suppress
from functools import partial
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.util import get_temp_dir
from typing import Any

import torch

from benchmark.search.executors.travel import Recent, listen, load_shared, perform


def serve(pipe: Connection, home: str, device: str, folder: str) -> None:
    """Receive (path of the shared value, pickled work) and send what came of it, again and again.

    Parameters
    ----------
    home : type of the device that shared values were made for; `device`: where they go here.
    folder : of the shared values; removed by whoever sees first that the parent is gone.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which ends its workers
    watch = threading.Thread(target=_watch, args=(folder,), daemon=True)
    watch.start()
    on_gpu = torch.device(device).type == "cuda"
    if on_gpu:
        torch.cuda.set_device(device)
    writing = threading.Lock()

    def send(*message: Any) -> None:
        with writing:
            pipe.send_bytes(pickle.dumps(message))

    listen(partial(send, "said"))
    recent = Recent()
    with suppress(EOFError, OSError):  # the parent is gone, or is about to end this process
        while True:
            path, work = pickle.loads(pipe.recv_bytes())
            send("ended", perform(work, partial(recent.take, path, partial(load_shared, path, home, device))))
            if on_gpu:
                _leave_room()
    pipe.close()
    watch.join()  # which cleans up


def _watch(folder: str) -> None:
    """End this process when its parent ends, however that happens and whatever is being computed."""
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    for left in (folder, get_temp_dir()):  # the latter is the parent's: by a socket in it workers are started
        shutil.rmtree(left, ignore_errors=True)
    os._exit(1)


def _leave_room() -> None:
    """Give cached GPU memory back: other workers may compute on the same GPU."""
    import gc

    gc.collect()
    torch.cuda.empty_cache()
