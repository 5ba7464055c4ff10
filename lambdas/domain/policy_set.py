"""Evaluate all policies together; each is parsed once.

Deny is the default, and also the answer to every failure: a policy that cannot be evaluated denies.
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
    """A decision, and the names of the policies that made it; none if no policy permits."""

    outcome: Effect
    policies: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        return self.outcome == "allowed"


_WORST: tuple[Effect, ...] = ("refused", "approval", "allowed")


def worst(decisions: Sequence[Decision]) -> Decision:
    """Return the strictest of several decisions, with every policy that made one of that kind."""
    found = {decision.outcome for decision in decisions}
    outcome = next((effect for effect in _WORST if effect in found), _WORST[-1])
    names = {name for decision in decisions if decision.outcome == outcome for name in decision.policies}
    return Decision(outcome, tuple(sorted(names)))


Uids = frozenset[tuple[str, str]]
MAX_CACHED_SLICES = 512


class Statements:
    """Parsed policy statements by id.

    A request is evaluated only against statements whose scope can match it: the decision is equal, and fast
    however many policies exist. The sets for recurring scopes are cached.
    """

    def __init__(self, statements: Mapping[str, Any]) -> None:
        self._statements = statements
        self._slices: dict[tuple[str, Uids, Uids], Any] = {}

    def slice_for(self, question: AuthorizationRequest) -> Any:
        """Return Cedar's policy set of the statements whose scope can match the request."""
        who, what = _uids(principal_resource(question.principal)), _uids(question.resource)
        key = (question.action, who, what)
        if key not in self._slices:
            if len(self._slices) >= MAX_CACHED_SLICES:
                self._slices.clear()
            acts = frozenset({("Action", question.action)})
            scopes = (("principal", who), ("action", acts), ("resource", what))
            matching = {
                name: statement
                for name, statement in self._statements.items()
                if all(_fits(statement[part], uids) for part, uids in scopes)
            }
            self._slices[key] = _set(matching)
        return self._slices[key]


def _uids(resource: Resource) -> Uids:
    """Return the ids of the entity and of its parents."""
    return frozenset((entity["uid"]["type"], entity["uid"]["id"]) for entity in resource.written())


def _fits(scope: Mapping[str, Any], uids: Uids) -> bool:
    """Return False only if a statement's scope excludes these entities."""
    named = scope.get("entities") or ([scope["entity"]] if "entity" in scope else [])
    if scope["op"] not in {"==", "in"} or not all("type" in one for one in named):
        return True
    return any((one["type"], one["id"]) in uids for one in named)


@dataclass(frozen=True)
class PolicySet:
    """All policies in force at one time."""

    texts: Mapping[str, str]
    """Cedar texts by policy name."""
    plain: Statements
    """Permits and forbids, without those that only require approval."""
    approvals: Statements | None
    """Statements that require approval; None if there are none."""
    precheck_statements: Statements
    """Permits without conditions and resources: only principal and action count."""

    def decide(self, question: AuthorizationRequest) -> Decision:
        """Return the decision: a matching forbid wins over a permit; then approval may be required."""
        if question.principal.gone:
            return Decision("refused")
        request, entities = question.cedar_request, question.entities_text
        found = _ask(self.plain.slice_for(question), request, entities)
        if not found.allowed or self.approvals is None or question.action != TRANSFER:
            return Decision("allowed" if found.allowed else "refused", found.policies)
        approval = _ask(self.approvals.slice_for(question), request, entities)
        if approval.allowed:
            return Decision("allowed", found.policies)
        return Decision("refused" if approval.broken else "approval", approval.policies)

    def may_at_all(self, person: Principal, action: str) -> bool:
        """Return False if no policy could permit this principal this action on any resource.

        Forbids and conditions are ignored, so True alone permits nothing.
        """
        question = AuthorizationRequest(person, action)
        return (
            not person.gone
            and _ask(
                self.precheck_statements.slice_for(question), question.cedar_request, question.entities_text
            ).allowed
        )


@dataclass(frozen=True)
class _CedarAnswer:
    allowed: bool
    policies: tuple[str, ...]
    broken: bool
    """A policy could not be evaluated: `policies` has the broken ones, and nothing is allowed."""


def _ask(policies: Any, request: dict[str, Any], entities: str) -> _CedarAnswer:
    import cedarpy

    result = cedarpy.is_authorized(request, policies, entities)
    if errors := result.diagnostics.errors:
        broken = _names(name for error in errors for name in _POLICY.findall(error))
        return _CedarAnswer(allowed=False, policies=broken, broken=True)
    return _CedarAnswer(result.allowed, _names(result.diagnostics.reasons), broken=False)


_POLICY = re.compile(r"policy `([^`]+)`")


def _names(ids: Iterable[str]) -> tuple[str, ...]:
    """Return the policies' names; a statement's id is its policy's name and a number."""
    return tuple(sorted({one.partition(".")[0] for one in ids}))


def defaults() -> dict[str, str]:
    """Return the policies that ship with Crosshaul: texts by name."""
    return dict(_DEFAULTS)


def policy_set(texts: Mapping[str, str]) -> PolicySet:
    """Return the parsed set of these texts, each of which was validated when it was saved."""
    named = {
        name if number == 0 else f"{name}.{number}": statement
        for name, text in texts.items()
        for number, statement in enumerate(_read(text))
    }
    asks = {name for name, one in named.items() if one.get("annotations", {}).get("requires") == APPROVAL}
    plain = {name: one for name, one in named.items() if name not in asks}
    approvals = {name: named[name] for name in asks} | {"": _ANYTHING}
    permits = {name: _precheck_statement(one) for name, one in named.items() if one["effect"] == "permit"}
    return PolicySet(texts, Statements(plain), Statements(approvals) if asks else None, Statements(permits))


@cache
def _read(text: str) -> tuple[dict[str, Any], ...]:
    """Return a text's statements; cached, so that a changed policy does not reparse the others."""
    return kept(text)


_ANY = {"op": "All"}
_ANYTHING = {"effect": "permit", "principal": _ANY, "action": _ANY, "resource": _ANY, "conditions": []}


def _precheck_statement(permit: dict[str, Any]) -> dict[str, Any]:
    return {**permit, "resource": _ANY, "conditions": []}


def _set(policies: Mapping[str, Any]) -> Any:
    import cedarpy

    whole = {"staticPolicies": policies, "templates": {}, "templateLinks": []}
    return cedarpy.PolicySet.from_json_str(json.dumps(whole))
