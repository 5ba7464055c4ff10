"""What follows from a new line in a timeline: nudges to agents, the next hops, facts for the world outside.

All of it is decided from the table as it is now, not from the line: to react twice, or late, is harmless.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from events.base import AgentId
from events.commands import Cancel, Pause, Release
from events.facts import TransferFinished, TransferRequested
from events.states import HopState
from lambdas.domain.errors import TransferUnknownError
from lambdas.domain.hop import Hop, hop_number
from lambdas.domain.hop_changes import PREVIOUS_HOP_ENDED, failed_by_upstream, released
from lambdas.domain.timeline import CROSSHAUL, became
from lambdas.domain.transfer import Transfer
from lambdas.ports import ChangeNotifier, CommandSender, EventPublisher
from lambdas.store.transfers import TimelineRow, TransferStore
from lambdas.telemetry import logger
from lambdas.transfers.dispatcher import Dispatcher
from lambdas.transfers.writer import Change, TransferWriter

AddressedCommand = tuple[AgentId, Pause | Cancel | Release]


class StreamHandler:
    def __init__(
        self,
        store: TransferStore,
        changing: TransferWriter,
        dispatch: Dispatcher,
        orders: CommandSender,
        facts: EventPublisher,
        news: ChangeNotifier,
    ) -> None:
        self._store = store
        self._changing = changing
        self._dispatch = dispatch
        self._orders = orders
        self._facts = facts
        self._news = news

    def handle(self, image: Mapping[str, Any]) -> None:
        """React to a row that the stream shows as new; rows that are no line of a timeline say nothing."""
        line = self._store.timeline_row(image)
        if line is None:
            return
        try:
            transfer = self._store.get(line.transfer_id)
        except TransferUnknownError:
            logger.warning("line of a transfer that is gone", extra={"transfer_id": line.transfer_id})
            return
        self._news.announce(transfer.transfer_id)
        for agent_id, command in commands_for(transfer, line):
            self._orders.send_command(agent_id, command)
        self.advance(transfer)
        self._tell(transfer, line)

    def advance(self, transfer: Transfer) -> None:
        """Whatever can go on with this transfer goes on."""
        outcome = self._changing.change(transfer.transfer_id, _next_step, transfer)
        while outcome.changed:
            outcome = self._changing.change(transfer.transfer_id, _next_step, outcome.transfer)
        self._dispatch.offer_ready(outcome.transfer)

    def agent_online(self, agent_id: AgentId) -> None:
        """An agent is there: dispatch what waited for it."""
        for transfer_id in self._store.open_transfers(agent_id):
            self.advance(self._store.get(transfer_id))

    def _tell(self, transfer: Transfer, line: TimelineRow) -> None:
        if line.fact == "requested":
            logger.info("transfer requested", extra={"transfer_id": transfer.transfer_id})
            self._facts.publish(_requested(transfer))
        if line.fact == "finished" and transfer.ended_at:
            logger.info(
                "transfer finished", extra={"transfer_id": transfer.transfer_id, "state": transfer.state}
            )
            self._facts.publish(_finished(transfer, transfer.ended_at))


def commands_for(transfer: Transfer, line: TimelineRow) -> Iterator[AddressedCommand]:
    """The commands that follow from a line, for the hops that still are as it says."""
    if line.entry.hop_id is None:
        for hop in transfer.hops:
            if hop.paused_by_user or hop.state == HopState.CANCELLED:
                yield from _nudges(hop)
        return
    hop = transfer.hops[hop_number(line.entry.hop_id)]
    if hop.state == line.entry.state:
        yield from _nudges(hop)


def _nudges(hop: Hop) -> Iterator[AddressedCommand]:
    """Its carrier should stop, its source need not serve it any longer; neither if it was never offered.

    A hop that its agent paused by itself is served on: the agent goes on by itself, too.
    """
    if hop.offered_at is None or not (hop.ended or hop.paused_by_user):
        return
    about = {"transfer_id": hop.transfer_id, "hop_id": hop.hop_id, "attempt": hop.attempt}
    if hop.paused_by_user:
        yield hop.carrier, Pause.model_validate(about)
    if hop.state == HopState.CANCELLED or _is_taken_along(hop):
        yield hop.carrier, Cancel.model_validate(about)
    if hop.route == "direct" and hop.source_agent:
        yield hop.source_agent, Release.model_validate(about)


def _is_taken_along(hop: Hop) -> bool:
    """Was it under way when the hop that it follows failed? Its carrier does not know that yet."""
    return bool(hop.problem and hop.problem.code == PREVIOUS_HOP_ENDED)


def _next_step(transfer: Transfer, now: datetime) -> Change | None:
    """The first hop that another sets free, or takes with it."""
    for hop in transfer.hops:
        if hop.after is None:
            continue
        before = transfer.hops[hop.after]
        step = released(hop, now) if transfer.can_begin(hop) else hop
        if before.ended and not transfer.ready(hop):
            step = failed_by_upstream(hop, before, now)
        if step is not hop:
            return Change((step,), became(step, CROSSHAUL, now))
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
