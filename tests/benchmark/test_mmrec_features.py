"""Matrices in MMRec's folders: row n is item n of `i_id_mapping.csv`, where that lies beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmark.data.modalities.sources import open_source


def test_rows_are_found_by_the_raw_ids_of_the_map(tmp_path: Path) -> None:
    matrix = np.arange(8, dtype=np.float32).reshape(4, 2) + 1
    np.save(tmp_path / "image_feat.npy", matrix)
    (tmp_path / "i_id_mapping.csv").write_text("asin\titemID\nB02\t2\nB00\t0\nB01\t1\n")
    values, present = open_source(tmp_path / "image_feat.npy").gather(["B01", "B02", "B09"])
    assert present.tolist() == [True, True, False]
    assert values.tolist() == [[3, 4], [5, 6], [0, 0]]
    (tmp_path / "i_id_mapping.csv").unlink()
    values, _ = open_source(tmp_path / "image_feat.npy").gather(["1", "3"])
    assert values.tolist() == [[3, 4], [7, 8]]
