"""Check a stage against its account before it is deployed; does nothing where there are no credentials."""

from collections.abc import Iterator, Mapping
from typing import Any

import boto3

from infra import deployed
from infra.buckets import DeniedError, ExistingBucket, inspect
from infra.deployed import UNREAD
from infra.settings import StageError
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
    yield from check_buckets(session, stage)


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


def check_buckets(session: boto3.Session, stage: Stage) -> Iterator[str]:
    """Yield what could not be checked about existing buckets, as text.

    Raises:
        StageError: Transfers cannot use one of them.
    """
    if not stage.settings.buckets:
        return
    account = session.client("sts").get_caller_identity()["Account"]
    s3, stops = session.client("s3"), []
    for settings in stage.settings.buckets:
        report = inspect(ExistingBucket(s3, settings, account), str(session.region_name))
        yield from (f"Bucket {report.name}: {note}" for note in report.notes)
        for obstacle in report.obstacles:
            if isinstance(obstacle, DeniedError):
                yield f"Bucket {report.name} is not checked: {obstacle.why}."
            else:
                stops.append(f"  {report.name}: {obstacle.why}.\n    {obstacle.advice}")
    if stops:
        raise StageError("\n".join(["Transfers could not use these buckets:", *stops]))
