"""The model that the documents show is one that runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from experiment_cases import QUICK, experiment, results

from benchmark.experiment import run_experiment
from benchmark.models.registry import find_model
from workbench.errors import UserError

DOCS = Path(__file__).parents[2] / "docs" / "models.md"


def test_the_model_of_the_documents_learns(shop: Path) -> None:
    (source,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), flags=re.DOTALL)
    (shop / "mine").mkdir()
    (shop / "mine" / "pure_taste.py").write_text(source, encoding="utf-8")
    params = {**QUICK, "epochs": 30, "lr": 0.05}
    folder = run_experiment(experiment(shop, {"PureTaste": params, "Random": None}, external_models_path="../mine"))
    assert list(results(folder)) == ["PureTaste", "Random"]


def test_parameters_that_extend_nothing_are_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from benchmark.models import TrainedRecommender\nfrom benchmark.models.base import MultimodalParams\n\n\n"
        "class Mine(TrainedRecommender):\n    class Params(MultimodalParams):\n        pass\n"
    )
    with pytest.raises(UserError, match="extends neither Params nor TrainingParams") as caught:
        find_model("Mine", tmp_path)
    assert caught.value.mend is not None and "class Params(TrainingParams, MultimodalParams)" in caught.value.mend
