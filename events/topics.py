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

    def live(self, agent_id: AgentId, transfer_id: TransferId, hop_id: HopId) -> str:
        """Agent → whoever watches, QoS 0, at most once a second per hop."""
        return f"{self._agent(agent_id)}/live/{transfer_id}/{hop_id}"

    def live_of(self, transfer_id: TransferId) -> str:
        """The filter for one transfer's progress, from whichever agents carry it."""
        return f"crosshaul/{self.stage}/agents/+/live/{transfer_id}/+"

    @property
    def live_of_all(self) -> str:
        return f"crosshaul/{self.stage}/agents/+/live/+/+"

    @property
    def reports_sql(self) -> str:
        """The reports rule's SQL. The agent's name comes from the topic, which the device policy guards:
        nothing in the letter can stand in its place."""
        return f"SELECT wire, report, topic(4) AS agent_id FROM 'crosshaul/{self.stage}/agents/+/reports'"

    @property
    def presence_sql(self) -> str:
        return f"SELECT * FROM '{PRESENCE}'"
