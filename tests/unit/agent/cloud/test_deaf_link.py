"""An agent that reports and never hears would get no work: it subscribes whatever the broker says."""

import asyncio

import pytest

from agent.backoff import Backoff
from agent.cloud.messages import Connected, Disconnected
from agent.cloud.mqtt_link import MqttLink
from tests.support.fake_broker import MqttBroker
from tests.support.link_events import next_event
from tests.support.waiting import HANG_TIMEOUT_S


@pytest.mark.parametrize("claims_session", [True, False])
async def test_a_broker_that_lies_about_its_session_is_subscribed_to_all_the_same(tmp_path, claims_session):
    with MqttBroker(tmp_path, claims_session=claims_session) as broker:
        async with asyncio.timeout(HANG_TIMEOUT_S), MqttLink(broker.endpoint, "commands") as link:
            event = await next_event(link.events(), Connected)
            assert event.session_present is claims_session
            assert (await anext(link.messages())).payload == b"an offer"


async def test_a_link_that_has_gone_deaf_hears_again_once_its_connection_is_cut(tmp_path):
    """The control plane cuts it after two offers without an answer."""
    with MqttBroker(tmp_path, claims_session=True, deaf_for=1) as broker:
        async with asyncio.timeout(HANG_TIMEOUT_S), MqttLink(broker.endpoint, "commands") as link:
            events = link.events()
            await next_event(events, Connected)
            await link.publish("reports", b"all is well")
            assert broker.deliveries == 0
            broker.cut()
            await next_event(events, Disconnected)
            again = await next_event(events, Connected)
            assert not again.session_present
            assert (await anext(link.messages())).payload == b"an offer"


async def test_a_broker_that_grants_only_so_many_subscriptions_is_asked_again(tmp_path):
    """All agents of a site connect at once, and AWS IoT Core refuses what is beyond its quota.

    An agent without the announcements of its updates would not hear of one until its next connection. It is
    told that it is connected again, and so asks for the update that was announced in between.
    """
    soon = Backoff(first_s=0.01, max_s=0.01)
    with MqttBroker(tmp_path, refusals={"commands": 2, "jobs": 3}) as broker:
        link = MqttLink(broker.endpoint, "commands", ("jobs", "answers"), resubscription=soon)
        async with asyncio.timeout(HANG_TIMEOUT_S), link:
            events, messages = link.events(), link.messages()
            await next_event(events, Connected)
            heard = [(await anext(messages)).topic for _ in range(3)]
            await next_event(events, Connected)
    assert heard == ["commands", "answers", "jobs"]


async def test_a_topic_that_the_broker_never_grants_keeps_nothing_waiting(tmp_path):
    """An older policy may not allow it."""
    soon = Backoff(first_s=0.01, max_s=0.01)
    with MqttBroker(tmp_path, refusals={"jobs": 1_000_000}) as broker:
        link = MqttLink(broker.endpoint, "commands", ("jobs",), resubscription=soon)
        async with asyncio.timeout(HANG_TIMEOUT_S), link:
            await next_event(link.events(), Connected)
            assert (await anext(link.messages())).topic == "commands"
            await link.publish("reports", b"all is well")
