"""The agent's side of updates, put together on a host."""

from pathlib import Path

from agent.cloud.messages import BrokerConnection
from agent.identity.keys import Keyring
from agent.identity.registration import Files, Registration
from agent.updating.releases import Releases
from agent.updating.state_files import UpdateFiles
from agent.updating.update_jobs import Installation, UpdateJobs
from events.base import UpdateId
from events.topics import Topics
from events.updates import UpdateOrderView


def updates(
    config: Path, files: Files, ring: Keyring, registration: Registration, link: BrokerConnection
) -> UpdateJobs:
    """The doctor and HTTP are loaded when there is an update."""

    def sick() -> set[str]:
        from agent.doctor import examine

        return {f"{check.name}: {check.found}" for check in examine(config) if not check.ok}

    def ask(update_id: UpdateId) -> UpdateOrderView:
        from agent.cloud import api

        return api.fetch_update_order(registration.api_url, registration.agent_id, ring.api_keys, update_id)

    host = Installation(Releases.here(), UpdateFiles(files.folder), sick)
    return UpdateJobs(link, registration.thing, Topics(registration.stage), host, ask)
