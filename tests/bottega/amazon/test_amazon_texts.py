"""Cleaning of what shops write, and the text of an item."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bottega.amazon.texts import PARTS, clean, clean_all, clean_title, describe


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("banana, nano and financial n/aming", "banana, nano and financial n/aming"),
        ("nan", ""),
        (" N/A ", ""),
        (None, ""),
        (float("nan"), ""),
        (["a"], ""),
        ("a\tb\r\nc\u2028d\u00a0e\x00f", "a b c d e f"),
        ("Tom &amp;amp; Jerry &quot;x&#39;s&quot;", 'Tom & Jerry "x\'s"'),
        ("<b>Big</b><br/>box <a href='u' class=\"v\">here</a>", "Big box here"),
        ("&lt;p&gt;escaped&lt;/p&gt;", "escaped"),
        ("5 < 6, x <y and z> w, a<3, I <3 it", "5 < 6, x <y and z> w, a<3, I <3 it"),
        ("before<script>var a = '<b>';</script>after<style>p{}</style><!-- hidden -->", "before after"),
        ("cut <script>var a", "cut"),
        ("high \ud800 surrogate", "high surrogate"),
        ("<B>caps</B> é 日本", "caps é 日本"),
    ],
)
def test_a_field_becomes_one_line_of_plain_text(value: object, expected: str) -> None:
    assert clean(value) == expected


@given(st.text())
def test_a_clean_text_fits_into_a_cell_of_a_table(value: str) -> None:
    text = clean(value)
    assert text == " ".join(text.split())
    assert not set(text) & set("\t\n\r\x00")
    text.encode()


def test_cleaning_takes_time_in_proportion_to_the_length() -> None:
    for hostile in ("<b " * 200_000, "<script" * 100_000, "<!--" * 200_000, "&amp;" * 200_000, "</" * 300_000):
        clean(hostile)  # minutes, were any pattern to go back


def test_a_page_script_is_no_title() -> None:
    assert clean_title("var aPageStart = (new Date()).getTime(); (function() {") == ""
    assert clean_title("Functional Time Machine") == "Functional Time Machine"


def test_lists_lose_what_says_nothing_and_what_repeats() -> None:
    assert clean_all(["a", "", None, "nan", "<br>", "a", "b "]) == ["a", "b"]


def test_the_text_is_its_parts_in_the_order_asked_for() -> None:
    product = {
        "title": "A pan!",
        "brand": "Steel & Co",
        "categories": ["Kitchen", "Pans"],
        "features": ["Wide.", "Deep"],
        "description": "",
    }
    assert describe(product, PARTS) == "A pan! Steel & Co. Kitchen, Pans. Wide. Deep."
    assert describe(product, ("features", "title")) == "Wide. Deep. A pan!"
    assert describe(product, ("description",)) == ""
