"""The message that a hop's retry is due."""

from events.base import HopId, Message
from lambdas.domain.hop import hop_number


class DueRetry(Message):
    """Names a hop whose retry is due. What happens is decided from the table: it may come twice, or late."""

    hop_id: HopId

    @property
    def transfer_id(self) -> str:
        return self.hop_id.rpartition("-")[0]

    @property
    def number(self) -> int:
        return hop_number(self.hop_id)
