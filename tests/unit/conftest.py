"""What all unit tests share."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import botocore.session
import pytest
from moto.core.serialize import JSONSerializer


@pytest.fixture(scope="session", autouse=True)
def service_models_read_once() -> Iterator[None]:
    """Every fresh client would read them again: some hundred milliseconds, thousands of times in a run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", cache(botocore.session.create_loader))
        yield


@pytest.fixture(scope="session", autouse=True)
def attribute_values_as_they_are() -> Iterator[None]:
    """Write DynamoDB's texts, numbers and truth values as moto holds them.

    It looks for each of the ten types of an attribute value under several names: half the time of a call.
    """
    really = JSONSerializer._serialize_type_structure
    plain = {"S": str, "N": str, "BOOL": bool}

    def serialize(self: JSONSerializer, serialized: Any, value: Any, shape: Any, key: str) -> None:
        if shape.name == "AttributeValue" and type(value) is dict and len(value) == 1:
            ((kind, held),) = value.items()
            if type(held) is plain.get(kind):
                return self._default_serialize(serialized, value, shape, key)
        return really(self, serialized, value, shape, key)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JSONSerializer, "_serialize_type_structure", serialize)
        yield
