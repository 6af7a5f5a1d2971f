"""How shared values, work and its results travel between processes and machines.

Everything is pickled by cloudpickle, which also takes closures and classes of a script, a notebook or a user's model.
What is read back was written by this very run; no pickle from a user's file is ever read.
"""

from __future__ import annotations

import io
import pickle
import traceback
from collections import OrderedDict
from collections.abc import Callable
from contextvars import ContextVar
from types import SimpleNamespace
from typing import IO, Any

import cloudpickle
import torch
from loguru import logger

from benchmark.search.executors.base import Lost
from workbench.errors import UserError

KEPT = 2  # shared values that are held at a time besides those in use

_moving_to: ContextVar[tuple[str, str]] = ContextVar("_moving_to")  # type of the old device, and the new device


class WorkerTraceback(Exception):
    """Where in a worker an exception was raised: the cause of the same exception here."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(text)

    def __str__(self) -> str:
        return f"\n{self.text}"


class Recent:
    """The values that a worker loaded last, at most `KEPT`."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, Any] = OrderedDict()

    def take(self, name: str, load: Callable[[], Any]) -> Any:
        """The value of that name; loaded unless it is still there."""
        if name not in self._held:
            while len(self._held) >= KEPT:  # before the next one takes memory
                self._held.popitem(last=False)
            self._held[name] = load()
        self._held.move_to_end(name)
        return self._held[name]


class _Pickler(cloudpickle.Pickler):
    """Knows one thing more than cloudpickle: a `torch.device` is read as the device that the tensors are moved to."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, torch.device):
            return _device, (str(value),)
        return super().reducer_override(value)


def _device(name: str) -> torch.device:
    home, target = _moving_to.get(("", ""))
    return torch.device(target if _type_of(name) == home else name)


def _type_of(device: str) -> str:
    return device.partition(":")[0]


def save_shared(value: Any, target: str | IO[bytes]) -> None:
    """Write a shared value, for `load_shared`; tensors that share memory share it when they are read.

    Raises
    ------
    UserError : the disk is full, or something in the value cannot be pickled.
    """
    module = SimpleNamespace(__name__="cloudpickle", Pickler=_Pickler)
    try:
        torch.save(value, target, pickle_module=module, pickle_protocol=pickle.HIGHEST_PROTOCOL)
    except OSError as error:
        raise _unwritten(error, target) from error
    except RuntimeError as error:  # what torch's own writer says
        if "PytorchStreamWriter" not in str(error) and "inline_container" not in str(error):
            raise
        raise _unwritten(error, target) from error


def _unwritten(error: Exception, target: str | IO[bytes]) -> UserError:
    reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
    return UserError(
        f"cannot write what the workers share: {reason}",
        where=target if isinstance(target, str) else None,
        mend="free disk space there, or let the variable TMPDIR name a folder with room",
    )


def load_shared(source: str | IO[bytes], home: str, target: str) -> Any:
    """Read a shared value from a path (then mapped into memory: readers on one machine share the pages) or a stream.

    Parameters
    ----------
    home : type of the device that the value was made for, such as `cuda`.
    target : the device to which everything goes that was on a device of that type; the rest stays where it was.
    """

    def place(storage: Any, location: str) -> Any:
        if _type_of(location) != home:
            return None
        return torch.serialization.default_restore_location(storage, target)

    before = _moving_to.set((home, target))
    try:
        return torch.load(
            source, map_location=place, weights_only=False, mmap=True if isinstance(source, str) else None
        )
    finally:
        _moving_to.reset(before)


def pack(work: Callable[[Any], Any]) -> bytes:
    """Pickle the work of a job, for `perform`."""
    return _dumps(work)


def _dumps(value: Any) -> bytes:
    stream = io.BytesIO()
    _Pickler(stream).dump(value)
    return stream.getvalue()


def perform(work: bytes, shared: Callable[[], Any]) -> bytes:
    """Do pickled work on a shared value, in a worker; what came of it, for `settle`."""
    try:
        result = pickle.loads(work)(shared())
    except Exception as error:
        return _raised(error)
    try:
        return _dumps(("returned", result))
    except Exception as error:
        return _dumps(("lost", f"its result cannot travel: {_line(error)}"))


def settle(reply: bytes) -> Any:
    """What the work returned, or `Lost`; an exception of the work is raised, with the worker's traceback as cause."""
    try:
        kind, content = pickle.loads(reply)
    except Exception as error:
        return Lost(f"its result cannot be read: {_line(error)}")
    if kind == "raised":
        raised, text = content
        raise raised from WorkerTraceback(text)
    return Lost(content) if kind == "lost" else content


def echo(level: str, text: str) -> None:
    """Log in this process what was logged in a worker."""
    try:
        logger.log(level, "{}", text)
    except ValueError:  # a level of the user's own, which this process does not know
        logger.info("{}", text)


def listen(hear: Callable[[str, str], None]) -> None:
    """Hand the log lines of this worker to `hear` as (level, text), and to nobody else."""
    logger.remove()
    logger.add(
        lambda line: hear(line.record["level"].name, str(line).rstrip("\n")),
        format="{message}",
        level="INFO",
    )


def _raised(error: Exception) -> bytes:
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    try:
        reply = _dumps(("raised", (error, text)))
        pickle.loads(reply)  # an exception class with arguments of its own can be written and not be read
    except Exception:
        reply = _dumps(("raised", (RuntimeError(_line(error)), text)))
    return reply


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
