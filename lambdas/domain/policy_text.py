"""Parse a policy text, validate it against the schema, and locate its errors.

Cedar's own errors have no position, so it is found here: the shortest prefix of the text that Cedar calls
invalid, rather than incomplete, ends where the mistake is.
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
from lambdas.domain.problems import POLICY_INVALID

SCHEMA = (Path(__file__).parent / "rules/schema.cedarschema").read_text()
MAX_TEXT = 16 * 1024
"""Maximum size of a policy text in bytes."""
MAX_STATEMENTS = 20

APPROVAL = "approval"
"""Value of the annotation `@requires("approval")` on a forbid: it holds until a second person has agreed."""
_WAITING_ACTION = "transfer"
"""The only action that can wait for an approval: a forbid of another one with @requires would do nothing."""

_TOKEN = re.compile(
    r"//[^\n]*|\s+|\"(?:\\.|[^\"\\])*+(?:\"|\\?\Z)|[A-Za-z_]\w*|\d+|::|&&|\|\||[=!<>]=|.", re.DOTALL
)
"""Tokens of Cedar. Each alternative consumes what it begins with, even an unterminated string: linear."""
_UNFINISHED = "unexpected end of input"
_OF_ACTION = re.compile(r"^(.* in context) for Action::\"(\w+)\"(.*)$", re.DOTALL)
_NAMED = re.compile(r"`(?:[A-Za-z_]+::)?\"?([^`\"]+)\"?`|: @?(\w+)$")


@dataclass(frozen=True)
class PolicySyntaxError:
    """One error in a policy text; line and column count from 1."""

    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.message}"


class InvalidPolicyError(RefusedError):
    """An invalid policy text; `flaws` has every error with its position."""

    problem_type = POLICY_INVALID

    def __init__(self, flaws: tuple[PolicySyntaxError, ...], advice: str) -> None:
        super().__init__(errors="; ".join(map(str, flaws)), advice=advice)
        self.flaws = flaws


@cache
def schema() -> Any:
    """Return Cedar's parsed schema; cached."""
    import cedarpy

    return cedarpy.Schema.from_str(SCHEMA)


def statements(text: str) -> tuple[dict[str, Any], ...]:
    """Return the text's statements in Cedar's JSON form.

    Raises:
        InvalidPolicyError: the text is not valid; has every error with its position.
    """
    if len(text.encode("utf-8", "replace")) > MAX_TEXT:
        flaw = PolicySyntaxError(1, 1, f"the text is longer than {MAX_TEXT // 1024} KiB")
        raise InvalidPolicyError((flaw,), "Split it into several policies.")
    _check_syntax(text)
    found, templates = _parsed(text)
    _check_kind(text, found, templates)
    _check_types(text)
    _check_people(text, found)
    return found


def with_ids(text: str, id_of: Callable[[str], str | None]) -> str:
    """Return the text with each e-mail address, `User::"ana@example.org"`, replaced by the user's id.

    A comment at the end of the text says who each id is.

    Raises:
        InvalidPolicyError: `id_of` finds no user with an address.
    """
    named = [(found, found[0][1:-1]) for found in _people(text) if "@" in found[0]]
    ids = {address: id_of(address) for address in dict.fromkeys(address for _, address in named)}
    flaws = tuple(
        _flaw(text, found.start(), f"no user has the e-mail address {address}")
        for found, address in named
        if ids[address] is None
    )
    if flaws:
        raise InvalidPolicyError(flaws, "Check the spelling, or name the user by id.")
    for found, address in reversed(named):
        text = f'{text[: found.start()]}"{ids[address]}"{text[found.end() :]}'
    lines = [f'// User::"{person_id}" is {address}' for address, person_id in ids.items()]
    missing = [line for line in lines if line not in text.splitlines()]
    return "\n".join([text.rstrip("\n"), *missing, ""]) if missing else text


def _people(text: str) -> Iterator[re.Match[str]]:
    """Yield the quoted name of every `User::"…"` in the text."""
    before = ("", "")
    for found in _TOKEN.finditer(text):
        if _is_space(found[0]):
            continue
        if before == ("User", "::") and found[0].startswith('"'):
            yield found
        before = (before[1], found[0])


def kept(text: str) -> tuple[dict[str, Any], ...]:
    """Return the statements of a text that was validated when it was saved; 20 times faster."""
    return _parsed(text)[0]


def _parsed(text: str) -> tuple[tuple[dict[str, Any], ...], dict[str, Any]]:
    import cedarpy

    parsed = json.loads(cedarpy.policies_to_json_str(text))
    return tuple(parsed["staticPolicies"].values()), parsed["templates"]


def _check_syntax(text: str) -> None:
    if _complaint(text) is None:
        return
    wrong = ((at, part) for at, part in _parts(text) if _complaint(part) is not None)
    start, part = next(wrong, (0, text))
    complaint = str(_complaint(part))
    at = start + _error_offset(part, complaint)
    advice = "Write permit (…) or forbid (…), optionally with when { … }, each with a semicolon at the end."
    raise InvalidPolicyError((_flaw(text, at, complaint),), advice)


def _complaint(text: str) -> str | None:
    """Return Cedar's syntax error for the text, None if it is valid."""
    import cedarpy

    try:
        cedarpy.policies_to_json_str(text)
    except ValueError as error:
        return str(error)
    return None


def _error_offset(part: str, complaint: str) -> int:
    """Return the offset of a mistake: the word that Cedar names, else where the text becomes invalid."""
    ends = [found.end() for found in _TOKEN.finditer(part) if not _is_space(found[0])]
    # An invalid prefix stays invalid however it continues, so bisection works.
    first = bisect_left(ends, True, key=lambda end: _complaint(part[:end]) not in (None, _UNFINISHED))
    end = ends[first] if first < len(ends) else len(part)
    start = max((found.start() for found in _TOKEN.finditer(part) if found.start() < end), default=0)
    named = _named(complaint)
    if named and part[start:end] != named and (found := re.search(rf"\b{re.escape(named)}\b", part)):
        return found.start()
    return start if complaint != _UNFINISHED else len(part.rstrip())


def _named(message: str) -> str | None:
    """Return the word of the text that Cedar's error is about, or None."""
    found = [first or second for first, second in _NAMED.findall(message)]
    words = [word for word in found if not re.fullmatch(r"policy\d+", word)]
    return words[0] if words else None


def _check_kind(text: str, found: tuple[dict[str, Any], ...], templates: dict[str, Any]) -> None:
    """Refuse what Cedar accepts and Crosshaul does not: templates, other annotations, many statements."""
    starts = [at for at, _ in _parts(text)]
    if templates:
        at = next(found.start() for found in _TOKEN.finditer(text) if found[0] == "?")
        flaw = _flaw(text, at, "a slot is not allowed here")
        raise InvalidPolicyError((flaw,), "Write the name of a principal or resource instead.")
    if not 1 <= len(found) <= MAX_STATEMENTS:
        flaw = PolicySyntaxError(1, 1, f"there are {len(found)} statements in the policy")
        raise InvalidPolicyError((flaw,), f"Write between 1 and {MAX_STATEMENTS} statements in one policy.")
    for at, statement in zip(starts, found, strict=True):
        required = statement.get("annotations", {}).get("requires")
        if required is not None and (required != APPROVAL or statement["effect"] != "forbid"):
            advice = f'Only @requires("{APPROVAL}") before a forbid is allowed.'
            raise InvalidPolicyError(
                (_flaw(text, at, f"@requires({required!r}) means nothing here"),), advice
            )
        if required is not None and _actions(statement) != {_WAITING_ACTION}:
            advice = f'Write `action == Action::"{_WAITING_ACTION}"`; forbid others without @requires.'
            flaw = _flaw(text, at, "only transfers can wait for an approval, and the policy is about others")
            raise InvalidPolicyError((flaw,), advice)


def _actions(statement: dict[str, Any]) -> set[str]:
    """Return the actions that a statement's scope names; empty if it is about every action."""
    scope = statement["action"]
    named = scope.get("entities") or ([scope["entity"]] if "entity" in scope else [])
    return {one["id"] for one in named}


def _check_types(text: str) -> None:
    import cedarpy

    result = cedarpy.validate_policies(text, schema())
    if result:
        return
    parts = list(_parts(text))
    flaws = _together(_type_flaw(text, parts, error) for error in result.errors)
    raise InvalidPolicyError(
        flaws, "See docs/guides/policies.md for the entities and attributes that policies can use."
    )


def _check_people(text: str, found: tuple[dict[str, Any], ...]) -> None:
    """Refuse users that are not named by id: an address can pass to another user, and the policy with it."""
    starts = [at for at, _ in _parts(text)]
    flaws = [
        _flaw(text, max(text.find(f'"{name}"', at), at), f"{name!r} is not a user's id")
        for at, statement in zip(starts, found, strict=True)
        for name in _users(statement)
        if not is_person_id(name)
    ]
    if flaws:
        advice = "Name users by e-mail address, which is replaced by the user's id on saving, or by that id."
        raise InvalidPolicyError(tuple(flaws), advice)


def _users(part: Any) -> Iterator[str]:
    """Yield the id of every `User` in a statement in Cedar's JSON form."""
    if isinstance(part, list):
        for item in part:
            yield from _users(item)
    elif isinstance(part, dict):
        if part.get("type") == "User" and "id" in part:
            yield part["id"]
        for value in part.values():
            yield from _users(value)


def _type_flaw(text: str, parts: list[tuple[int, str]], error: Any) -> PolicySyntaxError:
    number = int(error.policy_id.removeprefix("policy") or 0)
    start, part = parts[number] if number < len(parts) else (0, text)
    message = error.error.removeprefix(f"for policy `{error.policy_id}`, ")
    named = _named(message)
    found = re.search(rf"\b{re.escape(named)}\b", part) if named else None
    return _flaw(text, start + (found.start() if found else 0), message)


def _together(flaws: Iterable[PolicySyntaxError]) -> tuple[PolicySyntaxError, ...]:
    """Return the errors in the text's order, with those that Cedar repeats for each action merged."""
    actions: dict[PolicySyntaxError, set[str]] = {}
    for flaw in flaws:
        found = _OF_ACTION.match(flaw.message)
        known = replace(flaw, message=f"{found[1]}{found[3]}") if found else flaw
        actions.setdefault(known, set()).update([found[2]] if found else [])
    merged = [_of_actions(flaw, sorted(names)) for flaw, names in actions.items()]
    return tuple(sorted(merged, key=lambda flaw: (flaw.line, flaw.column, flaw.message)))


def _of_actions(flaw: PolicySyntaxError, actions: list[str]) -> PolicySyntaxError:
    return replace(flaw, message=f"{flaw.message} (of {', '.join(actions)})") if actions else flaw


def _parts(text: str) -> Iterator[tuple[int, str]]:
    """Yield the offset and text of each statement up to its semicolon, and of what follows the last one."""
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
