"""Shortcuts through botocore and moto: what they work out again for every call or client is worked out once.

Answers stay as they are. Without this, tests of the control plane take a third more processor time.
"""

import copy
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import boto3
import botocore.regions
import botocore.session
import botocore.useragent
import moto.core.models
import moto.core.responses
import moto.dynamodb.models
import moto.iot.models
import pytest
from botocore.client import BaseClient
from cryptography.hazmat.primitives.asymmetric import rsa
from moto.core.serialize import JSONSerializer, ResponseSerializer
from moto.dynamodb.models import DynamoDBBackend, Table, dynamodb_backends
from pynamodb.models import Model

_ACCOUNT = moto.core.models.DEFAULT_ACCOUNT_ID


@contextmanager
def moto_shortcuts() -> Iterator[None]:
    """Take the shortcuts until the end of the block."""
    with pytest.MonkeyPatch.context() as patch:
        # Every new client would read its service's models, and compile the rules of its endpoints.
        patch.setattr(botocore.session, "create_loader", cache(botocore.session.create_loader))
        patch.setattr(botocore.regions, "EndpointProvider", _Once(botocore.regions.EndpointProvider))
        # For every call: the header that names the SDK, character by character, …
        sanitized = botocore.useragent.sanitize_user_agent_string_component
        patch.setattr(botocore.useragent, "sanitize_user_agent_string_component", cache(sanitized))
        # … and all members of the class that answers.
        names = moto.core.responses.method_names_from_class
        patch.setattr(moto.core.responses, "method_names_from_class", cache(names))
        patch.setattr(JSONSerializer, "_serialize_type_structure", _serialize_structure)
        patch.setattr(ResponseSerializer, "get_value", _value_of_member)
        # For every mock, 1,300 patterns that intercept the library `requests`; nothing here uses it.
        patch.setattr(moto.core.models.responses_mock, "add", lambda *_: None)
        # For every certificate, an RSA key of an authority that nobody checks.
        patch.setattr(moto.iot.models, "rsa", _OneKey())
        patch.setattr(moto.dynamodb.models, "copy", _one_copy_each)
        patch.setattr(DynamoDBBackend, "transact_write_items", _write_with_one_backup)
        yield


class _Once:
    """Constructs one object for the same arguments, which it keeps."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind
        self._made: dict[tuple[int, ...], tuple[Any, Any]] = {}

    def __call__(self, **arguments: Any) -> Any:
        key = tuple(map(id, arguments.values()))
        if key not in self._made:
            self._made[key] = (self._kind(**arguments), arguments)
        return self._made[key][0]


class _OneKey:
    """Stands for the module `rsa`, and generates one key."""

    RSAPrivateKey = rsa.RSAPrivateKey
    generate_private_key = staticmethod(cache(rsa.generate_private_key))


_really_serialize = JSONSerializer._serialize_type_structure
_really_value_of = ResponseSerializer.get_value
_PLAIN = {"S": str, "N": str, "BOOL": bool}


def _serialize_structure(self: JSONSerializer, serialized: Any, value: Any, shape: Any, key: str) -> None:
    """Write DynamoDB's texts, numbers and truth values as moto holds them.

    It looks for each of the ten types of an attribute value under several names.
    """
    if shape.name == "AttributeValue" and type(value) is dict and len(value) == 1:
        ((kind, held),) = value.items()
        if type(held) is _PLAIN.get(kind):
            return self._default_serialize(serialized, value, shape, key)
    return _really_serialize(self, serialized, value, shape, key)


def _value_of_member(self: ResponseSerializer, value: Any, key: str, shape: Any) -> Any:
    """Take a member of a dictionary by its own name, as moto does after it has tried that of the shape."""
    plain = type(value) is dict and key in value and shape.name not in {key, *value}
    if plain and not getattr(self._value_picker, "response_transformers", True):
        return value[key]
    return _really_value_of(self, value, key, shape)


_really_write = DynamoDBBackend.transact_write_items


class _OneCopyEach(threading.local):
    """Stands for the module `copy`: a transaction copies a table once, not once for each of its writes."""

    copied: dict[int, Table] | None = None
    """Copies that the transaction of this thread has made, by the table's identity."""

    def deepcopy(self, value: Any) -> Any:
        if self.copied is None or not isinstance(value, Table):
            return copy.deepcopy(value)
        if id(value) not in self.copied:
            self.copied[id(value)] = copy.deepcopy(value)
        return self.copied[id(value)]


_one_copy_each = _OneCopyEach()


def _write_with_one_backup(self: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
    _one_copy_each.copied = {}
    try:
        _really_write(self, transact_items)
    finally:
        _one_copy_each.copied = None


_clients: dict[str, Any] = {}
_really_client = boto3.client


def kept_client(service: str, region_name: str, **options: Any) -> Any:
    """Return boto3's client of a mocked service, the same one for the same arguments.

    Making a client takes longer than a dozen calls, and what it reads and writes is moto's, not its own.
    """
    config = options.get("config")
    told = {**options, "config": config and config._user_provided_options}
    key = repr((service, region_name, sorted(told.items())))
    if key not in _clients:
        _clients[key] = _really_client(service, region_name, **options)
    return _clients[key]


_tables: dict[tuple[str, str], Table] = {}
"""Tables without items, as moto has made them, by region and name."""


def create_table(rows: type[Model]) -> None:
    """Create the table of these rows: by a call the first time, as a copy of the empty table later."""
    region, name = rows.Meta.region, rows.Meta.table_name
    tables = dynamodb_backends[_ACCOUNT][region].tables
    if (region, name) not in _tables:
        rows.create_table(billing_mode="PAY_PER_REQUEST")
        _tables[region, name] = copy.deepcopy(tables[name])
    tables[name] = copy.deepcopy(_tables[region, name])


@contextmanager
def one_call_at_a_time() -> Iterator[None]:
    """Serialize calls, as DynamoDB serializes transactions; moto does not among threads."""
    lock = threading.Lock()
    really = BaseClient._make_api_call

    def serialised(self: Any, operation: str, arguments: dict[str, Any]) -> Any:
        with lock:
            return really(self, operation, arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", serialised)
        yield
