"""What is proved of the MacridVAE family beside test_zoo: recipes, schedules, where tables begin, planted concepts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import zoo_cases as zoo
from macrid_literal import Macrid, unit
from scipy.stats import zscore
from sklearn.metrics import adjusted_rand_score
from zoo_cases import TWO, Case, fresh, params_of, scores, tiny, trained

from benchmark.data.dataset import Csr
from benchmark.evaluation import Evaluator
from benchmark.models.alignment import concept_cores
from benchmark.models.base import Histories
from benchmark.models.registry import find_model
from benchmark.training.loop import fit
from workbench.errors import UserError

MACRID = [find_model(name) for name in ("MacridVAE", "SEMMacridVAE", "AlignMacridVAE")]
MULTI = [find_model(name) for name in ("MultiDAE", "MultiVAE")]
ALIGN = find_model("AlignMacridVAE")
every_macrid = pytest.mark.parametrize("model", MACRID, ids=lambda model: model.__name__)
everyone = pytest.mark.parametrize("model", [*MACRID, *MULTI], ids=lambda model: model.__name__)


# --- recipes and schedules


def test_a_recipe_sets_what_is_not_said() -> None:
    model = find_model("MacridVAE")
    official, igui = model.Params(), model.Params(recipe="igui")
    said = lambda params: (params.assignment, params.normalise_input, params.normalise_mu, params.sigma0,  # noqa: E731
                           params.kl_reduction, params.weight_decay)  # fmt: skip
    assert said(official) == ("gumbel", True, True, 0.075, "sum", 0)
    assert said(igui) == ("softmax", False, False, 1, "mean", 1e-4)
    assert said(model.Params(recipe="igui", sigma0=0.1, weight_decay=0))[3:] == (0.1, "mean", 0)
    assert ALIGN.Params(recipe="igui").alignment.batch_size == 32
    assert ALIGN.Params(recipe="igui", alignment="cca").alignment.method == "cca"


@pytest.mark.parametrize(("recipe", "epochs"), [("igui", 500), ("official", 5)])
def test_the_weight_of_the_kl_grows_to_beta(recipe: str, epochs: int) -> None:
    """min(beta, t / (500 B)) of the published program never reaches .2 in its 50 epochs; t / (5 B) does in one."""
    made = fresh(find_model("MacridVAE"), tiny(), params_of(find_model("MacridVAE"), recipe=recipe, anneal_steps=None,
                                                            beta=0.2, batch_size=4))  # fmt: skip
    batches = 2  # of six users
    made.train()
    seen = [float(made.annealing()) for _ in range(3 * batches)]
    assert seen == pytest.approx([min(0.2, t / (epochs * batches)) for t in range(3 * batches)])
    made.eval()
    assert float(made.annealing()) == float(made.annealing())


def test_a_recipe_completes_a_mapping_of_the_same_method() -> None:
    partly = ALIGN.Params(recipe="igui", alignment={"epochs": 5}).alignment
    assert (partly.epochs, partly.batch_size, partly.log_scale, partly.decay_scale) == (5, 32, 0.15, True)
    assert ALIGN.Params(recipe="igui", alignment={"method": "pca"}).alignment.method == "pca"
    whole = ALIGN.Params(recipe="igui").alignment
    for spelt in ("contrastive", {"method": "contrastive"}, {}):
        assert ALIGN.Params(recipe="igui", alignment=spelt).alignment == whole


def test_an_alignment_is_named_in_a_few_words() -> None:
    """In logs, tables and charts of a grid over alignments."""
    for given, name in (("cca", "cca"), ("contrastive", "contrastive"),
                        ({"epochs": 3, "batch_size": 32}, "contrastive (epochs 3, batch_size 32)"),
                        ({"decay_scale": True}, "contrastive (decay_scale true)")):  # fmt: skip
        params = ALIGN.Params(alignment=given)
        assert str(params.alignment) == params.model_dump(mode="json")["alignment"] == name


def test_a_beta_that_is_never_reached_is_told() -> None:
    """50 epochs of 500 take it to .1: whatever is above is the same run."""
    params = find_model("MacridVAE").Params
    assert "to 0.1: every larger `beta`" in str(params(recipe="igui", beta=0.2, epochs=50).notice())
    for silent in ({"beta": 0.1}, {"epochs": 100}, {"anneal_steps": 10}, {"recipe": "official"}):
        assert params(**{"recipe": "igui", "beta": 0.2, "epochs": 50, **silent}).notice() is None
    assert find_model("MultiVAE").Params().notice() is None


@every_macrid
@pytest.mark.parametrize("tied", [False, True])
def test_decay_spares_the_tables_if_asked(model: Any, tied: bool) -> None:
    given = {"tied": tied} if model is ALIGN else {}
    made = fresh(model, tiny(), params_of(model, decay_tables=False, **given))
    spared = {id(weight) for weight in made.undecayed()}
    names = {name for name, weight in made.named_parameters() if id(weight) in spared}
    assert names == {"cores", "drawn" if given.get("tied") else "items"}
    assert list(fresh(model, tiny(), params_of(model, **given)).undecayed()) == []


@everyone
def test_half_precision_blurs_the_loss_no_more_than_its_layers(model: Any) -> None:
    made = fresh(model, tiny(), params_of(model, dropout=0.0)).train()
    (batch,) = made.sampler().batches(10, torch.Generator().manual_seed(0))
    found = []
    for enabled in (False, True):
        torch.manual_seed(3)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            found.append(made.loss(batch))
    assert found[1].dtype == torch.float32
    assert found[1].item() == pytest.approx(found[0].item(), rel=0.02)


# --- scores


@pytest.mark.parametrize("training", [False, True])
def test_concepts_are_not_blurred_by_half_precision(training: bool) -> None:
    case = tiny()
    made = fresh(ALIGN, case, params_of(ALIGN, tau=0.01)).train(training)
    items = torch.nn.functional.normalize(made.table().detach())
    found = []
    for enabled in (False, True):
        torch.manual_seed(3)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            found.append(made._log_concepts(items))
    assert torch.equal(*found)


def test_the_parts_of_all_items_share_one_softmax() -> None:
    """sum exp(L) over both parts is 1, so that of their means it is at most 1/2."""
    case = tiny(TWO)
    everything = {name: np.ones_like(known) for name, known in case.known.items()}
    full = Case(case.n_items, case.items_of, {name: values + 1 for name, values in case.features.items()}, everything)
    made = trained(ALIGN, full, params_of(ALIGN, tied=False))
    found = scores(made, full).exp().sum(dim=1)
    assert (found <= 0.5 + 1e-6).all()
    parts = [
        _with_weights(made, full, torch.tensor([[1.0], [0.0]])),
        _with_weights(made, full, torch.tensor([[0.0], [1.0]])),
    ]
    assert sum(part.exp().sum(dim=1) for part in parts) == pytest.approx(torch.ones(case.n_users))
    torch.testing.assert_close((parts[0] + parts[1]) / 2, scores(made, full))


def _with_weights(made: Any, case: Case, weights: torch.Tensor) -> torch.Tensor:
    made.part_weights = lambda: weights.expand_as(made.counted)
    try:
        return scores(made, case)
    finally:
        del made.part_weights


@everyone
def test_who_is_shown_later_is_scored_as_who_was_trained_on_with_the_same_items(model: Any) -> None:
    case = tiny()
    made = trained(model, case, params_of(model))
    histories = Histories(case.data.indptr, case.data.items)
    with torch.inference_mode():
        found = made.fold_in_scorer(histories)(torch.arange(case.n_users))
    assert torch.equal(found, scores(made, case))


@pytest.mark.parametrize("tied", [False, True])
def test_parts_that_items_lack_are_nowhere(tied: bool) -> None:
    """Whatever vector stands in the place of a modality that an item lacks changes neither scores nor loss."""
    case = tiny()
    made = trained(ALIGN, case, params_of(ALIGN, tied=tied, dropout=0.0, assignment="softmax"))
    (batch,) = made.sampler().batches(10, torch.Generator().manual_seed(0))
    table, absent = made.table().detach(), ~made.counted.flatten()
    assert absent.sum() == sum((~known).sum() for known in case.known.values()) - 1  # item 5 has none, and one part
    found = []
    for standing in (0.0, 7.0):
        made.table = lambda standing=standing: table.where(~absent[:, None], standing)
        torch.manual_seed(0)
        made.annealing.updates.zero_()
        found.append((scores(made, case), made.train().loss(batch).item()))
    assert torch.equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]


# --- where tables begin


def test_sem_begins_with_standardised_principal_components() -> None:
    model, case = find_model("SEMMacridVAE"), zoo.drawn(20, 30, 90, {"visual": 6, "textual": 5})
    made = fresh(model, case, params_of(model, dfac=4))
    known = np.any(list(case.known.values()), axis=0)
    joined = np.concatenate(list(case.features.values()), axis=1).astype(np.float64)
    centred = joined - joined[known].mean(0)
    _, _, axes = np.linalg.svd(centred[known], full_matrices=False)
    axes = np.array([axis * np.sign(axis[np.abs(axis).argmax()]) for axis in axes[:4]])
    expected = zscore(centred @ axes.T, axis=1) * math.sqrt(2 / (case.n_items + 4))
    np.testing.assert_allclose(made.items.detach().numpy()[known], expected[known], atol=1e-5)
    assert made.items.isfinite().all()


@pytest.mark.parametrize("spherical", [False, True])
@pytest.mark.parametrize("tied", [False, True])
def test_align_begins_with_the_aligned_vectors(tied: bool, spherical: bool) -> None:
    """Free vectors are as short as drawn ones if only their directions shall count: long ones hardly turn."""
    case = tiny()
    made = fresh(ALIGN, case, params_of(ALIGN, tied=tied, spherical=spherical))
    known, vectors = made.aligned.known, made.aligned.vectors
    expected = vectors[known]
    if spherical and not tied:
        expected = expected / expected.norm(dim=1, keepdim=True) * math.sqrt(2 * 3 / (known.numel() + 3))
    torch.testing.assert_close(made.table().view(*known.shape, -1)[known], expected)


@pytest.mark.parametrize("spherical", [False, True])
def test_cores_begin_as_the_means_of_k_means(spherical: bool) -> None:
    case = tiny()
    made = fresh(ALIGN, case, params_of(ALIGN, tied=False, spherical=spherical))
    vectors = made.aligned.vectors[made.aligned.known]
    assert torch.equal(made.cores, concept_cores(vectors, 3, 1, spherical))
    sem = find_model("SEMMacridVAE")
    made = fresh(sem, case, params_of(sem))
    known = torch.from_numpy(np.any(list(case.known.values()), axis=0))
    assert torch.equal(made.cores, concept_cores(made.items[known], 3, 1, False))


@pytest.mark.parametrize("name", ["SEMMacridVAE", "AlignMacridVAE"])
def test_features_that_tell_nothing_are_refused(name: str) -> None:
    model, case = find_model(name), tiny(("visual",))
    nowhere = case.having("visual", np.zeros_like(case.features["visual"]), np.zeros(case.n_items, dtype=bool))
    constant = case.having("visual", np.ones_like(case.features["visual"]), np.ones(case.n_items, dtype=bool))
    for spoilt, told in ((nowhere, "0 items have features"), (constant, "the same for all items")):
        with pytest.raises(UserError, match=told):
            fresh(model, spoilt, params_of(model))


def test_more_concepts_than_items_are_refused() -> None:
    with pytest.raises(UserError, match="concepts"):
        fresh(ALIGN, tiny(), params_of(ALIGN, kfac=40))


# --- planted concepts


def planted(seed: int, per_user: int, n_concepts: int = 4, n_items: int = 300, n_users: int = 500) -> tuple[Any, ...]:
    """Items of four concepts with two modalities that tell the concept, and taste within it, through noise. Users like
    two concepts and have few items: the catalogue, what is to be found, and the concepts."""
    rng = np.random.default_rng(seed)
    concepts, latent = rng.integers(0, n_concepts, n_items), 0.7 * rng.standard_normal((n_items, 6))
    features = {}
    for name, dim in (("visual", 32), ("textual", 24)):
        centres, mixing = rng.standard_normal((n_concepts, dim)), 0.5 * rng.standard_normal((6, dim))
        features[name] = centres[concepts] + latent @ mixing + rng.standard_normal((n_items, dim))
    had, found = [], []
    for _ in range(n_users):
        liked, taste = rng.choice(n_concepts, 2, replace=False), rng.standard_normal((n_concepts, 6))
        appeal = np.where(np.isin(concepts, liked), np.exp((latent * taste[concepts]).sum(1)), 1e-3)
        items = rng.choice(n_items, per_user + 4, replace=False, p=appeal / appeal.sum())
        had.append(sorted(items[:per_user].tolist()))
        found.append(items[per_user:])
    known = {name: np.ones(n_items, dtype=bool) for name in features}
    case = Case(n_items, had, {name: values.astype(np.float32) for name, values in features.items()}, known)
    sought = np.concatenate(found)
    return case, Csr.build(np.repeat(np.arange(n_users), 4), sought, np.ones(len(sought)), n_users), concepts


def outcome(name: str, case: Case, sought: Csr, concepts: np.ndarray, **given: Any) -> tuple[float, float]:
    """Recall@20, and the adjusted Rand index of the model's concepts and the planted ones."""
    model: Any = find_model(name)
    params = {"epochs": 40, "batch_size": 100, "kfac": 4, "dfac": 16, "seed": 1, **given}
    made = fresh(model, case, params)
    fit(made, made.params, None, "", 1, lambda _: None)
    had = Csr.build(
        np.repeat(np.arange(case.n_users), [len(items) for items in case.items_of]),
        np.concatenate(case.items_of),
        np.ones(len(case.data.items)),
        case.n_users,
    )
    device = torch.device("cpu")
    figures = Evaluator(sought, [had], case.n_items, case.n_items, ["Recall"], [20], device).means(made.eval())
    return figures["Recall@20"], adjusted_rand_score(concepts, made.portrait().groups.numpy())


def test_concepts_are_found_again_where_users_have_three_items() -> None:
    case, sought, concepts = planted(0, per_user=3)
    aligned, agreement = outcome("AlignMacridVAE", case, sought, concepts)
    drawn, chance = outcome("MacridVAE", case, sought, concepts)
    assert agreement > 0.6
    assert chance < 0.2
    assert aligned > 1.5 * drawn


@every_macrid
def test_a_portrait_tells_what_literal_loops_tell(model: Any) -> None:
    case = tiny()
    made = trained(model, case, params_of(model, normalise_mu=False))
    shown = made.portrait()
    shown.check(case.n_items)
    state = {name: value.double().numpy() for name, value in made.state_dict().items()}
    table, counted = made.table().detach().double().numpy(), made.counted.numpy()
    literal = Macrid(made, table, counted, 6)
    c, (n_parts, n_items) = literal.concepts(), counted.shape
    weights = counted / counted.sum(0)
    of_items = np.array([sum(weights[p, i] * c[p * n_items + i] for p in range(n_parts)) for i in range(n_items)])
    assert shown.groups.tolist() == of_items.argmax(1).tolist()
    degrees = case.interactions.sum(0)
    for concept, tops in enumerate(shown.tops):
        own = [i for i in range(n_items) if of_items[i].argmax() == concept]
        assert sorted(tops) == own
        appeal = [of_items[i, concept] * degrees[i] for i in tops]
        assert appeal == sorted(appeal, reverse=True)
    rows = [np.tile(x, n_parts) * counted.flatten() for x in case.interactions]
    ones, n_concepts = np.ones(n_parts * n_items), len(state["cores"])
    wanted = np.array([[literal.encoded(x, c[:, k], ones)[0] for k in range(n_concepts)] for x in rows])
    wanted /= np.sqrt((wanted**2).sum((1, 2), keepdims=True))
    users = np.mean([independence(wanted[:, k]) for k in range(n_concepts)])
    assert shown.numbers["user independence"] == pytest.approx(users, abs=1e-5)
    items = unit(table[counted.flatten()])
    assert shown.numbers["item independence"] == pytest.approx(independence(items), abs=1e-5)
    assert all(placed[known].isfinite().all() and placed[known].std() > 0 for placed, known in _placed(made, shown))
    if model is ALIGN:
        assert dict(shown.curves) == {"alignment loss": made.aligned.losses}
        assert made.aligned.retrieval.items() <= dict(shown.numbers).items()


def _placed(made: Any, shown: Any) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Each map, and the items that have a place on it."""
    aligned = getattr(made, "aligned", None)
    return list(zip(shown.places.values(), made.counted if aligned is None else aligned.known, strict=True))


def independence(rows: np.ndarray) -> float:
    size = rows.shape[1]
    found = np.corrcoef(rows, rowvar=False)
    return 1 - sum(abs(found[i, j]) for i in range(size) for j in range(size) if i != j) / (size * (size - 1))
