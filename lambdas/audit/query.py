"""Query the audit log by person, agent, transfer and time, and return what verifies it."""

from datetime import datetime, timedelta

from events.audit import AuditChainView, AuditSealsView, AuditView
from lambdas.audit.chain import AuditSealer
from lambdas.domain.audit_filter import AuditFilter, Period
from lambdas.domain.errors import CursorError
from lambdas.ports import Clock
from lambdas.store.audit import AuditStore

DEFAULT_WINDOW = timedelta(days=30)
"""How far back a query goes without `since`."""
MAX_WINDOW = timedelta(days=366)
"""The longest time range: without person, agent or transfer, each day is a query of the table."""


class AuditQuery:
    """Reads records, chains and seals for the API."""

    def __init__(self, store: AuditStore, sealer: AuditSealer, clock: Clock) -> None:
        self._store = store
        self._sealer = sealer
        self._clock = clock

    def list_records(
        self,
        wanted: AuditFilter,
        since: datetime | None,
        until: datetime | None,
        limit: int,
        cursor: str | None,
    ) -> AuditView:
        """Return one page, newest first; raises CursorError."""
        end = min(until or self._clock(), self._clock()) + timedelta(minutes=1)
        start = max(since or end - DEFAULT_WINDOW, end - MAX_WINDOW)
        if start >= end:
            return AuditView(records=(), next=None)
        records, following = self._store.list_records(wanted, Period(start, end), limit, cursor)
        return AuditView(records=tuple(records), next=following)

    def chain(self, day: str, limit: int, after: str | None) -> AuditChainView:
        """Return a page of one day's links; raises CursorError."""
        if after is not None and not after.isdecimal():
            raise CursorError
        links, following = self._store.links(day, int(after or 0), limit)
        return AuditChainView(links=tuple(links), next=None if following is None else str(following))

    def seals(self) -> AuditSealsView:
        """Return all seals and the public keys that verify them."""
        return AuditSealsView(seals=tuple(self._store.seals()), keys=self._sealer.seal_keys())
