"""The one exception that users see."""

from __future__ import annotations

from workbench.errors import UserError


def test_the_message_says_where_what_and_what_to_do() -> None:
    error = UserError("no rating in this row", where="reviews.tsv:7", mend="complete the row")
    assert error.render() == "reviews.tsv:7: no rating in this row\n  -> complete the row"
    assert str(error) == error.render()


def test_what_is_not_known_is_left_out() -> None:
    assert UserError("the disk is full").render() == "the disk is full"
    assert UserError("the disk is full", mend="empty it").render() == "the disk is full\n  -> empty it"
    assert UserError("the disk is full", where=0).render() == "0: the disk is full"
