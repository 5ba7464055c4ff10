"""Find the tables of a deployed stage, whose names CloudFormation has chosen."""

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from lambdas.store import TABLES

_DIGITS = 8
"""Characters that CDK adds to a logical id."""


def construct_name(setting: str) -> str:
    """Return the name of a table's construct: `Transfers` for `transfers_table`."""
    return setting.removesuffix("_table").title()


def deployed_tables(session: Any, stage: str) -> Iterator[tuple[str, str]]:
    """Yield setting and name of each table; none if the stage is not deployed. `session` is boto3's."""
    settings = {f"Tables{construct_name(setting)}": setting for setting in TABLES}
    pages = session.client("cloudformation").get_paginator("list_stack_resources")
    try:
        for page in pages.paginate(StackName=f"Crosshaul-{stage}-State"):
            for one in page["StackResourceSummaries"]:
                setting = settings.get(one["LogicalResourceId"][:-_DIGITS])
                if setting and "PhysicalResourceId" in one:
                    yield setting, one["PhysicalResourceId"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":  # there is no such stack
            raise
