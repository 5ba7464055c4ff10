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
        self._rules: PolicySet | None = None
        self._version = -1
        self._checked = 0.0

    def decide(self, question: AuthorizationRequest) -> Decision:
        """A refusal is decided again if the policies have changed since: a new permit counts at once."""
        verdict = self._current().decide(question)
        if not verdict.allowed and self._has_changed():
            verdict = self._current().decide(question)
        return verdict

    def may_at_all(self, person: Principal, action: str) -> bool:
        """False where no question of this person about this action can have a yes for its answer."""
        if self._current().may_at_all(person, action):
            return True
        return self._has_changed() and self._current().may_at_all(person, action)

    def refresh(self) -> None:
        """Ask the table at the next question: it was just written."""
        self._checked = float("-inf")

    def _current(self) -> PolicySet:
        if self._rules is None or self._timer() - self._checked > CACHE_TTL_S:
            self._has_changed()
        if self._rules is None:
            raise RuntimeError("the policies were not read")
        return self._rules

    def _has_changed(self) -> bool:
        """Look, and read them anew if so."""
        self._checked = self._timer()
        if self._rules is not None and self._store.version() == self._version:
            return False
        self._version, kept = self._store.all()
        self._rules = policy_set(texts(in_force(kept)))
        logger.info("policies read", extra={"version": self._version, "policies": len(self._rules.texts)})
        return True
