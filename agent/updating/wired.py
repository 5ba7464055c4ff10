"""The agent's side of updates, put together on a host."""

from pathlib import Path

from agent.keys import Keyring
from agent.letters import BrokerConnection
from agent.registration import Files, Registration
from agent.updating.asking import Installation, UpdateJobs
from agent.updating.notes import UpdateFiles
from agent.updating.releases import Releases
from events.base import UpdateId
from events.topics import Topics
from events.updates import UpdateOrderView


def updates(config: Path, files: Files, ring: Keyring, registration: Registration, link: BrokerConnection) -> UpdateJobs:
    """The doctor and HTTP are loaded when there is an update."""

    def sick() -> set[str]:
        from agent.doctor import examine

        return {f"{check.name}: {check.found}" for check in examine(config) if not check.ok}

    def ask(update_id: UpdateId) -> UpdateOrderView:
        from agent import cloud

        return cloud.fetch_update_order(registration.api_url, registration.agent_id, ring.api_keys, update_id)

    host = Installation(Releases.here(), UpdateFiles(files.folder), sick)
    return UpdateJobs(link, registration.thing, Topics(registration.stage), host, ask)
