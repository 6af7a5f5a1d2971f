"""Matrices in MMRec's folders: row n is item n of `i_id_mapping.csv`, where that lies beside them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmark.data.formats.mmrec import open_features
from benchmark.data.modalities.sources import open_source
from benchmark.load.features import _open_beside_the_parts


def test_rows_are_found_by_the_raw_ids_of_the_map(tmp_path: Path) -> None:
    matrix = np.arange(8, dtype=np.float32).reshape(4, 2) + 1
    np.save(tmp_path / "image_feat.npy", matrix)
    (tmp_path / "i_id_mapping.csv").write_text("asin\titemID\nB02\t2\nB00\t0\nB01\t1\n")
    rows = open_features(tmp_path / "image_feat.npy")
    assert rows is not None
    values, present = rows.gather(["B01", "B02", "B09"])
    assert present.tolist() == [True, True, False]
    assert values.tolist() == [[3, 4], [5, 6], [0, 0]]
    values, _ = open_source(tmp_path / "image_feat.npy").gather(["1", "3"])  # as any other matrix
    assert values.tolist() == [[3, 4], [7, 8]]
    (tmp_path / "i_id_mapping.csv").unlink()
    assert open_features(tmp_path / "image_feat.npy") is None
    values, _ = open_source(tmp_path / "image_feat.npy").gather(["1", "3"])
    assert values.tolist() == [[3, 4], [7, 8]]


@pytest.mark.parametrize(
    ("strategy", "parts", "raw"),
    [
        ("mmrec", ".", True),
        ("mmrec", "toys.inter", True),
        ("dataset", "toys.inter", True),
        ("dataset", "toys.tsv", False),
        ("fixed", None, False),
        ("mmrec", "elsewhere", False),
    ],
)
def test_only_beside_parts_in_that_format_are_rows_read_so(
    tmp_path: Path, strategy: str, parts: str | None, raw: bool
) -> None:
    """A map that lies beside numbered parts of another kind says nothing of them."""
    np.save(tmp_path / "image_feat.npy", np.ones((2, 2), dtype=np.float32))
    (tmp_path / "i_id_mapping.csv").write_text("asin\titemID\nB00\t0\nB01\t1\n")
    (tmp_path / "elsewhere").mkdir()
    config = SimpleNamespace(strategy=strategy, dataset_path=parts)
    file: Any = SimpleNamespace(experiment=SimpleNamespace(data_config=config), path=lambda name: tmp_path / name)
    found = _open_beside_the_parts(file, tmp_path / "image_feat.npy")
    assert (found is not None) == raw
    assert found is None or found.has(["B01", "1"]).tolist() == [True, False]
