"""Whom things belong to at the destination: real files, given away for real where this process has the right
to; where it has not, what it would do is looked at."""

import os
from pathlib import Path

import pytest

from agent.files import listing, owners, roots
from agent.files.owners import Owner, local_ids
from agent.pull import destination, pull_attempt
from infra.local.demo_files import MIB, write_random

ALICE = Owner(4242, 4343, "alice", "staff")
ROOT = os.getuid() == 0 and owners.can_chown()


@pytest.fixture
def given(monkeypatch) -> dict[str, tuple[int, int]]:
    """By path: to whom each thing was given. The source's things are all alice's, whom the destination knows
    as 777, of a group that it does not know."""
    told: dict[str, tuple[int, int]] = {}
    really_of, really = os.fchown, os.chown

    def fchown(descriptor: int, user: int, group: int) -> None:
        told[Path(f"/proc/self/fd/{descriptor}").readlink().name] = user, group
        if ROOT:
            really_of(descriptor, user, group)

    def chown(name: str, user: int, group: int, *, dir_fd: int, follow_symlinks: bool) -> None:
        told[name] = user, group
        if ROOT:
            really(name, user, group, dir_fd=dir_fd, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(destination.os, "fchown", fchown)
    monkeypatch.setattr(roots.os, "chown", chown)
    monkeypatch.setattr(owners, "can_chown", lambda: True)
    monkeypatch.setattr(listing, "owner_of", lambda _: ALICE)
    monkeypatch.setattr(owners, "_user_id", remembered({"alice": 777}))
    monkeypatch.setattr(owners, "_group_id", remembered({}))
    return told


def remembered(known: dict[str, int]):
    def look(name: str) -> int | None:
        return known.get(name)

    look.cache_clear = lambda: None
    return look


def tree(folder: Path) -> None:
    write_random(folder / "sub/small", 100)
    write_random(folder / "big", MIB + 1)
    (folder / "link").symlink_to("big")


@pytest.mark.parametrize(("option", "expected"), [("names", (777, 4343)), ("ids", (4242, 4343))])
async def test_everything_is_given_to_whom_it_belongs(hosts, given, option, expected):
    tree(hosts.data / "t")

    await hosts.move(hosts.order("/data/t/", "/archive/t/", owner=option))

    assert {"sub", "t", "link"} <= set(given)
    assert set(given.values()) == {expected}
    assert len(given) == 5  # the two files by the names that they had while half-done
    if ROOT:
        for place in [hosts.archive / "t", *(hosts.archive / "t").rglob("*")]:
            found = place.lstat()
            assert (found.st_uid, found.st_gid) == expected
            assert (
                found.st_mtime_ns
                == (hosts.data / "t" / place.relative_to(hosts.archive / "t")).lstat().st_mtime_ns
                or place.is_symlink()
            )


async def test_what_stands_there_already_is_given_too_without_being_sent_again(hosts, given):
    tree(hosts.data / "t")
    await hosts.move(hosts.order("/data/t/", "/archive/t/"))
    assert given == {}
    passed = hosts.line.passed
    await hosts.move(hosts.order("/data/t/", "/archive/t/", owner="ids", dry_run=True))
    assert given == {}

    await hosts.move(hosts.order("/data/t/", "/archive/t/", owner="ids"))

    assert set(given) >= {"small", "big", "sub"}
    assert hosts.line.passed - passed < MIB


async def test_a_file_of_several_names_keeps_its_owner_under_each(hosts, given):
    write_random(hosts.data / "t/one", 100)
    os.link(hosts.data / "t/one", hosts.data / "t/two")
    await hosts.move(hosts.order("/data/t/", "/archive/t/", owner="ids"))
    assert (hosts.archive / "t/one").stat().st_ino == (hosts.archive / "t/two").stat().st_ino


async def test_without_the_right_to_it_the_hop_says_so_before_anything_moves(hosts, monkeypatch):
    monkeypatch.setattr(pull_attempt.owners, "can_chown", lambda: False)
    tree(hosts.data / "t")
    error = await hosts.fails(hosts.order("/data/t/", "/archive/t/", owner="names"))
    assert error.problem.code == "owner-not-allowed"
    assert "CAP_CHOWN" in error.problem.advice
    assert list(hosts.archive.iterdir()) == []


async def test_a_source_that_does_not_tell_is_too_old(hosts, given, monkeypatch):
    tree(hosts.data / "t")
    monkeypatch.setattr(listing, "owner_of", lambda _: None)
    error = await hosts.fails(hosts.order("/data/t/", "/archive/t/", owner="names"))
    assert error.problem.code == "source-too-old"
    assert given == {}


async def test_nobody_is_told_who_did_not_ask(hosts, given, monkeypatch):
    monkeypatch.setattr(listing, "owner_of", lambda _: 1 / 0)
    tree(hosts.data / "t")
    await hosts.move(hosts.order("/data/t/", "/archive/t/"))
    assert given == {}


def test_by_name_where_both_hosts_know_it_and_else_by_number(monkeypatch):
    monkeypatch.setattr(owners, "_user_id", {"alice": 1, "root": 99}.get)
    monkeypatch.setattr(owners, "_group_id", {"staff": 2}.get)
    assert local_ids(ALICE, by_name=True) == (1, 2)
    assert local_ids(ALICE, by_name=False) == (4242, 4343)
    assert local_ids(Owner(5, 6, "bob", ""), by_name=True) == (5, 6)
    assert local_ids(Owner(0, 0, "root", "root"), by_name=True) == (0, 0)  # whatever that host calls its root


def test_names_are_those_of_this_host():
    found = owners.owner_of(Path("/").stat())
    assert found == Owner(0, 0, "root", "root")
    assert owners._user_id("nobody-of-that-name") is None
    assert owners._user(3_999_999_999) == ""
