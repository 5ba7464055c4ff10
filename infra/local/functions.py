"""The functions as they are deployed in the embedded cloud."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import boto3

from infra.local import cloud as embedded
from infra.local.cloud import Cloud

_OURS = "lambdas."
_API = "lambdas.api."
_NOTHING = json.dumps({"Records": []})
"""No objects, no rows; as a report it is malformed, and said to be."""


def reactions(cloud: Cloud) -> list[str]:
    """The names of the control plane's own functions, but for the API's."""
    client = boto3.client("lambda", **embedded.client_settings(cloud))
    pages = client.get_paginator("list_functions").paginate()
    handlers = {str(one["FunctionName"]): str(one["Handler"]) for page in pages for one in page["Functions"]}
    ours = [name for name, handler in handlers.items() if handler.startswith(_OURS)]
    return [name for name in ours if not handlers[name].startswith(_API)]


def warm(cloud: Cloud) -> None:
    """Start each once, two at a time. A start takes seconds on a busy machine, and whatever happens meanwhile
    starts the function once more: the first transfer would wait for dozens of them."""
    client = boto3.client("lambda", **embedded.client_settings(cloud))

    def start(name: str) -> None:
        with suppress(client.exceptions.TooManyRequestsException):  # they are starting already
            client.invoke(FunctionName=name, Payload=_NOTHING)

    with ThreadPoolExecutor(2) as starting:
        list(starting.map(start, reactions(cloud)))
