"""The whole control plane in one process: the API's function on tables, IoT things and roles in moto."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from moto import mock_aws

from events.commands import Command
from events.problem_type import ProblemType
from events.reports import Capabilities, Hello, RootState
from infra.local.function_hooks.aws_rules.limits import response_violation
from lambdas import adapters, wiring
from lambdas.api.app import app
from lambdas.api.handler import handler
from lambdas.domain.problems import CATALOGUE
from lambdas.settings import Settings
from lambdas.store import TABLES
from lambdas.store.base import bind
from lambdas.store.installer import Installer, items
from tests.support.fakes import FakeChangeNotifier, FakeCommandSender, FakeUserDirectory, id_of
from tests.support.fakes_aws import FakeKms
from tests.support.moto_shortcuts import create_table, kept_client, one_call_at_a_time

REGION = "eu-central-1"
POLICY = "crosshaul-test-device"
POOL = "eu-central-1_people"
PUBLISHED = "9c" * 32
"""Digest of the install script that `publish` announces."""
JWK = {"kty": "EC", "crv": "P-256", "x": "x", "y": "y", "kid": "k"}


class Context:
    """The context that Lambda passes to a function."""

    function_name = memory_limit_in_mb = "512"
    invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:api"
    aws_request_id = "request-1"

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        return 20_000


def claims_of(name: str, role: str, **differently: str) -> dict[str, str]:
    """Return the claims of an id token as API Gateway passes them."""
    sub = id_of(name)
    return {
        "sub": sub,
        "cognito:username": sub,
        "email": name,
        "email_verified": "true",
        "cognito:groups": role,
        "iss": f"https://cognito-idp.{REGION}.amazonaws.com/{POOL}",
        "token_use": "id",
        **differently,
    }


@dataclass(frozen=True)
class ApiAnswer:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)

    @property
    def problem(self) -> ProblemType:
        """The answer's type of problem; checks that status and title are those of the catalogue."""
        found = CATALOGUE[self.body["type"].removeprefix("urn:crosshaul:problem:")]
        assert (self.status, self.body["title"]) == (found.status, found.title)
        return found


@dataclass
class RecordingFleet(FakeCommandSender):
    """Records the commands sent to agents; `on_command` may answer them like an agent."""

    on_command: Callable[[str, Command], None] = lambda agent_id, command: None
    published: tuple[dict[str, Any], ...] = (JWK,)
    key_ids: tuple[str, str] = ("key-1", "key-2")

    def send(self, agent_id: str, token: str) -> None:
        super().send(agent_id, token)
        self.on_command(*self.signed[token])

    def verification_keys(self) -> tuple[dict[str, Any], ...]:
        return self.published


@dataclass
class ControlPlane:
    """The API as Ana, an administrator, unless a call names another user."""

    fleet: RecordingFleet = field(default_factory=RecordingFleet)
    people: FakeUserDirectory = field(
        default_factory=lambda: FakeUserDirectory({"ana@example.org": ("admin",)})
    )
    kms: FakeKms = field(default_factory=FakeKms)
    consoles: FakeChangeNotifier = field(default_factory=FakeChangeNotifier)
    calls: int = 0

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        role: str | None = "admin",
        who: str = "ana@example.org",
        raw: str | None = None,
        headers: dict[str, str] | None = None,
        claims: dict[str, str] | None = None,
        **query: str,
    ) -> ApiAnswer:
        """Call the API like API Gateway.

        The user `who` is in the user pool with the groups of `role`; None means that nobody is signed in.
        `claims` replace the token of that user, and change nothing in the pool.
        """
        self.calls += 1
        if role and claims is None:
            self.people.groups[who] = tuple(role.split(","))
        resource, parameters = _resource(path)
        authorizer = {"authorizer": {"claims": claims or claims_of(who, role)}} if role else {}
        event = {
            "resource": resource,
            "path": path,
            "httpMethod": method,
            "headers": {"Host": "127.0.0.1:4566", **(headers or {})},
            "queryStringParameters": query or None,
            "multiValueQueryStringParameters": {name: [value] for name, value in query.items()} or None,
            "pathParameters": parameters or None,
            "stageVariables": None,
            "requestContext": {
                "resourcePath": resource,
                "httpMethod": method,
                "requestId": f"request-{self.calls}",
                "stage": "v1",
                "apiId": "a1b2",
                "identity": {"sourceIp": "198.51.100.7"},
                **authorizer,
            },
            "body": raw if raw is not None else (None if body is None else json.dumps(body)),
            "isBase64Encoded": False,
        }
        answer = handler(event, Context())  # type: ignore[arg-type]
        assert response_violation(answer) is None
        return ApiAnswer(answer["statusCode"], answer["headers"], answer["body"])

    def get(self, path: str, **how: Any) -> ApiAnswer:
        return self.call("GET", path, **how)

    def post(self, path: str, body: Any = None, **how: Any) -> ApiAnswer:
        return self.call("POST", path, body, **how)

    def token(self, name: str) -> str:
        """Return a new enrollment token for this name."""
        return str(self.post("/agents/enrollments", {"agent_id": name}).body["token"])

    def join(self, name: str, *, online: bool = True, **differently: Any) -> dict[str, Any]:
        """Enroll and register an agent; return what the host received."""
        answer = self.post("/agents/register", host(self.token(name), **differently), role=None)
        assert answer.status == 201, answer.text
        if online:
            wiring.agent_service().hello(name, hello())
        return dict(answer.body)

    def iot(self) -> Any:
        return boto3.client("iot", REGION)


def publish(version: str) -> None:
    """Publish a version, like a deployment: from then on it is the newest."""
    client = boto3.client("dynamodb", REGION)
    installer = Installer(
        f"https://console/install/{PUBLISHED}/install.sh", PUBLISHED, version, f"signed.{version}.release"
    )
    for row in items(installer):
        client.put_item(TableName="releases-table", Item=row)  # type: ignore[arg-type]


def _resource(path: str) -> tuple[str, dict[str, str]]:
    """Return the route that API Gateway would choose: the one with the fewest path parameters."""
    for pattern in sorted(app.routes, key=lambda route: route.count("{")):
        expression = re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", pattern.replace(".", r"\."))
        if found := re.fullmatch(expression, path):
            return pattern, found.groupdict()
    return path, {}


def device_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def csr(key: Any = None) -> str:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "crosshaul agent")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    made = builder.sign(key or device_key(), hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


def lane_certificate(begins: datetime | None = None, days: int = 365) -> str:
    key, name = device_key(), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "lane")])
    begins = begins or datetime.now(UTC) - timedelta(minutes=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


def host(token: str, **differently: Any) -> dict[str, Any]:
    """Return the body that a host sends to register."""
    return {
        "token": token,
        "csr": csr(),
        "hostname": "b.example.org",
        "version": "0.1.0",
        "capabilities": {"movers": ["lane", "rclone", "local"], "rclone": "1.75.2"},
        "endpoints": ["10.0.0.2:4460"],
        "lane_certificate": lane_certificate(),
        "roots": [{"path": "/data", "access": "ro"}, {"path": "/primary", "access": "rw"}],
        **differently,
    }


def hello(**differently: Any) -> Hello:
    roots = (RootState(path="/data", access="ro"), RootState(path="/primary", access="rw"))
    fields = {
        "at": datetime.now(UTC),
        "version": "0.1.0",
        "hostname": "b.example.org",
        "ip_address": "10.0.0.2",
        "capabilities": Capabilities(),
        "endpoints": ("10.0.0.2:4460",),
        "lane_certificate": "lane certificate",
        "roots": roots,
    }
    return Hello.model_validate({**fields, **differently})


@contextmanager
def control_plane(monkeypatch: pytest.MonkeyPatch) -> Iterator[ControlPlane]:
    """Yield a new, empty control plane."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    for name, value in _settings().as_env().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "client", kept_client)
    forget()
    with mock_aws(), one_call_at_a_time():
        here = ControlPlane()
        monkeypatch.setattr(adapters, "command_publisher", lambda: here.fleet)
        monkeypatch.setattr(adapters, "user_directory", lambda: here.people)
        monkeypatch.setattr(adapters, "kms", lambda: here.kms)
        monkeypatch.setattr(adapters, "change_notifier", lambda: here.consoles)
        _make(monkeypatch, here.kms)
        yield here
    forget()


def forget() -> None:
    """Clear the caches of the composition root."""
    for half in (adapters, wiring):
        for thing in vars(half).values():
            if hasattr(thing, "cache_clear"):
                thing.cache_clear()


def _settings() -> Settings:
    tables: dict[str, Any] = {name: name.replace("_", "-") for name in TABLES}
    return Settings(
        **tables,
        stage="test",
        region=REGION,
        version="0.1.0",
        bus_name="default",
        device_policy=POLICY,
        things="arn:aws:iot:eu-central-1:123456789012:thing/",
        manifests_bucket="manifests",
        archive_bucket="archive",
        buckets="media,uploads",
        object_role_arn="arn:aws:iam::123456789012:role/objects",
        relay_bucket="relay",
        live_role_arn="arn:aws:iam::123456789012:role/live",
        user_pool_id=POOL,
        sign_in_client_id="client-1",
        mqtt_host="",
    )


def _make(monkeypatch: pytest.MonkeyPatch, kms: FakeKms) -> None:
    for setting, row in TABLES.items():
        bind([row], getattr(adapters.settings(), setting), REGION)
        create_table(row)
    key = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    monkeypatch.setenv("CROSSHAUL_AUDIT_KEY_ID", key["KeyMetadata"]["Arn"])
    adapters.settings.cache_clear()
    where = {"LocationConstraint": REGION}
    for bucket in ("manifests", "archive"):
        boto3.client("s3", REGION).create_bucket(Bucket=bucket, CreateBucketConfiguration=where)  # type: ignore[arg-type]
    document = {"Version": "2012-10-17", "Statement": []}
    boto3.client("iot", REGION).create_policy(policyName=POLICY, policyDocument=json.dumps(document))
