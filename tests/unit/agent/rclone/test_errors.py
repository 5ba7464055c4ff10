"""What rclone says, in our words."""

import json

from agent.rclone.errors import error_lines, permanent_s3_problem, transient_s3_problem


def line(**entry: str) -> bytes:
    return json.dumps(entry).encode()


def test_only_errors_count_and_noise_does_not_matter():
    lines = [b"no JSON", b"[1]", line(level="notice", msg="x"), line(level="error", msg="bad", object="a/b")]
    assert list(error_lines(lines)) == [("bad", "a/b")]


def test_the_agent_s_own_addresses_are_not_told():
    words = 'Get "http://127.0.0.1:4711/s3cr3t-t0ken/a b": connection refused'
    assert list(error_lines([line(level="error", msg=words)])) == [('Get "a b": connection refused', None)]


def test_what_another_try_would_meet_again_is_told_from_what_may_pass():
    assert permanent_s3_problem("api error AccessDenied: no", "s3://b/x").code == "s3-denied"
    assert permanent_s3_problem("directory not found", "s3://b/x").code == "source-missing"
    assert permanent_s3_problem("connection reset", "s3://b/x") is None
    assert transient_s3_problem("connection reset\nmore", "s3://b/x").retryable
    assert "connection reset." in transient_s3_problem("connection reset\nmore", "s3://b/x").message
