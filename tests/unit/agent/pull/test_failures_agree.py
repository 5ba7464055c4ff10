"""The page, `crosshaul manifest --failed` and the manifest name the same files, whatever has failed."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.cli.commands.manifest import _has_failed
from agent.errors import HopError
from agent.pull import destination, ledger, manifest_outbox
from agent.pull.destination import Destination
from agent.pull.manifest_outbox import ManifestOutbox
from events.base import Problem
from tests.support.hosts import Hosts, ways

Prepare = Callable[[Hosts, pytest.MonkeyPatch], None]
HOP = "abcdefghij0123456789-0"


@pytest.fixture
def hosts(tmp_path: Path):
    hosts = Hosts(tmp_path)
    hosts.manifests = ManifestOutbox(hosts.state / "manifests")
    yield hosts
    hosts.close()


def special_files(hosts: Hosts, _: pytest.MonkeyPatch) -> None:
    os.mkfifo(hosts.data / "pipe")
    (hosts.data / "dangling").symlink_to("nothing")


def a_link_loop(hosts: Hosts, _: pytest.MonkeyPatch) -> None:
    (hosts.data / "round").mkdir()
    (hosts.data / "round/again").symlink_to("..")


def a_directory_that_cannot_be_read(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    (hosts.data / "closed").mkdir()
    really, closed = os.listdir, (hosts.data / "closed").stat().st_ino

    def listdir(descriptor: int) -> list[str]:
        if os.fstat(descriptor).st_ino == closed:
            raise PermissionError(13, "Permission denied")
        return really(descriptor)

    monkeypatch.setattr(os, "listdir", listdir)


def a_directory_in_the_way(hosts: Hosts, _: pytest.MonkeyPatch) -> None:
    (hosts.data / "file").write_bytes(b"file")
    (hosts.archive / "file").mkdir()


def a_file_in_the_way(hosts: Hosts, _: pytest.MonkeyPatch) -> None:
    (hosts.data / "directory").mkdir()
    (hosts.data / "directory/file").write_bytes(b"file")
    (hosts.archive / "directory").write_bytes(b"in the way")


def a_disk_that_alters_a_file(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    (hosts.data / "rots").write_bytes(b"sound")
    really = Destination.finalize

    def rot(self: Destination) -> None:
        really(self)
        (hosts.archive / "rots").write_bytes(b"rotten")

    monkeypatch.setattr(destination.Destination, "finalize", rot)


def a_failure_before_the_disk_itself_fails(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(hosts.data / "pipe")

    def refuse(self: Destination) -> None:
        raise HopError(Problem(code="destination-read-only", message="The disk is read-only."))

    monkeypatch.setattr(destination.Destination, "finalize", refuse)


def a_source_that_is_kept_since_its_copy_has_changed(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts.open_source()
    (hosts.data / "stays").write_bytes(b"stays")
    really = Destination.finalize

    def overwrite(self: Destination) -> None:
        really(self)
        (hosts.archive / "stays").write_bytes(b"written by another program")

    monkeypatch.setattr(destination.Destination, "finalize", overwrite)


KINDS: dict[Prepare, dict[str, object]] = {
    special_files: {"symlinks": "follow"},
    a_link_loop: {"symlinks": "follow"},
    a_directory_that_cannot_be_read: {},
    a_directory_in_the_way: {},
    a_file_in_the_way: {},
    a_disk_that_alters_a_file: {"verify": "reread"},
    a_failure_before_the_disk_itself_fails: {},
    a_source_that_is_kept_since_its_copy_has_changed: {"move": True},
}


@ways
@pytest.mark.parametrize("prepare", KINDS, ids=lambda prepare: prepare.__name__)
async def test_page_command_and_manifest_name_the_same_failures(hosts, monkeypatch, prepare, way):
    (hosts.data / "good").write_bytes(b"good")
    prepare(hosts, monkeypatch)
    error = await hosts.fails(getattr(hosts, way)("/data/", "/archive/", **KINDS[prepare]))
    on_page = sorted(problem.message for problem in error.failures)
    [waiting] = hosts.manifests.waiting()
    opened = ledger.Ledger(waiting)
    lines = list(manifest_outbox.lines(opened, HOP, 0))
    opened.close()
    paths = [line.path for line in lines]
    assert len(paths) == len(set(paths))
    failed = [line for line in lines if _has_failed(line.model_dump_json().encode())]
    assert error.failures_total == len(failed) > 0
    assert sorted(line.problem.message for line in failed if line.problem) == on_page
    assert [line.outcome for line in lines if line.path == "good"] == ["sent"]
