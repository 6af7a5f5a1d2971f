"""Parameters of models in experiment files: names of modalities, the names that MMRec gives to keys, lengths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from experiment_cases import QUICK, experiment
from pydantic import ValidationError

from benchmark.experiment import run_experiment
from benchmark.models.base import MultimodalParams, Params, choose_modalities
from workbench.errors import UserError

LOADED = ("visual", "textual")


@pytest.mark.parametrize(
    ("spelled", "what", "mend"),
    [
        ("()", "`modalities` names none", "name one, or leave `modalities` out"),
        ("visul", "the model wants the modality 'visul'", "did you mean 'visual'?"),
        (["visual", "Textual"], "the model wants the modality 'Textual'", "did you mean 'textual'?"),
        ("audio", "the model wants the modality 'audio'", "add a loader for it"),
        ("(visual, textual)", "the model wants the modality '(visual, textual)'", "\"('visual', 'textual')\""),
        (["visual", "textual", "visual"], "the modality 'visual' is named twice", "name it once"),
    ],
)
def test_a_slip_in_the_modalities_gets_its_remedy(spelled: Any, what: str, mend: str) -> None:
    with pytest.raises(UserError) as caught:
        choose_modalities(LOADED, MultimodalParams(modalities=spelled).wanted)
    assert caught.value.what == what
    assert mend in str(caught.value.mend)


def test_a_model_reads_the_modalities_that_it_names_or_all() -> None:
    assert choose_modalities(LOADED, None) == LOADED
    assert choose_modalities(LOADED, ("textual",)) == ("textual",)
    with pytest.raises(UserError, match="reads features, and none are loaded"):
        choose_modalities((), None)


def test_a_seed_has_64_bits() -> None:
    assert Params(seed=-(2**63)).seed == -(2**63)
    for seed in (2**63, -(2**63) - 1):
        with pytest.raises(ValidationError):
            Params(seed=seed)


# --- before anything is trained


def refused(shop: Path, model: str, parameters: dict[str, Any], **changes: Any) -> tuple[UserError, str]:
    """What is said, and the line of the file that it names."""
    path = experiment(shop, {model: parameters}, **changes)
    with pytest.raises(UserError) as caught:
        run_experiment(path)
    assert not (shop / "results").exists()
    line = str(caught.value.where).removeprefix(f"{path}:")
    return caught.value, path.read_text().splitlines()[int(line) - 1].strip()


@pytest.mark.parametrize(
    ("model", "theirs", "ours"),
    [
        ("LightGCN", "embedding_size", "factors"),
        ("BPRMF", "learning_rate", "lr"),
        ("BPRMF", "train_batch_size", "batch_size"),
        ("BPRMF", "reg_weight", "l_w"),
        ("FREEDOM", "knn_k", "top_k"),
        ("FREEDOM", "n_mm_layers", "n_layers"),
        ("FREEDOM", "mm_image_weight", "mw"),
        ("MMGCN", "feat_embed_dim", "factors_multimod"),
        ("LATTICE", "lambda_coeff", "l_m"),
        ("MGCN", "cl_loss", "c_l"),
    ],
)
def test_a_key_as_mmrec_calls_it_gets_its_name_here(shop: Path, model: str, theirs: str, ours: str) -> None:
    error, line = refused(shop, f"external.{model}", {"epochs": 1, theirs: 1})
    assert error.what == f"unknown key `experiment.models.external.{model}.{theirs}`"
    assert error.mend == f"MMRec's `{theirs}` is `{ours}` here"
    assert line == f"{theirs}: 1"


def test_a_key_of_mmrec_that_the_model_has_no_counterpart_of_is_unknown_like_any_other(shop: Path) -> None:
    error, _ = refused(shop, "external.BPRMF", {"knn_k": 10})
    assert error.what.startswith("unknown key") and "MMRec" not in str(error.mend)


def test_a_parameter_that_does_not_fit_the_modalities_is_refused_at_its_line(shop: Path) -> None:
    error, line = refused(shop, "external.FREEDOM", {"epochs": 1, "mw": ["(0.5, 0.5)", "(0.1, 0.2, 0.7)"]})
    assert error.what.startswith("FREEDOM: ") and "`mw`" in error.what
    assert line == "mw:"


def test_a_list_of_modalities_is_said_to_be_a_grid(shop: Path, log: list[str]) -> None:
    path = experiment(shop, {"external.VBPR": {**QUICK, "modalities": ["visual", "textual"]}})
    run_experiment(path)
    (told,) = [line for line in log if "is a grid of" in line]
    at = next(n for n, line in enumerate(path.read_text().splitlines(), 1) if line.strip() == "modalities:")
    assert told == (
        f"INFO {path}:{at}: `modalities` is a grid of 2 models that read one modality each; one that reads them all: "
        "modalities: \"('visual', 'textual')\""
    )
