"""The page without a browser: what it says, what it leaves out, and that nothing a user wrote becomes markup."""

from __future__ import annotations

import base64
import io
import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from report_cases import HOSTILE, hostile, large, minimal, pictures, report, result, rich, sweep, trial

from benchmark.reports.costs import cost_of
from benchmark.reports.html import write_page
from benchmark.reports.html.figures.chart import Chart, Scale, Style
from benchmark.reports.html.figures.curves import curves
from benchmark.reports.html.figures.grid import landscape, points_of
from benchmark.reports.html.figures.pareto import front_of, pareto
from benchmark.reports.html.figures.significance import significance
from benchmark.reports.html.figures.slices import slice_charts
from benchmark.reports.html.headline import winner
from benchmark.reports.html.tables import ledger, results_table, trials_table
from benchmark.reports.html.thumbnails import LARGEST, SIDE, thumbnails
from benchmark.reports.html.trials import further_of, trials_of
from benchmark.reports.html.words import DASH, duration, figure, label, setting
from benchmark.reports.report import ModelResult, Report, read_report, write_report
from workbench.files import escape_id

STYLE = Style.of(0)


class Page(HTMLParser):
    """Elements (tag, attributes), the text of sections by id, and the figures of charts by name."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.figures: list[dict[str, Any]] = []
        self._inside = ""
        self._script: list[str] = []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = str(dict(attrs).get("type", "script")) if tag == "script" else tag if tag == "style" else ""
        self._script = []

    def handle_endtag(self, tag: str) -> None:
        if self._inside == "application/json":
            self.figures.append(json.loads("".join(self._script)))
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self._script.append(data)
        else:
            self.text += data

    def ids(self) -> set[str]:
        return {str(attributes["id"]) for _, attributes in self.elements if "id" in attributes}


def written(folder: Path, content: Report, images: Path | None = None) -> Page:
    write_page(folder / "report.html", content, images)
    return Page(folder / "report.html")


def merged(base: Any, more: Any) -> Any:
    """As the page's script does it."""
    if not isinstance(base, dict) or not isinstance(more, dict):
        return more
    return base | {key: merged(base[key], value) if key in base else value for key, value in more.items()}


def figures_of(chart: dict[str, Any]) -> list[dict[str, Any]]:
    """A figure for each choice, with the colours filled in."""
    found = []
    for variant in list(chart["variants"].values()) or [{}]:
        extra = variant.get("data", [{}] * len(chart["data"]))
        data = [merged(trace, more) for trace, more in zip(chart["data"], extra, strict=True)]
        text = json.dumps({"data": data, "layout": merged(chart["layout"], variant.get("layout", {}))})
        found.append(json.loads(re.sub(r'"@[a-z]+[0-9]?"', '"#123456"', text)))
    return found


@pytest.mark.parametrize("make", [rich, hostile, minimal])
def test_every_chart_is_a_valid_figure_without_webgl(make: Any, tmp_path: Path) -> None:
    page = written(tmp_path, make())
    for chart in page.figures:
        for content in figures_of(chart):
            made = go.Figure(content)  # plotly refuses what it does not know
            assert {trace.type for trace in made.data} <= {"scatter", "bar", "heatmap"}
    assert len(page.figures) == {rich: 14, hostile: 8, minimal: 0}[make]


def test_sections_without_content_are_left_out(tmp_path: Path) -> None:
    everything = written(tmp_path, rich()).ids()
    sections = {"results", "cutoffs", "slices", "significance", "cost", "trials", "examples", "setup"}
    assert {f"{name}-section" for name in sections} <= everything
    least = written(tmp_path, minimal())
    assert {name for name in least.ids() if name.endswith("-section")} == {"results-section", "setup-section"}
    links = {attributes["href"] for tag, attributes in least.elements if tag == "a"}
    assert links == {"#results-section", "#setup-section"}


def test_nothing_that_a_user_wrote_becomes_markup(tmp_path: Path) -> None:
    page = written(tmp_path, hostile())
    tags = [tag for tag, _ in page.elements]
    assert "img" not in tags
    assert [attributes for tag, attributes in page.elements if tag == "script" and "type" not in attributes] == [{}, {}]
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert page.text.count("{{7*7}}") > 10, "shown as it was written"
    assert HOSTILE not in page.source


def test_only_the_pages_own_two_scripts_may_run(tmp_path: Path) -> None:
    page = written(tmp_path, minimal())
    policy = next(str(a["content"]) for tag, a in page.elements if tag == "meta" and "http-equiv" in a)
    assert policy.startswith("default-src 'none'")
    assert policy.count("'sha256-") == 2
    assert "script-src 'sha256-" in policy


def test_the_same_report_gives_the_same_page_also_after_it_was_read_again(tmp_path: Path) -> None:
    content = rich()
    write_report(tmp_path, content)
    first = written(tmp_path, content).source
    assert written(tmp_path, read_report(tmp_path)).source == first


def test_a_large_sweep_stays_below_8_megabytes(tmp_path: Path) -> None:
    write_page(tmp_path / "report.html", large(rows=20, trials=200, epochs=200))
    assert (tmp_path / "report.html").stat().st_size < 7_000_000


def test_the_chosen_trial_keeps_its_epoch_when_curves_are_thinned() -> None:
    rng = np.random.default_rng(0)
    record = trial(rng, "A", {}, 0.1, 200, every=1)
    row = result(rng, "A", 0.1, trials=[record])
    chart = curves(row, trials_of(row), "c", STYLE, most=5, most_points=10)
    assert chart is not None
    losses, loss_mark, values, value_mark = chart.data
    assert (loss_mark["x"], value_mark["x"]) == ([record["epoch"]], [record["epoch"]])
    assert value_mark["y"] == [pytest.approx(max(value for _, value in record["history"]), rel=1e-4)]
    for line in (losses, values):
        assert (line["x"][0], line["x"][-1]) == (1, 200)
        assert record["epoch"] in line["x"] and len(line["x"]) <= 11


def test_the_best_trials_are_drawn_where_not_all_are() -> None:
    rng = np.random.default_rng(0)
    trials = [trial(rng, "A", {"lr": float(place)}, 0.1 + place / 100, 20) for place in range(1, 9)]
    row = result(rng, "A", 0.1, ["lr"], trials)
    chart = curves(row, trials_of(row), "c", STYLE, most=3, most_points=50)
    assert chart is not None
    drawn = {line["text"] for line in chart.data}
    assert drawn == {"lr=5", "lr=6", "lr=7", "lr=8 (chosen)"}


def grid_chart(*varied: str, quality: float = 0.1) -> tuple[ModelResult, Chart]:
    rng = np.random.default_rng(4)
    row = result(rng, "A", quality, varied, sweep(rng, "A", varied, quality, epochs=5))
    chart = landscape(row, trials_of(row), "g", STYLE, most=200)
    assert chart is not None
    return row, chart


def test_one_parameter_is_a_line_over_a_logarithmic_axis() -> None:
    row, chart = grid_chart("lr")
    assert chart.layout["xaxis"]["type"] == "log"
    by_lr = {each.settings["lr"]: each.value for each in trials_of(row)}
    line, crosses = chart.data
    assert dict(zip(line["x"], line["y"], strict=True)) == pytest.approx(
        {lr: value for lr, value in by_lr.items() if value is not None}, rel=1e-4
    )
    assert crosses["x"] == [lr for lr, value in by_lr.items() if value is None]


def test_two_parameters_are_a_heat_map_with_failed_cells_and_a_frame() -> None:
    row, chart = grid_chart("lr", "reg")
    heat, crosses = chart.data
    lrs, regs = chart.layout["yaxis"]["ticktext"], chart.layout["xaxis"]["ticktext"]
    assert (lrs, regs) == (["0.0001", "0.001", "0.01"], ["0", "0.01", "0.1", "1"])
    failed = set(zip(crosses["y"], crosses["x"], strict=True))
    for each in trials_of(row):
        y, x = lrs.index(setting(each.settings["lr"])), regs.index(setting(each.settings["reg"]))
        assert heat["z"][y][x] == (None if each.value is None else pytest.approx(each.value, rel=1e-4))
        assert ((y, x) in failed) == (each.failed is not None)
        if each.chosen:
            (frame,) = chart.layout["shapes"]
            assert frame["x0"] < x < frame["x1"] and frame["y0"] < y < frame["y1"]


def test_more_parameters_are_parallel_coordinates_in_svg() -> None:
    row, chart = grid_chart("lr", "n_layers", "fusion")
    assert len(chart.data) == len(row.trials)
    assert chart.layout["xaxis"]["ticktext"] == ["lr", "n_layers", "fusion", "Recall@20"]
    failed = [line for line in chart.data if line["line"]["dash"] == "dot"]
    assert len(failed) == sum("failed" in record for record in row.trials) > 0
    assert {len(line["y"]) for line in failed} == {3}, "it ends before the last axis"
    assert chart.data[-1]["text"].endswith("(chosen)"), "on top of the others"


def test_folds_of_a_configuration_are_one_point() -> None:
    rng = np.random.default_rng(0)
    trials = [trial(rng, "A", {"lr": lr}, 0.1, 5) for lr in (0.1, 0.01) for _ in range(3)]
    row = result(rng, "A", 0.1, ["lr"], trials)
    expected = [np.mean([each["validation"]["Recall@20"] for each in trials[at : at + 3]]) for at in (0, 3)]
    assert [point.reached for point in points_of(trials_of(row))] == pytest.approx(expected)


@given(st.lists(st.one_of(st.floats(), st.integers(-5, 5), st.booleans(), st.text(max_size=3), st.none()), min_size=1))
def test_every_value_of_a_parameter_has_a_place_within_its_axis(values: list[Any]) -> None:
    scale = Scale.of(values)
    for value in values:
        assert math.isfinite(scale.place(value))
        assert -1e-9 <= scale.share(value) <= 1 + 1e-9
    json.dumps(scale.axis("x"), allow_nan=False)


@given(st.lists(st.tuples(st.one_of(st.none(), st.integers(0, 4)), st.one_of(st.none(), st.integers(0, 4)))))
def test_the_front_is_what_no_other_row_beats(pairs: list[tuple[int | None, int | None]]) -> None:
    found = front_of([cost for cost, _ in pairs], [value for _, value in pairs])
    for place, (cost, value) in enumerate(pairs):
        if cost is None or value is None:
            assert place not in found
            continue
        beaten = False
        for other, worth in pairs:
            if other is not None and worth is not None and other <= cost and worth >= value:
                beaten = beaten or other < cost or worth > value
        assert (place in found) == (not beaten)


def test_the_front_turns_round_where_less_is_better() -> None:
    assert front_of([1.0, 2.0, 3.0], [0.5, 0.9, 0.4], smaller=True) == {0, 2}
    assert front_of([1.0, 2.0, 3.0], [0.5, 0.9, 0.4]) == {0, 1}


def test_ready_lists_have_no_cost_and_are_not_on_the_front() -> None:
    chart = pareto(rich())
    assert chart is not None
    for variant in chart.variants.values():
        assert variant["data"][1]["x"][-1] is None, "LightFM"


def test_the_matrix_is_what_the_comparisons_say_and_its_own_mirror() -> None:
    content = rich()
    chart = significance(content)
    assert chart is not None
    names = [row.row for row in content.models]
    metric, test = content.metrics.index("Recall@20"), content.tests.index("wilcoxon_test")
    cells = chart.variants[f"{metric},{test}"]["data"][0]
    for each in content.comparisons:
        if each.metric != "Recall@20" or each.over_users is None:
            continue
        one, other = names.index(each.first), names.index(each.second)
        p = each.over_users.adjusted["wilcoxon_test"]
        ahead = np.sign(each.difference) if p < 0.05 else 0
        assert np.sign(cells["z"][one][other]) == ahead == -np.sign(cells["z"][other][one])
        assert cells["text"][one][other].startswith(f"{each.difference:+.4f}<br>p ")
        assert cells["text"][other][one].startswith(f"{-each.difference:+.4f}<br>p ")
    assert all(cells["z"][place][place] is None for place in range(len(names)))


def test_a_group_says_how_many_users_it_has_and_may_have_none() -> None:
    content = rich()
    charts = slice_charts(content)
    assert [chart.title for chart in charts] == ["By user activity", "By item popularity", "By modality coverage"]
    texts = charts[2].layout["xaxis"]["ticktext"]
    assert texts == [
        "all modalities<br>140 users",
        "some modalities<br>100 users",
        "no modality<br>0 users",
    ]
    assert charts[2].variants["0"]["data"][0]["y"][2] is None


def test_the_table_has_marks_deviations_and_daggers() -> None:
    content = rich()
    table = results_table(content)
    headings = [heading.text for heading in table.headings]
    column = [row[headings.index("Recall@20")] for row in table.rows]
    best = max(content.models, key=lambda row: row.test["Recall@20"])
    for row, cell in zip(content.models, column, strict=True):
        assert (cell.mark == "best") == (row is best)
        assert cell.text == f"{row.test['Recall@20']:.4f}"
        assert cell.note == (f"±{row.spread['Recall@20']:.4f}" if row.spread else "")
        assert float(cell.key) == pytest.approx(row.test["Recall@20"], rel=1e-8)
    assert any(cell.lead for row in table.rows for cell in row)
    assert "Validation Recall@20" in headings
    chosen = {row[0].text: row[headings.index("Chosen")].pairs for row in table.rows}
    assert [key for key, _ in chosen["VBPR"]] == ["lr", "reg", "epoch"]
    first = winner(content)
    assert first is not None and (first.row, first.metric) == (best.row, "Recall@20")


def test_choices_made_on_the_test_part_are_not_called_validation() -> None:
    content = replace(rich(), chosen_on_test=True)
    headings = [heading.text for heading in results_table(content).headings]
    assert "Test Recall@20" in headings and "Validation Recall@20" not in headings


def test_the_ledger_adds_failed_trials_too() -> None:
    content = rich()
    row = next(row for row in content.models if row.row == "VBPR")
    cost = cost_of(row)
    assert cost.total.failed == sum("failed" in record for record in row.trials) > 0
    assert cost.total.seconds == pytest.approx(sum(record["cost"]["seconds"] for record in row.trials) + 2)
    assert cost.total.memory_mb == max(record["cost"]["peak_memory_mb"] for record in row.trials)
    assert cost.chosen.seconds == row.chosen[0][0]["cost"]["seconds"]
    assert cost.total.energy_joules is None
    table = ledger(content)
    assert [line[0].text for line in table.rows] == ["MostPop", "BPRMF", "VBPR", "LightGCN", "FREEDOM"]
    assert not [heading for heading in table.headings if heading.text.startswith(("Energy", "GPU"))]
    assert table.sums[1].text == str(sum(len(row.trials) + len(row.further) for row in content.models))


def test_the_ledger_shows_further_seeds_and_bills_what_rows_share_once() -> None:
    rng = np.random.default_rng(0)
    trials = [{**trial(rng, "A", {"lr": lr}, 0.1, 5), "key": f"{lr}"} for lr in (0.1, 0.01)]
    row = result(rng, "A", 0.1, ["lr"], trials, seeds=5)
    content = report([row, replace(row, row="A, chosen on test", further=[])])
    table = ledger(content)
    assert table.groups[:2] == [("", 1), ("All trials", 5)]
    headings = [(heading.group, heading.text) for heading in table.headings]
    shown = {line[0].text: dict(zip(headings, line, strict=True)) for line in [*table.rows, table.sums]}
    assert [line["All trials", "Trials"].text for line in shown.values()] == ["6", "2", "6"]
    assert [line["Of these, further seeds", "Trials"].text for line in shown.values()] == ["4", "0", "4"]
    assert [line["Of these, further seeds", "Wall"].text for line in shown.values()] == ["4.0 s", DASH, "4.0 s"]
    searched = sum(record["cost"]["seconds"] for record in trials)
    assert [line["All trials", "Wall"].text for line in shown.values()] == [
        duration(searched + 4), duration(searched), duration(searched + 4),
    ]  # fmt: skip
    assert shown["all"]["Chosen", "Wall"].text == ""
    assert not [heading for heading in ledger(report([replace(row, further=[])])).headings if "seeds" in heading.group]


def test_further_seeds_follow_the_trials_of_the_search_and_are_in_none_of_its_charts(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    row = result(rng, "A", 0.1, ["lr"], sweep(rng, "A", ["lr"], 0.1), seeds=4)
    table = trials_table(row, trials_of(row), further_of(row), most=2)
    assert [cells[-1].note for cells in table.rows] == ["chosen", "", "seed 43", "seed 44"]
    text = " ".join(written(tmp_path, report([row])).text.split())
    assert "3 trials, 3 under further seeds" in text and "3 trials and 3 under further seeds" in text
    chart = curves(row, trials_of(row), "c", STYLE, most=50, most_points=50)
    assert chart is not None and {line["text"].removesuffix(" (chosen)") for line in chart.data} == {
        each.text for each in trials_of(row)
    }
    alone = result(rng, "Random", 0.1, trials=[{**trials_of(row)[0].record, "losses": [], "history": []}], seeds=2)
    assert "1 trial and 1 under further seeds" in " ".join(written(tmp_path, report([alone])).text.split())


def test_a_table_of_trials_begins_with_the_best_and_ends_with_reasons() -> None:
    row = next(row for row in rich().models if row.row == "VBPR")
    table = trials_table(row, trials_of(row), [], most=50)
    values = [cells[2].key for cells in table.rows]
    known = [float(value) for value in values if value]
    assert known == sorted(known, reverse=True) and len(known) < len(values)
    assert values[len(known) :] == [""] * (len(values) - len(known))
    assert table.rows[0][-1].note == "chosen"
    assert all(cells[-1].text for cells in table.rows[len(known) :])


def test_rows_of_an_untrained_model_and_of_ready_lists_have_no_curves(tmp_path: Path) -> None:
    page = written(tmp_path, rich())
    assert page.source.count('<details class="sweep"') == 4


# pictures


def test_thumbnails_are_small_and_found_by_escaped_ids(tmp_path: Path) -> None:
    items = ["B01", "a/b:c", "größe", "long" * 80, "png", "webp"]
    found = thumbnails(pictures(tmp_path, items), [*items, "absent", ""])
    assert list(found) == items
    for address in found.values():
        head, _, data = address.partition(",")
        assert head == "data:image/jpeg;base64"
        content = base64.b64decode(data)
        assert len(content) <= LARGEST
        assert max(Image.open(io.BytesIO(content)).size) == SIDE


def test_noise_is_squeezed_below_the_limit(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    Image.new("RGBA", (40, 20), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    found = thumbnails(tmp_path, ["a", "clear"])
    assert set(found) == {"a", "clear"}
    assert len(found["a"]) < LARGEST * 4 / 3 + 50


def test_unreadable_pictures_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.jpg").write_text("not a picture")
    (tmp_path / "empty.png").touch()
    (tmp_path / "folder.png").mkdir()
    Image.new("RGB", (50, 50)).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:60])
    Image.new("RGB", (200, 200)).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30_000)  # a warning from here on, an error from twice as many
    assert thumbnails(tmp_path, ["text", "empty", "folder", "cut", "bomb"]) == {}
    assert thumbnails(tmp_path / "absent", ["text"]) == {} == thumbnails(None, ["text"])


def test_pictures_stop_where_there_is_no_more_room(tmp_path: Path) -> None:
    items = [f"i{place}" for place in range(6)]
    folder = pictures(tmp_path, items)
    sizes = [len(address) for address in thumbnails(folder, items).values()]
    assert list(thumbnails(folder, items, room=sum(sizes[:2]) + 10)) == items[:2]


def test_a_picture_stands_in_the_page_once(tmp_path: Path) -> None:
    content = rich()
    items = sorted({item for each in content.examples for item in [*each.history, *each.wanted]})
    page = written(tmp_path, content, pictures(tmp_path / "images", items))
    assert 0 < page.source.count("data:image/jpeg") <= len(items)
    without = written(tmp_path, content)
    assert "data:image/jpeg" not in without.source
    assert items[0] in without.text


# words


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (59.9, "59.9 s"), (61, "1 min 1 s"), (3_599.6, "1 h 0 min"), (4_000, "1 h 6 min"), (None, DASH)],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_words() -> None:
    assert figure(0.12345) == "0.1235" and figure(1_234.56) == "1,234.6" and figure(math.nan) == DASH
    assert setting(1e-5) == "1e-05" and setting(True) == "true" and setting([1, "a"]) == '[1, "a"]'
    assert label("<b>a\x00\u202e") == "&lt;b&gt;a\ufffd\ufffd"
    assert len(setting("x" * 500)) == 60


def test_an_escaped_id_is_no_path(tmp_path: Path) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "outside.png")
    (tmp_path / "images").mkdir()
    assert thumbnails(tmp_path / "images", ["../outside"]) == {}
    assert escape_id("../outside") != "../outside"


def test_a_row_that_never_diverged_is_not_lost_for_others_that_did(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    nan = trial(rng, "A", {"lr": 0.1}, 0.1, 5)
    nan = {
        **nan,
        "losses": [math.nan, math.inf, 0.1],
        "history": [[1, math.nan]],
        "validation": {"Recall@20": math.nan},
    }
    row = result(rng, "A", 0.1, ["lr"], [nan, trial(rng, "A", {"lr": 0.01}, 0.1, 5)])
    page = written(tmp_path, report([row]))
    assert len(page.figures) >= 2
