"""Early stopping: what each key means, with judges that follow a script."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from training_cases import Counter, scripted

from benchmark.models.base import TrainingParams
from benchmark.training.early_stopping import Stopper, check_monitor, find_column
from benchmark.training.loop import Fit, fit
from benchmark.training.settings import EarlyStopping
from workbench.errors import UserError


def epochs_run(values: list[float], name: str = "Recall@5", every: int = 1, epochs: int = 0, **keys: Any) -> int:
    """Epochs until training ends when the judgements are `values`."""
    return len(stopped(values, name, every, epochs, **keys).losses)


def stopped(values: list[float], name: str = "Recall@5", every: int = 1, epochs: int = 0, **keys: Any) -> Fit:
    params = TrainingParams(epochs=epochs or len(values) * every, early_stopping=EarlyStopping(**keys))
    return fit(Counter(), params, scripted(values, name), name, every, lambda _: None)


RISING_THEN_FLAT = [0.1, 0.2, 0.3, 0.3, 0.2, 0.25, 0.1, 0.1]


@pytest.mark.parametrize(("patience", "epochs"), [(1, 4), (2, 5), (3, 6), (5, 8), (6, 8)])
def test_patience_counts_judgements_without_an_improvement(patience: int, epochs: int) -> None:
    assert epochs_run(RISING_THEN_FLAT, patience=patience) == epochs


def test_patience_counts_judgements_and_not_epochs() -> None:
    assert epochs_run(RISING_THEN_FLAT, every=3, patience=2) == 5 * 3


def test_waiting_is_over_the_best_so_far_and_begins_anew_with_an_improvement() -> None:
    # each value is better than the one before it, and none than the best: consecutive pairs would go on
    assert epochs_run([0.9, 0.1, 0.2, 0.3, 0.4, 0.5], patience=3) == 4
    # never three in a row
    assert epochs_run([0.1, 0.0, 0.0, 0.2, 0.0, 0.0, 0.3, 0.0, 0.0], patience=3) == 9


def test_the_best_epoch_is_kept_and_the_reason_is_told() -> None:
    result = stopped([0.1, 0.25, 0.2, 0.25, 0.2], patience=2)
    assert (result.epoch, result.metrics) == (2, {"Recall@5": 0.25})
    assert result.history == [(1, 0.1), (2, 0.25), (3, 0.2), (4, 0.25)]
    assert result.stopped == "Recall@5 did not improve on 0.25 (epoch 2), 2 times in a row"


def test_ending_with_the_last_epoch_is_no_early_stop() -> None:
    result = stopped([0.2, 0.1, 0.1], patience=2)
    assert (len(result.losses), result.stopped) == (3, None)


def test_without_the_block_training_goes_on_to_the_end() -> None:
    result = fit(Counter(), TrainingParams(epochs=9), scripted([0.0] * 9), "Recall@5", 1, lambda _: None)
    assert (len(result.losses), result.stopped) == (9, None)


def test_min_delta_is_what_an_improvement_has_to_exceed() -> None:
    assert epochs_run([0.5, 0.75, 1.0, 1.25, 1.5], patience=1, min_delta=0.25) == 2, "as much is not more"
    assert epochs_run([0.5, 0.8125, 1.125, 1.4375], patience=1, min_delta=0.25) == 4


def test_gains_below_min_delta_add_up() -> None:
    # 0.1 above the last improvement with every second value
    assert epochs_run([0.50, 0.56, 0.62, 0.68, 0.74, 0.80], patience=2, min_delta=0.1) == 6


def test_rel_delta_is_a_share_of_the_best() -> None:
    assert epochs_run([8.0, 9.0, 10.0], patience=1, rel_delta=0.125) == 2
    assert epochs_run([8.0, 9.5, 12.0], patience=1, rel_delta=0.125) == 3
    assert epochs_run([-8.0, -7.5, -7.0], patience=1, rel_delta=0.125) == 2, "of its size, where it is negative"


def test_of_two_deltas_both_have_to_be_exceeded() -> None:
    values = [8.0, 9.5, 11.5]
    assert epochs_run(values, patience=1, rel_delta=0.125, min_delta=1.0) == 3
    assert epochs_run(values, patience=1, rel_delta=0.125, min_delta=1.75) == 2
    assert epochs_run(values, patience=1, rel_delta=0.25, min_delta=1.0) == 2


def test_deltas_go_the_other_way_where_less_is_better() -> None:
    keys = {"patience": 1, "monitor": "MAE@5", "min_delta": 0.25}
    assert epochs_run([2.0, 1.5, 1.0, 0.75], "MAE@5", **keys) == 4
    assert epochs_run([2.0, 1.75, 1.0, 0.5], "MAE@5", **keys) == 2


def test_until_the_baseline_is_beaten_improvements_do_not_count() -> None:
    rising = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    assert epochs_run(rising, patience=3, baseline=0.4) == 3
    assert epochs_run(rising, patience=4, baseline=0.4) == 4, "reached is not beaten"
    assert epochs_run(rising, patience=5, baseline=0.4) == 6
    assert epochs_run([0.5, 0.3, 0.3, 0.3], patience=2, baseline=0.4) == 3, "then it is over and done with"
    reason = stopped(rising, patience=3, baseline=0.4).stopped
    assert reason == "Recall@5 did not beat the baseline 0.4, 3 times in a row"


def test_a_baseline_lies_above_where_less_is_better() -> None:
    assert epochs_run([0.9, 0.8, 0.7, 0.6], "MAE@5", patience=2, baseline=0.85, monitor="MAE@5") == 4
    assert epochs_run([0.9, 0.8, 0.7, 0.6], "MAE@5", patience=2, baseline=0.75, monitor="MAE@5") == 2


@pytest.mark.parametrize(
    ("name", "mode", "epochs"),
    [
        ("Recall@5", "auto", 2),
        ("Recall@5", "max", 2),
        ("Recall@5", "min", 4),
        ("RMSE@5", "auto", 4),
        ("RMSE@5", "max", 2),
        ("ARP@5", "min", 4),
        ("ARP@5", "max", 2),
    ],
)
def test_mode_says_which_side_is_better_and_auto_knows_it_from_the_metric(name: str, mode: str, epochs: int) -> None:
    assert epochs_run([0.4, 0.3, 0.2, 0.1], name, patience=1, mode=mode, monitor=name) == epochs


def test_loss_monitors_the_mean_training_loss_and_less_of_it_is_better() -> None:
    # Counter's loss is 1 + the mean of -weight * script over three steps of lr 0.001: it falls unless the sign turns
    params = TrainingParams(epochs=9, early_stopping=EarlyStopping(monitor="loss", patience=1))
    falling = fit(Counter(), params, scripted([0.5] * 9), "Recall@5", 1, lambda _: None)
    assert len(falling.losses) == 9
    turned = fit(Counter({4: 0.0}), params, scripted([0.5] * 9), "Recall@5", 1, lambda _: None)
    assert len(turned.losses) == 4
    assert turned.stopped is not None and turned.stopped.startswith("loss did not improve on ")
    assert turned.epoch == 1, "which epoch is kept is the trial's monitor's matter"


def test_loss_can_be_monitored_without_a_validation_part_at_the_same_epochs() -> None:
    params = TrainingParams(epochs=20, early_stopping=EarlyStopping(monitor="loss", patience=2))
    result = fit(Counter(dict.fromkeys(range(6, 21), 0.0)), params, None, "", 3, lambda _: None)
    assert len(result.losses) == 9, "judged at 3; 6 and 9 are no better"
    assert (result.epoch, result.history) == (9, [])


def test_another_metric_than_the_one_that_chooses_can_be_monitored() -> None:
    stopper = Stopper(EarlyStopping(patience=1, monitor="hr@5"), "Recall@5")
    assert stopper.judge(1, 0.0, {"Recall@5": 0.1, "HR@5": 0.2}) is None
    assert stopper.judge(2, 0.0, {"Recall@5": 0.0, "HR@5": 0.3}) is None
    assert stopper.judge(3, 0.0, {"Recall@5": 0.9, "HR@5": 0.3}) is not None


def test_a_figure_that_is_no_number_is_no_improvement() -> None:
    assert epochs_run([math.nan, 0.1, math.nan, math.nan, 0.2], patience=2, monitor="Recall@5") == 4
    reason = stopped([math.nan] * 3, patience=2).stopped
    assert reason == "Recall@5 did not improve on nothing, 2 times in a row"


def test_verbose_writes_a_line_a_judgement(log: list[str]) -> None:
    epochs_run([0.5, 0.25, 0.25], patience=2)
    assert log == []
    epochs_run([0.5, 0.25, 0.25, 0.25], patience=2, verbose=True)
    assert log == [
        "INFO epoch 1: Recall@5 0.5, best 0.5 (epoch 1); an improvement",
        "INFO epoch 2: Recall@5 0.25, best 0.5 (epoch 1); waited 1 of 2",
        "INFO epoch 3: Recall@5 0.25, best 0.5 (epoch 1); waited 2 of 2",
    ]


@given(
    values=st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.4, 0.5]), min_size=1, max_size=25),
    patience=st.integers(1, 6),
    min_delta=st.sampled_from([0.0, 0.1, 0.15]),
    rel_delta=st.sampled_from([0.0, 0.5]),
    baseline=st.sampled_from([None, 0.2, 0.45]),
)
def test_a_literal_reading_of_the_rule_stops_at_the_same_judgement(
    values: list[float], patience: int, min_delta: float, rel_delta: float, baseline: float | None
) -> None:
    settings = EarlyStopping(patience=patience, min_delta=min_delta, rel_delta=rel_delta, baseline=baseline)
    stopper = Stopper(settings, "Recall@5")
    ours = next((at for at, value in enumerate(values) if stopper.judge(at, 0.0, {"Recall@5": value})), None)
    improvements: list[float] = []
    counts: list[bool] = []
    theirs = None
    for at, value in enumerate(values):
        best = improvements[-1] if improvements else None
        better = best is None or (value - best > min_delta and value - best > rel_delta * abs(best))
        improvements += [value] if better else []
        counts.append(better and (baseline is None or value > baseline))
        if len(counts) >= patience and not any(counts[-patience:]):
            theirs = at
            break
    assert ours == theirs


COLUMNS = ["Recall@20", "nDCG_binary@20", "ARP@20", "Recall@10", "RMSE@10"]


@pytest.mark.parametrize(
    ("monitor", "column"),
    [
        ("Recall@20", "Recall@20"),
        ("recall@10", "Recall@10"),
        ("nDCGRendle2020@20", "nDCG_binary@20"),
        ("ndcg_binary", "nDCG_binary@20"),
        ("Recall", "Recall@20"),
        ("loss", "loss"),
        ("Loss", "loss"),
        ("RMSE@10", "RMSE@10"),
    ],
)
def test_a_monitor_means_a_column_that_is_computed(monitor: str, column: str) -> None:
    check_monitor(EarlyStopping(patience=1, monitor=monitor), COLUMNS)
    assert find_column(monitor, COLUMNS) == column


def test_what_names_no_monitor_is_left_to_what_chooses_the_epoch() -> None:
    check_monitor(EarlyStopping(patience=1), COLUMNS)


@pytest.mark.parametrize(
    ("monitor", "near"),
    [("Recal@20", "Recall@20"), ("Recall@50", "Recall@20"), ("nDCG@20", "nDCG_binary@20"), ("los", "loss"), ("", "")],
)
def test_a_monitor_that_is_not_computed_is_answered_with_the_nearest(monitor: str, near: str) -> None:
    with pytest.raises(UserError, match="which is not computed") as caught:
        check_monitor(EarlyStopping(patience=1, monitor=monitor), COLUMNS)
    assert near in str(caught.value.mend)


def test_a_monitor_without_a_better_side_needs_a_mode() -> None:
    with pytest.raises(UserError, match="neither more nor less is better") as caught:
        check_monitor(EarlyStopping(patience=1, monitor="ARP@20"), COLUMNS)
    assert "mode: min" in str(caught.value.mend)
    check_monitor(EarlyStopping(patience=1, monitor="ARP@20", mode="max"), COLUMNS)


@pytest.mark.parametrize("monitor", [None, "Recall@20"])
def test_without_a_validation_part_only_the_loss_can_be_monitored(monitor: str | None) -> None:
    with pytest.raises(UserError, match="no validation part"):
        check_monitor(EarlyStopping(patience=1, monitor=monitor), [])
    check_monitor(EarlyStopping(patience=1, monitor="loss"), [])


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"patience": 0},
        {"patience": 1.5},
        {"patience": 2, "mode": "maximum"},
        {"patience": 2, "min_delta": -0.1},
        {"patience": 2, "rel_delta": math.nan},
        {"patience": 2, "baseline": math.inf},
        {"patience": 2, "monitr": "loss"},
    ],
)
def test_keys_out_of_range_or_unknown_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TrainingParams(early_stopping=wrong)  # type: ignore[arg-type]
