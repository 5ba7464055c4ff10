"""Whom the lane lets in, and what it says to them: a real listener, spoken to by hand."""

import contextlib
import http.client
import json
import os
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.digests import DIGEST_SIZE, RANGE, digest_of
from agent.errors import HopError
from agent.lane import identity, wire
from agent.lane.grants import client_context
from events.commands import Peer, Serve
from infra.local.material import MIB, write_random
from tests.unit.agent.hosts import TOKEN, TRANSFER, Hosts

HOP, OTHER = f"{TRANSFER}-500", f"{TRANSFER}-501"


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


def about(path: Path, name: str) -> dict[str, object]:
    found = path.stat()
    return {"path": name, "size": found.st_size, "mtime_ns": found.st_mtime_ns}


class TestWhoIsLetIn:
    def test_the_peer_of_a_hop_and_for_that_hop_only(self, hosts):
        with Talk(hosts) as talk:
            assert talk.ask("manifest", {"symlinks": "keep", "selection": None})[0] == 200
            assert talk.code("manifest", {}, token="wrong") == (401, "not-served")
            assert talk.code("manifest", {}, hop=OTHER) == (401, "not-served")

    @pytest.mark.parametrize("hop", [OTHER, "x"])
    def test_not_for_a_hop_that_is_not_served(self, hosts, hop):
        with pytest.raises((ssl.SSLError, ConnectionError, ValueError)):
            dial(hosts, hop).recv(1)

    def test_not_another_agent(self, hosts, tmp_path):
        """Whose certificate has the very same names, and who knows the token."""
        (tmp_path / "mallory").mkdir()
        mallory = identity.ensure(tmp_path / "mallory")
        with dial(hosts, who=mallory) as connection:
            assert everything(connection) == b""

    def test_two_peers_at_once_each_for_its_own(self, hosts, tmp_path):
        """Both trusted, neither in the other's place."""
        (tmp_path / "d-keys").mkdir()
        d = identity.ensure(tmp_path / "d-keys")
        hosts.server.allow(serve(hosts, OTHER, d), "d's token")
        with Talk(hosts) as talk:
            assert talk.ask("manifest", {"symlinks": "keep", "selection": None})[0] == 200
        with Talk(hosts, OTHER, who=d) as talk:
            asked = {"symlinks": "keep", "selection": None}
            assert talk.ask("manifest", asked, hop=OTHER, token="d's token")[0] == 200
            assert talk.code("manifest", asked, hop=HOP) == (401, "not-served")
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
        write_random(hosts.data / "big", RANGE)
        with dial(hosts) as connection:
            connection.sendall(asking_for(hosts.data / "big"))
            assert connection.recv(100)
            hosts.server.revoke(HOP)
            assert len(everything(connection)) < RANGE

    def test_nobody_waits_for_who_does_not_finish_shaking_hands(self, hosts):
        with socket.create_connection(("127.0.0.1", hosts.server.port)), Talk(hosts) as talk:
            assert talk.ask("manifest", {"symlinks": "keep", "selection": None})[0] == 200

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
    body = wire.dump({**about(file, file.name), "start": 0, "length": RANGE})
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
        nothing = bytes(DIGEST_SIZE)
        expected = wire.OK + digest_of(a) + a + wire.OK + digest_of(b) + b
        assert (status, answer) == (200, expected + wire.CHANGED + nothing + wire.MISSING + nothing)

    def test_hundreds_of_requests_on_one_connection_leave_nothing_open(self, hosts):
        write_random(hosts.data / "file", 10)
        asked = {**about(hosts.data / "file", "file"), "start": 0, "length": 10}
        with Talk(hosts) as talk:
            talk.ask("range", asked)
            before = len(list(Path("/proc/self/fd").iterdir()))
            for _ in range(300):
                assert talk.ask("range", asked)[0] == 200
            assert len(list(Path("/proc/self/fd").iterdir())) <= before + 3

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
            ("range", {"path": "x", "size": 1, "mtime_ns": 1, "start": 0, "length": RANGE + 1}),
            ("range", {"path": "x", "size": 1, "mtime_ns": 1, "start": "one", "length": 1}),
            ("pack", {"files": [["x", 1, 1]] * (wire.PACK_FILES + 1)}),
            ("pack", {"files": [["x", 10**12, 1]]}),
            ("pack", {"files": 5}),
            ("manifest", {}),
            ("manifest", {"symlinks": "keep", "selection": 5}),
        ],
    )
    def test_nonsense_is_refused_and_the_connection_stays_good(self, hosts, verb, body):
        with Talk(hosts) as talk:
            assert talk.code(verb, body) == (400, "malformed")
            assert talk.ask("manifest", {"symlinks": "keep", "selection": None})[0] == 200

    def test_a_body_without_a_length_or_too_large_is_refused(self, hosts):
        for length in ("", "Content-Length: -5\r\n", f"Content-Length: {wire.MAX_BODY + 1}\r\n"):
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
        write_random(hosts.data / "file", RANGE)
        with dial(hosts) as connection:
            connection.sendall(asking_for(hosts.data / "file"))
            got = len(connection.recv(1000))
            os.truncate(hosts.data / "file", 10)
            got += len(everything(connection))
        assert got < RANGE

    def test_names_that_are_not_utf8(self, hosts):
        name = os.fsdecode(b"latin-\xfc")
        (hosts.data / name).write_bytes(b"x")
        with Talk(hosts) as talk:
            _, answer = talk.ask("manifest", {"symlinks": "keep", "selection": None})
            listed = [json.loads(line) for line in answer.splitlines()]
            assert name in [fields[1] for fields in listed[:-1]]
            asked = {**about(hosts.data / name, name), "start": 0, "length": 1}
            assert talk.ask("range", asked) == (200, b"x" + digest_of(b"x"))

    def test_a_listing_ends_with_how_long_it_was(self, hosts):
        for number in range(2000):
            (hosts.data / f"file-{number:05}").touch()
        with Talk(hosts) as talk:
            _, answer = talk.ask("manifest", {"symlinks": "keep", "selection": None})
        assert json.loads(answer.splitlines()[-1]) == ["end", 2001]


def test_stopping_ends_every_thread_of_it(hosts):
    with Talk(hosts) as talk:
        talk.ask("manifest", {"symlinks": "keep", "selection": None})
        hosts.server.stop()
        talk.http.sock.settimeout(10)
        assert talk.http.sock.recv(1) == b""
    assert "lane" not in {thread.name for thread in threading.enumerate()}
