"""Item ids as file names, writes that are whole or absent, hashes."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support import tree

from workbench import files
from workbench.errors import UserError
from workbench.files import (
    atomic_file,
    atomic_folder,
    escape_id,
    fingerprint,
    link_or_copy,
    read_json,
    sha256_array,
    sha256_file,
    swap_folder,
    unescape_name,
    write_json,
    write_text,
)

IDS = st.text(st.characters() | st.sampled_from("./\\%:~\x00 2EF"), min_size=1, max_size=80)


@given(IDS)
@example("..")
@example(".")
@example("../x")
@example("a/b")
@example("%2F")
@example("%")
@example(".hidden")
@example("\x00")
@example("🎬" * 50)
@example("film.part.2")
@example("Straße")
def test_an_escaped_id_comes_back(item: str) -> None:
    name = escape_id(item)
    if "%~" not in name:
        assert unescape_name(name) == item


@given(IDS | st.text(min_size=60, max_size=400))
@example("\ud800")
@example("é" * 101)
@example("/" * 199)
def test_an_escaped_id_is_one_plain_visible_file_name(item: str) -> None:
    name = escape_id(item)
    assert not set('/\\\x00\n\r\t<>:"|?*') & set(name)
    assert not name.startswith(".")
    assert 0 < len(name.encode("utf-8", errors="surrogatepass")) <= 200
    assert Path("folder", name).parent == Path("folder")


@given(st.text(min_size=1, max_size=300), st.text(min_size=1, max_size=300))
@example("a" * 300, "a" * 299 + "b")
@example("%2F", "/")
@example(".", "%2E")
def test_different_ids_get_different_names(one: str, other: str) -> None:
    assert (escape_id(one) == escape_id(other)) == (one == other)


def test_an_id_of_200_bytes_is_kept_and_a_longer_one_ends_in_a_hash_of_the_whole() -> None:
    assert escape_id("a" * 200) == "a" * 200
    long = escape_id("a" * 201)
    assert long == "a" * 180 + "%~" + hashlib.sha256(b"a" * 201).hexdigest()[:16]
    assert unescape_name(long) == long, "a shortened name stands for itself"


@pytest.mark.parametrize("name", ["100%", "a%zz", "%41", "a%2fb", "50%25%", "%", "a b"])
def test_a_name_that_was_not_escaped_here_is_an_id_as_it_stands(name: str) -> None:
    assert unescape_name(name) == name


def test_an_empty_id_is_refused() -> None:
    with pytest.raises(UserError, match="an item id is empty"):
        escape_id("")


@pytest.mark.parametrize("item", ["..", "../x", "a/b", ".hidden", "%", "\x00", "🎬" * 90, "con:", " "])
def test_a_file_can_be_written_under_every_id(tmp_path: Path, item: str) -> None:
    (tmp_path / f"{escape_id(item)}.npy").write_bytes(b"x")
    assert len(list(tmp_path.glob("*.npy"))) == 1


FULL = OSError(errno.ENOSPC, "No space left on device")


def test_a_file_is_replaced_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "down" / "a.txt"
    write_text(target, "old\n")
    write_text(target, "new ü\n")
    assert target.read_bytes() == "new ü\n".encode()
    assert list(tree(tmp_path)) == ["deep/down/a.txt"]


@pytest.mark.parametrize("fault", [ValueError("a slip"), KeyboardInterrupt(), FULL])
def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path, fault: BaseException) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises((type(fault), UserError)) as caught, atomic_file(target) as temporary:
        temporary.write_text("half of the n")
        raise fault
    assert tree(tmp_path) == {"a.txt": b"old"}
    if fault is FULL:
        assert isinstance(caught.value, UserError)
        assert caught.value.where == str(target)
        assert "No space left" in caught.value.what


def test_a_disk_that_is_full_only_when_data_reach_it_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise FULL

    (tmp_path / "a.json").write_text("1")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(UserError, match="No space left on device"):
        write_json(tmp_path / "a.json", [1, 2])
    assert tree(tmp_path) == {"a.json": b"1"}


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "images"
    with atomic_folder(target) as folder:
        (folder / "1.jpg").write_bytes(b"one")
    with atomic_folder(target) as folder:
        (folder / "2.jpg").write_bytes(b"two")
    assert tree(tmp_path) == {"images/2.jpg": b"two"}


@pytest.mark.parametrize("fault", [ValueError("a slip"), KeyboardInterrupt(), FULL])
def test_a_failed_folder_leaves_the_old_one_and_no_other(tmp_path: Path, fault: BaseException) -> None:
    target = tmp_path / "images"
    target.mkdir()
    (target / "1.jpg").write_bytes(b"one")
    with pytest.raises((type(fault), UserError)) as caught, atomic_folder(target) as folder:
        (folder / "1.jpg").write_bytes(b"half")
        raise fault
    assert tree(tmp_path) == {"images/1.jpg": b"one"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["images"]
    assert isinstance(caught.value, UserError) == (fault is FULL)


def test_a_folder_that_cannot_be_put_in_place_gives_its_place_back_to_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "1.jpg").write_bytes(b"one")
    with pytest.raises(OSError, match="absent"):
        swap_folder(tmp_path / "absent", tmp_path / "images")
    assert tree(tmp_path) == {"images/1.jpg": b"one"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def reordered(value: Any) -> Any:
    """The same value with the keys of every mapping in another order."""
    if isinstance(value, dict):
        keys = list(value)
        random.Random(len(keys)).shuffle(keys)
        return {key: reordered(value[key]) for key in reversed(keys)}
    return [reordered(item) for item in value] if isinstance(value, list) else value


@given(JSON)
def test_a_fingerprint_does_not_depend_on_the_order_of_keys(value: Any) -> None:
    assert fingerprint(value) == fingerprint(reordered(value))
    assert len(fingerprint(value)) == 16


@given(JSON, JSON)
def test_a_fingerprint_tells_values_apart(one: Any, other: Any) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (fingerprint(one) == fingerprint(other)) == same


def test_a_fingerprint_depends_on_the_order_of_a_list_and_on_types() -> None:
    assert len({fingerprint(value) for value in ([1, 2], [2, 1], ["1", 2], [1.0, 2], [[1, 2]])}) == 5


@given(JSON)
def test_json_comes_back(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    path = tmp_path_factory.mktemp("json") / "a.json"
    write_json(path, value)
    assert read_json(path) == value


@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe"])
def test_broken_json_is_one_sentence_with_its_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "split.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match="not readable as JSON") as caught:
        read_json(path)
    assert caught.value.where == str(path)


def test_hashes_are_sha256_of_the_bytes(tmp_path: Path) -> None:
    content = bytes(range(256)) * 10_000  # more than one block
    (tmp_path / "a.bin").write_bytes(content)
    assert sha256_file(tmp_path / "a.bin") == hashlib.sha256(content).hexdigest()
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert sha256_array(array[:, ::2]) == hashlib.sha256(array[:, ::2].tobytes()).hexdigest()


def test_a_link_costs_no_disk_and_a_copy_stands_in_where_there_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "a"
    source.write_bytes(b"rows")
    link_or_copy(source, tmp_path / "b")
    assert (tmp_path / "b").stat().st_ino == source.stat().st_ino

    def no_links(*_: object) -> None:
        raise OSError(errno.EXDEV, "cross-device link")

    monkeypatch.setattr(files.os, "link", no_links)
    link_or_copy(source, tmp_path / "c")
    assert (tmp_path / "c").stat().st_ino != source.stat().st_ino
    assert (tmp_path / "c").read_bytes() == b"rows"


def test_json_has_null_for_what_is_no_number(tmp_path: Path) -> None:
    figures = {"a": float("nan"), "b": [float("inf"), -1.5, {"c": np.float64("-inf"), "d": (np.nan, 2, "NaN", None)}]}
    write_json(tmp_path / "figures.json", figures)

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    read = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"), parse_constant=refuse)
    assert read == {"a": None, "b": [None, -1.5, {"c": None, "d": [None, 2, "NaN", None]}]}
