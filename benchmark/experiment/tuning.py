"""A row of the table is tuned: its configurations are tried, one is chosen, and that is trained under every seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from loguru import logger

from benchmark.experiment.bench import Bench
from benchmark.experiment.rows import Row
from benchmark.models.base import Params
from benchmark.reports.report import Failure
from benchmark.search.contest import Contest
from benchmark.search.sweep import Request, Search, Sweep
from benchmark.search.trial import Trial
from workbench.errors import UserError

Record = dict[str, Any]


@dataclass(frozen=True)
class Chosen:
    """What was chosen on one test fold.

    Attributes
    ----------
    trials : of the chosen configuration, one a validation fold; records : what the journal says of them.
    replicates : the same configuration under every seed, [validation fold][seed] in one list; repeated : the records.
    configurations : everything that was tried; tried : the records of it.
    """

    trials: list[Trial]
    records: list[Record]
    replicates: list[Trial]
    repeated: list[Record]
    configurations: list[list[Trial]]
    tried: list[list[Record]]

    @property
    def further(self) -> list[Record]:
        """Records of the replicates under other seeds than the configuration's own."""
        own = {trial.key for trials in self.configurations for trial in trials}
        return [record for trial, record in zip(self.replicates, self.repeated, strict=True) if trial.key not in own]

    def validation(self, monitor: str) -> float | None:
        """Mean validation value of the chosen trials, None without validation."""
        values = [record["validation"].get(monitor) for record in self.records]
        return None if None in values else float(sum(values) / len(values))


@dataclass(frozen=True)
class Tuned:
    """A row whose configuration is chosen, once a test fold."""

    row: Row
    choices: list[Chosen]

    @property
    def several(self) -> bool:
        """Whether there was anything to choose."""
        return len(self.choices[0].configurations) > 1

    @property
    def replicates(self) -> list[list[Trial]]:
        """The trials whose test figures make the row, a list a test fold."""
        return [choice.replicates for choice in self.choices]


def tune(bench: Bench, sweep: Sweep, rows: list[Row]) -> list[Tuned | Failure]:
    """Tune all rows side by side; a row of which nothing gave a figure is a failure in its place."""
    places = [(number, fold) for number, row in enumerate(rows) for fold in range(len(bench.folds(row)))]
    chosen = sweep.run([search_fold(bench, rows[number], fold, sweep.drop_weights) for number, fold in places])
    tuned: list[Tuned | Failure] = []
    for number, row in enumerate(rows):
        own = [found for (owner, _), found in zip(places, chosen, strict=True) if owner == number]
        failed = [each for each in own if isinstance(each, UserError)]
        if failed:
            logger.error("{}: {}", row.name, failed[0].render())
            tuned.append(Failure(row.name, failed[0].what))
        else:
            tuned.append(Tuned(row, [each for each in own if isinstance(each, Chosen)]))
    return tuned


def search_fold(bench: Bench, row: Row, number: int, drop: Callable[[Sequence[Trial]], None]) -> Search[Chosen]:
    """Try the configurations of a row on a test fold, and train the chosen one under the further seeds.

    Parameters
    ----------
    drop : lets go of the weights of trials that have lost.

    Raises
    ------
    UserError : no configuration gave a figure in all of its trials, or the chosen one gave none under a seed.
    """
    meta, plan = row.plan.block.meta, row.plan
    keep = meta.save_weights or bench.measures.legacy == "mmrec"
    rate = meta.checkpoint_rate if meta.save_weights else None
    contest = Contest(plan.monitor, (lambda trials: None) if keep else drop)
    folds = bench.folds(row)[number]
    at = f" test fold {number}" if len(bench.folds(row)) > 1 else ""
    proposals = plan.proposals()
    while batch := proposals.batch():
        trials, places, labels = [], [], []
        for combination in batch:
            params = plan.params(combination)
            place = contest.add([bench.trial(row, params, fold) for fold in folds])
            for fold, trial in enumerate(contest.configurations[place]):
                trials.append(trial)
                places.append((place, fold))
                of = f"{place + 1}/{plan.count}" if plan.count > 1 else ""
                inner = f"fold {fold}" if len(folds) > 1 else ""
                labels.append(" ".join(filter(None, [row.name + at, of, inner, shown(params, plan.varied)])))

        def settle(asked: int, record: Record, places: list[tuple[int, int]] = places) -> None:
            contest.enter(*places[asked], record)

        yield Request(trials, labels, settle, keep, rate, meta.restore, meta.verbose)
        proposals.tell([contest.value(place) for place in dict.fromkeys(place for place, _ in places)])
    tried = [[record for record in records if record is not None] for records in contest.records]
    if contest.best is None:
        reason = next(record["failed"] for record in tried[-1] if "failed" in record)
        raise UserError(
            f"none of {len(tried)} configurations gave a figure ({reason})",
            mend="see results.json or the log for each; `--retry` runs failed trials again",
        )
    chosen = contest.configurations[contest.best]
    replicates = [trial.under_seed(seed) for trial in chosen for seed in bench.seeds(trial)]
    labels = [f"{row.name}{at} seed {trial.params.seed}" for trial in replicates]
    repeated = yield Request(replicates, labels, keep_weights=keep, checkpoint_rate=rate, only_restore=meta.restore)
    for trial, record in zip(replicates, repeated, strict=True):
        if "failed" in record:
            raise UserError(
                f"the chosen configuration gave no figure under seed {trial.params.seed} ({record['failed']})",
                mend="choose another range, or `--retry`",
            )
    return Chosen(chosen, tried[contest.best], replicates, repeated, contest.configurations, tried)


def shown(params: Params, varied: list[str]) -> str:
    """The parameters that vary, in words."""
    values = ((name, getattr(params, name)) for name in varied)
    return ", ".join(f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}" for name, value in values)
