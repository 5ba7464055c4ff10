"""Both stages synthesized once for all tests here; no bundling, no network."""

import contextlib
import itertools
import json
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from infra import REPOSITORY

_NODE = REPOSITORY / ".crosshaul/node.path"
if _NODE.exists():
    os.environ.setdefault("JSII_NODE", _NODE.read_text().strip())
os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "20")

Resource = dict[str, Any]
LONGEST = "prod-" + "e" * 27
"""The longest name of a stage; it begins with that of the stage `real`."""


@dataclass(frozen=True)
class Synthesized:
    """A stage's templates by stack, with cdk-nag's findings."""

    folder: Path
    templates: dict[str, dict[str, Any]]
    findings: list[str]
    """Findings of cdk-nag's AWS Solutions rules that are not suppressed."""
    accepted: dict[str, str]
    """Reasons of suppressed findings, by rule and resource."""

    def of_type(self, kind: str) -> dict[str, Resource]:
        """Return every resource of this type in all stacks, by logical id."""
        return {
            name: resource
            for template in self.templates.values()
            for name, resource in template["Resources"].items()
            if resource["Type"] == kind
        }

    def properties(self, kind: str) -> list[dict[str, Any]]:
        return [resource.get("Properties", {}) for resource in self.of_type(kind).values()]

    def role_policies(self) -> list[dict[str, Any]]:
        """Return the policies of roles; what exceeds the size of one, CDK puts into managed ones."""
        return self.properties("AWS::IAM::Policy") + self.properties("AWS::IAM::ManagedPolicy")


def synthesize(folder: Path, context: dict[str, Any], text: str = "") -> Synthesized:
    """Synthesize the stage that the context names; `text` is its file."""
    import aws_cdk as cdk

    from infra.stacks import compose

    flags = json.loads((REPOSITORY / "cdk.json").read_text())["context"]
    app = cdk.App(outdir=str(folder), context=flags | {"aws:cdk:bundling-stacks": []} | context)
    compose(app, stage_in(app, folder.with_name(f"{folder.name}-stages"), text))
    findings, accepted = _findings(app), _accepted(app)
    stacks = app.synth().stacks
    templates = {stack.stack_name: stack.template for stack in stacks}
    return Synthesized(folder, templates, findings, accepted)


def stage_in(app: Any, folder: Path, text: str = "") -> Any:
    """Return the stage that the app's context names, from a file of this text in this folder."""
    from infra.stage import Stage

    folder.mkdir(exist_ok=True)
    (folder / f"{app.node.get_context('stage')}.toml").write_text(text)
    return Stage.of(app, folder)


def _findings(app: Any) -> list[str]:
    from cdk_nag import AwsSolutionsChecks

    return [
        f"{objection.rule_name}: {resource.construct_path}"
        for objection in AwsSolutionsChecks(app).validate_scope(app).violations
        for resource in objection.violating_resources
    ]


def _accepted(app: Any) -> dict[str, str]:
    return {
        f"{rule}: {construct.node.path}": reason
        for construct in app.node.find_all()
        for entry in construct.node.metadata
        if isinstance(entry.data, dict)
        for rule, reason in entry.data.items()
        if "AwsSolutions" in rule
    }


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    """Return a stage in a real account with one existing bucket."""
    return synthesize(tmp_path_factory.mktemp("real"), {"stage": "prod", "buckets": "archive-of-acme"})


@pytest.fixture(scope="session")
def fullest(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    """Return a stage in a real account with every setting, each as long as it may be."""
    from infra.settings import MAX_DOMAIN_CHARS, StageSettings

    def domain(label: str, region: str) -> str:
        name = ".".join((label * (MAX_DOMAIN_CHARS - 31), label * 18, "example.com"))
        certificate = f"arn:aws:acm:{region}:111122223333:certificate/01234567-89ab-cdef-0123-456789abcdef"
        return f'name = "{name}"\ncertificate = "{certificate}"\n'

    def bucket(number: int) -> str:
        region, account = "ap-southeast-2", "444455556666"
        key = f"arn:aws:kms:{region}:{account}:key/mrk-{number:032x}"
        mine = f'[[buckets]]\nname = "{number:03d}"\nregion = "{region}"\naccount = "{account}"\n'
        return mine + (f'key = "{key}"\n' if number < 6 else "")

    settings = (
        f'alarmEmail = "{"a" * 64}@{".".join(["b" * 60] * 3)}.org"\n'
        'zone = "America/Argentina/ComodRivadavia"\nconcurrency = 1000\nrequestsPerAddress = 3000\n'
        'accessLog = true\ntracing = true\nmonthlyBudget = 10000000\nsecondFactor = "required"\n'
        + "".join(f"[[apiDomains]]\n{domain(label, 'ap-southeast-1')}" for label in "abcd")
        + f"[consoleDomain]\n{domain('e', 'us-east-1')}"
    )
    with contextlib.suppress(ValidationError):
        for number in itertools.count():
            StageSettings.model_validate(tomllib.loads(settings + bucket(number)))
            settings += bucket(number)
    return synthesize(tmp_path_factory.mktemp("fullest"), {"stage": LONGEST}, settings)


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    """Return the embedded cloud's stage."""
    folder = tmp_path_factory.mktemp("local")
    facts = {
        "endpoint": "http://127.0.0.1:4566",
        "mqtt_host": "127.0.0.1",
        "mqtt_port": 8883,
        "mqtt_ca": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
        "region": "us-east-1",
        "account": "000000000000",
    }
    (folder / "embedded.json").write_text(json.dumps(facts))
    return synthesize(folder / "out", {"stage": "local", "embedded": str(folder / "embedded.json")})
