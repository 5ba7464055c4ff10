"""Measure how far the audit's chain is behind its records."""

from datetime import UTC, datetime, timedelta

from lambdas.ports import Clock
from lambdas.store.audit import AuditStore
from lambdas.telemetry import AUDIT_LAG, measure

MAX_LINKS = 10
"""Newest links that are compared with the records: simultaneous records may be chained out of order."""
MAX_RECORDS = 100
"""Records that are looked at. All of them chained: the next measurement, after more links, looks further."""
GRACE = timedelta(minutes=2)
"""Age below which a record counts as on its way into the chain."""


class AuditLag:
    """Measures the age of the oldest record that is not chained, in three queries."""

    def __init__(self, store: AuditStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def measure(self) -> None:
        measure(AUDIT_LAG, self.seconds(), "Seconds")

    def seconds(self) -> float:
        """Return the age in seconds of the oldest record of today or yesterday that is not chained."""
        now = self._clock().astimezone(UTC)
        today, yesterday = (f"{now - timedelta(days=ago):%Y-%m-%d}" for ago in (0, 1))
        links = self._store.newest_links(today, MAX_LINKS)
        if len(links) < MAX_LINKS:
            links += self._store.newest_links(yesterday, MAX_LINKS - len(links))
        chained = {entry.record_id for link in links for entry in link.entries}
        newest = max(chained, default="")
        # A chain that stopped before midnight has left records of yesterday, too.
        days = (yesterday, today) if newest < today else (today,)
        for day in days:
            for record_id in self._store.record_ids(day, max(day, newest), MAX_RECORDS):
                if record_id not in chained:
                    age = now - _written_at(record_id)
                    return age.total_seconds() if age > GRACE else 0.0
        return 0.0


def _written_at(record_id: str) -> datetime:
    """Return the time in a record's id."""
    return datetime.fromisoformat(record_id.partition("Z")[0]).replace(tzinfo=UTC)
