"""An agent that reports and never hears would get no work: it subscribes whatever the broker says."""

import asyncio

import pytest

from agent.cloud.messages import Connected, Disconnected
from agent.cloud.mqtt_link import MqttLink
from tests.support.fake_broker import Broker
from tests.support.waiting import HANG_TIMEOUT_S


@pytest.mark.parametrize("claims_session", [True, False])
async def test_a_broker_that_lies_about_its_session_is_subscribed_to_all_the_same(tmp_path, claims_session):
    with Broker(tmp_path, claims_session=claims_session) as broker:
        async with asyncio.timeout(HANG_TIMEOUT_S), MqttLink(broker.endpoint, "commands") as link:
            event = await anext(link.events())
            assert isinstance(event, Connected)
            assert event.session_present is claims_session
            assert (await anext(link.messages())).payload == b"an offer"


async def test_a_link_that_has_gone_deaf_hears_again_once_its_connection_is_cut(tmp_path):
    """The control plane cuts it after two offers without an answer."""
    with Broker(tmp_path, claims_session=True, deaf_for=1) as broker:
        async with asyncio.timeout(HANG_TIMEOUT_S), MqttLink(broker.endpoint, "commands") as link:
            events = link.events()
            assert isinstance(await anext(events), Connected)
            await link.publish("reports", b"all is well")
            assert broker.deliveries == 0
            broker.cut()
            assert isinstance(await anext(events), Disconnected)
            again = await anext(events)
            assert isinstance(again, Connected)
            assert not again.session_present
            assert (await anext(link.messages())).payload == b"an offer"
