"""The sweep: searches ask for trials, the journal answers for what is known, an executor runs the rest.

A search is a generator that yields requests and is sent their records; several of them run side by side, so that no
worker waits for the slowest trial of one model. Only the sweep writes to the results folder.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from loguru import logger
from safetensors import SafetensorError
from safetensors.torch import load_file

from benchmark.evaluation.metrics import METRICS
from benchmark.evaluation.per_user import write_per_user
from benchmark.models.base import Recommender
from benchmark.search.executors.base import Executor, Job, Lost
from benchmark.search.progress import Bars
from benchmark.search.running import Ground, Outcome, Task, build, out_of_memory, run_task
from benchmark.search.trial import Stage, Trial
from workbench.errors import UserError
from workbench.files import atomic_file, fingerprint
from workbench.journal import Journal

Record = dict[str, Any]
ResultT = TypeVar("ResultT")

_UNRESTORE = "remove `restore`, and it is trained again"


@dataclass(frozen=True)
class Request:
    """Trials that a search wants, and how they are treated.

    Attributes
    ----------
    trials : those trials; labels : what they are called in the log.
    settle : told each record as it comes, in any order; the place for letting go of weights.
    keep_weights : weights must be there; without them, a trial that the journal knows is run again.
    checkpoint_rate : epochs between two writes of the state of training; None writes none.
    only_restore : run nothing.
    show : whether finished trials are logged.
    """

    trials: Sequence[Trial]
    labels: Sequence[str]
    settle: Callable[[int, Record], None] = lambda place, record: None
    keep_weights: bool = False
    checkpoint_rate: int | None = None
    only_restore: bool = False
    show: bool = True


Search = Generator[Request, list[Record], ResultT]


def known(journal: Journal, weights: Path, request: Request, trial: Trial, retry: bool = False) -> Record | None:
    """What a journal says of a trial, if that will do.

    Of one that ran under other metrics only figures that mean the same are told, the one that chooses among them; a
    failure in which they may have had a part will not do.

    Parameters
    ----------
    weights : where those of the trial would lie.
    retry : whether a failure will not.
    """
    record = journal.get("trial", trial.key)
    if record is None:
        return None
    other = record.get("measured") != trial.measured
    if "failed" in record:
        again = retry or (other and record.get("why") != "diverged")
        return None if again and not request.only_restore else record
    if request.keep_weights and not request.only_restore and not weights.is_file():
        return None
    if not other:
        return record
    plain = {name: value for name, value in record["validation"].items() if name.partition("@")[0] in METRICS}
    return record | {"validation": plain}


def weights_file(folder: Path, trial: Trial) -> Path:
    """Where the weights of a trial lie in a results folder."""
    return folder / "checkpoints" / f"{trial.key}.safetensors"


class Unknown(UserError):
    """A trial that may only be restored, and is not in the journal."""

    def __init__(self, label: str, journal: Journal) -> None:
        super().__init__(
            f"{label}: `restore: true` trains nothing, and the journal does not know this trial",
            where=journal.path,
            mend="remove `restore`, or mend what has changed since (file, data, features, code)",
        )


class Follower(Protocol):
    """Is told of every trial that counts, whether it was run now or before."""

    def trial(self, key: str, record: Record) -> None: ...


@dataclass
class _Running(Generic[ResultT]):
    """A search and what it waits for."""

    search: Search[ResultT]
    request: Request | None = None
    records: list[Record] = field(default_factory=list)
    missing: int = 0
    result: ResultT | UserError | None = None

    def ask(self, request: Request) -> None:
        """Wait for what the search asks for."""
        self.request, self.missing = request, len(request.trials)
        self.records = [{} for _ in request.trials]

    def answer(self, place: int, record: Record) -> bool:
        """Take a record; True when it was the last one."""
        assert self.request is not None
        self.records[place] = record
        self.missing -= 1
        self.request.settle(place, record)
        return self.missing == 0


@dataclass
class _Asked:
    """A trial that is being run, and who waits for it, each at a place of its request."""

    trial: Trial
    label: str
    request: Request
    waiting: list[tuple[_Running[Any], int]]


class Sweep:
    """Runs searches inside a results folder.

    Parameters
    ----------
    journal : of the folder.
    executor : where trials run.
    shared_name : name of a stage's ground, as the executor knows it.
    threads : of the processor, for each trial.
    retry : whether trials that failed before are run again.
    followers : told of every trial.
    """

    def __init__(
        self,
        folder: Path,
        journal: Journal,
        executor: Executor,
        shared_name: Callable[[Stage], str],
        threads: int,
        retry: bool = False,
        followers: Sequence[Follower] = (),
        show: bool = True,
    ) -> None:
        self.journal = journal
        self._folder = folder
        self._executor, self._shared_name, self._threads = executor, shared_name, threads
        self._retry, self._followers = retry, followers
        self._asked: dict[str, _Asked] = {}
        self._tried: set[str] = set()  # ran in this sweep: not run again for having failed
        self._holders: Counter[str] = Counter()  # searches that may still choose a trial, by its key
        self._bars = Bars(executor, show)

    def run(self, searches: Sequence[Search[ResultT]]) -> list[ResultT | UserError]:
        """Run all searches to their ends; an error of one does not end the others, and stands in its place."""
        running = [_Running(search) for search in searches]
        with self._bars:
            for each in running:
                self._advance(each, None)
            while self._asked:
                job, result = self._executor.next()
                self._finish(self._asked.pop(job.key), result)
        return [each.result for each in running]  # type: ignore[misc]  # all have ended

    def restore(self, trial: Trial, label: str, only: bool = False) -> Recommender:
        """The trained model of a trial, from its checkpoint.

        Parameters
        ----------
        only : whether weights that were removed may not be made again.

        Raises
        ------
        UserError : no weights, and none may be made, or none come of it.
        """
        path = self._weights(trial)
        if not path.is_file():
            if only:
                raise UserError(
                    f"{label}: `restore: true` trains nothing, and the weights of this trial are gone",
                    where=path,
                    mend=_UNRESTORE,
                )
            logger.info("{}: its weights were removed; the same configuration is trained again", label)

            def search() -> Search[Record]:
                records = yield Request([trial], [label], keep_weights=True)
                return records[0]

            (record,) = self.run([search()])
            if isinstance(record, UserError) or "failed" in record:
                reason = record.what if isinstance(record, UserError) else record["failed"]
                raise UserError(f"{label}: trained again, it gave no weights ({reason})", mend="run with --retry")
        data = trial.stage.ground.data
        model = build(trial.model, trial.params, data)
        try:
            model.load_state_dict(load_file(path, device=str(data.device)))
        except (SafetensorError, RuntimeError) as error:  # the second: other names or shapes
            if out_of_memory(error):
                raise
            reason = str(error).splitlines()[0]
            if only:
                raise UserError(f"{label}: its weights are damaged ({reason})", where=path, mend=_UNRESTORE) from error
            logger.warning("{}: damaged, and removed ({})", path, reason)
            path.unlink()
            return self.restore(trial, label)
        return model

    def drop_weights(self, trials: Sequence[Trial]) -> None:
        """Let go of trials that were not chosen: their weights are removed, unless another search may choose them."""
        for key, trial in {trial.key: trial for trial in trials}.items():
            self._holders[key] -= 1
            if self._holders[key] <= 0:
                self._weights(trial).unlink(missing_ok=True)

    def known(self, request: Request, trial: Trial) -> Record | None:
        """What the journal says of a trial, if that will do."""
        retry = self._retry and trial.key not in self._tried
        return known(self.journal, self._weights(trial), request, trial, retry)

    def _advance(self, running: _Running[Any], records: list[Record] | None) -> None:
        """Give a search its records, and take up what it asks for next, until it has to wait or ends."""
        try:
            while True:
                request = running.search.send(records) if records is not None else next(running.search)
                running.ask(request)
                self._holders.update({trial.key for trial in request.trials})
                complete = not request.trials
                for place, trial in enumerate(request.trials):
                    record = self.known(request, trial)
                    if record is None:
                        self._submit(running, request, place)
                        continue
                    for follower in self._followers:
                        follower.trial(trial.key, record)
                    complete = running.answer(place, record)
                if not complete:
                    return
                records = running.records
        except StopIteration as end:
            running.result = end.value
        except Unknown:
            raise
        except UserError as error:
            running.result = error

    def _submit(self, running: _Running[Any], request: Request, place: int) -> None:
        trial, label = request.trials[place], request.labels[place]
        if request.only_restore:
            raise Unknown(label, self.journal)
        if trial.key in self._asked:
            self._asked[trial.key].waiting.append((running, place))
            return
        self._asked[trial.key] = _Asked(trial, label, request, [(running, place)])
        checkpoint = None if request.checkpoint_rate is None else self._state(trial)
        task = Task(
            fingerprint([trial.key, trial.measured]),
            trial.model,
            trial.params,
            trial.protocol.monitor,
            trial.protocol.every,
            trial.protocol.digits,
            self._threads,
            self._executor.slots == 1,
            checkpoint,
            request.checkpoint_rate or 1,
        )
        work: Callable[[Ground], Outcome] = partial(run_task, task, watch=self._bars.watch(task, label, request.show))
        self._executor.submit(Job(trial.key, self._shared_name(trial.stage), work))

    def _finish(self, asked: _Asked, result: Outcome | Lost) -> None:
        trial = asked.trial
        self._tried.add(trial.key)
        record: Record = {"model": trial.name, "params": trial.params.model_dump(mode="json")}
        record["measured"] = trial.measured
        if isinstance(result, Lost):
            record |= {"failed": result.reason, "why": "lost"}
        else:
            record |= result.record
            if "failed" not in record:
                with atomic_file(self._weights(trial)) as temporary:
                    temporary.write_bytes(result.weights)
                self._write_per_user(trial, result.per_user)
        record = self.journal.append("trial", trial.key, record)
        if not isinstance(result, Lost) and record.get("why") in (None, "diverged"):
            self._state(trial).unlink(missing_ok=True)  # else it is where `retry` goes on
        self._bars.finished(asked.label, record, trial.protocol.monitor, asked.request.show)
        for follower in self._followers:
            follower.trial(trial.key, record)
        for running, place in asked.waiting:
            if running.result is None and running.answer(place, record):
                self._advance(running, running.records)

    def _write_per_user(self, trial: Trial, values: dict[str, np.ndarray]) -> None:
        validation = trial.stage.ground.validation
        if not values or validation is None:
            return
        numbers = validation.held_out.users.tolist()
        users = np.array([trial.stage.user_ids[number] for number in numbers], dtype=object)
        path = self._folder / "trials" / f"{trial.key}.npz"
        write_per_user(path, users, {name: row[None] for name, row in values.items()})

    def _weights(self, trial: Trial) -> Path:
        return weights_file(self._folder, trial)

    def _state(self, trial: Trial) -> Path:
        return self._weights(trial).with_suffix(".training.safetensors")
