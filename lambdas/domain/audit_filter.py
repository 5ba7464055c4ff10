"""Which audit records to list."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple


@dataclass(frozen=True, kw_only=True)
class AuditFilter:
    """Records of one person, one agent or one transfer; at most one is given, none: all records."""

    who: str | None = None
    agent_id: str | None = None
    transfer_id: str | None = None


class Period(NamedTuple):
    """The time range [since, until)."""

    since: datetime
    until: datetime
