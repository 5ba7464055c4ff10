"""Agents' replies to API requests that wait for them, in the agents table; they expire after minutes."""

from datetime import datetime, timedelta

from events.base import AgentId
from events.reports import Browsed, LogExcerpt
from lambdas.store.agent_rows import ROWS, ReplyRow
from lambdas.store.base import bind

RETENTION = timedelta(minutes=5)


class ReplyStore:
    """Passes agents' replies to the request that waits for them."""

    def __init__(self, table: str, region: str) -> None:
        bind(ROWS, table, region)

    def save_reply(self, agent_id: AgentId, reply: Browsed | LogExcerpt, now: datetime) -> None:
        ReplyRow(_key(agent_id, reply.request_id), reply=reply, expires_at=now + RETENTION).save()

    def get(self, agent_id: AgentId, request_id: str) -> Browsed | LogExcerpt | None:
        """Return the agent's reply, None as long as there is none."""
        try:
            return ReplyRow.get(_key(agent_id, request_id), consistent_read=True).reply
        except ReplyRow.DoesNotExist:
            return None


def _key(agent_id: AgentId, request_id: str) -> str:
    """Return the row's key; it has the agent's name, so that no agent can answer for another."""
    return f"reply#{agent_id}#{request_id}"
