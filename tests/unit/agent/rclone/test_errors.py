"""Test how rclone's error messages become problems."""

import json

from agent.rclone.errors import error_lines, permanent_s3_problem, transient_s3_problem


def line(**entry: str) -> bytes:
    return json.dumps(entry).encode()


def test_only_errors_are_returned():
    lines = [b"no JSON", b"[1]", line(level="notice", msg="x"), line(level="error", msg="bad", object="a/b")]
    assert list(error_lines(lines)) == [("bad", "a/b")]


def test_loopback_urls_are_removed():
    words = 'Get "http://127.0.0.1:4711/s3cr3t-t0ken/a b": connection refused'
    assert list(error_lines([line(level="error", msg=words)])) == [('Get "a b": connection refused', None)]


def test_permanent_errors_are_told_from_transient_ones():
    assert permanent_s3_problem("api error AccessDenied: no", "s3://b/x").code == "s3-denied"
    assert permanent_s3_problem("directory not found", "s3://b/x").code == "source-missing"
    assert permanent_s3_problem("connection reset", "s3://b/x") is None
    assert transient_s3_problem("connection reset\nmore", "s3://b/x").retryable
    assert "connection reset." in transient_s3_problem("connection reset\nmore", "s3://b/x").message
