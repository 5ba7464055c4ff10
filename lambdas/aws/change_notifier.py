"""Tells whoever has a console open that something has changed: they ask the API for what, and not before."""

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
    def __init__(self, broker: Callable[[], "IoTDataPlaneClient"], topics: Topics) -> None:
        """`broker` is asked for when there is something to tell: it gives up soon, and does not try again."""
        self._broker = broker
        self._topics = topics

    def announce(self, transfer_id: TransferId) -> None:
        """QoS 0: consoles ask by themselves after a while, so nothing fails by it, nor waits for long."""
        payload = ChangeNotice(transfer_id=transfer_id).model_dump_json().encode()
        try:
            self._broker().publish(topic=self._topics.changes(transfer_id), qos=0, payload=payload)
        except (ClientError, BotoCoreError) as error:
            about = {"transfer_id": transfer_id, "reason": str(error)}
            logger.warning("consoles not told of a change", extra=about)
