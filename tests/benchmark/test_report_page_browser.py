"""The page in headless Chromium: from disk, without a network, without a complaint."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browser import CHROMIUM, Browser, browser
from PIL import Image
from report_cases import hostile, large, minimal, pictures, rich

from benchmark.reports.html import write_page

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here (Debian: apt install chromium)")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`rich.html`, `hostile.html`, `minimal.html`."""
    folder = tmp_path_factory.mktemp("pages")
    content = rich()
    listed = sorted({entry.item for each in content.examples for row in each.lists.values() for entry in row})
    write_page(folder / "rich.html", content, pictures(folder / "images", listed[:-3]))
    write_page(folder / "hostile.html", hostile())
    write_page(folder / "minimal.html", minimal())
    return folder


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def page(started: Browser) -> Iterator[Browser]:
    """Whatever a test does: no complaint, and nothing asked for but the file itself."""
    started.complaints.clear()
    started.requests.clear()
    yield started
    assert started.complaints == []
    assert {address.partition(":")[0] for address in started.requests} <= {"file", "data", "blob"}
    assert len({address for address in started.requests if address.startswith("file")}) <= 1


def colours(image: bytes) -> int:
    """Distinct colours of a screenshot."""
    return len(np.unique(np.asarray(Image.open(io.BytesIO(image)).convert("RGB")).reshape(-1, 3), axis=0))


def brightness(image: bytes) -> float:
    return float(np.asarray(Image.open(io.BytesIO(image)).convert("L")).mean())


def draw_all(page: Browser) -> int:
    """Open everything, scroll through it, and count the charts."""
    page.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    count = int(page.run("document.querySelectorAll('.plot').length"))
    for place in range(count):
        page.run(
            f"document.querySelectorAll('.plot')[{place}].scrollIntoView({{behavior: 'instant', block: 'center'}})"
        )
        page.wait(f"document.querySelectorAll('.plot')[{place}].querySelector('.main-svg')")
    return count


def test_charts_are_drawn_when_they_come_into_view(page: Browser, pages: Path) -> None:
    page.open((pages / "rich.html").as_uri())
    drawn = "document.querySelectorAll('.js-plotly-plot').length"
    assert page.run(drawn) < 4
    assert draw_all(page) == page.run(drawn) == 14
    assert page.run("document.querySelectorAll('.js-plotly-plot .trace, .js-plotly-plot .hm').length") > 100
    assert page.run("document.querySelectorAll('canvas').length") == 0, "no WebGL"


def test_a_click_and_a_key_sort_the_table(page: Browser, pages: Path) -> None:
    page.open((pages / "rich.html").as_uri())
    head = "[...document.querySelectorAll('#results-table thead th')].find((th) => th.textContent == 'Recall@20')"
    names = "[...document.querySelectorAll('#results-table tbody:first-of-type tr')].map((tr) => tr.cells[0].innerText)"
    rows = "[...document.querySelector('#results-table').tBodies[0].rows]"
    values = f"{rows}.map((tr) => +tr.cells[{head}.cellIndex].dataset.key)"
    before = page.run(names)
    page.run(f"{head}.querySelector('button').click()")
    descending = page.run(values)
    assert descending == sorted(descending, reverse=True)
    assert page.run(f"{head}.ariaSort") == "descending"
    page.run(f"{head}.querySelector('button').focus()")
    page.press("Enter", 13)
    assert page.run(values) == descending[::-1]
    assert page.run(f"{head}.ariaSort") == "ascending"
    assert page.run("document.querySelectorAll('#results-table [aria-sort]').length") == 1
    assert sorted(page.run(names)) == sorted(before)
    assert "failed" in page.run("document.querySelector('#results-table tbody.failed').innerText")


def test_what_is_missing_stays_last_in_both_directions(page: Browser, pages: Path) -> None:
    page.open((pages / "rich.html").as_uri())
    head = "[...document.querySelectorAll('#results-table thead th')].find((th) => th.textContent == 'Time')"
    last = "document.querySelector('#results-table').tBodies[0].lastElementChild.cells[0].innerText"
    for _ in range(2):
        page.run(f"{head}.querySelector('button').click()")
        assert page.run(last) == "LightFM (ready lists)"


def test_the_cutoff_switch_shows_the_columns_of_one(page: Browser, pages: Path) -> None:
    page.open((pages / "rich.html").as_uri())
    columns = "[...document.querySelectorAll('#results-table thead th[data-k]')]"
    shown = f"{columns}.filter((th) => !th.hidden).map((th) => th.textContent)"
    assert page.run(shown) == ["Recall@20", "nDCG@20", "HR@20", "ARP@20"]
    page.run("document.querySelector('input[name=cutoff][value=\"5\"]').click()")
    assert page.run(shown) == ["Recall@5", "nDCG@5", "HR@5", "ARP@5"]
    page.run("document.querySelector('input[name=cutoff][value=all]').click()")
    assert len(page.run(shown)) == 16


def test_a_switch_changes_its_chart(page: Browser, pages: Path) -> None:
    page.open((pages / "rich.html").as_uri())
    draw_all(page)
    for name, switch, at in (("pareto", 1, 2), ("significance", 0, 1), ("slice-0", 0, 0), ("cutoffs", 0, 1)):
        chart = f"document.getElementById('{name}-chart')"
        seen = f"JSON.stringify({chart}.querySelector('.plot').data.map((trace) => [trace.x, trace.y, trace.z]))"
        before = page.run(seen)
        select = f"{chart}.querySelectorAll('select')[{switch}]"
        page.run(f"{select}.selectedIndex = {at}, {select}.dispatchEvent(new Event('change', {{bubbles: true}}))")
        assert page.run(seen) != before, name


def test_the_page_is_light_dark_narrow_and_never_blank(page: Browser, pages: Path) -> None:
    address = (pages / "rich.html").as_uri()
    page.open(address)
    light = page.screenshot()
    page.open(address, dark=True)
    dark = page.screenshot()
    assert brightness(light) > 200 and brightness(dark) < 70
    assert min(colours(light), colours(dark)) > 50
    page.run("document.getElementById('cutoffs-section').scrollIntoView({behavior: 'instant'})")
    page.wait("document.querySelector('#cutoffs-chart .main-svg')")
    ink = page.run("getComputedStyle(document.querySelector('#cutoffs-chart .xtitle')).fill")
    assert ink == "rgb(230, 232, 234)"
    page.open(address, width=400)
    assert page.run("document.documentElement.scrollWidth") <= 400
    assert colours(page.screenshot()) > 50


def test_thumbnails_are_shown_and_ids_where_there_is_none(page: Browser, pages: Path) -> None:
    page.open((pages / "rich.html").as_uri())
    first = "getComputedStyle(document.querySelector('.picture')).backgroundImage"
    assert page.run(first).startswith('url("data:image/jpeg;base64,')
    assert page.run("document.querySelectorAll('.strip li.bare').length") > 0
    assert page.run("document.querySelectorAll('.strip li.hit .tick').length") > 0


def test_what_users_wrote_stays_inert(page: Browser, pages: Path) -> None:
    page.open((pages / "hostile.html").as_uri())
    draw_all(page)
    for name in ("curves-0", "slice-0", "cutoffs", "pareto"):
        curve = 1 if name == "pareto" else 0  # the first is the line of the front
        point = f"[{{curveNumber: {curve}, pointNumber: 0}}]"
        page.run(f"void Plotly.Fx.hover(document.querySelector('#{name}-chart .plot'), {point})")
        page.wait(f"document.querySelector('#{name}-chart .hovertext')")
    assert page.run("window.hacked === undefined")
    assert page.run("document.querySelectorAll('img').length") == 0
    legend = page.run("document.querySelector('#slice-0-chart .legendtext').textContent")
    assert legend.startswith("one </script><script>")


def test_even_injected_script_would_not_run(page: Browser, pages: Path, tmp_path: Path) -> None:
    source = (pages / "minimal.html").read_text(encoding="utf-8")
    broken = tmp_path / "broken.html"
    broken.write_text(source.replace("</main>", "<script>window.hacked = 1</script></main>"), encoding="utf-8")
    page.open(broken.as_uri())
    assert page.run("window.hacked === undefined")
    assert len(page.complaints) == 1 and "Content Security Policy" in page.complaints[0]
    page.complaints.clear()


def test_paper_has_everything(page: Browser, pages: Path) -> None:
    page.open((pages / "rich.html").as_uri(), dark=True)
    assert len(page.paper()) > 100_000
    assert page.run("document.querySelectorAll('.js-plotly-plot').length") == 14
    assert page.run("document.querySelectorAll('details:not([open])').length") > 0, "closed again"


def test_the_least_report_opens(page: Browser, pages: Path) -> None:
    page.open((pages / "minimal.html").as_uri())
    assert colours(page.screenshot()) > 20


@pytest.mark.heavy
def test_a_large_sweep_stays_usable(page: Browser, tmp_path: Path) -> None:
    write_page(tmp_path / "large.html", replace(large(), experiment="large"))
    page.open((tmp_path / "large.html").as_uri())
    page.run("document.querySelectorAll('details.sweep')[7].open = true")
    page.run("document.querySelectorAll('details.sweep')[7].scrollIntoView({behavior: 'instant'})")
    page.wait("document.querySelectorAll('details.sweep')[7].querySelectorAll('.main-svg').length >= 2")
    assert page.run("document.querySelectorAll('.js-plotly-plot').length") < 8
