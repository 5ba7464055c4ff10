"""A broker reports a message that is too large in one of two ways; the fake brokers do each over TLS."""

import asyncio
from contextlib import suppress

import pytest

from agent.cloud.messages import LinkError, MessageTooLargeError
from agent.cloud.mqtt_link import MqttLink
from tests.support.fake_broker import MAX_PACKET, MqttBroker
from tests.support.waiting import HANG_TIMEOUT_S


@pytest.mark.parametrize("announces_limit", [True, False])
async def test_a_message_that_is_too_large_is_distinguished_from_a_lost_one(tmp_path, announces_limit):
    with MqttBroker(tmp_path, announces_limit=announces_limit) as broker:
        async with asyncio.timeout(HANG_TIMEOUT_S), MqttLink(broker.endpoint, "commands") as link:
            await link.wait_connected()
            await link.publish("a", b"small")
            with pytest.raises(MessageTooLargeError):
                await link.publish("a", b"x" * 5 * MAX_PACKET)
            while True:  # the link may have to reconnect first
                await link.wait_connected()
                with suppress(LinkError):
                    await link.publish("a", b"small")
                    break
