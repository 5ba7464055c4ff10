"""The real link against the embedded cloud's broker: mutual TLS, a kept session, acknowledging by hand."""

import asyncio
import socket
from dataclasses import replace

import pytest

from agent.cloud.messages import BrokerEndpoint, Connected, Disconnected, LinkError
from agent.cloud.mqtt_link import MqttLink
from agent.identity import enrollment
from events.certificates import fingerprint
from events.topics import Topics
from tests.support.fakes_agent import THING

TOPIC = Topics("local").commands(THING)
PATIENCE = 30


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def tell(cloud, payload: bytes) -> None:
    data = cloud.client("iot-data")
    await asyncio.to_thread(data.publish, topic=TOPIC, qos=1, payload=payload)


async def following(stream, kind):
    """The next event of a kind."""
    async with asyncio.timeout(PATIENCE):
        event = await anext(stream)
        while not isinstance(event, kind):
            event = await anext(stream)
        return event


async def letter(link: MqttLink) -> bytes:
    async with asyncio.timeout(PATIENCE):
        return (await anext(link.messages())).payload


async def test_letters_both_ways_and_none_lost_while_away(cloud, endpoint):
    async with MqttLink(endpoint, TOPIC) as link:
        assert not link.connected
        with pytest.raises(LinkError):
            await link.publish("crosshaul/x", b"too early", qos=1)
        await following(link.events(), Connected)
        await tell(cloud, b"first")
        async with asyncio.timeout(PATIENCE):
            first = await anext(link.messages())
        assert first.payload == b"first"
        first.acknowledge()
        await link.publish(TOPIC, b"to myself", qos=1)
        await link.publish(TOPIC, b"lightly", qos=0)
        assert {await letter(link), await letter(link)} == {b"to myself", b"lightly"}
    await tell(cloud, b"while away")
    async with MqttLink(endpoint, TOPIC) as link:
        event = await following(link.events(), Connected)
        assert event.session_present
        awaited = {b"to myself", b"while away"}  # not acknowledged; sent while nobody was there
        while awaited:
            awaited.discard(await letter(link))


async def test_the_link_comes_back_when_the_broker_does(cloud, endpoint):
    async with MqttLink(endpoint, TOPIC) as link:
        events = link.events()
        await following(events, Connected)
        await asyncio.to_thread(cloud.stop)
        gone = await following(events, Disconnected)
        assert gone.reason
        assert not link.connected
        with pytest.raises(LinkError):
            await link.publish(TOPIC, b"nobody there", qos=0)
        cloud.start()
        await cloud.ready()
        await following(events, Connected)
        await link.publish(TOPIC, b"again", qos=1)
        assert await letter(link) == b"again"


async def test_a_second_client_of_the_same_name_is_noticed(endpoint):
    async with MqttLink(endpoint, TOPIC) as first:
        events = first.events()
        await following(events, Connected)
        async with MqttLink(endpoint, TOPIC) as second:
            await following(second.events(), Connected)
            pushed_out = await following(events, Disconnected)
            assert pushed_out.taken_over, pushed_out.reason


async def test_an_endpoint_that_is_not_there_is_said(endpoint):
    nowhere = BrokerEndpoint(**{**vars(endpoint), "port": free_port()})
    async with MqttLink(nowhere, TOPIC) as link:
        assert (await following(link.events(), Disconnected)).reason


async def test_it_turns_to_another_certificate_and_loses_no_letter(cloud, endpoint, tmp_path):
    """The session stays; what was not acknowledged comes again; the old handle acknowledges nothing."""
    folder = tmp_path / "keys-next"
    folder.mkdir()
    csr = enrollment.make_device_key(folder / "device.key")
    iot = cloud.client("iot")
    made = iot.create_certificate_from_csr(certificateSigningRequest=csr, setAsActive=True)
    iot.attach_policy(policyName="all", target=made["certificateArn"])
    iot.attach_thing_principal(thingName=THING, principal=made["certificateArn"])
    (folder / "device.pem").write_text(made["certificatePem"])
    following_one = replace(endpoint, certificate=folder / "device.pem", key=folder / "device.key")
    async with MqttLink(endpoint, TOPIC) as link:
        events = link.events()
        before = await following(events, Connected)
        await tell(cloud, b"first")
        async with asyncio.timeout(PATIENCE):
            first = await anext(link.messages())
        with pytest.raises(LinkError):
            await link.reconnect(replace(endpoint, certificate=tmp_path / "ca.pem", key=tmp_path / "none"))
        assert link.connected
        await link.reconnect(following_one)
        first.acknowledge()
        after = await following(events, Connected)
        assert after.session_present
        assert (after.certificate, before.certificate) == (
            made["certificateId"],
            fingerprint(endpoint.certificate.read_text()),
        )
        await link.publish(TOPIC, b"to myself", qos=1)
        assert {await letter(link), await letter(link)} == {b"first", b"to myself"}
