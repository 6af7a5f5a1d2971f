"""Downloading pictures from a server of this machine that misbehaves."""

from __future__ import annotations

import email.utils
import re
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from amazon_cases import QUICK, Answer, PictureServer, blank, picture
from support import tree

from bottega.amazon.addresses import AddressBook
from bottega.amazon.download import Absent, Images, Wanted
from bottega.amazon.fetching import DownloadSettings, Fetcher
from bottega.amazon.hosts import Host
from bottega.amazon.miss import Miss, Stopped
from bottega.amazon.pictures import examine

GOOD = picture()
HTML = b"<!DOCTYPE html><html><body>Sorry, robots</body></html>"
DOT = bytes.fromhex("47494638396101000100800000ffffff00000021f90401000000002c00000000010001000002024401003b")


def fetch(folder: Path, server: PictureServer, *paths: str, retry: bool = False, **settings: Any) -> dict[str, Absent]:
    """Fetch one item a path (its name without the slash and the extension), or several paths joined by `|`."""
    tasks = [
        Wanted(path.split("|")[0].strip("/").split(".")[0], [server.address + one for one in path.split("|")])
        for path in paths
    ]
    known = DownloadSettings(**(QUICK.model_dump() | settings))
    return Images(folder / "images", folder / "downloads.jsonl", known, retry).fetch(tasks, len(tasks))


MANNERS: dict[str, tuple[Any, str | None, int]] = {
    # path: answers, the reason of the miss (None: a picture came), requests of the first run
    "/good.jpg": (Answer(GOOD), None, 1),
    "/png.jpg": (Answer(picture(1, "PNG")), None, 1),
    "/gone.jpg": (Answer(b"", 404), "HTTP 404", 1),
    "/busy.jpg": ([Answer(b"", 429, {"Retry-After": "0"}), Answer(GOOD)], None, 2),
    "/sick.jpg": ([Answer(b"", 500), Answer(b"", 500), Answer(GOOD)], None, 3),
    "/dead.jpg": (Answer(b"", 503), r"HTTP 503 .*\(4 attempts\)", 4),
    "/cut.jpg": ([Answer(GOOD[:300], announced=len(GOOD)), Answer(GOOD)], None, 2),
    "/always_cut.jpg": (Answer(GOOD[:300], announced=len(GOOD)), r"\(4 attempts\)", 4),
    "/slow.jpg": ([Answer(GOOD, seconds=1.5), Answer(GOOD)], None, 2),
    "/page.jpg": (Answer(HTML, headers={"Content-Type": "image/jpeg"}), "a page instead", 1),
    "/dot.gif": (Answer(DOT), "1 x 1 pixels: a placeholder", 1),
    "/words.jpg": (Answer(b"sorry, no picture here"), "not a picture", 1),
    "/nothing.jpg": (Answer(b""), "empty", 1),
    "/broken.jpg": (Answer(GOOD[:400]), "the picture is broken", 1),
    "/half.jpg": (Answer(GOOD[:-200]), "the picture is broken", 1),
    "/endless.jpg": (Answer(b"x" * 200_000, announced=-1), "more than 100,000 bytes", 1),
    "/huge.jpg": (Answer(b"x" * 200_000), "200,000 bytes are more", 1),
    "/bomb.png": (Answer(blank((600, 600), "PNG")), "600 x 600 pixels are more", 1),
    "/loop.jpg": (Answer(b"", 302, {"Location": "/loop.jpg"}), "more than 5 redirects", 6),
    "/moved.jpg": (Answer(b"", 301, {"Location": "/good2.jpg"}), None, 1),
    "/away.jpg": (Answer(b"", 302, {"Location": "file:///etc/passwd"}), "not an http", 1),
    "/odd.jpg": (Answer(b"", 302, {"Location": "http://[bad"}), "no valid address", 1),
    "/good2.jpg": (Answer(GOOD), None, 2),
}
LIMITS = {"max_bytes": 100_000, "max_pixels": 100_000}


def test_every_manner_of_a_server_and_a_second_run_that_asks_nothing(tmp_path: Path) -> None:
    with PictureServer({path: answers for path, (answers, _, _) in MANNERS.items()}).running() as server:
        paths = [path for path in MANNERS if path != "/good2.jpg"]
        absent = fetch(tmp_path, server, *paths, "/good2.jpg", **LIMITS)
        reasons = {path: why for path, (_, why, _) in MANNERS.items()}
        for path, why in reasons.items():
            item = path[1:].split(".")[0]
            assert (item in absent) == (why is not None), (path, absent.get(item))
            if why is not None:
                assert absent[item].url == server.address + path
                assert re.search(why, absent[item].why), path
        assert dict(server.requests) == {path: count for path, (_, _, count) in MANNERS.items()}
        assert (tmp_path / "images" / "png.png").read_bytes() == picture(1, "PNG")  # its format names it
        assert (tmp_path / "images" / "moved.jpg").read_bytes() == GOOD
        assert len(list((tmp_path / "images").iterdir())) == sum(why is None for why in reasons.values())
        assert all("bottega/" in headers["User-Agent"] for headers in server.headers)

        before, pictures = server.requests.copy(), tree(tmp_path)
        final = [path for path in paths if path not in ("/dead.jpg", "/always_cut.jpg")]
        again = fetch(tmp_path, server, *final, **LIMITS)
        assert server.requests == before  # neither pictures nor what is missing for good
        assert tree(tmp_path) == pictures
        assert again == {item: miss for item, miss in absent.items() if miss.final}

        assert set(fetch(tmp_path, server, "/dead.jpg")) == {"dead"}
        assert server.requests["/dead.jpg"] == 8  # what may pass is asked for again
        fetch(tmp_path, server, "/gone.jpg", retry=True)
        assert server.requests["/gone.jpg"] == 2


def test_a_file_that_changed_on_disk_is_fetched_again(tmp_path: Path) -> None:
    with PictureServer({"/a.jpg": Answer(GOOD), "/b.jpg": Answer(GOOD), "/c.jpg": Answer(GOOD)}).running() as server:
        fetch(tmp_path, server, "/a.jpg", "/b.jpg", "/c.jpg")
        whole = tree(tmp_path)
        (tmp_path / "images" / "a.jpg").write_bytes(GOOD[:-1] + b"\x00")
        (tmp_path / "images" / "b.jpg").unlink()
        assert fetch(tmp_path, server, "/a.jpg", "/b.jpg", "/c.jpg") == {}
        assert tree(tmp_path) == whole
        assert [server.requests[path] for path in ("/a.jpg", "/b.jpg", "/c.jpg")] == [2, 2, 1]

        (tmp_path / "images" / "a.jpg").write_bytes(b"spoilt")
        server.answers["/a.jpg"] = [Answer(b"", 404)]
        assert set(fetch(tmp_path, server, "/a.jpg")) == {"a"}
        assert not (tmp_path / "images" / "a.jpg").exists()  # a file of unknown content is no picture of the item


def test_the_next_address_is_tried_only_after_a_final_miss(tmp_path: Path) -> None:
    answers = {"/a.jpg": Answer(b"", 404), "/a2.jpg": Answer(GOOD), "/b.jpg": Answer(b"", 500), "/b2.jpg": Answer(GOOD)}
    with PictureServer(answers).running() as server:
        assert set(fetch(tmp_path, server, "/a.jpg|/a2.jpg", "/b.jpg|/b2.jpg")) == {"b"}
        assert server.requests["/b2.jpg"] == 0
        server.answers["/b.jpg"] = [Answer(picture(5))]
        assert fetch(tmp_path, server, "/a.jpg|/a2.jpg", "/b.jpg|/b2.jpg") == {}
        assert (tmp_path / "images" / "b.jpg").read_bytes() == picture(5)


def test_other_addresses_are_asked_for_anew(tmp_path: Path) -> None:
    with PictureServer({"/x.png": Answer(picture(1, "PNG")), "/y.jpg": Answer(GOOD)}).running() as server:
        images = Images(tmp_path / "images", tmp_path / "j.jsonl", QUICK)
        images.fetch([Wanted("i", [server.address + "/x.png"])], 1)
        Images(tmp_path / "images", tmp_path / "j.jsonl", QUICK).fetch([Wanted("i", [server.address + "/y.jpg"])], 1)
    assert {path.name for path in (tmp_path / "images").iterdir()} == {"i.jpg"}


def test_pictures_that_lie_there_are_taken_over(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").write_bytes(GOOD)
    (tmp_path / "images" / "b.jpg").write_bytes(GOOD[:200])
    with PictureServer({"/a.jpg": Answer(picture(7)), "/b.jpg": Answer(GOOD)}).running() as server:
        assert set(fetch(tmp_path, server, "/a.jpg", "/b.jpg", "/c.jpg")) == {"c"}
        assert dict(server.requests) == {"/b.jpg": 1, "/c.jpg": 1}
        (tmp_path / "images" / "c.jpg").write_bytes(GOOD)  # somebody found it elsewhere
        assert fetch(tmp_path, server, "/a.jpg", "/b.jpg", "/c.jpg") == {}
        assert server.requests.total() == 2


def test_the_ids_of_items_name_no_path(tmp_path: Path) -> None:
    with PictureServer({"/x.jpg": Answer(GOOD)}).running() as server:
        images = Images(tmp_path / "images", tmp_path / "j.jsonl", QUICK)
        images.fetch([Wanted("../../up", [server.address + "/x.jpg"])], 1)
    assert [path.name for path in (tmp_path / "images").iterdir()] == ["%2E.%2F..%2Fup.jpg"]


def test_retry_after_holds_every_request_to_the_host_back(tmp_path: Path) -> None:
    answers: dict[str, Any] = {f"/{place}.jpg": Answer(GOOD) for place in range(6)}
    answers["/busy.jpg"] = [Answer(b"", 429, {"Retry-After": "1"}), Answer(GOOD)]
    with PictureServer(answers).running() as server:
        assert fetch(tmp_path, server, "/busy.jpg", *list(answers)[:6], workers=1) == {}
        assert server.times[1] - server.times[0] >= 0.95
    with PictureServer({"/a.jpg": Answer(b"", 503, {"Retry-After": "9000"})}).running() as server:
        absent = fetch(tmp_path, server, "/a.jpg")
        assert not absent["a"].final
        assert "asks for 9000 s of patience" in absent["a"].why
        assert server.requests["/a.jpg"] == 1
    moment = email.utils.formatdate(time.time() - 5, usegmt=True)
    answers = {"/d.jpg": [Answer(b"", 429, {"Retry-After": moment}), Answer(GOOD)]}
    with PictureServer(answers).running() as server:
        assert fetch(tmp_path, server, "/d.jpg") == {}


def test_a_host_is_asked_by_few_at_a_time_and_not_too_often(tmp_path: Path) -> None:
    answers = {f"/{place}.jpg": Answer(GOOD, seconds=0.05) for place in range(12)}
    with PictureServer(answers).running() as server:
        assert fetch(tmp_path, server, *answers, workers=8, per_host=2) == {}
        assert server.most_at_once == 2
    with PictureServer(answers).running() as server:
        (tmp_path / "other").mkdir()
        assert fetch(tmp_path / "other", server, *answers, workers=8, delay=0.03) == {}
        assert server.times[-1] - server.times[0] >= 11 * 0.03 * 0.9


def test_a_host_that_only_fails_is_left_alone(tmp_path: Path) -> None:
    answers = {f"/{place}.jpg": Answer(b"", 500) for place in range(60)}
    with PictureServer(answers).running() as server:
        absent = fetch(tmp_path, server, *answers, attempts=1, workers=2)
    assert len(absent) == 60
    assert not any(miss.final for miss in absent.values())
    assert server.requests.total() <= 28
    assert "left alone" in absent["59"].why


def test_nobody_listening_is_a_miss_that_may_pass(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{probe.getsockname()[1]}/a.jpg"
    absent = Images(tmp_path / "images", tmp_path / "j.jsonl", QUICK).fetch([Wanted("a", [address])], 1)
    assert not absent["a"].final


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://example.org/a.jpg", "not an http"),
        ("file:///etc/passwd", "not an http"),
        ("/relative.jpg", "not an http"),
        ("", "not an http"),
        ("http://", "not an http"),
        ("http://user:secret@93.184.216.34/a.jpg", "user name"),
        ("http://93.184.216.34:99999/a.jpg", "no valid address"),
        ("http://[bad/a.jpg", "no valid address"),
        ("http://127.0.0.1/a.jpg", "own network"),
        ("http://10.1.2.3/a.jpg", "own network"),
        ("http://169.254.169.254/latest/meta-data", "own network"),
        ("http://[::1]/a.jpg", "own network"),
        ("http://[::ffff:10.0.0.1]/a.jpg", "own network"),
        ("http://localhost:8000/a.jpg", "own network"),
        ("http://g-ecx.images-amazon.com/images/G/01/x-site/icons/no-img-sm._CB1_.gif", "no image"),
    ],
)
def test_addresses_that_are_never_asked(url: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with pytest.raises(Miss, match=why) as caught:
        AddressBook().check(url)
    assert caught.value.final


def test_public_addresses_may_be_asked() -> None:
    assert AddressBook().check("https://93.184.216.34/a.jpg") == "93.184.216.34:https"
    assert AddressBook().check("http://[2606:2800:220:1::1]:81/a.jpg") == "2606:2800:220:1::1:81"


def test_a_redirect_into_the_own_network_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with PictureServer({"/a.jpg": Answer(b"", 302, {"Location": "http://10.0.0.1/a.jpg"})}).running() as server:
        fetcher = Fetcher(DownloadSettings(delay=0), threading.Event())
        host = server.address.removeprefix("http://").split(":")[0]
        fetcher._addresses._public[host] = True  # this machine for once counts as a public one
        with pytest.raises(Miss, match="own network"):
            fetcher.get(server.address + "/a.jpg")
        assert server.requests["/a.jpg"] == 1


def test_neither_cookies_nor_passwords_are_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("default login me password secret\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    answers = {f"/{place}.jpg": Answer(GOOD, headers={"Set-Cookie": "a=b; Path=/"}) for place in range(3)}
    with PictureServer(answers).running() as server:
        fetch(tmp_path, server, *answers, workers=1)
        assert not any({"Cookie", "Authorization"} & headers.keys() for headers in server.headers)


def test_waiting_ends_when_the_job_is_stopped() -> None:
    stop = threading.Event()
    host = Host("h", 1, 100.0, stop)
    with host.turn():
        pass
    threading.Timer(0.05, stop.set).start()
    begin = time.monotonic()
    with pytest.raises(Stopped), host.turn():
        pass
    assert time.monotonic() - begin < 5


def test_ctrl_c_writes_down_what_is_finished_and_the_next_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {f"/{place}.jpg": Answer(picture(place)) for place in range(40)}
    with PictureServer(answers).running() as server:
        tasks = [Wanted(path[1:-4], [server.address + path]) for path in answers]

        def interrupted() -> Any:
            for place, task in enumerate(tasks):
                if place == 33:  # 32 are handed out in advance
                    raise KeyboardInterrupt
                yield task

        images = Images(tmp_path / "images", tmp_path / "j.jsonl", QUICK)
        with pytest.raises(KeyboardInterrupt):
            images.fetch(interrupted(), 40)
        assert threading.active_count() < 40
        there = {path.stem for path in (tmp_path / "images").iterdir()}
        assert 0 < len(there) <= 33
        recorded = (tmp_path / "j.jsonl").read_text().count("\n") - 1  # without the line of the format
        assert recorded == len(there)
        assert Images(tmp_path / "images", tmp_path / "j.jsonl", QUICK).fetch(tasks, 40) == {}
        assert all(server.requests[f"/{item}.jpg"] == 1 for item in there)
    for place in range(40):
        assert (tmp_path / "images" / f"{place}.jpg").read_bytes() == picture(place)


def test_ctrl_c_does_not_wait_for_those_who_wait_their_turn(tmp_path: Path) -> None:
    def interrupted(address: str) -> Any:
        yield from (Wanted(str(place), [f"{address}/{place}.jpg"]) for place in range(3))
        raise KeyboardInterrupt

    with PictureServer({}).running() as server:
        slow = DownloadSettings(delay=30, allow_local=True)
        begin = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            Images(tmp_path / "images", tmp_path / "j.jsonl", slow).fetch(interrupted(server.address), 3)
        assert time.monotonic() - begin < 15


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"])
def test_the_format_decides_the_extension(form: str) -> None:
    found = examine(picture(3, form), 10_000)
    assert (found.width, found.height) == (24, 20)
    assert found.extension == {"JPEG": ".jpg", "TIFF": ".tif"}.get(form, f".{form.lower()}")


def test_formats_that_need_other_programs_are_refused() -> None:
    with pytest.raises(Miss, match="not a picture"):
        examine(blank((20, 20), "EPS"), 10_000)
