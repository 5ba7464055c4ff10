"""A proxy that MQTT cannot use: the agent's log and the doctor tell which kind it is, and what to do."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from agent.cloud.broker_path import examine_path
from agent.cloud.messages import BrokerEndpoint, Connected, Disconnected
from agent.cloud.mqtt_link import KEEP_ALIVE_S, PING_TIMEOUT_S, MqttLink
from agent.cloud.proxy import Proxy, proxy_for, use_configured
from agent.config import NetworkConfig
from agent.errors import HostError
from events.topics import Topics
from tests.support.certificates import certificate, new_key, private_pem
from tests.support.connect_proxy import ConnectProxy
from tests.support.fakes_agent import THING
from tests.support.link_events import next_event
from tests.support.tls_front import TlsFront
from tests.support.waiting import HANG_TIMEOUT_S
from tests.unit.agent.conftest import BROKER_NAME

BROKER = BROKER_NAME, 443
TOPIC = Topics("local").commands(THING)
USER, PASSWORD = "server-b", "secret"


@pytest.fixture
def device(tmp_path) -> BrokerEndpoint:
    """Return the endpoint of a device at AWS, which trusts what its host trusts."""
    key = new_key()
    (tmp_path / "device.key").write_bytes(private_pem(key))
    (tmp_path / "device.pem").write_bytes(certificate(key, key))
    return BrokerEndpoint(*BROKER, THING, tmp_path / "device.pem", tmp_path / "device.key", ca=None)


@pytest.fixture
def opening_tls(tmp_path) -> Iterator[TlsFront]:
    """Yield what stands in for the broker behind a proxy that opens TLS: with a certificate of its own."""
    with TlsFront(tmp_path / "inspection", 1, BROKER_NAME) as front:
        yield front


def through(proxy: ConnectProxy, device: BrokerEndpoint, credentials: Path | None = None) -> BrokerEndpoint:
    use_configured(NetworkConfig(proxy=proxy.url, proxy_credentials=credentials))
    return replace(device, proxy=proxy_for(BROKER_NAME))


def fault_of(endpoint: BrokerEndpoint) -> HostError:
    with pytest.raises(HostError) as caught:
        examine_path(endpoint)
    return caught.value


async def first_advice(endpoint: BrokerEndpoint) -> Disconnected:
    """Return what the agent writes to its log once it knows what is in the way."""
    async with MqttLink(endpoint, TOPIC) as link, asyncio.timeout(HANG_TIMEOUT_S):
        async for event in link.events():
            if isinstance(event, Disconnected) and event.advice:
                return event
    raise AssertionError("the events never end")


Kind = Callable[[], AbstractContextManager[ConnectProxy]]
KINDS: dict[str, tuple[Kind, str, str]] = {
    "has no way there": (lambda: ConnectProxy({}), "403", "put this name and port on the proxy's list"),
    "asks for a password": (
        lambda: ConnectProxy({}, f"{USER}:{PASSWORD}"),
        "407",
        "give the proxy's user and password by network.proxy_credentials",
    ),
    "asks for Kerberos": (
        lambda: ConnectProxy({}, f"{USER}:{PASSWORD}", "Negotiate"),
        "407",
        "let this host through without a password: the proxy asks for negotiate",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_proxy_that_refuses_is_told_apart_by_log_and_doctor(kind, device, proxy_variables):
    make, reason, advice = KINDS[kind]
    with make() as proxy:
        endpoint = through(proxy, device)
        told, fault = await first_advice(endpoint), fault_of(endpoint)
    assert reason in fault.message
    assert advice in fault.advice
    assert (told.reason, told.advice) == (fault.message, fault.advice)


def test_a_proxy_whose_name_is_unknown_is_not_taken_for_the_broker(device, monkeypatch):
    def look_up(host: str, *_arguments: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, f"{host} is not known")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    fault = fault_of(replace(device, proxy=Proxy("proxy.invalid", 3128)))
    assert (fault.message, fault.advice) == ("proxy.invalid has no address", "check this host's DNS")


def test_a_password_that_the_proxy_does_not_take_is_to_be_corrected(device, proxy_variables, tmp_path):
    credentials = tmp_path / "credentials"
    credentials.write_text(f"{USER}:outdated-one")
    credentials.chmod(0o600)
    with ConnectProxy({}, f"{USER}:{PASSWORD}") as proxy:
        fault = fault_of(through(proxy, device, credentials))
    assert "correct user and password" in fault.advice
    assert "outdated-one" not in fault.message + fault.advice


@pytest.mark.parametrize("trusted", [False, True])
async def test_a_proxy_that_opens_tls_is_named_by_its_authority(
    trusted, device, opening_tls, proxy_variables
):
    """Where the host trusts the company's authority, TLS succeeds, and nothing but the issuer tells."""
    if trusted:
        proxy_variables.setenv("SSL_CERT_FILE", str(opening_tls.ca))
    with ConnectProxy({BROKER: opening_tls.port}) as proxy:
        endpoint = through(proxy, device)
        told, fault = await first_advice(endpoint), fault_of(endpoint)
    assert "from authority" in fault.message, "the name of the company's authority"
    assert "exempt that name from inspection" in fault.advice
    assert (told.reason, told.advice) == (fault.message, fault.advice)


async def test_a_tunnel_that_the_proxy_cuts_is_told_with_its_age(endpoint, proxy_variables):
    with ConnectProxy({BROKER: endpoint.port}) as proxy:
        behind = through(proxy, replace(endpoint, host=BROKER_NAME, port=443))
        async with MqttLink(behind, TOPIC) as link, asyncio.timeout(HANG_TIMEOUT_S):
            events = link.events()
            await next_event(events, Connected)
            proxy.cut()
            cut = await next_event(events, Disconnected)
            await next_event(events, Connected)
    assert f"through the proxy 127.0.0.1:{proxy.port} was cut after " in cut.reason
    assert f"never idle for more than {KEEP_ALIVE_S} s" in cut.advice


def test_proxies_that_close_what_is_idle_for_a_minute_do_not_close_the_agent_s_tunnel():
    assert KEEP_ALIVE_S + PING_TIMEOUT_S < 60
