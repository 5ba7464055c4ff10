"""All names in IoT Core, built and matched only here: MQTT topics, things, client ids, rules and jobs.

An account and region share one namespace, so each name contains the stage. An agent may use only topics below
its thing's name, so one statement in the device policy covers all agents. Reports use Basic Ingest: they go
directly to the topic rule, without the broker's fan-out.
"""

import re
from dataclasses import dataclass

from events.base import AgentId, HopId, ThingName, TransferId, UpdateId

PRESENCE = "$aws/events/presence/+/+"
"""IoT Core's lifecycle events of the whole account: connected or disconnected, then the client id."""
STAGE_ATTRIBUTE = "crosshaul-stage"
"""Thing attribute with the stage's name; things without it do not belong to the stage."""
_LIVE = re.compile(
    r"crosshaul/[^/]+/agents/crosshaul:[^/:]+:(?P<agent>[^/:]+)/live/(?P<transfer>[^/]+)/(?P<hop>[^/]+)"
)
_AGENT = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class Topics:
    """The names of one stage. `thing` is always what `thing()` makes of an agent's name."""

    stage: str

    def thing(self, agent_id: AgentId) -> ThingName:
        """Return the name of an agent's thing, which is also its MQTT client id.

        Names of stages and agents have no colon, so names of another stage do not begin with this prefix.
        """
        return f"{self._things}{agent_id}"

    def agent_of(self, thing: str) -> AgentId | None:
        """Return the agent whose thing or client this is, None if it is not an agent of this stage."""
        name = thing.removeprefix(self._things)
        return name if name != thing and _AGENT.fullmatch(name) else None

    @property
    def _things(self) -> str:
        return f"crosshaul:{self.stage}:"

    def console(self, token: str) -> str:
        """Return the client id of one console."""
        return f"crosshaul-console:{self.stage}:{token}"

    def job(self, update_id: UpdateId, number: int | str) -> str:
        """Return the id of the IoT job for one stage of an update.

        Job ids may not have a colon; names of stages have no underscore.
        """
        return f"{self._jobs}{update_id}_{number}"

    def is_job(self, job_id: str) -> bool:
        """Return whether this is a job of this stage."""
        return job_id.startswith(self._jobs)

    @property
    def _jobs(self) -> str:
        return f"crosshaul_{self.stage}_"

    @property
    def reports_rule(self) -> str:
        """Return the name of the reports rule; IoT allows letters, digits and underscores."""
        return f"crosshaul_{self.stage.replace('-', '_')}_reports"

    @property
    def presence_rule(self) -> str:
        return f"crosshaul_{self.stage.replace('-', '_')}_presence"

    def _agent(self, thing: ThingName) -> str:
        return f"crosshaul/{self.stage}/agents/{thing}"

    def commands(self, thing: ThingName) -> str:
        """Return the topic of commands: cloud → agent, QoS 1."""
        return f"{self._agent(thing)}/commands"

    def reports(self, thing: ThingName) -> str:
        """Return the topic of reports: agent → cloud, QoS 1, Basic Ingest."""
        return f"$aws/rules/{self.reports_rule}/{self._agent(thing)}/reports"

    def job_notifications(self, thing: ThingName) -> str:
        """Return the topic on which IoT Jobs announces that the agent's next job has changed."""
        return f"{_jobs(thing)}/notify-next"

    def jobs_request(self, thing: ThingName) -> str:
        """Return the topic on which an agent requests its next job."""
        return f"{_jobs(thing)}/start-next"

    def jobs_response(self, thing: ThingName) -> str:
        """Return the topic on which IoT Jobs answers with the next job, which then counts as started."""
        return f"{_jobs(thing)}/start-next/accepted"

    def job_result(self, thing: ThingName, job_id: str) -> str:
        """Return the topic on which an agent reports the result of a job."""
        return f"{_jobs(thing)}/{job_id}/update"

    def live(self, thing: ThingName, transfer_id: TransferId, hop_id: HopId) -> str:
        """Return the topic of a hop's live progress: agent → consoles, QoS 0.

        At most once a second, and only while someone watches the transfer.
        """
        return f"{self._agent(thing)}/live/{transfer_id}/{hop_id}"

    def live_of_transfer(self, transfer_id: TransferId) -> str:
        """Return the topic filter for one transfer's live progress, from all of its agents."""
        return f"crosshaul/{self.stage}/agents/+/live/{transfer_id}/+"

    @property
    def all_live(self) -> str:
        return f"crosshaul/{self.stage}/agents/+/live/+/+"

    def changes(self, transfer_id: TransferId) -> str:
        """Return the topic on which consoles are told that a transfer has changed: QoS 0."""
        return f"crosshaul/{self.stage}/changes/{transfer_id}"

    @property
    def agent_changes(self) -> str:
        """Return the topic on which consoles are told that agents have changed: QoS 0.

        At most once a second from each environment of a function.
        """
        return f"crosshaul/{self.stage}/changes/agents"

    @property
    def all_changes(self) -> str:
        return f"crosshaul/{self.stage}/changes/+"

    @property
    def reports_sql(self) -> str:
        """Return the SQL of the reports rule.

        The thing's name comes from the topic, which the device policy restricts, the certificate and the time
        from the broker: the message cannot forge them.
        """
        columns = "wire, report, topic(4) AS thing, principal() AS principal, timestamp() AS received"
        return f"SELECT {columns} FROM 'crosshaul/{self.stage}/agents/+/reports'"

    @property
    def presence_sql(self) -> str:
        """Return the SQL of the presence rule, which selects the clients of this stage's agents."""
        return f"SELECT * FROM '{PRESENCE}' WHERE regexp_matches(clientId, '^{self._things}')"


def live_sender(topic: str) -> tuple[AgentId, TransferId, HopId] | None:
    """Return what a topic of live progress says: agent, transfer and hop; None if it is another topic.

    The broker lets an agent publish below its own name only, so unlike a message's content it can be trusted.
    """
    found = _LIVE.fullmatch(topic)
    return (found["agent"], found["transfer"], found["hop"]) if found else None


def _jobs(thing: ThingName) -> str:
    return f"$aws/things/{thing}/jobs"
