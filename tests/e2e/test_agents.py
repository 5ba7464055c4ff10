"""An agent joins a stage, and is removed from it."""

from collections.abc import Iterator

import pytest

from agent.cloud.http import client
from agent.identity.keys import Keyring
from infra.local.environment import until
from infra.local.servers import Server, register
from lambdas.domain.problems import AGENT_KEY
from tests.e2e.conftest import Fleet

pytestmark = pytest.mark.e2e

NAME = "server-e"
NO_HOP = "a" * 20 + "-0"


@pytest.fixture
def fresh(fleet: Fleet) -> Iterator[Server]:
    """Yield a server that is not enrolled, and remove its agent afterward."""
    yield fleet.here.server(NAME, {"/data": "rw"})
    if running := fleet.here.agents.pop(NAME, None):
        running.stop()
    fleet.here.operator.try_("agents", "remove", NAME, "--yes")


def join(fleet: Fleet, server: Server) -> str:
    """Enroll the server, start its agent, and return the token."""
    token = str(fleet.here.operator.json("agents", "enroll", NAME)["token"])
    register(server, fleet.here.outputs.api_url, token)
    fleet.here.start_agent(server)
    until(f"{NAME} to be online", lambda: fleet.status(NAME) == "online")
    return token


@pytest.mark.acceptance("enroll")
def test_a_server_joins_with_a_token_that_works_once(fleet: Fleet, fresh: Server) -> None:
    token = join(fleet, fresh)
    roots = [(root["path"], root["access"]) for root in fleet.api.get(f"/agents/{NAME}")["roots"]]
    assert roots == [("/data", "rw")]
    with pytest.raises(RuntimeError, match="could not register"):
        register(fresh, fleet.here.outputs.api_url, token)


@pytest.mark.acceptance("remove")
def test_a_server_that_is_removed_stops_and_its_keys_open_nothing(fleet: Fleet, fresh: Server) -> None:
    join(fleet, fresh)
    key = (Keyring(fresh.state).current.folder / "api.key").read_text().strip()

    fleet.here.operator.json("agents", "remove", NAME, "--yes")

    agent = fleet.here.agents[NAME].process
    until("the agent to end", lambda: agent.poll() is not None)
    assert NAME not in [one["agent_id"] for one in fleet.api.get("/agents")["agents"]]
    with client(fleet.api.url) as http:
        body = {"hop_id": NO_HOP}
        asked = http.post(f"/agents/{NAME}/credentials", json=body, headers={"X-Agent-Key": key})
    assert asked.status_code == AGENT_KEY.status
