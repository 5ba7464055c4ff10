"""Read the log of an agent, on request and bounded: an operator who may not sign in to its host needs it."""

from events.base import AgentId
from events.commands import ReadLog
from events.reports import LogExcerpt
from events.requests import LogRequest
from events.views import AgentLogView
from lambdas.agents.inquiry import Inquiry


class LogReader:
    """Reads what agents remember of their own logs."""

    def __init__(self, inquiry: Inquiry) -> None:
        self._inquiry = inquiry

    def read(self, agent_id: AgentId, request: LogRequest) -> AgentLogView:
        """Return the latest lines.

        Raises:
            AgentUnknownError: There is no agent of this id.
            AgentOfflineError: The agent is not connected.
            AgentSilentError: The agent did not answer within 8 s.
        """
        self._inquiry.connected_agent(agent_id)
        reply = self._inquiry.ask(
            agent_id, lambda request_id: ReadLog(request_id=request_id, **request.model_dump()), LogExcerpt
        )
        return AgentLogView(
            agent_id=agent_id,
            lines=reply.lines,
            omitted=reply.omitted,
            remembered_since=reply.remembered_since,
        )
