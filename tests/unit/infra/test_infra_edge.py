"""What strangers and other accounts can reach, and what they cannot starve."""

import json
import re
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import httpx
import pytest

from agent.cloud.http import ApiProblem, raise_for_problem
from infra.api import REQUESTS_PER_SECOND
from infra.plans import MIN_CONCURRENCY, PLANS
from infra.stage import Stage
from lambdas import adapters
from lambdas.agents import service
from lambdas.api.app import OPEN_ROUTES
from lambdas.api.handler import preflight
from lambdas.domain.problems import CATALOGUE
from lambdas.store.base import connection
from lambdas.transfers import lease_sweeper
from tests.unit.infra.conftest import Synthesized, stage_in, synthesize


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    """Return a real stage whose account has a known quota, with a firewall."""
    context = {
        "stage": "prod",
        "concurrency": "1000",
        "requestsPerAddress": "3000",
        "accessLog": "yes",
        "tracing": "yes",
        "mqttPort": "443",
    }
    return synthesize(tmp_path_factory.mktemp("guarded"), context)


def test_every_open_route_has_a_throttle_of_its_own(real: Synthesized) -> None:
    """A flood of registrations must not use up what people and agents call by."""
    [stage] = real.properties("AWS::ApiGateway::Stage")
    [everywhere] = [one for one in stage["MethodSettings"] if one["HttpMethod"] == "*"]
    own = {
        (one["HttpMethod"], one["ResourcePath"].removeprefix("/").replace("~1", "/")): one
        for one in stage["MethodSettings"]
        if one["HttpMethod"] != "*"
    }
    assert set(own) == OPEN_ROUTES
    for one in own.values():
        assert 0 < one["ThrottlingRateLimit"] < everywhere["ThrottlingRateLimit"]
        assert 0 < one["ThrottlingBurstLimit"] < everywhere["ThrottlingBurstLimit"]


def test_answers_are_compressed(real: Synthesized) -> None:
    """A list of 200 agents is 300 KB of JSON, and a tenth of that compressed."""
    [api] = real.properties("AWS::ApiGateway::RestApi")
    assert api["MinimumCompressionSize"] == 1024


def test_each_request_is_logged_also_what_no_function_sees(guarded: Synthesized, real: Synthesized) -> None:
    """The role for it is the account's: a stage that set it would replace that of other teams."""
    [stage] = guarded.properties("AWS::ApiGateway::Stage")
    line = json.loads(stage["AccessLogSetting"]["Format"])
    assert {"requestId", "address", "route", "status", "refusal"} <= set(line)
    assert "authorizer" not in str(line), "nobody's token"
    assert not any("APIG1:" in where for where in guarded.accepted), "no excuse where none is needed"
    assert guarded.of_type("AWS::ApiGateway::Account") == real.of_type("AWS::ApiGateway::Account") == {}
    assert "AccessLogSetting" not in real.properties("AWS::ApiGateway::Stage")[0]


def test_traces_are_sent_where_they_are_switched_on(guarded: Synthesized, real: Synthesized) -> None:
    for stage, mode in ((guarded, "Active"), (real, None)):
        functions = stage.properties("AWS::Lambda::Function")
        assert {one.get("TracingConfig", {}).get("Mode") for one in functions} == {mode}
        [gateway] = stage.properties("AWS::ApiGateway::Stage")
        assert gateway.get("TracingEnabled", False) == (mode is not None)
        statements = json.dumps(stage.role_policies())
        assert ("xray:PutTraceSegments" in statements) == (mode is not None)


def test_agents_are_told_the_port_that_the_stage_has_chosen(guarded: Synthesized, real: Synthesized) -> None:
    for stage, port in ((guarded, "443"), (real, "8883")):
        told = {
            one["Environment"]["Variables"].get("CROSSHAUL_MQTT_PORT")
            for one in stage.properties("AWS::Lambda::Function")
        }
        assert told == {port}


@pytest.mark.parametrize("message", ['"Invalid \\"x\\" in body"', '" line\\n"', '"Unauthorized"'])
def test_what_api_gateway_refuses_itself_is_a_problem_that_programs_understand(
    real: Synthesized, message: str
) -> None:
    """`message` is put into the text as it is; `messageString` comes as a JSON string with its quotes.

    A variable that API Gateway does not know there, as `$context.status`, is empty text.
    """
    templates = real.properties("AWS::ApiGateway::GatewayResponse")
    assert {"WAF_FILTERED", "THROTTLED", "DEFAULT_5XX"} <= {one["ResponseType"] for one in templates}
    for one in templates:
        template = one["ResponseTemplates"]["application/json"]
        rendered = re.sub(
            r"\$context\.[\w.]+",
            lambda name: message if name[0] == "$context.error.messageString" else "",
            template,
        )
        assert "$" not in rendered
        code = json.loads(rendered)["type"].removeprefix("urn:crosshaul:problem:")
        assert code in CATALOGUE
        status = int(one.get("StatusCode", 418))
        with pytest.raises(ApiProblem) as refused:
            raise_for_problem(httpx.Response(status, text=rendered))
        assert (refused.value.problem.code, refused.value.status) == (code, status)
        assert refused.value.details.detail == json.loads(message)
        assert refused.value.details.advice


def test_preflights_are_kept_for_two_hours(real: Synthesized) -> None:
    preflights = [one for one in real.properties("AWS::ApiGateway::Method") if one["HttpMethod"] == "OPTIONS"]
    assert preflights
    for one in preflights:
        [answer] = one["Integration"]["IntegrationResponses"]
        assert answer["ResponseParameters"]["method.response.header.Access-Control-Max-Age"] == "'7200'"
    assert preflight({"GET"})["Access-Control-Max-Age"] == "7200"


def test_the_function_is_called_through_the_stage_only(real: Synthesized) -> None:
    """The console's test call has neither the stage's throttling nor its log."""
    [permission] = [
        one
        for one in real.properties("AWS::Lambda::Permission")
        if one["Principal"] == "apigateway.amazonaws.com"
    ]
    arn = json.dumps(permission["SourceArn"])
    assert "/v1/*/*" in arn
    assert "test-invoke-stage" not in arn


def test_a_firewall_is_a_setting(guarded: Synthesized, real: Synthesized) -> None:
    [firewall] = guarded.properties("AWS::WAFv2::WebACL")
    [rule] = firewall["Rules"]
    assert rule["Statement"]["RateBasedStatement"]["Limit"] == 3000
    assert "Block" in rule["Action"]
    assert len(guarded.properties("AWS::WAFv2::WebACLAssociation")) == 1
    assert real.properties("AWS::WAFv2::WebACL") == []
    assert guarded.findings == []
    assert not any("APIG3" in where for where in guarded.accepted), "no excuse where none is needed"


GATEWAY_TIMEOUT_S = 29
"""How long API Gateway waits for a function, unless a quota is raised."""
SECONDS_PER_REQUEST = 0.5
"""Seconds that one request of the API may take on average before the others wait."""
SHARDS = 4
"""Shards of the stream of a new on-demand table, each read in parallel."""


def reserved(stage: Synthesized) -> dict[str, int]:
    return {
        one["Description"].rpartition(": ")[2]: one["ReservedConcurrentExecutions"]
        for one in stage.properties("AWS::Lambda::Function")
        if "ReservedConcurrentExecutions" in one
    }


def test_what_must_not_starve_has_executions_of_its_own(guarded: Synthesized, real: Synthesized) -> None:
    """Reports of thousands of agents come at once; the API, the minute's work and the stream go on."""
    kept = reserved(guarded)
    assert kept["lambdas.on_schedule.handler"] == 1, "one minute's work at a time"
    assert kept["lambdas.api.handler.handler"] >= REQUESTS_PER_SECOND * SECONDS_PER_REQUEST
    [batches] = [
        one["ParallelizationFactor"]
        for one in guarded.properties("AWS::Lambda::EventSourceMapping")
        if one.get("ParallelizationFactor", 1) > 1
    ]
    assert kept["lambdas.on_change.handler"] >= SHARDS * batches
    has_ceiling = {plan.handler for plan in PLANS.values() if plan.asynchronous}
    assert has_ceiling <= set(kept), "what waits in Lambda's queue comes all at once"
    assert sum(kept.values()) + 100 == MIN_CONCURRENCY
    assert reserved(real) == {}, "a new account has ten, of which nothing can be reserved"


def test_a_call_that_hangs_ends_before_the_gateway_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits then reads why, instead of a time-out of API Gateway's, and the function goes on."""
    for config in client_configs(monkeypatch):
        longest_s = (config.connect_timeout + config.read_timeout) * config.retries["total_max_attempts"]
        assert longest_s < PLANS["Api"].seconds <= GATEWAY_TIMEOUT_S


def test_threads_that_work_off_an_outage_open_no_connection_for_each_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What does not fit into a client's pool is closed after its call: half of the calls would begin anew."""
    at_once = max(service.THREADS, lease_sweeper.THREADS)
    for config in client_configs(monkeypatch):
        assert config.max_pool_connections >= at_once


def client_configs(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the settings of the client of all tables, and those of the clients of other services."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    clients = adapters.client("kms", region="eu-central-1"), connection("eu-central-1").client
    return [one.meta.config for one in clients]


def test_no_other_accounts_rule_writes_to_our_queues(real: Synthesized) -> None:
    refusals = [
        statement
        for policy in real.properties("AWS::SQS::QueuePolicy")
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Deny" and statement["Principal"] == {"Service": "events.amazonaws.com"}
    ]
    assert len(refusals) == len(real.of_type("AWS::SQS::Queue"))
    for one in refusals:
        assert one["Condition"] == {
            "StringNotEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}},
            "Null": {"aws:SourceAccount": "false"},
        }
    trusted = [
        statement
        for role in real.properties("AWS::IAM::Role")
        for statement in role["AssumeRolePolicyDocument"]["Statement"]
        if statement["Principal"] == {"Service": "iot.amazonaws.com"}
    ]
    assert trusted
    for one in trusted:
        assert one["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


def test_neither_stack_is_deleted_by_mistake(real: Synthesized, local: Synthesized) -> None:
    for stage, wanted in ((real, True), (local, None)):
        artifacts = json.loads((stage.folder / "manifest.json").read_text())["artifacts"]
        stacks = [one for one in artifacts.values() if one["type"] == "aws:cloudformation:stack"]
        assert [one["properties"].get("terminationProtection") or None for one in stacks] == [wanted, wanted]


def stage_of(folder: Path, **context: Any) -> Stage:
    return stage_in(cdk.App(context={"stage": "prod", **context}), folder)


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        *(
            ("buckets", name)
            for name in (
                "s3://mine",
                "mine/videos",
                "Mine",
                "ab",
                "a..b",
                "-a-",
                "10.0.0.1",
                "x" * 64,
                "a_b",
                "*",
            )
        ),
        *(("concurrency", text) for text in ("10", "many", str(MIN_CONCURRENCY - 1), "-1000", "1e3")),
        *(("accessLog", text) for text in ("true", "Yes", "1")),
        *(("mqttPort", text) for text in ("1883", "https", "0443")),
        *(("requestsPerAddress", text) for text in ("10", "99", "many", "2000000001", "-5")),
    ],
)
def test_a_setting_that_aws_would_refuse_is_refused_before_anything_is_deployed(
    setting: str, text: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=f"(?s){setting}"):
        stage_of(tmp_path, **{setting: text})


def test_settings_that_are_right_are_taken(tmp_path: Path) -> None:
    stage = stage_of(
        tmp_path, buckets="my-media, my.archive-2", concurrency=str(MIN_CONCURRENCY), requestsPerAddress="100"
    )
    assert stage.settings.bucket_names == ("my-media", "my.archive-2")
    assert (stage.settings.concurrency, stage.settings.requests_per_address) == (MIN_CONCURRENCY, 100)
    assert max(plan.reserved or 0 for plan in PLANS.values()) < MIN_CONCURRENCY
