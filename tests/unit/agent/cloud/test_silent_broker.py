"""A line to the broker that goes silent is noticed in seconds, and a slow one is not taken for silent."""

import asyncio
from contextlib import suppress

import pytest

from agent.cloud.messages import Connected, Disconnected, LinkError
from agent.cloud.mqtt_link import MqttLink
from tests.support.fake_broker import MqttBroker
from tests.support.link_events import next_event
from tests.support.waiting import HANG_TIMEOUT_S, until

KEEP_ALIVE = {"keep_alive_s": 2, "ping_timeout_s": 0.9}


@pytest.fixture
def broker(tmp_path):
    with MqttBroker(tmp_path) as broker:
        yield broker


@pytest.mark.parametrize("publishes", [False, True])
async def test_a_silent_line_is_given_up_and_replaced(broker, publishes):
    """Also while the agent reports all the time, so that it never seems to be idle."""
    async with (
        asyncio.timeout(HANG_TIMEOUT_S),
        asyncio.TaskGroup() as tasks,
        MqttLink(broker.endpoint, "commands", **KEEP_ALIVE) as link,
    ):
        events = link.events()
        await next_event(events, Connected)
        reporting = tasks.create_task(report(link)) if publishes else None
        broker.fall_silent()
        await next_event(events, Disconnected)
        await next_event(events, Connected)
        if reporting:
            reporting.cancel()


async def report(link: MqttLink) -> None:
    while True:
        with suppress(LinkError):
            await link.publish("reports", b"half done", qos=0)
        await asyncio.sleep(0.1)


async def test_a_slow_line_is_kept(broker):
    """With seconds in reserve, since a busy machine may delay an answer as well."""
    broker.answer_delay_s = 0.3
    async with (
        asyncio.timeout(HANG_TIMEOUT_S),
        MqttLink(broker.endpoint, "commands", keep_alive_s=12, ping_timeout_s=11.9) as link,
    ):
        events = link.events()
        await next_event(events, Connected)
        await until(lambda: broker.pings)
        await link.publish("reports", b"all is well")
        assert link.connected
