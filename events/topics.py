"""Every MQTT topic, built and matched here only.

An agent may use only topics below its own name, so the device policy is one line with the thing's name in
it. Reports go by Basic Ingest: straight to the topic rule, past the broker's fan-out.
"""

from dataclasses import dataclass

from events.base import AgentId, HopId, TransferId

PRESENCE = "$aws/events/presence/+/+"
"""IoT Core's life-cycle events: connected or disconnected, then the client id."""


@dataclass(frozen=True)
class Topics:
    """The topics of one stage."""

    stage: str

    @property
    def reports_rule(self) -> str:
        """The topic rule's name; IoT allows letters, digits and underscores there."""
        return f"crosshaul_{self.stage.replace('-', '_')}_reports"

    @property
    def presence_rule(self) -> str:
        return f"crosshaul_{self.stage.replace('-', '_')}_presence"

    def _agent(self, agent_id: AgentId) -> str:
        return f"crosshaul/{self.stage}/agents/{agent_id}"

    def commands(self, agent_id: AgentId) -> str:
        """Cloud → agent, QoS 1."""
        return f"{self._agent(agent_id)}/commands"

    def reports(self, agent_id: AgentId) -> str:
        """Agent → cloud, QoS 1, Basic Ingest."""
        return f"$aws/rules/{self.reports_rule}/{self._agent(agent_id)}/reports"

    def job_news(self, agent_id: AgentId) -> str:
        """IoT Jobs → agent: another job is the next one for it, or none."""
        return f"{_jobs(agent_id)}/notify-next"

    def job_asked(self, agent_id: AgentId) -> str:
        """Agent → IoT Jobs: which job is to be done?"""
        return f"{_jobs(agent_id)}/start-next"

    def job_answer(self, agent_id: AgentId) -> str:
        """IoT Jobs → agent: this one; it counts as begun."""
        return f"{_jobs(agent_id)}/start-next/accepted"

    def job_outcome(self, agent_id: AgentId, job_id: str) -> str:
        """Agent → IoT Jobs: how that job has ended here."""
        return f"{_jobs(agent_id)}/{job_id}/update"

    def live(self, agent_id: AgentId, transfer_id: TransferId, hop_id: HopId) -> str:
        """Agent → whoever watches, QoS 0, at most once a second per hop."""
        return f"{self._agent(agent_id)}/live/{transfer_id}/{hop_id}"

    def live_of(self, transfer_id: TransferId) -> str:
        """The filter for one transfer's progress, from whichever agents carry it."""
        return f"crosshaul/{self.stage}/agents/+/live/{transfer_id}/+"

    @property
    def live_of_all(self) -> str:
        return f"crosshaul/{self.stage}/agents/+/live/+/+"

    def news(self, transfer_id: TransferId) -> str:
        """Cloud → whoever has a console open, QoS 0: this transfer has changed."""
        return f"crosshaul/{self.stage}/news/{transfer_id}"

    @property
    def news_of_all(self) -> str:
        return f"crosshaul/{self.stage}/news/+"

    @property
    def reports_sql(self) -> str:
        """The reports rule's SQL; the agent's name comes from the topic, which the device policy guards, and
        the certificate it connected with from the broker: nothing in the letter can stand in their place."""
        said = "wire, report, topic(4) AS agent_id, principal() AS principal"
        return f"SELECT {said} FROM 'crosshaul/{self.stage}/agents/+/reports'"

    @property
    def presence_sql(self) -> str:
        return f"SELECT * FROM '{PRESENCE}'"


def _jobs(agent_id: AgentId) -> str:
    """Below a thing's own name, whatever the stage: IoT Jobs has it so."""
    return f"$aws/things/{agent_id}/jobs"
