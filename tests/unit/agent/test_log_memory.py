"""What an agent remembers of its log is bounded, fits into a report, and has no secrets."""

import json
import logging
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.logs import MAX_LINE_CHARACTERS, MAX_REMEMBERED_CHARACTERS, MAX_REMEMBERED_LINES, LogMemory
from agent.report_limits import MAX_REPORT_BYTES, message_size
from events.commands import ReadLog
from events.sizes import json_bytes
from tests.support.fakes_agent import Signer, move

CANARY = "c4n4ry+s3cr3t/V4lue=="


@pytest.fixture
def memory():
    """The memory of a real logger, as `logs.set_up` attaches it."""
    found = LogMemory()
    logger = logging.getLogger("agent")
    level = logger.level
    logger.addHandler(found)
    logger.setLevel("INFO")
    yield found
    logger.removeHandler(found)
    logger.setLevel(level)


log = logging.getLogger("agent.test")


def ask(lines: int = 1000, since: datetime | None = None) -> ReadLog:
    return ReadLog(request_id="r", lines=lines, since=since)


def text(memory: LogMemory) -> str:
    return "\n".join(memory.excerpt(ask()).lines)


@pytest.mark.parametrize(
    "secret",
    [
        f"https://b.s3.amazonaws.com/k?X-Amz-Signature={CANARY}&X-Amz-Date=20261124T000000Z",
        f"https://b.s3.amazonaws.com/k?X-Amz-Security-Token={CANARY}",
        f"https://b.s3.amazonaws.com/k?X-Amz-Credential={CANARY}/20261124/eu/s3/aws4_request",
        f"proxy http://ann:{CANARY.replace('/', '_')}@proxy.example:3128 refused",
        f"Authorization: Bearer {CANARY}",
        f"authorization='Basic {CANARY}'",
        f"secret_access_key={CANARY}",
        f'{{"SecretAccessKey": "{CANARY}", "SessionToken": "{CANARY}"}}',
        f"X-Agent-Key: {CANARY}",
        f"RCLONE_CONFIG_PASSWORD={CANARY}",
        f"-----BEGIN EC PRIVATE KEY-----\n{CANARY}\n{CANARY}\n-----END EC PRIVATE KEY-----",
    ],
)
def test_a_secret_in_an_error_of_a_library_is_not_remembered_wherever_it_is(memory, secret):
    log.warning("answer of S3: %s", secret)
    log.warning("request failed", extra={"reason": secret, "advice": "try again"})
    log.error("hop failed unexpectedly", exc_info=ValueError(secret), extra={"hop_id": "h-0"})
    found = text(memory)
    assert "c4n4ry" not in found
    assert found.count("[hidden]") >= 3
    assert "hop_id=h-0" in found, "what is no secret is there"
    assert 'advice="try again"' in found


def test_a_line_that_cannot_be_written_does_not_end_who_logs_it(memory, monkeypatch):
    """A library's warning has fewer values than its text."""
    monkeypatch.setattr(logging, "raiseExceptions", False)  # which only prints a traceback
    words = "%d of %d"
    log.warning(words, 1)
    log.warning("the next one")
    assert "the next one" in text(memory)


def test_a_signed_command_and_the_id_of_a_key_are_not_remembered(memory):
    token = Signer().token(move())
    log.info("message", extra={"token_of": token, "key": "ASIAIOSFODNN7EXAMPLE"})
    log.info(token)
    found = text(memory)
    assert token.split(".")[2] not in found
    assert "ASIAIOSFODNN7EXAMPLE" not in found


def test_what_only_sounds_like_a_secret_is_shown(memory):
    log.info("command", extra={"kind": "move", "hop_id": "abc-0", "command_id": "jti-1"})
    log.warning("the command's token is not valid: Signature verification failed")
    log.info("uploaded", extra={"path": "/data/tokens/password.txt", "bytes": 5})
    assert "[hidden]" not in text(memory)


@given(st.lists(st.text(max_size=300), max_size=400), st.integers(1, 1000))
def test_every_excerpt_fits_into_a_report_and_has_the_latest_lines(texts, lines):
    memory = LogMemory()
    for one in texts:
        memory.handle(logging.makeLogRecord({"msg": "m", "levelname": "INFO", "reason": one * 10}))
    excerpt = memory.excerpt(ask(lines))
    assert message_size(excerpt) <= MAX_REPORT_BYTES
    everything = memory.excerpt(ask(1000))
    assert excerpt.lines == everything.lines[-len(excerpt.lines) :] or not excerpt.lines
    assert len(excerpt.lines) + excerpt.omitted == min(lines, len(texts))
    assert all(line.isprintable() for line in excerpt.lines)


def test_what_is_left_out_is_counted():
    memory = LogMemory()
    for _ in range(100):
        memory.handle(logging.makeLogRecord({"msg": "x" * 3000, "levelname": "INFO"}))
    excerpt = memory.excerpt(ask(100))
    assert message_size(excerpt) <= MAX_REPORT_BYTES
    assert 0 < excerpt.omitted < 100
    assert len(excerpt.lines) == 100 - excerpt.omitted


@pytest.mark.parametrize("characters", [3, 300, 5_000])
def test_a_million_lines_take_a_bounded_memory(characters):
    """Short ones are limited by their number, longer ones by their length, a very long one is cut."""
    memory = LogMemory()
    for number in range(MAX_REMEMBERED_LINES + 500 if characters < MAX_LINE_CHARACTERS else 300):
        memory.handle(logging.makeLogRecord({"msg": f"{number} " + "x" * characters, "levelname": "INFO"}))
    remembered = memory.excerpt(ask(1000))
    assert "xxx" in remembered.lines[-1]
    assert max(map(len, remembered.lines)) <= MAX_LINE_CHARACTERS
    assert sum(len(line) for _, line in memory._lines) <= MAX_REMEMBERED_CHARACTERS
    assert len(memory._lines) <= MAX_REMEMBERED_LINES


def test_only_lines_since_a_time_and_how_far_the_memory_goes():
    memory, now = LogMemory(), datetime.now(UTC)
    for hours in (3, 2, 1):
        created = (now - timedelta(hours=hours)).timestamp()
        memory.handle(
            logging.makeLogRecord({"msg": f"{hours} h ago", "levelname": "INFO", "created": created})
        )
    excerpt = memory.excerpt(ask(since=now - timedelta(hours=2, minutes=30)))
    assert [line.split("msg=")[1] for line in excerpt.lines] == ['"2 h ago"', '"1 h ago"']
    assert excerpt.remembered_since is not None
    assert abs(excerpt.remembered_since - (now - timedelta(hours=3))) < timedelta(seconds=1)
    assert LogMemory().excerpt(ask()).remembered_since is None


def test_a_hostile_name_takes_no_time_to_be_looked_at_for_secrets():
    """A pattern that tries all splits of a name would take minutes for these."""
    memory = LogMemory()
    for one in (
        "a-" * 50_000,
        "token" * 20_000,
        "://" * 30_000,
        "://" + ":" * 50_000,
        "eyJ" * 30_000,
        "-eyJ" * 25_000,
        "-----BEGIN PRIVATE KEY-----" * 3_000,
    ):
        memory.handle(logging.makeLogRecord({"msg": "m", "levelname": "INFO", "path": one}))
    assert json_bytes(json.dumps(memory.excerpt(ask()).lines)) > 0
