"""Out and in again: the same rows under the same ids, the same features, the same items without any."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from support import tree, write_table
from typer.testing import CliRunner

from benchmark.config import read_experiment_config
from benchmark.data.interactions import read_interactions
from benchmark.experiment import run_experiment
from benchmark.prepare import prepare
from bottega.cli import app
from workbench.errors import UserError
from workbench.features import indexed_output, open_table

PARTS = ("train", "val", "test")
FORMS = {"mmrec": "out", "recbole": "out", "elliot": "out/data/shop"}
IDS = ["a", "007", "7", "ü 🎬", " b ", "c.d.e", "x,y", '"q', "..", "u/v", "%41", "NaN", "i\u2028j"]
VISUAL, TEXTUAL = "visual_embeddings_32/torch/R/pool", "textual_embeddings/st/org/name/1"

TWIN = VISUAL.replace("_32", "_indexed_32")


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[Path]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield folder
    finally:
        os.chdir(before)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Path]:
    """`data/shop` of the working directory: odd ids, a ready split, two tables of which one lacks two items."""
    with inside(tmp_path):
        draw(IDS, [f"user {name}" for name in IDS[:6]], timestamps=True)
        yield tmp_path


def draw(items: Sequence[str], users: Sequence[str], timestamps: bool) -> None:
    rng = np.random.default_rng(0)
    folder = Path("data/shop")
    folder.mkdir(parents=True)
    pairs = [(user, item) for user in users for item in items if rng.random() < 0.8]
    pairs = [*((user, items[0]) for user in users if (user, items[0]) not in pairs), *pairs]
    shares = np.array_split(rng.permutation(len(pairs)), 3)
    for name, share in zip(PARTS, shares, strict=True):
        rows = [[*pairs[place], rng.choice(["1", "2.50", "4e0"])] for place in share]
        rows = [[*row, str(rng.integers(1, 2**40))] for row in rows] if timestamps else rows
        (folder / f"{name}.tsv").write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    for table, dim, some in ((VISUAL, 3, range(len(items))), (TEXTUAL, 2, range(max(len(items) - 2, 1)))):
        values = rng.standard_normal((len(items), dim)).astype(np.float32)
        write_table(folder / table, list(items), values, list(some))
    prepare("shop")


def run(*arguments: str) -> None:
    result = CliRunner().invoke(app, ["data", *arguments])
    if result.exception is not None:
        raise result.exception


def rows(folder: Path, part: str) -> list[tuple[str, ...]]:
    data = read_interactions(folder / f"{part}.tsv")
    assert data.rating_texts is not None
    columns = [data.user_ids[data.users], data.item_ids[data.items], data.rating_texts]
    columns += [] if data.timestamps is None else [data.timestamps.astype(str)]
    return list(zip(*(column.tolist() for column in columns), strict=True))


def features(table: Path) -> dict[str | None, list[float]]:
    opened = open_table(table)
    return dict(zip(opened.ids, opened.matrix.tolist(), strict=True))


def known(table: str) -> dict[str | None, list[float]]:
    """The rows of items that stand in the split, which are those that an export writes."""
    used = {item for part in PARTS for _, item, *_ in rows(Path("data/shop"), part)}
    return {item: row for item, row in features(Path("data/shop") / table).items() if item in used}


def imported(form: str) -> dict[str, str]:
    return {
        "mmrec": {VISUAL: "visual_embeddings/mmrec/image_feat/1", TEXTUAL: "textual_embeddings/mmrec/text_feat/1"},
        "recbole": {
            VISUAL: "visual_embeddings/recbole/image_feat/1",
            TEXTUAL: "textual_embeddings/recbole/text_feat/1",
        },
        "elliot": {VISUAL: VISUAL, TEXTUAL: TEXTUAL},
    }[form]


def go_round(form: str) -> None:
    run("export", "shop", "--to", form, "--out", "out")
    run("import", FORMS[form], "--from", form, "--dataset", "again")
    for part in PARTS:
        assert rows(Path("data/again"), part) == rows(Path("data/shop"), part)
    for table, place in imported(form).items():
        assert features(Path("data/again") / place) == known(table)


@pytest.mark.parametrize("form", FORMS)
def test_a_shop_with_odd_ids_comes_back_as_it_was(shop: Path, form: str) -> None:
    go_round(form)
    before = {name: Path(f"data/shop/{name}").read_bytes() for name in ("users_map.tsv", "items_map.tsv")}
    prepare("again")
    assert {name: Path(f"data/again/{name}").read_bytes() for name in before} == before


@pytest.mark.parametrize("form", FORMS)
def test_what_went_round_gives_the_same_table(shop: Path, form: str) -> None:
    go_round(form)
    prepare("again")
    tables = {"shop": (VISUAL, TEXTUAL), "again": tuple(imported(form).values())}
    figures = []
    for dataset, (visual, textual) in tables.items():
        data = {f"{key}_path": f"data/{dataset}/{name}_indexed.tsv" for key, name in PART_KEYS.items()}
        side = [
            {"dataloader": f"{kind}Attribute", f"{kind.lower()}_features": f"data/{dataset}/{twin(table)}"}
            | {"missing": "mean"}
            for kind, table in (("Visual", visual), ("Textual", textual))
        ]
        models = {"MostPop": None, "external.VBPR": {"epochs": 3, "batch_size": 64, "factors": 4, "lr": 0.05}}
        evaluation = {"simple_metrics": ["Recall", "nDCG"], "cutoffs": [3]}
        content = {"dataset": dataset, "top_k": 3, "evaluation": evaluation, "models": models}
        content["data_config"] = {"strategy": "fixed", "side_information": side, **data}
        path = Path(f"{dataset}.yml")
        path.write_text(yaml.safe_dump({"experiment": content}))
        table = (run_experiment(path) / "results.tsv").read_text().splitlines()
        figures.append([line.split("\t")[:3] for line in table])
    assert figures[0] == figures[1]


PART_KEYS = {"train": "train", "validation": "val", "test": "test"}


def twin(table: str) -> str:
    output, _, below = table.partition("/")
    return f"{indexed_output(output)}/{below}"


def test_a_data_folder_of_ours_is_read_under_its_raw_ids(shop: Path) -> None:
    run("import", "data/shop", "--from", "elliot", "--dataset", "again")
    assert rows(Path("data/again"), "test") == rows(Path("data/shop"), "test")
    assert features(Path("data/again") / VISUAL) == features(Path("data/shop") / VISUAL)
    assert not list(Path("data/again").glob("*_indexed*"))


WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\t\r\n\0\ufeff"), min_size=1, max_size=6)


@settings(max_examples=12, deadline=None)
@given(st.lists(WORDS, min_size=5, max_size=9, unique=True), st.sampled_from(sorted(FORMS)), st.booleans())
def test_any_id_that_a_tsv_can_hold_survives(
    tmp_path_factory: pytest.TempPathFactory, words: list[str], form: str, timestamps: bool
) -> None:
    with inside(tmp_path_factory.mktemp("round")):
        draw(words, words[:4], timestamps)
        go_round(form)


def test_mmrec_matrices_are_filled_with_the_mean_and_the_filled_rows_are_listed(shop: Path, log: list[str]) -> None:
    run("export", "shop", "--to", "mmrec", "--out", "out")
    matrix = np.load("out/text_feat.npy")
    numbers = dict(line.split("\t") for line in Path("out/i_id_mapping.csv").read_text().split("\n")[1:-1])
    table = features(Path("data/shop") / TEXTUAL)
    filled = sorted(int(number) for raw, number in numbers.items() if raw not in table)
    assert len(filled) == 2 and matrix.shape == (len(IDS), 2)
    np.testing.assert_allclose(matrix[filled], np.mean(list(table.values()), axis=0)[None].repeat(2, 0), rtol=1e-6)
    for raw, row in table.items():
        assert raw is not None and matrix[int(numbers[raw])].tolist() == row
    assert f'"rows": [\n  {filled[0]},\n  {filled[1]}\n ]' in Path("out/text_feat_missing.json").read_text()
    assert "WARNING text_feat.npy: 2 rows are filled with the mean, see text_feat_missing.json" in log
    assert not Path("out/image_feat_missing.json").exists()


def test_the_folder_of_an_export_stands_for_the_data_in_it(shop: Path) -> None:
    run("export", "shop", "--to", "elliot", "--out", "out")
    run("import", "out", "--from", "elliot", "--dataset", "again")
    assert rows(Path("data/again"), "train") == rows(Path("data/shop"), "train")
    Path("out/data/other").mkdir()
    Path("out/data/other/train.tsv").write_text("u\ta\n")
    with pytest.raises(UserError, match=r"2 data folders lie in data/\n.*out/data/other, out/data/shop"):
        run("import", "out", "--from", "elliot", "--dataset", "third")


def test_a_table_of_mmrec_is_sent_to_its_form(shop: Path) -> None:
    run("export", "shop", "--to", "mmrec", "--out", "out")
    with pytest.raises(UserError, match=r"no typed header.*\n.*MMRec's: say `--from mmrec`"):
        run("import", "out", "--from", "recbole", "--dataset", "x")


def test_elliots_settings_are_ready_to_run(shop: Path) -> None:
    run("export", "shop", "--to", "elliot", "--out", "out")
    file = read_experiment_config("out/config_files/shop.yml")
    config = file.experiment.data_config
    assert config.train_path is not None and file.path(config.train_path).is_file()
    for side in config.side_information:
        assert any(file.path(getattr(side, f"{side.modality}_features")).glob("*.npy"))
    (folder,) = Path("out/data/shop").glob("visual_embeddings_indexed_32/torch/R/pool")
    assert np.load(folder / "0.npy").shape == (1, 3)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["export", "nowhere", "--to", "mmrec", "--out", "out"], "no train.tsv there"),
        (["export", "../shop", "--to", "mmrec", "--out", "out"], "no data set name"),
        (["export", "shop", "--to", "mmrec", "--out", "data"], "there is something already"),
        (["export", "shop", "--to", "mmrec", "--out", "out", "--refuse-missing"], "2 of 13 items have no textual"),
        (
            ["export", "shop", "--to", "mmrec", "--out", "out", "--visual", f"data/shop/{TWIN}"],
            "an indexed twin",
        ),
        (["import", "data/shop", "--from", "elliot", "--dataset", "shop"], "there is something already"),
        (["import", "nowhere", "--from", "elliot", "--dataset", "x"], "no such file or folder"),
        (["import", "data", "--from", "tsv", "--dataset", "x"], "no train and test file"),
        (["import", "data", "--from", "tsv", "--dataset", "x", "--columns", "who=1"], "'who' is none of user, item"),
        (["import", "data", "--from", "tsv", "--dataset", "x", "--columns", "user=a,itm=b"], "'itm' is none of user"),
        (["import", "data", "--from", "tsv", "--dataset", "x", "--columns", "user=a"], "no column is named for item"),
        (["import", "data", "--from", "mmrec", "--dataset", "x", "--separator", ";"], "knows its files"),
        (["import", "data", "--from", "parquet", "--dataset", "x", "--separator", ";"], "takes no separator"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_and_leaves_nothing(shop: Path, arguments: list[str], what: str) -> None:
    before = tree(shop)
    with pytest.raises(UserError, match=what):
        run(*arguments)
    assert tree(shop) == before


def test_of_several_tables_one_must_be_named(shop: Path) -> None:
    other = Path("data/shop/visual_embeddings/torch/V/pool")
    write_table(other, IDS, np.ones((len(IDS), 2), dtype=np.float32))
    with pytest.raises(UserError, match=r"2 visual tables: .*visual_embeddings/torch/V/pool.*visual_embeddings_32"):
        run("export", "shop", "--to", "mmrec", "--out", "out")
    run("export", "shop", "--to", "mmrec", "--out", "out", "--visual", str(other))
    assert np.load("out/image_feat.npy").tolist() == [[1, 1]] * len(IDS)


def test_a_stale_map_is_refused(shop: Path) -> None:
    Path("data/shop/items_map.tsv").write_text("a\t0\n")
    with pytest.raises(UserError, match="the map of items is not that of this split"):
        run("export", "shop", "--to", "mmrec", "--out", "out")


def test_force_replaces_what_an_import_makes_and_leaves_the_rest(shop: Path) -> None:
    Path("data/shop/images").mkdir()
    Path("data/shop/images/a.jpg").write_bytes(b"picture")
    Path("data/shop/split.json").write_text("{}")
    Path("new.csv").write_text("who,what\nu,a\n")
    arguments = ["new.csv", "--from", "csv", "--columns", "user=who,item=what", "--dataset", "shop"]
    with pytest.raises(UserError, match="--force"):
        run("import", *arguments)
    run("import", *arguments, "--force")
    left = {path.name for path in Path("data/shop").iterdir()}
    assert "reviews.tsv" in left and "images" in left
    assert not left & {"train.tsv", "val.tsv", "test_indexed.tsv", "split.json", "items_map.tsv"}
    assert Path("data/shop/reviews.tsv").read_text() == "u\ta\n"


def test_lists_of_a_folder_become_parts_and_a_missing_validation_is_told(shop: Path, log: list[str]) -> None:
    Path("lists").mkdir()
    Path("lists/train.txt").write_text("1 2 3\n4 2\n")
    Path("lists/test.txt").write_text("1 4\n")
    run("import", "lists", "--from", "adjacency", "--dataset", "lists")
    assert Path("data/lists/train.tsv").read_text() == "1\t2\n1\t3\n4\t2\n"
    assert not Path("data/lists/val.tsv").exists()
    (told,) = [line for line in log if line.startswith("WARNING data/lists: imported, without a validation part")]
    assert "next: " in told and "{validation_splitting: ...}" in told


def test_recbole_texts_become_a_table_of_texts(shop: Path) -> None:
    Path("rb").mkdir()
    Path("rb/d.inter").write_text("user_id:token\titem_id:token\nu\ta\n")
    Path("rb/d.item").write_text("item_id:token\ttitle:token_seq\tyear:float\tother:float_seq\na\tone two\t1999\t1 2\n")
    run("import", "rb", "--from", "recbole", "--dataset", "rb")
    assert Path("data/rb/meta.tsv").read_text() == "item_id\ttitle\tyear\na\tone two\t1999\n"
    assert {path.name for path in Path("data/rb").iterdir()} == {"meta.tsv", "reviews.tsv"}


def test_matrices_with_nan_are_refused_by_item(shop: Path) -> None:
    run("export", "shop", "--to", "mmrec", "--out", "out")
    matrix = np.load("out/image_feat.npy")
    matrix[1, 1] = np.nan
    np.save("out/image_feat.npy", matrix)
    with pytest.raises(UserError, match="hold NaN or infinity"):
        run("import", "out", "--from", "mmrec", "--dataset", "again")
    assert not Path("data/again").exists()
