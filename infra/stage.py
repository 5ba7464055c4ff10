"""Settings of a stage; the only module that knows how the embedded cloud differs from a real account."""

import json
import os
import re
import sys
import tomllib
import zoneinfo
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct
from pydantic import TypeAdapter, ValidationError

from events.base import StageName
from infra import REPOSITORY
from infra.plans import MIN_CONCURRENCY
from infra.suppressions import suppress_finding


@dataclass(frozen=True)
class Platform:
    """The Python version and platform that the functions' bundle is built for."""

    python: str
    """Python version, as in `3.13`."""
    target: str | None
    """uv's name of the platform; None for this machine."""
    architecture: lambda_.Architecture

    @property
    def runtime(self) -> lambda_.Runtime:
        return lambda_.Runtime(f"python{self.python}", lambda_.RuntimeFamily.PYTHON)


GRAVITON = Platform("3.13", "aarch64-manylinux_2_28", lambda_.Architecture.ARM_64)
THIS_MACHINE = Platform(
    f"{sys.version_info.major}.{sys.version_info.minor}", None, lambda_.Architecture.X86_64
)


@dataclass(frozen=True)
class Embedded:
    """Addresses of the embedded cloud's services for agents and browsers."""

    endpoint: str
    mqtt_host: str
    mqtt_port: int
    mqtt_ca: str
    region: str
    account: str

    @classmethod
    def read(cls, file: Path) -> "Embedded":
        """Read the file that `infra.local.deploy` writes."""
        return cls(**json.loads(file.read_text()))


def _zone(name: str) -> str:
    """Check a time zone's name, so that a wrong one fails the deployment and not the first decision.

    Raises:
        ValueError: There is no such time zone.
    """
    if name not in zoneinfo.available_timezones():
        raise ValueError(f"{name!r} is not a time zone: write for example -c zone=Europe/Zurich")
    return name


def _days(text: str) -> int:
    """Parse a number of days.

    Raises:
        ValueError: It is not a valid number of days.
    """
    if not text.isdecimal() or not 1 <= int(text) <= 3650:
        raise ValueError(f"{text!r} is not a number of days: write 1 to 3650")
    return int(text)


def _number(text: str) -> int:
    """Parse a key number.

    Raises:
        ValueError: It is not a valid key number.
    """
    if not text.isdecimal() or not 1 <= int(text) <= 9999:
        raise ValueError(
            f"{text!r} is not a command key's number: write that of the current key, or the next"
        )
    return int(text)


def _concurrency(text: str) -> int | None:
    """Parse the account's quota of concurrent executions; '' means that it is not known.

    Raises:
        ValueError: It is not a number, or too small to reserve anything of it.
    """
    if not text:
        return None
    if not text.isdecimal() or not MIN_CONCURRENCY <= int(text) <= MAX_CONCURRENCY:
        raise ValueError(
            f"{text!r} is not a quota of concurrent executions from which Crosshaul can reserve: write "
            f"{MIN_CONCURRENCY} or more, or leave -c concurrency out and nothing is reserved. New accounts "
            "have only 10; Service Quotas shows and raises it"
        )
    return int(text)


def _mqtt_port(text: str) -> int:
    """Parse the broker's port for agents.

    Raises:
        ValueError: AWS IoT Core does not serve MQTT with certificates there.
    """
    if text not in {"443", "8883"}:
        raise ValueError(f"{text!r} is not a port of the broker: write -c mqttPort=443, or 8883")
    return int(text)


def _yes_or_no(text: str) -> bool:
    """Parse a switch.

    Raises:
        ValueError: It is neither yes nor no.
    """
    if text not in {"yes", "no"}:
        raise ValueError(f"{text!r} is neither yes nor no: write -c accessLog=yes, say")
    return text == "yes"


def _requests(text: str) -> int | None:
    """Parse a rate for AWS WAF, in requests per five minutes; '' means no firewall.

    Raises:
        ValueError: It is not a rate that WAF takes.
    """
    if not text:
        return None
    if not text.isdecimal() or not MIN_WAF_REQUESTS <= int(text) <= MAX_WAF_REQUESTS:
        raise ValueError(
            f"{text!r} is not a number of requests in five minutes: write {MIN_WAF_REQUESTS} to "
            f"{MAX_WAF_REQUESTS}, -c requestsPerAddress=3000, say"
        )
    return int(text)


_BUCKET = re.compile(r"(?!xn--|sthree-|amzn-s3-demo-)[a-z0-9]([a-z0-9-]|\.(?!\.)){1,61}[a-z0-9]")
_IP_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")


def _bucket(text: str) -> str:
    """Check a bucket's name, which goes into ARNs and an event pattern; AWS would refuse it much later.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html

    Raises:
        ValueError: It cannot be a bucket's name.
    """
    if not _BUCKET.fullmatch(text) or _IP_ADDRESS.fullmatch(text):
        raise ValueError(
            f"{text!r} cannot be a bucket's name: write 3 to 63 small letters, digits, dots and dashes, "
            "without s3:// and without a prefix: -c buckets=my-media,my-archive"
        )
    return text


MAX_CONCURRENCY = 1_000_000
"""Largest quota that is believed; a larger one is a slip of the pen."""
MIN_WAF_REQUESTS, MAX_WAF_REQUESTS = 100, 2_000_000_000
"""Limits of a WAF rate. AWS takes 10 and more, but one console sends more than that in five minutes."""
_EMAIL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@([A-Za-z0-9-]{1,63}\.)+[A-Za-z0-9-]{2,63}")
MAX_EMAIL_CHARS = 254
"""Longest e-mail address, in characters (RFC 5321)."""


def _email(text: str) -> str | None:
    """Parse an e-mail address; '' means none. SNS would refuse a malformed one in the middle of a deployment.

    Raises:
        ValueError: It is not an e-mail address.
    """
    address = text.strip()
    if address and not (_EMAIL.fullmatch(address) and len(address) <= MAX_EMAIL_CHARS):
        raise ValueError(
            f"{text!r} is not an e-mail address: write for example -c alarmEmail=ops@example.com"
        )
    return address or None


def _stage_name(text: str) -> str:
    """Check a stage's name. One that ends in `-state` would collide with another stage's state stack.

    Raises:
        ValueError: It is not a stage's name.
    """
    try:
        name = TypeAdapter(StageName).validate_python(text)
    except ValidationError:
        name = ""
    if not name or name.endswith("-state"):
        raise ValueError(
            f"{text!r} cannot be a stage's name: write up to 32 small letters, digits and dashes, no dash at "
            "either end, and not -state at the end: -c stage=prod, say"
        )
    return name


@dataclass(frozen=True)
class Stage:
    """One deployment: its name and its settings."""

    name: str
    buckets: tuple[str, ...] = ()
    """Existing buckets that transfers may read and write, and whose events start templates."""
    embedded: Embedded | None = None
    manifest_days: int = 365
    """Days that transfer manifests are kept: `-c manifestDays=90`."""
    zone: str = "UTC"
    """Time zone of hours and weekdays in policies: `-c zone=Europe/Zurich`."""
    rotate_after_days: int = 90
    """Age in days at which agents' keys are replaced: `-c rotateAfterDays=30`."""
    command_key: int = 1
    """Number of the key that signs commands: `-c commandKey=2` replaces the first. Agents know the next."""
    alarm_email: str | None = None
    """Recipient of alarms: `-c alarmEmail=ops@example.com`."""
    concurrency: int | None = None
    """The account's quota of concurrent Lambda executions: `-c concurrency=1000`. None: none are reserved."""
    mqtt_port: int = 8883
    """Port at which agents connect to the broker: `-c mqttPort=443`. A host may choose the other itself."""
    access_log: bool = False
    """Whether API Gateway logs each request: `-c accessLog=yes`. The account must have a role for it."""
    requests_per_address: int | None = None
    """Requests of one address in five minutes, beyond which AWS WAF blocks it: `-c requestsPerAddress=3000`.
    None: no firewall."""

    @classmethod
    def from_context(cls, scope: Construct) -> "Stage":
        """Read the stage from the CDK context; `embedded` is set for the embedded cloud only."""
        context = scope.node.try_get_context
        named = str(context("buckets") or "")
        embedded = context("embedded")
        return cls(
            name=_stage_name(str(context("stage") or "dev")),
            buckets=tuple(dict.fromkeys(_bucket(name.strip()) for name in named.split(",") if name.strip())),
            embedded=Embedded.read(Path(embedded)) if embedded else None,
            manifest_days=_days(str(context("manifestDays") or cls.manifest_days)),
            zone=_zone(str(context("zone") or "UTC")),
            rotate_after_days=_days(str(context("rotateAfterDays") or cls.rotate_after_days)),
            command_key=_number(str(context("commandKey") or cls.command_key)),
            alarm_email=_email(str(context("alarmEmail") or "")),
            concurrency=_concurrency(str(context("concurrency") or "")),
            mqtt_port=_mqtt_port(str(context("mqttPort") or cls.mqtt_port)),
            access_log=_yes_or_no(str(context("accessLog") or "no")),
            requests_per_address=_requests(str(context("requestsPerAddress") or "")),
        )

    @property
    def title(self) -> str:
        return f"Crosshaul-{self.name}"

    @property
    def version(self) -> str:
        project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
        return str(project["version"])

    @property
    def environment(self) -> cdk.Environment:
        if self.embedded:
            return cdk.Environment(account=self.embedded.account, region=self.embedded.region)
        return cdk.Environment(
            account=os.environ.get("CDK_DEFAULT_ACCOUNT"), region=os.environ.get("CDK_DEFAULT_REGION")
        )

    def synthesizer(self) -> cdk.IStackSynthesizer:
        """Return the synthesizer: one without roles in the embedded cloud, where the bootstrap's fail."""
        return cdk.CliCredentialsStackSynthesizer() if self.embedded else cdk.DefaultStackSynthesizer()

    @property
    def platform(self) -> Platform:
        """Return the functions' platform; ministack runs them on its own Python."""
        return THIS_MACHINE if self.embedded else GRAVITON

    @property
    def removal(self) -> cdk.RemovalPolicy:
        """Return what happens to state when its stack is deleted."""
        return cdk.RemovalPolicy.DESTROY if self.embedded else cdk.RemovalPolicy.RETAIN

    @property
    def log_retention(self) -> logs.RetentionDays:
        return logs.RetentionDays.ONE_DAY if self.embedded else logs.RetentionDays.THREE_MONTHS

    @property
    def protected(self) -> bool:
        """Return whether tables and the user pool are protected against deletion."""
        return self.embedded is None

    def suppress_embedded_findings(self, app: cdk.App) -> None:
        """Suppress findings about TLS in the embedded cloud, which serves loopback only."""
        if self.embedded:
            suppress_finding(app, "The embedded cloud speaks plain HTTP, on loopback alone", "S10")

    @property
    def viewer_protocol(self) -> cloudfront.ViewerProtocolPolicy:
        """Return the protocols for viewers; the embedded cloud has no certificate for .localhost."""
        if self.embedded:
            return cloudfront.ViewerProtocolPolicy.ALLOW_ALL
        return cloudfront.ViewerProtocolPolicy.REDIRECT_TO_HTTPS

    def policy_targets(self, certificates: str) -> str:
        """Return the resource that IoT policies attach to; ministack expects `*` instead."""
        return "*" if self.embedded else certificates

    def endpoints(self) -> dict[str, Any]:
        """Return the service addresses for agents and browsers; in AWS only the port that they choose."""
        here = self.embedded
        if here is None:
            return {"mqtt_port": self.mqtt_port}
        return {
            "mqtt_host": here.mqtt_host,
            "mqtt_port": here.mqtt_port,
            "mqtt_ca": here.mqtt_ca,
            "s3_endpoint": here.endpoint,
            "sign_in_endpoint": here.endpoint,
            "loopback_lanes": 1,
        }

    def api_url(self, api_id: str, api_stage: str, region: str) -> str:
        if self.embedded:
            return f"{self.embedded.endpoint}/restapis/{api_id}/{api_stage}/_user_request_"
        return f"https://{api_id}.execute-api.{region}.{cdk.Aws.URL_SUFFIX}/{api_stage}"

    def api_origin(self, api_id: str, region: str) -> str:
        """Return the API's origin: its URL without the path."""
        if self.embedded:
            return self.embedded.endpoint
        return f"https://{api_id}.execute-api.{region}.{cdk.Aws.URL_SUFFIX}"

    def connections(self, scope: Construct, api_origin: str) -> list[str]:
        """Return the origins that the console connects to: API, broker and Cognito."""
        if self.embedded:
            port = self.embedded.endpoint.rpartition(":")[2]
            return [api_origin, f"ws://*.localhost:{port}", f"ws://127.0.0.1:{port}"]
        region = cdk.Stack.of(scope).region
        return [
            api_origin,
            f"wss://*.iot.{region}.amazonaws.com",
            f"https://cognito-idp.{region}.amazonaws.com",
        ]

    def console_url(self, distribution: cloudfront.Distribution) -> str:
        if self.embedded:
            port = self.embedded.endpoint.rpartition(":")[2]
            label = cdk.Fn.select(0, cdk.Fn.split(".", distribution.distribution_domain_name))
            return f"http://{label}.cloudfront.localhost:{port}"
        return f"https://{distribution.distribution_domain_name}"
