"""Convert between rows of the `transfers` table and the domain: whole, or only what has changed."""

import secrets
from datetime import datetime, timedelta
from typing import Any

from pynamodb.attributes import Attribute
from pynamodb.expressions.update import Action

from events.locations import agent_of, alike
from events.states import HopState
from events.views import TimelineEntry
from lambdas.domain.hop import Hop
from lambdas.domain.search import BEGINNING_CHARS, indexed_words
from lambdas.domain.transfer import Transfer
from lambdas.store.shards import shard_of
from lambdas.store.transfer_rows import (
    DUE,
    DUE_SHARDS,
    FIND,
    HEADER,
    HOPS,
    TIMELINE,
    TO_ARCHIVE,
    HeaderRow,
    HopRow,
    TermRow,
    TimelineEntryRow,
)

_ROW_ONLY = {"part", "agent_id", "due", "open_carrier", "open_source"}
HOP_FIELDS = tuple(name for name in HopRow.get_attributes() if name not in _ROW_ONLY)
_HEADER_FIELDS = (
    "created_at", "source", "destinations", "shape", "options", "selection", "template_id", "owner",
    "created_by", "ended_at", "charged", "fingerprint", "revision", "asked_for", "approval",
    "authorized_size", "acknowledged", "real_start", "watched_until",
)  # fmt: skip


def requester_term(name: str) -> str:
    """Return the term of the person, or template, that requested a transfer."""
    return f"by:{alike(name)}"


def word_term(word: str) -> str:
    """Return the term of a whole word."""
    return f"w:{word}"


def beginning_term(word: str) -> str | None:
    """Return the term of a word's beginning; None for a word that is shorter than an indexed beginning."""
    return f"p:{word[:BEGINNING_CHARS]}" if len(word) >= BEGINNING_CHARS else None


def term_rows(transfer: Transfer) -> list[TermRow]:
    """Return the rows by whose words a transfer is found, each term once."""
    words = indexed_words(transfer)
    terms = [*map(word_term, words), *(term for word in words if (term := beginning_term(word)))]
    return [
        TermRow(transfer.transfer_id, f"{FIND}{term}", term=term, created_at=transfer.created_at)
        for term in dict.fromkeys(terms)
    ]


def hop_part(number: int) -> str:
    return f"{HOPS}{number:04d}"


def hop_values(hop: Hop) -> dict[str, Any]:
    """Return every attribute of a hop's row except its sort key and `agent_id`, which never change."""
    open_source = hop.source_agent if hop.source_agent != hop.carrier else None
    return {
        **{name: getattr(hop, name) for name in HOP_FIELDS},
        "state": str(hop.state),
        "due": shard_of(DUE, hop.hop_id, DUE_SHARDS) if hop.due_at else None,
        "open_carrier": None if hop.ended else hop.carrier,
        "open_source": None if hop.ended else open_source,
    }


def hop_row(hop: Hop, agent_id: str | None) -> HopRow:
    return HopRow(part=hop_part(hop.number), agent_id=agent_id, **hop_values(hop))


def hop_of(row: HopRow) -> Hop:
    fields = {name: getattr(row, name) for name in HOP_FIELDS}
    return Hop(**{**fields, "state": HopState(row.state)})


def hop_actions(old: Hop, new: Hop) -> list[Action]:
    """Return the update actions that turn the old hop's row into the new one's."""
    before, after = hop_values(old), hop_values(new)
    attributes: dict[str, Attribute[Any]] = HopRow.get_attributes()
    return [
        attributes[name].remove() if value is None else attributes[name].set(value)
        for name, value in after.items()
        if value != before[name]
    ]


def header_row(transfer: Transfer) -> HeaderRow:
    return HeaderRow(
        transfer.transfer_id,
        HEADER,
        month=f"{transfer.created_at:%Y-%m}",
        agent_id=agent_of(transfer.source),
        term=requester_term(transfer.created_by.name),
        status=str(transfer.state),
        attention=transfer.attention,
        hop_count=len(transfer.hops),
        progress=transfer.progress,
        size=transfer.size,
        started_at=transfer.started_at,
        problem=transfer.problem,
        due=TO_ARCHIVE if transfer.ended_at else None,
        due_at=_archive_at(transfer),
        **{name: getattr(transfer, name) for name in _HEADER_FIELDS},
    )


def _archive_at(transfer: Transfer) -> datetime | None:
    """Return when a transfer is to be archived: at the next full hour, many in one file."""
    if transfer.ended_at is None:
        return None
    return transfer.ended_at.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)


def header_actions(new: Transfer) -> list[Action]:
    """Return the update actions for what a header derives from its hops, its start and its revision."""
    optional: tuple[tuple[Attribute[Any], Any], ...] = (
        (HeaderRow.attention, new.attention),
        (HeaderRow.problem, new.problem),
        (HeaderRow.started_at, new.started_at),
        (HeaderRow.ended_at, new.ended_at),
        (HeaderRow.size, new.size),
        (HeaderRow.approval, new.approval),
        (HeaderRow.authorized_size, new.authorized_size),
        (HeaderRow.acknowledged, new.acknowledged),
        (HeaderRow.due, TO_ARCHIVE if new.ended_at else None),
        (HeaderRow.due_at, _archive_at(new)),
        (HeaderRow.archive_file, None),
    )
    return [
        HeaderRow.status.set(str(new.state)),
        HeaderRow.progress.set(new.progress),
        HeaderRow.charged.set(new.charged),
        HeaderRow.asked_for.set(new.asked_for),
        HeaderRow.revision.set(new.revision),
        *(one.remove() if value is None else one.set(value) for one, value in optional),
    ]


def transfer_of(row: HeaderRow, hops: list[Hop]) -> Transfer:
    fields = {name: getattr(row, name) for name in _HEADER_FIELDS}
    return Transfer(transfer_id=row.transfer_id, hops=tuple(hops), **fields)


def timeline_entry_row(transfer_id: str, moment: TimelineEntry, fact: str | None) -> TimelineEntryRow:
    """Return a timeline row; its key ends in random text, so that entries of one microsecond differ."""
    part = f"{TIMELINE}{moment.at:%Y-%m-%dT%H:%M:%S.%f}#{secrets.token_hex(3)}"
    return TimelineEntryRow(transfer_id, part, moment=moment, fact=fact)
