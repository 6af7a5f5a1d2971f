"""Parameters, modalities, losses, and how a model is found by its name."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from bench_cases import training_data
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from benchmark.models.base import MultimodalParams, TrainingParams
from benchmark.models.losses import bpr_loss, half_squared_norms
from benchmark.models.registry import find_model, model_file
from workbench.errors import UserError

FEATURES = {
    "visual": np.ones((3, 2), dtype=np.float32),
    "textual": np.zeros((3, 4), dtype=np.float32),
}

VECTORS = st.lists(st.floats(-30, 30), min_size=1, max_size=8)


@given(st.lists(st.tuples(st.floats(-300, 300), st.floats(-300, 300)), min_size=1, max_size=10))
def test_the_bpr_loss_is_the_mean_of_minus_log_sigmoid(pairs: list[tuple[float, float]]) -> None:
    positive, negative = (torch.tensor(column, dtype=torch.float64) for column in zip(*pairs, strict=True))
    # log(1 + e^x) = x + log(1 + e^-x), which does not overflow
    expected = [max(n - p, 0) + math.log1p(math.exp(-abs(n - p))) for p, n in pairs]
    assert float(bpr_loss(positive, negative)) == pytest.approx(sum(expected) / len(pairs), rel=1e-9, abs=1e-12)


def test_half_squared_norms_are_summed_over_everything_and_divided_by_the_batch() -> None:
    one, other = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[0.0], [5.0]])
    assert float(half_squared_norms(one, other)) == pytest.approx((1 + 4 + 9 + 16 + 25) / 2 / 2)


@pytest.mark.parametrize(
    ("given_", "wanted"),
    [
        ({}, None),
        ({"modalities": "('visual','textual')"}, ("visual", "textual")),
        ({"modalities": "('textual',)"}, ("textual",)),
        ({"modalities": "visual"}, ("visual",)),
        ({"modalities": ("textual", "visual")}, ("textual", "visual")),
        ({"loaders": "('VisualAttribute','TextualAttribute')"}, ("visual", "textual")),
        ({"loaders": "AudioAttribute"}, ("audio",)),
        ({"modalities": "('visual',)", "loaders": "('VisualAttribute',)"}, ("visual",)),
    ],
)
def test_modalities_are_chosen_by_name_or_by_elliots_loaders(
    given_: dict[str, object], wanted: tuple[str, ...] | None
) -> None:
    assert MultimodalParams(**given_).wanted == wanted  # type: ignore[arg-type]


def test_loaders_that_contradict_the_modalities_are_refused() -> None:
    with pytest.raises(UserError, match="name different modalities"):
        _ = MultimodalParams(modalities=("visual",), loaders=("TextualAttribute",)).wanted


def test_a_model_is_given_the_modalities_that_it_names_in_its_order_or_all() -> None:
    data = training_data([[0], [1]], 3, FEATURES)
    assert list(data.take_modalities(None)) == ["visual", "textual"]
    assert list(data.take_modalities(("textual", "visual"))) == ["textual", "visual"]
    assert data.take_modalities(("textual",))["textual"].values.shape == (3, 4)


def test_a_modality_that_is_not_loaded_is_refused_with_those_that_are() -> None:
    data = training_data([[0], [1]], 3, FEATURES)
    with pytest.raises(UserError, match="wants the modality 'audio'") as caught:
        data.take_modalities(("visual", "audio"))
    assert "loaded: visual, textual" in str(caught.value.mend)
    with pytest.raises(UserError, match="reads features, and none are loaded"):
        training_data([[0], [1]], 3).take_modalities(None)


@pytest.mark.parametrize(
    "wrong", [{"epochs": 0}, {"epochs": -3}, {"batch_size": 0}, {"batch_size": -2}, {"lr": 0}, {"lr": -1}, {"l_w": 1}]
)
def test_training_parameters_out_of_range_or_unknown_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        TrainingParams(**wrong)  # type: ignore[arg-type]


def test_numbers_that_arrive_as_text_are_numbers() -> None:
    assert TrainingParams(lr="1e-05").lr == 1e-5  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["MostPop", "external.MostPop", "mostpop", "most_pop", "external.MOSTPOP"])
def test_a_model_is_found_in_any_spelling(name: str) -> None:
    model = find_model(name)
    assert model.__name__ == "MostPop"
    assert model_file(model).name == "most_pop.py"


@pytest.mark.parametrize(
    ("name", "nearest"), [("external.VPBR", "VBPR"), ("MostPopular", "MostPop"), ("BPRFM", "BPRMF")]
)
def test_an_unknown_model_is_answered_with_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(UserError, match="unknown model") as caught:
        find_model(name)
    assert caught.value.mend == f"did you mean {nearest!r}?"


MODEL = """
from benchmark.models.base import Recommender


class {name}(Recommender):
    marker = "mine"
"""


@pytest.mark.parametrize("as_init", [False, True])
def test_a_file_in_the_users_folder_is_a_model_and_the_shipped_ones_stay_known(tmp_path: Path, as_init: bool) -> None:
    (tmp_path / "__init__.py").write_text("")
    (tmp_path / "my_model.py").write_text(MODEL.format(name="MyModel"))
    folder = tmp_path / "__init__.py" if as_init else tmp_path
    model = find_model("external.MyModel", folder)
    assert model.marker == "mine"  # type: ignore[attr-defined]
    assert model_file(model) == tmp_path / "my_model.py"
    assert find_model("external.BPRMF", folder).__name__ == "BPRMF"


def test_the_users_file_goes_before_the_shipped_one_of_the_same_name(tmp_path: Path) -> None:
    (tmp_path / "vbpr.py").write_text(MODEL.format(name="VBPR"))
    assert find_model("VBPR", tmp_path).marker == "mine"  # type: ignore[attr-defined]
    assert not hasattr(find_model("VBPR"), "marker")


def test_two_folders_with_a_file_of_the_same_name_do_not_get_in_each_others_way(tmp_path: Path) -> None:
    models = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.py").write_text(MODEL.format(name="Mine"))
        models.append(find_model("Mine", tmp_path / name))
    assert [model_file(model).parent.name for model in models] == ["one", "two"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("class Mine(:\n", "does not load: SyntaxError"),
        ("import no_such_package_here\n\nclass Mine:\n    pass\n", "does not load: ModuleNotFoundError"),
        ("class Mine:\n    pass\n", "no subclass of Recommender"),
        ("from benchmark.models.base import Recommender\nclass Other(Recommender):\n    pass\n", "no subclass of Rec"),
        ("1 / 0\nclass Mine:\n    pass\n", "does not load: ZeroDivisionError"),
        ("class Mine:\n    ü = '\ud800'\n", "does not load: SyntaxError"),
    ],
)
def test_a_broken_file_of_the_user_is_one_sentence_with_its_name(tmp_path: Path, text: str, what: str) -> None:
    (tmp_path / "mine.py").write_bytes(text.encode("utf-8", errors="surrogatepass"))
    with pytest.raises(UserError, match=what) as caught:
        find_model("external.Mine", tmp_path)
    assert str(tmp_path / "mine.py") in str(caught.value.where)


@pytest.mark.parametrize("content", [b"class Mine(:\n", b"\xff\xfe", b"a = 1\x00\n"])
def test_a_broken_neighbour_does_not_hide_that_a_name_is_unknown_behind_a_traceback(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "mine.py").write_bytes(content)
    with pytest.raises(UserError, match="does not parse") as caught:
        find_model("external.Absent", tmp_path)
    assert str(tmp_path / "mine.py") in str(caught.value.where)
    assert find_model("external.BPRMF", tmp_path).__name__ == "BPRMF"


def test_a_folder_of_models_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder of models") as caught:
        find_model("VBPR", tmp_path / "absent" / "__init__.py")
    assert caught.value.where == str(tmp_path / "absent")
