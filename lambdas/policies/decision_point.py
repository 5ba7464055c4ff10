"""Every decision is made here. Policies are parsed once and kept on the warm function (docs/adr/015)."""

import time
from collections.abc import Callable

from lambdas.domain.authorization import AuthorizationRequest, Principal
from lambdas.domain.policy import in_force, texts
from lambdas.domain.policy_set import Decision, PolicySet, policy_set
from lambdas.store.policies import PolicyStore
from lambdas.telemetry import logger

CACHE_TTL_S = 10.0
"""Seconds for which nobody asks the table whether a policy has changed: so late a new forbid may come."""


class DecisionPoint:
    def __init__(self, store: PolicyStore, timer: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._timer = timer
        self._policies: PolicySet | None = None
        self._version = -1
        self._checked = 0.0

    def decide(self, request: AuthorizationRequest) -> Decision:
        """A refusal is decided again if the policies have changed since: a new permit counts at once."""
        decision = self._current().decide(request)
        if not decision.allowed and self._reload_if_changed():
            decision = self._current().decide(request)
        return decision

    def may_at_all(self, principal: Principal, action: str) -> bool:
        """False where no question of this person about this action can have a yes for its answer."""
        if self._current().may_at_all(principal, action):
            return True
        return self._reload_if_changed() and self._current().may_at_all(principal, action)

    def refresh(self) -> None:
        """Ask the table at the next question: it was just written."""
        self._checked = float("-inf")

    def _current(self) -> PolicySet:
        if self._policies is None or self._timer() - self._checked > CACHE_TTL_S:
            self._reload_if_changed()
        if self._policies is None:
            raise RuntimeError("the policies were not read")
        return self._policies

    def _reload_if_changed(self) -> bool:
        """Look, and read them anew if so."""
        self._checked = self._timer()
        if self._policies is not None and self._store.version() == self._version:
            return False
        self._version, stored = self._store.all()
        self._policies = policy_set(texts(in_force(stored)))
        logger.info("policies read", extra={"version": self._version, "policies": len(self._policies.texts)})
        return True
