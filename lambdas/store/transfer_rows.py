"""Rows of the `transfers` table.

One partition is one transfer: `transfer` (the header), `hop#0000` …, and the timeline `at#<time>#<random>`,
whose inserts are the outbox, and `find#<term>`, one for each word that finds it. The index `by_agent` finds a
transfer by the header for its source's agent and by one hop for each other agent, so that a transfer of fifty
hops still fits into one transaction. Partitions `totals#<month>` count the transfers that have ended,
`costs#<month>` sum what they cost, and `gathered#<template>` hold objects that wait for others of their
template.
"""

from pynamodb.attributes import (
    BooleanAttribute,
    NumberAttribute,
    UnicodeAttribute,
    UTCDateTimeAttribute,
)
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection
from pynamodb.models import Model

from events.base import Actor, Problem
from events.locations import Location
from events.options import Options, OrderedOptions
from events.progress import Connection, Progress
from events.reports import DryRunResult
from events.views import Approval, StartDecision, TimelineEntry
from lambdas.domain.object_batch import ObjectCreated
from lambdas.domain.progress_history import ProgressHistory
from lambdas.domain.spending import Spent
from lambdas.store.base import ActorAttribute, JsonOf

HEADER = "transfer"
HOPS = "hop#"
TIMELINE = "at#"
FIND = "find#"
TOTALS = "totals#"
COSTS = "costs#"
GATHERED = "gathered#"
DUE = "hop#"
"""Beginning of the keys of hops in the index `due`."""
DUE_SHARDS = 8
"""An index takes 1,000 written units a second for each key: each lease that is renewed moves a hop in it."""
TO_ARCHIVE, ARCHIVED = "to archive", "archived"
"""What headers of ended transfers are due for, beside hops in the index `due`."""
REMOVED = "removed"
"""Sort key, and key in the index `due`, of the row that remains of a removed transfer while it is cleared."""


class _Index(GlobalSecondaryIndex["TransferRow"]):
    """An index of keys only: what is found is then read from the table itself."""


class ByTime(_Index):
    class Meta:
        index_name = "by_time"
        projection = KeysOnlyProjection()

    month = UnicodeAttribute(hash_key=True)
    created_at = UTCDateTimeAttribute(range_key=True)


class ByStatus(_Index):
    class Meta:
        index_name = "by_status"
        projection = KeysOnlyProjection()

    status = UnicodeAttribute(hash_key=True)
    created_at = UTCDateTimeAttribute(range_key=True)


class ByAttention(_Index):
    """Sparse index of the headers of transfers that a person must look at, by why."""

    class Meta:
        index_name = "by_attention"
        projection = KeysOnlyProjection()

    attention = UnicodeAttribute(hash_key=True)
    created_at = UTCDateTimeAttribute(range_key=True)


class ByAgent(_Index):
    class Meta:
        index_name = "by_agent"
        projection = KeysOnlyProjection()

    agent_id = UnicodeAttribute(hash_key=True)
    created_at = UTCDateTimeAttribute(range_key=True)


class ByTemplate(_Index):
    """Sparse index of the headers of transfers that templates created."""

    class Meta:
        index_name = "by_template"
        projection = KeysOnlyProjection()

    template_id = UnicodeAttribute(hash_key=True)
    created_at = UTCDateTimeAttribute(range_key=True)


class ByTerm(_Index):
    """Index by requester (`by:` on the header), and by words and their beginnings (`w:`, `p:`)."""

    class Meta:
        index_name = "by_term"
        projection = KeysOnlyProjection()

    term = UnicodeAttribute(hash_key=True)
    created_at = UTCDateTimeAttribute(range_key=True)


class Due(_Index):
    """Sparse index of hops that the sweeper must check, and of ended transfers to archive and remove."""

    class Meta:
        index_name = "due"
        projection = KeysOnlyProjection()

    due = UnicodeAttribute(hash_key=True)
    due_at = UTCDateTimeAttribute(range_key=True)


class Carrying(_Index):
    """Sparse index of hops that have not ended, by the agent that carries them."""

    class Meta:
        index_name = "carrying"
        projection = KeysOnlyProjection()

    open_carrier = UnicodeAttribute(hash_key=True)
    created_at = UTCDateTimeAttribute(range_key=True)


class Serving(_Index):
    """Sparse index of hops that have not ended, by the source's agent, if it is not the carrier."""

    class Meta:
        index_name = "serving"
        projection = KeysOnlyProjection()

    open_source = UnicodeAttribute(hash_key=True)
    created_at = UTCDateTimeAttribute(range_key=True)


class TransferRow(Model):
    """Any row, with only its keys and the attributes of the indexes."""

    class Meta:
        table_name = ""

    transfer_id = UnicodeAttribute(hash_key=True)
    part = UnicodeAttribute(range_key=True)
    month = UnicodeAttribute(null=True)
    created_at = UTCDateTimeAttribute(null=True)
    status = UnicodeAttribute(null=True)
    attention = UnicodeAttribute(null=True)
    agent_id = UnicodeAttribute(null=True)
    template_id = UnicodeAttribute(null=True)
    term = UnicodeAttribute(null=True)
    due = UnicodeAttribute(null=True)
    due_at = UTCDateTimeAttribute(null=True)
    open_carrier = UnicodeAttribute(null=True)
    open_source = UnicodeAttribute(null=True)

    by_time = ByTime()
    by_status = ByStatus()
    by_attention = ByAttention()
    by_agent = ByAgent()
    by_template = ByTemplate()
    by_term = ByTerm()
    by_due = Due()
    carrying = Carrying()
    serving = Serving()


class HeaderRow(Model):
    class Meta:
        table_name = ""

    transfer_id = UnicodeAttribute(hash_key=True)
    part = UnicodeAttribute(range_key=True, default=HEADER)
    month = UnicodeAttribute()
    created_at = UTCDateTimeAttribute()
    status = UnicodeAttribute()
    attention = UnicodeAttribute(null=True)
    agent_id = UnicodeAttribute(null=True)
    term = UnicodeAttribute()
    source: JsonOf[Location] = JsonOf(Location)
    destinations: JsonOf[tuple[Location, ...]] = JsonOf(tuple[Location, ...])
    shape = UnicodeAttribute()
    options: JsonOf[Options] = JsonOf(OrderedOptions)
    selection: JsonOf[tuple[str, ...]] = JsonOf(tuple[str, ...], null=True)
    template_id = UnicodeAttribute(null=True)
    owner = ActorAttribute(null=True)
    created_by = ActorAttribute()
    started_at = UTCDateTimeAttribute(null=True)
    ended_at = UTCDateTimeAttribute(null=True)
    charged: JsonOf[Spent] = JsonOf(Spent)
    fingerprint = UnicodeAttribute()
    revision = NumberAttribute()
    hop_count = NumberAttribute()
    progress: JsonOf[Progress] = JsonOf(Progress)
    size = NumberAttribute(null=True)
    problem: JsonOf[Problem] = JsonOf(Problem, null=True)
    asked_for: JsonOf[tuple[Actor, ...]] = JsonOf(tuple[Actor, ...])
    approval: JsonOf[Approval] = JsonOf(Approval, null=True)
    authorized_size = NumberAttribute(null=True)
    acknowledged = ActorAttribute(null=True)
    real_start: JsonOf[StartDecision] = JsonOf(StartDecision, null=True)
    watched_until = UTCDateTimeAttribute(null=True)
    due = UnicodeAttribute(null=True)
    due_at = UTCDateTimeAttribute(null=True)
    archive_file = UnicodeAttribute(null=True)


class HopRow(Model):
    """A hop; the attributes have the names of the domain's fields."""

    class Meta:
        table_name = ""

    transfer_id = UnicodeAttribute(hash_key=True)
    part = UnicodeAttribute(range_key=True)
    agent_id = UnicodeAttribute(null=True)
    number = NumberAttribute()
    source: JsonOf[Location] = JsonOf(Location)
    destination: JsonOf[Location] = JsonOf(Location)
    after = NumberAttribute(null=True)
    storage_class = UnicodeAttribute(null=True)
    created_at = UTCDateTimeAttribute()
    state = UnicodeAttribute()
    attempt = NumberAttribute()
    success_from = NumberAttribute()
    seq = NumberAttribute()
    paused_by_user = BooleanAttribute()
    changed_at = UTCDateTimeAttribute()
    due = UnicodeAttribute(null=True)
    due_at = UTCDateTimeAttribute(null=True)
    open_carrier = UnicodeAttribute(null=True)
    open_source = UnicodeAttribute(null=True)
    retry_at = UTCDateTimeAttribute(null=True)
    offered_at = UTCDateTimeAttribute(null=True)
    tries = NumberAttribute()
    unanswered = NumberAttribute()
    high_water = NumberAttribute()
    most_bytes = NumberAttribute()
    history: JsonOf[ProgressHistory] = JsonOf(ProgressHistory)
    seconds_at_work = NumberAttribute()
    reported_at = UTCDateTimeAttribute(null=True)
    via = UnicodeAttribute(null=True)
    connection: JsonOf[Connection] = JsonOf(Connection, null=True)
    progress: JsonOf[Progress] = JsonOf(Progress)
    spent: JsonOf[Spent] = JsonOf(Spent)
    problem: JsonOf[Problem] = JsonOf(Problem, null=True)
    failures: JsonOf[tuple[Problem, ...]] = JsonOf(tuple[Problem, ...])
    failures_total = NumberAttribute()
    digest = UnicodeAttribute(null=True)
    preview: JsonOf[DryRunResult] = JsonOf(DryRunResult, null=True)
    started_at = UTCDateTimeAttribute(null=True)
    ended_at = UTCDateTimeAttribute(null=True)


class TimelineEntryRow(Model):
    """An entry of the timeline; `fact` names the event to publish because of it."""

    class Meta:
        table_name = ""

    transfer_id = UnicodeAttribute(hash_key=True)
    part = UnicodeAttribute(range_key=True)
    moment: JsonOf[TimelineEntry] = JsonOf(TimelineEntry)
    fact = UnicodeAttribute(null=True)


class TermRow(Model):
    """A term by which a transfer is found; written once, from the stream."""

    class Meta:
        table_name = ""

    transfer_id = UnicodeAttribute(hash_key=True)
    part = UnicodeAttribute(range_key=True)
    term = UnicodeAttribute()
    created_at = UTCDateTimeAttribute()


class TotalsRow(Model):
    """Sums over the transfers that ended in a quarter of an hour, without dry runs.

    The partition is the month; the sort key is the quarter and a shard, so that transfers that end together
    seldom write the same row.
    """

    class Meta:
        table_name = ""

    transfer_id = UnicodeAttribute(hash_key=True)
    part = UnicodeAttribute(range_key=True)
    transfers = NumberAttribute(default=0)
    succeeded = NumberAttribute(default=0)
    failed = NumberAttribute(default=0)
    bytes_arrived = NumberAttribute(default=0)
    files_arrived = NumberAttribute(default=0)


class CostRow(Model):
    """What transfers that ended in a month cost, by one template, agent or person, and a shard.

    Money is in millionths of a US dollar.
    """

    class Meta:
        table_name = ""

    transfer_id = UnicodeAttribute(hash_key=True)
    part = UnicodeAttribute(range_key=True)
    label = UnicodeAttribute()
    transfers = NumberAttribute(default=0)
    bytes_arrived = NumberAttribute(default=0)
    requests = NumberAttribute(default=0)
    egress = NumberAttribute(default=0)
    relay = NumberAttribute(default=0)
    storage_a_month = NumberAttribute(default=0)


class GatheredRow(Model):
    """An object that waits for others, with a digest of its event; or, as `until`, when they are due."""

    class Meta:
        table_name = ""

    transfer_id = UnicodeAttribute(hash_key=True)
    part = UnicodeAttribute(range_key=True)
    written: JsonOf[ObjectCreated] = JsonOf(ObjectCreated, null=True)
    until = UTCDateTimeAttribute(null=True)


ROWS: tuple[type[Model], ...] = (
    TransferRow,
    HeaderRow,
    HopRow,
    TimelineEntryRow,
    TermRow,
    TotalsRow,
    CostRow,
    GatheredRow,
)
