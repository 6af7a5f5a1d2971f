"""The ready experiment files: every model, parameter and value in them is legal."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from support import ROOT

from benchmark.config.experiment import read_experiment_configs
from benchmark.experiment.plan import plan_models
from benchmark.measures import plan_measures

FILES = sorted(
    path for path in (ROOT / "config_files").glob("*.yml") if "experiment" in yaml.safe_load(path.read_text())
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_ready_file_asks_for_nothing_that_is_not_there(path: Path) -> None:
    for file in read_experiment_configs(path):
        plans = plan_models(file, plan_measures(file))
        assert plans and all(plan.count >= 1 for plan in plans)


# what the published configurations try, from lr {1e-4, 5e-4, 1e-3, 5e-3, 1e-2} and l_w {1e-5, 1e-2}
PUBLISHED = {
    "grid_classical": {"BPRMF": 10, "LightGCN": 10, "NGCF": 10, "SGL": 10, "SimGCL": 10},
    "grid_multimodal": {"VBPR": 10, "NGCFM": 10, "GRCN": 10, "LATTICE": 10, "BM3": 10, "FREEDOM": 10},
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_grids_are_tried_in_full(name: str) -> None:
    (file,) = read_experiment_configs(ROOT / "config_files" / f"{name}.yml")
    counts = {plan.name: plan.count for plan in plan_models(file, plan_measures(file))}
    assert PUBLISHED[name].items() <= counts.items()
