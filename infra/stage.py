"""A stage; the only module that knows how the embedded cloud differs from a real account."""

import json
import os
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra import REPOSITORY
from infra.settings import STAGES, StageError, StageSettings, read
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


@dataclass(frozen=True)
class Stage:
    """One deployment: its name, its settings and where it is deployed to."""

    name: str
    settings: StageSettings
    embedded: Embedded | None = None

    @classmethod
    def of(cls, scope: Construct, folder: Path = STAGES) -> "Stage":
        """Read the stage that the CDK context names from its file; the context overrides single settings.

        `embedded` in the context is set for the embedded cloud only.

        Raises:
            StageError: There is no such stage, or a setting is not valid.
        """
        context = scope.node.get_all_context()
        name = str(context.get("stage") or "")
        embedded = context.get("embedded")
        return cls(
            name=name,
            settings=read(name, context, folder),
            embedded=Embedded.read(Path(embedded)) if embedded else None,
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

    def bucket_keys(self, scope: Construct) -> dict[str, list[str]]:
        """Return the KMS keys of existing buckets by region.

        Raises:
            StageError: A key is in another region than its bucket.
        """
        keys: dict[str, list[str]] = {}
        own = cdk.Stack.of(scope).region
        for bucket in self.settings.buckets:
            if not bucket.key:
                continue
            if not cdk.Token.is_unresolved(own) and bucket.key_region() != (bucket.region or own):
                raise StageError(
                    f"The key of {bucket.name} is in {bucket.key_region()}, and the bucket in "
                    f"{bucket.region or own}: S3 encrypts with keys of the bucket's region only. If that is "
                    f'the bucket\'s region, write region = "{bucket.key_region()}" beside its key.'
                )
            keys.setdefault(bucket.key_region(), []).append(bucket.key)
        return {region: list(dict.fromkeys(found)) for region, found in keys.items()}

    def check_certificates(self, scope: Construct) -> None:
        """Raise StageError if API Gateway could not use a certificate: it must be in the stage's region."""
        region = cdk.Stack.of(scope).region
        for domain in self.settings.api_domains:
            if not cdk.Token.is_unresolved(region) and domain.certificate_region != region:
                raise StageError(
                    f"The certificate of {domain.name} is in {domain.certificate_region}, and the API in "
                    f"{region}: request one in {region}, and write its ARN into stages/{self.name}.toml."
                )

    def synthesizer(self) -> cdk.IStackSynthesizer:
        """Return the synthesizer: one without roles in the embedded cloud, where the bootstrap's fail."""
        return cdk.CliCredentialsStackSynthesizer() if self.embedded else cdk.DefaultStackSynthesizer()

    @property
    def platform(self) -> Platform:
        """Return the functions' platform; ministack runs them on its own Python."""
        return THIS_MACHINE if self.embedded else GRAVITON

    @property
    def shares_packages(self) -> bool:
        """Return whether functions share the locked packages in one folder of this machine.

        ministack unpacks a function's code for each process that it starts.
        """
        return self.embedded is not None

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

    @property
    def metric_math(self) -> bool:
        """Return whether an alarm may add up metrics; in the embedded cloud it looks at one."""
        return self.embedded is None

    def suppress_embedded_findings(self, app: cdk.App) -> None:
        """Suppress findings about TLS in the embedded cloud, which serves loopback only."""
        if self.embedded:
            suppress_finding(app, "The embedded cloud speaks plain HTTP, on loopback alone", "S10", "SQS4")

    @property
    def viewer_protocol(self) -> cloudfront.ViewerProtocolPolicy:
        """Return the protocols for viewers; the embedded cloud has no certificate for .localhost."""
        if self.embedded:
            return cloudfront.ViewerProtocolPolicy.ALLOW_ALL
        return cloudfront.ViewerProtocolPolicy.REDIRECT_TO_HTTPS

    def certificate_targets(self, certificates: str) -> str:
        """Return the resource of what attaches to certificates; ministack expects `*` instead."""
        return "*" if self.embedded else certificates

    def endpoints(self) -> dict[str, Any]:
        """Return the service addresses for agents and browsers; in AWS only the port that they choose."""
        here = self.embedded
        if here is None:
            return {"mqtt_port": self.settings.mqtt_port}
        return {
            "mqtt_host": here.mqtt_host,
            "mqtt_port": here.mqtt_port,
            "mqtt_ca": here.mqtt_ca,
            "s3_endpoint": here.endpoint,
            "sign_in_endpoint": here.endpoint,
            "loopback_lanes": 1,
        }

    def api_urls(self, api_id: str, api_stage: str, region: str) -> tuple[str, ...]:
        """Return all addresses of the API; the first is the one that people and agents use."""
        aws = self._aws_api_url(api_id, api_stage, region)
        own = {domain.name: f"https://{domain.name}" for domain in self.settings.api_domains}
        current = own.get(self.settings.api_domain or "", aws)
        return tuple(dict.fromkeys((current, aws, *own.values())))

    def _aws_api_url(self, api_id: str, api_stage: str, region: str) -> str:
        if self.embedded:
            return f"{self.embedded.endpoint}/restapis/{api_id}/{api_stage}/_user_request_"
        return f"https://{api_id}.execute-api.{region}.{cdk.Aws.URL_SUFFIX}/{api_stage}"

    def api_origins(self, api_id: str, region: str) -> list[str]:
        """Return the origins of all addresses of the API: URLs without the path."""
        own = [f"https://{domain.name}" for domain in self.settings.api_domains]
        aws = f"https://{api_id}.execute-api.{region}.{cdk.Aws.URL_SUFFIX}"
        return [*own, self.embedded.endpoint if self.embedded else aws]

    def connections(self, scope: Construct, api_origins: list[str], manifests: s3.IBucket) -> list[str]:
        """Return the origins that the console connects to: API, broker, Cognito and the manifests' bucket.

        All of the API's: until a new address is published, the console uses the one from before.
        """
        if self.embedded:
            port = self.embedded.endpoint.rpartition(":")[2]
            return [*api_origins, f"ws://*.localhost:{port}", f"ws://127.0.0.1:{port}"]
        region = cdk.Stack.of(scope).region
        return [
            *api_origins,
            f"wss://*.iot.{region}.amazonaws.com",
            f"https://cognito-idp.{region}.amazonaws.com",
            f"https://{manifests.bucket_name}.s3.{region}.{cdk.Aws.URL_SUFFIX}",
        ]

    def console_url(self, distribution: cloudfront.Distribution) -> str:
        if self.settings.console_domain:
            return f"https://{self.settings.console_domain.name}"
        if self.embedded:
            port = self.embedded.endpoint.rpartition(":")[2]
            label = cdk.Fn.select(0, cdk.Fn.split(".", distribution.distribution_domain_name))
            return f"http://{label}.cloudfront.localhost:{port}"
        return f"https://{distribution.distribution_domain_name}"
