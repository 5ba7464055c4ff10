"""No function has more rights than its plan."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from events.locations import S3Location
from events.options import Options
from events.topics import Topics
from infra import device
from infra.plans import PLANS
from lambdas.domain.hop import Hop
from lambdas.domain.session_policy import relay_policy, session_policy
from tests.support.iam_reference import Statement, objections
from tests.support.templates import PARTITION, REGION, Resolver
from tests.support.world import a_transfer
from tests.unit.infra.conftest import Synthesized, synthesize

READS = {"GetItem", "Query", "BatchGetItem"}
ALLOWED_ON_ANYTHING = {
    "dynamodb:ListStreams": "Lambda asks for the account's streams before it reads ours",
    "iot:CreateCertificateFromCsr": "the certificate has no name before it is made",
    "iot:DescribeEndpoint": "IoT has no resource for it",
}
ALLOWED_PATTERNS = {
    ":thing/crosshaul:prod:*": "people choose the names of this stage's agents",
    ":client/crosshaul:prod:*": "an agent of this stage connects under its thing's name",
    ":job/crosshaul_prod_*_*": "a job for each stage of an update",
    ":cert/*": "IoT chooses a certificate's id",
    "/agents/crosshaul:prod:*/commands": "commands go to every agent of this stage",
    "/agents/*/live/*": "live progress of every agent of this stage; the session policy narrows it",
    "/agents/+/live/*": "the same, as a filter",
    "/changes/*": "any transfer may change",
    ":client/crosshaul-console:prod:*": "one client id for each open console",
    "/*": "the objects of a bucket",
}


def statements(stage: Synthesized) -> Iterator[dict[str, Any]]:
    """Yield every Allow statement of every role."""
    documents = [one["PolicyDocument"] for one in stage.role_policies()]
    for role in stage.properties("AWS::IAM::Role"):
        documents += [policy["PolicyDocument"] for policy in role.get("Policies", [])]
    yield from (one for document in documents for one in document["Statement"] if one["Effect"] == "Allow")


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def text(resource: Any) -> str:
    """Return an ARN from the template as text, with its references flattened."""
    if isinstance(resource, str):
        return resource
    if "Fn::Join" in resource:
        return "".join(part if isinstance(part, str) else "…" for part in resource["Fn::Join"][1])
    return "…"


def test_no_password_is_taken_as_it_is(real: Synthesized, local: Synthesized) -> None:
    for stage in (real, local):
        [client] = stage.properties("AWS::Cognito::UserPoolClient")
        assert sorted(client["ExplicitAuthFlows"]) == ["ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_USER_SRP_AUTH"]


def test_nobody_may_scan(real: Synthesized, local: Synthesized) -> None:
    for stage in (real, local):
        assert "dynamodb:Scan" not in json.dumps(stage.templates)


def test_every_action_is_named_in_full(real: Synthesized) -> None:
    actions = {action for one in statements(real) for action in as_list(one["Action"])}
    assert actions
    assert [action for action in actions if "*" in action] == []


def test_only_what_has_no_name_is_granted_on_anything(real: Synthesized) -> None:
    for one in statements(real):
        if "*" in as_list(one["Resource"]):
            assert set(as_list(one["Action"])) <= set(ALLOWED_ON_ANYTHING)


def test_every_pattern_in_a_resource_has_a_reason(real: Synthesized) -> None:
    resources = {text(one) for statement in statements(real) for one in as_list(statement["Resource"])}
    patterns = {resource for resource in resources if "*" in resource and resource != "*"}
    assert patterns
    assert [one for one in patterns if not any(one.endswith(end) for end in ALLOWED_PATTERNS)] == []


def test_writers_of_the_audit_may_only_put(real: Synthesized, local: Synthesized) -> None:
    """No function can change or delete audit records."""
    for stage in (real, local):
        granted: set[str] = set()
        for one in statements(stage):
            if any("TablesAudit" in json.dumps(resource) for resource in as_list(one["Resource"])):
                granted |= {action for action in as_list(one["Action"]) if action.startswith("dynamodb:")}
        streams = {"DescribeStream", "GetRecords", "GetShardIterator"}
        allowed = {"PutItem", "Query", "BatchGetItem"} | streams
        assert {action.removeprefix("dynamodb:") for action in granted} == allowed


def test_who_hears_reports_writes_neither_what_is_published_nor_what_is_to_be_installed(
    real: Synthesized, local: Synthesized
) -> None:
    """Releases are written by the publisher alone; updates by people's requests and by the sweep."""
    for stage in (real, local):
        writers: dict[str, set[str]] = {"TablesReleases": set(), "TablesUpdates": set()}
        for policy in stage.role_policies():
            role = json.dumps(policy["Roles"])
            for one in policy["PolicyDocument"]["Statement"]:
                actions = {action.removeprefix("dynamodb:") for action in as_list(one["Action"])}
                for table in writers:
                    if table in json.dumps(one["Resource"]) and actions - READS:
                        writers[table] |= {name for name in PLANS if f"Functions{name}Role" in role}
        assert writers == {"TablesReleases": set(), "TablesUpdates": {"Api", "OnSchedule"}}


@pytest.mark.parametrize(
    ("partition", "writers"),
    [
        ("2026-11-24", {"Api", "OnChange", "OnObject", "OnReport", "OnRetry", "OnSchedule"}),
        ("chain#2026-11-24", {"OnAudit"}),
        ("agent#server-b", {"OnAudit"}),
        ("agent#2b-c", {"OnAudit"}),
        ("seal", {"OnSchedule"}),
        ("other", set()),
    ],
)
def test_who_writes_records_writes_no_links_and_no_seals(
    real: Synthesized, partition: str, writers: set[str]
) -> None:
    """DynamoDB checks a put's partition against `dynamodb:LeadingKeys`."""
    found = set()
    for policy in real.role_policies():
        for one in policy["PolicyDocument"]["Statement"]:
            on_audit = "TablesAudit" in json.dumps(one["Resource"])
            if on_audit and "dynamodb:PutItem" in as_list(one["Action"]):
                keys = as_list(one["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"])
                if any(fnmatchcase(partition, key) for key in keys):
                    [role] = policy["Roles"]
                    found |= {name for name in PLANS if f"Functions{name}Role" in role["Ref"]}
    assert found == writers


def test_only_the_minute_seals_the_audit(real: Synthesized) -> None:
    signing = [one for one in statements(real) if as_list(one["Action"]) == ["kms:Sign"]]
    with_the_audits_key = [one for one in signing if "Audit" in json.dumps(one["Resource"])]
    assert len(with_the_audits_key) == 1


def test_who_sends_no_command_signs_none(real: Synthesized) -> None:
    """The presence of an agent is only recorded: the broker's events must not reach the key."""
    signing = {
        name
        for name in PLANS
        for policy in real.role_policies()
        if f"Functions{name}Role" in json.dumps(policy["Roles"])
        for one in policy["PolicyDocument"]["Statement"]
        if "kms:Sign" in as_list(one["Action"]) and "Commands" in json.dumps(one["Resource"])
    }
    assert signing == {"Api", "OnReport", "OnChange", "OnRetry", "OnSchedule"}


def test_only_the_stream_has_retries_looked_at_and_only_their_function_takes_the_messages(
    real: Synthesized,
) -> None:
    users: dict[str, set[str]] = {"sqs:SendMessage": set(), "sqs:ReceiveMessage": set()}
    for policy in real.role_policies():
        for one in policy["PolicyDocument"]["Statement"]:
            for action in users.keys() & set(as_list(one["Action"])):
                if "RetriesWaiting" in json.dumps(one["Resource"]):
                    role = json.dumps(policy["Roles"])
                    users[action] |= {name for name in PLANS if f"Functions{name}Role" in role}
    assert users == {"sqs:SendMessage": {"OnChange"}, "sqs:ReceiveMessage": {"OnRetry"}}


def test_lambda_ends_no_chain_of_a_function_that_sends_itself_messages(
    real: Synthesized, local: Synthesized
) -> None:
    """Its detection of loops would drop the rest of a large gathering after 16 calls."""
    for stage in (real, local):
        ends: dict[str, set[tuple[str, str]]] = {"sqs:SendMessage": set(), "sqs:ReceiveMessage": set()}
        for policy in stage.properties("AWS::IAM::Policy"):
            role = json.dumps(policy["Roles"])
            for one in policy["PolicyDocument"]["Statement"]:
                for action in ends.keys() & set(as_list(one["Action"])):
                    where = json.dumps(one["Resource"])
                    ends[action] |= {(name, where) for name in PLANS if f"Functions{name}Role" in role}
        loops = {name for name, _ in ends["sqs:SendMessage"] & ends["sqs:ReceiveMessage"]}
        allowed = {
            name
            for name in PLANS
            for logical, one in stage.of_type("AWS::Lambda::Function").items()
            if re.fullmatch(f"Functions{name}[0-9A-F]{{8}}", logical)
            and one["Properties"].get("RecursiveLoop") == "Allow"
        }
        assert loops == allowed == {"OnObject"}


def test_only_the_minutes_work_reaches_the_archive_and_nothing_deletes_from_it(real: Synthesized) -> None:
    """What is removed from the table is there only."""
    reaching = [
        (json.dumps(policy["Roles"]), one)
        for policy in real.role_policies()
        for one in as_list(policy["PolicyDocument"]["Statement"])
        if "FnGetAttArchive" in json.dumps(one["Resource"])
    ]
    assert len(reaching) == 2
    assert all("FunctionsOnScheduleRole" in role for role, _ in reaching)
    actions = {action for _, one in reaching for action in as_list(one["Action"])}
    assert actions == {"s3:ListBucket", "s3:GetObject", "s3:PutObject"}


def test_no_managed_policy_widens_a_role(real: Synthesized) -> None:
    assert [role for role in real.properties("AWS::IAM::Role") if role.get("ManagedPolicyArns")] == []


def test_lent_credentials_reach_only_the_buckets_of_the_stage(real: Synthesized) -> None:
    on_s3 = [one for one in statements(real) if any(act.startswith("s3:") for act in as_list(one["Action"]))]
    own = ("Manifests", "FnGetAttArchive")
    lent = [one for one in on_s3 if not any(name in json.dumps(one) for name in own)]
    resources = {json.dumps(resource) for one in lent for resource in as_list(one["Resource"])}
    assert len(lent) == 4
    finding = [one for one in lent if one["Action"] == "s3:ListBucketMultipartUploads"]
    assert "Relay" not in json.dumps(finding)
    of_the_stage = ("Media", "archive-of-acme", "Relay")
    assert all(any(name in resource for name in of_the_stage) for resource in resources)


def test_only_the_api_looks_into_buckets_those_of_the_stage_and_never_into_an_object(
    real: Synthesized,
) -> None:
    reaching = [
        (json.dumps(policy["Roles"]), one)
        for policy in real.role_policies()
        if "Function" in json.dumps(policy["Roles"])
        for one in policy["PolicyDocument"]["Statement"]
        if any(name in json.dumps(one["Resource"]) for name in ("Media", "archive-of-acme", "Relay"))
    ]
    ((role, statement),) = reaching
    assert "FunctionsApiRole" in role
    assert as_list(statement["Action"]) == ["s3:ListBucket"]
    resources = [json.dumps(resource) for resource in statement["Resource"]]
    assert all(any(name in one for name in ("Media", "archive-of-acme", "Manifests")) for one in resources)
    assert not any("/*" in one for one in resources)


def test_what_is_relayed_can_be_removed_and_nothing_else(real: Synthesized) -> None:
    removing = [one for one in statements(real) if "s3:DeleteObject" in as_list(one["Action"])]
    assert [text(resource) for one in removing for resource in as_list(one["Resource"])] == ["…/*"]
    assert "Relay" in json.dumps(removing)


def test_only_the_api_reaches_the_manifests_and_removes_none(real: Synthesized) -> None:
    reaching = [one for one in real.role_policies() if "Manifests" in json.dumps(one)]
    (roles,) = {json.dumps(policy["Roles"]) for policy in reaching}
    assert "FunctionsApiRole" in roles
    about = [
        one
        for policy in reaching
        for one in policy["PolicyDocument"]["Statement"]
        if "Manifests" in json.dumps(one["Resource"])
    ]
    actions = {action for one in about for action in as_list(one["Action"])}
    assert actions == {"s3:ListBucket", "s3:GetObject", "s3:PutObject"}


def test_manifests_are_private_encrypted_and_kept_for_as_long_as_said(real: Synthesized) -> None:
    buckets = real.of_type("AWS::S3::Bucket")
    ((name, bucket),) = [(name, one) for name, one in buckets.items() if name.startswith("Manifests")]
    properties = bucket["Properties"]
    assert all(properties["PublicAccessBlockConfiguration"].values())
    assert properties["BucketEncryption"]
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    assert 365 in [rule.get("ExpirationInDays") for rule in properties["LifecycleConfiguration"]["Rules"]]
    (guard,) = [one for one in real.properties("AWS::S3::BucketPolicy") if name in json.dumps(one["Bucket"])]
    assert "aws:SecureTransport" in json.dumps(guard)


def test_the_archive_is_private_encrypted_and_keeps_every_version_for_ever(real: Synthesized) -> None:
    buckets = real.of_type("AWS::S3::Bucket")
    ((name, bucket),) = [(name, one) for name, one in buckets.items() if name.startswith("Archive")]
    properties = bucket["Properties"]
    assert all(properties["PublicAccessBlockConfiguration"].values())
    assert properties["BucketEncryption"]
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    (rule,) = properties["LifecycleConfiguration"]["Rules"]
    assert rule.keys() == {"AbortIncompleteMultipartUpload", "Status"}
    assert bucket["DeletionPolicy"] == "Retain"
    (guard,) = [one for one in real.properties("AWS::S3::BucketPolicy") if name in json.dumps(one["Bucket"])]
    assert "aws:SecureTransport" in json.dumps(guard)


def test_the_console_reads_manifests_where_the_signed_addresses_lead_and_writes_none(
    real: Synthesized,
) -> None:
    """The host is that of `test_objects_are_asked_for_at_their_bucket_s_own_name`."""
    buckets = real.of_type("AWS::S3::Bucket")
    readable = {name: one["Properties"].get("CorsConfiguration") for name, one in buckets.items()}
    (manifests,) = [name for name, cors in readable.items() if cors]
    assert manifests.startswith("Manifests")
    (rule,) = readable[manifests]["CorsRules"]
    assert (rule["AllowedMethods"], rule["AllowedOrigins"]) == (["GET"], ["*"])
    (headers,) = real.properties("AWS::CloudFront::ResponseHeadersPolicy")
    policy = json.dumps(headers["ResponseHeadersPolicyConfig"]["SecurityHeadersConfig"])
    where = r'https://", {"Fn::ImportValue": "[^"]*Manifests[^"]*"}, "\.s3\.", {"Ref": "AWS::Region"}'
    assert re.search(where, policy), policy


def test_only_the_api_lends_credentials(real: Synthesized) -> None:
    for name, role in real.of_type("AWS::IAM::Role").items():
        principal = role["Properties"]["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]
        if "AWS" in principal:
            assert principal["AWS"]["Fn::GetAtt"][0].startswith("FunctionsApiRole"), name


def test_a_device_may_use_only_its_own_topics(real: Synthesized) -> None:
    (policy,) = real.properties("AWS::IoT::Policy")
    thing = "${iot:Connection.Thing.ThingName}"
    found = {
        one["Action"]: [text(resource).partition("…:")[2] for resource in as_list(one["Resource"])]
        for one in policy["PolicyDocument"]["Statement"]
    }
    mine, jobs = f"crosshaul/prod/agents/{thing}", f"$aws/things/{thing}/jobs"
    subtopics = ("notify-next", "start-next/accepted")
    assert {action: [end.rpartition("…:")[2] for end in ends] for action, ends in found.items()} == {
        "iot:Connect": [f"client/{thing}"],
        "iot:Subscribe": [
            f"topicfilter/{mine}/commands",
            *(f"topicfilter/{jobs}/{subtopic}" for subtopic in subtopics),
        ],
        "iot:Receive": [f"topic/{mine}/commands", *(f"topic/{jobs}/{subtopic}" for subtopic in subtopics)],
        "iot:Publish": [
            f"topic/$aws/rules/crosshaul_prod_reports/{mine}/reports",
            f"topic/{mine}/live/*/*",
            f"topic/{jobs}/start-next",
            f"topic/{jobs}/*/update",
        ],
    }
    connect = policy["PolicyDocument"]["Statement"][0]
    assert connect["Condition"] == {"Bool": {"iot:Connection.Thing.IsAttached": "true"}}


class TestTheKeysThatSignCommands:
    """With `-c commandKey=2` the second key signs, the third is next, and the first no longer signs."""

    def test_the_next_one_is_there_before_it_signs(self, real: Synthesized) -> None:
        assert command_keys(real, whole(real)) == {"Commands", "Commands2"}
        assert command_keys(real, signing(real)) == {"Commands"}

    def test_the_one_before_stays_while_a_deployment_goes_on(self, tmp_path: Path) -> None:
        """CloudFormation refuses to delete what the other stack still uses."""
        second = synthesize(tmp_path, {"stage": "prod", "commandKey": "2"})
        exported = json.dumps(second.templates["Crosshaul-prod-State"]["Outputs"])
        assert command_keys(second, exported) == {"Commands", "Commands2", "Commands3"}
        assert command_keys(second, signing(second)) == {"Commands2"}

    @pytest.mark.parametrize("number", ["0", "-1", "two", "1.5", "10000"])
    def test_only_a_number_is_one(self, tmp_path: Path, number: str) -> None:
        with pytest.raises(ValueError, match=r"-c commandKey: commandKey: "):
            synthesize(tmp_path, {"stage": "prod", "commandKey": number})


def command_keys(stage: Synthesized, text: str) -> set[str]:
    """Return the command keys in the text, without the eight digits after their names."""
    return {name[:-8] for name in stage.of_type("AWS::KMS::Key") if name in text} - {"Audit"}


def whole(stage: Synthesized) -> str:
    return json.dumps(stage.templates)


def signing(stage: Synthesized) -> str:
    return json.dumps([one for one in statements(stage) if as_list(one["Action"]) == ["kms:Sign"]])


def documents(stage: Synthesized) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each policy of the templates with where it is."""
    for name, kind, properties in Resolver(stage.templates).resources():
        for key, value in properties.items():
            if isinstance(value, dict) and "Statement" in value:
                yield f"{kind} {name} {key}", value
            if key == "ResourcePolicy":
                yield f"{kind} {name} {key}", value["PolicyDocument"]
            if key == "Policies" and kind == "AWS::IAM::Role":
                yield from ((f"{kind} {name} {key}", one["PolicyDocument"]) for one in value)


@pytest.mark.parametrize("name", ["real", "fullest", "local"])
def test_every_statement_of_the_templates_says_something_to_aws(
    name: str, request: pytest.FixtureRequest
) -> None:
    stage: Synthesized = request.getfixturevalue(name)
    found = list(documents(stage))
    assert len(found) > 30
    against = [
        f"{where}: {objection}"
        for where, document in found
        for statement in document["Statement"]
        for objection in objections(statement)
    ]
    assert "\n".join(against) == ""


@pytest.mark.parametrize("name", ["real", "fullest"])
def test_every_arn_that_a_condition_compares_has_six_parts(name: str, request: pytest.FixtureRequest) -> None:
    """IAM compares part by part: `arn:aws:budgets::*` has five, and no ARN is like it."""
    stage: Synthesized = request.getfixturevalue(name)
    compared = [
        (where, arn)
        for where, document in documents(stage)
        for statement in document["Statement"]
        for operator, tests in statement.get("Condition", {}).items()
        if operator.startswith("Arn")
        for one in tests.values()
        for arn in as_list(one)
    ]
    assert compared
    assert [(where, arn) for where, arn in compared if len(arn.split(":", 5)) != 6] == []


def test_every_statement_that_is_made_at_run_time_says_something_to_aws() -> None:
    """Session policies of hops, and the policy of devices."""
    iot = f"arn:{PARTITION}:iot:{REGION}:111122223333"
    made = [device.document(Topics("prod"), iot)]
    hop = a_transfer("b").hops[0]
    tagged = Options(object_tags={"project": "north"})
    made += [relay_policy(hop, "relay"), *(session_policy(one, tagged) for one in hops_of_s3(hop))]
    against = [text for document in made for one in document["Statement"] for text in objections(one)]
    assert against == []


def hops_of_s3(hop: Hop) -> Iterator[Hop]:
    bucket = S3Location(bucket="media", prefix="videos/")
    yield replace(hop, source=bucket)
    yield replace(hop, destination=bucket)


def test_what_nothing_can_be_granted_by_would_be_found() -> None:
    bucket, key = "arn:aws:s3:::media", "arn:aws:kms:eu-central-1:111122223333:key/1"
    wrong: list[tuple[Statement, str]] = [
        ({"Action": "s3:ReadObject", "Resource": f"{bucket}/*"}, "s3:ReadObject is not an action"),
        ({"Action": "s3:GetObject", "Resource": bucket}, "s3:GetObject is for"),
        ({"Action": ["s3:GetObject"], "Resource": [f"{bucket}/*", key]}, f"no action is for {key}"),
        ({"Action": "iot:CreateCertificateFromCsr", "Resource": "arn:aws:iot:::cert/1"}, "anything, so *"),
        (
            {
                "Action": "s3:GetObject",
                "Resource": f"{bucket}/*",
                "Condition": {"StringLike": {"s3:prefix": "videos/*"}},
            },
            "s3:GetObject has no condition key s3:prefix",
        ),
    ]
    for statement, said in wrong:
        assert said in "\n".join(objections({"Effect": "Allow", **statement})), json.dumps(statement)


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    text = f"""
        [[buckets]]
        name = "in-dublin"
        region = "eu-west-1"
        key = "arn:aws:kms:eu-west-1:111122223333:key/{"a" * 32}"
        [[buckets]]
        name = "here-too"
        [[buckets]]
        name = "of-others"
        account = "444455556666"
        region = "us-east-1"
        key = "arn:aws:kms:us-east-1:111122223333:key/{"a" * 32}"
    """
    return synthesize(tmp_path_factory.mktemp("encrypted"), {"stage": "prod"}, text)


class TestABucketWithAKeyOfItsOwn:
    """Transfers may use the key, through S3 in the bucket's region and in no other way."""

    def test_the_object_role_uses_it_through_s3(self, encrypted: Synthesized) -> None:
        found = {
            statement["Resource"]: statement["Condition"]["StringEquals"]["kms:ViaService"]
            for statement in statements(encrypted)
            if "kms:Decrypt" in as_list(statement["Action"])
        }
        assert found == {
            f"arn:aws:kms:eu-west-1:111122223333:key/{'a' * 32}": "s3.eu-west-1.amazonaws.com",
            f"arn:aws:kms:us-east-1:111122223333:key/{'a' * 32}": "s3.us-east-1.amazonaws.com",
        }

    def test_every_function_that_offers_hops_knows_the_regions(self, encrypted: Synthesized) -> None:
        from lambdas.settings import Settings

        offering = {plan.handler for plan in PLANS.values() if plan.signs_commands}
        for function in encrypted.properties("AWS::Lambda::Function"):
            variables = function["Environment"]["Variables"]
            if function["Handler"] not in offering:
                assert "CROSSHAUL_BUCKET_REGIONS" not in variables
                continue
            assert variables["CROSSHAUL_BUCKET_REGIONS"] == "in-dublin=eu-west-1,of-others=us-east-1"
            env = {name: str(value) for name, value in variables.items()} | {
                "CROSSHAUL_REGION": "eu-central-1"
            }
            here = Settings.from_env(env)
            assert here.region_of("in-dublin") == "eu-west-1"
            assert here.region_of("here-too") == "eu-central-1"
            if "Api" in json.dumps(function["Role"]):
                assert here.distant_bucket_names == ("in-dublin", "of-others")
