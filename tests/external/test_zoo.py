"""What holds for every shipped model. A new one joins by being a file in external/models with a derivation beside this.

The derivation, tests/external/derivations/<stem of the model file>.py, is the model once more: literal, dense and in
double precision, from the paper's formulas and without code of the bench. It has

    PARAMS    a tiny configuration
    CHANGES   for every key of the model's own: another value, which must change the result
    WITH      (optional) for a key: what else is set while it is changed, where its effect needs that
    VARIANTS  (optional) further configurations, over PARAMS, that it covers
    scores(model, case) -> (U, I) float64, from the weights of the model and the raw data of the case
    loss(model, case, batch) -> float, of models that are trained; torch is seeded as for `model.loss`
"""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
import torch
import zoo_cases as zoo
from safetensors.torch import load, save
from torch.autograd.profiler import profile
from zoo_cases import (
    N_ITEMS,
    NEW_ITEMS,
    SETS,
    SUBSETS,
    THREE,
    Case,
    ModelClass,
    drawn,
    fresh,
    params_of,
    result,
    scores,
    tiny,
    trained,
)

from benchmark.models.base import TrainingData
from benchmark.models.registry import shipped_models
from benchmark.training.checkpoint import Checkpoint
from benchmark.training.loop import Judgement, Progress
from workbench.errors import UserError

MODELS, BROKEN = zoo.load_models()
TRAINED = [model for model in MODELS.values() if zoo.is_trained(model)]
READERS = [model for model in MODELS.values() if zoo.reads_features(model)]


def name_of(model: ModelClass) -> str:
    return model.__name__


every_model = pytest.mark.parametrize("model", MODELS.values(), ids=name_of)
every_trained_model = pytest.mark.parametrize("model", TRAINED, ids=name_of)
every_reader = pytest.mark.parametrize("model", READERS, ids=name_of)


def modality_sets(model: ModelClass) -> list[tuple[str, ...]]:
    """One, two and three modalities for a model that reads them."""
    return SETS if zoo.reads_features(model) else [THREE]


def test_every_model_file_loads() -> None:
    assert BROKEN == {}
    assert shipped_models() == MODELS


# --- scores and losses are those of the formulas


@every_model
def test_scores_are_those_of_the_derivation(model: ModelClass) -> None:
    literal = zoo.derivation(model)
    for params in zoo.variants(model):
        for names in modality_sets(model):
            case = tiny(names)
            made = trained(model, case, params)
            expected = np.asarray(literal.scores(made, case))
            assert expected.shape == (case.n_users, case.n_items)
            np.testing.assert_allclose(
                scores(made, case).double().numpy(), expected, atol=1e-5, rtol=1e-5, err_msg=f"{params} on {names}"
            )


@every_trained_model
def test_the_loss_is_that_of_the_derivation(model: ModelClass) -> None:
    """On the first and the last batch of an epoch, and on one of the next epoch, with weights that were trained."""
    literal = zoo.derivation(model)
    for params in zoo.variants(model):
        for names in modality_sets(model):
            case = tiny(names)
            made, generator = trained(model, case, params), torch.Generator().manual_seed(5)
            made.train()
            for epoch, places in ((1, (0, -1)), (2, (0,))):
                made.on_epoch_start(epoch, generator)
                batches = list(made.sampler().batches(5, generator))
                for place in places:
                    torch.manual_seed(13)
                    expected = float(literal.loss(made, case, batches[place]))
                    torch.manual_seed(13)
                    got = made.loss(batches[place]).item()
                    assert got == pytest.approx(expected, abs=1e-5, rel=1e-5), (params, names, epoch, place)


@every_model
def test_scores_are_those_of_the_present_weights(model: ModelClass) -> None:
    """Also of weights that were changed behind the model's back, after training and after scores were asked for."""
    case = tiny()
    made = trained(model, case, params_of(model))
    weights = list(made.parameters())
    if not weights:
        assert not zoo.is_trained(model)
        return
    before = scores(made, case)
    with torch.no_grad():
        for weight in weights:
            weight.add_(0.3 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(3)))
    after = scores(made, case)
    assert not torch.allclose(before, after, atol=1e-4)
    np.testing.assert_allclose(after.double().numpy(), zoo.derivation(model).scores(made, case), atol=1e-5, rtol=1e-5)


# --- training


@every_trained_model
def test_every_weight_gets_a_gradient_and_is_trained_within_an_epoch(model: ModelClass) -> None:
    for params in zoo.variants(model):
        made = fresh(model, tiny(), params)
        weights = {name: weight for name, weight in made.named_parameters() if weight.requires_grad}
        start = {name: weight.detach().clone() for name, weight in weights.items()}
        gradients = dict.fromkeys(weights, 0.0)
        optimiser, generator = torch.optim.Adam(weights.values(), lr=0.01), torch.Generator().manual_seed(2)
        made.train()
        made.on_epoch_start(1, generator)
        for batch in made.sampler().batches(4, generator):
            optimiser.zero_grad(set_to_none=True)
            made.loss(batch).backward()
            optimiser.step()
            for name, weight in weights.items():
                gradients[name] += 0.0 if weight.grad is None else float(weight.grad.abs().sum())
        idle = [name for name in weights if gradients[name] == 0 or torch.equal(start[name], weights[name])]
        assert not idle, f"never trained: {idle} under {params}"
        assert all(np.isfinite(list(gradients.values())))


@pytest.mark.parametrize(
    ("model", "key"), [(model, key) for model in MODELS.values() for key in zoo.keys_to_change(model)]
)  # fmt: skip
def test_every_key_changes_the_result(model: ModelClass, key: str) -> None:
    """Unless the model names it in `without_effect`, and then it changes nothing."""
    params, value = zoo.around(model, key), zoo.other_value(model, key)
    assert params.get(key, ...) != value, f"CHANGES names the value that `{key}` has in PARAMS"
    plain, changed = (result(model, tiny(), each) for each in (params, {**params, key: value}))
    if key in model.without_effect:
        assert torch.equal(plain, changed)
    else:
        assert not torch.allclose(plain, changed, atol=1e-6, rtol=0), f"`{key}: {value!r}` changes nothing"


@every_model
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(model: ModelClass) -> None:
    case = tiny()
    one, same, other = (trained(model, case, params_of(model, **seed)) for seed in ({}, {}, {"seed": 99}))
    assert list(one.state_dict()) == list(same.state_dict())
    assert all(torch.equal(value, same.state_dict()[name]) for name, value in one.state_dict().items())
    assert torch.equal(scores(one, case), scores(same, case))
    assert torch.equal(scores(one, case), scores(other, case)) == ("seed" in model.without_effect)


@every_trained_model
def test_training_that_was_cut_short_goes_on_bit_for_bit(model: ModelClass, tmp_path: Path) -> None:
    case, params = tiny(), params_of(model, epochs=4)

    class Killed(BaseException):
        pass

    def kill(progress: Progress) -> None:
        if progress.epoch == 3:
            raise Killed

    whole = fresh(model, case, params)
    expected = zoo.train(whole)
    with pytest.raises(Killed):
        zoo.train(fresh(model, case, params), checkpoint=Checkpoint(tmp_path / "c", 1, "k"), report=kill)
    epochs: list[int] = []
    resumed = fresh(model, case, params)
    again = zoo.train(
        resumed, checkpoint=Checkpoint(tmp_path / "c", 1, "k"), report=lambda told: epochs.append(told.epoch)
    )
    assert epochs == [3, 4]
    assert again.losses == expected.losses
    assert all(torch.equal(value, resumed.state_dict()[name]) for name, value in whole.state_dict().items())
    assert torch.equal(scores(resumed, case), scores(whole, case))


@every_trained_model
def test_being_judged_changes_nothing_of_training(model: ModelClass) -> None:
    case, params = tiny(), params_of(model)
    alone = fresh(model, case, params)
    losses = zoo.train(alone).losses
    judged = fresh(model, case, params)  # only now: building seeds torch

    def judge() -> Judgement:
        scores(judged, case)
        return Judgement({"Recall@5": 0.0}, {})

    assert zoo.train(judged, judge=judge, monitor="Recall@5").losses == losses
    assert all(torch.equal(value, judged.state_dict()[name]) for name, value in alone.state_dict().items())


@every_model
def test_training_leaves_the_data_as_they_are(model: ModelClass) -> None:
    case = drawn(12, 10, 50, zoo.DIMS)

    def bits() -> list[torch.Tensor]:
        features = [part for each in case.data.features.values() for part in (each.values, each.present)]
        return [tensor.clone() for tensor in (case.data.indptr, case.data.items, *features)]

    before = bits()
    result(model, case, params_of(model))
    assert all(torch.equal(one, other) for one, other in zip(before, bits(), strict=True))
    assert not any(features.values.requires_grad for features in case.data.features.values())


# --- scoring


@every_model
def test_scores_are_the_same_at_every_asking_and_in_every_block_and_belong_to_who_asked(model: ModelClass) -> None:
    case = tiny()
    made = trained(model, case, params_of(model))
    first = scores(made, case)
    assert torch.equal(scores(made, case), first)
    users = torch.arange(case.n_users)
    with torch.inference_mode():
        scorer = made.scorer()
        torch.testing.assert_close(torch.cat([scorer(block) for block in users.split(1)]), first, atol=1e-6, rtol=1e-6)
        torch.testing.assert_close(scorer(users.flip(0)), first.flip(0), atol=1e-6, rtol=1e-6)
        scorer(users).fill_(-torch.inf)
        assert torch.equal(scorer(users), first), "what is written to the scores must not reach the model"
    assert torch.equal(scores(made, case), first)


@every_model
def test_a_model_is_restored_from_its_weights(model: ModelClass) -> None:
    """As the bench does: built anew and given what was kept; drawn from another seed, if it was trained."""
    case = tiny()
    seed = {"seed": 99} if zoo.is_trained(model) else {}
    made, restored = trained(model, case, params_of(model)), fresh(model, case, params_of(model, **seed))
    kept = load(save({name: value.contiguous() for name, value in made.state_dict().items()}))
    restored.load_state_dict(kept)
    assert torch.equal(scores(restored, case), scores(made, case))


@every_model
def test_what_is_kept_holds_neither_features_nor_graphs(model: ModelClass) -> None:
    """Features are not copied to every checkpoint, nor is anything as large as the matrices of a catalogue."""
    case = drawn(23, 31, 150, {"visual": 37, "textual": 41})
    made = fresh(model, case, params_of(model))
    weights = {name for name, _ in made.named_parameters()}
    edges = 2 * len(case.data.items)
    foreign = {case.n_users**2, case.n_items**2, case.n_users * case.n_items, edges, edges // 2}
    foreign |= {features.size for features in case.features.values()} | {case.n_items * (37 + 41)}
    heavy = [name for name, value in made.state_dict().items() if name not in weights and value.numel() in foreign]
    assert not heavy, f"not weights, and in the state: {heavy}"


WORKER = """
import sys
import cloudpickle, torch
sys.path.insert(0, sys.argv[1])
import zoo_cases as zoo
torch.set_num_threads(1)
trips = cloudpickle.load(open("trips", "rb"))
torch.save({name: zoo.result(model, zoo.tiny(), params) for name, (model, params) in trips.items()}, "found")
"""


def test_models_travel_to_workers(tmp_path: Path) -> None:
    """Classes go by value, as the files are now; what comes of them in another process is what comes of them here."""
    trips = {name_of(model): (model, params_of(model)) for model in MODELS.values()}
    (tmp_path / "trips").write_bytes(cloudpickle.dumps(trips))
    worker = [sys.executable, "-c", WORKER, str(Path(zoo.__file__).parent)]
    subprocess.run(worker, cwd=tmp_path, check=True, timeout=300)
    for name, found in torch.load(tmp_path / "found").items():
        model, params = trips[name]
        assert torch.equal(found, result(model, tiny(), params)), name


# --- features


@every_reader
@pytest.mark.parametrize("names", SUBSETS, ids="+".join)
def test_every_set_of_modalities_runs(model: ModelClass, names: tuple[str, ...]) -> None:
    made = trained(model, tiny(), params_of(model, modalities=names))
    assert torch.isfinite(scores(made, tiny())).all()
    assert torch.equal(scores(made, tiny()), result(model, tiny(names), params_of(model)))


@every_reader
def test_features_that_are_not_there_are_asked_for(model: ModelClass) -> None:
    with pytest.raises(UserError, match="reads features, and none are loaded"):
        fresh(model, tiny(()), params_of(model))
    with pytest.raises(UserError, match="wants the modality 'audio'"):
        fresh(model, tiny(("visual", "textual")), params_of(model, modalities=("audio",)))


@every_reader
def test_modalities_may_have_any_name(model: ModelClass) -> None:
    plain, odd = tiny(), ("image.clip/7", "training", "")
    case = Case(
        plain.n_items,
        plain.items_of,
        dict(zip(odd, plain.features.values(), strict=True)),
        dict(zip(odd, plain.known.values(), strict=True)),
    )
    assert torch.equal(result(model, case, params_of(model)), result(model, plain, params_of(model)))


@every_reader
def test_features_count_if_they_are_read_and_only_then(model: ModelClass) -> None:
    """Shuffled among the items that have them, they change the scores; those of another modality change nothing."""
    case, params = tiny(), params_of(model, modalities=("visual",))
    known = np.flatnonzero(case.known["visual"])
    shuffled = case.features["visual"].copy()
    shuffled[known] = shuffled[np.roll(known, 1)]
    plain = result(model, case, params)
    assert not torch.allclose(plain, result(model, case.having("visual", shuffled), params), atol=1e-6)
    others = case.having("textual", -case.features["textual"]).having("audio", case.features["audio"] * 3)
    assert torch.equal(plain, result(model, others, params))


@pytest.mark.parametrize("model", [model for model in MODELS.values() if model not in READERS], ids=name_of)
def test_a_model_that_reads_no_features_needs_none(model: ModelClass) -> None:
    bare = tiny(())
    assert torch.equal(result(model, bare, params_of(model)), result(model, tiny(), params_of(model)))


@every_model
def test_whoever_and_whatever_has_nothing_gets_finite_scores(model: ModelClass) -> None:
    """A user without interactions and one with nearly all items, items without rows and without features, and a
    modality that a single item has."""
    plain = tiny()
    only = np.zeros(plain.n_items, dtype=bool)
    only[2] = True
    audio = plain.features["audio"] * only[:, None]
    audio[2] = 1
    case = Case(plain.n_items, [[0, 1, 3], [], [0, 1, 2, 3, 4, 5, 6], [1, 6]], plain.features, plain.known)
    case = case.having("audio", audio, only)
    made = trained(model, case, params_of(model, **({"epochs": 5, "lr": 0.05} if zoo.is_trained(model) else {})))
    assert all(torch.isfinite(value).all() for value in made.state_dict().values())
    assert scores(made, case).shape == (4, plain.n_items)
    assert torch.isfinite(scores(made, case)).all()


@every_model
def test_new_items_are_scored_by_their_features_if_the_model_says_so_and_only_then(model: ModelClass) -> None:
    """Two items without training rows are scored otherwise if each has the features of the other."""
    case, new = tiny(), list(NEW_ITEMS)
    swapped = case
    for name, values in case.features.items():
        exchanged = values.copy()
        exchanged[new] = values[new[::-1]]
        swapped = swapped.having(name, exchanged)
    made, again = trained(model, case, params_of(model)), fresh(model, swapped, params_of(model))
    again.load_state_dict(made.state_dict())
    difference = (scores(made, case) - scores(again, swapped))[:, new].abs()
    assert (difference.max(0).values > 1e-5).all() == model.scores_new_items, difference


@pytest.mark.parametrize("model", [model for model in MODELS.values() if model.scores_new_items], ids=name_of)
def test_nothing_but_its_features_tells_a_new_item_from_another(model: ModelClass) -> None:
    """Two items without training rows and with equal features begin alike: none has weights of its own, as drawn."""
    case = tiny()
    for name, values in case.features.items():
        alike = values.copy()
        alike[list(NEW_ITEMS)] = values[NEW_ITEMS[0]]
        case = case.having(name, alike)
    unranked = {"top_k": N_ITEMS} if "top_k" in model.Params.model_fields else {}  # of two neighbours as near, both
    found = scores(fresh(model, case, params_of(model, **unranked)), case)[:, list(NEW_ITEMS)]
    assert found[:, 0] == pytest.approx(found[:, 1], abs=1e-6)


# --- memory

DENSE_BY_DEFINITION = {"EASE": "its weights are one dense I x I matrix in closed form"}
USERS, ITEMS, INTERACTIONS = 13_000, 12_000, 10_000  # few, so that SLIM has few regressions to solve
BLOCK, BLOCKS = 160_000_000, 400_000_000  # bytes at once, and together
assert 4 * min(USERS, ITEMS) ** 2 > BLOCKS  # 576 MB: users x users, users x items and items x items are no smaller


def allocations(profiled: profile) -> tuple[int, int]:
    """Bytes of torch's largest allocation, and of all that were held at once at most."""
    events = sorted(profiled.kineto_results.events(), key=lambda event: event.start_ns())
    changes = [event.nbytes() for event in events if event.name() == "[memory]"]
    return max(changes), max(accumulate(changes))


@pytest.fixture(scope="module")
def large() -> Iterator[TrainingData]:
    yield drawn(USERS, ITEMS, INTERACTIONS, {"visual": 32, "textual": 16}).data


@every_model
def test_nothing_of_the_size_of_a_whole_matrix_is_allocated(model: ModelClass, large: TrainingData) -> None:
    """Built, trained by a step and asked for a block of users, with the published parameters."""
    if name_of(model) in DENSE_BY_DEFINITION:
        pytest.skip(DENSE_BY_DEFINITION[name_of(model)])
    torch.manual_seed(0)
    tracemalloc.start()  # of NumPy and SciPy; torch has memory of its own
    with profile(profile_memory=True) as profiled:
        made: Any = model(model.Params(), large)
        if zoo.is_trained(model):
            generator = torch.Generator().manual_seed(0)
            made.train()
            made.on_epoch_start(1, generator)
            made.loss(next(iter(made.sampler().batches(512, generator)))).backward()
        with torch.inference_mode():
            block = made.eval().scorer()(torch.arange(64))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert block.shape == (64, ITEMS)
    largest, held = allocations(profiled)
    assert largest < BLOCK and held < BLOCKS, f"{largest / 1e6:.0f} MB at once, {held / 1e6:.0f} MB together"
    assert peak < BLOCK, f"{peak / 1e6:.0f} MB of NumPy"
