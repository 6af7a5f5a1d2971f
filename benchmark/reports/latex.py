"""`table.tex`: the table for a paper, with booktabs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmark.evaluation.metrics.registry import WITHOUT_CUTOFF
from benchmark.reports.figures import Figure, clear_leads, columns_at, figures_of, notes
from benchmark.reports.report import Report
from benchmark.reports.text import one_line

_WIDEST = 8  # columns of figures that a page holds; half as many with deviations
_SPECIAL = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    "|": "\\textbar{}",
    '"': "\\char34{}",
    "`": "\\`{}",
    "*": "{*}",  # this one and the next two would be arguments of the end of a line
    "[": "{[}",
    "]": "{]}",
    "±": "$\\pm$",
    "†": "$^\\dagger$",
    "\u00d7": "$\\times$",
    "≥": "$\\geq$",
    "≤": "$\\leq$",
    "\u2212": "$-$",
}
_LIGATURE = re.compile(r"(?<=-)(?=-)|(?<=')(?=')|(?<=,)(?=,)")
_PACKAGES = "% needs \\usepackage{booktabs}"


@dataclass(frozen=True)
class _Group:
    """Columns below one heading; `cutoff` is None for metrics that have none."""

    cutoff: int | None
    metrics: list[str]


def escape(text: str) -> str:
    """Text as LaTeX prints it, whatever characters stand in it."""
    return _LIGATURE.sub("{}", "".join(_SPECIAL.get(character, character) for character in one_line(text)))


def latex(report: Report) -> str:
    """One `table` environment with the cutoffs side by side, or one a cutoff (or several) where that is too wide.

    The best value of a column is bold, the runner-up underlined, and a dagger stands for a clear lead.
    """
    finished = f"% {one_line(report.dataset)}, {one_line(report.experiment)}, {one_line(report.finished)}"
    head = [finished, _PACKAGES]
    if not report.models:
        return "\n".join([*head, "% no row has figures"]) + "\n"
    pieces = list(_pieces(report))
    leads = clear_leads(report)
    tables = []
    for place, groups in enumerate(pieces):
        label = _label(report) + (f"-{place + 1}" if len(pieces) > 1 else "")
        tables.append(_table(report, groups, leads, label, len(pieces) > 1))
    return "\n".join([*head, "\n".join(tables)]) + "\n"


def _pieces(report: Report) -> Iterator[list[_Group]]:
    """The groups of each table."""
    groups = [group for cutoff in report.cutoffs for group in _groups(report, cutoff)]
    widest = _WIDEST // 2 if any(model.spread for model in report.models) else _WIDEST
    if sum(len(group.metrics) for group in groups) <= widest:
        yield groups
        return
    for group in groups:
        parts = -(-len(group.metrics) // widest)
        size = -(-len(group.metrics) // parts)  # of about equal width
        for start in range(0, len(group.metrics), size):
            yield [_Group(group.cutoff, group.metrics[start : start + size])]


def _groups(report: Report, cutoff: int) -> Iterator[_Group]:
    columns = columns_at(report, cutoff)
    free = [metric for metric in columns if metric.rpartition("@")[0] in WITHOUT_CUTOFF]
    if bound := [metric for metric in columns if metric not in free]:
        yield _Group(cutoff, bound)
    if free:
        yield _Group(None, free)


def _table(report: Report, groups: Sequence[_Group], leads: set[tuple[str, str]], label: str, split: bool) -> str:
    metrics = [metric for group in groups for metric in group.metrics]
    columns = [[_cell(figure) for figure in figures_of(report, metric, leads)] for metric in metrics]
    shown = {(row, metric) for row, metric in leads if metric in metrics}
    names = [escape(model.row) for model in report.models]
    spans = [f"\\multicolumn{{{len(group.metrics)}}}{{c}}{{{_heading(report, group)}}}" for group in groups]
    headings = [escape(metric.rpartition("@")[0]) for metric in metrics]
    lines = [
        "\\begin{table}",
        "  \\centering",
        f"  \\caption{{{_caption(report, groups, split)}}}",
        f"  \\label{{{label}}}",
        f"  \\begin{{tabular}}{{l{'r' * len(metrics)}}}",
        "    \\toprule",
        f"    {_row(['', *spans])}",
        f"    {' '.join(_rules(groups))}",
        f"    {_row(['Model', *headings])}",
        "    \\midrule",
        *(f"    {_row([name, *cells])}" for name, *cells in zip(names, *columns, strict=True)),
        "    \\bottomrule",
        "  \\end{tabular}",
        *(f"\n  \\smallskip{{\\footnotesize {escape(note)}.\\par}}" for note in notes(report, shown)),
        "\\end{table}",
    ]
    return "\n".join(line for line in lines if line)


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + " \\\\"


def _cell(figure: Figure) -> str:
    text = "--" if figure.text == "-" else re.sub("^-", "$-$", figure.text)
    text = {"best": f"\\textbf{{{text}}}", "second": f"\\underline{{{text}}}", None: text}[figure.rank]
    spread = f"\\,{{\\scriptsize$\\pm${figure.spread}}}" if figure.spread else ""
    return text + spread + ("\\rlap{$^\\dagger$}" if figure.leads else "")


def _heading(report: Report, group: _Group) -> str:
    """The cutoff; and of sampled candidates, wherever figures of them stand."""
    return escape(f"{'' if group.cutoff is None else f'@{group.cutoff}'}{report.suffix}".strip())


def _rules(groups: Sequence[_Group]) -> Iterator[str]:
    first = 2
    for group in groups:
        last = first + len(group.metrics) - 1
        if group.cutoff is not None:
            yield f"\\cmidrule(lr){{{first}-{last}}}"
        first = last + 1


def _caption(report: Report, groups: Sequence[_Group], split: bool) -> str:
    lines = report.heading or [f"{report.dataset}: test figures"]
    lines = [*lines, *([f"At cutoff {groups[0].cutoff}"] if split and groups[0].cutoff is not None else [])]
    lines += ["The best value is bold, the runner-up underlined"]
    return " ".join(f"{escape(line[:1].upper() + line[1:])}." for line in lines)


def _label(report: Report) -> str:
    return "tab:" + re.sub(r"[^a-z0-9]+", "-", f"{report.dataset}-{report.experiment}".lower()).strip("-")
