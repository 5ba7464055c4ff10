"""A policy's text: read, checked against the schema, and what is wrong with it said with its place.

Cedar's own errors name no place in the text, so it is found here: the shortest beginning of the text that
Cedar takes for wrong rather than for unfinished ends where the mistake is.
"""

import json
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from lambdas.domain.authorization import is_person_id
from lambdas.domain.errors import RefusedError

SCHEMA = (Path(__file__).parent / "rules/schema.cedarschema").read_text()
MAX_TEXT = 16 * 1024
"""Bytes."""
MAX_STATEMENTS = 20

APPROVAL = "approval"
"""`@requires("approval")` on a forbid: not before a second person has agreed."""

_TOKEN = re.compile(
    r"//[^\n]*|\s+|\"(?:\\.|[^\"\\])*+(?:\"|\\?\Z)|[A-Za-z_]\w*|\d+|::|&&|\|\||[=!<>]=|.", re.DOTALL
)
"""Each alternative takes what it begins with, a string without an end as well: the whole is linear."""
_UNFINISHED = "unexpected end of input"
_OF_ACTION = re.compile(r"^(.* in context) for Action::\"(\w+)\"(.*)$", re.DOTALL)
_NAMED = re.compile(r"`(?:[A-Za-z_]+::)?\"?([^`\"]+)\"?`|: @?(\w+)$")


@dataclass(frozen=True)
class PolicySyntaxError:
    """One thing that is wrong: where, counted from 1, and why."""

    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.message}"


class InvalidPolicyError(RefusedError):
    """A policy's text that will not do; `flaws` has every place."""

    code = "policy-invalid"

    def __init__(self, flaws: tuple[PolicySyntaxError, ...], advice: str) -> None:
        super().__init__("The policy is not right: " + "; ".join(map(str, flaws)) + ".", advice)
        self.flaws = flaws


@cache
def schema() -> Any:
    """Cedar's own, parsed once."""
    import cedarpy

    return cedarpy.Schema.from_str(SCHEMA)


def statements(text: str) -> tuple[dict[str, Any], ...]:
    """The text's statements as Cedar has them in JSON; raises PolicyError, with places and advice."""
    if len(text.encode("utf-8", "replace")) > MAX_TEXT:
        flaw = PolicySyntaxError(1, 1, f"the text is longer than {MAX_TEXT // 1024} KiB")
        raise InvalidPolicyError((flaw,), "Make several policies of it.")
    _check_syntax(text)
    found, templates = _parsed(text)
    _check_kind(text, found, templates)
    _check_types(text)
    _check_people(text, found)
    return found


def with_ids(text: str, id_of: Callable[[str], str | None]) -> str:
    """The text with people by their ids where it has them by e-mail addresses, `User::"ana@example.org"`; and
    at its end a line for each that says who it is.

    Raises PolicyError, with places, if `id_of` knows nobody of an address.
    """
    named = [(found, found[0][1:-1]) for found in _people(text) if "@" in found[0]]
    ids = {address: id_of(address) for address in dict.fromkeys(address for _, address in named)}
    flaws = tuple(
        _flaw(text, found.start(), f"nobody has the e-mail address {address} now")
        for found, address in named
        if ids[address] is None
    )
    if flaws:
        raise InvalidPolicyError(flaws, "Check how it is written, or name the person by their id.")
    for found, address in reversed(named):
        text = f'{text[: found.start()]}"{ids[address]}"{text[found.end() :]}'
    lines = [f'// User::"{person_id}" is {address}' for address, person_id in ids.items()]
    missing = [line for line in lines if line not in text.splitlines()]
    return "\n".join([text.rstrip("\n"), *missing, ""]) if missing else text


def _people(text: str) -> Iterator[re.Match[str]]:
    """The name of every `User::"…"` of the text, with its quotes."""
    before = ("", "")
    for found in _TOKEN.finditer(text):
        if _is_space(found[0]):
            continue
        if before == ("User", "::") and found[0].startswith('"'):
            yield found
        before = (before[1], found[0])


def kept(text: str) -> tuple[dict[str, Any], ...]:
    """The statements of a text that was checked when it was saved; twenty times as quick."""
    return _parsed(text)[0]


def _parsed(text: str) -> tuple[tuple[dict[str, Any], ...], dict[str, Any]]:
    import cedarpy

    parsed = json.loads(cedarpy.policies_to_json_str(text))
    return tuple(parsed["staticPolicies"].values()), parsed["templates"]


def _check_syntax(text: str) -> None:
    if _complaint(text) is None:
        return
    wrong = ((at, one) for at, one in _parts(text) if _complaint(one) is not None)
    start, part = next(wrong, (0, text))
    complaint = str(_complaint(part))
    at = start + _place(part, complaint)
    advice = "Write permit (…) or forbid (…), perhaps with when { … }, and a semicolon at the end of each."
    raise InvalidPolicyError((_flaw(text, at, complaint),), advice)


def _complaint(text: str) -> str | None:
    import cedarpy

    try:
        cedarpy.policies_to_json_str(text)
    except ValueError as error:
        return str(error)
    return None


def _place(part: str, complaint: str) -> int:
    """Where in a statement the mistake is: at a word that the complaint names, else where sense ends."""
    ends = [found.end() for found in _TOKEN.finditer(part) if not _is_space(found[0])]
    # What has become wrong stays wrong, however it goes on.
    first = bisect_left(ends, True, key=lambda end: _complaint(part[:end]) not in (None, _UNFINISHED))
    end = ends[first] if first < len(ends) else len(part)
    start = max((found.start() for found in _TOKEN.finditer(part) if found.start() < end), default=0)
    named = _named(complaint)
    if named and part[start:end] != named and (found := re.search(rf"\b{re.escape(named)}\b", part)):
        return found.start()
    return start if complaint != _UNFINISHED else len(part.rstrip())


def _named(message: str) -> str | None:
    """The word of the text that a complaint is about. What stands in backticks last is what is closest."""
    found = [first or second for first, second in _NAMED.findall(message)]
    words = [word for word in found if not re.fullmatch(r"policy\d+", word)]
    return words[0] if words else None


def _check_kind(text: str, found: tuple[dict[str, Any], ...], templates: dict[str, Any]) -> None:
    """What Cedar would take, and we do not."""
    starts = [at for at, _ in _parts(text)]
    if templates:
        at = next(found.start() for found in _TOKEN.finditer(text) if found[0] == "?")
        raise InvalidPolicyError((_flaw(text, at, "a slot stands where a name belongs"),), "Name it.")
    if not 1 <= len(found) <= MAX_STATEMENTS:
        flaw = PolicySyntaxError(1, 1, f"there are {len(found)} statements in it")
        raise InvalidPolicyError((flaw,), f"Write between 1 and {MAX_STATEMENTS} in one policy.")
    for at, statement in zip(starts, found, strict=True):
        demand = statement.get("annotations", {}).get("requires")
        if demand is not None and (demand != APPROVAL or statement["effect"] != "forbid"):
            advice = f'Write @requires("{APPROVAL}") before a forbid, or nothing.'
            raise InvalidPolicyError((_flaw(text, at, f"@requires({demand!r}) means nothing here"),), advice)


def _check_types(text: str) -> None:
    import cedarpy

    result = cedarpy.validate_policies(text, schema())
    if result:
        return
    parts = list(_parts(text))
    flaws = _together(_type_flaw(text, parts, error) for error in result.errors)
    raise InvalidPolicyError(
        flaws, "See docs/guides/policies.md for what policies may speak of, and correct it."
    )


def _check_people(text: str, found: tuple[dict[str, Any], ...]) -> None:
    """An address can come to be somebody else's, who would shed or inherit what is said of its owner."""
    starts = [at for at, _ in _parts(text)]
    flaws = [
        _flaw(text, max(text.find(f'"{name}"', at), at), f"{name!r} is nobody's id")
        for at, statement in zip(starts, found, strict=True)
        for name in _users(statement)
        if not is_person_id(name)
    ]
    if flaws:
        advice = (
            "Name people by e-mail address, which is replaced by their id when it is saved, or by that id."
        )
        raise InvalidPolicyError(tuple(flaws), advice)


def _users(part: Any) -> Iterator[str]:
    """Every `User` in a statement as Cedar has it in JSON."""
    if isinstance(part, list):
        for one in part:
            yield from _users(one)
    elif isinstance(part, dict):
        if part.get("type") == "User" and "id" in part:
            yield part["id"]
        for one in part.values():
            yield from _users(one)


def _type_flaw(text: str, parts: list[tuple[int, str]], error: Any) -> PolicySyntaxError:
    number = int(error.policy_id.removeprefix("policy") or 0)
    start, part = parts[number] if number < len(parts) else (0, text)
    message = error.error.removeprefix(f"for policy `{error.policy_id}`, ")
    named = _named(message)
    found = re.search(rf"\b{re.escape(named)}\b", part) if named else None
    return _flaw(text, start + (found.start() if found else 0), message)


def _together(flaws: Iterable[PolicySyntaxError]) -> tuple[PolicySyntaxError, ...]:
    """In the text's order; what Cedar says anew for each action is said once, of all of them."""
    actions: dict[PolicySyntaxError, set[str]] = {}
    for flaw in flaws:
        found = _OF_ACTION.match(flaw.message)
        known = replace(flaw, message=f"{found[1]}{found[3]}") if found else flaw
        actions.setdefault(known, set()).update([found[2]] if found else [])
    said = [_of_actions(flaw, sorted(names)) for flaw, names in actions.items()]
    return tuple(sorted(said, key=lambda flaw: (flaw.line, flaw.column, flaw.message)))


def _of_actions(flaw: PolicySyntaxError, actions: list[str]) -> PolicySyntaxError:
    return replace(flaw, message=f"{flaw.message} (of {', '.join(actions)})") if actions else flaw


def _parts(text: str) -> Iterator[tuple[int, str]]:
    """Where each statement begins, and its text up to the semicolon; what follows the last one, too."""
    start: int | None = None
    for found in _TOKEN.finditer(text):
        if start is None and not _is_space(found[0]):
            start = found.start()
        if found[0] == ";" and start is not None:
            yield start, text[start : found.end()]
            start = None
    if start is not None:
        yield start, text[start:]


def _is_space(token: str) -> bool:
    return token.isspace() or token.startswith("//")


def _flaw(text: str, at: int, message: str) -> PolicySyntaxError:
    line = text.count("\n", 0, at) + 1
    return PolicySyntaxError(line, at - (text.rfind("\n", 0, at) + 1) + 1, message)
