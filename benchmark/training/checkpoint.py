"""A file from which a run of training that was cut short goes on, bit for bit.

One safetensors file, replaced as a whole: tensors under dotted names, everything else as JSON in its metadata, and a
checksum over both. Nothing in it is ever executed.
"""

from __future__ import annotations

import glob
import hashlib
import json
from pathlib import Path
from typing import Any, Protocol

import torch
from loguru import logger
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from benchmark.training.run import Best, Judgement, Run, State
from workbench.files import atomic_file


class Ledger(Protocol):
    """Keeps an account of a run of training."""

    def state(self) -> dict[str, Any]:
        """The account, as JSON has it."""

    def restore(self, state: dict[str, Any]) -> None:
        """The account as it was when the run was written down."""


class Checkpoint:
    """Where and how often a run of training is written down.

    Parameters
    ----------
    path : the file.
    every : epochs from one writing to the next.
    key : whatever the run depends on, hashed; a file under another key is not read.

    Attributes
    ----------
    ledger : what else is written down beside the run, and told of it again; it does not change the run.
    """

    def __init__(self, path: Path, every: int, key: str) -> None:
        self._path, self._every, self._key = path, every, key
        self.ledger: Ledger | None = None

    def due(self, epoch: int) -> bool:
        """Whether the run is to be written down after an epoch."""
        return epoch % self._every == 0

    def save(self, run: Run) -> None:
        """Write the run down as it is after its last epoch.

        Raises
        ------
        UserError : the disk is full or not writable; a file that was there is still whole.
        """
        tensors = _tensors(run)
        ledger = None if self.ledger is None else self.ledger.state()
        values = json.dumps({**_values(run), "ledger": ledger, "names": list(tensors)})  # the file itself sorts them
        metadata = {"key": self._key, "values": values, "check": _digest(self._key, tensors, values)}
        with atomic_file(self._path) as temporary:
            try:
                save_file(tensors, temporary, metadata)
            except SafetensorError as error:
                raise OSError(str(error)) from error

    def load(self, run: Run) -> None:
        """Put a fresh run where the file stopped; one that is damaged or another run's is left out with a warning."""
        for torn in self._path.parent.glob(f".{glob.escape(self._path.name)}.*.tmp"):
            torn.unlink(missing_ok=True)  # what a kill in the middle of writing left
        if not self._path.is_file():
            return
        try:
            tensors, values = self._read(run)
        except (_Unusable, SafetensorError, OSError) as error:
            logger.warning("{}: {}; training starts from the beginning", self._path, error)
            return
        _restore(run, tensors, values)
        if self.ledger is not None and values["ledger"] is not None:
            self.ledger.restore(values["ledger"])
        logger.info("{}: training goes on after epoch {}", self._path, run.epoch)

    def remove(self) -> None:
        """Training has ended: the file has served."""
        self._path.unlink(missing_ok=True)

    def _read(self, run: Run) -> tuple[State, dict[str, Any]]:
        with safe_open(self._path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - no mapping
        key, values = metadata.get("key", ""), metadata.get("values", "")
        if metadata.get("check") != _digest(key, tensors, values):
            raise _Unusable("the checkpoint is damaged")
        if key != self._key:
            raise _Unusable("the checkpoint is that of another trial")
        saved = {name: value.shape for name, value in _below("weights", tensors).items()}
        if saved != {name: value.shape for name, value in run.model.state_dict().items()}:
            raise _Unusable("the checkpoint is that of a model with other weights")
        known = json.loads(values)
        return {name: tensors[name] for name in known["names"]}, known


class _Unusable(Exception):
    """A checkpoint that cannot be gone on from."""


def _tensors(run: Run) -> State:
    """All tensors of a run, contiguous, on the CPU, each in memory of its own."""
    groups: dict[str, dict[str, Tensor]] = {
        "weights": run.model.state_dict(),
        "optimiser": {
            f"{index}.{name}": value
            for index, state in run.optimiser.state_dict()["state"].items()
            for name, value in state.items()
            if value is not None  # SGD without momentum
        },
        "random": _random_states(run.generator),
    }
    if run.best is not None:
        groups["best"] = run.best.state
        groups["per_user"] = {name: torch.from_numpy(values) for name, values in run.best.judgement.per_user.items()}
    return {
        f"{group}.{name}": value.detach().to("cpu", copy=True).contiguous()
        for group, members in groups.items()
        for name, value in members.items()
    }


def _values(run: Run) -> dict[str, Any]:
    """All that is no tensor; JSON keeps floats to the last bit."""
    best = run.best
    return {
        "epoch": run.epoch,
        "losses": run.losses,
        "history": run.history,
        "scaler": run.scaler.state_dict(),
        "stopper": None if run.stopper is None else run.stopper.state_dict(),
        "best": None if best is None else [best.epoch, best.value, best.judgement.metrics],
    }


def _restore(run: Run, tensors: State, values: dict[str, Any]) -> None:
    run.model.load_state_dict(_below("weights", tensors))
    _restore_optimiser(run.optimiser, _below("optimiser", tensors))
    run.scaler.load_state_dict(values["scaler"])
    if run.stopper is not None:
        run.stopper.load_state_dict(values["stopper"])
    run.epoch, run.losses = values["epoch"], values["losses"]
    run.history = [(epoch, value) for epoch, value in values["history"]]
    if values["best"] is not None:
        epoch, value, metrics = values["best"]
        per_user = {name: each.numpy() for name, each in _below("per_user", tensors).items()}
        run.best = Best(epoch, value, Judgement(metrics, per_user), _below("best", tensors))
    random = _below("random", tensors)
    run.generator.set_state(random["generator"])
    torch.set_rng_state(random["cpu"])
    if "cuda" in random:
        torch.cuda.set_rng_state(random["cuda"], run.generator.device)


def _restore_optimiser(optimiser: torch.optim.Optimizer, tensors: State) -> None:
    weights = [weight for group in optimiser.param_groups for weight in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        index, _, key = name.partition(".")
        weight = weights[int(index)]
        if value.shape == weight.shape:  # the fused kernels walk weight and state in the same memory order
            value = torch.empty_like(weight, dtype=value.dtype).copy_(value)
        state.setdefault(int(index), {})[key] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def _random_states(generator: torch.Generator) -> State:
    """The sampler's generator, and torch's global ones, from which layers such as dropout draw."""
    states = {"generator": generator.get_state(), "cpu": torch.get_rng_state()}
    if generator.device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(generator.device)
    return states


def _below(group: str, tensors: State) -> State:
    """The tensors of a group, under their own names."""
    prefix = f"{group}."
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _digest(key: str, tensors: State, values: str) -> str:
    digest = hashlib.sha256(json.dumps([key, values]).encode())
    for name, value in sorted(tensors.items()):
        digest.update(json.dumps([name, str(value.dtype), list(value.shape)]).encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
