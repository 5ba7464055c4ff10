"""Whatever bytes an agent is sent, it says what is wrong with them, and goes on."""

import base64
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from agent.cloud.command_verifier import CommandVerifier
from agent.config import RootConfig
from agent.files.browse import Browser
from agent.files.listing import is_inside
from agent.hops.commands import Commands
from agent.hops.journal import Journal
from agent.lane import requests, wire
from events.commands import Browse, Trust
from events.reports import Browsed, Refused
from tests.support.fakes_agent import AGENT, Signer, move

SIGNER = Signer()
SAMPLES = [json.loads(file.read_text()) for file in sorted(Path("events/samples/commands").glob("*.json"))]
anyhow = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)
DEEP = b"[" * 60_000


def part(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@st.composite
def commands(draw: st.DrawFn) -> dict[str, Any]:
    """A command with anything in the place of one of its fields."""
    sample = draw(st.sampled_from([one for one in SAMPLES if "kind" in one]))
    return {**sample, draw(st.sampled_from(sorted(sample))): draw(values)}


@st.composite
def tokens(draw: st.DrawFn) -> str:
    """Three parts, of which the first two are JSON, or nothing of the kind."""
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
    """Remembers what was said."""

    def __init__(self) -> None:
        self.posted: list[Any] = []

    def post(self, report: Any) -> None:
        self.posted.append(report)

    say = post


@pytest.fixture
def host(tmp_path: Path):
    """What admits letters, and whom it tells of those that it refuses."""
    journal, desk = Journal(tmp_path / "journal.db", "reg"), RecordingOutbox()
    unused: Any = None
    verifier = CommandVerifier(AGENT, [SIGNER.jwk])

    def heed(command: Trust, _: str) -> None:
        verifier.trust(key.model_dump() for key in command.keys)

    yield Commands(verifier, journal, desk, *[unused] * 4, heed, unused), desk  # type: ignore[arg-type]
    journal.close()


def refuses(host: tuple[Commands, RecordingOutbox], letter: bytes) -> None:
    commands, desk = host
    before = len(desk.posted)
    assert commands.accept(letter) is None
    [refused] = desk.posted[before:]
    assert isinstance(refused, Refused)
    assert refused.problem.message
    assert len(Refused.model_validate_json(refused.model_dump_json()).problem.code) > 3


@anyhow
@given(st.binary())
@example(DEEP)
@example(b'{"token":' + DEEP)
def test_no_letter_of_any_bytes_is_obeyed(host, letter):
    refuses(host, letter)


@anyhow
@given(tokens())
@example(f"{part(DEEP)}.e30.AA")
@example(f"{part(json.dumps({'alg': 'ES256', 'kid': SIGNER.kid}).encode())}.{part(DEEP)}.AA")
@example("é.é.é")
@example("\ud800.a.b")
def test_no_token_of_any_parts_is_obeyed(host, token):
    refuses(host, json.dumps({"wire": 1, "token": token}).encode())


@anyhow
@given(commands())
def test_a_signed_command_of_any_shape_is_understood_or_refused(host, command):
    admits, desk = host
    before = len(desk.posted)
    obeyed = admits.admit(SIGNER.letter(command))
    refused = [one for one in desk.posted[before:] if isinstance(one, Refused)]
    assert (obeyed is None) == bool(refused)


@anyhow
@given(st.dictionaries(st.sampled_from(["exp", "iat", "jti", "aud"]), values, min_size=1))
@example({"exp": 2**70})
@example({"exp": 2**40, "iat": 2**60})
@example({"exp": 1, "jti": "\ud800"})
@example({"jti": ["a"]})
def test_signed_claims_of_any_shape_are_understood_or_refused(host, claims):
    admits, desk = host
    before = len(desk.posted)
    obeyed = admits.admit(SIGNER.letter(move(), **claims))
    refused = [one for one in desk.posted[before:] if isinstance(one, Refused)]
    assert (obeyed is None) == bool(refused)


@anyhow
@given(st.text(max_size=60), st.none() | st.text(max_size=5))
@example("/data/../../etc", None)
@example("/data/%2e%2e/%2e%2e/etc", None)
@example("/data/\uff0e\uff0e/etc", None)
@example("/data/․․/etc", None)
@example("/dаta", None)
def test_whatever_is_browsed_is_answered_and_nothing_outside_is_shown(tmp_path, path, after):
    (tmp_path / "data").mkdir(exist_ok=True)
    (tmp_path / "secret").touch()
    browser = Browser([RootConfig(path="/data", directory=tmp_path / "data", access="ro")])
    try:
        asked_for = Browse(request_id="r", path=path, after=after)
    except ValidationError:
        return
    answer = browser(asked_for)
    assert Browsed.model_validate_json(answer.model_dump_json()) == answer
    assert {entry.name for entry in answer.entries} <= {"data"}


READERS = {
    "manifest": requests.parse_selection,
    "range": requests.parse_range,
    "pack": requests.parse_pack,
    "digests": requests.parse_files,
    "shows": requests.parse_directories,
    "clear": requests.parse_deletions,
}
FIELDS = [
    "symlinks",
    "selection",
    "include",
    "exclude",
    "path",
    "size",
    "mtime_ns",
    "start",
    "length",
    "files",
    "gone",
    "mark",
    "above",
    "below",
    "name",
    "folders",
]


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@anyhow
@given(st.binary() | st.dictionaries(st.sampled_from(FIELDS), values).map(wire.dump))
@example(DEEP)
def test_a_peer_that_asks_for_anything_gets_an_answer_or_a_refusal(reader, body):
    with suppress(requests.LaneRequestError):
        reader(requests.parse_body(body))


@anyhow
@given(values | st.lists(scalars, min_size=7, max_size=8))
def test_a_source_that_lists_anything_is_understood_or_misbehaves(fields):
    with suppress(wire.ProtocolError):
        assert is_inside(wire.read_entry(fields).path)
