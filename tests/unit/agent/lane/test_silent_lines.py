"""A line that goes silent is given up in seconds; a slow line, or a slow reader, is not taken for one."""

import asyncio
import socket

import pytest

from agent import tcp
from agent.files.digests import RANGE_BYTES
from agent.lane import request_handler
from agent.lane.client import LaneClient
from agent.lane.silence import CHECKS_PER_TIMEOUT, SilenceWatch
from agent.lane.source import FAR_STREAMS, FAR_STREAMS_WITHOUT_BBR, initial_streams
from infra.local.demo_files import MIB, write_random
from tests.support.hosts import Hosts, with_lane_limits
from tests.support.silence import cut
from tests.support.waiting import HANG_TIMEOUT_S, until
from tests.unit.agent.lane.test_lane_server import HOP, dial, range_request

HOUR_S = 3600
short = with_lane_limits(
    silence_timeout_s=2, read_timeout_s=HOUR_S, idle_timeout_s=HOUR_S, send_timeout_s=HOUR_S
)
"""Nothing but silence ends a connection within the test."""


@pytest.fixture
def opened(monkeypatch) -> list[socket.socket]:
    """Return the connections that the destination uses, as they are opened."""
    found: list[socket.socket] = []
    really = LaneClient.__init__

    def record(client: LaneClient, connection: socket.socket, *more, **named) -> None:
        found.append(connection)
        really(client, connection, *more, **named)

    monkeypatch.setattr(LaneClient, "__init__", record)
    return found


@pytest.mark.parametrize("dials", ["destination", "source"])
@short
async def test_a_line_that_is_cut_in_the_middle_of_a_file_is_replaced(tmp_path, dials, lane_limits, opened):
    """Both ends notice, whichever dialed, and the hop goes on over a new connection."""
    hosts = Hosts(tmp_path, dials, lane_limits)
    hosts.b_endpoints = (f"127.0.0.1:{hosts.server.port}",) if dials == "destination" else hosts.b_endpoints
    hosts.c_endpoints = (
        (f"127.0.0.1:{hosts.destination_server.port}",) if dials == "source" else hosts.c_endpoints
    )
    try:
        write_random(hosts.data / "big", 2 * RANGE_BYTES)
        order = hosts.order("/data/big", "/archive/big", streams=1)
        async with hosts.held(order, lambda now: now.bytes_done > MIB) as moving:
            served = set(hosts.server._connections[order.hop_id])
            cut(*opened, *served)
        async with asyncio.timeout(HANG_TIMEOUT_S):
            await moving
        assert (hosts.archive / "big").read_bytes() == (hosts.data / "big").read_bytes()
        assert hosts.progress_counter.bytes_moved < 3.1 * RANGE_BYTES
        await until(lambda: not served & set(hosts.server._connections.get(order.hop_id, ())))
    finally:
        hosts.close()


@short
async def test_a_peer_that_is_gone_between_two_requests_is_noticed(lane_hosts):
    with dial(lane_hosts) as connection:
        await until(lambda: lane_hosts.server._connections)
        cut(connection, *lane_hosts.server._connections[HOP])
        await until(lambda: not lane_hosts.server._connections)


@with_lane_limits(silence_timeout_s=0.5)
async def test_a_reader_that_takes_nothing_for_long_is_not_taken_for_gone(lane_hosts, monkeypatch):
    """Its disk is slow, or its bandwidth limited: its system answers, though it takes no data."""
    really, checks = SilenceWatch.check, []
    monkeypatch.setattr(SilenceWatch, "check", lambda *args: (checks.append(1), really(*args)))
    write_random(lane_hosts.data / "big", RANGE_BYTES)
    with dial(lane_hosts) as connection:
        connection.sendall(range_request(lane_hosts.data / "big"))
        assert connection.recv(1)
        await until(lambda: len(checks) > 5 * CHECKS_PER_TIMEOUT)
        got = 1
        while got < RANGE_BYTES:
            received = len(connection.recv(MIB))
            assert received, f"cut off after {got} bytes"
            got += received


@pytest.fixture
def lane_hosts(tmp_path, lane_limits):
    hosts = Hosts(tmp_path, lane_limits=lane_limits)
    hosts.serve(HOP, "/data/")
    yield hosts
    hosts.close()


def test_a_lane_asks_for_bbr_and_does_without_it():
    with socket.socket() as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"reno")
        tcp.prepare(plain, 30)
        assert tcp.congestion_control(plain) == ("bbr" if permits_bbr() else "reno")


class WithoutBbr(socket.socket):
    """A socket of a process that may not choose the algorithm."""

    def setsockopt(self, level: int, option: int, value: object) -> None:
        if (level, option) == (socket.IPPROTO_TCP, socket.TCP_CONGESTION):
            raise PermissionError
        super().setsockopt(level, option, value)


def test_where_bbr_is_not_permitted_the_system_s_algorithm_stays():
    with WithoutBbr() as plain:
        tcp.prepare(plain, 30)
        assert tcp.congestion_control(plain) == system_algorithm()
        assert plain.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert plain.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 10
        assert tcp.host_congestion_control() in {"bbr", system_algorithm()}


def system_algorithm() -> str:
    with socket.socket() as plain:
        return str(tcp.congestion_control(plain))


def permits_bbr() -> bool:
    with socket.socket() as plain:
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"bbr")
        except OSError:
            return False
    return True


@pytest.mark.parametrize(
    ("said", "shown"),
    [("reno", "reno"), ("bbr2_x-1", "bbr2_x-1"), ("<b>", None), ("x" * 40, None), (None, None)],
)
async def test_the_source_s_algorithm_is_reported(lane_hosts, monkeypatch, said, shown):
    """It is the source that sends. What a hostile source says is shown only if it is a name."""
    monkeypatch.setattr(request_handler, "congestion_control", lambda _: said)
    write_random(lane_hosts.data / "x", 10)
    await lane_hosts.move(lane_hosts.order("/data/x", "/archive/x"))
    assert lane_hosts.observer.congestion_control == shown


@pytest.mark.parametrize(
    ("algorithm", "is_far", "streams"),
    [
        ("bbr", True, FAR_STREAMS),
        ("cubic", True, FAR_STREAMS_WITHOUT_BBR),
        (None, True, FAR_STREAMS_WITHOUT_BBR),
        ("cubic", False, 2),
        (None, False, 2),
    ],
)
def test_a_long_line_begins_with_more_connections(monkeypatch, algorithm, is_far, streams):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert initial_streams(algorithm, is_far=is_far) == streams


def test_a_connection_that_is_not_tcp_is_left_alone():
    """Such as one through the relay bucket."""
    one, other = socket.socketpair()
    with one, other:
        tcp.limit_unacknowledged(one, 1)
        assert tcp.congestion_control(one) is None
        assert tcp.tcp_info(one) is None


def test_what_the_kernel_knows_about_a_connection():
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()) as connection:
            info = tcp.tcp_info(connection)
            assert info is not None
            assert (info.unacknowledged, info.probes) == (0, 0)
            assert 0 < info.round_trip_s < HANG_TIMEOUT_S
            assert info.last_ack_s < HANG_TIMEOUT_S
        assert tcp.tcp_info(connection) is None
