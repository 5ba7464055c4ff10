"""Notify open consoles over MQTT that a transfer has changed; they then read it from the API."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from events.base import TransferId
from events.progress import ChangeNotice
from events.topics import Topics
from lambdas.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_iot_data import IoTDataPlaneClient


class IotChangeNotifier:
    """Publishes change notices over IoT Core."""

    def __init__(self, broker: Callable[[], "IoTDataPlaneClient"], topics: Topics) -> None:
        """`broker` returns a client with short timeouts and no retry; it is created on first use."""
        self._broker = broker
        self._topics = topics

    def announce(self, transfer_id: TransferId) -> None:
        """Publish at QoS 0 and only log a failure: consoles also poll, so a lost notice costs little."""
        payload = ChangeNotice(transfer_id=transfer_id).model_dump_json().encode()
        try:
            self._broker().publish(topic=self._topics.changes(transfer_id), qos=0, payload=payload)
        except (ClientError, BotoCoreError) as error:
            about = {"transfer_id": transfer_id, "reason": str(error)}
            logger.warning("consoles not notified of a change", extra=about)
