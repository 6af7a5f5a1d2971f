"""The section on what models show of themselves: what is drawn, what is left out, and that no id becomes markup."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import plotly.graph_objects as go
import pytest
from browser import CHROMIUM, browser
from portrait_cases import shown_portrait
from report_cases import HOSTILE, hostile, minimal, pictures, rich

from benchmark.reports.html import write_page
from benchmark.reports.html.figures.portrait import epochs, item_map, look_of
from benchmark.reports.html.portraits import insides, typical_items
from benchmark.reports.portrait import ShownPortrait
from benchmark.reports.report import Report, read_report, write_report

HOSTILE_PORTRAIT = ShownPortrait(
    numbers={HOSTILE: math.nan},
    curves={HOSTILE: [1.0, 2.0], f"loss {HOSTILE}": [math.inf, 1.0], "none": []},
    placed=3,
    items=[HOSTILE, "%{x}", "\ud800"],
    groups=[0, -1, 0],
    places={f"%{{x}} {HOSTILE}": [[0.0, 1.0], [math.nan, math.nan], [2.0, 3.0]], "@c0": [[1.0, 1.0]] * 3},
    tops=[[HOSTILE, "../../etc/passwd", ""]],
    captions=[HOSTILE],
)


def with_portraits(report: Report, portraits: Mapping[int, ShownPortrait]) -> Report:
    """The same, where the rows of these numbers have portraits."""
    rows = [replace(row, portrait=portraits.get(place)) for place, row in enumerate(report.models)]
    return replace(report, models=rows)


def written(folder: Path, report: Report, images: Path | None = None) -> str:
    write_page(folder / "page.html", report, images)
    return (folder / "page.html").read_text(encoding="utf-8")


def section(page: str) -> str:
    found = re.search(r'<section id="inside-section".*?</section>', page, re.DOTALL)
    assert found is not None
    return found[0]


def test_the_map_has_a_trace_for_every_concept_and_modality_and_every_item_once() -> None:
    portrait = shown_portrait(items=300, concepts=9, modalities=2)
    chart = item_map(portrait, "m", "map", 300)
    assert chart is not None
    text = json.dumps({"data": chart.data, "layout": chart.layout})
    go.Figure(json.loads(re.sub(r'"@[a-z]+[0-9]?"', '"#123456"', text)))  # plotly refuses what it does not know
    concepts = sorted(set(portrait.groups))
    assert concepts == list(range(-1, 9))
    drawn, legend = chart.data[: 2 * len(concepts)], chart.data[2 * len(concepts) :]
    assert [trace["name"] for trace in legend] == ["visual", "textual"]
    looks = {(trace["marker"]["color"], trace["marker"]["symbol"]) for trace in drawn}
    assert len(looks) == len(drawn), "each has a look of its own"
    for turn, modality in enumerate(portrait.places):
        spots = {}
        for trace, concept in zip(drawn[turn::2], concepts, strict=True):
            for item, x, y in zip(trace["text"], trace["x"], trace["y"], strict=True):
                assert portrait.groups[portrait.items.index(item)] == concept
                spots[item] = (x, y)
        expected = dict(zip(portrait.items, portrait.places[modality], strict=True))
        assert spots == {item: tuple(pair) for item, pair in expected.items() if not math.isnan(pair[0])}
    shown = [[trace["visible"] for trace in chart.variants[str(option)]["data"]] for option in range(3)]
    assert shown[0] == [True] * len(chart.data)
    assert shown[1] == [not hidden for hidden in shown[2]] == [True, False] * (len(concepts) + 1)


def test_without_concepts_or_with_one_modality_the_map_is_simpler() -> None:
    plain = item_map(shown_portrait(concepts=0), "m", "map", 100)
    assert plain is not None and [trace["name"] for trace in plain.data] == ["visual", "textual"]
    single = item_map(shown_portrait(modalities=1), "m", "map", 100)
    assert single is not None and single.choices == [] and len(single.data) == 8
    assert item_map(shown_portrait(modalities=0), "m", "map", 100) is None
    assert len({look_of(concept) for concept in range(-1, 14)}) == 15


def test_losses_and_other_curves_lie_side_by_side() -> None:
    portrait = shown_portrait()
    chart = epochs(portrait, "c", "curves")
    assert chart is not None
    by_name = {trace["name"]: trace for trace in chart.data}
    assert {name: trace["yaxis"] for name, trace in by_name.items()} == {
        "alignment loss": "y",
        "visual to textual, top 1": "y2",
        "visual to textual, top 5": "y2",
    }
    for name, curve in portrait.curves.items():
        assert by_name[name]["x"] == list(range(1, 16))
        assert by_name[name]["y"] == pytest.approx(curve, rel=1e-4)
    long = epochs(replace(portrait, curves={"loss": [1.0] * 5_000}), "c", "curves")
    assert long is not None and len(long.data[0]["x"]) == 200 and long.data[0]["x"][-1] == 5_000
    assert epochs(replace(portrait, curves={"loss": []}), "c", "curves") is None


def test_the_section_tells_what_each_row_shows(tmp_path: Path) -> None:
    report = with_portraits(rich(), {2: shown_portrait(), 4: shown_portrait(1, concepts=30)})
    images = pictures(tmp_path / "images", [f"B00{place:04}" for place in range(30)])
    page = section(written(tmp_path, report, images))
    assert re.findall(r"<summary><h3>(.*?)</h3>", page) == ["VBPR", "FREEDOM"]
    assert page.count("user independence") == 2 and "0.9313" in page
    assert "900 of 4,500 items" in page and "the first 24 of 30 concepts" in page
    assert page.count("genre: Comedy 30 %") == 2
    assert 'class="picture p' in page and 'class=" bare"' in page


def test_pictures_of_typical_items_begin_with_the_best_of_every_concept() -> None:
    portrait = replace(shown_portrait(concepts=3), tops=[["a", "b"], ["c"], ["a", "d", "e"]])
    assert list(typical_items(with_portraits(rich(), {0: portrait}))) == ["a", "c", "a", "b", "d", "e"]


def test_rows_that_show_nothing_have_no_place_in_the_section(tmp_path: Path) -> None:
    empty = ShownPortrait({}, {}, 0, [], [], {}, [], [])
    assert 'id="inside-section"' not in written(tmp_path, with_portraits(minimal(), {0: empty}))
    only = replace(empty, numbers={"independence": 0.5})
    page = section(written(tmp_path, with_portraits(rich(), {0: empty, 1: only})))
    assert re.findall(r"<summary><h3>(.*?)</h3>", page) == ["BPRMF"]


def test_many_rows_share_the_points_of_a_page(tmp_path: Path) -> None:
    large = shown_portrait(items=2_000)
    report = with_portraits(rich(), dict.fromkeys(range(6), large))
    for inside in insides(report, {}):
        assert inside.map is not None
        points = sum(len(trace["x"]) for trace in inside.map.data[:-2])
        assert inside.drawn == 1_000 and 1_600 < points <= 2_000
    assert len(section(written(tmp_path, report))) < 1_000_000


def test_the_page_is_the_same_after_results_were_read_again(tmp_path: Path) -> None:
    report = with_portraits(rich(), {2: shown_portrait()})
    write_report(tmp_path, report)
    assert written(tmp_path, report) == written(tmp_path, read_report(tmp_path))


def test_what_a_model_names_and_ids_are_shown_as_text(tmp_path: Path) -> None:
    page = section(written(tmp_path, with_portraits(hostile(), {0: HOSTILE_PORTRAIT})))
    assert HOSTILE not in page and "<img" not in page
    figures = [json.loads(text) for text in re.findall(r'<script type="application/json">(.*?)</script>', page)]
    assert len(figures) == 2
    for figure in figures:
        for trace in figure["data"]:
            shown = json.dumps([trace["name"], trace.get("text"), trace.get("meta")])
            assert "<" not in shown.replace("&lt;", "")
            assert "7*7" not in trace.get("hovertemplate", "")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here (Debian: apt install chromium)")
def test_a_browser_draws_it_without_a_complaint_and_hostile_ids_stay_inert(tmp_path: Path) -> None:
    report = with_portraits(hostile(), {0: HOSTILE_PORTRAIT, 1: shown_portrait()})
    written(tmp_path, report)
    with browser(tmp_path / "profile") as page:
        page.open((tmp_path / "page.html").as_uri())
        page.run("document.querySelectorAll('#inside-section details').forEach((each) => { each.open = true; })")
        for name in ("inside-map-0", "inside-curves-0", "inside-map-1"):
            chart = f"document.querySelector('#{name}-chart .plot')"
            page.run(f"{chart}.scrollIntoView({{behavior: 'instant', block: 'center'}})")
            page.wait(f"{chart}.querySelector('.main-svg')")
        first = "document.querySelector('#inside-map-0-chart .plot')"
        place = page.run(f"{first}.data.findIndex((trace) => trace.x.length === 2)")
        page.run(f"void Plotly.Fx.hover({first}, [{{curveNumber: {place}, pointNumber: 0}}])")
        page.wait(f"{first}.querySelector('.hovertext')")
        assert page.run(f"{first}.querySelector('.hovertext').textContent").startswith("</script><script>")
        second = "document.getElementById('inside-map-1-chart')"
        visible = f"{second}.querySelector('.plot').data.filter((trace) => trace.visible !== false).length"
        assert page.run(visible) == 18
        page.run(f"{second}.querySelector('select').selectedIndex = 1")
        page.run(f"{second}.querySelector('select').dispatchEvent(new Event('change', {{bubbles: true}}))")
        assert page.run(visible) == 9
        assert page.run("window.hacked === undefined && document.querySelectorAll('img, canvas').length === 0")
        assert page.complaints == []
        assert {address.partition(":")[0] for address in page.requests} <= {"file", "data", "blob"}
