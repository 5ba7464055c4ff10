"""Notify open consoles over MQTT that something has changed; they then read it from the API."""

from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from events.base import TransferId
from events.progress import ChangeNotice
from events.topics import Topics
from lambdas.ports import Clock
from lambdas.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_iot_data import IoTDataPlaneClient

AGENT_NOTICE_INTERVAL = timedelta(seconds=1)
"""Time between notices of agents. A change within it has none of its own: consoles read agents only
`AGENT_NOTICE_DELAY_MS` after a notice (`useChangeFeed.ts`), which is longer."""


class IotChangeNotifier:
    """Publishes change notices over IoT Core."""

    def __init__(self, broker: Callable[[], "IoTDataPlaneClient"], topics: Topics, clock: Clock) -> None:
        """`broker` returns a client with short timeouts and no retry; it is created on first use."""
        self._broker = broker
        self._topics = topics
        self._clock = clock
        self._lock = Lock()
        self._agents_announced_at: datetime | None = None

    def announce(self, transfer_id: TransferId) -> None:
        """Publish at QoS 0 and only log a failure: consoles also poll, so a lost notice costs little."""
        self._publish(self._topics.changes(transfer_id), ChangeNotice(transfer_id=transfer_id))

    def announce_agents(self) -> None:
        """Publish as `announce` does, but nothing if a notice was published within the last second.

        A fleet that comes back is thus a notice a second, and not one for each agent.
        """
        now = self._clock()
        with self._lock:
            before = self._agents_announced_at
            if before is not None and before <= now < before + AGENT_NOTICE_INTERVAL:
                return
            self._agents_announced_at = now
        self._publish(self._topics.agent_changes, ChangeNotice(transfer_id=None))

    def _publish(self, topic: str, notice: ChangeNotice) -> None:
        try:
            self._broker().publish(topic=topic, qos=0, payload=notice.model_dump_json().encode())
        except (ClientError, BotoCoreError) as error:
            about = {"transfer_id": notice.transfer_id, "reason": str(error)}
            logger.warning("consoles not notified of a change", extra=about)
