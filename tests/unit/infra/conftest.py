"""Both stages synthesized once for all tests here; no bundling, no network."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra import REPOSITORY

_NODE = REPOSITORY / ".crosshaul/node.path"
if _NODE.exists():
    os.environ.setdefault("JSII_NODE", _NODE.read_text().strip())
os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "20")

Resource = dict[str, Any]


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
