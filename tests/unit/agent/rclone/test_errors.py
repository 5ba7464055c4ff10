"""Test how rclone's error messages become problems."""

import json

from agent.rclone.errors import error_lines, problem_of


def line(**entry: str) -> bytes:
    return json.dumps(entry).encode()


def test_only_errors_are_returned():
    lines = [b"no JSON", b"[1]", line(level="notice", msg="x"), line(level="error", msg="bad", object="a/b")]
    assert list(error_lines(lines)) == [("bad", "a/b")]


def test_loopback_urls_are_removed():
    words = 'Get "http://127.0.0.1:4711/s3cr3t-t0ken/a b": connection refused'
    assert list(error_lines([line(level="error", msg=words)])) == [('Get "a b": connection refused', None)]


def test_permanent_errors_are_told_from_transient_ones():
    assert problem_of("401 Unauthorized", "server-b:nas:x").code == "remote-denied"
    assert problem_of("directory not found", "server-b:nas:x").code == "source-missing"
    failed = problem_of("connection reset\nmore", "server-b:nas:x")
    assert (failed.code, failed.retryable) == ("remote-failed", True)
    assert "connection reset." in failed.message
