"""A hostile agent names addresses to have its peers scan ports, reach local services, or start threads."""

import socket
import threading
from ipaddress import ip_address

import pytest
from pydantic import ValidationError

from agent.lane.connection_race import ConnectionRace
from agent.lane.dialer import MAX_ADDRESSES, Dialer
from agent.lane.limits import LaneLimits
from agent.lane.server import LaneServer
from agent.pull.mover import HostResources
from agent.pull.source import SourceConnectionError
from events.addresses import dialable, may_be_dialed
from events.commands import DirectRoute, Peer
from infra.local.demo_files import MIB, write_random
from tests.support.hosts import closed_port, with_lane_limits

NEVER = [
    "0.0.0.0",
    "169.254.169.254",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "fe80::1",
    "ff02::1",
    "::ffff:169.254.169.254",
    "2002:a9fe:a9fe::1",
]
LOOPBACK = ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "2002:7f00:1::1"]
ALLOWED = ["10.0.0.5", "192.168.1.1", "100.64.0.1", "8.8.8.8", "fd00::5", "2001:db8::5"]
DISGUISED = ["127.1:80", "2130706433:80", "0x7f.0.0.1:80", "0:80", "0177.0.0.1:80"]
"""The system's resolver takes these for addresses of this host."""


@pytest.mark.parametrize("loopback", [True, False])
def test_only_addresses_of_other_hosts_are_dialed(loopback):
    for text in NEVER:
        assert not may_be_dialed(ip_address(text), loopback=loopback)
    for text in LOOPBACK:
        assert may_be_dialed(ip_address(text), loopback=loopback) is loopback
    for text in ALLOWED:
        assert may_be_dialed(ip_address(text), loopback=loopback)


def test_endpoints_that_name_such_an_address_are_left_out():
    good = ("10.0.0.5:4460", "[fd00::5]:4460", "server-b.example:4460")
    bad = (*(f"{host}:1" for host in LOOPBACK[:2]), "[::1]:1", "localhost:1", "LOCALHOST.:1", "a.localhost:1")
    never = ("169.254.169.254:80", "[fe80::1%eth0]:1", "0.0.0.0:1", "[ff02::1]:1")
    assert dialable((*good, *bad, *never), loopback=False) == good
    assert dialable((*good, *bad, *never), loopback=True) == (*good, *bad)


def dialer(hosts, *, loopback: bool) -> Dialer:
    peer = Peer(agent_id="server-b", certificate=hosts.b.certificate.read_text())
    return Dialer(hosts.c, peer, "hop", LaneLimits(), loopback=loopback)


@pytest.mark.parametrize("endpoint", ["127.0.0.1:{port}", "localhost:{port}", "[::1]:{port}", *DISGUISED])
def test_an_agent_in_a_network_dials_nothing_on_its_own_host(hosts, endpoint):
    """However the address is spelled, and whatever a name leads to."""
    with socket.create_server(("127.0.0.1", 0)) as local_service:
        local_service.settimeout(0)
        with pytest.raises(OSError, match=r"never dialed|not known|resolution"):
            dialer(hosts, loopback=False).dial(endpoint.format(port=local_service.getsockname()[1]))
        with pytest.raises(BlockingIOError):
            local_service.accept()


def test_the_address_that_is_checked_is_the_one_that_is_dialed(hosts, monkeypatch):
    """A name of the attacker's may lead to another address each time."""
    answers = iter(["10.255.255.1", "127.0.0.1"])
    connected: list[tuple[str, int]] = []

    def resolve(host, port, **_):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    def connect(_, address):
        connected.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket.socket, "connect", connect)
    with pytest.raises(ConnectionRefusedError):
        dialer(hosts, loopback=False).dial("rebinding.example:22")
    assert connected == [("10.255.255.1", 22)]


def test_a_name_with_many_addresses_is_tried_at_few(hosts, monkeypatch):
    tried: list[str] = []

    def connect(_, address):
        tried.append(address[0])
        raise ConnectionRefusedError

    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"10.0.0.{n}", 22)) for n in range(1, 200)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    monkeypatch.setattr(socket.socket, "connect", connect)
    with pytest.raises(ConnectionRefusedError):
        dialer(hosts, loopback=False).dial("many.example:22")
    assert len(tried) == MAX_ADDRESSES


@pytest.mark.parametrize(
    ("listen", "dialed"), [("127.0.0.1", True), ("::1", True), ("0.0.0.0", False), ("10.0.0.3", False)]
)
def test_only_an_agent_that_is_itself_on_loopback_dials_loopback(hosts, listen, dialed):
    lane = LaneServer(hosts.c, HostResources(hosts.roots, hosts.state), (listen, 0))
    assert lane.is_on_loopback is dialed


def test_a_command_has_at_most_sixteen_addresses(hosts):
    route = DirectRoute(
        source=Peer(agent_id="server-b", certificate="PEM"), endpoints=("10.0.0.5:1",) * 16, hop_token="t"
    )
    with pytest.raises(ValidationError):
        DirectRoute.model_validate(route.model_dump() | {"endpoints": ["10.0.0.5:1"] * 17})


@with_lane_limits(max_dialing_threads=20)
async def test_however_many_hops_are_served_the_threads_that_dial_are_bounded(hosts):
    """A hostile destination names sixteen addresses that never answer, for each of its hops."""
    write_random(hosts.data / "file", MIB)
    hosts.c_endpoints = tuple(closed_port() for _ in range(16))
    orders = [hosts.order("/data/", f"/archive/{number}/") for number in range(10)]
    dialing = [thread for thread in threading.enumerate() if thread.name == "dial"]
    assert len(dialing) <= 20
    await hosts.move(orders[0])
    assert (hosts.archive / "0/file").stat().st_size == MIB
    for order in orders:
        hosts.release(order)


def test_what_is_not_dialed_is_in_the_error():
    threads = threading.BoundedSemaphore(1)
    threads.acquire()
    with pytest.raises(SourceConnectionError, match="too many addresses"):
        ConnectionRace({"a": lambda: None}, threads=threads).first_connection(0.01)
