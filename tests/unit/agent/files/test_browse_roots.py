"""Browsing: every kind of name, page by page, and never a step outside the roots."""

import os

import pytest

from agent.config import RootConfig
from agent.files.browse import Browser
from agent.hops.report_outbox import fitting
from events.commands import Browse


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def ask(data):
    roots = [
        RootConfig(path="/srv/data", access="ro", directory=data),
        RootConfig(path="/srv/data/inner/", access="ro", directory=data / "deep"),
        RootConfig(path="/archive", access="rw", directory=data / "archive"),
    ]
    browser = Browser(roots)

    def asked(path: str, **options):
        return browser(Browse(request_id="r", path=path, **options))

    return asked


def names(answer) -> list[str]:
    assert answer.problem is None
    return [entry.name for entry in answer.entries]


def test_every_kind_of_entry(ask, data):
    (data / "file ü +.txt").write_bytes(b"12345")
    (data / "folder").mkdir()
    (data / "link").symlink_to("nowhere")
    os.mkfifo(data / "pipe")
    (data / "time").touch()
    os.utime(data / "time", (0, -(2**40)))
    answer = ask("/srv/data/")
    kinds = {entry.name: (entry.type, entry.size) for entry in answer.entries}
    assert kinds == {
        "file ü +.txt": ("file", 5),
        "folder": ("directory", None),
        "link": ("symlink", None),
        "pipe": ("other", None),
        "time": ("file", 0),
    }


def test_names_that_are_not_utf8_can_be_sent(ask, data):
    (data / os.fsdecode(b"\xff\xfe")).touch()
    (data / "\\xff").touch()  # this one can be written
    answer = ask("/srv/data")
    assert [(one.name, one.utf8) for one in answer.entries] == [("\\xff", True), ("\\xff\\xfe", False)]
    assert answer.model_dump_json()


def test_one_of_thousands_is_found_by_a_part_of_its_name(ask, data):
    for number in range(3000):
        (data / f"Shot-{number:04}.MOV").touch()
    assert names(ask("/srv/data", find="t-2999.m", limit=10)) == ["Shot-2999.MOV"]
    assert names(ask("/srv/data", find="straße")) == []
    (data / "STRASSE").touch()
    assert names(ask("/srv/data", find="straße")) == ["STRASSE"]
    assert names(ask("/", find="ARCH")) == ["archive"]
    (data / "Mu\u0308ll").touch()
    assert names(ask("/srv/data", find="mü")) == ["Mu\u0308ll"]


def test_pages_hold_every_name_once_in_order(ask, data):
    wanted = [*(f"{n:03}" for n in range(95)), "~"]
    for name in wanted:
        (data / name).touch()
    found, after = [], None
    while True:
        answer = ask("/srv/data", limit=10, after=after)
        found += names(answer)
        after = answer.next
        if after is None:
            break
    assert found == wanted


def test_an_answer_too_large_for_a_message_becomes_a_shorter_page(ask, data):
    for n in range(500):
        (data / f"{n:03}{'x' * 240}").touch()
        (data / f"{n:03}{'x' * 240}").chmod(0o600)
    answer = ask("/srv/data", limit=500)
    cut = fitting(answer.model_copy(update={"entries": answer.entries * 2}))
    assert len(cut.model_dump_json().encode()) <= 120 * 1024
    assert cut.next == cut.entries[-1].name


@pytest.mark.parametrize("path", ["/", "/srv", "/srv/"])
def test_above_the_roots_the_way_to_them_is_shown(ask, path):
    assert names(ask(path)) == (["archive", "srv"] if path == "/" else ["data"])


@pytest.mark.parametrize("path", ["/etc", "/srv/database", "/srv/dat", "/archives"])
def test_elsewhere_is_outside(ask, path):
    problem = ask(path).problem
    assert problem.code == "outside-roots"
    assert "/srv/data, " in problem.advice


def test_the_innermost_root_counts(ask, data):
    (data / "deep").mkdir()
    (data / "deep" / "here").touch()
    assert names(ask("/srv/data/inner")) == ["here"]


def test_links_are_followed_inside_the_root_and_nowhere_else(ask, data, tmp_path):
    (tmp_path / "secret").mkdir()
    (data / "real").mkdir()
    (data / "real" / "x").touch()
    (data / "in").symlink_to("real")
    (data / "out").symlink_to(tmp_path / "secret")
    (data / "up").symlink_to("..")
    (data / "loop").symlink_to("loop")
    assert names(ask("/srv/data/in")) == ["x"]
    for name in ("out", "up"):
        assert ask(f"/srv/data/{name}").problem.code == "outside-roots"
    assert ask("/srv/data/loop").problem


def test_what_cannot_be_listed_is_said(ask, data):
    (data / "file").touch()
    assert ask("/srv/data/none").problem.code == "path-missing"
    assert ask("/srv/data/file").problem.code == "not-a-directory"
    assert ask("/archive").problem.code == "path-missing"
    assert ask("/srv/data/" + "n" * 300).problem.code == "path-missing"
