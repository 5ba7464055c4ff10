"""Whom the lane lets in, and what it says to them: a real listener, spoken to by hand."""

import contextlib
import errno
import http.client
import json
import logging
import os
import socket
import ssl
import struct
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socketserver import TCPServer

import pytest

from agent.errors import HopError
from agent.files.digests import DIGEST_BYTES, MAX_PACK_FILES, RANGE_BYTES, digest_of
from agent.identity import lane_certificate
from agent.lane import listener, request_handler, server, wire
from agent.lane.grants import client_context
from events.commands import Peer, Serve
from infra.local.demo_files import MIB, write_random
from tests.support.hosts import TOKEN, TRANSFER, Hosts, until

HOP, OTHER = f"{TRANSFER}-500", f"{TRANSFER}-501"
ALL = {"symlinks": "keep", "selection": None}


@pytest.fixture
def hosts(tmp_path):
    hosts = Hosts(tmp_path)
    hosts.serve(HOP, "/data/")
    yield hosts
    hosts.close()


def dial(hosts, hop: str = HOP, who=None) -> ssl.SSLSocket:
    context = client_context(who or hosts.c, hosts.b.certificate.read_text())
    plain = socket.create_connection(("127.0.0.1", hosts.server.port), 10)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        return context.wrap_socket(plain, server_hostname=hop)
    except BaseException:
        plain.close()
        raise


class Talk:
    """One connection."""

    def __init__(self, hosts, hop: str = HOP, who=None) -> None:
        self.http = http.client.HTTPConnection("lane")
        self.http.sock = dial(hosts, hop, who)
        self.http.auto_open = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.http.close()

    def ask(self, verb: str, body, hop: str = HOP, token: str = TOKEN, **headers: str):
        raw = body if isinstance(body, bytes) else wire.dump(body)
        self.http.request("POST", f"/hops/{hop}/{verb}", raw, {"Authorization": f"Bearer {token}", **headers})
        answer = self.http.getresponse()
        return answer.status, answer.read()

    def code(self, verb: str, body, **more: str) -> tuple[int, str]:
        status, answer = self.ask(verb, body, **more)
        return status, json.loads(answer)["code"]


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def about(path: Path, name: str) -> dict[str, object]:
    found = path.stat()
    return {"path": name, "size": found.st_size, "mtime_ns": found.st_mtime_ns}


class TestWhoIsLetIn:
    def test_the_peer_of_a_hop_and_for_that_hop_only(self, hosts):
        with Talk(hosts) as talk:
            assert talk.ask("manifest", ALL)[0] == 200
            assert talk.code("manifest", {}, token="wrong") == (401, "not-served")
            assert talk.code("manifest", {}, hop=OTHER) == (401, "not-served")

    @pytest.mark.parametrize("hop", [OTHER, "x"])
    def test_not_for_a_hop_that_is_not_served(self, hosts, hop):
        with pytest.raises((ssl.SSLError, ConnectionError, ValueError)):
            dial(hosts, hop).recv(1)

    def test_not_another_agent(self, hosts, tmp_path):
        """Whose certificate has the very same names, and who knows the token."""
        (tmp_path / "mallory").mkdir()
        mallory = lane_certificate.ensure(tmp_path / "mallory")
        with dial(hosts, who=mallory) as connection:
            assert everything(connection) == b""

    def test_two_peers_at_once_each_for_its_own(self, hosts, tmp_path):
        """Both trusted, neither in the other's place."""
        (tmp_path / "d-keys").mkdir()
        d = lane_certificate.ensure(tmp_path / "d-keys")
        hosts.server.allow(serve(hosts, OTHER, d), "d's token")
        with Talk(hosts) as talk:
            assert talk.ask("manifest", ALL)[0] == 200
        with Talk(hosts, OTHER, who=d) as talk:
            assert talk.ask("manifest", ALL, hop=OTHER, token="d's token")[0] == 200
            assert talk.code("manifest", ALL, hop=HOP) == (401, "not-served")
        with dial(hosts, HOP, who=d) as connection:
            assert everything(connection) == b""

    def test_not_after_its_time(self, hosts):
        late = serve(hosts, OTHER, hosts.c).model_copy(
            update={"until": datetime.now(UTC) - timedelta(seconds=1)}
        )
        hosts.server.allow(late, TOKEN)
        with Talk(hosts, OTHER) as talk:
            assert talk.code("manifest", {}, hop=OTHER) == (401, "not-served")

    def test_who_is_revoked_is_cut_off(self, hosts):
        write_random(hosts.data / "big", RANGE_BYTES)
        with dial(hosts) as connection:
            connection.sendall(asking_for(hosts.data / "big"))
            assert connection.recv(100)
            hosts.server.revoke(HOP)
            assert len(everything(connection)) < RANGE_BYTES

    def test_nobody_waits_for_who_does_not_finish_shaking_hands(self, hosts):
        with socket.create_connection(("127.0.0.1", hosts.server.port)), Talk(hosts) as talk:
            assert talk.ask("manifest", ALL)[0] == 200

    def test_a_path_outside_the_roots_is_not_served_at_all(self, hosts):
        with pytest.raises(HopError) as caught:
            hosts.serve(OTHER, "/etc/")
        assert caught.value.problem.code == "outside-roots"

    def test_a_certificate_that_is_none_is_refused(self, hosts):
        wrong = serve(hosts, OTHER, hosts.c)
        wrong = wrong.model_copy(update={"peer": wrong.peer.model_copy(update={"certificate": "no PEM"})})
        with pytest.raises(HopError) as caught:
            hosts.server.allow(wrong, TOKEN)
        assert caught.value.problem.code == "peer-certificate"


def serve(hosts, hop: str, peer) -> Serve:
    return Serve(
        transfer_id=TRANSFER,
        hop_id=hop,
        attempt=1,
        path="/data/",
        peer=Peer(agent_id="server-d", certificate=peer.certificate.read_text()),
        until=datetime.now(UTC) + timedelta(hours=1),
    )


def asking_for(file: Path) -> bytes:
    """A request for a file's first range, as bytes."""
    body = wire.dump({**about(file, file.name), "start": 0, "length": RANGE_BYTES})
    lines = (
        f"POST /hops/{HOP}/range HTTP/1.1",
        f"Authorization: Bearer {TOKEN}",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join([*lines, "", ""]).encode() + body


def everything(connection: ssl.SSLSocket) -> bytes:
    """What still comes until the other side hangs up."""
    got = b""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while data := connection.recv(MIB):
            got += data
    return got


class TestWhatIsSaid:
    def test_ranges_with_their_digest(self, hosts):
        write_random(hosts.data / "file", MIB + 10)
        data = (hosts.data / "file").read_bytes()
        with Talk(hosts) as talk:
            for start, length in ((0, MIB + 10), (5, 0), (MIB, 10)):
                asked = {**about(hosts.data / "file", "file"), "start": start, "length": length}
                status, answer = talk.ask("range", asked)
                piece = data[start : start + length]
                assert (status, answer) == (200, piece + digest_of(piece))

    def test_packs(self, hosts):
        for name in ("a", "b", "changed"):
            write_random(hosts.data / name, 100)
        files = [[name, 100, (hosts.data / name).stat().st_mtime_ns] for name in ("a", "b", "changed")]
        (hosts.data / "changed").write_text("now")
        with Talk(hosts) as talk:
            status, answer = talk.ask("pack", {"files": [*files, ["gone", 5, 5]]})
        a, b = (hosts.data / "a").read_bytes(), (hosts.data / "b").read_bytes()
        nothing = bytes(DIGEST_BYTES)
        expected = wire.OK + digest_of(a) + a + wire.OK + digest_of(b) + b
        assert (status, answer) == (200, expected + wire.CHANGED + nothing + wire.MISSING + nothing)

    def test_hundreds_of_requests_on_one_connection_leave_nothing_open(self, hosts):
        write_random(hosts.data / "file", 10)
        asked = {**about(hosts.data / "file", "file"), "start": 0, "length": 10}
        with Talk(hosts) as talk:
            talk.ask("range", asked)
            before = descriptors()
            for _ in range(300):
                assert talk.ask("range", asked)[0] == 200
            assert descriptors() <= before + 3

    @pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "a/../../x", "a//b", ".", "x\0y", 7, None])
    def test_paths_that_lead_elsewhere_are_refused(self, hosts, path):
        with Talk(hosts) as talk:
            asked = {"path": path, "size": 1, "mtime_ns": 1, "start": 0, "length": 1}
            assert talk.code("range", asked)[0] == 400
            assert talk.code("pack", {"files": [[path, 1, 1]]})[0] == 400
            assert talk.code("manifest", {"symlinks": "keep", "selection": [path]})[0] == 400

    @pytest.mark.parametrize(
        ("verb", "body"),
        [
            ("range", b"{no json"),
            ("range", b"[1]"),
            ("range", {}),
            ("range", {"path": "x", "size": 1, "mtime_ns": 1, "start": -1, "length": 1}),
            ("range", {"path": "x", "size": 1, "mtime_ns": 1, "start": 0, "length": RANGE_BYTES + 1}),
            ("range", {"path": "x", "size": 1, "mtime_ns": 1, "start": "one", "length": 1}),
            ("pack", {"files": [["x", 1, 1]] * (MAX_PACK_FILES + 1)}),
            ("pack", {"files": [["x", 10**12, 1]]}),
            ("pack", {"files": 5}),
            ("digests", {"files": [["x", 2**62, 1]]}),
            ("digests", {"files": [["x", 2**45, 1]] * 2}),
            ("manifest", {}),
            ("manifest", {"symlinks": "keep", "selection": 5}),
        ],
    )
    def test_nonsense_is_refused_and_the_connection_stays_good(self, hosts, verb, body):
        with Talk(hosts) as talk:
            assert talk.code(verb, body) == (400, "malformed")
            assert talk.ask("manifest", ALL)[0] == 200

    def test_a_body_without_a_length_or_too_large_is_refused(self, hosts):
        for length in ("", "Content-Length: -5\r\n", f"Content-Length: {wire.MAX_BODY_BYTES + 1}\r\n"):
            with dial(hosts) as connection:
                head = f"POST /hops/{HOP}/range HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\n"
                connection.sendall(f"{head}{length}\r\n".encode())
                assert connection.recv(100).startswith(b"HTTP/1.1 413")

    @pytest.mark.parametrize("path", ["/", "/hops", f"/hops/{HOP}", f"/hops/{HOP}/delete", "/etc/passwd"])
    def test_other_paths_and_verbs_are_not_there(self, hosts, path):
        with Talk(hosts) as talk:
            talk.http.request("POST", path, b"{}", {"Authorization": f"Bearer {TOKEN}"})
            assert talk.http.getresponse().status == 404

    def test_a_file_that_is_another_by_now_is_not_sent(self, hosts):
        write_random(hosts.data / "file", 100)
        asked = {**about(hosts.data / "file", "file"), "start": 0, "length": 100}
        write_random(hosts.data / "file", 101)
        with Talk(hosts) as talk:
            assert talk.code("range", asked) == (409, "source-changed")
            (hosts.data / "file").unlink()
            assert talk.code("range", asked) == (404, "source-missing")

    def test_a_file_that_shrinks_while_it_is_sent_never_gets_a_digest(self, hosts):
        write_random(hosts.data / "file", RANGE_BYTES)
        with dial(hosts) as connection:
            connection.sendall(asking_for(hosts.data / "file"))
            got = len(connection.recv(1000))
            os.truncate(hosts.data / "file", 10)
            got += len(everything(connection))
        assert got < RANGE_BYTES

    def test_names_that_are_not_utf8(self, hosts):
        name = os.fsdecode(b"latin-\xfc")
        (hosts.data / name).write_bytes(b"x")
        with Talk(hosts) as talk:
            _, answer = talk.ask("manifest", ALL)
            listed = [json.loads(line) for line in answer.splitlines()]
            assert name in [fields[1] for fields in listed[:-1]]
            asked = {**about(hosts.data / name, name), "start": 0, "length": 1}
            assert talk.ask("range", asked) == (200, b"x" + digest_of(b"x"))

    def test_a_listing_ends_with_how_long_it_was(self, hosts):
        for number in range(2000):
            (hosts.data / f"file-{number:05}").touch()
        with Talk(hosts) as talk:
            _, answer = talk.ask("manifest", ALL)
        assert json.loads(answer.splitlines()[-1]) == ["end", 2001]


class TestABadRequest:
    """Whatever a peer may think of: a short answer, and the next request is answered well."""

    @pytest.mark.parametrize(
        ("verb", "body"),
        [
            ("range", b"[" * 100_000),
            ("range", b'{"path": "x", "size": Infinity, "mtime_ns": 1, "start": 0, "length": 1}'),
            ("range", {"path": "file", "size": 10, "mtime_ns": 1, "start": 5, "length": 6}),
            ("range", {"path": "file", "size": 10, "mtime_ns": 1, "start": 2**70, "length": 0}),
            ("range", {"path": "file", "size": 10, "mtime_ns": 1, "start": True, "length": 0}),
            ("pack", {"files": [["file", -(2**40), 1], ["file", 2**40, 1]]}),
            ("pack", {"files": {"file": 1}}),
            ("pack", {"files": [["file", 10]]}),
            ("pack", {"files": [["\ud800", 1, 1]]}),
            ("manifest", {"symlinks": "all", "selection": None}),
            ("manifest", {"symlinks": "keep", "selection": "file"}),
            ("manifest", {"symlinks": "keep", "selection": ["file", "\ud800"]}),
            ("manifest", {"symlinks": ["keep"], "selection": None}),
        ],
    )
    def test_gets_a_word(self, hosts, caplog, verb, body):
        write_random(hosts.data / "file", 10)
        with Talk(hosts) as talk:
            assert talk.code(verb, body) == (400, "malformed")
            assert talk.ask("manifest", ALL)[0] == 200
        assert not caplog.records

    @pytest.mark.parametrize("length", ["9" * 5000, "0x10", "1, 2", "1e3"])
    def test_of_no_known_length_ends_the_connection(self, hosts, length):
        with dial(hosts) as connection:
            connection.sendall(f"POST /hops/{HOP}/pack HTTP/1.1\r\nContent-Length: {length}\r\n\r\n".encode())
            assert everything(connection).startswith(b"HTTP/1.1 413")

    @pytest.mark.parametrize("request_line", ["GET / HTTP/1.1", "PRI * HTTP/2.0", "nonsense", "A" * 70_000])
    def test_of_another_kind_ends_the_connection(self, hosts, caplog, request_line):
        with dial(hosts) as connection:
            connection.sendall(f"{request_line}\r\n\r\n".encode())
            assert b"200 OK" not in everything(connection)
        with Talk(hosts) as talk:
            assert talk.ask("manifest", ALL)[0] == 200
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
    async def test_that_does_not_end_is_not_listened_to(self, hosts, begin, piece):
        """However long a peer goes on, it is soon cut off, and cannot fill the memory."""
        sent = 0
        with dial(hosts) as connection, contextlib.suppress(ConnectionError, ssl.SSLError):
            connection.sendall(begin)
            while sent < 64 * MIB:
                connection.sendall(piece)
                sent += len(piece)
        assert sent < 64 * MIB
        await until(lambda: not hosts.server._connections)
        with Talk(hosts) as talk:
            assert talk.ask("manifest", ALL)[0] == 200


class TestAListing:
    def test_says_what_a_selected_link_leads_to_and_goes_on(self, hosts):
        write_random(hosts.data / "file", 10)
        (hosts.data / "dangling").symlink_to("nowhere")
        with Talk(hosts) as talk:
            _, answer = talk.ask(
                "manifest", {"symlinks": "follow", "selection": ["file", "dangling", "gone"]}
            )
        lines = [json.loads(line) for line in answer.splitlines()]
        assert [line[:2] for line in lines] == [["f", "file"], ["!", "dangling"], ["!", "gone"], ["end", 3]]

    def test_of_what_is_not_there_or_no_directory_is_refused(self, hosts):
        (hosts.data / "file").touch()
        for path, code in (("/data/none/", "source-missing"), ("/data/file/", "not-a-directory")):
            hosts.serve(OTHER, path)
            with Talk(hosts, OTHER) as talk:
                assert talk.code("manifest", ALL, hop=OTHER) == (404, code)

    def test_of_a_root_that_was_taken_away_is_refused(self, hosts):
        with Talk(hosts) as talk:
            assert talk.ask("manifest", ALL)[0] == 200
            hosts.sources.reload([])
            assert talk.code("manifest", ALL) == (403, "outside-roots")


class TestAFileThatCannotBeRead:
    async def test_in_the_middle_is_told_when_it_is_asked_for_again(self, hosts, monkeypatch):
        """A bad block: there is no room for words in a range that is on its way."""
        write_random(hosts.data / "file", 2 * MIB)
        asked = {**about(hosts.data / "file", "file"), "start": 0, "length": 2 * MIB}
        really = os.preadv

        def bad_block(descriptor, buffers, start):
            if start >= MIB:
                raise OSError(errno.EIO, "Input/output error")
            return really(descriptor, buffers, start)

        with monkeypatch.context() as patch:
            patch.setattr(request_handler.os, "preadv", bad_block)
            with Talk(hosts) as talk, pytest.raises(http.client.IncompleteRead):
                talk.ask("range", asked)
        await until(lambda: not hosts.server._connections)
        with Talk(hosts) as talk:
            assert talk.code("range", asked) == (409, "io-error")
            assert talk.ask("range", asked)[0] == 200  # the disk may have been put right

    def test_in_a_pack_is_told_and_the_rest_comes(self, hosts, monkeypatch):
        for name in ("good", "bad"):
            (hosts.data / name).write_bytes(b"x")
        (hosts.data / "dir").mkdir()
        really, bad = os.readv, (hosts.data / "bad").stat().st_ino

        def bad_block(descriptor, buffers):
            if os.fstat(descriptor).st_ino == bad:
                raise OSError(errno.EIO, "Input/output error")
            return really(descriptor, buffers)

        monkeypatch.setattr(request_handler.os, "readv", bad_block)
        files = [[name, 1, (hosts.data / name).stat().st_mtime_ns] for name in ("bad", "dir", "good")]
        with Talk(hosts) as talk:
            _, answer = talk.ask("pack", {"files": files})
        nothing = wire.UNREADABLE + bytes(DIGEST_BYTES)
        assert answer == nothing + nothing + wire.OK + digest_of(b"x") + b"x"

    def test_whole_since_it_was_cut_while_it_was_read_is_no_file_of_a_pack(self, hosts, monkeypatch):
        write_random(hosts.data / "file", 100)
        really = os.readv

        def cut(descriptor, buffers):
            os.truncate(hosts.data / "file", 50)
            return really(descriptor, buffers)

        monkeypatch.setattr(request_handler.os, "readv", cut)
        with Talk(hosts) as talk:
            _, answer = talk.ask("pack", {"files": [["file", 100, (hosts.data / "file").stat().st_mtime_ns]]})
        assert answer == wire.CHANGED + bytes(DIGEST_BYTES)

    def test_a_name_that_is_not_utf8_can_be_complained_of(self, hosts):
        name = os.fsdecode(b"latin-\xfc")
        (hosts.data / name).write_bytes(b"x")
        asked = {**about(hosts.data / name, name), "start": 0, "length": 1}
        os.utime(hosts.data / name, (1, 1))
        with Talk(hosts) as talk:
            status, answer = talk.ask("range", asked)
        assert (status, json.loads(answer)["path"]) == (409, "/data/latin-\\xfc")


def test_holes_are_read_as_zeros(hosts):
    with (hosts.data / "sparse").open("wb") as file:
        file.truncate(2 * MIB)
    asked = {**about(hosts.data / "sparse", "sparse"), "start": MIB, "length": MIB}
    with Talk(hosts) as talk:
        assert talk.ask("range", asked) == (200, bytes(MIB) + digest_of(bytes(MIB)))


class TestAPeerThatTakesItsTime:
    async def test_to_take_what_is_sent_is_borne_with(self, hosts, monkeypatch):
        """A bandwidth limit may hold it back for longer than anyone may be silent."""
        write_random(hosts.data / "big", RANGE_BYTES)
        with dial(hosts) as connection:
            connection.sendall(asking_for(hosts.data / "big"))
            assert connection.recv(1)
            [other] = hosts.server._connections[HOP]
            assert other.gettimeout() == request_handler.SEND_TIMEOUT_S
            got = 1
            while got < RANGE_BYTES:
                got += len(connection.recv(MIB))
            await until(lambda: other.gettimeout() == request_handler.IDLE_TIMEOUT_S)

    async def test_to_take_anything_at_all_is_cut_off_at_last(self, hosts, monkeypatch, caplog):
        monkeypatch.setattr(request_handler, "SEND_TIMEOUT_S", 0.05)
        write_random(hosts.data / "big", RANGE_BYTES)
        with dial(hosts) as connection:
            connection.sendall(asking_for(hosts.data / "big"))
            assert connection.recv(1)
            await until(lambda: not hosts.server._connections)
        assert not [record for record in caplog.records if record.levelno >= logging.WARNING]

    @pytest.mark.parametrize("said", [b"", b"POST /ho", b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\n{"])
    def test_to_ask_is_cut_off(self, hosts, monkeypatch, said):
        monkeypatch.setattr(request_handler, "IDLE_TIMEOUT_S", 0.05)
        with dial(hosts) as connection:
            connection.sendall(said)
            assert everything(connection) == b""

    def test_to_ask_holds_nobody_up(self, hosts):
        with contextlib.ExitStack() as stack:
            for _ in range(20):
                stack.enter_context(dial(hosts)).sendall(b"POST /hops/")
            with Talk(hosts) as talk:
                assert talk.ask("manifest", ALL)[0] == 200

    async def test_is_cut_off_when_its_hop_is_over(self, hosts):
        with dial(hosts) as silent:
            await until(lambda: hosts.server._connections)
            hosts.server.revoke(HOP)
            assert everything(silent) == b""
        await until(lambda: not hosts.server._connections)

    def test_to_shake_hands_is_cut_off(self, hosts, monkeypatch):
        monkeypatch.setattr(listener, "HANDSHAKE_TIMEOUT_S", 0.05)
        with socket.create_connection(("127.0.0.1", hosts.server.port)) as silent:
            silent.sendall(b"\x16\x03")
            assert silent.recv(1) == b""


class TestStrangers:
    @pytest.mark.parametrize("said", [b"GET / HTTP/1.1\r\n\r\n", b"\0" * 1000, b"SSH-2.0-x\r\n"])
    def test_hear_no_http(self, hosts, caplog, said):
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

    def test_get_no_ticket_to_come_back_with(self, hosts):
        with Talk(hosts) as talk:
            assert talk.ask("manifest", ALL)[0] == 200
            session = talk.http.sock.session
            assert session is None or not session.has_ticket

    async def test_in_a_crowd_are_sent_away_and_do_not_stay(self, tmp_path, monkeypatch):
        monkeypatch.setattr(listener, "MAX_HANDSHAKES", 3)
        hosts = Hosts(tmp_path)
        hosts.serve(HOP, "/data/")
        try:
            crowd = [socket.create_connection(("127.0.0.1", hosts.server.port)) for _ in range(3)]
            await until(lambda: hosts.server._server._handshakes._value == 0)
            with socket.create_connection(("127.0.0.1", hosts.server.port)) as late:
                assert late.recv(1) == b""
            for one in crowd:
                one.close()
            await until(lambda: hosts.server._server._handshakes._value == 3)
            with Talk(hosts) as talk:
                assert talk.ask("manifest", ALL)[0] == 200
        finally:
            hosts.close()


def test_a_peer_has_no_more_connections_than_it_can_use(hosts, monkeypatch):
    monkeypatch.setattr(server, "MAX_CONNECTIONS_PER_HOP", 2)
    with Talk(hosts) as one, Talk(hosts) as two:
        for talk in (one, two):
            assert talk.ask("manifest", ALL)[0] == 200
        with dial(hosts) as third:
            assert everything(third) == b""
        assert one.ask("manifest", ALL)[0] == 200


def test_a_certificate_that_only_looks_like_one_is_refused(hosts):
    wrong = serve(hosts, OTHER, hosts.c)
    pem = ssl.DER_cert_to_PEM_cert(b"no certificate at all")
    wrong = wrong.model_copy(update={"peer": wrong.peer.model_copy(update={"certificate": pem})})
    with pytest.raises(HopError) as caught:
        hosts.server.allow(wrong, TOKEN)
    assert caught.value.problem.code == "peer-certificate"
    assert hosts.server.grants.get(OTHER) is None


async def test_a_new_attempt_has_a_new_token_and_the_old_one_is_worth_nothing(hosts):
    with Talk(hosts) as talk:
        assert talk.ask("manifest", ALL)[0] == 200
        hosts.server.allow(serve(hosts, HOP, hosts.c), "the second token")
        assert talk.code("manifest", ALL) == (401, "not-served")
        assert talk.ask("manifest", ALL, token="the second token")[0] == 200


async def test_who_hangs_up_in_the_middle_leaves_nothing_behind(hosts, caplog):
    """However rudely: no thread, no descriptor, no traceback in the log."""
    caplog.set_level(logging.INFO)
    write_random(hosts.data / "big", RANGE_BYTES)
    threads, before = threading.active_count(), descriptors()
    for rude in (True, False) * 5:
        with dial(hosts) as connection:
            connection.sendall(asking_for(hosts.data / "big"))
            assert connection.recv(1)
            if rude:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await until(lambda: threading.active_count() <= threads)
    await until(lambda: descriptors() <= before)
    assert hosts.server._connections == {}
    assert {record.levelname for record in caplog.records} <= {"INFO"}
    assert not any(record.exc_info for record in caplog.records)


async def test_without_descriptors_it_takes_a_breath_and_goes_on(hosts, monkeypatch, caplog):
    monkeypatch.setattr(listener, "ACCEPT_BACKOFF_S", 0)
    really, left = TCPServer.get_request, [3]

    def exhausted(self):
        left[0] -= 1
        if left[0] >= 0:
            raise OSError(errno.EMFILE, "Too many open files")
        return really(self)

    monkeypatch.setattr(TCPServer, "get_request", exhausted)
    with Talk(hosts) as talk:
        assert talk.ask("manifest", ALL)[0] == 200
    assert "lane cannot accept" in caplog.text


async def test_a_mistake_of_ours_is_told_with_its_traceback(hosts, monkeypatch, caplog):
    monkeypatch.setattr(request_handler, "entries", lambda *_: 1 / 0)
    with Talk(hosts) as talk, pytest.raises((http.client.HTTPException, ConnectionError)):
        talk.ask("manifest", ALL)
    await until(lambda: caplog.records)
    [record] = caplog.records
    assert record.exc_info[0] is ZeroDivisionError


def test_stopping_ends_every_thread_of_it(hosts):
    with Talk(hosts) as talk:
        talk.ask("manifest", ALL)
        hosts.arriving.stop()
        hosts.server.stop()
        talk.http.sock.settimeout(10)
        assert talk.http.sock.recv(1) == b""
    assert "lane" not in {thread.name for thread in threading.enumerate()}
