"""The feature table on disk: what passes from the extractor to the benchmark.

A table is one layer of one backbone: `<output>/<backend>/<model>/<layer>/<item>.npy`, float32, shape (1, D), one file
an item; beside that folder `<layer>.npy`, the same rows as one (N, D) matrix, and `<layer>.json`, the manifest.
The manifest is written last and removed first: a table with a manifest is whole.
"""

from workbench.features.indexed import indexed_output, write_indexed
from workbench.features.layout import find_tables, manifest_path, matrix_path, remove_table
from workbench.features.reader import FeatureTable, matrix_intact, open_table, read_manifest
from workbench.features.writer import TableWriter, refuse_misfits

__all__ = [
    "FeatureTable",
    "TableWriter",
    "find_tables",
    "indexed_output",
    "manifest_path",
    "matrix_intact",
    "matrix_path",
    "open_table",
    "read_manifest",
    "refuse_misfits",
    "remove_table",
    "write_indexed",
]
