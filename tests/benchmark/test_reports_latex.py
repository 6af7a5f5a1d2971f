"""`table.tex`: what LaTeX would stumble over, columns and rules, tables that are split, and that it compiles."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from table_cases import report, row, whole_report

from benchmark.reports.latex import escape, latex

PRINTED = {
    "\\textbackslash{}": "\\", "\\textasciitilde{}": "~", "\\textasciicircum{}": "^", "\\textless{}": "<",
    "\\textgreater{}": ">", "\\textbar{}": "|", "\\char34{}": '"', "\\`{}": "`", "{*}": "*", "{[}": "[", "{]}": "]",
    "$\\pm$": "±", "$^\\dagger$": "†", "$\\times$": "\u00d7", "$\\geq$": "≥", "$\\leq$": "≤", "$-$": "\u2212", "{}": "",
    **{f"\\{character}": character for character in "&%$#_{}"},
}  # fmt: skip
COMMAND = re.compile("|".join(map(re.escape, sorted(PRINTED, key=len, reverse=True))))


def environments(text: str) -> list[str]:
    return re.findall(r"\\begin\{table\}.*?\\end\{table\}", text, re.DOTALL)


def lines_of(table: str) -> list[list[str]]:
    """The cells of every line between the rules."""
    body = table[table.index("\\toprule") : table.index("\\bottomrule")]
    return [line[4:-3].split(" & ") for line in body.splitlines() if line.endswith("\\\\")]


@given(st.text())
@example("a--b ''c'' ,,d,, [x]* \\\\ & % $ # _ { } ~ ^ < > | \" `")
def test_every_text_is_printed_as_it_stands_and_nothing_in_it_is_a_command(text: str) -> None:
    escaped = escape(text)
    assert COMMAND.sub(lambda found: PRINTED[found.group()], escaped) == re.sub(
        r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", text
    )
    rest = COMMAND.sub("", escaped)
    assert not set(rest) & set('\\&%$#_{}~^<>|"`*[]')
    assert not re.search("--|''|,,", escaped)
    assert len(escaped.splitlines()) <= 1


@given(st.lists(st.text(max_size=12), min_size=1, max_size=5, unique=True))
def test_whatever_rows_are_called_the_table_has_its_lines_and_columns(names: list[str]) -> None:
    text = latex(
        report(*(row(name, {"Recall@5": 0.1, "HR@5": 0.2}) for name in names), dataset="{_%", experiment="\\&")
    )
    assert text.count("\\begin{table}") == text.count("\\end{table}") == 1
    assert re.search(r"\\label\{tab:[a-z0-9-]*\}", text)
    unescaped = [line for line in text.splitlines() if line.endswith(" \\\\")]
    assert [len(re.findall(r"(?<!\\)&", line)) for line in unescaped] == [1, *[2] * (len(names) + 1)]
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", re.sub(r"(?m)^%.*$", "", text)):
        depth += 1 if brace == "{" else -1
        assert depth >= 0
    assert depth == 0


def test_cutoffs_are_groups_of_columns() -> None:
    figures = {f"{metric}@{k}": 0.5 for k in (5, 10) for metric in ("Recall", "nDCG")} | {"RMSE@5": 1.0, "RMSE@10": 1.0}
    (table,) = environments(latex(report(row("A", figures), suffix=" (99 neg.)")))
    assert "\\begin{tabular}{lrrrrr}" in table
    assert "\\cmidrule(lr){2-3} \\cmidrule(lr){4-5}\n" in table
    groups, headings, cells = lines_of(table)
    assert groups == [
        "",
        *(f"\\multicolumn{{{n}}}{{c}}{{{at}(99 neg.)}}" for n, at in ((2, "@5 "), (2, "@10 "), (1, ""))),
    ]
    assert headings == ["Model", "Recall", "nDCG", "Recall", "nDCG", "RMSE"]
    assert cells == ["A", *["0.5000"] * 4, "1.0000"]


def test_marks_deviations_and_undefined_values(tmp_path: Path) -> None:
    first, _ = environments(latex(whole_report(tmp_path)))
    _, _, popular, ours, best = lines_of(first)
    assert re.fullmatch(r"0\.\d{4}", popular[1])
    assert re.fullmatch(r"\\underline\{0\.\d{4}\}\\,\{\\scriptsize\$\\pm\$0\.\d{4}\}", ours[1])
    assert re.fullmatch(r"\\textbf\{0\.\d{4}\}\\,\{\\scriptsize\$\\pm\$0\.\d{4}\}\\rlap\{\$\^\\dagger\$\}", best[1])
    assert "$\\pm$: standard deviation over 3 seeds.\\par" in first
    assert (
        "$^\\dagger$ better than every other row: two-sided paired t-test over 200 users, p \\textless{} 0.05" in first
    )
    odd = latex(report(row("A", {"BiasDisparityBD@5": -0.5, "AUC@5": math.nan})))
    assert lines_of(environments(odd)[0])[2] == ["A", "$-$0.5000", "--"]
    assert "dagger" not in odd


def test_wide_tables_are_split_by_cutoff_and_then_in_even_parts() -> None:
    figures = {f"M{place}@{k}": 0.5 for k in (5, 10) for place in range(9)}
    tables = environments(latex(report(row("A", figures))))
    assert [len(lines_of(table)[1]) - 1 for table in tables] == [5, 4, 5, 4]
    assert [re.findall(r"At cutoff (\d+)", table) for table in tables] == [["5"], ["5"], ["10"], ["10"]]
    labels = [re.findall(r"\\label\{(.*?)\}", table) for table in tables]
    assert labels == [[f"tab:shop-first-{place}"] for place in (1, 2, 3, 4)]
    narrow = {name: figures[name] for name in list(figures)[:8]}
    assert len(environments(latex(report(row("A", narrow))))) == 1
    assert len(environments(latex(report(row("A", narrow, dict(narrow)))))) == 2


def test_the_caption_says_data_and_protocol() -> None:
    text = latex(report(row("A", {"Recall@5": 0.5}), heading=["a_b: 5 users", "test figures; 99 % of all"]))
    assert "\\caption{A\\_b: 5 users. Test figures; 99 \\% of all. The best value is bold, the runner-up" in text
    assert "\\begin" not in latex(report())


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_it_compiles(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"dataset": "[a]*", "heading": ["<&%$#_{}~^\\|\"`'--"]}
    (tmp_path / "table.tex").write_text(latex(whole_report(tmp_path, **changes)), encoding="utf-8")
    document = "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\\input{table}\\end{document}"
    (tmp_path / "paper.tex").write_text(document)
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
