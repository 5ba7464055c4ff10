"""All policies together, parsed once, and the decisions they make. Deny is the default, and the answer to
everything that goes wrong: a policy that cannot be evaluated refuses.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from lambdas.domain.deciding import TRANSFER, Person, Question
from lambdas.domain.policy_text import APPROVAL, statements

Outcome = Literal["allowed", "approval", "refused"]

SHIPPED = ("admin", "operator", "viewer")
_DEFAULTS = {name: (Path(__file__).parent / f"rules/{name}.cedar").read_text() for name in SHIPPED}


@dataclass(frozen=True)
class Verdict:
    """A decision, and the names of the policies that made it; none when nothing permits."""

    outcome: Outcome
    policies: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        return self.outcome == "allowed"


@dataclass(frozen=True)
class Rules:
    """The policies of one moment, by name."""

    texts: Mapping[str, str]
    plain: Any
    """What permits and what forbids, without those that only ask for approval."""
    approvals: Any
    """Those; None if there are none."""
    door: Any
    """What permits, without conditions on anything but who and what for."""

    def decide(self, question: Question) -> Verdict:
        """Every forbid that holds, else a permit that does; then whether a second person must agree."""
        request, entities = question.request, question.entities_text
        found = _ask(self.plain, request, entities)
        if not found.allowed or self.approvals is None or question.action != TRANSFER:
            return Verdict("allowed" if found.allowed else "refused", found.policies)
        demand = _ask(self.approvals, request, entities)
        if demand.allowed:
            return Verdict("allowed", found.policies)
        return Verdict("refused" if demand.broken else "approval", demand.policies)

    def may_at_all(self, person: Person, action: str) -> bool:
        """Is there anything that could permit this person this action? If not, no question need be asked.

        Forbids and conditions do not count here, so a yes means nothing by itself.
        """
        question = Question.of(person, action)
        return _ask(self.door, question.request, question.entities_text).allowed


@dataclass(frozen=True)
class _Answer:
    allowed: bool
    policies: tuple[str, ...]
    broken: bool
    """Could a policy not be evaluated? Then those are named, and nothing is allowed."""


def _ask(policies: Any, request: dict[str, Any], entities: str) -> _Answer:
    import cedarpy

    result = cedarpy.is_authorized(request, policies, entities)
    if errors := result.diagnostics.errors:
        broken = _names(name for error in errors for name in _POLICY.findall(error))
        return _Answer(allowed=False, policies=broken, broken=True)
    return _Answer(result.allowed, _names(result.diagnostics.reasons), broken=False)


_POLICY = re.compile(r"policy `([^`]+)`")


def _names(ids: Iterable[str]) -> tuple[str, ...]:
    """Statements go by their policy's name and a number."""
    return tuple(sorted({one.partition(".")[0] for one in ids}))


def defaults() -> dict[str, str]:
    """What is in force where nobody has said otherwise."""
    return dict(_DEFAULTS)


def rules(texts: Mapping[str, str]) -> Rules:
    """Parse them; raises PolicyError."""
    named = {
        name if number == 0 else f"{name}.{number}": one
        for name, text in texts.items()
        for number, one in enumerate(_read(text))
    }
    asks = {name for name, one in named.items() if one.get("annotations", {}).get("requires") == APPROVAL}
    plain = {name: one for name, one in named.items() if name not in asks}
    approvals = {name: named[name] for name in asks} | {"": _ANYTHING}
    permits = {name: _at_the_door(one) for name, one in named.items() if one["effect"] == "permit"}
    return Rules(texts, _set(plain), _set(approvals) if asks else None, _set(permits))


@cache
def _read(text: str) -> tuple[dict[str, Any], ...]:
    """A changed policy leaves the others as they are: they are not read again."""
    return statements(text)


_ANY = {"op": "All"}
_ANYTHING = {"effect": "permit", "principal": _ANY, "action": _ANY, "resource": _ANY, "conditions": []}


def _at_the_door(permit: dict[str, Any]) -> dict[str, Any]:
    return {**permit, "resource": _ANY, "conditions": []}


def _set(policies: Mapping[str, Any]) -> Any:
    import cedarpy

    whole = {"staticPolicies": policies, "templates": {}, "templateLinks": []}
    return cedarpy.PolicySet.from_json_str(json.dumps(whole))
