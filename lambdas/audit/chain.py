"""Chain audit records from the table's stream, which has one reader, and seal each day's chain."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from events.audit import START, AuditEntry, AuditLink, AuditRecord, AuditSeal, digest_of
from lambdas.aws.signing_key import SigningKey
from lambdas.ports import Clock
from lambdas.store.audit import AuditStore
from lambdas.store.optimistic import retry_stale
from lambdas.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

MAX_ATTEMPTS = 20
"""Maximum number of attempts to add one link."""
SEAL_DELAY = timedelta(minutes=10)
"""How long after midnight a day is sealed, so that a link begun before midnight is written."""
MAX_DAYS = 31
"""Days sealed by one call, after a long pause."""


class AuditChain:
    """Appends links to the hash chain of the current day."""

    def __init__(self, store: AuditStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def chain(self, records: Sequence[AuditRecord]) -> None:
        """Add a link with these records to today's chain; adding a record twice is harmless."""
        self._store.point(records)
        entries = tuple(
            AuditEntry(record_id=record.record_id, digest=digest_of(record)) for record in records
        )
        retry_stale(
            lambda: self._store.put_link(self._next(entries)), "The audit's chain", max_attempts=MAX_ATTEMPTS
        )

    def _next(self, entries: tuple[AuditEntry, ...]) -> AuditLink:
        day = f"{self._clock().astimezone(UTC):%Y-%m-%d}"
        last = self._store.last_link(day)
        number, previous = (last.number + 1, last.digest) if last else (1, START)
        link = AuditLink(day=day, number=number, entries=entries, previous=previous, digest="")
        return link.model_copy(update={"digest": digest_of(link)})


class AuditSealer:
    """Signs the last link of each completed day."""

    def __init__(self, store: AuditStore, kms: "KMSClient", key_id: str, clock: Clock) -> None:
        self._store = store
        self._key = SigningKey(kms, key_id)
        self._clock = clock
        self._sealed_until: date | None = None

    def seal(self) -> None:
        """Seal every completed day that has no seal; a warm function that has done so reads nothing."""
        yesterday = (self._clock().astimezone(UTC) - SEAL_DELAY).date() - timedelta(days=1)
        if self._sealed_until == yesterday:
            return
        last = self._store.last_seal()
        day = date.fromisoformat(last.day) + timedelta(days=1) if last else yesterday
        for _ in range(MAX_DAYS):
            if day > yesterday:
                self._sealed_until = yesterday
                return
            last = self._seal(day, last)
            day += timedelta(days=1)

    def seal_keys(self) -> tuple[dict[str, Any], ...]:
        """Return the JWKs that verify the seals."""
        return (self._key.jwk(),)

    def _seal(self, day: date, previous: AuditSeal | None) -> AuditSeal:
        link = self._store.last_link(day.isoformat())
        seal = AuditSeal(
            day=day.isoformat(),
            links=link.number if link else 0,
            last=link.digest if link else START,
            previous=digest_of(previous) if previous else START,
            at=_to_milliseconds(self._clock()),
            kid=self._key.kid,
        )
        seal = seal.model_copy(update={"signature": self._key.sign(digest_of(seal).encode())})
        self._store.put_seal(seal)
        logger.info("audit sealed", extra={"day": seal.day, "links": seal.links})
        return seal


def _to_milliseconds(at: datetime) -> datetime:
    """Truncate a time to milliseconds, as it is stored."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
