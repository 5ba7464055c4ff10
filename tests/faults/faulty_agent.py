"""Run `crosshaul` with a link to the broker that disturbs messages while a file says so.

    FAULTY_MESSAGES=FOLDER python -m tests.faults.faulty_agent agent run --config FILE

While FOLDER holds the file `seed`, messages are lost, delivered twice, or delivered late, in both directions.
Reports that are late are written to FOLDER, and the campaign delivers them in another order, as the broker's
rule might.

Hellos are repeated every 30 s: what a throttled function misses in the embedded cloud is lost, where
AWS would deliver it later.
"""

import asyncio
import os
import random
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import agent.cloud.mqtt_link
import agent.run
from agent.cli.main import main
from agent.cloud.messages import LinkError, ReceivedMessage
from agent.cloud.mqtt_link import MqttLink
from agent.hops.attempt import AttemptIntervals
from agent.service import Dependencies

LATE_SUFFIX = ".late"


class FaultyLink(MqttLink):
    """A link on which messages are disturbed."""

    _seed = ""
    _dice = random.Random()

    @property
    def _folder(self) -> Path:
        return Path(os.environ["FAULTY_MESSAGES"])

    def _outcome(self, *outcomes: str) -> str:
        """Return what becomes of a message: one of `outcomes`, or nothing special."""
        try:
            seed = (self._folder / "seed").read_text()
        except FileNotFoundError:
            return ""
        if seed != self._seed:
            self._seed, self._dice = seed, random.Random(seed)
        return self._dice.choice((*outcomes, "", ""))

    async def publish(self, topic: str, payload: bytes, qos: int = 1) -> None:
        match self._outcome("lost", "unacknowledged", "doubled", "late"):
            case "lost":
                raise LinkError("the message was lost")
            case "unacknowledged":
                await super().publish(topic, payload, qos)
                raise LinkError("the acknowledgment was lost")
            case "doubled":
                await super().publish(topic, payload, qos)
            case "late" if topic.endswith("/reports"):
                kept = self._folder / f"{time.monotonic_ns()}{LATE_SUFFIX}"
                kept.with_suffix(".new").write_bytes(payload)
                kept.with_suffix(".new").rename(kept)
                return
        await super().publish(topic, payload, qos)

    async def messages(self) -> AsyncIterator[ReceivedMessage]:
        async for message in super().messages():
            match self._outcome("lost", "doubled", "late"):
                case "lost":  # the broker sends it again at the next connection
                    continue
                case "late":
                    delay_s = self._dice.uniform(0.1, 1)
                    asyncio.get_running_loop().call_later(delay_s, self._messages.put_nowait, message)
                    continue
                case "doubled":
                    yield replace(message, acknowledge=lambda: None)
            yield message


if __name__ == "__main__":
    vars(agent.run)["Dependencies"] = partial(Dependencies, intervals=AttemptIntervals(hello=0))
    agent.cloud.mqtt_link.MqttLink = FaultyLink  # type: ignore[misc]
    sys.exit(main())
