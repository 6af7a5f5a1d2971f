"""`report.html`: everything about an experiment in one file."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from benchmark.reports.figures import clear_leads, notes
from benchmark.reports.html.examples import example_items, gallery
from benchmark.reports.html.figures.chart import Chart, Style
from benchmark.reports.html.figures.curves import curves
from benchmark.reports.html.figures.cutoffs import cutoff_of, cutoffs
from benchmark.reports.html.figures.grid import landscape
from benchmark.reports.html.figures.pareto import pareto
from benchmark.reports.html.figures.significance import significance
from benchmark.reports.html.figures.slices import slice_charts
from benchmark.reports.html.headline import winner
from benchmark.reports.html.portraits import insides, typical_items
from benchmark.reports.html.tables import Table, ledger, results_table, trials_table
from benchmark.reports.html.thumbnails import thumbnails
from benchmark.reports.html.trials import further_of, trials_of
from benchmark.reports.html.words import fact
from benchmark.reports.report import ModelResult, Report
from workbench.files import atomic_file

PAGE = "report.html"
# what keeps a page of hundreds of trials within a few megabytes
_TRIALS = 1_200  # drawn of all rows together, the best of each
_MOST_TRIALS, _FEWEST_TRIALS = 200, 40  # of one row
_POINTS = 15_000  # of one kind of curve, all trials together
_MOST_POINTS, _FEWEST_POINTS = 100, 12  # of one curve
_LISTED = 50  # trials in the table of a row
_TYPICAL = 600_000  # characters of the pictures of items that are typical of concepts


@dataclass(frozen=True)
class Sweep:
    """What a row tried. `further`: trials under further seeds; `listed`: those of the search in the table."""

    row: str
    tried: int
    failed: int
    drawn: int
    curves: Chart | None
    landscape: Chart | None
    trials: Table
    listed: int
    further: int


def write_page(path: Path, report: Report, images: Path | None = None) -> None:
    """Write the page: whole or not at all, and the same bytes for the same report.

    Parameters
    ----------
    images : folder of item pictures, named `<escaped id>.<extension>`; of items without one, the id is shown.
    """
    text = _render(report, images)
    with atomic_file(path) as temporary:
        temporary.write_bytes(text.encode("utf-8", errors="replace"))  # half a surrogate pair is no text


def _render(report: Report, images: Path | None) -> str:
    from jinja2 import Environment, FunctionLoader, StrictUndefined
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=FunctionLoader(_template),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["fact"] = fact
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    scripts = [_template("page.js"), get_plotlyjs()]
    context = _context(report, images)
    return environment.get_template("page.html").render(
        **context,
        script=Markup(scripts[0]),
        plotly=Markup(scripts[1]),
        style=Markup(_template("page.css")),
        hashes=[_content_hash(script) for script in scripts],
    )


def _template(name: str) -> str:
    return files(__package__).joinpath("templates").joinpath(name).read_text(encoding="utf-8")


def _content_hash(script: str) -> str:
    """As a content security policy names a script: nothing else in the page is run."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _context(report: Report, images: Path | None) -> dict[str, Any]:
    """What the template shows."""
    costs, below = ledger(report), notes(report, clear_leads(report))
    pictures = _pictures(report, images)
    numbers = {item: place for place, item in enumerate(pictures)}
    return {
        "report": report,
        "results": results_table(report),
        "winner": winner(report),
        "cutoffs": sorted({k for metric in report.metrics if (k := cutoff_of(metric)) is not None}),
        "first_cutoff": next((k for row in report.models if (k := cutoff_of(row.monitor)) in report.cutoffs), None),
        "notes": below,
        "dagger": next((line for line in below if line.startswith("\N{DAGGER}")), ""),
        "sweeps": list(_sweeps(report)),
        "curve": cutoffs(report),
        "slices": slice_charts(report),
        "matrix": significance(report),
        "pareto": pareto(report),
        "ledger": costs if costs.rows else None,
        "gallery": gallery(report.examples, numbers),
        "insides": insides(report, numbers),
        "pictures": list(pictures.values()),
    }


def _pictures(report: Report, images: Path | None) -> dict[str, str]:
    """Item -> address of its thumbnail, each once."""
    found = thumbnails(images, example_items(report.examples))
    return found | thumbnails(images, (item for item in typical_items(report) if item not in found), _TYPICAL)


def _sweeps(report: Report) -> Iterator[Sweep]:
    """Of every row that was trained or had something to choose; the more rows, the fewer trials and points of each."""
    rows = [(place, row) for place, row in enumerate(report.models) if _is_sweep(row)]
    most = max(_FEWEST_TRIALS, min(_MOST_TRIALS, _TRIALS // max(len(rows), 1)))
    lines = sum(min(len(row.trials), most) for _, row in rows)
    points = max(_FEWEST_POINTS, min(_MOST_POINTS, _POINTS // max(lines, 1)))
    for number, (place, row) in enumerate(rows):
        style, tried, further = Style.of(place), trials_of(row), further_of(row)
        listed = min(most // 2, _LISTED)
        yield Sweep(
            row=row.row,
            tried=len(tried),
            failed=sum(each.failed is not None for each in tried),
            drawn=most,
            curves=curves(row, tried, f"curves-{number}", style, most, points),
            landscape=landscape(row, tried, f"grid-{number}", style, most),
            trials=trials_table(row, tried, further, listed),
            listed=min(listed, len(tried)),
            further=len(further),
        )


def _is_sweep(row: ModelResult) -> bool:
    records = [*row.trials, *row.further]
    return len(records) > 1 or any(record.get("losses") or record.get("history") for record in records)
