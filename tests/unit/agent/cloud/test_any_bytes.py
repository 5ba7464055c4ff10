"""Whatever bytes an agent receives, it reports what is wrong with them and continues."""

import base64
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from agent.cloud.command_verifier import CommandVerifier
from agent.config import RootConfig
from agent.files.browse import Browser
from agent.files.listing import is_inside
from agent.hops.commands import CommandHandlers, Commands
from agent.hops.journal import Journal
from agent.lane import requests, wire
from events.commands import Browse, Trust
from events.reports import Browsed, Refused
from tests.support.fakes_agent import AGENT, Signer, move
from tests.support.fuzzing import altered, fuzzed, samples, scalars, values

SIGNER = Signer()
COMMANDS = [one for one in samples("commands").values() if "kind" in one]
DEEP = b"[" * 60_000


def part(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@st.composite
def tokens(draw: st.DrawFn) -> str:
    """Draw three parts, the first two of which are JSON, though not necessarily valid."""
    header = {
        "alg": "ES256",
        "kid": SIGNER.kid,
        **draw(st.dictionaries(st.text(max_size=4), values, max_size=2)),
    }
    pieces = [
        json.dumps(draw(st.just(header) | values)).encode(),
        json.dumps(draw(values)).encode(),
        draw(st.binary()),
    ]
    return ".".join(part(piece) for piece in pieces)


class RecordingOutbox:
    """Records what was reported."""

    def __init__(self) -> None:
        self.reports: list[Any] = []

    def enqueue(self, report: Any) -> None:
        self.reports.append(report)

    enqueue_for_hop = enqueue


@pytest.fixture
def host(tmp_path: Path):
    """Return the command handler, and the outbox for its refusals."""
    journal, outbox = Journal(tmp_path / "journal.db", "reg"), RecordingOutbox()
    unused: Any = None
    verifier = CommandVerifier(AGENT, [SIGNER.jwk])

    def trust_keys(command: Trust, _: str) -> None:
        verifier.trust(key.model_dump() for key in command.keys)

    handlers = CommandHandlers(
        browse=unused,
        read_log=unused,
        watch=unused,
        rotate=unused,
        trust=trust_keys,
        relocate=unused,
        retire=unused,
        discard=unused,
    )
    yield Commands(verifier, journal, outbox, unused, unused, handlers), outbox  # type: ignore[arg-type]
    journal.close()


def refuses(host: tuple[Commands, RecordingOutbox], message: bytes) -> None:
    commands, outbox = host
    before = len(outbox.reports)
    assert commands.accept(message) is None
    [refused] = outbox.reports[before:]
    assert isinstance(refused, Refused)
    assert refused.problem.message
    assert len(Refused.model_validate_json(refused.model_dump_json()).problem.code) > 3


@fuzzed(150)
@given(st.binary())
@example(DEEP)
@example(b'{"token":' + DEEP)
def test_a_message_of_any_bytes_is_refused(host, message):
    refuses(host, message)


@fuzzed(150)
@given(tokens())
@example(f"{part(DEEP)}.e30.AA")
@example(f"{part(json.dumps({'alg': 'ES256', 'kid': SIGNER.kid}).encode())}.{part(DEEP)}.AA")
@example("é.é.é")
@example("\ud800.a.b")
def test_a_token_of_any_parts_is_refused(host, token):
    refuses(host, json.dumps({"wire": 1, "token": token}).encode())


@fuzzed(150)
@given(altered(COMMANDS))
def test_a_signed_command_of_any_shape_is_accepted_or_refused(host, command):
    commands, outbox = host
    before = len(outbox.reports)
    accepted = commands.accept(SIGNER.envelope(command))
    refused = [one for one in outbox.reports[before:] if isinstance(one, Refused)]
    assert (accepted is None) == bool(refused)


@fuzzed(150)
@given(st.dictionaries(st.sampled_from(["exp", "iat", "jti", "aud"]), values, min_size=1))
@example({"exp": 2**70})
@example({"exp": 2**40, "iat": 2**60})
@example({"exp": 1, "jti": "\ud800"})
@example({"jti": ["a"]})
def test_signed_claims_of_any_shape_are_accepted_or_refused(host, claims):
    commands, outbox = host
    before = len(outbox.reports)
    accepted = commands.accept(SIGNER.envelope(move(), **claims))
    refused = [one for one in outbox.reports[before:] if isinstance(one, Refused)]
    assert (accepted is None) == bool(refused)


@fuzzed(150)
@given(st.text(max_size=60), st.none() | st.text(max_size=5))
@example("/data/../../etc", None)
@example("/data/%2e%2e/%2e%2e/etc", None)
@example("/data/\uff0e\uff0e/etc", None)
@example("/data/․․/etc", None)
@example("/dаta", None)
def test_every_browse_is_answered_and_nothing_outside_is_listed(tmp_path, path, after):
    (tmp_path / "data").mkdir(exist_ok=True)
    (tmp_path / "secret").touch()
    browser = Browser([RootConfig(path="/data", directory=tmp_path / "data", access="ro")])
    try:
        command = Browse(request_id="r", path=path, after=after)
    except ValidationError:
        return
    page = browser(command)
    assert Browsed.model_validate_json(page.model_dump_json()) == page
    assert {entry.name for entry in page.entries} <= {"data"}


READERS = {
    "manifest": requests.parse_marked_place,
    "range": requests.parse_range,
    "pack": requests.parse_pack,
    "digests": requests.parse_files,
    "has-mark": requests.parse_directories,
    "delete": requests.parse_deletions,
}
FIELDS = [
    "path",
    "size",
    "mtime_ns",
    "start",
    "length",
    "files",
    "entries",
    "mark",
    "above",
    "below",
    "name",
    "directories",
]


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@fuzzed(150)
@given(st.binary() | st.dictionaries(st.sampled_from(FIELDS), values).map(wire.dump))
@example(DEEP)
def test_a_peer_that_asks_for_anything_gets_an_answer_or_a_refusal(reader, body):
    with suppress(requests.LaneRequestError):
        reader(requests.parse_body(body))


@fuzzed(150)
@given(values | st.lists(scalars, min_size=7, max_size=8))
def test_a_source_that_lists_anything_is_parsed_or_a_protocol_error(fields):
    with suppress(wire.ProtocolError):
        assert is_inside(wire.read_entry(fields).path)
