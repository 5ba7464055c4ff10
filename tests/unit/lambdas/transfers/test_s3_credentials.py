"""S3 credentials for one hop: who gets them, and what they open."""

import fnmatch
import json
from typing import Any

import pytest

from events.locations import AgentLocation, S3Location
from events.options import Options
from events.states import HopState
from lambdas import adapters, wiring
from lambdas.domain import problems
from lambdas.domain.hop import Hop, moved, relay_prefix
from lambdas.domain.session_policy import session_policy
from lambdas.domain.timeline import CROSSHAUL
from lambdas.transfers.s3_credentials import ABORT_WINDOW
from lambdas.transfers.writer import one_hop
from tests.support.fakes import MORNING


def hop(source: Any, destination: Any) -> Hop:
    return Hop(
        transfer_id="a" * 20,
        number=0,
        source=source,
        destination=destination,
        created_at=MORNING,
        changed_at=MORNING,
    )


HERE = AgentLocation(agent_id="server-b", path="/data/")


def reach(policy: dict[str, Any], action: str, key: str) -> bool:
    """Return whether IAM would allow it: `*` and `?` are wildcards, `${*}` is the character itself."""
    for statement in policy["Statement"]:
        resources, actions = statement["Resource"], statement["Action"]
        if action not in ([actions] if isinstance(actions, str) else actions):
            continue
        for resource in [resources] if isinstance(resources, str) else resources:
            pattern = resource.partition(":::")[2].replace("[", "[[]")
            pattern = pattern.replace("${*}", "[*]").replace("${?}", "[?]").replace("${$}", "$")
            if fnmatch.fnmatchcase(key, pattern):
                return True
    return False


@pytest.mark.parametrize(
    ("prefix", "inside", "outside"),
    [
        (
            "videos/",
            ["bbb/videos/a", "bbb/videos/x/y"],
            ["bbb/videos", "bbb/videos-of-others/a", "ccc/videos/a"],
        ),
        ("videos", ["bbb/videos", "bbb/videos/a"], ["bbb/videos-of-others/a", "bbb/video"]),
        ("", ["bbb/a", "bbb/x/y"], ["ccc/a"]),
        ("a*b/", ["bbb/a*b/x"], ["bbb/aXb/x"]),
        ("a?b/", ["bbb/a?b/x"], ["bbb/aXb/x"]),
        ("$x/", ["bbb/$x/y"], ["bbb/x/y"]),
    ],
)
def test_they_reach_the_hop_s_prefix_and_no_further(prefix, inside, outside):
    reading = session_policy(hop(S3Location(bucket="bbb", prefix=prefix), HERE), Options())
    writing = session_policy(hop(HERE, S3Location(bucket="bbb", prefix=prefix)), Options())
    for key in inside:
        assert reach(reading, "s3:GetObject", key), key
        assert not reach(reading, "s3:PutObject", key)
        assert reach(writing, "s3:PutObject", key)
        assert not reach(writing, "s3:DeleteObject", key)
    for key in outside:
        assert not reach(reading, "s3:GetObject", key), key
        assert not reach(writing, "s3:PutObject", key), key


class Sts:
    """Records which role was assumed."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def assume_role(self, **asked: Any) -> dict[str, Any]:
        self.asked.append(asked)
        keys = {"AccessKeyId": "A", "SecretAccessKey": "S", "SessionToken": "T", "Expiration": MORNING}
        return {"Credentials": keys}


def broken(_: Any) -> None:
    raise OSError("the table is away")


class TestTheRoute:
    @pytest.fixture
    def here(self, here, monkeypatch):
        self.keys = {name: here.join(name)["api_key"] for name in ("server-b", "server-c")}
        self.sts = Sts()
        lending = wiring.s3_credentials()
        monkeypatch.setattr(lending, "_sts", self.sts)
        return here

    def offered(self, here) -> str:
        body = {"source": "s3://media/in/", "destinations": ["server-b:/primary/"]}
        name = here.post("/transfers", body).body["transfer_id"]
        wiring.stream_handler().advance(adapters.transfer_store().get(name))
        assert here.get(f"/transfers/{name}").body["hops"][0]["state"] == "offered"
        return f"{name}-0"

    def ask(self, here, hop_id: str, agent: str = "server-b", key: str | None = None) -> Any:
        headers = {"X-Agent-Key": self.keys[agent] if key is None else key}
        return here.post(f"/agents/{agent}/credentials", {"hop_id": hop_id}, role=None, headers=headers)

    def test_the_agent_that_carries_the_hop_gets_them(self, here):
        answer = self.ask(here, self.offered(here))
        assert (answer.status, answer.body["session_token"]) == (200, "T")
        [asked] = self.sts.asked
        assert "arn:aws:s3:::media/in/*" in json.dumps(asked["Policy"])

    def test_an_agent_may_tag_what_it_pushes_if_the_transfer_has_tags(self, here):
        for tags, is_allowed in ({}, False), ({"project": "film"}, True):
            body = {
                "source": "server-b:/primary/",
                "destinations": [f"s3://media/in-{is_allowed}/"],
                "options": {"object_tags": tags},
            }
            name = here.post("/transfers", body).body["transfer_id"]
            wiring.stream_handler().advance(adapters.transfer_store().get(name))
            assert self.ask(here, f"{name}-0").status == 200
            policy = json.loads(self.sts.asked[-1]["Policy"])
            assert reach(policy, "s3:PutObject", f"media/in-{is_allowed}/x")
            assert reach(policy, "s3:PutObjectTagging", f"media/in-{is_allowed}/x") == is_allowed

    def test_it_is_written_down_before_they_are_lent(self, here):
        hop_id = self.offered(here)
        assert self.ask(here, hop_id).status == 200
        record = here.get("/audit", transfer_id=hop_id[:-2]).body["records"][0]
        assert (record["who"]["id"], record["action"]) == ("agent:server-b", "credentials.lent")
        assert (record["address"], record["transfer_id"]) == ("198.51.100.7", hop_id[:-2])
        assert record["after"] == {"hop_id": hop_id, "reads": "s3://media/in/"}

    def test_what_cannot_be_written_down_is_not_lent(self, here, monkeypatch):
        hop_id = self.offered(here)
        monkeypatch.setattr(adapters.audit_store(), "add_record", broken)
        assert self.ask(here, hop_id).status == 500
        assert self.sts.asked == []

    def direct(self, here, relay: str) -> str:
        body = {
            "source": "server-b:/primary/x/",
            "destinations": ["server-c:/primary/"],
            "options": {"relay": relay},
        }
        name = here.post("/transfers", body).body["transfer_id"]
        wiring.stream_handler().advance(adapters.transfer_store().get(name))
        return f"{name}-0"

    def test_both_agents_of_a_relayed_hop_reach_its_place_and_no_other(self, here):
        hop_id = self.direct(here, "allowed")
        assert self.ask(here, hop_id, "server-b").status == 200
        assert self.ask(here, hop_id, "server-c").status == 200
        for asked in self.sts.asked:
            policy = json.loads(asked["Policy"])
            mine = f"relay/{relay_prefix(hop_id)}x/a0"
            for action in ("s3:GetObject", "s3:PutObject", "s3:DeleteObject"):
                assert reach(policy, action, mine)
                assert not reach(policy, action, "relay/another/x/a0")
                assert not reach(policy, action, f"media/{relay_prefix(hop_id)}x")

    def test_a_hop_that_may_not_be_relayed_gets_none(self, here):
        hop_id = self.direct(here, "never")
        assert self.ask(here, hop_id, "server-b").status == 409
        assert self.ask(here, hop_id, "server-c").status == 409
        assert self.sts.asked == []

    def test_nobody_else_does(self, here):
        hop_id = self.offered(here)
        assert self.ask(here, hop_id, "server-c").status == 409
        assert self.ask(here, hop_id, key="").status == 401
        assert self.ask(here, hop_id, key="wrong").status == 401
        assert self.ask(here, hop_id, key=self.keys["server-c"]).status == 401
        assert self.ask(here, f"{'z' * 20}-0").status == 409
        assert here.post("/agents/nobody/credentials", {"hop_id": hop_id}, role=None).status in {401, 404}
        assert self.sts.asked == []

    def given_up(self, here, how: str) -> str:
        """Return a push that its agent has begun, and that was then cancelled or has failed."""
        body = {"source": "server-b:/primary/x/", "destinations": ["s3://media/in/"]}
        name = here.post("/transfers", body).body["transfer_id"]
        wiring.stream_handler().advance(adapters.transfer_store().get(name))
        if how == "cancelled":
            here.post(f"/transfers/{name}/cancel")
        else:
            step = lambda old, now: moved(old, HopState.FAILED, now)  # noqa: E731
            wiring.transfer_writer().change(name, one_hop(0, step, CROSSHAUL))
        return f"{name}-0"

    @pytest.mark.parametrize("how", ["cancelled", "failed"])
    def test_an_agent_whose_push_is_given_up_may_only_abort_its_uploads(self, here, how):
        hop_id = self.given_up(here, how)
        assert self.ask(here, hop_id).status == 200
        policy = json.loads(self.sts.asked[-1]["Policy"])
        assert reach(policy, "s3:AbortMultipartUpload", "media/in/x")
        assert not reach(policy, "s3:AbortMultipartUpload", "media/of-others/x")
        assert reach(policy, "s3:ListBucketMultipartUploads", "media")
        for action in ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket", "kms:Decrypt"):
            assert not reach(policy, action, "media/in/x")
            assert not reach(policy, action, "media")
        record = here.get("/audit", transfer_id=hop_id[:-2]).body["records"][0]
        assert record["after"] == {"hop_id": hop_id, "aborts": "s3://media/in/"}
        assert self.ask(here, hop_id, "server-c").status == 409

    def test_not_long_after_a_push_was_given_up(self, here, monkeypatch):
        hop_id = self.given_up(here, "failed")
        later = adapters.clock() + ABORT_WINDOW
        monkeypatch.setattr(wiring.s3_credentials(), "_clock", lambda: later)
        assert self.ask(here, hop_id).problem == problems.HOP_NOT_UNDER_WAY

    def test_not_after_the_hop_is_over(self, here):
        hop_id = self.offered(here)
        here.post(f"/transfers/{hop_id[:-2]}/cancel")
        answer = self.ask(here, hop_id)
        assert answer.problem == problems.HOP_NOT_UNDER_WAY
        assert self.sts.asked == []


class TestABucketInAnotherRegion:
    """Its region reaches the agent, which would otherwise sign for the wrong one and be redirected."""

    @pytest.fixture
    def elsewhere(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CROSSHAUL_BUCKET_REGIONS", "media=eu-west-1")
        monkeypatch.setenv("CROSSHAUL_DISTANT_BUCKETS", "media")

    @pytest.fixture
    def answers(self, elsewhere, here, monkeypatch):
        keys = here.join("server-b")["api_key"]
        monkeypatch.setattr(wiring.s3_credentials(), "_sts", Sts())
        regions = {}
        for bucket in ("media", "uploads"):
            body = {"source": f"s3://{bucket}/in/", "destinations": ["server-b:/primary/"]}
            name = here.post("/transfers", body).body["transfer_id"]
            wiring.stream_handler().advance(adapters.transfer_store().get(name))
            (_, move) = here.fleet.sent[-1]
            headers = {"X-Agent-Key": keys}
            answer = here.post(
                "/agents/server-b/credentials", {"hop_id": f"{name}-0"}, role=None, headers=headers
            )
            regions[bucket] = (move.route.region, answer.body["region"])
        return regions

    def test_command_and_credentials_name_it(self, answers):
        assert answers["media"] == ("eu-west-1", "eu-west-1")
        assert answers["uploads"] == ("eu-central-1", "eu-central-1")

    def test_a_template_on_its_uploads_is_warned_of(self, elsewhere, here):
        here.join("server-b")
        template = {
            "name": "videos",
            "trigger": {"bucket": "media", "prefix": "in/"},
            "destinations": ["server-b:/primary/"],
        }
        (warning,) = here.post("/templates", template).body["warnings"]
        assert (warning["code"], warning["parameters"]) == ("bucket-distant", {"bucket": "media"})

    def test_people_browse_it_there(self, elsewhere, here):
        assert adapters.bucket_browser()._s3_for("media").meta.region_name == "eu-west-1"
        assert adapters.bucket_browser()._s3_for("uploads").meta.region_name == "eu-central-1"


def test_every_policy_lets_s3_use_the_key_of_an_encrypted_bucket():
    """The object role names the keys, and S3 as the only use; a hop's policy must not take that away."""
    for policy in (
        session_policy(hop(S3Location(bucket="bbb", prefix="x/"), HERE), Options()),
        session_policy(hop(HERE, S3Location(bucket="bbb", prefix="x/")), Options()),
    ):
        actions = {action for one in policy["Statement"] for action in one["Action"]}
        assert {"kms:Decrypt", "kms:GenerateDataKey"} <= actions
