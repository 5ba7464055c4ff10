"""The real link with the embedded cloud's broker: mutual TLS, a kept session, manual acknowledgment."""

import asyncio
from dataclasses import replace

import pytest

from agent.cloud.messages import BrokerEndpoint, Connected, Disconnected, LinkError
from agent.cloud.mqtt_link import MqttLink
from agent.identity import enrollment
from events.certificates import fingerprint
from events.topics import Topics
from infra.local.processes import free_port
from tests.support.fakes_agent import THING
from tests.support.link_events import next_event
from tests.support.waiting import HANG_TIMEOUT_S

TOPIC = Topics("local").commands(THING)


async def publish(cloud, payload: bytes) -> None:
    data = cloud.client("iot-data")
    await asyncio.to_thread(data.publish, topic=TOPIC, qos=1, payload=payload)


async def next_payload(link: MqttLink) -> bytes:
    async with asyncio.timeout(HANG_TIMEOUT_S):
        return (await anext(link.messages())).payload


async def test_messages_in_both_directions_and_none_lost_while_offline(cloud, endpoint):
    async with MqttLink(endpoint, TOPIC) as link:
        assert not link.connected
        with pytest.raises(LinkError):
            await link.publish("crosshaul/x", b"too early", qos=1)
        await next_event(link.events(), Connected)
        await publish(cloud, b"first")
        async with asyncio.timeout(HANG_TIMEOUT_S):
            first = await anext(link.messages())
        assert first.payload == b"first"
        first.acknowledge()
        await link.publish(TOPIC, b"to myself", qos=1)
        await link.publish(TOPIC, b"lightly", qos=0)
        assert {await next_payload(link), await next_payload(link)} == {b"to myself", b"lightly"}
    await publish(cloud, b"while away")
    async with MqttLink(endpoint, TOPIC) as link:
        event = await next_event(link.events(), Connected)
        assert event.session_present
        expected = {b"to myself", b"while away"}  # not acknowledged; published while the agent was offline
        while expected:
            expected.discard(await next_payload(link))


async def test_however_often_it_connects_each_message_comes_once(cloud, endpoint):
    for _ in range(3):
        async with MqttLink(endpoint, TOPIC) as link:
            await next_event(link.events(), Connected)
    async with MqttLink(endpoint, TOPIC) as link:
        assert (await next_event(link.events(), Connected)).session_present
        await publish(cloud, b"once")
        await publish(cloud, b"last")
        assert [await next_payload(link), await next_payload(link)] == [b"once", b"last"]


async def test_the_link_reconnects_when_the_broker_restarts(cloud, endpoint):
    async with MqttLink(endpoint, TOPIC) as link:
        events = link.events()
        await next_event(events, Connected)
        await asyncio.to_thread(cloud.stop)
        gone = await next_event(events, Disconnected)
        assert gone.reason
        assert not link.connected
        with pytest.raises(LinkError):
            await link.publish(TOPIC, b"nobody there", qos=0)
        cloud.start()
        await cloud.ready()
        await next_event(events, Connected)
        await link.publish(TOPIC, b"again", qos=1)
        assert await next_payload(link) == b"again"


async def test_a_second_client_of_the_same_name_is_noticed(endpoint):
    async with MqttLink(endpoint, TOPIC) as first:
        events = first.events()
        await next_event(events, Connected)
        async with MqttLink(endpoint, TOPIC) as second:
            await next_event(second.events(), Connected)
            disconnected = await next_event(events, Disconnected)
            assert disconnected.taken_over, disconnected.reason


async def test_an_unreachable_endpoint_is_reported(endpoint):
    nowhere = BrokerEndpoint(**{**vars(endpoint), "port": free_port()})
    async with MqttLink(nowhere, TOPIC) as link:
        assert (await next_event(link.events(), Disconnected)).reason


async def test_it_reconnects_with_another_certificate_and_loses_no_message(cloud, endpoint, tmp_path):
    """The session stays; messages not acknowledged come again; the old handle acknowledges nothing."""
    folder = tmp_path / "keys-next"
    folder.mkdir()
    csr = enrollment.make_device_key(folder / "device.key")
    iot = cloud.client("iot")
    created = iot.create_certificate_from_csr(certificateSigningRequest=csr, setAsActive=True)
    iot.attach_policy(policyName="all", target=created["certificateArn"])
    iot.attach_thing_principal(thingName=THING, principal=created["certificateArn"])
    (folder / "device.pem").write_text(created["certificatePem"])
    next_endpoint = replace(endpoint, certificate=folder / "device.pem", key=folder / "device.key")
    async with MqttLink(endpoint, TOPIC) as link:
        events = link.events()
        before = await next_event(events, Connected)
        await publish(cloud, b"first")
        async with asyncio.timeout(HANG_TIMEOUT_S):
            first = await anext(link.messages())
        with pytest.raises(LinkError):
            await link.reconnect(replace(endpoint, certificate=tmp_path / "ca.pem", key=tmp_path / "none"))
        assert link.connected
        await link.reconnect(next_endpoint)
        first.acknowledge()
        after = await next_event(events, Connected)
        assert after.session_present
        assert (after.certificate, before.certificate) == (
            created["certificateId"],
            fingerprint(endpoint.certificate.read_text()),
        )
        await link.publish(TOPIC, b"to myself", qos=1)
        assert {await next_payload(link), await next_payload(link)} == {b"first", b"to myself"}
