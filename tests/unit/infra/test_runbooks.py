"""Each alarm has a section in the guide to operations, whose commands exist, and each section an alarm."""

import importlib.util
import re
import shlex
from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
import typer
from botocore import xform_name
from botocore.exceptions import UnknownServiceError

from agent.cli.main import app
from infra import REPOSITORY
from infra.alarms import ALARMS, BUDGET, RUNBOOKS, description

GUIDE = (REPOSITORY / RUNBOOKS).read_text()
NAMES = [*(alarm.name for alarm in ALARMS), BUDGET]
OF_THE_CLI = {"--query", "--output", "--region", "--max-items"}
"""Options of the AWS CLI itself."""
OTHER_NAMES = {"s3api": "s3"}
"""Names that the AWS CLI has for a service."""
NOT_IN_THE_API = {("logs", "tail"): {"--since", "--filter-pattern", "--follow"}}
"""Commands that only the AWS CLI has, with their options."""


def sections() -> dict[str, str]:
    """Return the text of each section about an alarm."""
    _, found = GUIDE.split("\n## Alarms\n")
    chapter = re.split(r"^## ", found, maxsplit=1, flags=re.MULTILINE)[0]
    parts = re.split(r"^### (.+)$", chapter, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def commands(text: str) -> Iterator[str]:
    """Yield the commands in blocks, and those within sentences."""
    for block in re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield from (re.sub(r" +# .*", "", line) for line in block.splitlines())
    prose = re.sub(r"^```\n.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    yield from re.findall(r"`((?:aws|crosshaul|python -m) [^`]+)`", prose)


def unknown(command: str) -> str | None:
    """Return what is wrong with a command: a name that its program does not have; None if nothing is."""
    match shlex.split(command):
        case ["aws", service, verb, *words]:
            return _unknown_to_aws(service, verb, _options(words))
        case ["crosshaul", *words]:
            return _unknown_to_crosshaul(words)
        case ["python", "-m", module, *_]:
            return None if importlib.util.find_spec(module) else f"there is no {module}"
    return f"{command}: which program?"


def _options(words: list[str]) -> set[str]:
    return {word for word in words if word.startswith("--")}


def _unknown_to_aws(service: str, verb: str, options: set[str]) -> str | None:
    known = NOT_IN_THE_API.get((service, verb))
    if known is None:
        try:
            model = botocore.session.get_session().get_service_model(OTHER_NAMES.get(service, service))
        except UnknownServiceError:
            return f"there is no aws {service}"
        operations = {_dashed(name): name for name in model.operation_names}
        if verb not in operations:
            return f"aws {service} has no {verb}"
        operation = model.operation_model(operations[verb])
        members = operation.input_shape.members if operation.input_shape else {}
        known = {f"--{_dashed(name)}" for name in members}
        known |= {f"--no-{_dashed(name)}" for name in members}
    wrong = options - known - OF_THE_CLI
    return f"aws {service} {verb} has no {wrong}" if wrong else None


def _dashed(name: str) -> str:
    return str(xform_name(name, "-"))


def _unknown_to_crosshaul(words: list[str]) -> str | None:
    command: Any = typer.main.get_command(app)
    for position, word in enumerate(words):
        below = getattr(command, "commands", {})
        if word not in below:
            return _options_of(command, words[position:], below)
        command = below[word]
    return None


def _options_of(command: Any, words: list[str], below: Any) -> str | None:
    if below and words and not words[0].startswith("-"):
        return f"{command.name} has no {words[0]}"
    known = {option for parameter in command.params for option in parameter.opts}
    wrong = _options(words) - known
    return f"{command.name} has no {wrong}" if wrong else None


def test_every_alarm_has_a_section_and_every_section_an_alarm() -> None:
    assert list(sections()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_section_says_what_users_see_what_to_do_and_when_it_is_over(name: str) -> None:
    """With commands to look, and links that lead somewhere."""
    text = sections()[name]
    assert re.search(r"\bUsers see\b", text)
    assert re.search(r"^It is over ", text, re.MULTILINE)
    assert "\n```\n" in text
    lines = [line for line in GUIDE.splitlines() if line.startswith("##")]
    headings = {line.lstrip("# ").lower().replace(" ", "-") for line in lines}
    for link in re.findall(r"\]\(#([^)]+)\)", text):
        assert link in headings


@pytest.mark.parametrize("name", ["Alarms", *NAMES])
def test_the_commands_of_a_section_exist(name: str) -> None:
    text = sections()[name] if name != "Alarms" else GUIDE.split("\n## Alarms\n")[1].split("\n### ")[0]
    found = list(commands(text))
    assert found
    assert [wrong for command in found if (wrong := unknown(command))] == []


@pytest.mark.parametrize(
    "command",
    [
        "aws sqs receive-messages --queue-url Q",
        "aws sqs receive-message --queue Q",
        "aws nosuch list",
        "crosshaul agents reboot NAME",
        "crosshaul show --trails ID",
        "crosshaul frobnicate",
        "python -m infra.nosuch",
        "frobnicate",
    ],
)
def test_a_command_that_does_not_exist_would_be_found(command: str) -> None:
    assert unknown(command)


def test_messages_of_alarms_lead_to_their_sections() -> None:
    anchors = {name.lower() for name in sections()}
    for alarm in ALARMS:
        file, _, anchor = description(alarm).rpartition(" ")[2].partition("#")
        assert (REPOSITORY / file).is_file()
        assert anchor in anchors
