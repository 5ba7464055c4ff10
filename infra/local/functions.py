"""The control plane's functions, as deployed in the embedded cloud."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import boto3

from infra.local import cloud as embedded
from infra.local.cloud import Cloud

_OURS = "lambdas."
_API = "lambdas.api."
_NOTHING = json.dumps({"Records": []})
"""An event without records: no objects, no rows. As a report it is malformed and logged as such."""


def reactions(cloud: Cloud) -> list[str]:
    """Return the names of the control plane's functions, except the API's."""
    client = boto3.client("lambda", **embedded.client_settings(cloud))
    pages = client.get_paginator("list_functions").paginate()
    handlers = {str(one["FunctionName"]): str(one["Handler"]) for page in pages for one in page["Functions"]}
    ours = [name for name, handler in handlers.items() if handler.startswith(_OURS)]
    return [name for name in ours if not handlers[name].startswith(_API)]


def warm(cloud: Cloud) -> None:
    """Invoke each function once, two at a time.

    A cold start takes seconds on a busy machine, and each event until then starts another process: the first
    transfer would wait for dozens of them.
    """
    client = boto3.client("lambda", **embedded.client_settings(cloud))

    def start(name: str) -> None:
        with suppress(client.exceptions.TooManyRequestsException):  # they are starting already
            client.invoke(FunctionName=name, Payload=_NOTHING)

    with ThreadPoolExecutor(2) as starting:
        list(starting.map(start, reactions(cloud)))
