"""Every message has a sample, and every sample round-trips through its model."""

import importlib
import inspect
import json
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel, TypeAdapter

import events
from events.base import Message, Request
from events.commands import Command
from events.facts import Fact
from events.reports import Report

SAMPLES = Path(events.__file__).parent / "samples"
MODULES = [importlib.import_module(f"events.{m.name}") for m in pkgutil.iter_modules(events.__path__)]
FILES = sorted(path for path in SAMPLES.glob("*/*.json") if path.parent.name != "aws")
UNIONS = {"commands": TypeAdapter(Command), "reports": TypeAdapter(Report), "facts": TypeAdapter(Fact)}


def model_of(path: Path) -> type[BaseModel]:
    """Return the model of a sample: `commands/Move-from-s3.json` is of `events.commands.Move`."""
    module = importlib.import_module(f"events.{path.parent.name}")
    model: type[BaseModel] = getattr(module, path.stem.partition("-")[0])
    return model


def parts(value: object) -> Iterator[BaseModel]:
    """Yield the model and every model inside it."""
    if isinstance(value, BaseModel):
        yield value
        for name in type(value).model_fields:
            yield from parts(getattr(value, name))
    elif isinstance(value, tuple):
        for each in value:
            yield from parts(each)


def wire_models() -> set[type[BaseModel]]:
    """Return every model defined in events/, except base classes of others."""
    found = {
        model
        for module in MODULES
        for _, model in inspect.getmembers(module, inspect.isclass)
        if issubclass(model, Message | Request) and model.__module__ == module.__name__
    }
    return {
        model for model in found if model.__name__ not in {"Message", "Request", "HopCommand", "HopReport"}
    }


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_a_sample_is_the_model_s_own_writing(path: Path) -> None:
    text = path.read_text()
    assert model_of(path).model_validate_json(text).model_dump(mode="json") == json.loads(text)


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_readers_find_the_right_message_by_its_kind(path: Path) -> None:
    raw = json.loads(path.read_text())
    if "kind" in raw and path.parent.name in UNIONS:
        assert type(UNIONS[path.parent.name].validate_python(raw)) is model_of(path)


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_old_readers_survive_new_fields_and_requests_refuse_them(path: Path) -> None:
    raw = json.loads(path.read_text()) | {"a_field_of_tomorrow": 1}
    model = model_of(path)
    if issubclass(model, Message):
        model.model_validate(raw)
    else:
        with pytest.raises(ValueError, match="a_field_of_tomorrow"):
            model.model_validate(raw)


def test_every_model_has_a_sample() -> None:
    shown = {
        type(part) for path in FILES for part in parts(model_of(path).model_validate_json(path.read_text()))
    }
    assert wire_models() - shown == set()
