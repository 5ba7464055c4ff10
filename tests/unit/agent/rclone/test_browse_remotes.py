"""Test browsing remotes of a host's rclone: real rclone, real files, and nothing that is not offered."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from agent import host_info
from agent.config import Config, RemoteConfig, RootConfig
from agent.files.browse import Browser
from agent.host_info import remote_states, remote_types
from agent.rclone.browse import RemoteBrowser
from agent.rclone.lsjson import parse_entry
from agent.rclone.process import RcloneProcess
from agent.remotes import Remotes
from events.commands import Browse
from events.reports import Browsed
from tests.support.waiting import HANG_TIMEOUT_S

CONFIGURATION = """
[archive]
type = alias
remote = {far}

[private]
type = alias
remote = {far}

[web]
type = http
url = {url}
"""


KINDS = """
[cloud]
type = google cloud storage
description = ours
token = secret

[a]
type = s3
"""


@pytest.fixture
def far(tmp_path):
    folder = tmp_path / "far"
    folder.mkdir()
    return folder


@pytest.fixture
def remotes(tmp_path, far):
    described = tmp_path / "rclone.conf"
    described.write_text(CONFIGURATION.format(far=far, url="http://127.0.0.1:9/"))
    offered = [
        RemoteConfig(name="archive", access="rw"),
        RemoteConfig(name="web", access="ro"),
        RemoteConfig(name="forgotten", access="ro"),
    ]
    return Remotes(offered, described)


@pytest.fixture
def ask(remotes, tmp_path):
    browser = Browser([], tmp_path, RemoteBrowser("server-b", remotes))

    def asked(remote: str, path: str = "/", **options) -> Browsed:
        return browser(Browse(request_id="r", remote=remote, path=path, **options))

    return asked


def names(answer: Browsed) -> list[str]:
    assert answer.problem is None
    return [entry.name for entry in answer.entries]


def test_files_and_directories_with_sizes_and_times(ask, far):
    (far / "Köln + Bonn/[deep] 100%").mkdir(parents=True)
    (far / "Köln + Bonn/one").write_bytes(b"12345")
    (entry,) = ask("archive").entries
    assert (entry.name, entry.type, entry.size) == ("Köln + Bonn", "directory", None)
    answer = ask("archive", "/Köln + Bonn/")
    assert [(one.name, one.type, one.size) for one in answer.entries] == [
        ("[deep] 100%", "directory", None),
        ("one", "file", 5),
    ]
    assert answer.entries[1].modified.timestamp() == pytest.approx((far / "Köln + Bonn/one").stat().st_mtime)
    assert names(ask("archive", "/Köln + Bonn/[deep] 100%")) == []


@pytest.mark.parametrize(
    ("text", "year"),
    [
        ("12047-03-01T00:00:00.000000000+01:00", None),
        ("-0004-03-01T00:00:00Z", None),
        ("0000-12-31T23:59:59Z", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-12:00", None),
        ("", None),
        ("9999-12-31T23:59:59.999999999Z", 9999),
        ("0001-01-01T00:00:00Z", 1),
    ],
)
def test_a_file_with_a_time_out_of_range_is_listed(ask, monkeypatch, text: str, year: int | None):
    """Few file systems keep such times, so rclone's output is made up."""
    lines = [{"Name": name, "Path": name, "Size": 1, "IsDir": False, "ModTime": text} for name in "ab"]
    printed = [json.dumps(line).encode() + b",\n" for line in lines]
    monkeypatch.setattr(RcloneProcess, "output", lambda *_, **__: iter(printed))
    answer = Browsed.model_validate_json(ask("archive").model_dump_json())
    assert names(answer) == ["a", "b"]
    assert [one.modified and one.modified.year for one in answer.entries] == [year, year]
    assert abs(parse_entry("a", lines[0]).mtime_ns) < 2**63


def test_pages_hold_every_name_once_in_order(ask, far):
    wanted = sorted(f"{n:02}" for n in range(25))
    for name in reversed(wanted):
        (far / name).touch()
    found, after = [], None
    while True:
        answer = ask("archive", limit=10, after=after)
        found += names(answer)
        after = answer.next
        if after is None:
            break
    assert found == wanted


def test_only_the_offered_directory_is_listed(remotes, ask, far):
    (far / "team").mkdir()
    (far / "team/ours").touch()
    (far / "theirs").touch()
    remotes._remotes["archive"] = RemoteConfig(name="archive", access="ro", directory="team")
    assert names(ask("archive")) == ["ours"]


@pytest.mark.parametrize(
    ("remote", "path", "code"),
    [
        ("private", "/", "remote-unknown"),
        ("forgotten", "/", "remote-not-described"),
        ("archive", "/not/there", "path-missing"),
        ("archive", "/file", "not-a-directory"),
        ("archive", "/same/same", "not-a-directory"),
    ],
)
def test_listing_errors_have_a_code_and_advice(ask, far, remote, path, code):
    (far / "file").write_bytes(b"x")
    (far / "same").mkdir()
    (far / "same/same").write_bytes(b"x")
    answer = ask(remote, path)
    assert (answer.problem.code, answer.entries) == (code, ())
    assert answer.problem.advice


def test_a_directory_with_one_file_of_the_same_name_is_listed(ask, far):
    (far / "same").mkdir()
    (far / "same/same").write_bytes(b"x")
    assert names(ask("archive", "/same")) == ["same"]


def test_a_missing_configuration_is_reported(remotes, ask):
    remotes._rclone_config.unlink()
    assert ask("archive").problem.code == "remote-not-described"


def test_types_of_remotes_are_reported_without_settings(remotes, tmp_path):
    described = remotes._rclone_config
    described.write_text(KINDS)
    assert remote_types(described) == {"cloud": "google cloud storage", "a": "s3"}
    assert remote_types(tmp_path / "nowhere") == {}
    config = Config(
        rclone_config=described,
        roots=(RootConfig(path="/data", access="ro"),),
        remotes=(RemoteConfig(name="cloud", access="ro"), RemoteConfig(name="gone", access="rw")),
    )
    told = [(one.name, one.access, one.type) for one in remote_states(config)]
    assert told == [("cloud", "ro", "google cloud storage"), ("gone", "rw", None)]


def test_an_old_rclone_reports_names_without_types(remotes, monkeypatch, tmp_path):
    old = tmp_path / "rclone"
    old.write_text('#!/bin/sh\n[ "$2" = "" ] || exit 1\necho archive:\n')
    old.chmod(0o755)
    monkeypatch.setattr(host_info, "find_rclone", lambda: old)
    assert remote_types(remotes._rclone_config) == {"archive": None}


@pytest.fixture
def silent():
    """Serve a web site that does not answer."""
    over = threading.Event()

    class SilentHandler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            over.wait(HANG_TIMEOUT_S)

        def do_GET(self):
            over.wait(HANG_TIMEOUT_S)

        def log_message(self, *what):
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), SilentHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    over.set()
    server.shutdown()
    server.server_close()


def test_a_remote_that_does_not_answer_times_out(remotes, far, silent):
    remotes._rclone_config.write_text(CONFIGURATION.format(far=far, url=silent))
    browse = RemoteBrowser("server-b", remotes, timeout_s=0.5)
    problem = browse(Browse(request_id="r", remote="web", path="/x")).problem
    assert (problem.code, problem.retryable) == ("remote-slow", True)
