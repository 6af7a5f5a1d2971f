"""Results as tables and files, each made of a `Report` alone."""

from __future__ import annotations

from pathlib import Path

from benchmark.reports.latex import latex
from benchmark.reports.performance import write_performance
from benchmark.reports.report import Report, read_report, write_report
from benchmark.reports.sheets import write_sheets
from benchmark.reports.significance import write_comparisons
from benchmark.reports.slices import write_slices
from benchmark.reports.terminal import render
from workbench.files import write_text

__all__ = ["Report", "read_report", "render", "write_files", "write_report"]


def write_files(folder: Path, report: Report, triplets: bool = False) -> None:
    """Write every table of a report; a file that this report has nothing for is removed.

    Parameters
    ----------
    folder : of the results.
    triplets : whether `performance/` also gets its tables with a line a figure.
    """
    write_sheets(folder, report)
    write_text(folder / "table.tex", latex(report))
    write_performance(folder / "performance", report, triplets)
    for name in ("slices.tsv", "significance.tsv"):
        (folder / name).unlink(missing_ok=True)
    groups = {model.row: model.slices for model in report.models if model.slices}
    if groups:
        metrics = [metric for metric in report.metrics if metric in next(iter(groups.values()))[0].values]
        write_slices(folder / "slices.tsv", groups, metrics, report.suffix)
    if report.comparisons:
        write_comparisons(folder / "significance.tsv", report.comparisons, report.suffix)
