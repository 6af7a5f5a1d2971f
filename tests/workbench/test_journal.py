"""The journal: what is written comes back, and nothing else."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import UserError
from workbench.files import fingerprint
from workbench.journal import FORMAT, Journal


def test_records_come_back_by_kind_and_key_and_the_latest_wins(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "journal.jsonl"
    journal = Journal(path)
    journal.append("trial", "k", {"value": 1, "history": [(1, 0.1), (2, 1 / 3)]})
    journal.append("test", "k", {"value": 2})
    journal.append("trial", "k", {"value": 3, "name": "Straße 🎬\u2028 \x85 line"})
    for each in (journal, Journal(path)):
        assert each.get("trial", "k") == {"kind": "trial", "key": "k", "value": 3, "name": "Straße 🎬\u2028 \x85 line"}
        assert each.get("test", "k") == {"kind": "test", "key": "k", "value": 2}
        assert each.get("trial", "absent") is None
    assert path.read_text(encoding="utf-8").count("\n") == 4, "a header and three records"


@given(cut=st.integers(1, 60))
def test_a_torn_last_line_is_left_out_and_the_next_record_starts_on_a_line_of_its_own(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"
    journal = Journal(path)
    journal.append("trial", "a", {"value": "x" * 50})
    journal.append("trial", "b", {"value": "y" * 50})
    path.write_bytes(path.read_bytes()[:-cut])
    again = Journal(path)
    assert again.get("trial", "a") is not None
    assert (again.get("trial", "b") is None) == (cut > 1), "only the line's end may be missing"
    again.append("trial", "c", {"value": 3})
    again.append("trial", "d", {"value": 4})
    healed = Journal(path)
    assert healed.get("trial", "c") == {"kind": "trial", "key": "c", "value": 3}
    assert healed.get("trial", "d") == {"kind": "trial", "key": "d", "value": 4}
    assert healed.get("trial", "a") == again.get("trial", "a")


NO_RECORDS = ["3", "[1]", "null", "{}", "not json", '"text"', "1" * 6000, "[" * 100_000]


@pytest.mark.parametrize("line", ['{"kind": "trial", "key": "a", "value": 9, "check": "0"}', *NO_RECORDS])
def test_a_line_that_is_no_intact_record_is_left_out_with_a_warning(tmp_path: Path, log: list[str], line: str) -> None:
    path = tmp_path / "journal.jsonl"
    Journal(path).append("trial", "a", {"value": 1})
    with path.open("a") as stream:
        stream.write(line + "\n")
    Journal(path).append("trial", "b", {"value": 2})
    again = Journal(path)
    assert again.get("trial", "a") == {"kind": "trial", "key": "a", "value": 1}
    assert again.get("trial", "b") is not None
    assert any("1 damaged lines are left out" in entry for entry in log)


def test_a_figure_changed_by_hand_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    Journal(path).append("trial", "a", {"value": 0.1234})
    path.write_text(path.read_text().replace("0.1234", "0.9234"))
    assert Journal(path).get("trial", "a") is None


def test_a_journal_of_a_later_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    header = {"kind": "format", "key": "journal", "version": FORMAT + 1}
    path.write_text(json.dumps({**header, "check": fingerprint(header)}) + "\n")
    before = path.read_bytes()
    with pytest.raises(UserError, match=f"a journal of format {FORMAT + 1}") as caught:
        Journal(path)
    assert caught.value.mend is not None and "update" in caught.value.mend
    assert path.read_bytes() == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    (tmp_path / "journal.jsonl").symlink_to("/dev/full")
    with pytest.raises(UserError, match="cannot write: No space left on device"):
        journal.append("trial", "a", {"value": 1})


@given(written=st.integers(0, 200))
def test_a_line_that_a_full_disk_cuts_short_harms_no_other(
    tmp_path_factory: pytest.TempPathFactory, written: int
) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"
    journal = Journal(path)
    journal.append("trial", "a", {"value": 1})

    def fails(number: int) -> None:
        path.write_bytes(before + path.read_bytes()[len(before) :][:written])
        raise OSError(errno.ENOSPC, "No space left on device")

    before = path.read_bytes()
    with pytest.MonkeyPatch.context() as patch, pytest.raises(UserError, match="No space left"):
        patch.setattr(os, "fsync", fails)
        journal.append("trial", "b", {"value": "x" * 100})
    assert journal.get("trial", "b") is None, "what is not on disk is not known"
    journal.append("trial", "c", {"value": 3})
    healed = Journal(path)
    assert healed.get("trial", "a") == {"kind": "trial", "key": "a", "value": 1}
    assert healed.get("trial", "c") == {"kind": "trial", "key": "c", "value": 3}


def test_a_folder_in_the_place_of_the_journal_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").mkdir()
    with pytest.raises(UserError, match="cannot read the journal: Is a directory"):
        Journal(tmp_path / "journal.jsonl")
