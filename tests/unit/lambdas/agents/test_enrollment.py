"""A host registers as an agent, and is removed again."""

from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from events.commands import Retire
from events.locations import AgentLocation
from events.requests import ROUTE_NAMES, RegisterRequest
from events.states import HopState
from events.topics import STAGE_ATTRIBUTE, Topics
from lambdas import adapters, wiring
from lambdas.api.app import app
from lambdas.aws.iot_registry import IotEndpoint, IotRegistry
from lambdas.domain import problems
from lambdas.domain.errors import AgentUnknownError
from tests.support.control_plane import JWK, POLICY, REGION, csr, host, lane_certificate

TOPICS = Topics("test")


def certificates(here):
    return {one["certificateId"]: one["status"] for one in here.iot().list_certificates()["certificates"]}


def slot_of(token):
    """Return the slot that a registration with this token claims."""
    return wiring.enrollment_slots().find_slot(RegisterRequest.model_validate(host(token)))


def test_an_administrator_gets_a_token_and_the_line_to_run(here):
    answer = here.post(
        "/agents/enrollments", {"agent_id": "server-b", "tags": {"site": "köln"}, "expires_in": 600}
    )
    assert answer.status == 201
    assert answer.body["command"] == (
        "crosshaul agent register --api http://a1b2.execute-api.localhost:4566/v1"
    )
    wait = datetime.fromisoformat(answer.body["expires_at"]) - datetime.now(UTC)
    assert timedelta(seconds=595) < wait <= timedelta(seconds=600)
    secret = answer.body["token"].partition(".")[2]
    assert len(secret) == 43
    stored = boto3.client("dynamodb", REGION).scan(TableName="agents-table")["Items"]
    assert secret not in str(stored)


def test_in_aws_the_line_has_the_api_s_own_domain(here):
    from chalice.app import Request

    from lambdas.api.calls import Call

    event = {"multiValueQueryStringParameters": None, "headers": {}, "pathParameters": None, "body": None}
    context = {"httpMethod": "GET", "resourcePath": "/", "domainName": "api.example.org", "stage": "v1"}
    call = Call(Request({**event, "requestContext": context, "stageVariables": None}))
    assert call.address == "https://api.example.org/v1"


def test_a_host_registers_and_has_everything_it_needs(here):
    got = here.join("server-b", online=False)
    assert got["agent_id"] == "server-b"
    assert (got["stage"], got["thing"]) == ("test", "crosshaul:test:server-b")
    assert got["certificate"].startswith("-----BEGIN CERTIFICATE-----")
    assert got["mqtt_host"].endswith("amazonaws.com")
    assert (got["mqtt_port"], got["mqtt_ca"]) == (8883, None)
    assert got["verification_keys"] == [JWK]
    [arn] = here.iot().list_thing_principals(thingName=got["thing"])["principals"]
    assert certificates(here) == {arn.rpartition("/")[2]: "ACTIVE"}
    [policy] = here.iot().list_attached_policies(target=arn)["policies"]
    assert policy["policyName"] == POLICY
    view = here.get("/agents/server-b").body
    assert view["status"] == "offline"
    assert view["ip_address"] == "198.51.100.7"
    assert [root["path"] for root in view["roots"]] == ["/data", "/primary"]
    assert got["api_key"] not in str(view)


def test_tags_of_the_enrolment_are_the_agent_s(here):
    token = here.post("/agents/enrollments", {"agent_id": "b", "tags": {"site": "köln"}}).body["token"]
    here.post("/agents/register", host(token), role=None)
    assert here.get("/agents/b").body["tags"] == {"site": "köln"}


def test_a_token_works_once(here):
    token = here.token("server-b")
    assert here.post("/agents/register", host(token), role=None).status == 201
    again = here.post("/agents/register", host(token), role=None)
    assert again.status == 401
    assert again.problem == problems.ENROLLMENT_TOKEN
    assert "new one" in again.body["advice"]


def test_a_token_expires(here, clock):
    token = here.token("server-b")
    clock.now += timedelta(seconds=3601)
    assert here.post("/agents/register", host(token), role=None).status == 401


def test_a_new_token_replaces_the_old_one(here):
    old, new = here.token("server-b"), here.token("server-b")
    assert here.post("/agents/register", host(old), role=None).status == 401
    assert here.post("/agents/register", host(new), role=None).status == 201


@pytest.mark.parametrize(
    "token",
    [
        "server-b." + "A" * 43,
        "server-x." + "A" * 43,
        "no dot and no such thing",
        "." * 30,
        "server-b." + "ü" * 43,
        "enrollment#server-b.AAAAAAAAAAAAA",
    ],
)
def test_whoever_guesses_learns_nothing(here, token):
    here.token("server-b")
    answers = [here.post("/agents/register", host(one), role=None) for one in (token, "y." + "A" * 43)]
    assert [answer.status for answer in answers] == [401, 401]
    assert len({answer.body["detail"] for answer in answers}) == 1


def test_no_agent_is_named_like_a_route_since_no_request_would_reach_it(here):
    beside = {
        route.split("/")[2] for route in app.routes if route.startswith("/agents/") and "{" not in route
    }
    assert beside == ROUTE_NAMES
    for name in ROUTE_NAMES:
        answer = here.post("/agents/enrollments", {"agent_id": name})
        assert (answer.status, "choose another name" in answer.text) == (422, True)
        wished = here.post("/agents/register", host(here.token("server-b"), agent_id=name), role=None)
        assert wished.status == 422


def test_a_name_that_is_taken_cannot_be_enrolled(here):
    here.join("server-b")
    answer = here.post("/agents/enrollments", {"agent_id": "server-b"})
    assert answer.status == 409
    assert "agents remove server-b" in answer.body["advice"]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"csr": "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"}, "read"),
        ({"csr": "x"}, "read"),
        ({"csr": "x" * 4001}, "4000"),
        ({"csr": csr(rsa.generate_private_key(public_exponent=65537, key_size=1024))}, "2048"),
        ({"csr": csr(ec.generate_private_key(ec.SECP384R1()))}, "P-256"),
        ({"lane_certificate": "nothing of the kind"}, "read"),
        ({"lane_certificate": lane_certificate(datetime(2020, 1, 1, tzinfo=UTC))}, "expired"),
        ({"lane_certificate": lane_certificate(datetime.now(UTC) + timedelta(days=3))}, "not valid before"),
        ({"endpoints": ["10.0.0.2"]}, "host:port"),
        ({"endpoints": ["10.0.0.2:99999"]}, "host:port"),
        ({"endpoints": ["a b:1"]}, "host:port"),
        ({"endpoints": ["169.254.169.254:80"]}, "host:port"),
        ({"endpoints": ["http://10.0.0.2:4460"]}, "host:port"),
    ],
)
def test_what_will_not_do_is_refused_and_the_token_stays_good(here, change, word):
    token = here.token("server-b")
    answer = here.post("/agents/register", host(token, **change), role=None)
    assert answer.status == 422
    assert word in answer.body["detail"] + answer.body["advice"]
    assert certificates(here) == {}
    assert here.post("/agents/register", host(token), role=None).status == 201


def test_an_rsa_key_of_2048_bits_and_an_address_of_ipv6_will_do(here):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    here.join("server-b", csr=csr(key), endpoints=["[2001:db8::1]:4460", "b.example.org:4460"])


def test_a_csr_of_another_s_key_is_refused(here):
    """Return a CSR whose signature is not by its own key."""
    first, second = csr().splitlines(), csr().splitlines()
    mixed = "\n".join([*first[:-3], *second[-3:]])
    assert here.post("/agents/register", host(here.token("b"), csr=mixed), role=None).status == 422


@pytest.mark.parametrize(
    "broken",
    ["CreateThing", "CreateCertificateFromCsr", "AttachPolicy", "UpdateCertificate", "TransactWriteItems"],
)
def test_a_registration_that_breaks_half_way_leaves_nothing_and_can_be_repeated(here, monkeypatch, broken):
    token = here.token("server-b")
    really = BaseClient._make_api_call

    def breaking(self, operation, arguments):
        if operation == broken and arguments.get("newStatus") != "REVOKED":
            raise ClientError({"Error": {"Code": "InternalFailure", "Message": "broken"}}, operation)
        return really(self, operation, arguments)

    with monkeypatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", breaking)
        assert here.post("/agents/register", host(token), role=None).status == 500
    assert "ACTIVE" not in certificates(here).values()
    assert here.get("/agents/server-b").status == 404
    assert here.post("/agents/register", host(token), role=None).status == 201
    assert list(certificates(here).values()).count("ACTIVE") == 1


def test_a_registration_that_died_half_way_is_taken_over_after_a_while(here, clock):
    token = here.token("server-b")
    slot_of(token).claim(clock())
    adapters.iot_registry().provision("server-b", csr())
    assert here.post("/agents/register", host(token), role=None).status == 409
    clock.now += timedelta(seconds=60)
    assert here.post("/agents/register", host(token), role=None).status == 201
    assert list(certificates(here).values()) == ["ACTIVE"]


def test_a_registration_that_was_overtaken_does_not_undo_the_other(here, clock):
    claimed = slot_of(here.token("server-b"))
    claimed.claim(clock())
    here.join("server-b", online=False)
    wiring.enrollment_service()._undo(claimed, clock())
    assert list(certificates(here).values()) == ["ACTIVE"]


def test_the_open_door_takes_no_large_bodies(here):
    answer = here.post("/agents/register", raw="[" + " " * 70_000 + "]", role=None)
    assert answer.status == 413


def test_a_removed_agent_cannot_connect_and_its_name_is_free(here):
    here.join("server-b")
    answer = here.call("DELETE", "/agents/server-b")
    assert (answer.status, answer.text) == (204, "")
    assert certificates(here) == {}
    assert here.iot().list_things()["things"] == []
    assert here.fleet.sent == [("server-b", Retire())]
    assert here.fleet.cut_off == ["server-b"]
    assert here.get("/agents/server-b").status == 404
    assert here.call("DELETE", "/agents/server-b").status == 404
    here.join("server-b")


def test_a_removed_agent_is_lent_nothing_more(here):
    key = {"X-Agent-Key": here.join("server-b")["api_key"]}
    hop = {"hop_id": f"{'x' * 20}-0"}
    known = here.post("/agents/server-b/credentials", hop, role=None, headers=key)
    here.call("DELETE", "/agents/server-b")
    gone = here.post("/agents/server-b/credentials", hop, role=None, headers=key)
    assert (known.status, gone.status) == (409, 401)


def test_the_connection_is_cut_once_the_certificate_opens_nothing(here, monkeypatch):
    here.join("server-b")
    at_the_cut = []
    monkeypatch.setattr(here.fleet, "cut", lambda _: at_the_cut.append(list(certificates(here).values())))
    here.call("DELETE", "/agents/server-b")
    assert at_the_cut == [[]]


def test_what_a_removed_agent_had_to_do_ends_with_a_reason(here):
    for name in ("a", "b", "c"):
        here.join(name)
    one = here.post("/transfers", {"source": "a:/data/", "destinations": ["b:/primary/", "c:/primary/"]}).body
    other = here.post("/transfers", {"source": "b:/data/", "destinations": ["c:/primary/"]}).body
    here.call("DELETE", "/agents/b")
    first, second = (here.get(f"/transfers/{each['transfer_id']}").body["hops"] for each in (one, other))
    assert [hop["state"] for hop in first] == ["failed", "queued"]
    assert first[0]["problem"]["code"] == "agent-removed"
    assert "b was removed by ana@example.org" in first[0]["problem"]["message"]
    assert [hop["state"] for hop in second] == ["failed"]


def test_iot_core_takes_its_time_to_detach():
    """A deletion is retried until IoT Core has detached everything; after that, the rest is left, revoked."""

    class Iot:
        def __init__(self, attempts_needed):
            self.asked, self.attempts_needed = [], attempts_needed

        def get_paginator(self, _):
            return self

        def describe_thing(self, thingName):  # noqa: N803
            return {"thingName": thingName, "attributes": {STAGE_ATTRIBUTE: TOPICS.stage}}

        def paginate(self, thingName=None, principal=None):  # noqa: N803
            if principal:
                return [{"things": [TOPICS.thing("b")]}]
            return [{"principals": ["arn:aws:iot:eu-central-1:1:cert/abc"]}]

        def __getattr__(self, verb):
            def ask(**_):
                self.asked.append(verb)
                if verb == "delete_thing" and self.asked.count(verb) < self.attempts_needed:
                    raise ClientError({"Error": {"Code": "InvalidRequestException"}}, verb)

            return ask

    waits = []
    slow = Iot(attempts_needed=4)
    IotRegistry(slow, TOPICS, POLICY, IotEndpoint("", 8883, None), waits.append).deprovision("b")
    assert slow.asked[0] == "update_certificate"
    assert slow.asked.count("delete_thing") == 4
    assert len(waits) == 3
    IotRegistry(
        Iot(attempts_needed=99), TOPICS, POLICY, IotEndpoint("", 8883, None), waits.append
    ).deprovision("b")


def test_an_unknown_agent_is_not_found(here):
    assert here.get("/agents/server-x").status == 404
    with pytest.raises(AgentUnknownError):
        wiring.agent_service().view("server-x")


def test_a_transfer_to_an_agent_that_left_while_it_was_asked_for_is_not_begun(here):
    here.join("a")
    here.join("b")
    here.call("DELETE", "/agents/b")
    answer = here.post("/transfers", {"source": "a:/data/", "destinations": ["b:/primary/"]})
    assert answer.status == 404
    assert "b" in answer.body["detail"]
    assert AgentLocation(agent_id="b", path="/primary/")
    assert HopState.FAILED
