"""Apply agents' reports about hops, and reconcile the table with the hops that a Hello lists.

Both end in the same functions of the domain and the same write.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from events.base import AgentId
from events.commands import Cancel, Pause
from events.reports import AboutHop, AgentHop, Checkpoint, Hello, Refused, Started
from events.states import HopState
from lambdas.domain.hop import Hop, hop_number
from lambdas.domain.hop_changes import ended_in_part, requeued
from lambdas.domain.hop_reports import apply_report, correction, declined, lost
from lambdas.domain.timeline import by_agent
from lambdas.domain.transfer import Transfer
from lambdas.ports import Clock, CommandSender
from lambdas.store.optimistic import retry_stale
from lambdas.store.transfers import TransferStore
from lambdas.telemetry import count, logger
from lambdas.transfers.stream_handler import StreamHandler
from lambdas.transfers.writer import MAX_ATTEMPTS, Change, TransferWriter, one_hop

MAX_CANCELS = 50
"""Most commands about hops that an agent should not have, for one Hello: it may list any, and each command is
a signature."""
ENDED_FOR = timedelta(minutes=1)
"""How long a hop must have ended before an agent that still works on it is told again: until then its reports
may be from before the end."""

_COMMANDS: Mapping[str, type[Cancel | Pause]] = {"cancel": Cancel, "pause": Pause}


class ReportHandler:
    """Applies agents' reports to the table."""

    def __init__(
        self,
        store: TransferStore,
        writer: TransferWriter,
        stream_handler: StreamHandler,
        commands: CommandSender,
        clock: Clock,
    ) -> None:
        self._store = store
        self._writer = writer
        self._stream_handler = stream_handler
        self._commands = commands
        self._clock = clock

    def apply(self, agent_id: AgentId, report: AboutHop) -> None:
        """Apply a report to its hop.

        One write if only progress changes, a transaction if the state does; none if the report is late,
        repeated, reordered, or about another agent's hop.

        Raises:
            StaleError: concurrent changes won every retry.
        """
        number = hop_number(report.hop_id)

        def write_progress() -> bool:
            """Return False if the report changes the hop's state, which needs a transaction."""
            hop = self._store.hop(report.transfer_id, number)
            new = apply_report(hop, report, agent_id, self._clock()) if hop else None
            if hop is None or new is None or new == hop:
                self._ignored(agent_id, report, hop)
                return True
            if (new.state, new.attempt) != (hop.state, hop.attempt):
                return False
            self._store.update_hop(hop, new)
            return True

        if not retry_stale(write_progress, f"Hop {report.hop_id}", max_attempts=MAX_ATTEMPTS):
            self._advance(agent_id, report, number)

    def _advance(self, agent_id: AgentId, report: AboutHop, number: int) -> None:
        def decide(transfer: Transfer, now: datetime) -> Change | None:
            def step(hop: Hop, now: datetime) -> Hop:
                new = apply_report(hop, report, agent_id, now)
                if new.state == HopState.SUCCEEDED and not hop.ended and transfer.goes_on_in_part(hop):
                    return ended_in_part(new, transfer.hops[hop.after or 0])
                return new

            return one_hop(number, step, by_agent(agent_id))(transfer, now)

        self._writer.change(report.transfer_id, decide)

    def _ignored(self, agent_id: AgentId, report: AboutHop, hop: Hop | None) -> None:
        """Note a report that changes nothing; an agent that works on an ended hop is told to stop.

        Its Hello may have listed more hops than are corrected at once.
        """
        is_at_work = isinstance(report, Started | Checkpoint)
        if is_at_work and (hop is None or self._ended_before(hop, report)):
            self._send_correction(agent_id, "cancel", report, report.attempt)
        keys = {"agent_id": agent_id, "hop_id": report.hop_id, "attempt": report.attempt, "seq": report.seq}
        logger.info("report changes nothing", extra={"report": report.kind, **keys})
        count("ReportsIgnored")

    def record_refusal(self, agent_id: AgentId, report: Refused) -> None:
        """Record on the hop why an agent rejected a command."""
        keys = {"agent_id": agent_id, "hop_id": report.hop_id, "code": report.problem.code}
        logger.warning("command refused", extra=keys)
        count("CommandsRefused")
        if report.hop_id is None:
            return
        hop = self._store.hop(report.hop_id.rpartition("-")[0], hop_number(report.hop_id))
        new = declined(hop, report.problem, agent_id) if hop else None
        if hop and new and new != hop:
            self._store.update_hop(hop, new)

    def reconcile(self, agent_id: AgentId, hello: Hello) -> None:
        """Correct the agent's hops that differ from the table; then offer hops that waited for it."""
        listed = {agent_hop.hop_id: agent_hop for agent_hop in hello.hops}
        self._correct_all(agent_id, listed.values())
        is_complete = not hello.hops_omitted  # otherwise the agent may hold a hop that is not listed
        for transfer_id in self._store.open_transfers(agent_id):
            transfer = self._store.get(transfer_id)
            missing = [hop for hop in transfer.hops if agent_id in hop.agents and hop.hop_id not in listed]
            for hop in missing if is_complete else ():
                transfer = self._on_missing(agent_id, transfer, hop, hello.at)
            self._stream_handler.advance(transfer)

    def _correct_all(self, agent_id: AgentId, agent_hops: Iterable[AgentHop]) -> None:
        """Correct the hops that differ from the table.

        The agent's own hops that are to be paused are few; those to cancel may be made up, and have a limit.
        An agent that goes on with one of the rest is told when it reports about it.
        """
        remaining = MAX_CANCELS
        for agent_hop in agent_hops:
            hop = self._store.hop(agent_hop.transfer_id, hop_number(agent_hop.hop_id))
            kind = correction(hop, agent_hop)
            if kind is None:
                continue
            if kind == "cancel" or (hop and agent_id not in hop.agents):
                remaining -= 1
                if remaining < 0:
                    continue
            attempt = max(agent_hop.attempt, hop.attempt if hop else 1)
            self._send_correction(agent_id, kind, agent_hop, attempt)
        if remaining < 0:
            logger.warning(
                "hello lists too many wrong hops", extra={"agent_id": agent_id, "more": -remaining}
            )
            count("CorrectionsOmitted")

    def _ended_before(self, hop: Hop, report: AboutHop) -> bool:
        """Return whether the hop had ended when the agent was still at work on it, and not only just."""
        at_work = report.attempt >= hop.attempt
        return at_work and hop.ended_at is not None and self._clock() - hop.ended_at > ENDED_FOR

    def _send_correction(
        self, agent_id: AgentId, kind: str, about: AgentHop | AboutHop, attempt: int
    ) -> None:
        command = _COMMANDS[kind](transfer_id=about.transfer_id, hop_id=about.hop_id, attempt=attempt)
        self._commands.send_command(agent_id, command)

    def _on_missing(self, agent_id: AgentId, transfer: Transfer, hop: Hop, hello_at: datetime) -> Transfer:
        """Requeue a hop that the agent does not list.

        If it is offered, the command may not have arrived; if it is at work, the agent has lost it.
        """

        def step(old: Hop, now: datetime) -> Hop:
            found = requeued(old, now)
            return lost(found, hello_at, now) if old.carrier == agent_id else found

        decision = one_hop(hop.number, step, by_agent(agent_id))
        return self._writer.change(transfer.transfer_id, decision, transfer).transfer
