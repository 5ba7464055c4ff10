"""Manifests: which agent may upload one, and who may download it."""

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest

from lambdas import adapters, wiring
from lambdas.domain import problems
from lambdas.transfers.manifests import ACCEPTANCE_WINDOW
from tests.support.control_plane import REGION, ControlPlane


@pytest.fixture
def here(here):
    KEYS.update({name: here.join(name)["api_key"] for name in ("server-b", "server-c")})
    return here


KEYS: dict[str, str] = {}


def offered(here: ControlPlane) -> str:
    """Create a hop that was offered to server-c."""
    body = {"source": "server-b:/primary/", "destinations": ["server-c:/primary/"]}
    name: str = here.post("/transfers", body).body["transfer_id"]
    wiring.stream_handler().advance(adapters.transfer_store().get(name))
    assert here.get(f"/transfers/{name}").body["hops"][0]["state"] == "offered"
    return f"{name}-0"


def ask(here: ControlPlane, hop_id: str, agent: str = "server-c", **how: Any) -> Any:
    headers = {"X-Agent-Key": how.get("key", KEYS[agent])}
    body = {"hop_id": hop_id, "size": how.get("size", 6)}
    return here.post(f"/agents/{agent}/manifests", body, role=None, headers=headers)


class TestPutting:
    def test_the_agent_that_carries_the_hop_gets_a_place_for_this_one_and_as_much_as_it_said(self, here):
        hop_id = offered(here)
        place = ask(here, hop_id).body
        url = urlsplit(place["url"])
        assert url.hostname == f"manifests.s3.{REGION}.amazonaws.com"
        assert url.path == f"/{hop_id[:-2]}/0.jsonl.gz"
        [signed] = parse_qs(url.query)["X-Amz-SignedHeaders"]
        assert signed == "content-length;content-type;host"

    def test_nobody_else_does(self, here):
        hop_id = offered(here)
        assert ask(here, hop_id, "server-b").status == 409
        assert ask(here, hop_id, key="").status == 401
        assert ask(here, hop_id, key=KEYS["server-b"]).status == 401
        assert ask(here, f"{'z' * 20}-0").status == 409
        assert ask(here, hop_id, size=2**40).status == 422

    def test_not_before_it_was_the_agents(self, here):
        body = {"source": "server-b:/primary/", "destinations": ["server-c:/primary/"]}
        hop_id = here.post("/transfers", body).body["hops"][0]["hop_id"]
        answer = ask(here, hop_id)
        assert answer.problem == problems.MANIFEST_NOT_WANTED

    def test_long_after_its_end_what_it_did_is_settled(self, here, monkeypatch):
        hop_id = offered(here)
        here.post(f"/transfers/{hop_id[:-2]}/cancel")
        assert ask(here, hop_id).status == 200
        later = adapters.clock() + ACCEPTANCE_WINDOW + timedelta(seconds=1)
        monkeypatch.setattr(wiring.manifest_service(), "_clock", lambda: later)
        assert ask(here, hop_id).status == 409


class TestGetting:
    def test_an_address_for_each_that_has_come_in(self, here):
        hop_id = offered(here)
        name = hop_id[:-2]
        nothing = here.get(f"/transfers/{name}/manifest").body
        assert (nothing["hops"], nothing["missing"]) == ([], [hop_id])

        s3 = boto3.client("s3", REGION)
        s3.put_object(Bucket="manifests", Key=f"{name}/0.jsonl.gz", Body=b"zipped")
        found = here.get(f"/transfers/{name}/manifest", role="viewer").body
        [one] = found["hops"]
        assert (one["hop_id"], one["size"], found["missing"]) == (hop_id, 6, [])
        asked = parse_qs(urlsplit(one["url"]).query)
        assert asked["response-content-disposition"] == [f'attachment; filename="{hop_id}.jsonl.gz"']
        assert int(asked["X-Amz-Expires"][0]) <= 900

    def test_not_for_strangers_nor_of_what_there_is_not(self, here):
        hop_id = offered(here)
        assert here.get(f"/transfers/{hop_id[:-2]}/manifest", role=None).status == 401
        assert here.get(f"/transfers/{hop_id[:-2]}/manifest", role="guest").status == 403
        assert here.get(f"/transfers/{'z' * 20}/manifest").status == 404
