"""What would make a first deployment fail is found before it, by reading alone."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from moto import mock_aws

from infra import monthly_estimate, preflight
from infra.plans import MIN_CONCURRENCY
from infra.preflight import BOOTSTRAP
from infra.settings import StageError, StageSettings, read
from infra.stack_tables import construct_name
from lambdas.store import TABLES
from lambdas.store.transfer_rows import TransferRow
from tests.unit.infra.conftest import Synthesized

REGION = "eu-central-1"
CERTIFICATE = f"arn:aws:acm:{REGION}:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef"
QUOTAS = {
    "iotcore": "Inbound publish requests per second per account",
    "kms": "Cryptographic operations (ECC) request rate",
}


class FakeAccount:
    """An account in moto; what moto does not have is answered from here."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.concurrency = 1000
        self.rates = {"iotcore": 20_000.0, "kms": 300.0}
        self.answers: dict[str, Any] = {"GetAccount": {}}
        self.denied: set[str] = set()
        self.calls: list[str] = []
        self.stage("")

    def stage(self, text: str) -> None:
        (self.folder / "prod.toml").write_text(text)

    def answer(self, operation: str, arguments: dict[str, Any]) -> Any:
        self.calls.append(operation)
        if operation in self.denied:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, operation)
        if operation == "GetAccountSettings":
            return {"AccountLimit": {"ConcurrentExecutions": self.concurrency}}
        if operation == "ListServiceQuotas":
            service = arguments["ServiceCode"]
            return {"Quotas": [{"QuotaName": QUOTAS[service], "Value": self.rates[service]}]}
        return self.answers.get(operation)


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAccount]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_REGION", REGION)
    here = FakeAccount(tmp_path)
    monkeypatch.setattr(preflight, "read", lambda name, context: read(name, context, tmp_path))
    with mock_aws():
        boto3.client("ssm", REGION).put_parameter(Name=BOOTSTRAP, Value="21", Type="String")
        really = BaseClient._make_api_call

        def call(client: Any, operation: str, arguments: dict[str, Any]) -> Any:
            found = here.answer(operation, arguments)
            return really(client, operation, arguments) if found is None else found

        with monkeypatch.context() as patch:
            patch.setattr(BaseClient, "_make_api_call", call)
            yield here


@pytest.fixture
def run(account: FakeAccount, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    def run(*more: str) -> tuple[int, str]:
        account.calls.clear()
        code = preflight.main(["prod", *more])
        return code, capsys.readouterr().out

    return run


def test_an_account_that_is_ready_says_so_and_nothing_is_written(account: FakeAccount, run: Any) -> None:
    code, told = run()
    assert (code, told.splitlines()[-1]) == (0, "Ready to deploy.")
    assert "fail" not in told
    assert "free: this is the first deployment" in told
    assert "about $" in told
    assert account.calls
    assert [one for one in account.calls if not one.startswith(("Get", "List", "Describe", "Head"))] == []


def test_an_account_without_bootstrap(account: FakeAccount, run: Any) -> None:
    boto3.client("ssm", REGION).delete_parameter(Name=BOOTSTRAP)
    code, told = run()
    assert code == 1
    assert "run cdk bootstrap -c stage=prod" in told
    boto3.client("ssm", REGION).put_parameter(Name=BOOTSTRAP, Value="5", Type="String")
    assert "version 5, 6 is needed" in run()[1]


def test_a_new_account_has_ten_executions(account: FakeAccount, run: Any) -> None:
    account.concurrency = 10
    code, told = run()
    assert code == 0
    assert "note  Lambda" in told
    assert "too few to reserve any" in told
    account.stage(f"concurrency = {MIN_CONCURRENCY}")
    code, told = run()
    assert code == 1
    assert "the account's quota of concurrent executions is 10" in told


def test_a_deployment_itself_is_stopped_by_the_quota(account: FakeAccount) -> None:
    session = boto3.Session(region_name=REGION)
    settings = StageSettings.model_validate({"concurrency": 1000})
    assert list(preflight.check_concurrency(session, settings)) == []
    account.concurrency = 999
    with pytest.raises(StageError, match="Lambda would refuse to reserve"):
        list(preflight.check_concurrency(session, settings))
    account.denied = {"GetAccountSettings"}
    assert "lambda:GetAccountSettings" in next(preflight.check_concurrency(session, settings))


def test_quotas_are_compared_with_what_so_many_agents_need(account: FakeAccount, run: Any) -> None:
    assert run("--agents", "1000")[0] == 0
    account.rates["kms"] = 50
    code, told = run("--agents", "1000")
    assert code == 1
    assert "fail  KMS" in told
    assert "1,000 agents need about 33/s" in told


def test_a_name_that_a_failed_creation_has_left(account: FakeAccount, run: Any) -> None:
    boto3.client("events", REGION).create_event_bus(Name="crosshaul-prod")
    code, told = run()
    assert code == 1
    assert "event bus crosshaul-prod" in told
    assert "python -m infra.teardown prod" in told


def test_a_first_creation_that_was_rolled_back(account: FakeAccount, run: Any) -> None:
    account.answers["DescribeStacks"] = {"Stacks": [{"StackStatus": "ROLLBACK_COMPLETE"}]}
    code, told = run()
    assert code == 1
    assert "Crosshaul-prod is ROLLBACK_COMPLETE" in told


def test_buckets_and_the_role_of_the_access_log(account: FakeAccount, run: Any) -> None:
    account.stage("accessLog = true\n[[buckets]]\nname = 'not-there'")
    code, told = run()
    assert code == 1
    assert "not-there: there is no bucket of this name" in told
    assert "API Gateway has no role for it" in told


@pytest.mark.parametrize(
    ("certificate", "expected"),
    [
        ({"DomainName": "api.example.com", "Status": "ISSUED"}, None),
        ({"DomainName": "*.example.com", "Status": "ISSUED"}, None),
        ({"DomainName": "api.example.com", "Status": "PENDING_VALIDATION"}, "is PENDING_VALIDATION"),
        ({"DomainName": "www.example.com", "Status": "ISSUED"}, "does not have this name"),
    ],
)
def test_a_certificate_that_does_not_work_yet(
    account: FakeAccount, run: Any, certificate: dict[str, str], expected: str | None
) -> None:
    account.stage(f"[[apiDomains]]\nname = 'api.example.com'\ncertificate = '{CERTIFICATE}'")
    account.answers["DescribeCertificate"] = {"Certificate": certificate}
    code, told = run()
    assert code == (0 if expected is None else 1)
    assert (expected or "ok    certificates") in told


def test_what_may_not_be_read_is_named_and_the_rest_is_checked(account: FakeAccount, run: Any) -> None:
    account.denied = {"ListServiceQuotas", "GetAccountSettings"}
    code, told = run()
    assert code == 0
    assert told.count("not checked: ListServiceQuotas is denied") == 2
    assert "not checked: GetAccountSettings is denied" in told
    assert "about $" in told


def test_a_stage_without_a_file_and_an_account_out_of_reach(
    account: FakeAccount, run: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert preflight.main(["prdo"]) == 1
    assert "There is no stage prdo" in capsys.readouterr().err
    account.denied = {"GetCallerIdentity"}
    assert preflight.main(["prod"]) == 2
    assert "AWS could not be queried" in capsys.readouterr().err
    monkeypatch.delenv("AWS_REGION")
    assert preflight.main(["prod"]) == 2


def deploy_table(indexes: list[str]) -> None:
    """Deploy a state stack whose table of transfers has these indexes."""
    keys = [
        {"AttributeName": "transfer_id", "KeyType": "HASH"},
        {"AttributeName": "part", "KeyType": "RANGE"},
    ]
    names = ["transfer_id", "part", "month"]
    table = {
        "Type": "AWS::DynamoDB::Table",
        "Properties": {
            "TableName": "transfers",
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": keys,
            "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in names],
            "GlobalSecondaryIndexes": [
                {
                    "IndexName": index,
                    "KeySchema": [{"AttributeName": "month", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
                for index in indexes
            ],
        },
    }
    boto3.client("cloudformation", REGION).create_stack(
        StackName="Crosshaul-prod-State",
        TemplateBody=json.dumps({"Resources": {"TablesTransfers0123ABCD": table}}),
    )


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_version_that_adds_two_indexes_at_once_is_not_deployed(account: FakeAccount, missing: int) -> None:
    """CloudFormation would fail in the middle of it."""
    every = [index["index_name"] for index in TransferRow._get_schema()["global_secondary_indexes"]]
    deploy_table(every[missing:])
    session = boto3.Session(region_name=REGION)
    if missing < 2:
        assert list(preflight.check_indexes(session, "prod")) == []
        return
    with pytest.raises(StageError, match=f"transfers_table: {', '.join(sorted(every[:2]))}"):
        list(preflight.check_indexes(session, "prod"))


def test_one_index_may_not_be_replaced_by_another_either(account: FakeAccount) -> None:
    every = [index["index_name"] for index in TransferRow._get_schema()["global_secondary_indexes"]]
    deploy_table([*every[1:], "by_color"])
    with pytest.raises(StageError, match="by_color"):
        list(preflight.check_indexes(boto3.Session(region_name=REGION), "prod"))


def test_every_table_is_recognized_by_its_logical_id(real: Synthesized) -> None:
    found = {name[:-8] for name in real.of_type("AWS::DynamoDB::Table")}
    assert found == {f"Tables{construct_name(setting)}" for setting in TABLES}


def test_the_estimate_counts_what_runs_all_the_time() -> None:
    """A heartbeat costs a message, a rule, a call and some two writes: three cents a month."""
    plain, walled = StageSettings(), StageSettings.model_validate({"requestsPerAddress": 3000})
    idle = monthly_estimate.dollars(plain, 0)
    assert 0.02 < monthly_estimate.dollars(plain, 1) - idle < 0.05
    assert monthly_estimate.dollars(walled, 0) - idle == pytest.approx(monthly_estimate.FIREWALL)
    assert 3 < idle < 11, "keys, alarms, metrics, and the work of each minute"
