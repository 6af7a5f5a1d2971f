import pytest

from extractor.cleaning import clear_text


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("It's fine.", "It 's fine ."),
        ("don't... we've", "do n't . we 've"),
        ("5 cups, 12 plates", "five cups , 12 plates"),
        ("Café \u2013 <b>new</b>!", "Caf b new b !"),
        ("\u2605\u2605", ""),
    ],
)
def test_cleaning(text: str, cleaned: str) -> None:
    assert clear_text(text) == cleaned
