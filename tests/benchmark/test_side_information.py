"""Loaders of an experiment file: their keys, and what is loaded for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from bench_cases import interactions, write_rows
from support import write_table

from benchmark.config import ExperimentFile, SideInformation, read_experiment_config
from benchmark.data.dataset import Dataset, build_dataset
from benchmark.data.modalities import Heat, Imputer, Mean, Modality, MultiHop, NeighbourMean, Noise, PageRank, Zeros
from benchmark.data.splitters import Parts
from benchmark.load.features import drop_items_without_features, load_features
from workbench.config import read_yaml, validate
from workbench.errors import UserError

TRAIN = [("0", "0"), ("0", "1"), ("1", "1"), ("1", "2"), ("2", "2"), ("2", "3"), ("3", "3"), ("3", "0")]
VALIDATION, TEST = [("0", "2"), ("2", "0")], [("1", "4"), ("3", "1"), ("0", "3")]
ROWS = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)


def loader(folder: Path, text: str) -> SideInformation:
    (folder / "loader.yml").write_text(text)
    document = read_yaml(folder / "loader.yml")
    return validate(SideInformation, document.data, document)


VISUAL = "dataloader: VisualAttribute\nvisual_features: v/pool\n"
GENERAL = "dataloader: Attribute\nname: image\nfeatures: x.npy\n"


def test_a_general_loader_has_any_name_and_elliots_have_theirs(tmp_path: Path) -> None:
    found = loader(tmp_path, GENERAL + "ids: ids.txt\nnormalise: l2\n")
    assert (found.modality, found.path, found.ids, found.normalise) == ("image", "x.npy", "ids.txt", "l2")
    found = loader(tmp_path, VISUAL)
    assert (found.modality, found.path, found.source, found.missing.build()) == ("visual", "v/pool", "items", "error")


def test_elliots_other_keys_are_named_and_set_aside(tmp_path: Path, log: list[str]) -> None:
    others = "visual_pca_features: p\nvisual_feat_map_features: m\nimages_src_folder: i\noutput_image_size: [2, 2]\n"
    assert loader(tmp_path, VISUAL + others) == loader(tmp_path, VISUAL)
    assert len(log) == 4 and all("has no effect here" in line for line in log)


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("drop", "drop"),
        ("zeros", Zeros()),
        ("{policy: mean}", Mean()),
        ("random", Noise()),
        ("neighbour_mean", NeighbourMean(top_k=20)),
        ("{policy: neighbour_mean, top_k: 5}", NeighbourMean(top_k=5)),
        ("multi_hop", MultiHop(top_k=20, hops=3)),
        ("{policy: multi_hop, hops: 2, top_k: 7}", MultiHop(top_k=7, hops=2)),
        ("{policy: pagerank, alpha: 0.5}", PageRank(top_k=20, alpha=0.5)),
        ("{policy: heat, time: 2}", Heat(top_k=20, time=2)),
    ],
)
def test_a_policy_is_a_word_or_a_mapping(tmp_path: Path, text: str, policy: Imputer | str) -> None:
    assert loader(tmp_path, f"{VISUAL}missing: {text}\n").missing.build() == policy


@pytest.mark.parametrize(
    ("text", "what", "mend"),
    [
        (VISUAL + "missing: meen\n", "missing.policy`", "did you mean 'mean'?"),
        (VISUAL + "missing: {hops: 2}\n", "`missing.policy` is missing", "policy"),
        (VISUAL + "missing: {policy: mean, top_k: 2}\n", "mean takes no further key, given: top_k", ""),
        (VISUAL + "missing: {policy: pagerank, hops: 2}\n", "pagerank takes top_k and alpha, given: hops", ""),
        (VISUAL + "missing: {policy: drop, hops: 2}\n", "drop takes no further key", ""),
        (VISUAL + "missing: {policy: multi_hop, hop: 2}\n", "unknown key `missing.hop`", "'hops'"),
        (VISUAL + "missing: {policy: multi_hop, hops: 0}\n", "missing.hops`", ""),
        (VISUAL + "missing: {policy: pagerank, alpha: 0}\n", "missing.alpha`", ""),
        (VISUAL + "missing: {policy: heat, time: .inf}\n", "missing.time`", ""),
        (VISUAL + "normalise: L2\n", "normalise`", "did you mean 'l2'?"),
        (VISUAL + "control: shuffle\n", "control`", "did you mean 'shuffled'?"),
        (VISUAL + "name: image\n", "VisualAttribute takes the key visual_features, given: name, visual_features", ""),
        (VISUAL + "ids: x\n", "`ids` names the rows of a matrix", ""),
        ("dataloader: Attribute\nname: a\n", "Attribute takes the keys name and features, given: name", ""),
        (GENERAL.replace("image", "'a b'"), "`name`", ""),
        (GENERAL + "source: interactions\n", "a matrix of interactions needs `ids`", ""),
        (GENERAL + "images_src_folder: x\n", "unknown key `images_src_folder`", ""),
    ],
)
def test_a_slip_is_refused(tmp_path: Path, text: str, what: str, mend: str) -> None:
    with pytest.raises(UserError) as caught:
        loader(tmp_path, text)
    assert what in caught.value.what
    assert mend in str(caught.value.mend)


# --- loading


def experiment(folder: Path, *loaders: dict[str, Any], parts: str = "{}.tsv", **keys: Any) -> ExperimentFile:
    for name, rows in (("train", TRAIN), ("val", VALIDATION), ("test", TEST)):
        write_rows(folder / parts.format(name), rows)
    content = {
        "dataset": "d",
        "top_k": 2,
        "data_config": {
            "strategy": "fixed",
            "train_path": parts.format("train"),
            "validation_path": parts.format("val"),
            "test_path": parts.format("test"),
            "side_information": list(loaders),
            **keys,
        },
        "evaluation": {"simple_metrics": ["Recall"]},
        "models": {"MostPop": None},
    }
    (folder / "x.yml").write_text(yaml.safe_dump({"experiment": content}))
    return read_experiment_config(folder / "x.yml")


def matrix(folder: Path, name: str = "image", **keys: Any) -> dict[str, Any]:
    np.save(folder / f"{name}.npy", ROWS)
    return {"dataloader": "Attribute", "name": name, "features": f"{name}.npy", **keys}


def split(folder: Path, train: Any = TRAIN, validation: Any = VALIDATION, test: Any = TEST) -> Parts:
    named = {"a": train, "b": validation, "c": test}
    return Parts(*(interactions(folder / name, rows) for name, rows in named.items()))


def data(folder: Path, **parts: Any) -> Dataset:
    return build_dataset(split(folder, **parts))


def load_modalities(file: ExperimentFile, dataset: Dataset, missing_rate: float = 0.0) -> list[Modality]:
    """Of every loader of a file."""
    sides = file.experiment.data_config.side_information
    return [load_features(file, side, dataset, missing_rate) for side in sides]


def test_all_loaders_are_loaded_in_the_order_of_the_file(tmp_path: Path) -> None:
    write_table(tmp_path / "pool", ["3", "2", "1", "0"], ROWS[:4])
    visual = {"dataloader": "VisualAttribute", "visual_features": "pool", "normalise": "l2"}
    audio = {"dataloader": "AudioAttribute", "audio_features": "sound.npy"}
    np.save(tmp_path / "sound.npy", ROWS.astype(np.float16))
    file = experiment(tmp_path, matrix(tmp_path), visual, audio)
    image, seen, heard = load_modalities(file, data(tmp_path))
    assert [image.name, seen.name, heard.name] == ["image", "visual", "audio"]
    np.testing.assert_array_equal(image.features, ROWS[:4])
    np.testing.assert_allclose(np.linalg.norm(seen.features, axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(heard.features, ROWS[:4].astype(np.float16).astype(np.float32))


def test_two_loaders_of_one_name_are_refused(tmp_path: Path) -> None:
    visual = {"dataloader": "VisualAttribute", "visual_features": "v.npy"}
    with pytest.raises(UserError, match="two loaders of one modality: visual, visual"):
        experiment(tmp_path, matrix(tmp_path, "visual"), visual)


@pytest.mark.parametrize("policy", ["neighbour_mean", "multi_hop", "pagerank", "heat"])
def test_held_out_rows_cannot_influence_a_filled_row(tmp_path: Path, policy: str) -> None:
    np.save(tmp_path / "few.npy", ROWS[:2])
    (tmp_path / "ids.txt").write_text("0\n2\n")
    side = {"dataloader": "Attribute", "name": "a", "features": "few.npy", "ids": "ids.txt", "missing": policy}
    file = experiment(tmp_path, side)
    (one,) = load_modalities(file, data(tmp_path))
    (other,) = load_modalities(file, data(tmp_path, validation=[("3", "2")], test=[("0", "2"), ("1", "0")]))
    np.testing.assert_array_equal(one.features, other.features)
    (changed,) = load_modalities(file, data(tmp_path, train=[*TRAIN[:-1], ("3", "1")], test=[("0", "2")]))
    assert changed.features.shape != one.features.shape or not np.array_equal(changed.features, one.features)


def test_a_missing_rate_takes_features_of_the_same_items_or_of_each_modalitys_own(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    train = [(str(user), str(item)) for item in range(300) for user in rng.integers(0, 30, 1)]
    for name in ("a", "b"):
        np.save(tmp_path / f"{name}.npy", rng.standard_normal((300, 2)).astype(np.float32))
    sides = [
        {"dataloader": "Attribute", "name": name, "features": f"{name}.npy", "missing": "mean"} for name in ("a", "b")
    ]
    file, dataset = experiment(tmp_path, *sides), data(tmp_path, train=train, test=[train[0]], validation=[train[0]])
    one, two = load_modalities(file, dataset, 0.4)
    assert (one.present == two.present).all() and 0.5 < one.present.mean() < 0.7
    fewer, _ = load_modalities(file, dataset, 0.6)
    assert not (fewer.present & ~one.present).any()
    one, two = load_modalities(experiment(tmp_path, *sides, missing_items="independent"), dataset, 0.4)
    assert 0.3 < (one.present != two.present).mean() < 0.65
    assert all(modality.present.all() for modality in load_modalities(file, dataset))


def test_dropped_items_leave_the_parts_and_what_is_left_loads(tmp_path: Path, log: list[str]) -> None:
    np.save(tmp_path / "few.npy", ROWS[:3])
    (tmp_path / "ids.txt").write_text("0\n1\n2\n")
    side = {"dataloader": "Attribute", "name": "a", "features": "few.npy", "ids": "ids.txt", "missing": "drop"}
    file, parts = experiment(tmp_path, side, matrix(tmp_path)), split(tmp_path)
    left = drop_items_without_features(file, parts)
    assert "2 items without features leave" in log[-1]  # 3, and 4, which stands in test alone
    dataset = build_dataset(left)
    assert dataset.item_ids == ["0", "1", "2"]
    few, whole = load_modalities(file, dataset)
    assert few.present.all() and whole.present.all()
    assert drop_items_without_features(experiment(tmp_path, matrix(tmp_path)), parts) is parts


@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_drop_takes_out_what_a_missing_rate_takes_away(tmp_path: Path, rate: float) -> None:
    rng = np.random.default_rng(0)
    train = [(f"{user}", f"{item}") for item in range(100) for user in rng.choice(30, 3, replace=False)]
    np.save(tmp_path / "a.npy", rng.standard_normal((100, 2)))
    drop = {"dataloader": "Attribute", "name": "a", "features": "a.npy", "missing": "drop"}
    parts = split(tmp_path, train, train[:99], train[200:])
    left = drop_items_without_features(experiment(tmp_path, drop), parts, rate)
    dataset = build_dataset(left)
    (modality,) = load_modalities(experiment(tmp_path, drop), dataset, rate)
    assert modality.present.all() and 0 < dataset.n_items < 100
    (filled,) = load_modalities(experiment(tmp_path, {**drop, "missing": "mean"}), build_dataset(parts), rate)
    assert filled.present.sum() == dataset.n_items


def test_reviews_are_averaged_over_training_rows_and_told_from_items(tmp_path: Path, log: list[str]) -> None:
    pairs = [*TRAIN, *TEST]
    rows = np.arange(len(pairs), dtype=np.float32)[:, None] + 1
    table = [f"{user}__{item}" for user, item in pairs]
    write_table(tmp_path / "reviews", table, rows, recipe={"modality": "textual interactions"})
    side = {"dataloader": "TextualAttribute", "textual_features": "reviews"}
    with pytest.raises(UserError, match="of interactions, not of items") as caught:
        load_modalities(experiment(tmp_path, side), data(tmp_path))
    assert "source: interactions" in str(caught.value.mend)
    (modality,) = load_modalities(experiment(tmp_path, {**side, "source": "interactions"}), data(tmp_path))
    assert any(f"{len(TEST)} reviews of held-out pairs stand in this table and are not read" in line for line in log)
    np.testing.assert_allclose(modality.features[:, 0], [(1 + 8) / 2, (2 + 3) / 2, (4 + 5) / 2, (6 + 7) / 2])
    write_table(tmp_path / "reviews", ["who__what"], rows[:1], recipe={"modality": "textual interactions"})
    with pytest.raises(UserError, match="none of the 4 items has a row") as caught:
        load_modalities(experiment(tmp_path, {**side, "source": "interactions"}), data(tmp_path))
    assert "source: interactions" not in str(caught.value.mend)
    write_table(tmp_path / "reviews", table, rows, recipe={"modality": "textual interactions"})
    drop = experiment(tmp_path, {**side, "source": "interactions", "missing": "drop"})
    left = build_dataset(drop_items_without_features(drop, split(tmp_path)))
    assert left.item_ids == ["0", "1", "2", "3"]  # 4 has a review, of a held-out pair
    np.testing.assert_array_equal(load_modalities(drop, left)[0].features, modality.features)


def test_raw_numbers_are_not_taken_for_the_numbers_of_the_split(tmp_path: Path) -> None:
    file = experiment(tmp_path, matrix(tmp_path), parts="{}_indexed.tsv")
    dataset = data(tmp_path)
    write_rows(tmp_path / "items_map.tsv", [("0", "0"), ("1", "1"), ("2", "2")])
    assert load_modalities(file, dataset)[0].present.all()
    write_rows(tmp_path / "items_map.tsv", [("B7", "0"), ("B3", "1")])
    assert load_modalities(file, dataset)[0].present.all()  # a matrix by raw ids is impossible
    write_rows(tmp_path / "items_map.tsv", [("7", "0"), ("1", "1")])
    with pytest.raises(UserError, match="perhaps under raw ids") as caught:
        load_modalities(file, dataset)
    assert "without `_indexed`" in str(caught.value.mend)
    write_table(tmp_path / "pool", ["0", "1", "2", "3"], ROWS[:4])
    raw = experiment(
        tmp_path, {"dataloader": "VisualAttribute", "visual_features": "pool"}, parts="{}_indexed.tsv"
    )  # fmt: skip
    with pytest.raises(UserError, match="are under raw ids") as caught:
        load_modalities(raw, dataset)
    assert "to the indexed table" in str(caught.value.mend)
