"""Two stages in one account with an agent of the same name: neither touches the other's.

No stage touches a thing in IoT Core that it did not create.
"""

import json
import string

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from events.topics import STAGE_ATTRIBUTE, Topics
from lambdas import adapters, on_presence, on_report
from lambdas.domain import problems
from lambdas.domain.errors import ThingForeignError
from lambdas.settings import PREFIX
from lambdas.store import TABLES
from lambdas.store.base import bind
from tests.support.control_plane import REGION, RecordingFleet, csr, forget, hello, host
from tests.support.moto_shortcuts import create_table
from tests.unit.lambdas.agents.test_rollouts import started
from tests.unit.lambdas.test_handlers import LambdaContext

NAME = "server-b"
PROD, EU = "prod", "prod-eu"


class Account:
    """Tables, functions and commands of each stage, and one IoT Core."""

    def __init__(self, here, monkeypatch):
        self.here, self._patch = here, monkeypatch
        self.fleets = {}

    def use(self, stage):
        """Switch to the functions of this stage and return its API."""
        values = {setting: f"{stage}-{setting}".replace("_", "-") for setting in TABLES}
        values |= {"stage": stage, "device_policy": f"crosshaul-{stage}-device"}
        for setting, value in values.items():
            self._patch.setenv(PREFIX + setting.upper(), value)
        forget()
        if stage not in self.fleets:
            self._make(stage, values)
        self.here.fleet = self.fleets[stage]
        return self.here

    def _make(self, stage, values):
        for setting, row in TABLES.items():
            bind([row], values[setting], REGION)
            create_table(row)
        document = json.dumps({"Version": "2012-10-17", "Statement": []})
        self.here.iot().create_policy(policyName=values["device_policy"], policyDocument=document)
        self.fleets[stage] = RecordingFleet()

    def snapshot(self, stage):
        """Return all state of this stage's server-b, and the commands that it was sent."""
        answer = self.use(stage).get(f"/agents/{NAME}")
        return (
            answer.text,
            thing_state(self.here.iot(), Topics(stage).thing(NAME)),
            list(self.fleets[stage].sent),
        )


def thing_state(iot, name):
    """Return a thing with its attributes and certificates."""
    found = iot.describe_thing(thingName=name)
    arns = iot.list_thing_principals(thingName=name)["principals"]
    certificates = {
        arn: (
            iot.describe_certificate(certificateId=arn.rpartition("/")[2])["certificateDescription"][
                "status"
            ],
            [one["policyName"] for one in iot.list_attached_policies(target=arn)["policies"]],
        )
        for arn in arns
    }
    return found["thingArn"], found["attributes"], found["version"], certificates


def foreign_thing(iot, name, attributes):
    """Create a device of another team in this account, with an active certificate."""
    made = iot.create_keys_and_certificate(setAsActive=True)
    iot.create_thing(thingName=name, attributePayload={"attributes": attributes})
    iot.attach_thing_principal(thingName=name, principal=made["certificateArn"])
    return thing_state(iot, name)


@pytest.fixture
def account(here, monkeypatch):
    made = Account(here, monkeypatch)
    for stage in (PROD, EU):
        made.use(stage).join(NAME)
    return made


def fail_to_register(api):
    """Fail halfway through a registration, which undoes it."""
    token = api.token(NAME)
    really = BaseClient._make_api_call

    def breaking(self, operation, arguments):
        if operation == "AttachPolicy":
            raise ClientError({"Error": {"Code": "InternalFailure", "Message": "broken"}}, operation)
        return really(self, operation, arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", breaking)
        assert api.post("/agents/register", host(token), role=None).status == 500


def remove(api):
    assert api.call("DELETE", f"/agents/{NAME}").status == 204


def rotate_keys(api):
    """Rotate keys until the old certificate is revoked."""
    assert api.post(f"/agents/{NAME}/rotate").status == 202
    certificate = adapters.iot_registry().renew(NAME, csr(), keep=()).certificate_id
    on_report.apply(on_report.AgentReport(agent_id=NAME, report=hello(), principal=certificate))


def enroll_again(api):
    remove(api)
    fail_to_register(api)
    api.join(NAME)


@pytest.mark.parametrize("operation", [remove, rotate_keys, enroll_again])
@pytest.mark.parametrize(("acting", "other"), [(PROD, EU), (EU, PROD)])
def test_what_one_stage_does_the_other_does_not_notice(account, operation, acting, other):
    before = account.snapshot(other)
    operation(account.use(acting))
    assert account.snapshot(other) == before
    [(status, policies)] = before[1][-1].values()
    assert (status, policies) == ("ACTIVE", [f"crosshaul-{other}-device"])


@pytest.mark.parametrize("event", ["connected", "disconnected"])
def test_a_stage_does_not_take_another_s_agent_for_its_own(account, event):
    """IoT Core sends events of all clients to both rules; the function checks the stage again."""
    before = account.snapshot(PROD)
    for client in (Topics(EU).thing(NAME), NAME, f"crosshaul:{PROD}:{NAME}:x"):
        message = {"clientId": client, "timestamp": 2**42, "eventType": event, "versionNumber": 9}
        on_presence.handler(message, LambdaContext())
    assert account.snapshot(PROD) == before
    own = {"clientId": Topics(PROD).thing(NAME), "timestamp": 2**42, "eventType": event, "versionNumber": 9}
    on_presence.handler(own, LambdaContext())
    assert account.snapshot(PROD) != before


FOREIGN = pytest.mark.parametrize(
    "attributes", [{}, {"team": "lighting"}, {STAGE_ATTRIBUTE: EU}, {STAGE_ATTRIBUTE: "Test"}]
)


@FOREIGN
def test_a_name_whose_thing_is_not_ours_cannot_be_enrolled(here, attributes):
    before = foreign_thing(here.iot(), "crosshaul:test:server-b", attributes)
    answer = here.post("/agents/enrollments", {"agent_id": NAME})
    assert answer.problem == problems.THING_FOREIGN
    assert "crosshaul:test:server-b" in answer.body["detail"]
    assert "choose another name" in answer.body["advice"]
    assert thing_state(here.iot(), "crosshaul:test:server-b") == before


@FOREIGN
def test_a_thing_that_came_after_the_token_is_not_touched_and_the_token_stays_good(here, attributes):
    token = here.token(NAME)
    before = foreign_thing(here.iot(), "crosshaul:test:server-b", attributes)
    answer = here.post("/agents/register", host(token), role=None)
    assert answer.problem == problems.THING_FOREIGN
    assert thing_state(here.iot(), "crosshaul:test:server-b") == before
    [arn] = before[-1]
    here.iot().detach_thing_principal(thingName="crosshaul:test:server-b", principal=arn)
    here.iot().delete_thing(thingName="crosshaul:test:server-b")
    assert here.post("/agents/register", host(token), role=None).status == 201


def test_a_host_of_a_roll_out_takes_no_thing_that_is_not_ours(here):
    token = started(here, count=1)["token"]
    before = foreign_thing(here.iot(), "crosshaul:test:render-n1", {})
    answer = here.post("/agents/register", host(token, hostname="n1"), role=None)
    assert answer.problem == problems.THING_FOREIGN
    assert thing_state(here.iot(), "crosshaul:test:render-n1") == before
    assert here.post("/agents/register", host(token, hostname="n2"), role=None).status == 201


def test_a_thing_that_comes_at_the_very_moment_is_not_taken_over(here, monkeypatch):
    """IoT Core refuses a second thing; nothing is attached to the other's thing, and nothing revoked."""
    token, attached = here.token(NAME), []
    really = BaseClient._make_api_call

    def late(self, operation, arguments):
        if operation == "CreateThing":
            raise ClientError({"Error": {"Code": "ResourceAlreadyExistsException"}}, operation)
        if operation in {"AttachThingPrincipal", "UpdateCertificate", "DeleteThing"}:
            attached.append(operation)
        return really(self, operation, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", late)
    answer = here.post("/agents/register", host(token), role=None)
    assert answer.problem == problems.THING_FOREIGN
    assert attached == []


def test_an_agent_whose_thing_was_replaced_is_neither_removed_nor_renewed(here):
    """The team that replaced the thing may have devices that use it."""
    key = here.join(NAME)["api_key"]
    here.iot().update_thing(
        thingName="crosshaul:test:server-b", attributePayload={"attributes": {"team": "lighting"}}
    )
    before = thing_state(here.iot(), "crosshaul:test:server-b")
    body, headers = {"csr": csr(), "certificate": "9f" * 32}, {"X-Agent-Key": key}
    for answer in (
        here.call("DELETE", f"/agents/{NAME}"),
        here.post(f"/agents/{NAME}/certificates", body, role=None, headers=headers),
    ):
        assert answer.problem == problems.THING_FOREIGN
    with pytest.raises(ThingForeignError):
        adapters.iot_registry().revoke_others(NAME, ())
    assert thing_state(here.iot(), "crosshaul:test:server-b") == before
    assert here.get(f"/agents/{NAME}").status == 200
    assert here.fleet.sent == []
    assert here.fleet.cut_off == []


def test_a_certificate_that_another_thing_uses_too_is_only_detached(here):
    """Another team attached its own certificate to our thing, beside its own."""
    here.join(NAME)
    arn, *_ = foreign_thing(here.iot(), "lamp", {})[-1]
    here.iot().attach_thing_principal(thingName="crosshaul:test:server-b", principal=arn)
    lamp = thing_state(here.iot(), "lamp")
    assert here.call("DELETE", f"/agents/{NAME}").status == 204
    assert thing_state(here.iot(), "lamp") == lamp
    assert here.iot().list_principal_things(principal=arn)["things"] == ["lamp"]
    assert [one["thingName"] for one in here.iot().list_things()["things"]] == ["lamp"]


label = st.text(string.ascii_lowercase + string.digits + "-", min_size=1, max_size=32).filter(
    lambda text: text[0] != "-" != text[-1]
)
names = st.tuples(label, label)


@settings(deadline=None, derandomize=True)
@given(one=names, other=names)
def test_names_of_two_agents_are_never_one_and_are_read_back(one, other):
    """Whatever dashes are in them: no thing, job or console of a stage begins as another stage's do."""
    (stage, agent), (another, second) = one, other
    topics, others = Topics(stage), Topics(another)
    assert topics.agent_of(topics.thing(agent)) == agent
    if stage != another:
        assert others.agent_of(topics.thing(agent)) is None
        assert not topics.thing(agent).startswith(others.thing(""))
        assert not topics.console("x").startswith(others.console(""))
        assert not topics.job("0123456789ab", 0).startswith(others.job("", "").removesuffix("_"))
        assert topics.commands(topics.thing(agent)) != others.commands(others.thing(second))
        assert {topics.reports_rule, topics.presence_rule} & {
            others.reports_rule,
            others.presence_rule,
        } == set()


def test_the_longest_names_fit_into_what_iot_core_takes():
    """See https://docs.aws.amazon.com/general/latest/gr/iot-core.html."""
    topics, transfer = Topics("s" * 32), "t" * 20
    name = topics.thing("a" * 63)
    _, _, reports = topics.reports(name).partition(f"{topics.reports_rule}/")  # IoT does not count the rule
    assert len(name) <= 128
    assert len(topics.console("c" * 20)) <= 128
    assert len(topics.job("0" * 12, 99)) <= 64
    assert max(len(topics.reports_rule), len(topics.presence_rule)) <= 128
    for topic in (topics.commands(name), reports, topics.live(name, transfer, f"{transfer}-999")):
        assert len(topic) <= 256
        assert topic.count("/") <= 7
    job = topics.job("0" * 12, 99)
    for topic in (topics.job_result(name, job), topics.jobs_response(name)):
        assert len(topic) <= 256
