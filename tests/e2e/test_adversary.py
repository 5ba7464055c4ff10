"""Attacks on the deployed system are refused and audited, and change nothing."""

import base64
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import httpx
import pytest
from botocore.exceptions import ClientError

from agent.cloud.http import client
from events.commands import Browse, CommandEnvelope
from events.topics import Topics
from infra.local import cloud as embedded
from infra.local.deploy import STAGE
from infra.local.environment import until
from lambdas.api.app import OPEN_ROUTES, ROUTES
from lambdas.aws.command_publisher import CommandPublisher as Orders
from lambdas.domain.problems import AGENT_KEY
from tests.e2e.api import ApiRefusal, SignedInApi
from tests.e2e.conftest import Fleet
from tests.support.control_plane import host

pytestmark = pytest.mark.e2e

TOPICS = Topics(STAGE)
NOBODYS_HOP = "a" * 20 + "-0"


@pytest.fixture(scope="module")
def operator(enrolled: Fleet) -> SignedInApi:
    """Return the API as an operator, who may move files and no more."""
    here, password = enrolled.here, "Moves-files-9-to-5"
    here.create_user("operator@crosshaul.test", password, "operator")
    return SignedInApi.signed_in(here, "operator@crosshaul.test", password)


@pytest.fixture(scope="module")
def nobody(enrolled: Fleet) -> SignedInApi:
    return SignedInApi(enrolled.api.url, token=None)


def aws(fleet: Fleet, service: str, **credentials: str) -> Any:
    return boto3.client(service, **{**embedded.client_settings(fleet.here.cloud), **credentials})


def refusals(fleet: Fleet) -> list[dict[str, Any]]:
    """Return the refusals in the audit log, newest first."""
    records = fleet.api.get("/audit?limit=100")["records"]
    return [record for record in records if record["decision"] == "refused"]


def written_down(fleet: Fleet, action: str, who: str = "nobody") -> dict[str, Any]:
    found = [one for one in refusals(fleet) if (one["action"], one["who"]["name"]) == (action, who)]
    assert found, f"no refusal of {action} to {who}"
    assert found[0]["why"]
    return found[0]


def in_force(fleet: Fleet) -> dict[str, Any]:
    """Return the state that a caller could change."""
    api = fleet.api
    transfers = [(one["transfer_id"], one["state"]) for one in api.get("/transfers")["transfers"]]
    agents = [(one["agent_id"], one["tags"]) for one in api.get("/agents")["agents"]]
    return {
        "transfers": transfers,
        "agents": agents,
        "templates": api.get("/templates"),
        "policies": api.get("/policies"),
        "rollouts": api.get("/rollouts"),
    }


BODIES = {
    "/agents/enrollments": {"agent_id": "server-z"},
    "/rollouts": {"name": "{hostname}", "count": 2},
    "/updates": {"everyone": True},
    "/agents/{agent_id}": {"tags": {"env": "lab"}},
    "/agents/{agent_id}/browse": {"path": "/data"},
    "/buckets/{bucket}/browse": {"prefix": ""},
    "/transfers": {"source": "server-b:/data/x", "destinations": ["server-c:/archive/"]},
    "/transfers/distributed": {"source": "server-b:/data/x", "destination": "server-c:/archive/"},
    "/policies/{policy_id}": {"text": "permit (principal, action, resource);", "why": "let me in"},
    "/policies/{policy_id}/dry-run": {"text": "permit (principal, action, resource);"},
}
TEMPLATE = {"name": "mine", "trigger": {"bucket": "b", "prefix": "x/"}, "destinations": ["server-b:/data/"]}
LOOKS = {("POST", "/policies/test"), ("POST", "/live/watches")}


def test_a_viewer_changes_nothing_by_any_route(fleet: Fleet, viewer: SignedInApi) -> None:
    transfer = fleet.copy("server-b:/data/no such file", "server-c:/archive/")
    fleet.until_ended(transfer)
    names = {"agent_id": "server-b", "transfer_id": transfer, "template_id": "mine", "policy_id": "admin"}
    names |= {"rollout_id": "0123456789ab", "update_id": "0123456789ab", "bucket": fleet.here.outputs.bucket}
    before = in_force(fleet)
    tried = set()
    for route in ROUTES:
        if route.method == "GET" or (route.method, route.path) in OPEN_ROUTES | LOOKS:
            continue
        path = route.path.format(**names) + ("?why=just+so" if route.method == "DELETE" else "")
        body = BODIES.get(route.path, TEMPLATE if "templates" in route.path else None)
        assert viewer.status(route.method, path, body) == 403, (route.method, path)
        tried.add(f"{route.method} {route.path}")
    theirs = {one["action"] for one in refusals(fleet) if one["who"]["name"] == "viewer@crosshaul.test"}
    assert tried <= theirs
    assert in_force(fleet) == before


def test_an_operator_moves_nothing_that_a_policy_forbids(fleet: Fleet, operator: SignedInApi) -> None:
    text = 'forbid (principal, action == Action::"transfer", resource == Agent::"server-d");'
    fleet.api.put("/policies/not-to-d", {"text": text, "why": "of a test"})
    before = in_force(fleet)
    body = {"source": "server-b:/data/x", "destinations": ["server-d:/backup/"]}
    try:
        until("the policy to be known", lambda: operator.status("POST", "/transfers", body) == 403)
        with pytest.raises(ApiRefusal) as caught:
            operator.post("/transfers", body)
    finally:
        fleet.api.delete("/policies/not-to-d?why=the+test+is+over")
    assert caught.value.problem["policies"] == ["not-to-d"]
    record = written_down(fleet, "POST /transfers", "operator@crosshaul.test")
    assert record["policies"] == ["not-to-d"]
    assert in_force(fleet)["transfers"] == before["transfers"]


def test_who_takes_an_administrators_address_stays_who_they_were(fleet: Fleet) -> None:
    """Cognito keeps addresses unique; an administrator of the pool might still make a mistake."""
    here, password, eve = fleet.here, "Moves-files-9-to-5", "eve@crosshaul.test"
    here.create_user(eve, password, "operator")
    text = 'forbid (principal == User::"eve@crosshaul.test", action == Action::"transfer", resource);'
    before = in_force(fleet)
    body = {"source": "server-b:/data/x", "destinations": ["server-c:/archive/"]}
    first, others = SignedInApi.signed_in(here, eve, password), here.user.upper()
    her = first.post("/policies/test", {"transfer": body})["person"]
    assert her["name"] == eve
    fleet.api.put("/policies/not-eve", {"text": text, "why": "of a test"})
    try:
        aws(fleet, "cognito-idp").admin_update_user_attributes(
            UserPoolId=here.outputs.user_pool_id,
            Username=eve,
            UserAttributes=[{"Name": "email", "Value": others}, {"Name": "email_verified", "Value": "true"}],
        )
        renamed = SignedInApi.signed_in(here, others, password)
        until("the policy to be known", lambda: renamed.status("POST", "/transfers", body) == 403)
        assert renamed.status("PATCH", "/agents/server-b", {"tags": {"env": "lab"}}) == 403
    finally:
        fleet.api.delete("/policies/not-eve?why=the+test+is+over")
    assert written_down(fleet, "POST /transfers", others)["policies"] == ["not-eve"]
    assert {one["who"]["id"] for one in refusals(fleet) if one["who"]["name"] == others} == {her["id"]}
    assert in_force(fleet)["agents"] == before["agents"]


TRICKS = (
    "/data/../etc/hostname",
    "/data/./../../etc/hostname",
    "/etc/hostname",
    "//etc/hostname",
    "/data\u2215..\u2215etc/hostname",
    "/\uff44ata/x",
    "/d\u0430ta/x",
)


def test_no_trick_of_a_path_leads_out_of_the_roots(fleet: Fleet, operator: SignedInApi) -> None:
    before = in_force(fleet)
    for path in TRICKS:
        body = {"source": f"server-b:{path}", "destinations": ["server-c:/archive/tricks/"]}
        assert operator.status("POST", "/transfers", body) == 422, path
    theirs = [one for one in refusals(fleet) if one["who"]["name"] == "operator@crosshaul.test"]
    assert len([one for one in theirs if one["action"] == "POST /transfers"]) >= len(TRICKS)
    assert in_force(fleet) == before


ENCODED = ("/data/%2e%2e/%2e%2e/etc/", "/data/..%2fetc/", "/data/\uff0e\uff0e/etc/", "/data/\u2025/etc/")


def test_what_is_encoded_is_a_name_like_any_other(fleet: Fleet) -> None:
    for transfer in [fleet.copy(f"server-b:{path}", "server-c:/archive/tricks/") for path in ENCODED]:
        ended = fleet.until_ended(transfer)
        assert (ended["state"], ended["problem"]["code"]) == ("failed", "source-missing")
    assert not any(fleet.folder("server-c:/archive/tricks").rglob("*"))


class TestJoining:
    def test_a_token_is_good_for_one_host_and_one_time(self, fleet: Fleet, nobody: SignedInApi) -> None:
        token = fleet.api.post("/agents/enrollments", {"agent_id": "server-z"})["token"]
        guessed = token[:-1] + ("A" if token[-1] != "A" else "B")
        assert nobody.status("POST", "/agents/register", host(guessed)) == 401
        assert nobody.status("POST", "/agents/register", host(f"server-y.{token.partition('.')[2]}")) == 401
        key = nobody.post("/agents/register", host(token))["api_key"]
        assert nobody.status("POST", "/agents/register", host(token)) == 401
        assert written_down(fleet, "POST /agents/register")["about"] == "POST /agents/register"
        self.removed_without_credentials(fleet, key)

    def removed_without_credentials(self, fleet: Fleet, key: str) -> None:
        """Check that an agent's API key is revoked with the agent."""
        fleet.api.delete("/agents/server-z")
        with client(fleet.api.url) as http:
            headers = {"X-Agent-Key": key}
            asked = http.post("/agents/server-z/credentials", json={"hop_id": NOBODYS_HOP}, headers=headers)
        assert asked.status_code == AGENT_KEY.status
        assert asked.json()["type"] == f"urn:crosshaul:problem:{AGENT_KEY.code}"
        assert written_down(fleet, "POST /agents/{agent_id}/credentials")["agents"] == ["server-z"]
        assert "server-z" not in [one["agent_id"] for one in fleet.api.get("/agents")["agents"]]

    def test_a_token_that_has_expired_lets_nobody_in(self, fleet: Fleet, nobody: SignedInApi) -> None:
        token = fleet.api.post("/agents/enrollments", {"agent_id": "server-y", "expires_in": 60})["token"]
        self.expire(fleet, "server-y")
        assert nobody.status("POST", "/agents/register", host(token)) == 401
        assert "server-y" not in [one["agent_id"] for one in fleet.api.get("/agents")["agents"]]

    def expire(self, fleet: Fleet, name: str) -> None:
        """Let the agent's session expire."""
        dynamodb = aws(fleet, "dynamodb")
        [table] = [one for one in dynamodb.list_tables()["TableNames"] if "TablesAgents" in one]
        [row] = [
            one for one in dynamodb.scan(TableName=table)["Items"] if "token_hash" in one and name in str(one)
        ]
        was = next(iter(row["expires_at"].values()))
        past = str(int(float(was)) - 3600) if "N" in row["expires_at"] else "2026-01-01T00:00:00.000000+0000"
        dynamodb.put_item(TableName=table, Item=row | {"expires_at": {next(iter(row["expires_at"])): past}})


class TestCommands:
    """Messages on an agent's topic from somebody who can publish there but cannot sign."""

    def test_only_what_is_signed_for_this_agent_now_and_for_the_first_time_is_obeyed(
        self, fleet: Fleet
    ) -> None:
        orders = self.orders(fleet)
        good = orders.sign("server-b", self.look("good"))
        self.send(fleet, good)
        until("it to be obeyed", lambda: "kind=browse" in self.since(fleet, 0))
        tried = {
            "command-replayed": good,
            "command-misdelivered": orders.sign("server-c", self.look("elsewhere")),
            "command-expired": self.orders(fleet, hours=-1).sign("server-b", self.look("late")),
            "clock-skew": self.orders(fleet, hours=1).sign("server-b", self.look("early")),
            "command-not-trusted": self.tampered(orders.sign("server-b", self.look("changed"))),
            "command-malformed": "no.token",
        }
        tried_unsigned = self.unsigned(orders.sign("server-b", self.look("unsigned")))
        begin = len(fleet.servers["server-b"].log.read_text())
        obeyed = self.since(fleet, 0).count("kind=browse")
        for code, token in tried.items():
            self.send(fleet, token)
            until(f"{code} to be refused", lambda code=code: code in self.since(fleet, begin))
        begin = len(fleet.servers["server-b"].log.read_text())
        self.send(fleet, tried_unsigned)
        until("none to be refused", lambda: "command-not-trusted" in self.since(fleet, begin))
        assert self.since(fleet, 0).count("kind=browse") == obeyed
        assert fleet.api.post("/agents/server-b/browse", {"path": "/data"})["entries"] is not None

    def orders(self, fleet: Fleet, hours: int = 0) -> Orders:
        """Return a sender that signs with the control plane's key."""
        kms = aws(fleet, "kms")
        now, following = (
            kms.describe_key(KeyId=key)["KeyMetadata"]["Arn"] for key in fleet.command_keys("server-b")
        )
        return Orders(
            kms=kms,
            broker=aws(fleet, "iot-data"),
            keys=(now, following),
            topics=TOPICS,
            clock=lambda: datetime.now(UTC) + timedelta(hours=hours),
        )

    def look(self, name: str) -> Browse:
        return Browse(request_id=f"{name}-{uuid.uuid4()}", path="/data")

    def send(self, fleet: Fleet, token: str) -> None:
        letter = CommandEnvelope(token=token).model_dump_json().encode()
        aws(fleet, "iot-data").publish(topic=TOPICS.commands(TOPICS.thing("server-b")), qos=1, payload=letter)

    def since(self, fleet: Fleet, begin: int) -> str:
        """Return what server-b has logged after `begin` characters."""
        return fleet.servers["server-b"].log.read_text()[begin:]

    def tampered(self, token: str) -> str:
        head, body, signature = token.split(".")
        claims = json.loads(base64.urlsafe_b64decode(body + "=="))
        claims["command"]["path"] = "/"
        return f"{head}.{_encoded(claims)}.{signature}"

    def unsigned(self, token: str) -> str:
        head, body, _ = token.split(".")
        header = json.loads(base64.urlsafe_b64decode(head + "=="))
        return f"{_encoded(header | {'alg': 'none'})}.{body}."


def _encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


class TestIssuedCredentials:
    """Credentials of a hop allow its prefix and direction; everything next to it is refused."""

    @pytest.fixture
    def credentials(self, fleet: Fleet) -> Iterator[dict[str, str]]:
        """Yield the credentials of a slow hop that reads s3://bucket/mine/."""
        s3, bucket = aws(fleet, "s3"), fleet.here.outputs.bucket
        for key in ("mine/a", "mine-too/a", "mine", "min", "Mine/a", "a/mine/a"):
            s3.put_object(Bucket=bucket, Key=key, Body=b"x" * 200_000)
        transfer = fleet.copy(f"s3://{bucket}/mine/", "server-b:/primary/lent/", bandwidth_limit=1024)
        fleet.until_state(transfer, "running")
        with client(fleet.api.url) as http:
            headers = {"X-Agent-Key": fleet.api_key("server-b")}
            answer = http.post(
                "/agents/server-b/credentials", json={"hop_id": f"{transfer}-0"}, headers=headers
            )
        assert answer.status_code == 200, answer.text
        yield answer.json()
        fleet.api.post(f"/transfers/{transfer}/cancel")
        fleet.until_ended(transfer)

    def test_they_open_what_the_hop_reads_and_nothing_next_to_it(
        self, fleet: Fleet, credentials: dict[str, str]
    ) -> None:
        bucket = fleet.here.outputs.bucket
        keys = {
            "aws_access_key_id": credentials["access_key_id"],
            "aws_secret_access_key": credentials["secret_access_key"],
            "aws_session_token": credentials["session_token"],
        }
        s3 = aws(fleet, "s3", **keys)
        assert s3.get_object(Bucket=bucket, Key="mine/a")["ContentLength"] == 200_000
        assert s3.list_objects_v2(Bucket=bucket, Prefix="mine/")["KeyCount"] == 1
        with pytest.raises(ClientError, match="NoSuchKey"):  # for S3 this is a key, not a path
            s3.get_object(Bucket=bucket, Key="mine/../mine-too/a")
        [other] = [
            one["Name"] for one in aws(fleet, "s3").list_buckets()["Buckets"] if "consolefiles" in one["Name"]
        ]
        forbidden = {
            **{
                key: (s3.get_object, {"Key": key})
                for key in ("mine-too/a", "mine", "min", "Mine/a", "a/mine/a")
            },
            "listing the rest": (s3.list_objects_v2, {"Prefix": "mine-too/"}),
            "listing a beginning": (s3.list_objects_v2, {"Prefix": "min"}),
            "listing all": (s3.list_objects_v2, {}),
            "writing": (s3.put_object, {"Key": "mine/b", "Body": b"b"}),
            "deleting": (s3.delete_object, {"Key": "mine/a"}),
            "another bucket": (s3.get_object, {"Key": "index.html", "Bucket": other}),
            "its policy": (s3.get_bucket_policy, {}),
        }
        for what, (call, arguments) in forbidden.items():
            with pytest.raises(ClientError) as caught:
                call(**{"Bucket": bucket, **arguments})
            assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403, what
        with pytest.raises(ClientError, match=r"AccessDenied|not authorized"):
            aws(fleet, "dynamodb", **keys).list_tables()
        assert aws(fleet, "s3").get_object(Bucket=bucket, Key="mine/a")["ContentLength"] == 200_000

    def test_they_are_audited(self, fleet: Fleet, credentials: dict[str, str]) -> None:
        records = fleet.api.get("/audit?agent=server-b&limit=200")["records"]
        lent_for = {one["after"].get("reads") for one in records if "lent" in one["action"]}
        assert f"s3://{fleet.here.outputs.bucket}/mine/" in lent_for
        assert credentials["secret_access_key"] not in json.dumps(fleet.api.get("/audit?limit=200"))


class TestAnotherOrigin:
    """A page of another origin in a signed-in user's browser gains nothing."""

    EVIL = "https://evil.example"

    def test_nothing_that_a_browser_sends_by_itself_opens_anything(self, fleet: Fleet) -> None:
        with client(fleet.api.url) as http:
            headers = {"Origin": self.EVIL, "Cookie": f"token={fleet.api.token}"}
            asked = http.post("/agents/enrollments", json={"agent_id": "server-z"}, headers=headers)
            seen = http.get("/agents", headers=headers)
        for answer in (asked, seen):
            assert answer.status_code == 401
            assert self.is_harmless(answer)

    def test_no_answer_lets_a_page_send_credentials(self, fleet: Fleet) -> None:
        with client(fleet.api.url) as http:
            preflight = {"Origin": self.EVIL, "Access-Control-Request-Method": "DELETE"}
            assert self.is_harmless(http.options("/agents/server-b", headers=preflight))
            headers = {"Origin": self.EVIL, "Authorization": f"Bearer {fleet.api.token}"}
            assert self.is_harmless(http.get("/agents", headers=headers))

    def is_harmless(self, answer: httpx.Response) -> bool:
        """Return whether the answer sets no cookie and allows no credentials and no specific origin."""
        shown_to = answer.headers.get("access-control-allow-origin", "*")
        given = {"set-cookie", "access-control-allow-credentials"} & set(answer.headers)
        return shown_to == "*" and not given
