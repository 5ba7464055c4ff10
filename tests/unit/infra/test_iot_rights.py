"""What agents and functions may do in IoT Core, evaluated as AWS evaluates policies."""

import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from events.topics import Topics
from infra import device
from infra.plans import PLANS
from tests.support.templates import ACCOUNT, PARTITION, REGION, Resolver
from tests.unit.infra.conftest import Synthesized

IOT = f"arn:{PARTITION}:iot:{REGION}:{ACCOUNT}:"
PROD, OTHER_STAGE = Topics("prod"), Topics("prod-eu")
Context = Mapping[str, str]


def allows(document: Mapping[str, Any], action: str, resource: str, context: Context) -> bool:
    """Return whether a policy of Allow statements permits an action; `context` has the condition keys.

    In a resource, `*` and `?` are wildcards, and `+` and `#` are not.
    """
    return any(_applies(one, action, resource, context) for one in document["Statement"])


def _applies(statement: Mapping[str, Any], action: str, resource: str, context: Context) -> bool:
    assert statement["Effect"] == "Allow"
    if action not in _listed(statement["Action"]):
        return False
    conditions = (
        _holds(operator, key, wanted, context)
        for operator, tests in statement.get("Condition", {}).items()
        for key, wanted in tests.items()
    )
    resources = (
        re.sub(r"\$\{([^}]+)\}", lambda name: context[name[1]], one) for one in _listed(statement["Resource"])
    )
    return all(conditions) and any(_matches(one, resource) for one in resources)


def _holds(operator: str, key: str, wanted: str, context: Context) -> bool:
    given = context.get(key)
    match operator:
        case "Bool":
            return given == wanted
        case "ArnLikeIfExists":
            return given is None or _matches(wanted, given)
    raise AssertionError(f"{operator} is not evaluated here")


def _matches(pattern: str, text: str) -> bool:
    parts = (".*" if one == "*" else "." if one == "?" else re.escape(one) for one in pattern)
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


class Device:
    """A certificate with the device policy, connected under a client id."""

    def __init__(self, client: str, *, attached: bool = True) -> None:
        self.policy = device.document(PROD, IOT.removesuffix(":"))
        # IoT Core takes the thing's name from the client id, and knows whose the certificate is.
        self.context = {
            "iot:Connection.Thing.ThingName": client,
            "iot:Connection.Thing.IsAttached": str(attached).lower(),
        }

    def may(self, verb: str, resource: str) -> bool:
        return allows(self.policy, f"iot:{verb}", IOT + resource, self.context)


AGENT = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)


@given(AGENT, AGENT)
@example("server-b", "server-b2")
@example("server-b", "b")
def test_a_device_works_as_itself_and_touches_no_other(mine: str, other: str) -> None:
    assume(mine != other)
    me, them = PROD.thing(mine), PROD.thing(other)
    agent = Device(me)
    assert agent.may("Connect", f"client/{me}")
    for theirs in (them, OTHER_STAGE.thing(mine), f"{me}:", "*", PROD.console("t")):
        assert not agent.may("Connect", f"client/{theirs}")
    for topic in (PROD.commands, PROD.job_notifications, PROD.jobs_response):
        for verb, kind in (("Subscribe", "topicfilter"), ("Receive", "topic")):
            assert agent.may(verb, f"{kind}/{topic(me)}")
            assert not agent.may(verb, f"{kind}/{topic(them)}")
    for topic in (PROD.reports, PROD.jobs_request):
        assert agent.may("Publish", f"topic/{topic(me)}")
        assert not agent.may("Publish", f"topic/{topic(them)}")
    assert agent.may("Publish", f"topic/{PROD.live(me, 'transfer', 'hop')}")
    assert not agent.may("Publish", f"topic/{PROD.live(them, 'transfer', 'hop')}")
    assert not agent.may("Publish", f"topic/{PROD.commands(me)}"), "commands come from the control plane"


@pytest.mark.parametrize(
    "topic_filter",
    ["#", "+/#", "$aws/#", "$aws/things/+/jobs/#", "crosshaul/prod/agents/+/commands", "crosshaul/prod/#"],
)
def test_no_wildcard_lets_a_device_hear_others(topic_filter: str) -> None:
    assert not Device(PROD.thing("server-b")).may("Subscribe", f"topicfilter/{topic_filter}")


def test_a_certificate_that_is_not_the_thing_s_does_not_connect_as_it() -> None:
    """Any certificate of the stage has the same policy; only the attachment tells whose it is."""
    thing = PROD.thing("server-b")
    assert not Device(thing, attached=False).may("Connect", f"client/{thing}")


class Roles:
    """The IAM rights of the functions of a real stage, in IoT Core."""

    def __init__(self, stage: Synthesized) -> None:
        self._statements: dict[str, list[Any]] = {name: [] for name in PLANS}
        for policy in Resolver(stage.templates).role_policies():
            for name in PLANS:
                if any(f"Functions{name}Role" in role for role in policy["Roles"]):
                    self._statements[name] += policy["PolicyDocument"]["Statement"]
        assert all(self._statements.values())

    def who_may(self, verb: str, resource: str, **context: str) -> set[str]:
        keys = {f"iot:{key}": value for key, value in context.items()}
        return {
            name
            for name, statements in self._statements.items()
            if allows({"Statement": statements}, f"iot:{verb}", resource, keys)
        }


OWN, FOREIGN = f"{IOT}thing/{PROD.thing('server-b')}", f"{IOT}thing/{OTHER_STAGE.thing('server-b')}"
CERTIFICATE = f"{IOT}cert/{'a' * 64}"


@pytest.fixture(scope="module")
def roles(real: Synthesized) -> Roles:
    return Roles(real)


def test_who_attaches_certificates_does_so_to_things_of_this_stage(roles: Roles) -> None:
    assert roles.who_may("AttachThingPrincipal", CERTIFICATE, thingArn=OWN) == {"Api"}
    assert roles.who_may("DetachThingPrincipal", CERTIFICATE, thingArn=OWN) == {"Api", "OnReport"}
    for verb in ("AttachThingPrincipal", "DetachThingPrincipal"):
        for thing in (FOREIGN, f"{IOT}thing/fridge", f"{IOT}thing/crosshaul:prod"):
            assert roles.who_may(verb, CERTIFICATE, thingArn=thing) == set()
        assert roles.who_may(verb, f"{IOT}thinggroup/all", thingArn=OWN) == set()


@pytest.mark.parametrize(
    ("verb", "who"),
    [
        ("CreateThing", {"Api"}),
        ("DeleteThing", {"Api"}),
        ("DescribeThing", {"Api", "OnReport"}),
        ("ListThingPrincipals", {"Api", "OnReport"}),
        ("CreateJob", {"Api", "OnSchedule"}),
        ("DescribeJobExecution", {"Api", "OnSchedule"}),
    ],
)
def test_things_of_another_stage_are_out_of_reach(roles: Roles, verb: str, who: set[str]) -> None:
    assert roles.who_may(verb, OWN) == who
    assert roles.who_may(verb, FOREIGN) == set()
    assert roles.who_may(verb, f"{IOT}thing/fridge") == set()


@pytest.mark.parametrize(
    "verb", ["CreateJob", "CancelJob", "ListJobExecutionsForJob", "DescribeJobExecution"]
)
def test_jobs_of_another_stage_are_out_of_reach(roles: Roles, verb: str) -> None:
    assert roles.who_may(verb, f"{IOT}job/{PROD.job('0123456789ab', 0)}") == {"Api", "OnSchedule"}
    assert roles.who_may(verb, f"{IOT}job/{OTHER_STAGE.job('0123456789ab', 0)}") == set()


def test_commands_and_connections_are_those_of_this_stage(roles: Roles) -> None:
    mine, theirs = PROD.thing("server-b"), OTHER_STAGE.thing("server-b")
    senders = {"Api", "OnReport", "OnChange", "OnRetry", "OnSchedule"}
    assert roles.who_may("Publish", f"{IOT}topic/{PROD.commands(mine)}") == senders
    assert roles.who_may("Publish", f"{IOT}topic/{OTHER_STAGE.commands(theirs)}") == set()
    assert roles.who_may("DeleteConnection", f"{IOT}client/{mine}") == {"Api", "OnSchedule"}
    assert roles.who_may("DeleteConnection", f"{IOT}client/{theirs}") == set()


def test_who_records_agents_tells_consoles_of_agents_and_of_nothing_else(roles: Roles) -> None:
    writers = {"Api", "OnReport", "OnPresence", "OnSchedule"}
    assert roles.who_may("Publish", f"{IOT}topic/{PROD.agent_changes}") == {*writers, "OnChange"}
    assert roles.who_may("Publish", f"{IOT}topic/{PROD.changes('abcdefghij0123456789')}") == {"OnChange"}
    assert roles.who_may("Publish", f"{IOT}topic/{OTHER_STAGE.agent_changes}") == set()


def test_who_does_not_enroll_makes_no_certificate_and_gives_none_a_policy(roles: Roles) -> None:
    assert roles.who_may("CreateCertificateFromCsr", "*") == {"Api"}
    assert roles.who_may("AttachPolicy", CERTIFICATE) == {"Api"}
    for verb in ("UpdateCertificate", "DeleteCertificate", "ListPrincipalThings", "DetachPolicy"):
        assert roles.who_may(verb, CERTIFICATE) == {"Api", "OnReport"}
    for verb in (
        "CreatePolicy",
        "CreatePolicyVersion",
        "UpdateThing",
        "RegisterThing",
        "CreateKeysAndCertificate",
    ):
        assert roles.who_may(verb, "*") == set()
