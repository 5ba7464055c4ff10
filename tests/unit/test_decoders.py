"""Whatever bytes a decoder is given, it answers: with a value, or with the error that its docstring names.

The inputs are valid ones, with parts replaced, removed, repeated and joined by others. Those that once led to
anything else are files in `tests/corpora`, a folder for each decoder, and are tried first.
"""

import base64
import gzip
import io
import json
import resource
import socket
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

import pytest
from hypothesis import given
from pydantic import TypeAdapter, ValidationError

from agent.cli import live, session
from agent.cli.commands import manifest, templates
from agent.cli.errors import CliError
from agent.config import read_config
from agent.errors import HopError, HostError
from agent.files.listing import FileEntry, Selection
from agent.files.same_place import new_mark
from agent.hops.journal import Journal
from agent.hops.record import HopRecord
from agent.identity.registration import Files, read_registration
from agent.lane import requests, sparse_ranges, wire
from agent.lane.client import LaneClient
from agent.lane.peer_paths import PeerPathCache
from agent.pull.ledger import Ledger, ledger_path, open_ledger
from agent.pull.partial_directories import PartialDirectories
from agent.pull.source import FileError, SourceConnectionError
from agent.quarantine import is_damage
from agent.updating.publisher_keys import PublisherKeys
from agent.updating.state_files import read_health, read_record
from events.base import Problem
from events.commands import Serve
from events.reports import Refused
from events.topics import Topics
from lambdas import adapters, on_report
from lambdas.domain import policy_text
from lambdas.domain.policy_text import InvalidPolicyError
from tests.contract.test_samples import FILES, model_of
from tests.support.fakes_agent import TRANSFER, Signer, a_registration, move
from tests.support.fuzzing import as_json, fuzzed, mutated, samples

CORPORA = Path(__file__).parents[1] / "corpora"
MAX_CPU_S = 3.0
"""Seconds of processor that one input may take: a decoder that is not linear takes more for 70 KB."""
MAX_GROWTH_KIB = 300 * 1024
"""KiB by which all inputs of a decoder may enlarge this process."""


class LaneConnection(socket.socket):
    """A connection in clear text that reads like a TLS socket."""

    def read(self, count: int, buffer: Any) -> int:
        return self.recv_into(buffer, count)


ENTRY = FileEntry("f", "a/b", 40, 1_700_000_000_000_000_000, ctime_ns=1, sparse=True)
LINES = b"".join(
    wire.entry_line(entry)
    for entry in (
        ENTRY,
        FileEntry("d", "a", mtime_ns=-1),
        FileEntry("l", "c", target="../x\udcff"),
        FileEntry("!", "d", problem=Problem(code="gone", message="é")),
    )
)
ENDED = LINES + b'["keepalive"]\n["end",4]\n'


def response(body: bytes, status: str = "200 OK", kind: str = "application/json") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (
        status.encode(),
        kind.encode(),
        len(body),
        body,
    )


def chunked(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


def of_source(ask: Callable[[LaneClient], Any], content: bytes) -> None:
    """Let the destination ask a source that answers with these bytes, and closes the connection."""
    ours, theirs = socket.socketpair()
    connection = LaneConnection(fileno=ours.detach())
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * 1024**2)
    with theirs:
        theirs.settimeout(0)
        with suppress(BlockingIOError):
            theirs.send(content)
        theirs.shutdown(socket.SHUT_WR)
        with closing(LaneClient(connection, "192.0.2.1:4460", f"{TRANSFER}-0", "token")) as client:  # type: ignore[arg-type]
            ask(client)


PACK = response(wire.OK + bytes(16) + bytes(40) + wire.MISSING + bytes(16))
RANGE = response(bytes(40) + bytes(16), kind="application/octet-stream")
PARTS = response(
    sparse_ranges.encode([(0, 10), (30, 10)]) + bytes(20) + bytes(16), kind=sparse_ranges.MEDIA_TYPE
)
PROBLEM = response(Problem(code="gone", message="it is gone").model_dump_json().encode(), "404 Not Found")
REFUSED = response(b'["refused",{"code":"gone","message":""}]\n')
SOURCE_ERRORS = (HopError, SourceConnectionError, FileError)


def asked(parse: Callable[[dict[str, Any]], object], content: bytes) -> None:
    parse(requests.parse_body(content))


class ScriptedPeer:
    """A connection from which these bytes arrive."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def makefile(self, *_: object) -> Any:
        return io.BytesIO(self._content)

    def sendall(self, data: bytes) -> None:
        pass


class AnyRequest(requests.LaneRequestHandler):
    def answer(self) -> None:
        requests.parse_body(self.body(wire.MAX_BODY_BYTES))
        self.head(200, self.token, 0)


def in_file(read: Callable[[Path], object], name: str, content: bytes, folder: Path) -> None:
    path = folder / name
    path.write_bytes(content)
    read(path)


def read_session(path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CROSSHAUL_HOME", str(path.parent))
        found = session.load()
        assert found.is_stale() in {True, False}
        assert isinstance(found.groups, tuple)


def database(fill: Callable[[Path], Any]) -> bytes:
    """Return the content of a database that `fill` opens in a folder of its own and returns."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "filled.db"
        fill(path).close()
        return path.read_bytes()


def filled_journal(path: Path) -> Journal:
    journal = Journal(path, "reg")
    journal.admit("jti-1", 2_000_000_000)
    journal.save_hop(HopRecord(move(), desired_state="pause", paused=True))
    journal.enqueue(Refused.model_validate(samples("reports")["Refused"]))
    journal.grant(Serve.model_validate(samples("commands")["Serve"]), "token")
    return journal


def filled_ledger(path: Path) -> Ledger:
    ledger = Ledger(path)
    ledger.begin("/data/b/")
    ledger.complete_all((FileEntry("f", f"dir/{number}", 1, 1), bytes(16)) for number in range(200))
    return ledger


def in_database(read: Callable[[Path], object], content: bytes, folder: Path) -> None:
    """Read a database of these bytes. Raises DatabaseError if it shows its damage only later."""
    path = ledger_path(Path(mkdtemp(dir=folder)), f"{TRANSFER}-0")
    path.parent.mkdir()
    path.write_bytes(content)
    try:
        read(path)
    except sqlite3.DatabaseError as error:
        if is_damage(error, at_open=True):
            raise
        raise AssertionError(f"a fault of the disk: {error}") from error


def read_journal(path: Path) -> None:
    with closing(Journal(path, "reg")) as journal:
        journal.admit("jti-2", 1)
        while unsent := journal.oldest_unsent():
            journal.discard_unsent(unsent, "read")
        assert all(hop.move for hop in journal.open_hops())
        assert journal.own_certificates() is not None
        journal.prune(time.time())


def read_ledger(path: Path) -> None:
    with closing(open_ledger(path.parents[1], path.stem)) as ledger:
        assert ledger.destination is None or list(ledger.links()) is not None
        assert all(entry.path is not None for entry, _ in ledger.directories())
        assert all(entry.path is not None for entry in ledger.partial_files())
        ledger.begin("/data/c/")


def read_places(path: Path) -> None:
    assert all(place.startswith("/") for place in PartialDirectories(path).recorded())


def read_claims(content: bytes) -> None:
    token = f"e30.{base64.urlsafe_b64encode(content).decode()}.x"
    signed_in = session.Session("https://x", "r", "c", None, "ana", token, "refresh")
    assert signed_in.is_stale() in {True, False}
    assert isinstance(signed_in.groups, tuple)


def read_manifest(content: bytes) -> None:
    class DownloadCase:
        def iter_raw(self) -> list[bytes]:
            return [content[start : start + 1000] for start in range(0, len(content), 1000)]

    for line in manifest._split(manifest._unzipped(DownloadCase())):  # type: ignore[arg-type]
        assert manifest._harmless(line).isascii() or line
        manifest._has_failed(line)


def read_live(content: bytes) -> None:
    messages: SimpleQueue[tuple[str, bytes]] = SimpleQueue()
    messages.put((LIVE_TOPIC, content))
    live._read(messages, 0)


def read_report(content: bytes) -> None:
    """Read it as the broker's rule passes it on: JSON, or nothing at all."""
    with suppress(ValueError, RecursionError):
        on_report.read({"thing": "crosshaul:prod:server-b", "report": json.loads(content)})


Errors = tuple[type[Exception], ...]


@dataclass(frozen=True)
class Decoder:
    """What reads bytes; `read` is called with them, or with a folder, too, if it reads a file."""

    read: Callable[..., object]
    seeds: tuple[bytes, ...]
    errors: Errors = ()
    in_folder: bool = False
    examples: int = 60


def of_file(read: Callable[[Path], object], name: str, *seeds: bytes, errors: Errors = ()) -> Decoder:
    return Decoder(partial(in_file, read, name), seeds, errors, in_folder=True)


CONFIG = b"""state = "/var/lib/crosshaul"
[lane]
listen = "[::]:4460"
advertise = ["10.0.0.2:4460"]
[[roots]]
path = "/data"
directory = "/srv/data"
access = "rw"
"""
SESSION = as_json(
    {
        "url": "https://x",
        "region": "eu-central-1",
        "client_id": "c",
        "endpoint": None,
        "user": "ana",
        "id_token": "e30.eyJleHAiOiAxfQ.x",
        "refresh_token": "r",
    }
)
REGISTRATION = a_registration(Signer()).model_dump_json().encode()
REPORTS = tuple(as_json(one) for one in samples("reports").values())
LIVE = samples("progress")["Live"]
LIVE_TOPIC = Topics("prod").live("server-b", LIVE["transfer_id"], LIVE["hop_id"])
ORDER = {"order": samples("commands")["UpdateAgent"], "issued": 1, "jti": "j", "old": "/opt/crosshaul/0.1.0"}
POLICY = samples("policies")["PolicyRequest"]["text"]
_MANIFEST = b"".join(as_json(one) + b"\n" for one in samples("manifest").values())
DECODERS = {
    "lane-request": Decoder(
        lambda content: AnyRequest(ScriptedPeer(content), ("192.0.2.1", 1)),  # type: ignore[arg-type]
        (b"POST /hops/x-0/pack HTTP/1.1\r\nAuthorization: Bearer t\r\nContent-Length: 2\r\n\r\n{}",),
        (ConnectionResetError,),
    ),
    "lane-requested-range": Decoder(
        partial(asked, requests.parse_range),
        (as_json({"path": "a", "size": 9, "mtime_ns": 1, "ctime_ns": 1, "start": 0, "length": 9}),),
        (requests.LaneRequestError,),
    ),
    "lane-requested-files": Decoder(
        partial(asked, requests.parse_pack),
        (as_json({"files": [["a", 1, 1, 1], ["b/c", 2, 2, 2]]}),),
        (requests.LaneRequestError,),
    ),
    "lane-requested-deletions": Decoder(
        partial(asked, requests.parse_deletions),
        (as_json({"mark": new_mark(f"{TRANSFER}-0"), "name": "a", "entries": [["f", "a", 1, 1, 1, ""]]}),),
        (requests.LaneRequestError,),
    ),
    "lane-listing": Decoder(
        partial(of_source, lambda client: list(client.manifest(Selection()))),
        (response(ENDED), chunked(ENDED), PROBLEM, REFUSED),
        SOURCE_ERRORS,
        examples=150,
    ),
    "lane-range": Decoder(
        partial(of_source, lambda client: client.range(ENTRY, 0, 40, lambda data: None, lambda count: None)),
        (RANGE, PARTS, PROBLEM),
        SOURCE_ERRORS,
        examples=150,
    ),
    "lane-pack": Decoder(
        partial(of_source, lambda client: list(client.pack([ENTRY, ENTRY]))), (PACK, PROBLEM), SOURCE_ERRORS
    ),
    "lane-digests": Decoder(
        partial(of_source, lambda client: list(client.digests([ENTRY]))),
        (response(bytes(16) + wire.OK), PROBLEM),
        SOURCE_ERRORS,
    ),
    "lane-states": Decoder(
        partial(of_source, lambda client: list(client.delete_entries([ENTRY, ENTRY], "m", "a"))),
        (response(wire.OK + wire.SAME), PROBLEM),
        SOURCE_ERRORS,
    ),
    "lane-probe": Decoder(
        partial(of_source, lambda client: client.probe(1)),
        (response(b""), PROBLEM),
        (*SOURCE_ERRORS, OSError),
    ),
    "agent-toml": of_file(read_config, "agent.toml", CONFIG, errors=(HostError,)),
    "registration": of_file(
        lambda path: read_registration(Files(path.parent)),
        "registration.json",
        REGISTRATION,
        errors=(HostError,),
    ),
    "peer-paths": of_file(
        lambda path: PeerPathCache(path).all(),
        "routes.json",
        as_json({"server-c": {"dialed": True, "address": "10.0.0.2:1"}}),
    ),
    "update-record": of_file(read_record, "update.json", as_json(ORDER)),
    "update-verdict": of_file(
        read_health,
        "update-verdict",
        as_json({"update_id": "a" * 12, "version": "0.1.0", "healthy": True, "troubles": {"clock": "x"}}),
    ),
    "publisher-keys": of_file(
        lambda path: PublisherKeys(path.parent / "agent.toml").trusted(),
        "releases.json",
        as_json({"keys": ["A" * 43], "newest": 1}),
        errors=(HostError,),
    ),
    "session": of_file(read_session, "session.json", SESSION, errors=(CliError,)),
    "journal": Decoder(
        partial(in_database, read_journal),
        (database(filled_journal),),
        (sqlite3.DatabaseError,),
        in_folder=True,
        examples=40,
    ),
    "ledger": Decoder(
        partial(in_database, read_ledger),
        (database(filled_ledger),),
        (sqlite3.DatabaseError,),
        in_folder=True,
        examples=40,
    ),
    "places": of_file(read_places, "hop.places", b"/data/a\0/data/b\xff\0"),
    "policy": Decoder(
        lambda content: policy_text.statements(content.decode(errors="surrogateescape")),
        (POLICY.encode(),),
        (InvalidPolicyError,),
    ),
    "session-claims": Decoder(read_claims, (as_json({"exp": 1, "cognito:groups": ["admin"]}),)),
    "template-yaml": of_file(
        templates._read,
        "template.yaml",
        as_json(samples("requests")["TemplateRequest"]),
        b"name: a\ntrigger: {bucket: media, prefix: a/}\ndestinations: [server-b:/data/]\n---\n",
        errors=(CliError,),
    ),
    "manifest": Decoder(
        lambda content: read_manifest(gzip.compress(content, 1)),
        tuple(as_json(one) + b"\n" for one in samples("manifest").values()),
        (CliError,),
    ),
    "manifest-gzip": Decoder(read_manifest, (gzip.compress(_MANIFEST),), (CliError,)),
    "live": Decoder(read_live, (as_json(LIVE),)),
    "report": Decoder(read_report, REPORTS, examples=200),
}


def corpus(name: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((CORPORA / name).glob("*"))]


def answered(decoder: Decoder, content: bytes, folder: Path) -> None:
    """Decode these bytes: a value, or one of the decoder's errors, in bounded time."""
    begun = time.thread_time()
    with suppress(*decoder.errors):
        decoder.read(content, folder) if decoder.in_folder else decoder.read(content)
    assert time.thread_time() - begun < MAX_CPU_S


@pytest.fixture(autouse=True)
def of_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapters, "topics", lambda: Topics("prod"))


@pytest.mark.parametrize("name", DECODERS)
def test_every_valid_input_is_read(name: str, tmp_path: Path) -> None:
    decoder = DECODERS[name]
    for seed in decoder.seeds:
        with suppress(FileError, HopError):  # an input may be a refusal, well written
            decoder.read(seed, tmp_path) if decoder.in_folder else decoder.read(seed)


@pytest.mark.parametrize("name", DECODERS)
def test_any_bytes_lead_to_a_value_or_a_typed_error(name: str, tmp_path: Path) -> None:
    decoder = DECODERS[name]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for content in corpus(name):
        answered(decoder, content, tmp_path)

    @fuzzed(decoder.examples)
    @given(mutated([*decoder.seeds, *corpus(name)]))
    def is_answered(content: bytes) -> None:
        answered(decoder, content, tmp_path)

    is_answered()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MAX_GROWTH_KIB


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_any_message_of_the_wire_is_refused_or_the_same_when_it_is_written_again(path: Path) -> None:
    adapter = TypeAdapter(model_of(path))
    inputs = corpus(f"{path.parent.name}-{path.stem}")

    def is_stable(content: bytes) -> None:
        with suppress(ValidationError):
            message = adapter.validate_json(content)
            written = adapter.dump_json(message)
            assert adapter.dump_json(adapter.validate_json(written)) == written

    for content in inputs:
        is_stable(content)
    fuzzed(25)(given(mutated([path.read_bytes(), *inputs]))(is_stable))()
