"""Refuse each AWS call that AWS would refuse, in every botocore client: in tests and in local functions.

botocore loads this as a plugin: `BOTOCORE_EXPERIMENTAL__PLUGINS=aws_rules=MODULE`. tests/conftest.py sets it
for the tests, and `infra.local.cloud` for functions, which find this package by PYTHONPATH: no bundle and no
stage in an account knows of it. botocore hides a plugin that fails to load, so tests prove that it works in
each place.

A violation raises `RefusedByAws`. The code under test may catch that, so each is kept as well: in `refused`,
and as a line of the file that CROSSHAUL_REFUSED_CALLS names.
"""

import os
from pathlib import Path
from typing import Any

from botocore.client import BaseClient
from botocore.model import OperationModel

from .limits import violations
from .models import problems
from .throttling import install as install_throttling

PLUGINS_VARIABLE = "BOTOCORE_EXPERIMENTAL__PLUGINS"
FILE_VARIABLE = "CROSSHAUL_REFUSED_CALLS"

refused: list[str] = []
"""What was refused in this process."""


class RefusedByAws(Exception):  # noqa: N818
    """AWS would refuse this call: a mistake of the caller, not an error of botocore, which callers catch."""


def initialize_client_plugin(client: BaseClient) -> None:
    """Check every call of this client; botocore calls this for each one."""
    client.meta.events.register_last("before-parameter-build", check, unique_id="crosshaul-aws-rules")
    install_throttling(client)


def check(params: dict[str, Any], model: OperationModel, **_: Any) -> None:
    """Check a call's parameters.

    Raises:
        RefusedByAws: AWS would refuse them.
    """
    service, operation = model.service_model.service_name, model.name
    found = [f"AWS would refuse {service} {operation}: {line}" for line in problems(params, model)]
    # Parameters of wrong types cannot be measured.
    found = found or [str(one) for one in violations(service, operation, params)]
    if found:
        _keep(found)
        raise RefusedByAws("\n".join(found))


def _keep(found: list[str]) -> None:
    refused.extend(found)
    if name := os.environ.get(FILE_VARIABLE):
        with Path(name).open("a") as file:
            file.write("".join(f"{line}\n" for line in found))
