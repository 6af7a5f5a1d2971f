"""The forms in which interactions lie on disk, one small file each.

Single tables (`delimited`, `parquet`, `adjacency`, `tuples`) are read through `benchmark.data.interactions`; whole
splits through `mmrec.read_labelled`, `recbole.read_split`, `recom_data.read_recom_data` and `elliot.read_hierarchy`.
"""
