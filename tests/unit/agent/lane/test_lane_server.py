"""Test access to the lane and its responses: a real listener with hand-written requests."""

import contextlib
import errno
import http.client
import json
import logging
import os
import resource
import socket
import ssl
import struct
import threading
import time
from collections import deque
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.errors import HopError
from agent.files.digests import DIGEST_BYTES, MAX_PACK_FILES, RANGE_BYTES, digest_of
from agent.files.same_place import new_mark
from agent.identity import lane_certificate
from agent.lane import pending_connections, request_handler, wire
from agent.lane.grants import client_context
from agent.lane.limits import LaneLimits
from agent.lane.listener import Listener
from events.commands import Peer, Serve
from events.options import Options
from infra.local.demo_files import MIB, write_random
from tests.support.hosts import TOKEN, TRANSFER, Hosts, with_lane_limits
from tests.support.waiting import HANG_TIMEOUT_S, until

HOP, OTHER = f"{TRANSFER}-500", f"{TRANSFER}-501"
ALL: dict[str, object] = {}


@pytest.fixture
def hosts(tmp_path, lane_limits):
    hosts = Hosts(tmp_path, lane_limits=lane_limits)
    hosts.serve(HOP, "/data/")
    yield hosts
    hosts.close()


def dial(hosts, hop: str = HOP, who=None) -> ssl.SSLSocket:
    context = client_context(who or hosts.c, hosts.b.certificate.read_text())
    plain = socket.create_connection(("127.0.0.1", hosts.server.port), HANG_TIMEOUT_S)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        return context.wrap_socket(plain, server_hostname=hop)
    except BaseException:
        plain.close()
        raise


class LaneTestClient:
    """One connection to the lane."""

    def __init__(self, hosts, hop: str = HOP, who=None) -> None:
        self.http = http.client.HTTPConnection("lane")
        self.http.sock = dial(hosts, hop, who)
        self.http.auto_open = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.http.close()

    def request(self, verb: str, body, hop: str = HOP, token: str = TOKEN, **headers: str):
        raw = body if isinstance(body, bytes) else wire.dump(body)
        self.http.request("POST", f"/hops/{hop}/{verb}", raw, {"Authorization": f"Bearer {token}", **headers})
        answer = self.http.getresponse()
        return answer.status, answer.read()

    def problem_code(self, verb: str, body, **more: str) -> tuple[int, str]:
        status, answer = self.request(verb, body, **more)
        return status, json.loads(answer)["code"]


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def file_fields(path: Path, name: str) -> dict[str, object]:
    found = path.stat()
    return {"path": name, "size": found.st_size, "mtime_ns": found.st_mtime_ns, "ctime_ns": 0}


class TestAccess:
    def test_the_peer_of_a_hop_may_read_that_hop_only(self, hosts):
        with LaneTestClient(hosts) as client:
            assert client.request("manifest", ALL)[0] == 200
            assert client.problem_code("manifest", {}, token="wrong") == (401, "not-served")
            assert client.problem_code("manifest", {}, hop=OTHER) == (401, "not-served")

    @pytest.mark.parametrize("hop", [OTHER, "x"])
    def test_a_hop_that_is_not_served_is_refused(self, hosts, hop):
        with pytest.raises((ssl.SSLError, ConnectionError, ValueError)):
            dial(hosts, hop).recv(1)

    def test_not_another_agent(self, hosts, tmp_path):
        """Even with a certificate of the same names, and the token."""
        (tmp_path / "mallory").mkdir()
        mallory = lane_certificate.ensure(tmp_path / "mallory")
        write_random(hosts.data / "big", RANGE_BYTES)
        with dial(hosts, who=mallory) as connection:
            with contextlib.suppress(OSError):  # the handshake may have been refused by now
                connection.sendall(range_request(hosts.data / "big"))
            assert read_to_end(connection) == b"", "not even a refusal"

    def test_the_token_is_good_for_the_certificate_of_its_peer_alone(self, hosts, tmp_path):
        """Whatever the handshake let through."""
        (tmp_path / "mallory").mkdir()
        mallory = lane_certificate.ensure(tmp_path / "mallory")
        grant = hosts.server.grants.get(HOP)
        own, other = (ssl.PEM_cert_to_DER_cert(who.certificate.read_text()) for who in (hosts.c, mallory))
        assert grant.admits(TOKEN, own)
        assert not grant.admits(TOKEN, other)
        assert not grant.admits(TOKEN, None)
        assert not grant.admits("wrong", own)

    def test_two_peers_at_once_may_read_only_their_own_hop(self, hosts, tmp_path):
        """Both are trusted, neither for the other's hop."""
        (tmp_path / "d-keys").mkdir()
        d = lane_certificate.ensure(tmp_path / "d-keys")
        hosts.server.allow(serve_command(hosts, OTHER, d), "d's token")
        with LaneTestClient(hosts) as client:
            assert client.request("manifest", ALL)[0] == 200
        with LaneTestClient(hosts, OTHER, who=d) as client:
            assert client.request("manifest", ALL, hop=OTHER, token="d's token")[0] == 200
            assert client.problem_code("manifest", ALL, hop=HOP) == (401, "not-served")
        with dial(hosts, HOP, who=d) as connection:
            assert read_to_end(connection) == b""

    def test_an_expired_grant_is_refused(self, hosts):
        late = serve_command(hosts, OTHER, hosts.c).model_copy(
            update={"until": datetime.now(UTC) - timedelta(seconds=1)}
        )
        hosts.server.allow(late, TOKEN)
        with LaneTestClient(hosts, OTHER) as client:
            assert client.problem_code("manifest", {}, hop=OTHER) == (401, "not-served")

    def test_revoking_a_hop_closes_its_connections(self, hosts):
        write_random(hosts.data / "big", RANGE_BYTES)
        with dial(hosts) as connection:
            connection.sendall(range_request(hosts.data / "big"))
            assert connection.recv(100)
            hosts.server.revoke(HOP)
            assert len(read_to_end(connection)) < RANGE_BYTES

    def test_an_unfinished_handshake_delays_no_other_peer(self, hosts):
        with socket.create_connection(("127.0.0.1", hosts.server.port)), LaneTestClient(hosts) as client:
            assert client.request("manifest", ALL)[0] == 200

    def test_a_path_outside_the_roots_is_not_served_at_all(self, hosts):
        with pytest.raises(HopError) as caught:
            hosts.serve(OTHER, "/etc/")
        assert caught.value.problem.code == "outside-roots"

    def test_an_unreadable_certificate_is_refused(self, hosts):
        wrong = serve_command(hosts, OTHER, hosts.c)
        wrong = wrong.model_copy(update={"peer": wrong.peer.model_copy(update={"certificate": "no PEM"})})
        with pytest.raises(HopError) as caught:
            hosts.server.allow(wrong, TOKEN)
        assert caught.value.problem.code == "peer-certificate"


def serve_command(hosts, hop: str, peer) -> Serve:
    return Serve(
        transfer_id=TRANSFER,
        hop_id=hop,
        attempt=1,
        path="/data/",
        peer=Peer(agent_id="server-d", certificate=peer.certificate.read_text()),
        until=datetime.now(UTC) + timedelta(hours=1),
    )


def range_request(file: Path) -> bytes:
    """Return a request for a file's first range, as bytes."""
    body = wire.dump({**file_fields(file, file.name), "start": 0, "length": RANGE_BYTES})
    lines = (
        f"POST /hops/{HOP}/range HTTP/1.1",
        f"Authorization: Bearer {TOKEN}",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join([*lines, "", ""]).encode() + body


def read_to_end(connection: ssl.SSLSocket) -> bytes:
    """Return what arrives until the other side closes the connection."""
    got = b""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while data := connection.recv(MIB):
            got += data
    return got


class TestResponses:
    def test_ranges_with_their_digest(self, hosts):
        write_random(hosts.data / "file", MIB + 10)
        data = (hosts.data / "file").read_bytes()
        with LaneTestClient(hosts) as client:
            for start, length in ((0, MIB + 10), (5, 0), (MIB, 10)):
                asked = {**file_fields(hosts.data / "file", "file"), "start": start, "length": length}
                status, answer = client.request("range", asked)
                piece = data[start : start + length]
                assert (status, answer) == (200, piece + digest_of(piece))

    def test_packs(self, hosts):
        for name in ("a", "b", "changed"):
            write_random(hosts.data / name, 100)
        files = [[name, 100, (hosts.data / name).stat().st_mtime_ns, 0] for name in ("a", "b", "changed")]
        (hosts.data / "changed").write_text("now")
        with LaneTestClient(hosts) as client:
            status, answer = client.request("pack", {"files": [*files, ["gone", 5, 5, 0]]})
        a, b = (hosts.data / "a").read_bytes(), (hosts.data / "b").read_bytes()
        nothing = bytes(DIGEST_BYTES)
        expected = wire.OK + digest_of(a) + a + wire.OK + digest_of(b) + b
        assert (status, answer) == (200, expected + wire.CHANGED + nothing + wire.MISSING + nothing)

    def test_hundreds_of_requests_on_one_connection_leave_nothing_open(self, hosts):
        write_random(hosts.data / "file", 10)
        asked = {**file_fields(hosts.data / "file", "file"), "start": 0, "length": 10}
        with LaneTestClient(hosts) as client:
            client.request("range", asked)
            before = open_descriptors()
            for _ in range(300):
                assert client.request("range", asked)[0] == 200
            assert open_descriptors() <= before + 3

    @pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "a/../../x", "a//b", ".", "x\0y", 7, None])
    def test_paths_that_lead_elsewhere_are_refused(self, hosts, path):
        with LaneTestClient(hosts) as client:
            asked = {"path": path, "size": 1, "mtime_ns": 1, "ctime_ns": 1, "start": 0, "length": 1}
            assert client.problem_code("range", asked)[0] == 400
            assert client.problem_code("pack", {"files": [[path, 1, 1, 1]]})[0] == 400
            marked = {"mark": new_mark(HOP), "above": path, "below": path}
            assert client.problem_code("manifest", marked)[0] == 400

    @pytest.mark.parametrize(
        ("verb", "body"),
        [
            ("range", b"{no json"),
            ("range", b"[1]"),
            ("range", {}),
            ("range", {"path": "x", "size": 1, "mtime_ns": 1, "ctime_ns": 1, "start": -1, "length": 1}),
            (
                "range",
                {"path": "x", "size": 1, "mtime_ns": 1, "ctime_ns": 1, "start": 0, "length": RANGE_BYTES + 1},
            ),
            ("range", {"path": "x", "size": 1, "mtime_ns": 1, "ctime_ns": 1, "start": "one", "length": 1}),
            ("pack", {"files": [["x", 1, 1, 1]] * (MAX_PACK_FILES + 1)}),
            ("pack", {"files": [["x", 10**12, 1, 1]]}),
            ("pack", {"files": 5}),
            ("digests", {"files": [["x", 2**62, 1, 1]]}),
            ("digests", {"files": [["x", 2**45, 1, 1]] * 2}),
            ("manifest", {"mark": 5, "above": "", "below": ""}),
            ("manifest", {"mark": new_mark(HOP), "above": 5, "below": ""}),
        ],
    )
    def test_a_malformed_request_is_refused_and_the_connection_stays_usable(self, hosts, verb, body):
        with LaneTestClient(hosts) as client:
            assert client.problem_code(verb, body) == (400, "malformed")
            assert client.request("manifest", ALL)[0] == 200

    def test_a_body_without_a_length_or_too_large_is_refused(self, hosts):
        for length in ("", "Content-Length: -5\r\n", f"Content-Length: {wire.MAX_BODY_BYTES + 1}\r\n"):
            with dial(hosts) as connection:
                head = f"POST /hops/{HOP}/range HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\n"
                connection.sendall(f"{head}{length}\r\n".encode())
                assert connection.recv(100).startswith(b"HTTP/1.1 413")

    @pytest.mark.parametrize("path", ["/", "/hops", f"/hops/{HOP}", f"/hops/{HOP}/format", "/etc/passwd"])
    def test_unknown_paths_and_verbs_are_not_found(self, hosts, path):
        with LaneTestClient(hosts) as client:
            client.http.request("POST", path, b"{}", {"Authorization": f"Bearer {TOKEN}"})
            assert client.http.getresponse().status == 404

    def test_a_file_that_has_changed_is_not_sent(self, hosts):
        write_random(hosts.data / "file", 100)
        asked = {**file_fields(hosts.data / "file", "file"), "start": 0, "length": 100}
        write_random(hosts.data / "file", 101)
        with LaneTestClient(hosts) as client:
            assert client.problem_code("range", asked) == (409, "source-changed")
            (hosts.data / "file").unlink()
            assert client.problem_code("range", asked) == (404, "source-missing")

    def test_a_file_that_shrinks_while_it_is_sent_never_gets_a_digest(self, hosts):
        write_random(hosts.data / "file", RANGE_BYTES)
        with dial(hosts) as connection:
            connection.sendall(range_request(hosts.data / "file"))
            got = len(connection.recv(1000))
            os.truncate(hosts.data / "file", 10)
            got += len(read_to_end(connection))
        assert got < RANGE_BYTES

    def test_names_that_are_not_utf8(self, hosts):
        name = os.fsdecode(b"latin-\xfc")
        (hosts.data / name).write_bytes(b"x")
        with LaneTestClient(hosts) as client:
            _, answer = client.request("manifest", ALL)
            listed = [json.loads(line) for line in answer.splitlines()]
            assert name in [fields[1] for fields in listed[:-1]]
            asked = {**file_fields(hosts.data / name, name), "start": 0, "length": 1}
            assert client.request("range", asked) == (200, b"x" + digest_of(b"x"))

    def test_a_manifest_ends_with_its_number_of_entries(self, hosts):
        for number in range(2000):
            (hosts.data / f"file-{number:05}").touch()
        with LaneTestClient(hosts) as client:
            _, answer = client.request("manifest", ALL)
        assert json.loads(answer.splitlines()[-1]) == ["end", 2001]


class TestMalformedRequest:
    """Any malformed request gets a short answer, and the next request is served."""

    @pytest.mark.parametrize(
        ("verb", "body"),
        [
            ("range", b"[" * 100_000),
            (
                "range",
                b'{"path": "x", "size": Infinity, "mtime_ns": 1, "ctime_ns": 1, "start": 0, "length": 1}',
            ),
            ("range", {"path": "file", "size": 10, "mtime_ns": 1, "ctime_ns": 1, "start": 5, "length": 6}),
            (
                "range",
                {"path": "file", "size": 10, "mtime_ns": 1, "ctime_ns": 1, "start": 2**70, "length": 0},
            ),
            ("range", {"path": "file", "size": 10, "mtime_ns": 1, "ctime_ns": 1, "start": True, "length": 0}),
            ("pack", {"files": [["file", -(2**40), 1, 1], ["file", 2**40, 1, 1]]}),
            ("pack", {"files": {"file": 1}}),
            ("pack", {"files": [["file", 10]]}),
            ("pack", {"files": [["\ud800", 1, 1, 1]]}),
            ("manifest", {"mark": "file", "above": "", "below": ""}),
            ("manifest", {"mark": new_mark(HOP), "above": "\ud800", "below": ""}),
            ("manifest", {"mark": new_mark(HOP)}),
            ("manifest", {"path": "../beside"}),
            ("manifest", {"path": ""}),
            ("manifest", {"path": 5}),
            ("manifest", {"path": "n\0ul"}),
        ],
    )
    def test_is_answered_with_a_problem(self, hosts, caplog, verb, body):
        write_random(hosts.data / "file", 10)
        with LaneTestClient(hosts) as client:
            assert client.problem_code(verb, body) == (400, "malformed")
            assert client.request("manifest", ALL)[0] == 200
        assert not caplog.records

    @pytest.mark.parametrize("length", ["9" * 5000, "0x10", "1, 2", "1e3"])
    def test_of_no_known_length_ends_the_connection(self, hosts, length):
        with dial(hosts) as connection:
            connection.sendall(f"POST /hops/{HOP}/pack HTTP/1.1\r\nContent-Length: {length}\r\n\r\n".encode())
            assert read_to_end(connection).startswith(b"HTTP/1.1 413")

    @pytest.mark.parametrize("request_line", ["GET / HTTP/1.1", "PRI * HTTP/2.0", "nonsense", "A" * 70_000])
    def test_of_another_kind_ends_the_connection(self, hosts, caplog, request_line):
        with dial(hosts) as connection:
            connection.sendall(f"{request_line}\r\n\r\n".encode())
            assert b"200 OK" not in read_to_end(connection)
        with LaneTestClient(hosts) as client:
            assert client.request("manifest", ALL)[0] == 200
        assert not [record for record in caplog.records if record.levelno >= logging.ERROR]

    @pytest.mark.parametrize(
        ("begin", "piece"),
        [
            (b"POST /" + b"x" * 1000, b"x" * 100_000),
            (b"POST / HTTP/1.1\r\nX: ", b"x" * 100_000),
            (b"POST / HTTP/1.1\r\n", b"X-More: and more\r\n" * 5000),
        ],
        ids=["line", "header", "headers"],
    )
    async def test_without_an_end_is_cut_off(self, hosts, begin, piece):
        """However long it is, it is cut off soon and does not fill the memory."""
        sent = 0
        with dial(hosts) as connection, contextlib.suppress(ConnectionError, ssl.SSLError):
            connection.sendall(begin)
            while sent < 64 * MIB:
                connection.sendall(piece)
                sent += len(piece)
        assert sent < 64 * MIB
        await until(lambda: not hosts.server.served)
        with LaneTestClient(hosts) as client:
            assert client.request("manifest", ALL)[0] == 200


class TestManifest:
    def test_names_broken_selected_links_and_continues(self, hosts):
        write_random(hosts.data / "file", 10)
        (hosts.data / "dangling").symlink_to("nowhere")
        hosts.serve(HOP, "/data/", Options(symlinks="follow"), ("file", "dangling", "gone"))
        with LaneTestClient(hosts) as client:
            _, answer = client.request("manifest", ALL)
        lines = [json.loads(line) for line in answer.splitlines()]
        assert [line[:2] for line in lines] == [["f", "file"], ["!", "dangling"], ["!", "gone"], ["end", 3]]

    def test_of_a_missing_path_or_a_file_is_refused(self, hosts):
        (hosts.data / "file").touch()
        for path, code in (("/data/none/", "source-missing"), ("/data/file/", "not-a-directory")):
            hosts.serve(OTHER, path)
            with LaneTestClient(hosts, OTHER) as client:
                assert client.problem_code("manifest", ALL, hop=OTHER) == (404, code)

    def test_of_a_removed_root_is_refused(self, hosts):
        with LaneTestClient(hosts) as client:
            assert client.request("manifest", ALL)[0] == 200
            hosts.sources.reload([])
            assert client.problem_code("manifest", ALL) == (403, "outside-roots")


LIMITS = [
    pytest.param({"exclude": ("/secret/**", "key")}, None, id="filters"),
    pytest.param({"include": ("/open/**", "*.mov")}, None, id="includes"),
    pytest.param({}, ("open", "way/file", "leak"), id="selection"),
    pytest.param({"symlinks": "follow"}, ("open", "way/file", "leak"), id="follow"),
]


class TestHostileDestination:
    """With a valid token and certificate, it gets nothing that its hop's listing does not have."""

    @pytest.fixture(autouse=True)
    def _files(self, hosts):
        for name in ("place/open/file", "place/secret/key", "beside/key"):
            (hosts.data / name).parent.mkdir(parents=True, exist_ok=True)
            (hosts.data / name).write_bytes(b"x")
        (hosts.data / "place/way").symlink_to("../beside")
        (hosts.data / "place/leak").symlink_to("../beside/key")
        (hosts.data / "beside/file").write_bytes(b"x")
        (hosts.data / "place/.crosshaul-part").write_bytes(b"x")
        hosts.open_source()

    def everything(self, hosts) -> list[str]:
        return sorted(str(path) for path in hosts.data.rglob("*"))

    @pytest.mark.parametrize(("options", "selection"), LIMITS)
    @pytest.mark.parametrize(
        "path", ["secret/key", "way/file", "way/key", "leak", ".crosshaul-part", "secret", "way"]
    )
    def test_reads_and_deletes_only_what_is_listed(self, hosts, options, selection, path):
        hosts.serve(OTHER, "/data/place/", Options(move=True, **options), selection)
        before, found = self.everything(hosts), (hosts.data / "place" / path).stat()
        with LaneTestClient(hosts, OTHER) as client:
            one = [path, 1, found.st_mtime_ns, found.st_ctime_ns]
            ranged = dict(zip(("path", "size", "mtime_ns", "ctime_ns"), one, strict=True))
            ranged |= {"start": 0, "length": 1}
            status, answer = client.request("range", ranged, hop=OTHER)
            assert status in {403, 404}
            for verb in ("pack", "digests"):
                status, answer = client.request(verb, {"files": [one]}, hop=OTHER)
                state = answer[:1] if verb == "pack" else answer[-1:]
                assert status == 403 or state in {wire.UNREADABLE, wire.MISSING, wire.REPLACED}
            for kind in "fdl":
                asked = {"mark": new_mark(HOP), "name": "place", "entries": [[kind, *one, ""]]}
                client.request("delete", asked, hop=OTHER)
        assert [gone for gone in before if gone not in self.everything(hosts)] == []

    @pytest.mark.parametrize(
        "options", [Options(), Options(move=True, dry_run=True)], ids=["copy", "dry run"]
    )
    def test_deletes_nothing_for_a_hop_that_leaves_its_source_as_it_is(self, hosts, options):
        hosts.serve(OTHER, "/data/place/", options)
        before, found = self.everything(hosts), (hosts.data / "place/open/file").stat()
        entry = ["f", "open/file", 1, found.st_mtime_ns, found.st_ctime_ns, ""]
        with LaneTestClient(hosts, OTHER) as client:
            asked = {"mark": new_mark(HOP), "name": "place", "entries": [entry]}
            assert client.problem_code("delete", asked, hop=OTHER) == (403, "not-to-remove")
        assert self.everything(hosts) == before

    @pytest.mark.parametrize("directory", ["secret", "secret/nothing", "way", ".crosshaul-x"])
    def test_asks_about_marks_only_where_it_may_read(self, hosts, directory):
        hosts.serve(OTHER, "/data/place/", Options(), ("open",))
        with LaneTestClient(hosts, OTHER) as client:
            asked = {"mark": new_mark(HOP), "directories": ["", "open", directory]}
            assert client.problem_code("has-mark", asked, hop=OTHER) == (403, "malformed")
            assert client.request("has-mark", asked | {"directories": ["", "open"]}, hop=OTHER)[0] == 200

    @pytest.mark.parametrize(("options", "selection"), LIMITS)
    def test_lists_only_what_the_command_says(self, hosts, options, selection):
        """Whatever the request says."""
        hosts.serve(OTHER, "/data/place/", Options(**options), selection)
        wishes = {"symlinks": "follow", "selection": ["secret"], "include": [], "exclude": [], "owners": True}
        with LaneTestClient(hosts, OTHER) as client:
            _, answer = client.request("manifest", wishes, hop=OTHER)
        lines = [json.loads(line) for line in answer.splitlines()]
        files = {path for kind, path, *_ in lines if kind == "f"}
        assert files == {"open/file"}

    @pytest.mark.parametrize(("options", "selection"), LIMITS)
    @pytest.mark.parametrize("path", ["secret", "secret/key", "way/key", "leak", ".crosshaul-part", "beside"])
    def test_looks_up_only_what_the_command_says(self, hosts, options, selection, path):
        hosts.serve(OTHER, "/data/place/", Options(**options), selection)
        with LaneTestClient(hosts, OTHER) as client:
            status, answer = client.request("manifest", {"path": path}, hop=OTHER)
            assert status in {200, 403}
            lines = [json.loads(line) for line in answer.splitlines()]
            assert status == 403 or not [line for line in lines if line[0] in "fd"]
            _, answer = client.request("manifest", {"path": "open/file"}, hop=OTHER)
            assert [line[:2] for line in map(json.loads, answer.splitlines())] == [
                ["f", "open/file"],
                ["end", 1],
            ]

    def test_reads_through_links_only_inside_the_place_and_only_if_ordered(self, hosts):
        (hosts.data / "place/inside").symlink_to("open/file")
        found = (hosts.data / "place/open/file").stat()
        body = {"files": [["inside", 1, found.st_mtime_ns, found.st_ctime_ns]]}
        for options, state in ((Options(), wire.UNREADABLE), (Options(symlinks="follow"), wire.OK)):
            hosts.serve(OTHER, "/data/place/", options)
            with LaneTestClient(hosts, OTHER) as client:
                assert client.request("pack", body, hop=OTHER)[1][:1] == state


class TestUnreadableFile:
    async def test_within_a_range_is_reported_at_the_next_request(self, hosts, monkeypatch):
        """For example a bad block: a range that is being sent has no place for an error message."""
        write_random(hosts.data / "file", 2 * MIB)
        asked = {**file_fields(hosts.data / "file", "file"), "start": 0, "length": 2 * MIB}
        original = os.preadv

        def bad_block(descriptor, buffers, start):
            if start >= MIB:
                raise OSError(errno.EIO, "Input/output error")
            return original(descriptor, buffers, start)

        with monkeypatch.context() as patch:
            patch.setattr(request_handler.os, "preadv", bad_block)
            with LaneTestClient(hosts) as client, pytest.raises(http.client.IncompleteRead):
                client.request("range", asked)
        await until(lambda: not hosts.server.served)
        with LaneTestClient(hosts) as client:
            assert client.problem_code("range", asked) == (409, "io-error")
            assert client.request("range", asked)[0] == 200  # the disk may have been put right

    def test_in_a_pack_is_reported_and_the_rest_is_sent(self, hosts, monkeypatch):
        for name in ("good", "bad"):
            (hosts.data / name).write_bytes(b"x")
        (hosts.data / "dir").mkdir()
        original, bad = os.readv, (hosts.data / "bad").stat().st_ino

        def bad_block(descriptor, buffers):
            if os.fstat(descriptor).st_ino == bad:
                raise OSError(errno.EIO, "Input/output error")
            return original(descriptor, buffers)

        monkeypatch.setattr(request_handler.os, "readv", bad_block)
        files = [[name, 1, (hosts.data / name).stat().st_mtime_ns, 0] for name in ("bad", "dir", "good")]
        with LaneTestClient(hosts) as client:
            _, answer = client.request("pack", {"files": files})
        nothing = bytes(DIGEST_BYTES)
        assert answer == b"".join(
            [wire.UNREADABLE, nothing, wire.REPLACED, nothing, wire.OK, digest_of(b"x"), b"x"]
        )

    def test_that_was_truncated_while_read_counts_as_changed(self, hosts, monkeypatch):
        write_random(hosts.data / "file", 100)
        original = os.readv

        def cut(descriptor, buffers):
            os.truncate(hosts.data / "file", 50)
            return original(descriptor, buffers)

        monkeypatch.setattr(request_handler.os, "readv", cut)
        with LaneTestClient(hosts) as client:
            _, answer = client.request(
                "pack", {"files": [["file", 100, (hosts.data / "file").stat().st_mtime_ns, 0]]}
            )
        assert answer == wire.CHANGED + bytes(DIGEST_BYTES)

    def test_with_a_name_that_is_not_utf8_is_reported(self, hosts):
        name = os.fsdecode(b"latin-\xfc")
        (hosts.data / name).write_bytes(b"x")
        asked = {**file_fields(hosts.data / name, name), "start": 0, "length": 1}
        os.utime(hosts.data / name, (1, 1))
        with LaneTestClient(hosts) as client:
            status, answer = client.request("range", asked)
        assert (status, json.loads(answer)["path"]) == (409, "/data/latin-\\xfc")


def test_a_directory_that_cannot_be_examined_counts_as_the_destination_s(hosts):
    """So a mirror deletes nothing there: the name is too long for this file system, not for every one."""
    (hosts.data / "plain").mkdir()
    with LaneTestClient(hosts) as client:
        asked = {"mark": new_mark(HOP), "directories": ["plain", "missing", "x" * 300]}
        assert client.request("has-mark", asked) == (200, b"\0\0\1")


def test_holes_are_read_as_zeros(hosts):
    with (hosts.data / "sparse").open("wb") as file:
        file.truncate(2 * MIB)
    asked = {**file_fields(hosts.data / "sparse", "sparse"), "start": MIB, "length": MIB}
    with LaneTestClient(hosts) as client:
        assert client.request("range", asked) == (200, bytes(MIB) + digest_of(bytes(MIB)))


class TestSlowPeer:
    async def test_may_receive_slowly(self, hosts, lane_limits):
        """A bandwidth limit may delay it for longer than the idle timeout."""
        write_random(hosts.data / "big", RANGE_BYTES)
        with dial(hosts) as connection:
            connection.sendall(range_request(hosts.data / "big"))
            assert connection.recv(1)
            [other] = hosts.server._connections[HOP]
            assert other.gettimeout() == lane_limits.send_timeout_s
            got = 1
            while got < RANGE_BYTES:
                got += len(connection.recv(MIB))
            await until(lambda: other.gettimeout() == lane_limits.idle_timeout_s)

    @with_lane_limits(send_timeout_s=0.05)
    async def test_that_receives_nothing_is_cut_off(self, hosts, caplog):
        write_random(hosts.data / "big", RANGE_BYTES)
        with dial(hosts) as connection:
            connection.sendall(range_request(hosts.data / "big"))
            assert connection.recv(1)
            await until(lambda: not hosts.server.served)
        assert not [record for record in caplog.records if record.levelno >= logging.WARNING]

    @pytest.mark.parametrize("said", [b"", b"POST /ho", b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\n{"])
    @with_lane_limits(idle_timeout_s=0.05)
    def test_that_sends_no_whole_request_is_cut_off(self, hosts, said):
        with dial(hosts) as connection:
            connection.sendall(said)
            assert read_to_end(connection) == b""

    def test_delays_no_other_peer(self, hosts):
        with contextlib.ExitStack() as stack:
            for _ in range(20):
                stack.enter_context(dial(hosts)).sendall(b"POST /hops/")
            with LaneTestClient(hosts) as client:
                assert client.request("manifest", ALL)[0] == 200

    async def test_is_cut_off_when_its_hop_is_revoked(self, hosts):
        with dial(hosts) as silent:
            await until(lambda: hosts.server.served)
            hosts.server.revoke(HOP)
            assert read_to_end(silent) == b""
        await until(lambda: not hosts.server.served)

    @with_lane_limits(hello_timeout_s=0.05)
    def test_that_does_not_finish_its_handshake_is_cut_off(self, hosts):
        with socket.create_connection(("127.0.0.1", hosts.server.port)) as silent:
            silent.sendall(b"\x16\x03")
            assert has_ended(silent)


def make_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("name", ["key", "certificate"])
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"noise"), make_pipe])
async def test_a_lane_key_that_is_damaged_in_use_is_named(hosts, name, damage):
    """It is not taken for a fault of the other agent's, and no thread waits for a pipe."""
    path = getattr(hosts.b, name)
    damage(path)
    with pytest.raises(HopError) as refused:
        hosts.order("/data/", "/archive/")
    assert (refused.value.problem.code, refused.value.problem.retryable) == ("lane-key-unusable", True)
    assert str(path) in refused.value.problem.message


class TestStrangers:
    @pytest.mark.parametrize("said", [b"GET / HTTP/1.1\r\n\r\n", b"\0" * 1000, b"SSH-2.0-x\r\n"])
    def test_get_no_http_answer(self, hosts, caplog, said):
        with socket.create_connection(("127.0.0.1", hosts.server.port)) as stranger:
            stranger.sendall(said)
            answer = b""
            with contextlib.suppress(ConnectionError):
                answer = stranger.recv(1000)
        assert b"HTTP" not in answer
        assert not [record for record in caplog.records if record.levelno >= logging.WARNING]

    def test_who_name_no_hop_hear_none(self, hosts):
        with pytest.raises(ssl.SSLError):
            dial(hosts, None).recv(1)

    def test_speak_no_older_tls(self, hosts):
        context = client_context(hosts.c, hosts.b.certificate.read_text())
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with socket.create_connection(("127.0.0.1", hosts.server.port)) as plain, pytest.raises(ssl.SSLError):
            context.wrap_socket(plain, server_hostname=HOP)

    def test_get_no_session_ticket(self, hosts):
        with LaneTestClient(hosts) as client:
            assert client.request("manifest", ALL)[0] == 200
            session = client.http.sock.session
            assert session is None or not session.has_ticket

    @with_lane_limits(max_pending_per_address=3)
    async def test_are_bound_for_each_address_and_the_oldest_makes_room(self, hosts):
        with contextlib.ExitStack() as stack:
            crowd = [stack.enter_context(stranger(hosts)) for _ in range(4)]
            assert has_ended(crowd[0])
            assert hosts.server._server.pending_count == 3
            beside = stack.enter_context(stranger(hosts, "127.0.0.2"))
            await until(lambda: hosts.server._server.pending_count == 4)
            assert is_open(beside)
            assert all(map(is_open, crowd[1:]))

    def test_speak_and_make_room_in_the_same_moment(self, hosts):
        """The port goes on, without an error for a connection that it has just closed."""
        limits = LaneLimits(max_pending_per_address=1)
        port = Listener(("127.0.0.1", 0), hosts.server.grants.context, lambda *_: None, limits)
        address = ("127.0.0.1", port.port)
        with socket.create_connection(address) as first:
            port._accept_and_read()
            with socket.create_connection(address):
                first.sendall(b"late")
                port._accept_and_read()
                assert port.pending_count == 1
        port.listen()
        port.close_port()

    @with_lane_limits(max_pending_per_address=3, handshake_timeout_s=HANG_TIMEOUT_S)
    async def test_make_room_for_a_peer_that_has_said_hello(self, hosts):
        """Idle connections that come later do not end a handshake that goes on."""
        hello = client_hello(hosts)
        with contextlib.ExitStack() as stack:
            slow = stack.enter_context(stranger(hosts))
            slow.sendall(hello)
            assert slow.recv(1)
            crowd = [stack.enter_context(stranger(hosts)) for _ in range(5)]
            for dropped in crowd[:3]:
                assert has_ended(dropped)
            assert is_open(slow)

    @with_lane_limits(max_pending=3)
    async def test_make_room_for_an_address_that_was_authenticated(self, hosts):
        with LaneTestClient(hosts) as client:
            assert client.request("manifest", ALL)[0] == 200
        with contextlib.ExitStack() as stack:
            known = stack.enter_context(stranger(hosts))
            await until(lambda: hosts.server._server.pending_count == 1)
            crowd = [stack.enter_context(stranger(hosts, f"127.0.0.{number}")) for number in range(2, 6)]
            for dropped in crowd[:2]:
                assert has_ended(dropped)
            assert is_open(known)

    def test_have_two_seconds_to_say_hello(self, hosts, lane_limits):
        """However they pass the time, and without a thread each."""
        began, threads = time.monotonic(), threading.active_count()
        with stranger(hosts) as silent, stranger(hosts) as slow:
            slow.sendall(client_hello(hosts)[:-1])
            assert threading.active_count() == threads
            for one in (silent, slow):
                assert has_ended(one)
        assert lane_limits.hello_timeout_s == 2
        assert 2 <= time.monotonic() - began < HANG_TIMEOUT_S

    async def test_two_thousand_from_one_address_leave_hops_as_fast_as_before(self, hosts, lane_limits):
        """The address is the peer's own, and the strangers come again as soon as they are dropped."""
        write_random(hosts.data / "file", 10)
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        over, made = threading.Event(), [0]

        def crowd() -> None:
            held: deque[socket.socket] = deque(maxlen=min(2000, limit // 2))
            while not over.is_set():
                if len(held) == held.maxlen:
                    held.popleft().close()
                with contextlib.suppress(OSError):
                    held.append(stranger(hosts))
                made[0] += 1
            for one in held:
                one.close()

        await hosts.move(hosts.order("/data/", "/archive/before/"))
        thread = threading.Thread(target=crowd)
        thread.start()
        try:
            await until(lambda: made[0] >= 2000)
            began = time.monotonic()
            for number in range(5):
                await hosts.move(hosts.order("/data/", f"/archive/{number}/"))
                assert hosts.server._server.pending_count <= lane_limits.max_pending_per_address
            assert time.monotonic() - began < HANG_TIMEOUT_S
        finally:
            over.set()
            thread.join()
        assert (hosts.archive / "4/file").read_bytes() == (hosts.data / "file").read_bytes()


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:aaaa::7", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_one_host_counts_as_one_address(host, network):
    """A host may choose among 2**64 addresses in its IPv6 network."""
    assert pending_connections.network_of(host) == network


def stranger(hosts, address: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(("127.0.0.1", hosts.server.port), HANG_TIMEOUT_S, (address, 0))


def is_open(connection: socket.socket) -> bool:
    """Read what has arrived, and return whether that is not the end."""
    connection.setblocking(False)
    try:
        while connection.recv(65536):
            pass
    except BlockingIOError:
        return True
    except ConnectionError:
        pass
    return False


def has_ended(connection: socket.socket) -> bool:
    """Wait until something arrives, and return whether it is the end."""
    try:
        return connection.recv(1) == b""
    except ConnectionError:  # it was closed with unread data
        return True


def client_hello(hosts) -> bytes:
    outgoing = ssl.MemoryBIO()
    context = client_context(hosts.c, hosts.b.certificate.read_text())
    handshake = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=HOP)
    with pytest.raises(ssl.SSLWantReadError):
        handshake.do_handshake()
    return outgoing.read()


@with_lane_limits(max_connections_per_hop=2)
def test_a_hop_has_a_maximum_of_connections(hosts):
    with LaneTestClient(hosts) as one, LaneTestClient(hosts) as two:
        for client in (one, two):
            assert client.request("manifest", ALL)[0] == 200
        with dial(hosts) as third:
            assert read_to_end(third) == b""
        assert one.request("manifest", ALL)[0] == 200


def test_a_certificate_with_invalid_content_is_refused(hosts):
    wrong = serve_command(hosts, OTHER, hosts.c)
    pem = ssl.DER_cert_to_PEM_cert(b"no certificate at all")
    wrong = wrong.model_copy(update={"peer": wrong.peer.model_copy(update={"certificate": pem})})
    with pytest.raises(HopError) as caught:
        hosts.server.allow(wrong, TOKEN)
    assert caught.value.problem.code == "peer-certificate"
    assert hosts.server.grants.get(OTHER) is None


async def test_a_new_attempt_invalidates_the_old_token(hosts):
    with LaneTestClient(hosts) as client:
        assert client.request("manifest", ALL)[0] == 200
        hosts.server.allow(serve_command(hosts, HOP, hosts.c), "the second token")
        assert client.problem_code("manifest", ALL) == (401, "not-served")
        assert client.request("manifest", ALL, token="the second token")[0] == 200


async def test_a_closed_connection_leaks_nothing(hosts, caplog):
    """However it was closed: no thread, no descriptor, no traceback in the log."""
    caplog.set_level(logging.INFO)
    write_random(hosts.data / "big", RANGE_BYTES)
    threads, before = threading.active_count(), open_descriptors()
    for rude in (True, False) * 5:
        with dial(hosts) as connection:
            connection.sendall(range_request(hosts.data / "big"))
            assert connection.recv(1)
            if rude:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await until(lambda: threading.active_count() <= threads)
    await until(lambda: open_descriptors() <= before)
    assert hosts.server._connections == {}
    assert {record.levelname for record in caplog.records} <= {"INFO"}
    assert not any(record.exc_info for record in caplog.records)


@pytest.mark.parametrize("server_side", [True, False])
def test_a_connection_reset_before_the_handshake_is_closed(hosts, server_side):
    accepting = hosts.server.grants.context
    context = accepting if server_side else client_context(hosts.c, hosts.b.certificate.read_text())
    with socket.create_server(("127.0.0.1", 0)) as listening:
        peer = socket.create_connection(listening.getsockname())
        plain, _ = listening.accept()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
    descriptor = plain.fileno()
    with pytest.raises(ConnectionResetError) as reset:  # it keeps the socket from being collected
        context.wrap_socket(plain, server_side=server_side)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
    assert reset.value.errno == errno.ECONNRESET


@with_lane_limits(accept_backoff_s=0)
async def test_without_descriptors_it_pauses_and_continues(hosts, monkeypatch, caplog):
    original, left = socket.socket.accept, [3]

    def exhausted(self):
        left[0] -= 1
        if left[0] >= 0:
            raise OSError(errno.EMFILE, "Too many open files")
        return original(self)

    monkeypatch.setattr(socket.socket, "accept", exhausted)
    with LaneTestClient(hosts) as client:
        assert client.request("manifest", ALL)[0] == 200
    assert "lane cannot accept" in caplog.text


async def test_an_internal_error_is_logged_with_its_traceback(hosts, monkeypatch, caplog):
    monkeypatch.setattr(request_handler, "entries", lambda *_: 1 / 0)
    with LaneTestClient(hosts) as client, pytest.raises((http.client.HTTPException, ConnectionError)):
        client.request("manifest", ALL)
    await until(lambda: caplog.records)
    [record] = caplog.records
    assert record.exc_info[0] is ZeroDivisionError


def test_stop_ends_all_threads(hosts):
    with LaneTestClient(hosts) as client:
        client.request("manifest", ALL)
        hosts.destination_server.shut_down()
        hosts.server.shut_down()
        client.http.sock.settimeout(HANG_TIMEOUT_S)
        assert client.http.sock.recv(1) == b""
    assert "lane" not in {thread.name for thread in threading.enumerate()}
