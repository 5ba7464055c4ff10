"""Every name in IoT Core, built and matched here only: MQTT topics, things, client ids, rules and jobs.

All of these are shared by an account and a region, so each has the stage in it. An agent may use only topics
below its thing's name, so the device policy is one line with that name in it. Reports go by Basic Ingest:
straight to the topic rule, past the broker's fan-out.
"""

import re
from dataclasses import dataclass

from events.base import AgentId, HopId, ThingName, TransferId, UpdateId

PRESENCE = "$aws/events/presence/+/+"
"""IoT Core's life-cycle events of the whole account: connected or disconnected, then the client id."""
STAGE_ATTRIBUTE = "crosshaul-stage"
"""The attribute that a stage's things have, with the stage's name: nothing else is the stage's."""
_AGENT = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class Topics:
    """The names of one stage. `thing` is always what `thing()` makes of an agent's name."""

    stage: str

    def thing(self, agent_id: AgentId) -> ThingName:
        """Return the name of an agent's thing, which is its MQTT client id. No stage's or agent's name has a
        colon in it, so no name of another stage begins with this stage's prefix."""
        return f"{self._things}{agent_id}"

    def agent_of(self, thing: str) -> AgentId | None:
        """Return the agent whose thing or client this is, None if it is not an agent of this stage."""
        name = thing.removeprefix(self._things)
        return name if name != thing and _AGENT.fullmatch(name) else None

    @property
    def _things(self) -> str:
        return f"crosshaul:{self.stage}:"

    def console(self, token: str) -> str:
        """Return the client id of one console that listens."""
        return f"crosshaul-console:{self.stage}:{token}"

    def job(self, update_id: UpdateId, number: int | str) -> str:
        """Return the id of the job that IoT Jobs has for one stage of an update. It may not have a colon, and
        no stage's name has an underscore."""
        return f"crosshaul_{self.stage}_{update_id}_{number}"

    @property
    def reports_rule(self) -> str:
        """The topic rule's name; IoT allows letters, digits and underscores there."""
        return f"crosshaul_{self.stage.replace('-', '_')}_reports"

    @property
    def presence_rule(self) -> str:
        return f"crosshaul_{self.stage.replace('-', '_')}_presence"

    def _agent(self, thing: ThingName) -> str:
        return f"crosshaul/{self.stage}/agents/{thing}"

    def commands(self, thing: ThingName) -> str:
        """Cloud → agent, QoS 1."""
        return f"{self._agent(thing)}/commands"

    def reports(self, thing: ThingName) -> str:
        """Agent → cloud, QoS 1, Basic Ingest."""
        return f"$aws/rules/{self.reports_rule}/{self._agent(thing)}/reports"

    def job_notifications(self, thing: ThingName) -> str:
        """IoT Jobs → agent: another job is the next one for it, or none."""
        return f"{_jobs(thing)}/notify-next"

    def jobs_request(self, thing: ThingName) -> str:
        """Agent → IoT Jobs: which job is to be done?"""
        return f"{_jobs(thing)}/start-next"

    def jobs_response(self, thing: ThingName) -> str:
        """IoT Jobs → agent: this one; it counts as begun."""
        return f"{_jobs(thing)}/start-next/accepted"

    def job_result(self, thing: ThingName, job_id: str) -> str:
        """Agent → IoT Jobs: how that job has ended here."""
        return f"{_jobs(thing)}/{job_id}/update"

    def live(self, thing: ThingName, transfer_id: TransferId, hop_id: HopId) -> str:
        """Agent → whoever watches, QoS 0, at most once a second per hop."""
        return f"{self._agent(thing)}/live/{transfer_id}/{hop_id}"

    def live_of_transfer(self, transfer_id: TransferId) -> str:
        """The filter for one transfer's progress, from whichever agents carry it."""
        return f"crosshaul/{self.stage}/agents/+/live/{transfer_id}/+"

    @property
    def all_live(self) -> str:
        return f"crosshaul/{self.stage}/agents/+/live/+/+"

    def changes(self, transfer_id: TransferId) -> str:
        """Cloud → whoever has a console open, QoS 0: this transfer has changed."""
        return f"crosshaul/{self.stage}/news/{transfer_id}"

    @property
    def all_changes(self) -> str:
        return f"crosshaul/{self.stage}/news/+"

    @property
    def reports_sql(self) -> str:
        """The reports rule's SQL; the thing's name comes from the topic, which the device policy guards, and
        the certificate it connected with from the broker: nothing in the letter can stand in their place."""
        said = "wire, report, topic(4) AS thing, principal() AS principal"
        return f"SELECT {said} FROM 'crosshaul/{self.stage}/agents/+/reports'"

    @property
    def presence_sql(self) -> str:
        """The presence rule's SQL: of all clients of the account, those called as this stage's agents."""
        return f"SELECT * FROM '{PRESENCE}' WHERE regexp_matches(clientId, '^{self._things}')"


def _jobs(thing: ThingName) -> str:
    return f"$aws/things/{thing}/jobs"
