"""Test that manifest entries round-trip, and that malformed ones are rejected."""

import json
import os
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.files.listing import MAX_NUMBER, FileEntry
from agent.files.owners import Owner
from agent.lane import wire
from events.base import Problem
from events.progress import Loss

names = st.binary(min_size=1, max_size=20).map(lambda raw: raw.replace(b"/", b"_").replace(b"\0", b"_"))
paths = (
    st.lists(names.filter(lambda raw: raw not in (b".", b"..")), max_size=4).map(b"/".join).map(os.fsdecode)
)
numbers = st.integers(0, MAX_NUMBER)
times = st.integers(-MAX_NUMBER, MAX_NUMBER)
ids, owner_names = st.integers(0, wire.MAX_OWNER_ID), names.map(os.fsdecode)
owners = st.builds(Owner, ids, ids, st.just("") | owner_names, st.just("") | owner_names)


def make_entry(*fields, **more) -> FileEntry:
    """Return an entry. With FileEntry itself, Hypothesis would fill in the other fields as well."""
    return FileEntry(*fields, **more)


losses = st.lists(st.sampled_from(get_args(Loss)), max_size=6).map(tuple)

any_entries = st.one_of(
    st.builds(make_entry, st.sampled_from("fd"), paths, numbers, times, ctime_ns=times, lost=losses),
    st.builds(make_entry, st.just("f"), paths, numbers, times, owner=owners, ctime_ns=times),
    st.builds(
        make_entry, st.sampled_from("fd"), paths, numbers, times, st.integers(0, 0o7777), st.booleans()
    ),
    st.builds(make_entry, st.just("l"), paths, mtime_ns=times, target=names.map(os.fsdecode)),
    st.builds(
        make_entry, st.just("!"), paths, problem=st.builds(Problem, code=st.just("gone"), message=st.text())
    ),
)


def read_entry(*fields) -> FileEntry:
    return wire.read_entry(json.loads(json.dumps(fields)))


@given(entry=any_entries)
def test_every_entry_round_trips(entry):
    line = wire.entry_line(entry)
    assert line.isascii()
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert wire.read_entry(json.loads(line)) == entry


@pytest.mark.parametrize(
    "fields",
    [
        [],
        ["f"],
        ["f", "x", 1, 1, 0o644, False],
        ["x", "x", 1, 1, 0o644, False, "", 1],
        [["f"], "x", 1, 1, 0o644, False, "", 1],
        ["f", 7, 1, 1, 0o644, False, "", 1],
        ["f", None, 1, 1, 0o644, False, "", 1],
        ["f", "x", -1, 1, 0o644, False, "", 1],
        ["f", "x", 2**63, 1, 0o644, False, "", 1],
        ["f", "x", 1.5, 1, 0o644, False, "", 1],
        ["f", "x", float("inf"), 1, 0o644, False, "", 1],
        ["f", "x", True, 1, 0o644, False, "", 1],
        ["f", "x", 1, 10**30, 0o644, False, "", 1],
        ["f", "x", 1, 1, "rw", False, "", 1],
        ["f", "x", 1, 1, 0o644, False, "", "now"],
        ["f", "x", 1, 1, 0o644, False, "", 2**63],
        ["l", "x", 0, 1, 0, False, "", 1],
        ["l", "x", 0, 1, 0, False, 5, 1],
        ["l", "x", 0, 1, 0, False, "a\0b", 1],
        ["l", "x", 0, 1, 0, False, "\ud800", 1],
        ["!", "x", 0, 0, 0, False, "", 1],
        ["!", "x", 0, 0, 0, False, "", 1, "it is gone"],
        ["!", "x", 0, 0, 0, False, "", 1, {"code": "NOT A CODE", "message": ""}],
        ["f", "x", 1, 1, 0o644, False, "", 1, None, "root"],
        ["f", "x", 1, 1, 0o644, False, "", 1, None, None, ["soul"]],
        ["f", "x", 1, 1, 0o644, False, "", 1, None, None, ["xattr"] * 100],
        ["f", "x", 1, 1, 0o644, False, "", 1, None, None, 7],
        ["f", "x", 1, 1, 0o644, False, "", 1, None, [0, 0, "root"]],
        ["f", "x", 1, 1, 0o644, False, "", 1, None, [-1, 0, "", ""]],
        ["f", "x", 1, 1, 0o644, False, "", 1, None, [0, 2**32 - 1, "", ""]],
        ["f", "x", 1, 1, 0o644, False, "", 1, None, [0, 0, 7, ""]],
        ["f", "x", 1, 1, 0o644, False, "", 1, None, [0, 0, "a\0b", ""]],
        ["f", "x", 1, 1, 0o644, False, "", 1, None, [0, 0, "", "x" * 300]],
    ],
)
def test_malformed_entries_are_rejected(fields):
    with pytest.raises(wire.ProtocolError):
        read_entry(*fields)


@pytest.mark.parametrize(
    "path", ["/etc", "..", "a/../b", "a/./b", ".", "a//b", "a/", "x\0", "\ud800", "a/\udfff"]
)
def test_paths_outside_the_source_are_rejected(path):
    with pytest.raises(wire.ProtocolError, match="outside the source"):
        read_entry("f", path, 1, 1, 0o644, False, "", 1)


@pytest.mark.parametrize("path", [".crosshaul-1", "a/.crosshaul-hop-0/b"])
def test_names_of_partial_files_are_rejected(path):
    """A partial file of that name may be a hard link to a user's file."""
    with pytest.raises(wire.ProtocolError, match="partial files"):
        read_entry("f", path, 1, 1, 0o644, False, "", 1)


def test_only_permission_bits_are_read():
    assert read_entry("f", "x", 1, 1, 0o104755, False, "", 1).mode == 0o4755
