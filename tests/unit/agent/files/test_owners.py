"""Owners of files at the destination.

Real files change owners where this process may do so; elsewhere the test records the calls.
"""

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
    """Record the owners that were set, by path.

    The source's files all belong to alice, whom the destination knows as 777, and to a group it does not
    know.
    """
    changes: dict[str, tuple[int, int]] = {}
    original_fchown, original_chown = os.fchown, os.chown

    def fchown(descriptor: int, user: int, group: int) -> None:
        changes[Path(f"/proc/self/fd/{descriptor}").readlink().name] = user, group
        if ROOT:
            original_fchown(descriptor, user, group)

    def chown(name: str, user: int, group: int, *, dir_fd: int, follow_symlinks: bool) -> None:
        changes[name] = user, group
        if ROOT:
            original_chown(name, user, group, dir_fd=dir_fd, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(destination.os, "fchown", fchown)
    monkeypatch.setattr(roots.os, "chown", chown)
    monkeypatch.setattr(owners, "can_chown", lambda: True)
    monkeypatch.setattr(listing, "owner_of", lambda _: ALICE)
    monkeypatch.setattr(owners, "_user_id", lookup_in({"alice": 777}))
    monkeypatch.setattr(owners, "_group_id", lookup_in({}))
    return changes


def lookup_in(known: dict[str, int]):
    def lookup(name: str) -> int | None:
        return known.get(name)

    lookup.cache_clear = lambda: None
    return lookup


def tree(directory: Path) -> None:
    write_random(directory / "sub/small", 100)
    write_random(directory / "big", MIB + 1)
    (directory / "link").symlink_to("big")


@pytest.mark.parametrize(("option", "expected"), [("names", (777, 4343)), ("ids", (4242, 4343))])
async def test_every_entry_gets_its_owner(hosts, given, option, expected):
    tree(hosts.data / "t")

    await hosts.move(hosts.order("/data/t/", "/archive/t/", owner=option))

    assert {"sub", "t", "link"} <= set(given)
    assert set(given.values()) == {expected}
    assert len(given) == 5  # the two files by their temporary names
    if ROOT:
        for path in [hosts.archive / "t", *(hosts.archive / "t").rglob("*")]:
            found = path.lstat()
            assert (found.st_uid, found.st_gid) == expected
            assert (
                found.st_mtime_ns
                == (hosts.data / "t" / path.relative_to(hosts.archive / "t")).lstat().st_mtime_ns
                or path.is_symlink()
            )


async def test_existing_files_get_their_owner_without_being_sent_again(hosts, given):
    tree(hosts.data / "t")
    await hosts.move(hosts.order("/data/t/", "/archive/t/"))
    assert given == {}
    passed = hosts.proxy.passed
    await hosts.move(hosts.order("/data/t/", "/archive/t/", owner="ids", dry_run=True))
    assert given == {}

    await hosts.move(hosts.order("/data/t/", "/archive/t/", owner="ids"))

    assert set(given) >= {"small", "big", "sub"}
    assert hosts.proxy.passed - passed < MIB


async def test_hard_links_keep_their_owner(hosts, given):
    write_random(hosts.data / "t/one", 100)
    os.link(hosts.data / "t/one", hosts.data / "t/two")
    await hosts.move(hosts.order("/data/t/", "/archive/t/", owner="ids"))
    assert (hosts.archive / "t/one").stat().st_ino == (hosts.archive / "t/two").stat().st_ino


async def test_without_cap_chown_the_hop_fails_before_anything_moves(hosts, monkeypatch):
    monkeypatch.setattr(pull_attempt.owners, "can_chown", lambda: False)
    tree(hosts.data / "t")
    error = await hosts.fails(hosts.order("/data/t/", "/archive/t/", owner="names"))
    assert error.problem.code == "owner-not-allowed"
    assert "CAP_CHOWN" in error.problem.advice
    assert list(hosts.archive.iterdir()) == []


async def test_a_source_that_does_not_report_owners_is_too_old(hosts, given, monkeypatch):
    tree(hosts.data / "t")
    monkeypatch.setattr(listing, "owner_of", lambda _: None)
    error = await hosts.fails(hosts.order("/data/t/", "/archive/t/", owner="names"))
    assert error.problem.code == "source-too-old"
    assert given == {}


async def test_owners_are_not_looked_up_unless_asked_for(hosts, given, monkeypatch):
    monkeypatch.setattr(listing, "owner_of", lambda _: 1 / 0)
    tree(hosts.data / "t")
    await hosts.move(hosts.order("/data/t/", "/archive/t/"))
    assert given == {}


def test_owners_are_matched_by_name_if_both_hosts_know_it(monkeypatch):
    monkeypatch.setattr(owners, "_user_id", {"alice": 1, "root": 99}.get)
    monkeypatch.setattr(owners, "_group_id", {"staff": 2}.get)
    assert local_ids(ALICE, by_name=True) == (1, 2)
    assert local_ids(ALICE, by_name=False) == (4242, 4343)
    assert local_ids(Owner(5, 6, "bob", ""), by_name=True) == (5, 6)
    assert local_ids(Owner(0, 0, "root", "root"), by_name=True) == (
        0,
        0,
    )  # whatever name that host has for root


def test_names_are_looked_up_on_this_host():
    found = owners.owner_of(Path("/").stat())
    assert found == Owner(0, 0, "root", "root")
    assert owners._user_id("nobody-of-that-name") is None
    assert owners._user(3_999_999_999) == ""
