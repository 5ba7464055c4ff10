"""Check a stage against its account before it is deployed; does nothing where there are no credentials."""

from collections.abc import Iterator, Mapping
from typing import Any

import boto3

from infra import deployed
from infra.deployed import UNREAD
from infra.stage import Stage


def check_stage(stage: Stage, context: Mapping[str, Any]) -> Iterator[str]:
    """Yield what this deployment would change, as text.

    Raises:
        StageError: The deployment would fail, or delete something that `-c accept=` does not name.
    """
    accepted = deployed.accepted_losses(context)
    session = boto3.Session(region_name=stage.environment.region)
    if session.get_credentials() is None or session.region_name is None:
        yield f"No credentials: the settings of {stage.name} are not compared with its last deployment."
        return
    yield from _compared(session, stage, accepted)


def _compared(session: boto3.Session, stage: Stage, accepted: frozenset[str]) -> Iterator[str]:
    if UNREAD in accepted:
        return
    before = deployed.read_settings(session.client("ssm"), stage.name)
    if before is None:
        yield f"First deployment of {stage.name}."
        return
    lines = deployed.check(before, stage.settings, accepted)
    yield f"Settings of {stage.name} that change:" if lines else f"Settings of {stage.name}: unchanged."
    yield from lines
