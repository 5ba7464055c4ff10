"""Decide authorization requests. Policies are parsed once and cached on the warm function (docs/adr/015)."""

import threading
import time
from collections.abc import Callable

from lambdas.domain.authorization import AuthorizationRequest, Principal
from lambdas.domain.policy import in_force, texts
from lambdas.domain.policy_set import Decision, PolicySet, policy_set
from lambdas.store.policies import PolicyStore
from lambdas.telemetry import logger

CACHE_TTL_S = 10.0
"""How long policies are used without checking for changes: a new forbid takes effect this late."""


class DecisionPoint:
    """Decides authorization requests by the policies in force, which it caches."""

    def __init__(self, store: PolicyStore, timer: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._timer = timer
        self._policies: PolicySet | None = None
        self._version = -1
        self._checked = 0.0
        self._lock = threading.RLock()
        """Held while policies are read: of hops that are decided in parallel, none is by the old ones."""

    def decide(self, request: AuthorizationRequest) -> Decision:
        """Decide a request; a refusal is decided again if the policies have changed since they were read."""
        decision = self._current().decide(request)
        if not decision.allowed and self._reload_if_changed():
            decision = self._current().decide(request)
        return decision

    def may_at_all(self, principal: Principal, action: str) -> bool:
        """Return False if no policy could allow this principal this action on any resource."""
        if self._current().may_at_all(principal, action):
            return True
        return self._reload_if_changed() and self._current().may_at_all(principal, action)

    def refresh(self) -> None:
        """Check the table for changes at the next decision, after a write."""
        with self._lock:
            self._checked = float("-inf")

    def _current(self) -> PolicySet:
        with self._lock:
            if self._policies is None or self._timer() - self._checked > CACHE_TTL_S:
                self._reload_if_changed()
            if self._policies is None:
                raise RuntimeError("the policies were not read")
            return self._policies

    def _reload_if_changed(self) -> bool:
        """Reload the policies if the table has a new version; return whether it had."""
        with self._lock:
            checked = self._timer()
            if self._policies is not None and self._store.version() == self._version:
                self._checked = checked
                return False
            self._version, stored = self._store.list_policies()
            self._policies = policy_set(texts(in_force(stored)))
            self._checked = checked
            logger.info(
                "policies read", extra={"version": self._version, "policies": len(self._policies.texts)}
            )
            return True
