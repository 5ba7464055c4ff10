"""Manifests: which agent may upload one, and who may download it."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest

from events.requests import ManifestRequest
from events.states import HopState
from lambdas import adapters, wiring
from lambdas.domain import problems
from lambdas.domain.hop import ENDED
from lambdas.domain.transfer import Transfer
from lambdas.transfers.manifests import ACCEPTANCE_WINDOW, Manifests
from tests.support.control_plane import REGION, ControlPlane
from tests.support.fakes import MORNING
from tests.support.transfers import made


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
    body = {"hop_id": hop_id, "size": how.get("size", 6), "succeeded": how.get("succeeded", True)}
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


@dataclass(frozen=True)
class OneTransfer:
    """Loads one transfer."""

    transfer: Transfer

    def load(self, transfer_id: str) -> Transfer:
        assert transfer_id == self.transfer.transfer_id
        return self.transfer


class TestSeveralAttempts:
    """A hop's report may overtake the manifest of its last attempt, while an earlier one is there."""

    @pytest.fixture
    def s3(self, here):
        return boto3.client("s3", REGION)

    def upload(self, s3: Any, to: Transfer, *, succeeded: bool) -> None:
        """Upload a manifest of the transfer's only hop as its agent does."""
        request = ManifestRequest(hop_id=to.hops[0].hop_id, size=6, succeeded=succeeded)
        place = self.service(s3, to).place("server-c", request)
        s3.put_object(Bucket="manifests", Key=urlsplit(place.url).path.removeprefix("/"), Body=b"zipped")

    def service(self, s3: Any, of: Transfer) -> Manifests:
        return Manifests(OneTransfer(of), s3, "manifests", lambda: datetime.now(UTC))

    def counts(self, s3: Any, of: Transfer) -> tuple[int, int]:
        """Return how many manifests of the transfer's only hop are listed, and how many missing."""
        view = self.service(s3, of).list_manifests(of.transfer_id)
        return len(view.hops), len(view.missing)

    def hop(self, transfer: Transfer, state: HopState, offered_at: datetime) -> Transfer:
        ended_at = datetime.now(UTC) if state in ENDED else None
        hop = replace(transfer.hops[0], state=state, offered_at=offered_at, ended_at=ended_at)
        return transfer.with_hops([hop], MORNING)

    def test_what_an_earlier_attempt_left_undone_is_not_what_a_success_has(self, s3):
        begun = datetime.now(UTC) - timedelta(minutes=1)
        running = self.hop(made("server-b:/data/", "server-c:/archive/"), HopState.RUNNING, begun)
        self.upload(s3, running, succeeded=False)
        assert self.counts(s3, running) == (1, 0)
        done = self.hop(running, HopState.SUCCEEDED, begun)
        assert self.counts(s3, done) == (0, 1)
        self.upload(s3, done, succeeded=True)
        assert self.counts(s3, done) == (1, 0)

    def test_of_a_failure_there_is_an_earlier_one_until_the_last_has_come(self, s3):
        begun = datetime.now(UTC) - timedelta(minutes=1)
        failed = self.hop(made("server-b:/data/", "server-c:/archive/"), HopState.FAILED, begun)
        self.upload(s3, failed, succeeded=False)
        assert self.counts(s3, failed) == (1, 0)
        again = self.hop(failed, HopState.FAILED, datetime.now(UTC) + timedelta(minutes=1))
        assert self.counts(s3, again) == (1, 1)
