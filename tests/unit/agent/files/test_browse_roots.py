"""Browsing: every kind of name, page by page, and never outside the roots."""

import os

import pytest

from agent.config import RootConfig
from agent.files.browse import Browser
from agent.hops.report_outbox import fitting
from events.commands import Browse


@pytest.fixture
def data(tmp_path):
    directory = tmp_path / "data"
    directory.mkdir()
    return directory


@pytest.fixture
def browse_path(data):
    return browser_of(data)


def browser_of(data, *, links: bool = False):
    roots = [
        RootConfig(path="/srv/data", access="ro", directory=data, links=links),
        RootConfig(path="/srv/data/inner/", access="ro", directory=data / "deep"),
        RootConfig(path="/archive", access="rw", directory=data / "archive"),
    ]
    browser = Browser(roots)

    def browse(path: str, **options):
        return browser(Browse(request_id="r", path=path, **options))

    return browse


def names(page) -> list[str]:
    assert page.problem is None
    return [entry.name for entry in page.entries]


def test_every_kind_of_entry(browse_path, data):
    (data / "file ü +.txt").write_bytes(b"12345")
    (data / "folder").mkdir()
    (data / "link").symlink_to("nowhere")
    os.mkfifo(data / "pipe")
    (data / "time").touch()
    os.utime(data / "time", (0, -(2**40)))
    page = browse_path("/srv/data/")
    kinds = {entry.name: (entry.type, entry.size) for entry in page.entries}
    assert kinds == {
        "file ü +.txt": ("file", 5),
        "folder": ("directory", None),
        "link": ("symlink", None),
        "pipe": ("other", None),
        "time": ("file", 0),
    }


def test_names_that_are_not_utf8_can_be_sent(browse_path, data):
    (data / os.fsdecode(b"\xff\xfe")).touch()
    (data / "\\xff").touch()  # this one can be written
    page = browse_path("/srv/data")
    assert [(entry.name, entry.utf8) for entry in page.entries] == [("\\xff", True), ("\\xff\\xfe", False)]
    assert page.model_dump_json()


def test_an_entry_among_thousands_is_found_by_part_of_its_name(browse_path, data):
    for number in range(3000):
        (data / f"Shot-{number:04}.MOV").touch()
    assert names(browse_path("/srv/data", find="t-2999.m", limit=10)) == ["Shot-2999.MOV"]
    assert names(browse_path("/srv/data", find="straße")) == []
    (data / "STRASSE").touch()
    assert names(browse_path("/srv/data", find="straße")) == ["STRASSE"]
    assert names(browse_path("/", find="ARCH")) == ["archive"]
    (data / "Mu\u0308ll").touch()
    assert names(browse_path("/srv/data", find="mü")) == ["Mu\u0308ll"]


def test_pages_hold_every_name_once_in_order(browse_path, data):
    expected = [*(f"{n:03}" for n in range(95)), "~"]
    for name in expected:
        (data / name).touch()
    found, after = [], None
    while True:
        page = browse_path("/srv/data", limit=10, after=after)
        found += names(page)
        after = page.next
        if after is None:
            break
    assert found == expected


def test_a_page_too_large_for_a_message_becomes_a_shorter_one(browse_path, data):
    for n in range(500):
        (data / f"{n:03}{'x' * 240}").touch()
        (data / f"{n:03}{'x' * 240}").chmod(0o600)
    page = browse_path("/srv/data", limit=500)
    cut = fitting(page.model_copy(update={"entries": page.entries * 2}))
    assert len(cut.model_dump_json().encode()) <= 120 * 1024
    assert cut.next == cut.entries[-1].name


@pytest.mark.parametrize("path", ["/", "/srv", "/srv/"])
def test_above_the_roots_the_directories_leading_to_them_are_listed(browse_path, path):
    assert names(browse_path(path)) == (["archive", "srv"] if path == "/" else ["data"])


@pytest.mark.parametrize("path", ["/etc", "/srv/database", "/srv/dat", "/archives"])
def test_elsewhere_is_outside(browse_path, path):
    problem = browse_path(path).problem
    assert problem.code == "outside-roots"
    assert "/srv/data, " in problem.advice


def test_the_innermost_root_applies(browse_path, data):
    (data / "deep").mkdir()
    (data / "deep" / "here").touch()
    assert names(browse_path("/srv/data/inner")) == ["here"]


def test_no_link_is_browsed(browse_path, data):
    """A policy about `/srv/data/in/` would say nothing about `/srv/data/real/`."""
    (data / "real/deep").mkdir(parents=True)
    (data / "in").symlink_to("real")
    for path in ("/srv/data/in", "/srv/data/in/deep"):
        problem = browse_path(path).problem
        assert problem.code == "outside-roots"
        assert "links = true" in problem.advice


def test_links_are_browsed_inside_a_root_that_allows_it(data, tmp_path):
    browse_path = browser_of(data, links=True)
    (tmp_path / "secret").mkdir()
    (data / "real").mkdir()
    (data / "real" / "x").touch()
    (data / "in").symlink_to("real")
    (data / "out").symlink_to(tmp_path / "secret")
    (data / "up").symlink_to("..")
    (data / "loop").symlink_to("loop")
    assert names(browse_path("/srv/data/in")) == ["x"]
    for name in ("out", "up"):
        assert browse_path(f"/srv/data/{name}").problem.code == "outside-roots"
    assert browse_path("/srv/data/loop").problem


def test_a_directory_that_cannot_be_listed_is_reported(browse_path, data):
    (data / "file").touch()
    assert browse_path("/srv/data/none").problem.code == "path-missing"
    assert browse_path("/srv/data/file").problem.code == "not-a-directory"
    assert browse_path("/archive").problem.code == "path-missing"
    assert browse_path("/srv/data/" + "n" * 300).problem.code == "path-missing"
