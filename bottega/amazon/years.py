"""Which of the three collections a dump belongs to, told by the keys of its first records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from bottega.amazon.lines import first_records
from workbench.errors import UserError

YEARS = (2014, 2018, 2023)
_LOOKED_AT = 100  # lines

# Keys that only one collection has. The earlier year of a row stands first, so that a later mark wins.
_REVIEW_MARKS = {2014: {"helpful"}, 2018: {"verified", "vote", "style"}, 2023: {"user_id", "parent_asin"}}
_META_MARKS = {
    2014: {"imUrl", "salesRank", "related", "categories"},
    2018: {"category", "imageURL", "imageURLHighRes", "also_buy", "also_view", "main_cat"},
    2023: {"parent_asin", "main_category", "store"},
}
_USER_KEYS = {"reviewerID", "user_id"}


def find_year(reviews: Path, meta: Path, said: int | None) -> int:
    """The year that both files and `said` (None: nobody said) agree on.

    Raises
    ------
    UserError : they contradict each other, nothing tells, or the two files have changed places.
    """
    first_reviews, first_products = (first_records(path, _LOOKED_AT) for path in (reviews, meta))
    _check_places(reviews, meta, first_reviews, first_products)
    found = {
        str(reviews): _told(first_reviews, _REVIEW_MARKS),
        str(meta): _told(first_products, _META_MARKS),
        "--year": said,
    }
    told = {name: year for name, year in found.items() if year is not None}
    if len(set(told.values())) > 1:
        raise UserError(
            "; ".join(f"{name} is of {year}" for name, year in told.items()),
            mend="give two files of one collection, and leave out --year: it is found by itself",
        )
    if not told:
        raise UserError("the keys do not tell the collection", where=reviews, mend="say --year 2014, 2018 or 2023")
    return next(iter(told.values()))


def _told(records: Iterable[Mapping[str, object]], marks: Mapping[int, set[str]]) -> int | None:
    votes: Counter[int] = Counter()
    for record in records:
        years = [year for year, keys in marks.items() if keys & record.keys()]
        if years:
            votes[years[-1]] += 1
    return votes.most_common(1)[0][0] if votes else None


def _check_places(
    reviews: Path, meta: Path, first_reviews: list[dict[str, object]], first_products: list[dict[str, object]]
) -> None:
    for path, records in ((reviews, first_reviews), (meta, first_products)):
        if not records:
            raise UserError(
                f"none of the first {_LOOKED_AT} lines is a record",
                where=path,
                mend="give a dump in JSON lines (.json, .jsonl, or gzipped); for CSV use `bottega data import`",
            )
    if not any(_USER_KEYS & record.keys() for record in first_reviews):
        swapped = any(_USER_KEYS & record.keys() for record in first_products)
        raise UserError(
            "no record names a user, so these are no reviews",
            where=reviews,
            mend="--reviews and --meta have changed places" if swapped else "give the file of reviews here",
        )
    if any(_USER_KEYS & record.keys() for record in first_products):
        raise UserError("the records name users, so this is no metadata", where=meta, mend="give meta_<category> here")
