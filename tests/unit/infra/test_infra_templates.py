"""Properties of the templates: no silent loss, no accidental exposure, no drift."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infra import REPOSITORY
from lambdas.aws.delay_queue import MAX_DELAY_S
from lambdas.settings import Settings
from tests.support.templates import REGION, Resolver
from tests.unit.infra.conftest import Synthesized


def reference(value: Any) -> str:
    """Return the logical id in a Ref, a GetAtt or a cross-stack import."""
    if isinstance(value, dict):
        if "Ref" in value:
            return str(value["Ref"])
        if "Fn::GetAtt" in value:
            return str(value["Fn::GetAtt"][0])
        if "Fn::ImportValue" in value:
            return str(value["Fn::ImportValue"])
    return str(value)


def started_by(stage: Synthesized, service: str) -> set[str]:
    return {
        reference(one["FunctionName"])
        for one in stage.properties("AWS::Lambda::Permission")
        if one["Principal"] == service
    }


def test_every_function_that_nobody_waits_for_has_a_failure_destination(real: Synthesized) -> None:
    unattended = started_by(real, "events.amazonaws.com") | started_by(real, "iot.amazonaws.com")
    covered = {
        reference(one["FunctionName"])
        for one in real.properties("AWS::Lambda::EventInvokeConfig")
        if one["DestinationConfig"]["OnFailure"]["Destination"]
    }
    assert len(unattended) == 3
    assert unattended <= covered


def test_the_minutes_work_never_piles_up(real: Synthesized) -> None:
    """One runs at a time: a repeated or late one would take the next minute's place."""
    [schedule] = [
        one
        for one in real.properties("AWS::Lambda::EventInvokeConfig")
        if "OnSchedule" in json.dumps(one["FunctionName"])
    ]
    assert (schedule["MaximumRetryAttempts"], schedule["MaximumEventAgeInSeconds"]) == (0, 60)


def test_the_stream_is_filtered_and_what_fails_is_kept(real: Synthesized) -> None:
    streams = [m for m in real.properties("AWS::Lambda::EventSourceMapping") if "StartingPosition" in m]
    assert all(stream["DestinationConfig"]["OnFailure"]["Destination"] for stream in streams)
    patterns = [
        json.loads(one["Pattern"]) for stream in streams for one in stream["FilterCriteria"]["Filters"]
    ]
    timeline = {"Keys": {"part": {"S": [{"prefix": "at#"}]}}}
    records = {"Keys": {"day": {"S": [{"prefix": "2"}]}}}
    outbox = {"eventName": ["INSERT"], "dynamodb": timeline}
    chained = {"eventName": ["INSERT"], "dynamodb": records}
    tampered = {"eventName": ["MODIFY", "REMOVE"]}
    assert sorted(patterns, key=str) == sorted([outbox, chained, tampered], key=str)


def test_the_audit_is_chained_by_one_reader(real: Synthesized) -> None:
    """Parallel readers would race for the end of the chain."""
    mappings = real.properties("AWS::Lambda::EventSourceMapping")
    (audit,) = [one for one in mappings if "OnAudit" in json.dumps(one["FunctionName"])]
    assert audit["ParallelizationFactor"] == 1


def test_every_queue_that_is_read_has_a_dead_letter_queue(real: Synthesized) -> None:
    read = [m for m in real.properties("AWS::Lambda::EventSourceMapping") if "StartingPosition" not in m]
    queues = real.of_type("AWS::SQS::Queue")
    assert [queues[reference(m["EventSourceArn"])]["Properties"]["RedrivePolicy"] for m in read]


def test_a_retrys_message_is_not_lost_before_the_function_has_had_every_try_at_it(real: Synthesized) -> None:
    [retries] = [
        one["Properties"] for name, one in real.of_type("AWS::SQS::Queue").items() if "RetriesWaiting" in name
    ]
    tries_s = retries["VisibilityTimeout"] * retries["RedrivePolicy"]["maxReceiveCount"]
    assert retries["MessageRetentionPeriod"] > MAX_DELAY_S + tries_s


def test_queues_are_encrypted_and_refuse_plain_http(real: Synthesized) -> None:
    queues = real.of_type("AWS::SQS::Queue")
    assert all(queue["Properties"]["SqsManagedSseEnabled"] for queue in queues.values())
    guarded = {
        reference(queue)
        for policy in real.properties("AWS::SQS::QueuePolicy")
        if "aws:SecureTransport" in json.dumps(policy)
        for queue in policy["Queues"]
    }
    assert guarded == set(queues)


def test_buckets_are_private_and_refuse_plain_http(real: Synthesized) -> None:
    buckets = real.of_type("AWS::S3::Bucket")
    for bucket in buckets.values():
        assert set(bucket["Properties"]["PublicAccessBlockConfiguration"].values()) == {True}
        assert bucket["Properties"]["BucketEncryption"]
    guarded = {
        reference(policy["Bucket"])
        for policy in real.properties("AWS::S3::BucketPolicy")
        if "aws:SecureTransport" in json.dumps(policy)
    }
    assert guarded == set(buckets)


def test_the_console_runs_nothing_but_its_own_files(real: Synthesized, local: Synthesized) -> None:
    for stage, plain in ((real, False), (local, True)):
        [policy] = stage.properties("AWS::CloudFront::ResponseHeadersPolicy")
        headers = policy["ResponseHeadersPolicyConfig"]["SecurityHeadersConfig"]
        rules = str(headers["ContentSecurityPolicy"]["ContentSecurityPolicy"])
        assert "unsafe" not in rules
        for rule in ("script-src 'self';", "style-src 'self';", "frame-ancestors 'none'"):
            assert rule in rules
        assert ("http:" in rules) is plain
        assert headers["StrictTransportSecurity"]["IncludeSubdomains"]


def test_uploads_are_told_to_eventbridge(real: Synthesized) -> None:
    told = [one.get("NotificationConfiguration") for one in real.properties("AWS::S3::Bucket")]
    assert {"EventBridgeConfiguration": {"EventBridgeEnabled": True}} in told
    (rule,) = [one for one in real.properties("AWS::Events::Rule") if "EventPattern" in one]
    assert "archive-of-acme" in rule["EventPattern"]["detail"]["bucket"]["name"]


def test_tables_have_the_keys_of_their_row_classes(real: Synthesized) -> None:
    from lambdas.store import TABLES

    found = {json.dumps(_shape(one), sort_keys=True): one for one in real.properties("AWS::DynamoDB::Table")}
    for row_class in TABLES.values():
        schema = row_class._get_schema()
        wanted = {
            "keys": _keys(schema["key_schema"]),
            "indexes": {
                one["index_name"]: _keys(one["key_schema"]) for one in schema["global_secondary_indexes"]
            },
            "ttl": getattr(row_class._ttl_attribute(), "attr_name", None),
        }
        assert json.dumps(wanted, sort_keys=True) in found
    assert len(real.of_type("AWS::DynamoDB::Table")) == len(TABLES)


def _keys(schema: list[dict[str, str]]) -> dict[str, str]:
    return {one["KeyType"]: one["AttributeName"] for one in schema}


def _shape(table: dict[str, Any]) -> dict[str, Any]:
    return {
        "keys": _keys(table["KeySchema"]),
        "indexes": {
            one["IndexName"]: _keys(one["KeySchema"]) for one in table.get("GlobalSecondaryIndexes", [])
        },
        "ttl": table.get("TimeToLiveSpecification", {}).get("AttributeName"),
    }


def test_tables_can_be_brought_back(real: Synthesized) -> None:
    lost = set()
    for name, table in real.of_type("AWS::DynamoDB::Table").items():
        assert table["DeletionPolicy"] == "Retain"
        assert table["Properties"]["DeletionProtectionEnabled"]
        assert table["Properties"]["SSESpecification"]["SSEEnabled"]
        if not table["Properties"]["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]:
            lost.add(name.removeprefix("Tables")[:6])
    assert lost == {"Dedupe", "Idempo"}, "what expires within days is not worth its price"


def test_the_embedded_cloud_keeps_nothing_behind(local: Synthesized) -> None:
    kept = [
        name
        for template in local.templates.values()
        for name, one in template["Resources"].items()
        if one.get("DeletionPolicy", "Delete") != "Delete"
    ]
    assert kept == []


def test_the_api_has_exactly_the_routes_of_the_app(real: Synthesized) -> None:
    from lambdas.api.app import app

    wanted = {(method, path) for path, methods in app.routes.items() for method in methods}
    assert set(_methods(real)) == wanted


def test_every_closed_route_asks_who_is_there(real: Synthesized) -> None:
    from lambdas.api.app import OPEN_ROUTES

    for route, properties in _methods(real).items():
        wanted = "NONE" if route in OPEN_ROUTES else "COGNITO_USER_POOLS"
        assert properties["AuthorizationType"] == wanted, route
        assert ("AuthorizerId" in properties) == (wanted != "NONE"), route


def _methods(stage: Synthesized) -> dict[tuple[str, str], dict[str, Any]]:
    resources = stage.of_type("AWS::ApiGateway::Resource")

    def path(name: str) -> str:
        if name not in resources:
            return ""
        properties = resources[name]["Properties"]
        return f"{path(reference(properties['ParentId']))}/{properties['PathPart']}"

    return {
        (one["HttpMethod"], path(reference(one["ResourceId"])) or "/"): one
        for one in stage.properties("AWS::ApiGateway::Method")
        if one["HttpMethod"] != "OPTIONS"
    }


def test_the_api_is_throttled(real: Synthesized) -> None:
    (stage,) = real.properties("AWS::ApiGateway::Stage")
    [everywhere] = [one for one in stage["MethodSettings"] if one["HttpMethod"] == "*"]
    assert everywhere["ThrottlingRateLimit"] > 0
    assert everywhere["ThrottlingBurstLimit"] > 0


def test_logs_end(real: Synthesized) -> None:
    groups = real.properties("AWS::Logs::LogGroup")
    assert len(groups) >= len(real.of_type("AWS::Lambda::Function"))
    assert all(group["RetentionInDays"] for group in groups)


def test_lambda_logs_failed_calls_but_not_every_call(real: Synthesized) -> None:
    """The start and the report of each call say nothing that the metrics do not have."""
    for function in real.properties("AWS::Lambda::Function"):
        logging = function["LoggingConfig"]
        assert (logging["LogFormat"], logging["SystemLogLevel"]) == ("JSON", "WARN"), function["Description"]
        assert "ApplicationLogLevel" not in logging, "what we log is ours to choose"


def test_functions_are_told_every_setting(real: Synthesized, local: Synthesized) -> None:
    for stage, name in ((real, "prod"), (local, "local")):
        for function in stage.properties("AWS::Lambda::Function"):
            variables = {key: str(one) for key, one in function["Environment"]["Variables"].items()}
            assert Settings.from_env(variables).stage == name


def test_a_real_account_runs_the_bundle_on_graviton(real: Synthesized) -> None:
    functions = real.properties("AWS::Lambda::Function")
    assert {(one["Runtime"], *one["Architectures"]) for one in functions} == {("python3.13", "arm64")}


def test_cfn_lint_finds_nothing(real: Synthesized, fullest: Synthesized) -> None:
    templates = [str(file) for one in (real, fullest) for file in one.folder.glob("*.template.json")]
    assert len(templates) == 4
    lint = str(Path(sys.executable).with_name("cfn-lint"))
    # CDK writes every dependency twice, which W3005 reports as redundant.
    done = subprocess.run(
        [lint, "--regions", "eu-central-1", "--ignore-checks", "W3005", "--", *templates],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout + done.stderr == ""
    assert done.returncode == 0


IDENTITY = {
    "AWS::Cognito::UserPool": ("AliasAttributes", "UsernameAttributes", "UsernameConfiguration"),
    "AWS::Cognito::UserPoolClient": ("GenerateSecret", "UserPoolId"),
    "AWS::DynamoDB::Table": ("KeySchema", "TableName"),
    "AWS::KMS::Key": ("KeySpec", "KeyUsage", "MultiRegion", "Origin"),
    "AWS::S3::Bucket": ("BucketName",),
}
"""Types that have state, and properties whose change makes CloudFormation replace it, or fail."""
PINNED = Path(__file__).with_name("pinned_state.json")


def pinned(stage: Synthesized) -> dict[str, Any]:
    """Return what may never change: logical ids of state with their identity, and the exports in use."""
    state = {
        f"{stack}/{name}": {"Type": kind}
        | {key: properties[key] for key in IDENTITY[kind] if key in properties}
        for stack, template in stage.templates.items()
        for name, resource in template["Resources"].items()
        if (kind := resource["Type"]) in IDENTITY
        for properties in [resource.get("Properties", {})]
    }
    exports = {
        output["Export"]["Name"]: output["Value"]
        for template in stage.templates.values()
        for output in template.get("Outputs", {}).values()
        if "Export" in output
    }
    return {"state": state, "exports": exports}


def test_no_state_is_replaced_and_no_export_in_use_changes(real: Synthesized) -> None:
    """A renamed construct is a new, empty table, and the old one stays behind; likewise for keys and buckets.

    An export that the other stack uses can neither go nor change in one deployment: first the use, then the
    export. What is added belongs into pinned_state.json with the same commit.
    """
    assert pinned(real) == json.loads(PINNED.read_text())


def test_everything_with_state_is_kept_when_its_stack_goes(real: Synthesized) -> None:
    """The relay and the console's files can be made again."""
    made_again = {"Relay", "ConsoleFiles"}
    for kind in set(IDENTITY) - {"AWS::Cognito::UserPoolClient"}:
        for name, resource in real.of_type(kind).items():
            if not any(name.startswith(one) for one in made_again):
                assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain", name


def test_what_one_stack_imports_the_other_exports(real: Synthesized) -> None:
    exported = set(pinned(real)["exports"])
    imported = set(imports(real.templates))
    assert imported == exported


def imports(value: Any) -> Iterator[str]:
    """Yield the name of every import in a template."""
    if isinstance(value, dict):
        if "Fn::ImportValue" in value:
            yield value["Fn::ImportValue"]
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from imports(one)


def test_a_real_stage_has_the_addresses_of_aws_and_none_of_its_own(
    real: Synthesized, local: Synthesized
) -> None:
    resolver = Resolver(real.templates)
    outputs = {
        name: resolver.value(stack, output["Value"])
        for stack, template in real.templates.items()
        for name, output in template.get("Outputs", {}).items()
    }
    api = f"https://a1b2c3d4e5.execute-api.{REGION}.amazonaws.com"
    assert outputs["ApiUrl"] == f"{api}/v1"
    assert outputs["ConsoleUrl"] == "https://E1A2B3C4D5E6F7.DomainName"
    [(_, _, policy)] = resolver.resources("AWS::CloudFront::ResponseHeadersPolicy")
    headers = policy["ResponseHeadersPolicyConfig"]["SecurityHeadersConfig"]
    connections = [api, f"wss://*.iot.{REGION}.amazonaws.com", f"https://cognito-idp.{REGION}.amazonaws.com"]
    assert " ".join(connections) in headers["ContentSecurityPolicy"]["ContentSecurityPolicy"]
    [distribution] = real.properties("AWS::CloudFront::Distribution")
    behavior = distribution["DistributionConfig"]["DefaultCacheBehavior"]
    assert behavior["ViewerProtocolPolicy"] == "redirect-to-https"
    for _, _, function in resolver.resources("AWS::Lambda::Function"):
        told = Settings.from_env(
            {name: str(one) for name, one in function["Environment"]["Variables"].items()}
        )
        assert (told.mqtt_host, told.mqtt_port, told.mqtt_ca) == ("", 8883, "")
        assert (told.s3_endpoint, told.sign_in_endpoint, told.loopback_lanes) == ("", "", 0)
    for of_this_machine in ("127.0.0.1", "PYTHONPATH", str(REPOSITORY)):
        assert of_this_machine not in json.dumps(real.templates)
        assert of_this_machine in json.dumps(local.templates)


def test_a_real_stage_is_deployed_by_the_roles_of_the_bootstrap(
    real: Synthesized, local: Synthesized
) -> None:
    """Its version is checked first; the embedded cloud is deployed into with the caller's own rights."""
    for stage, checked in ((real, True), (local, False)):
        for template in stage.templates.values():
            assert ("CheckBootstrapVersion" in template.get("Rules", {})) is checked


def test_certificates_get_the_device_policy_by_their_own_name(real: Synthesized) -> None:
    found = [
        statement["Resource"]
        for policy in Resolver(real.templates).role_policies()
        for statement in policy["PolicyDocument"]["Statement"]
        if "iot:AttachPolicy" in statement["Action"]
    ]
    assert found
    assert {text for one in found for text in (one if isinstance(one, list) else [one])} <= {
        f"arn:aws:iot:{REGION}:111122223333:cert/*"
    }
