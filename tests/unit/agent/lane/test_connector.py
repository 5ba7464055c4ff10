"""Test how two agents connect: who dials, which way wins, what is remembered, and when none works."""

import asyncio
import contextlib
import json
import socket
import ssl
import threading

import pytest

from agent.backoff import Backoff
from agent.errors import HopError
from agent.files.digests import RANGE_BYTES
from agent.identity import lane_certificate
from agent.lane import inbound, reverse_dialer, sockets
from agent.lane.connection_race import ConnectionRace
from agent.lane.grants import client_context
from agent.lane.inbound import reverse_request
from agent.lane.limits import LaneLimits
from agent.lane.peer_paths import MAX_PEERS, PeerPath, PeerPathCache
from agent.pull.source import SourceConnectionError
from infra.local.demo_files import MIB, differences, listing, write_random
from tests.support.held_progress import pause
from tests.support.hosts import TOKEN, TRANSFER, Hosts, closed_port, with_lane_limits
from tests.support.network_proxy import NetworkProxy
from tests.support.waiting import HANG_TIMEOUT_S, until

HOP = f"{TRANSFER}-700"


def make_hosts(tmp_path, dials, lane_limits=LaneLimits()):
    return contextlib.closing(Hosts(tmp_path, dials, lane_limits))


class TestWhenBothCanDial:
    async def test_a_hop_uses_one_direction_only(self, tmp_path):
        with make_hosts(tmp_path, "both") as hosts:
            write_random(hosts.data / "big", 4 * RANGE_BYTES)
            order = hosts.order("/data/big", "/archive/big", streams=4)

            await hosts.move(order)

            assert (hosts.archive / "big").read_bytes() == (hosts.data / "big").read_bytes()
            ways = {f"direct, server-c dialed {hosts.proxy.endpoint}"} | {
                f"direct, server-b dialed {inbound_connections}" for inbound_connections in hosts.c_endpoints
            }
            assert set(hosts.observer.connections) <= ways
            assert len(hosts.observer.connections) == 1
            hosts.release(order)
            await until(lambda: not hosts.server._connections)

    async def test_a_broken_direction_is_replaced_by_the_other(self, tmp_path):
        """The direction in use fails midway; data that has arrived is not sent again."""
        with make_hosts(tmp_path, "both") as hosts:
            hosts.server.peer_paths.remember("server-c", PeerPath(dialed=False))
            hosts.destination_server.peer_paths.remember(
                "server-b", PeerPath(dialed=True, address=hosts.proxy.endpoint)
            )
            write_random(hosts.data / "big", 4 * RANGE_BYTES)
            order = hosts.order("/data/big", "/archive/big", streams=1)
            back = NetworkProxy(hosts.destination_server.port, "to target")
            with contextlib.closing(back):
                hosts.server.revoke(order.hop_id)
                hosts.c_endpoints = (back.endpoint,)
                hosts.serve(order.hop_id, "/data/big")
                async with hosts.held(order, lambda now: now.bytes_done > 2 * RANGE_BYTES) as moving:
                    hosts.proxy.down()

                await moving

                assert hosts.observer.connections[0] == f"direct, server-c dialed {hosts.proxy.endpoint}"
                assert hosts.observer.connections[-1] == f"direct, server-b dialed {back.endpoint}"
            assert (hosts.archive / "big").read_bytes() == (hosts.data / "big").read_bytes()
            assert hosts.proxy.passed + back.passed < 5.1 * RANGE_BYTES


class TestWhenNeitherCanDial:
    async def test_the_error_names_each_address_with_its_own_error(self, tmp_path):
        with make_hosts(tmp_path, "neither") as hosts, silent_server() as silent, smtp_server() as no_lane:
            refusing = hosts.b_endpoints[0]
            hosts.b_endpoints = (refusing, silent, no_lane, "no.such.host.invalid:1", "nonsense")
            order = hosts.order("/data/x", "/archive/")

            error = await hosts.fails(order)

            problem = error.problem
            assert (problem.code, problem.retryable) == ("source-unreachable", True)
            assert "open the lane port" in problem.advice
            assert f"{refusing}: connection refused" in problem.message
            assert f"{silent}: no answer in time" in problem.message
            assert f"{no_lane}: does not speak TLS" in problem.message
            assert "no.such.host.invalid:1: no" in problem.message
            assert "'nonsense' is not host:port" in problem.message
            assert f"server-b, dialing {hosts.c_endpoints[0]} itself: did not connect" in problem.message

    @pytest.mark.usefixtures("races_end_when_each_way_failed")
    async def test_the_source_reports_its_errors_once(self, tmp_path, monkeypatch):
        limits = LaneLimits(dial_timeout_s=HANG_TIMEOUT_S, redial_backoff=Backoff(0.01, 30.0))
        with make_hosts(tmp_path, "neither", limits) as hosts:
            reported, reports = [], []
            hosts.server.on_unreachable(lambda serve, answers: reported.append((serve.hop_id, answers)))
            original = reverse_dialer.ReverseDialer._report_failure
            monkeypatch.setattr(
                reverse_dialer.ReverseDialer,
                "_report_failure",
                lambda *args, **more: (original(*args, **more), reports.append(1)),
            )
            order = hosts.order("/data/x", "/archive/x")
            await until(lambda: len(reports) > 2)
            assert reported == [(order.hop_id, f"{hosts.c_endpoints[0]}: connection refused")]

    async def test_the_source_reports_nothing_while_the_hop_waits_to_start(self, tmp_path):
        with make_hosts(tmp_path, "source") as hosts:
            reported = []
            hosts.server.on_unreachable(lambda *what: reported.append(what))
            write_random(hosts.data / "x", 10)
            order = hosts.order("/data/x", "/archive/x")
            await until(lambda: hosts.proxy.dialed > 2)
            await hosts.move(order)
            assert reported == []

    async def test_a_pause_interrupts_dialing(self, tmp_path):
        with make_hosts(tmp_path, "neither", LaneLimits(dial_timeout_s=3600)) as hosts:
            moving = asyncio.create_task(hosts.move(hosts.order("/data/x", "/archive/")))
            await until(lambda: "dial" in {thread.name for thread in threading.enumerate()})
            moving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await moving

    async def test_a_refusal_by_the_source_ends_dialing(self, tmp_path):
        """The source was reached and refused, so no other address can succeed."""
        with make_hosts(tmp_path, "destination") as hosts:
            order = hosts.order("/data/x", "/archive/")
            hosts.sources.reload(())
            error = await hosts.fails(order)
            assert error.problem.code == "outside-roots"


@contextlib.contextmanager
def silent_server():
    """Yield an address that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@contextlib.contextmanager
def smtp_server():
    """Yield an address where another service answers in clear text."""

    def greet() -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = server.accept()
                with caller:
                    caller.sendall(b"220 mail.example ESMTP\r\n")
                    caller.recv(1000)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=greet, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("dials", ["destination", "source"])
class TestConnectionSetup:
    async def test_happens_once_a_hop_and_not_once_a_file(self, tmp_path, dials, monkeypatch):
        from_source = record_inbound(monkeypatch)
        with make_hosts(tmp_path, dials) as hosts:
            for number in range(3000):
                write_random(hosts.data / f"many/{number:04}", number % 50)
            write_random(hosts.data / "many/big", 5 * MIB)

            await hosts.move(hosts.order("/data/many/", "/archive/many/", streams=2))

            assert differences(listing(hosts.data), listing(hosts.archive)) == []
            if dials == "destination":
                assert 2 <= hosts.proxy.dialed <= 3
            else:
                assert 3 <= len(from_source) <= 3 + reverse_dialer.MAX_IDLE_CONNECTIONS

    async def test_opens_the_requested_number_of_connections(self, tmp_path, dials):
        with make_hosts(tmp_path, dials) as hosts:
            write_random(hosts.data / "big", 8 * RANGE_BYTES)
            order = hosts.order("/data/big", "/archive/big", streams=8)
            async with hosts.held(order, lambda progress: progress.bytes_done) as moving:
                await until(lambda: len(hosts.server._connections.get(order.hop_id, ())) >= 8)
            await moving

    async def test_needs_one_port_for_many_hops(self, tmp_path, dials):
        with make_hosts(tmp_path, dials) as hosts:
            orders = []
            for number in range(12):
                write_random(hosts.data / f"{number}/file", 3 * MIB)
                orders.append(hosts.order(f"/data/{number}/", f"/archive/{number}/", streams=2))

            await asyncio.gather(*(hosts.move(order) for order in orders))

            assert differences(listing(hosts.data), listing(hosts.archive)) == []


def record_inbound(monkeypatch) -> list[object]:
    """Return a list of the connections from a source that the destination accepts from now on."""
    taken: list[object] = []
    original = inbound.InboundConnections.add_idle
    monkeypatch.setattr(
        inbound.InboundConnections, "add_idle", lambda *args: (taken.append(args), original(*args))
    )
    return taken


class TestDialingSource:
    @pytest.fixture
    def hosts(self, tmp_path, lane_limits):
        with make_hosts(tmp_path, "source", lane_limits) as hosts:
            yield hosts

    async def test_is_accepted_only_while_its_hop_runs(self, hosts):
        write_random(hosts.data / "x", 10)
        order = hosts.order("/data/x", "/archive/x")
        with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
            dial(hosts, order.hop_id)
        await hosts.move(order)
        hosts.release(order)
        with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
            dial(hosts, order.hop_id)

    @pytest.mark.parametrize(("hops_token", "status"), [(TOKEN, 101), ("wrong", 401)])
    def test_needs_the_token_of_the_hop(self, hosts, hops_token, status):
        with expected_inbound(hosts) as inbound_connections, dial(hosts, HOP) as connection:
            assert send_request(connection, reverse_request(HOP, hops_token, "127.0.0.1:1")) == status
            if status == 101:
                with contextlib.closing(inbound_connections.wait_for_connection(HANG_TIMEOUT_S)) as idle:
                    assert idle.dialed_address == "127.0.0.1:1"
            else:
                with pytest.raises(SourceConnectionError):
                    inbound_connections.wait_for_connection(0)

    def test_needs_the_certificate_of_the_source(self, hosts, tmp_path):
        (tmp_path / "mallory").mkdir()
        mallory = lane_certificate.ensure(tmp_path / "mallory")
        with expected_inbound(hosts) as inbound_connections:
            with dial(hosts, HOP, mallory) as connection, contextlib.suppress(OSError):
                connection.sendall(reverse_request(HOP, TOKEN, "127.0.0.1:1"))
                assert connection.recv(1) == b""
            with pytest.raises(SourceConnectionError):
                inbound_connections.wait_for_connection(0)

    @pytest.mark.parametrize(
        ("raw_request", "status"),
        [
            (b"POST /hops/%s/manifest HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}" % HOP.encode(), 404),
            (reverse_request(HOP, TOKEN, "127.0.0.1:1").replace(b"Upgrade: cross", b"Upgrade: h2c"), 404),
            (reverse_request(f"{TRANSFER}-701", TOKEN, "127.0.0.1:1"), 404),
            (reverse_request(HOP, TOKEN, "no address"), 400),
            (reverse_request(HOP, TOKEN, "\x1b[2J:1"), 400),
            (reverse_request(HOP, TOKEN, "1" * 301 + ":1"), 400),
            (b"POST / HTTP/1.1\r\nContent-Length: 99999\r\n\r\n", 413),
            (b"GET / HTTP/1.1\r\n\r\n", 501),
            (b"nonsense / HTTP/1.1\r\n\r\n", 501),
        ],
    )
    def test_may_send_no_other_request(self, hosts, raw_request, status):
        with expected_inbound(hosts) as inbound_connections:
            with dial(hosts, HOP) as connection:
                assert send_request(connection, raw_request) == status
            with pytest.raises(SourceConnectionError):
                inbound_connections.wait_for_connection(0)

    @with_lane_limits(upgrade_timeout_s=0.05)
    def test_that_sends_nothing_is_cut_off(self, hosts):
        with expected_inbound(hosts), dial(hosts, HOP) as connection:
            assert connection.recv(1) == b""

    @with_lane_limits(max_idle_inbound=2)
    def test_has_a_maximum_of_idle_connections(self, hosts):
        with expected_inbound(hosts) as inbound_connections, contextlib.ExitStack() as stack:
            for _ in range(3):
                connection = stack.enter_context(dial(hosts, HOP))
                connection.sendall(reverse_request(HOP, TOKEN, "127.0.0.1:1"))
                connection.recv(1000)
            assert connection.recv(1) == b""
            assert len(inbound_connections._idle) == 2

    async def test_that_closes_its_connection_is_not_used(self, hosts):
        with expected_inbound(hosts) as inbound_connections:
            with dial(hosts, HOP) as gone:
                gone.sendall(reverse_request(HOP, TOKEN, "127.0.0.1:1"))
                await until(lambda: inbound_connections._idle)
            await until(lambda: not sockets.has_no_data(inbound_connections._idle[0].connection))
            with pytest.raises(SourceConnectionError):
                inbound_connections.wait_for_connection(0)

    @pytest.mark.usefixtures("races_end_when_each_way_failed")
    @with_lane_limits(dial_timeout_s=HANG_TIMEOUT_S)
    async def test_sends_nothing_to_another_agent_at_that_address(self, hosts, tmp_path):
        """Not even the token."""
        write_random(hosts.data / "secret", 100)
        (tmp_path / "mallory").mkdir()
        hosts.destination_server.grants._identities = lane_certificate.ensure(tmp_path / "mallory")
        error = await hosts.fails(hosts.order("/data/secret", "/archive/secret"))
        assert error.problem.code == "source-unreachable"
        assert list(hosts.archive.iterdir()) == []
        await until(lambda: not hosts.server._connections)

    async def test_is_cut_off_when_the_hop_is_released(self, hosts):
        write_random(hosts.data / "big", 2 * RANGE_BYTES)
        order = hosts.order("/data/big", "/archive/big")
        async with hosts.held(order, lambda progress: progress.bytes_done) as moving:
            dialed = hosts.proxy.dialed
            hosts.release(order)
            await until(lambda: not hosts.server._connections)
            await pause(moving)
        with pytest.raises((asyncio.CancelledError, HopError)):
            await moving
        assert hosts.proxy.dialed <= dialed + 1

    async def test_dials_nothing_without_addresses(self, hosts):
        """An older control plane sends none."""
        hosts.c_endpoints, hosts.b_endpoints = (), (f"127.0.0.1:{hosts.server.port}",)
        write_random(hosts.data / "x", 10)
        await hosts.move(hosts.order("/data/x", "/archive/x"))
        assert hosts.observer.connections == [f"direct, server-c dialed {hosts.b_endpoints[0]}"]
        assert hosts.server._reverse_dialers == {}


@contextlib.contextmanager
def expected_inbound(hosts):
    """Let server-c expect the hop's source."""
    from events.commands import Peer

    source = Peer(agent_id="server-b", certificate=hosts.b.certificate.read_text())
    with contextlib.closing(
        hosts.destination_server.expect_inbound(HOP, source, TOKEN)
    ) as inbound_connections:
        yield inbound_connections


def dial(hosts, hop, identity=None) -> ssl.SSLSocket:
    context = client_context(identity or hosts.b, hosts.c.certificate.read_text())
    plain = socket.create_connection(("127.0.0.1", hosts.destination_server.port), 10)
    try:
        return context.wrap_socket(plain, server_hostname=hop)
    except BaseException:
        plain.close()
        raise


def send_request(connection: ssl.SSLSocket, request: bytes) -> int:
    """Send a request and return the status of the response."""
    connection.sendall(request)
    return int(connection.recv(1000).split(b" ")[1])


class TestPathThatWorked:
    @pytest.mark.parametrize("dials", ["destination", "source"])
    async def test_is_tried_first_the_next_time(self, tmp_path, dials):
        with make_hosts(tmp_path, dials, LaneLimits(head_start_s=3600)) as hosts:
            write_random(hosts.data / "x", 10)
            order = hosts.order("/data/x", "/archive/1")
            await hosts.move(order)
            hosts.release(order)
            other = NetworkProxy(int(closed_port().rpartition(":")[2]), "from target")
            if dials == "source":
                hosts.b_endpoints = (other.endpoint,)
            else:
                hosts.b_endpoints = (other.endpoint, *hosts.b_endpoints)

            await hosts.move(hosts.order("/data/x", "/archive/2"))

            assert hosts.observer.connections == [hosts.expected_connection]
            assert other.dialed == 0
            other.close()

    async def test_that_fails_now_costs_little(self, tmp_path):
        with make_hosts(tmp_path, "destination") as hosts:
            write_random(hosts.data / "x", 10)
            hosts.destination_server.peer_paths.remember(
                "server-b", PeerPath(dialed=True, address="127.0.0.1:1")
            )
            await hosts.move(hosts.order("/data/x", "/archive/1"))
            hosts.destination_server.peer_paths.remember("server-b", PeerPath(dialed=False))
            await hosts.move(hosts.order("/data/x", "/archive/2"))
            assert hosts.observer.connections == [hosts.expected_connection]

    def test_is_kept_across_restarts(self, tmp_path):
        PeerPathCache(tmp_path / "routes.json").remember("server-b", PeerPath(True, "10.0.0.2:4460"))
        PeerPathCache(tmp_path / "routes.json").remember("server-d", PeerPath(False, relayed=True))
        again = PeerPathCache(tmp_path / "routes.json")
        assert again.recall("server-b") == PeerPath(True, "10.0.0.2:4460")
        assert again.recall("server-d") == PeerPath(False, relayed=True)
        assert again.recall("server-c") is None

    @pytest.mark.parametrize("damaged", ["", "[]", "{", '{"server-b": 7}', '{"server-b": {}}'])
    def test_is_forgotten_when_its_file_is_damaged(self, tmp_path, damaged):
        (tmp_path / "routes.json").write_text(damaged)
        routes = PeerPathCache(tmp_path / "routes.json")
        assert routes.recall("server-b") is None
        routes.remember("server-b", PeerPath(False))
        assert json.loads((tmp_path / "routes.json").read_text())["server-b"]["dialed"] is False

    def test_from_an_older_agent_is_read(self, tmp_path):
        (tmp_path / "routes.json").write_text('{"server-b": {"dialed": true, "address": "10.0.0.2:4460"}}')
        assert PeerPathCache(tmp_path / "routes.json").recall("server-b") == PeerPath(True, "10.0.0.2:4460")

    def test_is_forgotten_when_there_are_too_many(self, tmp_path):
        routes = PeerPathCache()
        for number in range(MAX_PEERS + 1):
            routes.remember(f"server-{number}", PeerPath(False))
        assert routes.recall("server-0") is None
        assert routes.recall(f"server-{MAX_PEERS}") == PeerPath(False)


class FakeConnection:
    closed = False

    def close(self) -> None:
        self.closed = True


class TestConnectionRace:
    async def test_closes_late_connections(self):
        late, may = FakeConnection(), threading.Event()

        def slow() -> FakeConnection:
            may.wait(HANG_TIMEOUT_S)
            return late

        name, won = ConnectionRace({"slow": slow, "quick": FakeConnection}).first_connection(HANG_TIMEOUT_S)
        may.set()
        assert name == "quick"
        assert not won.closed
        await until(lambda: late.closed)

    def test_repeats_failed_attempts(self):
        answers = iter([ConnectionRefusedError(111, "Connection refused")])

        def early() -> FakeConnection:
            for error in answers:
                raise error
            return FakeConnection()

        assert ConnectionRace({"early": early}).first_connection(HANG_TIMEOUT_S)[0] == "early"

    def test_without_attempts_fails(self):
        with pytest.raises(SourceConnectionError):
            ConnectionRace({}).first_connection(0.01)
