"""All policies together, parsed once, and the decisions they make. Deny is the default, and the answer to
everything that goes wrong: a policy that cannot be evaluated refuses.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from lambdas.domain.authorization import (
    TRANSFER,
    AuthorizationRequest,
    Principal,
    Resource,
    principal_resource,
)
from lambdas.domain.policy_text import APPROVAL, kept

Effect = Literal["allowed", "approval", "refused"]

SHIPPED = ("admin", "operator", "viewer")
_DEFAULTS = {name: (Path(__file__).parent / f"rules/{name}.cedar").read_text() for name in SHIPPED}


@dataclass(frozen=True)
class Decision:
    """A decision, and the names of the policies that made it; none when nothing permits."""

    outcome: Effect
    policies: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        return self.outcome == "allowed"


_WORST: tuple[Effect, ...] = ("refused", "approval", "allowed")


def worst(verdicts: Sequence[Decision]) -> Decision:
    """Of several the one that counts for all of them, with every policy that makes it so."""
    outcome = next((one for one in _WORST if any(verdict.outcome == one for verdict in verdicts)), _WORST[-1])
    names = {name for verdict in verdicts if verdict.outcome == outcome for name in verdict.policies}
    return Decision(outcome, tuple(sorted(names)))


Uids = frozenset[tuple[str, str]]
MAX_CACHED_SLICES = 512


class Statements:
    """Parsed statements by their ids. A question is put only to those whose heads fit it, which decides the
    same and is quick however many there are; the sets for recurring heads are kept."""

    def __init__(self, statements: Mapping[str, Any]) -> None:
        self._statements = statements
        self._slices: dict[tuple[str, Uids, Uids], Any] = {}

    def slice_for(self, question: AuthorizationRequest) -> Any:
        """Cedar's set of those that could say anything about it."""
        who, what = _uids(principal_resource(question.principal)), _uids(question.resource)
        key = (question.action, who, what)
        if key not in self._slices:
            if len(self._slices) >= MAX_CACHED_SLICES:
                self._slices.clear()
            acts = frozenset({("Action", question.action)})
            heads = (("principal", who), ("action", acts), ("resource", what))
            fitting = {
                name: one
                for name, one in self._statements.items()
                if all(_fits(one[part], uids) for part, uids in heads)
            }
            self._slices[key] = _set(fitting)
        return self._slices[key]


def _uids(thing: Resource) -> Uids:
    """Its own and those of what it is in."""
    return frozenset((one["uid"]["type"], one["uid"]["id"]) for one in thing.written())


def _fits(scope: Mapping[str, Any], uids: Uids) -> bool:
    """False only where the head of a statement rules it out."""
    named = scope.get("entities") or ([scope["entity"]] if "entity" in scope else [])
    if scope["op"] not in {"==", "in"} or not all("type" in one for one in named):
        return True
    return any((one["type"], one["id"]) in uids for one in named)


@dataclass(frozen=True)
class PolicySet:
    """The policies of one moment, by name."""

    texts: Mapping[str, str]
    plain: Statements
    """What permits and what forbids, without those that only ask for approval."""
    approvals: Statements | None
    """Those; None if there are none."""
    door: Statements
    """What permits, without conditions on anything but who and what for."""

    def decide(self, question: AuthorizationRequest) -> Decision:
        """Every forbid that holds, else a permit that does; then whether a second person must agree."""
        if question.principal.gone:
            return Decision("refused")
        request, entities = question.request, question.entities_text
        found = _ask(self.plain.slice_for(question), request, entities)
        if not found.allowed or self.approvals is None or question.action != TRANSFER:
            return Decision("allowed" if found.allowed else "refused", found.policies)
        demand = _ask(self.approvals.slice_for(question), request, entities)
        if demand.allowed:
            return Decision("allowed", found.policies)
        return Decision("refused" if demand.broken else "approval", demand.policies)

    def may_at_all(self, person: Principal, action: str) -> bool:
        """Is there anything that could permit this person this action? If not, no question need be asked.

        Forbids and conditions do not count here, so a yes means nothing by itself.
        """
        question = AuthorizationRequest(person, action)
        return (
            not person.gone
            and _ask(self.door.slice_for(question), question.request, question.entities_text).allowed
        )


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


def policy_set(texts: Mapping[str, str]) -> PolicySet:
    """Parse them; each was checked before."""
    named = {
        name if number == 0 else f"{name}.{number}": one
        for name, text in texts.items()
        for number, one in enumerate(_read(text))
    }
    asks = {name for name, one in named.items() if one.get("annotations", {}).get("requires") == APPROVAL}
    plain = {name: one for name, one in named.items() if name not in asks}
    approvals = {name: named[name] for name in asks} | {"": _ANYTHING}
    permits = {name: _precheck_statement(one) for name, one in named.items() if one["effect"] == "permit"}
    return PolicySet(texts, Statements(plain), Statements(approvals) if asks else None, Statements(permits))


@cache
def _read(text: str) -> tuple[dict[str, Any], ...]:
    """A changed policy leaves the others as they are: they are not read again."""
    return kept(text)


_ANY = {"op": "All"}
_ANYTHING = {"effect": "permit", "principal": _ANY, "action": _ANY, "resource": _ANY, "conditions": []}


def _precheck_statement(permit: dict[str, Any]) -> dict[str, Any]:
    return {**permit, "resource": _ANY, "conditions": []}


def _set(policies: Mapping[str, Any]) -> Any:
    import cedarpy

    whole = {"staticPolicies": policies, "templates": {}, "templateLinks": []}
    return cedarpy.PolicySet.from_json_str(json.dumps(whole))
