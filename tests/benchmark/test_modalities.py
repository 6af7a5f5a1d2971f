"""Features in the order of the items; what stands in for missing ones; controls."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support import write_table

from benchmark.data.modalities import load_modality
from workbench.errors import UserError

ITEMS = [str(number) for number in range(40)]
ROWS = np.random.default_rng(0).standard_normal((40, 6)).astype(np.float32) * 3 + 2


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Rows in reverse order of the items."""
    write_table(tmp_path / "layer", ITEMS[::-1], ROWS[::-1].copy())
    return tmp_path / "layer"


@pytest.fixture
def gappy(tmp_path: Path) -> Path:
    """No rows for the items 3 and 7."""
    write_table(tmp_path / "gappy", ITEMS, ROWS, order=[row for row in range(40) if row not in (3, 7)])
    return tmp_path / "gappy"


def test_rows_come_in_the_order_of_the_items(table: Path) -> None:
    modality = load_modality("visual", table, ["5", "39", "0"])
    np.testing.assert_array_equal(modality.features, ROWS[[5, 39, 0]])
    assert modality.present.all() and modality.name == "visual" and modality.source == str(table)


def test_items_without_features_are_refused_by_name(gappy: Path) -> None:
    with pytest.raises(UserError, match="2 of 40 items have no features, among them '3', '7'") as caught:
        load_modality("visual", gappy, ITEMS)
    assert caught.value.where == str(gappy)
    assert "missing: zeros" in str(caught.value.mend)


def test_a_table_of_other_items_is_refused_with_the_likely_reason(table: Path) -> None:
    with pytest.raises(UserError, match="none of the 2 items has a row") as caught:
        load_modality("visual", table, ["B0001", "B0002"], missing="zeros")
    assert "indexed" in str(caught.value.mend)


@pytest.mark.parametrize("missing", ["zeros", "mean"])
def test_what_stands_in_is_zero_or_the_mean_of_the_others_and_the_mask_says_so(
    gappy: Path, log: list[str], missing: str
) -> None:
    modality = load_modality("visual", gappy, ITEMS, missing=missing)  # type: ignore[arg-type]
    there = [row for row in range(40) if row not in (3, 7)]
    mean = [sum(float(ROWS[row, column]) for row in there) / 38 for column in range(6)]
    expected = mean if missing == "mean" else [0] * 6
    for row in (3, 7):
        np.testing.assert_allclose(modality.features[row], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(modality.features[there], ROWS[there])
    assert np.flatnonzero(~modality.present).tolist() == [3, 7]
    assert len(log) == 1 and "2 of 40 items have no features" in log[0]


def test_shuffled_features_are_the_same_rows_at_other_items(table: Path) -> None:
    shuffled = load_modality("visual", table, ITEMS, control="shuffled", seed=1).features
    assert sorted(map(tuple, shuffled.tolist())) == sorted(map(tuple, ROWS.tolist()))
    assert (shuffled == ROWS).all(axis=1).sum() < 6


def test_shuffling_carries_the_mask_along_with_the_rows(gappy: Path) -> None:
    shuffled = load_modality("visual", gappy, ITEMS, missing="zeros", control="shuffled", seed=1)
    assert (~shuffled.present).sum() == 2
    assert (shuffled.features[~shuffled.present] == 0).all()
    assert (shuffled.features[shuffled.present] != 0).all()


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
def test_a_control_is_drawn_from_its_seed(table: Path, control: str) -> None:
    def draw(seed: int) -> np.ndarray:
        return load_modality("visual", table, ITEMS, control=control, seed=seed).features  # type: ignore[arg-type]

    np.testing.assert_array_equal(draw(3), draw(3))
    assert not np.array_equal(draw(3), draw(4))


def test_the_digest_names_everything_that_a_model_sees(table: Path, gappy: Path) -> None:
    digests = [
        load_modality("visual", table, ITEMS).digest,
        load_modality("textual", table, ITEMS).digest,
        load_modality("visual", table, ITEMS[::-1]).digest,
        load_modality("visual", table, ITEMS, control="shuffled", seed=1).digest,
        load_modality("visual", table, ITEMS, control="shuffled", seed=2).digest,
        load_modality("visual", table, ITEMS, control="random").digest,
        load_modality("visual", gappy, ITEMS, missing="zeros").digest,
        load_modality("visual", gappy, ITEMS, missing="mean").digest,
    ]
    assert len(set(digests)) == len(digests)
    assert load_modality("visual", table, ITEMS).digest == digests[0]
