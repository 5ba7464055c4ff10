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
from lambdas.domain.hop_changes import PREVIOUS_HOP_ENDED, doomed, unlocked
from lambdas.domain.timeline import CROSSHAUL, became
from lambdas.domain.transfer import Transfer
from lambdas.store.transfers import Line, TransferStore
from lambdas.telemetry import logger
from lambdas.transfers.changing import Change, Changing
from lambdas.transfers.dispatch import Dispatch
from lambdas.transfers.ports import Facts, News, Orders

Nudge = tuple[AgentId, Pause | Cancel | Release]


class Reactions:
    def __init__(
        self,
        store: TransferStore,
        changing: Changing,
        dispatch: Dispatch,
        orders: Orders,
        facts: Facts,
        news: News,
    ) -> None:
        self._store = store
        self._changing = changing
        self._dispatch = dispatch
        self._orders = orders
        self._facts = facts
        self._news = news

    def react(self, image: Mapping[str, Any]) -> None:
        """React to a row that the stream shows as new; rows that are no line of a timeline say nothing."""
        line = self._store.line(image)
        if line is None:
            return
        try:
            transfer = self._store.get(line.transfer_id)
        except TransferUnknownError:
            logger.warning("line of a transfer that is gone", extra={"transfer_id": line.transfer_id})
            return
        self._news.announce(transfer.transfer_id)
        for agent_id, command in nudges(transfer, line):
            self._orders.order(agent_id, command)
        self.bring_on(transfer)
        self._tell(transfer, line)

    def bring_on(self, transfer: Transfer) -> None:
        """Whatever can go on with this transfer goes on."""
        outcome = self._changing.change(transfer.transfer_id, _next_step, transfer)
        while outcome.changed:
            outcome = self._changing.change(transfer.transfer_id, _next_step, outcome.transfer)
        self._dispatch.all_of(outcome.transfer)

    def arrived(self, agent_id: AgentId) -> None:
        """An agent is there: dispatch what waited for it."""
        for transfer_id in self._store.open_transfers(agent_id):
            self.bring_on(self._store.get(transfer_id))

    def _tell(self, transfer: Transfer, line: Line) -> None:
        if line.fact == "requested":
            logger.info("transfer requested", extra={"transfer_id": transfer.transfer_id})
            self._facts.tell(_requested(transfer))
        if line.fact == "finished" and transfer.ended_at:
            logger.info(
                "transfer finished", extra={"transfer_id": transfer.transfer_id, "state": transfer.state}
            )
            self._facts.tell(_finished(transfer, transfer.ended_at))


def nudges(transfer: Transfer, line: Line) -> Iterator[Nudge]:
    """The commands that follow from a line, for the hops that still are as it says."""
    if line.moment.hop_id is None:
        for hop in transfer.hops:
            if hop.held or hop.state == HopState.CANCELLED:
                yield from _nudges(hop)
        return
    hop = transfer.hops[hop_number(line.moment.hop_id)]
    if hop.state == line.moment.state:
        yield from _nudges(hop)


def _nudges(hop: Hop) -> Iterator[Nudge]:
    """Its carrier should stop, its source need not serve it any longer; neither if it was never offered.

    A hop that its agent paused by itself is served on: the agent goes on by itself, too.
    """
    if hop.offered_at is None or not (hop.ended or hop.held):
        return
    about = {"transfer_id": hop.transfer_id, "hop_id": hop.hop_id, "attempt": hop.attempt}
    if hop.held:
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
        step = unlocked(hop, now) if transfer.can_begin(hop) else hop
        if before.ended and not transfer.ready(hop):
            step = doomed(hop, before, now)
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
