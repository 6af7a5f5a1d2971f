"""One modality from its source to what models see: order of the items, mask, controls, normalisation, digest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import write_table

from benchmark.data.modalities import Mean, Modality, Noise, Zeros, load_modality
from workbench.errors import UserError

ITEMS = [str(number) for number in range(40)]
ROWS = np.random.default_rng(0).standard_normal((40, 6)).astype(np.float32) * 3 + 2
THERE = [row for row in range(40) if row not in (3, 7)]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Rows in reverse order of the items."""
    write_table(tmp_path / "layer", ITEMS[::-1], ROWS[::-1].copy())
    return tmp_path / "layer"


@pytest.fixture
def gappy(tmp_path: Path) -> Path:
    """No rows for the items 3 and 7."""
    write_table(tmp_path / "gappy", ITEMS, ROWS, order=THERE)
    return tmp_path / "gappy"


def test_rows_come_in_the_order_of_the_items(table: Path, log: list[str]) -> None:
    modality = load_modality("visual", table, ["5", "39", "0"])
    np.testing.assert_array_equal(modality.features, ROWS[[5, 39, 0]])
    assert modality.present.all() and modality.name == "visual" and modality.source == str(table)
    assert not log


@pytest.mark.parametrize("missing", ["error", "drop"])
def test_items_without_features_are_refused_by_name(gappy: Path, missing: Any) -> None:
    with pytest.raises(UserError, match="2 of 40 items have no features, among them '3', '7'") as caught:
        load_modality("visual", gappy, ITEMS, missing)
    assert caught.value.where == str(gappy)
    assert "missing: zeros" in str(caught.value.mend)


def test_a_table_of_other_items_is_refused_with_the_likely_reason(table: Path) -> None:
    with pytest.raises(UserError, match="none of the 2 items has a row") as caught:
        load_modality("visual", table, ["B0001", "B0002"], missing=Zeros())
    assert "indexed" in str(caught.value.mend)


@pytest.mark.parametrize("missing", [Zeros(), Mean()])
def test_what_stands_in_is_zero_or_the_mean_of_the_others_and_the_mask_says_so(
    gappy: Path, log: list[str], missing: Zeros | Mean
) -> None:
    modality = load_modality("visual", gappy, ITEMS, missing)
    mean = [sum(float(ROWS[row, column]) for row in THERE) / 38 for column in range(6)]
    for row in (3, 7):
        np.testing.assert_allclose(modality.features[row], mean if missing == Mean() else [0] * 6, rtol=1e-6)
    np.testing.assert_array_equal(modality.features[THERE], ROWS[THERE])
    assert np.flatnonzero(~modality.present).tolist() == [3, 7]
    filled = f"2 of 40 items have no features in {gappy}, 38 have some; filled with {missing.policy}"
    assert log == [f"WARNING visual: {filled}"]


def test_removed_features_are_gone_before_anything_is_made_of_them(gappy: Path, log: list[str]) -> None:
    removed = np.arange(40) < 5
    modality = load_modality("visual", gappy, ITEMS, Mean(), removed=removed)
    left = [row for row in THERE if row >= 5]
    np.testing.assert_array_equal(np.flatnonzero(modality.present), left)
    np.testing.assert_allclose(modality.features[[0, 3, 7]], np.tile(ROWS[left].mean(0), (3, 1)), rtol=1e-5)
    assert "6 of 40 items have no features" in log[0] and "(4 of them because of missing_rate)" in log[0]
    with pytest.raises(UserError, match=r"6 of 40 .* \(4 of them because of missing_rate\), among them '0'"):
        load_modality("visual", gappy, ITEMS, removed=removed)
    with pytest.raises(UserError, match=r"`missing_rate` takes the features of every item\n.*`missing_rate`"):
        load_modality("visual", gappy, ITEMS, Mean(), removed=np.ones(40, dtype=bool))


# --- controls


def shuffled(path: Path, seed: int = 1, **keys: Any) -> Modality:
    return load_modality("visual", path, ITEMS, control="shuffled", seed=seed, **keys)


def test_shuffled_features_are_the_same_rows_at_other_items(table: Path) -> None:
    features = shuffled(table).features
    assert sorted(map(tuple, features.tolist())) == sorted(map(tuple, ROWS.tolist()))
    assert (features == ROWS).all(axis=1).sum() < 6


def test_only_observed_rows_are_exchanged_and_the_mask_stays(gappy: Path) -> None:
    modality = shuffled(gappy, missing=Zeros())
    assert np.flatnonzero(~modality.present).tolist() == [3, 7]
    assert (modality.features[[3, 7]] == 0).all()
    assert sorted(map(tuple, modality.features[THERE].tolist())) == sorted(map(tuple, ROWS[THERE].tolist()))


def test_modalities_at_the_same_items_are_exchanged_together_and_draw_noise_apart(table: Path) -> None:
    both = [load_modality(name, table, ITEMS, control="shuffled", seed=1).features for name in ("a", "b")]
    np.testing.assert_array_equal(*both)
    noise = [load_modality(name, table, ITEMS, control="random", seed=1).features for name in ("a", "b")]
    assert abs(np.corrcoef(noise[0].ravel() - ROWS.mean(), noise[1].ravel() - ROWS.mean())[0, 1]) < 0.3


@pytest.mark.parametrize("control", ["shuffled", "random"])
def test_a_control_is_filled_from_the_control_and_never_from_the_real_rows(gappy: Path, control: Any) -> None:
    """The filled rows are the mean of what stands at the other items."""
    modality = load_modality("visual", gappy, ITEMS, Mean(), control=control, seed=3)
    np.testing.assert_allclose(modality.features[3], modality.features[THERE].mean(axis=0), rtol=1e-4, atol=1e-5)
    assert not np.array_equal(modality.features[THERE], ROWS[THERE])


def test_random_features_keep_mean_and_scale_of_every_column_and_nothing_else(tmp_path: Path) -> None:
    items = [str(number) for number in range(4000)]
    rng = np.random.default_rng(5)
    rows = (rng.standard_normal((4000, 3)) * [1, 5, 0.1] + [0, 10, -3]).astype(np.float32)
    write_table(tmp_path / "large", items, rows, batch=4000, per_item=False)
    noise = load_modality("visual", tmp_path / "large", items, control="random").features
    assert noise.dtype == np.float32
    np.testing.assert_allclose(noise.std(axis=0), rows.std(axis=0), rtol=0.05)
    assert (np.abs(noise.mean(axis=0) - rows.mean(axis=0)) < 4 * rows.std(axis=0) / np.sqrt(4000)).all()
    correlations = [np.corrcoef(noise[:, column], rows[:, column])[0, 1] for column in range(3)]
    assert np.abs(correlations).max() < 0.06


@pytest.mark.parametrize("control", ["shuffled", "random"])
def test_a_control_is_drawn_from_its_seed(table: Path, control: Any) -> None:
    def draw(seed: int) -> np.ndarray:
        return load_modality("visual", table, ITEMS, control=control, seed=seed).features

    np.testing.assert_array_equal(draw(3), draw(3))
    assert not np.array_equal(draw(3), draw(4))


# --- normalisation


def literal_zscore(rows: np.ndarray) -> np.ndarray:
    """Column by column, with Python's own sums."""
    result = np.zeros(rows.shape)
    for column in range(rows.shape[1]):
        values = [float(value) for value in rows[:, column]]
        mean = sum(values) / len(values)
        deviation = (sum((value - mean) ** 2 for value in values) / len(values)) ** 0.5
        for row, value in enumerate(values):
            result[row, column] = (value - mean) / deviation if len(set(values)) > 1 else 0.0
    return result


def test_zscore_is_over_the_observed_rows_and_a_constant_column_is_zero(tmp_path: Path) -> None:
    rows = ROWS.copy()
    rows[:, 2] = 0.1
    rows[3] = 1e6
    write_table(tmp_path / "x", ITEMS, rows, order=THERE)
    features = load_modality("visual", tmp_path / "x", ITEMS, Zeros(), "zscore").features
    np.testing.assert_allclose(features[THERE], literal_zscore(rows[THERE]), rtol=1e-5, atol=1e-6)
    assert (features[:, 2] == 0).all()
    assert (features[[3, 7]] == 0).all()


def test_l2_gives_rows_of_length_one_and_leaves_zeros_and_large_numbers_sound(tmp_path: Path) -> None:
    rows = ROWS.copy()
    rows[0] = 0
    rows[1] = 3e38  # whose square is no float32
    write_table(tmp_path / "x", ITEMS, rows)
    features = load_modality("visual", tmp_path / "x", ITEMS, normalisation="l2").features
    expected = [[float(v) / sum(float(w) ** 2 for w in row) ** 0.5 for v in row] for row in rows[1:]]
    np.testing.assert_allclose(features[1:], expected, rtol=1e-6)
    assert (features[0] == 0).all()


def test_what_is_filled_and_what_is_noise_has_the_normalised_scale(gappy: Path) -> None:
    mean = load_modality("visual", gappy, ITEMS, Mean(), "l2")
    np.testing.assert_allclose(mean.features[3], mean.features[THERE].mean(axis=0), rtol=1e-5)
    noise = load_modality("visual", gappy, ITEMS, Zeros(), "l2", control="random").features
    np.testing.assert_allclose(np.linalg.norm(noise[THERE], axis=1), 1, rtol=1e-6)
    filled = load_modality("visual", gappy, ITEMS, Noise(), "zscore").features
    assert np.abs(filled[[3, 7]]).max() < 5


def test_blocks_of_columns_and_rows_change_nothing(gappy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def features(kind: Any) -> np.ndarray:
        return load_modality("visual", gappy, ITEMS, Mean(), kind).features

    whole = [features(kind) for kind in ("l2", "zscore")]
    monkeypatch.setattr("benchmark.data.modalities.base._BLOCK_VALUES", 80)
    monkeypatch.setattr("benchmark.data.modalities.normalisation._ROWS", 3)
    for kind, expected in zip(("l2", "zscore"), whole, strict=True):
        np.testing.assert_array_equal(features(kind), expected)


def test_the_digest_names_everything_that_a_model_sees(table: Path, gappy: Path) -> None:
    removed = np.arange(40) == 0
    digests = [
        load_modality("visual", table, ITEMS).digest,
        load_modality("textual", table, ITEMS).digest,
        load_modality("visual", table, ITEMS[::-1]).digest,
        shuffled(table, 1).digest,
        shuffled(table, 2).digest,
        load_modality("visual", table, ITEMS, control="random").digest,
        load_modality("visual", table, ITEMS, normalisation="l2").digest,
        load_modality("visual", table, ITEMS, normalisation="zscore").digest,
        load_modality("visual", gappy, ITEMS, Zeros()).digest,
        load_modality("visual", gappy, ITEMS, Mean()).digest,
        load_modality("visual", gappy, ITEMS, Noise(), seed=1).digest,
        load_modality("visual", gappy, ITEMS, Noise(), seed=2).digest,
        load_modality("visual", gappy, ITEMS, Mean(), removed=removed).digest,
    ]
    assert len(set(digests)) == len(digests)
    assert load_modality("visual", table, ITEMS).digest == digests[0]
