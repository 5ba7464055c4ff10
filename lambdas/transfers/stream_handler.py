"""Handle a new timeline entry: send commands to agents, advance the next hops, publish events.

Everything is decided from the current table, not from the entry: handling it twice, or late, is harmless.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from events.base import AgentId
from events.commands import Cancel, Pause, Release
from events.facts import TransferFinished, TransferRequested
from events.locations import S3Location
from events.states import HopState
from lambdas.domain.errors import TransferUnknownError
from lambdas.domain.hop import Hop, hop_number
from lambdas.domain.hop_changes import failed_by_upstream, released
from lambdas.domain.problems import FORBIDDEN, PREVIOUS_HOP_ENDED
from lambdas.domain.timeline import CROSSHAUL, became
from lambdas.domain.transfer import Transfer
from lambdas.ports import ChangeNotifier, CommandSender, EventPublisher, RetryTimer
from lambdas.store.transfers import TimelineRow, TransferStore
from lambdas.telemetry import count, logger
from lambdas.transfers.dispatcher import Dispatcher
from lambdas.transfers.entry_metrics import count_end, count_entry
from lambdas.transfers.writer import Change, TransferWriter

RESTORED_AFTER = timedelta(hours=1)
"""An entry is written as it happens. One that is written so much later comes from a backup."""
_NEVER_OFFERED = frozenset(HopState) - {HopState.AWAITING_APPROVAL, HopState.WAITING, HopState.QUEUED}
"""States of hops that are with their agents or over: there is nothing to offer, release or wait for."""
AddressedCommand = tuple[AgentId, Pause | Cancel | Release]


@dataclass(frozen=True)
class StreamOutputs:
    """Where the changes that the stream shows are told, besides the agents."""

    events: EventPublisher
    notifier: ChangeNotifier
    retries: RetryTimer


class StreamHandler:
    """Handles the inserts that the stream of the transfers table shows."""

    def __init__(
        self,
        store: TransferStore,
        writer: TransferWriter,
        dispatcher: Dispatcher,
        commands: CommandSender,
        outputs: StreamOutputs,
    ) -> None:
        self._store = store
        self._writer = writer
        self._dispatcher = dispatcher
        self._commands = commands
        self._outputs = outputs

    def handle(self, image: Mapping[str, Any], written: datetime | None = None) -> None:
        """Handle a row that the stream shows as new; only timeline entries matter.

        What is restored from a backup has happened long before it is `written`: its commands and events are
        not sent again.
        """
        row = self._store.timeline_row(image)
        if row is None:
            return
        if written and written - row.entry.at > RESTORED_AFTER:
            logger.info("restored entry not handled again", extra={"transfer_id": row.transfer_id})
            return
        try:
            if self._concerns_one_hop(row):
                return
            transfer = self._store.get(row.transfer_id)
        except TransferUnknownError:
            logger.warning("timeline entry of a deleted transfer", extra={"transfer_id": row.transfer_id})
            return
        self._outputs.notifier.announce(transfer.transfer_id)
        for agent_id, command in commands_for(transfer, row):
            self._commands.send_command(agent_id, command)
        self.advance(transfer)
        self._schedule_retry(transfer, row)
        self._publish(transfer, row)
        count_entry(transfer, row.entry, row.fact)

    def _concerns_one_hop(self, row: TimelineRow) -> bool:
        """Handle an entry from which nothing follows for other hops; return False if something may follow.

        Only its hop is read: fifty destinations write two hundred entries, and would read fifty hops for
        each.
        """
        if row.entry.hop_id is None or row.fact or row.entry.state not in _NEVER_OFFERED:
            return False
        hop, following = self._store.hop_and_next(row.transfer_id, hop_number(row.entry.hop_id))
        if following or hop.state not in _NEVER_OFFERED:
            return False
        self._outputs.notifier.announce(row.transfer_id)
        if hop.state == row.entry.state:
            for agent_id, command in _stop_commands(hop):
                self._commands.send_command(agent_id, command)
        count_end(hop, row.entry)
        return True

    def advance(self, transfer: Transfer) -> None:
        """Release or fail the hops whose upstream hop has ended, then offer those that are ready."""
        result = self._writer.change(transfer.transfer_id, _next_step, transfer)
        while result.changed:
            result = self._writer.change(transfer.transfer_id, _next_step, result.transfer)
        self._dispatcher.offer_ready(result.transfer)

    def agent_online(self, agent_id: AgentId) -> None:
        """Advance the open transfers of an agent that has come online."""
        for transfer_id in self._store.open_transfers(agent_id):
            self.advance(self._store.get(transfer_id))

    def _schedule_retry(self, transfer: Transfer, row: TimelineRow) -> None:
        """Have the entry's hop checked when its retry is due, if it waits for that."""
        if row.entry.hop_id is None or row.entry.state != HopState.QUEUED:
            return
        hop = transfer.hops[hop_number(row.entry.hop_id)]
        if hop.state != HopState.QUEUED or not hop.retry_at:
            return
        try:
            self._outputs.retries.check_at(hop.hop_id, hop.retry_at)
        except Exception:  # the sweep checks the hop all the same, at most a minute later
            logger.exception("retry not scheduled", extra={"hop_id": hop.hop_id})
            count("RetriesNotScheduled")

    def _publish(self, transfer: Transfer, row: TimelineRow) -> None:
        if row.fact == "requested":
            self._store.index_words(transfer)
            logger.info("transfer requested", extra={"transfer_id": transfer.transfer_id})
            self._outputs.events.publish(_requested(transfer))
        if row.fact == "finished" and transfer.ended_at:
            logger.info(
                "transfer finished", extra={"transfer_id": transfer.transfer_id, "state": transfer.state}
            )
            self._outputs.events.publish(_finished(transfer, transfer.ended_at))


def commands_for(transfer: Transfer, row: TimelineRow) -> Iterator[AddressedCommand]:
    """Yield the commands that follow from an entry, for the hops that are still in the state it names."""
    if row.entry.hop_id is None:
        for hop in transfer.hops:
            if hop.paused_by_user or hop.state == HopState.CANCELLED:
                yield from _stop_commands(hop)
        return
    hop = transfer.hops[hop_number(row.entry.hop_id)]
    if hop.state == row.entry.state:
        yield from _stop_commands(hop)


def _stop_commands(hop: Hop) -> Iterator[AddressedCommand]:
    """Yield commands to stop a hop: to its carrier, and to the source that serves it; none if never offered.

    A hop that its agent paused by itself is still served, since the agent resumes by itself, too.
    """
    is_held = hop.paused_by_user or hop.state == HopState.AWAITING_APPROVAL
    if hop.offered_at is None or not (hop.ended or is_held):
        return
    about = {"transfer_id": hop.transfer_id, "hop_id": hop.hop_id, "attempt": hop.attempt}
    if is_held:
        yield hop.carrier, Pause.model_validate(about)
    if hop.state == HopState.CANCELLED or _ended_unknown_to_carrier(hop) or _may_leave_uploads(hop):
        yield hop.carrier, Cancel.model_validate(about)
    if hop.route == "direct" and hop.source_agent:
        yield hop.source_agent, Release.model_validate(about)


def _ended_unknown_to_carrier(hop: Hop) -> bool:
    """Return whether the hop ended with its upstream hop, or by a policy, without its carrier."""
    return bool(hop.problem and hop.problem.code in {PREVIOUS_HOP_ENDED.code, FORBIDDEN.code})


def _may_leave_uploads(hop: Hop) -> bool:
    """Return whether the hop's agent may have kept unfinished uploads for an attempt that does not come."""
    return hop.state == HopState.FAILED and isinstance(hop.destination, S3Location)


def _next_step(transfer: Transfer, now: datetime) -> Change | None:
    """Return the change of the first hop that its upstream hop releases or fails."""
    for hop in transfer.hops:
        if hop.after is None:
            continue
        before = transfer.hops[hop.after]
        step = released(hop, now) if transfer.can_begin(hop) else hop
        if before.ended and not transfer.ready(hop) and not transfer.goes_on_in_part(hop):
            step = failed_by_upstream(hop, before, now)
        if step is not hop:
            return Change((step,), became(hop, step, CROSSHAUL, now))
    return None


def _requested(transfer: Transfer) -> TransferRequested:
    return TransferRequested(
        transfer_id=transfer.transfer_id,
        at=transfer.created_at,
        by=transfer.created_by,
        template_id=transfer.template_id,
        source=str(transfer.source),
        destinations=tuple(map(str, transfer.destinations)),
    )


def _finished(transfer: Transfer, at: datetime) -> TransferFinished:
    progress = transfer.progress
    return TransferFinished(
        transfer_id=transfer.transfer_id,
        at=at,
        state=transfer.state,
        files=progress.files_done,
        bytes=progress.bytes_done,
        problem=transfer.problem,
    )
