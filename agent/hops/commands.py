"""Handle command messages: verify, record in the journal, acknowledge, and only then execute."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from agent.cloud.command_verifier import CommandVerifier, TrustError, possibly_replayed, replayed
from agent.cloud.messages import LinkError
from agent.errors import HopError, unforeseen
from agent.hops.journal import Journal
from agent.hops.manager import DiscardHop, HopManager
from agent.hops.record import on_move, on_stop
from agent.hops.report_outbox import ReportOutbox, now
from agent.metrics.families import Counter
from agent.problems import DESTINATION_UNREACHABLE
from events.base import Problem, TransferId
from events.commands import (
    Browse,
    Cancel,
    Claims,
    Command,
    Move,
    Pause,
    ReadLog,
    Release,
    Relocate,
    Retire,
    Rotate,
    Serve,
    Trust,
    UpdateAgent,
    Watch,
)
from events.reports import Browsed, LogExcerpt, Refused

log = logging.getLogger(__name__)


class Lane(Protocol):
    """The source's side of direct hops."""

    @property
    def served(self) -> int:
        """Number of hops whose peer is connected."""

    def allow(self, serve: Serve, token: str) -> None: ...

    def revoke(self, hop_id: str) -> None: ...

    def on_unreachable(self, callback: Callable[[Serve, str], None]) -> None: ...


@dataclass(frozen=True)
class CommandHandlers:
    """What the agent's other parts do for a command."""

    browse: Callable[[Browse], Browsed]
    read_log: Callable[[ReadLog], LogExcerpt]
    watch: Callable[[TransferId, int], None]
    rotate: Callable[[], None]
    trust: Callable[[Trust, str], None]
    relocate: Callable[[str], None]
    retire: Callable[[], None]
    discard: DiscardHop
    """Removes what a hop that the journal does not know has left on this host."""


class Commands:
    """Accepts and executes the control plane's commands."""

    def __init__(
        self,
        verifier: CommandVerifier,
        journal: Journal,
        outbox: ReportOutbox,
        hops: HopManager,
        lane: Lane,
        handlers: CommandHandlers,
    ) -> None:
        self._verifier = verifier
        self._journal = journal
        self._outbox = outbox
        self._hops = hops
        self._lane = lane
        self._handlers = handlers
        self.refusals = Counter("code")
        self.latest_age_s: float | None = None
        """This host's time of the latest command's arrival minus the time at which it was signed, in seconds:
        the way that it took, and the difference of the clocks."""

    def accept(self, message: bytes) -> Command | None:
        """Return the command, once it and its effects are in the journal; None if it is refused."""
        try:
            claims, token = self._verifier.verify(message)
            self.latest_age_s = time.time() - claims.iat
            created_at = self._journal.created_at(time.time())
            if claims.iat < created_at:
                raise possibly_replayed(claims.jti, claims.iat, created_at)
            with self._journal.change():
                if not self._journal.admit(claims.jti, claims.exp):
                    raise replayed(claims.jti)
                self._record(claims.command, token)
            if isinstance(claims.command, Trust):  # immediately: the next command may be signed with them
                self._handlers.trust(claims.command, token)
        except TrustError as refusal:
            self._refuse(refusal.problem, refusal.command_id, refusal.hop_id)
            return None
        log.info("command", extra=_facts(claims))
        return claims.command

    async def execute(self, command: Command) -> None:
        """Execute an accepted command; one that fails unexpectedly is logged and refused.

        Other commands and the hops continue. Raises sqlite3.Error if the journal itself is at fault.
        """
        try:
            await self._dispatch(command)
        except sqlite3.Error:
            raise
        except Exception as error:
            log.exception("command failed unexpectedly", extra={"kind": command.kind})
            self._refuse(unforeseen(error), None, getattr(command, "hop_id", None))

    def refuse_unforeseen(self, error: Exception) -> None:
        """Report that a message could not be processed because of a bug in the agent."""
        self._refuse(unforeseen(error), None)

    async def _dispatch(self, command: Command) -> None:
        match command:
            case Watch():
                self._handlers.watch(command.transfer_id, command.seconds)
            case Move():
                self._handlers.watch(command.transfer_id, command.watch_s)
                await self._hops.reconcile(command.hop_id)
            case Pause():
                await self._hops.reconcile(command.hop_id)
            case Cancel():
                await self._hops.reconcile(command.hop_id)
                await self._hops.discard_unknown(command.hop_id, self._handlers.discard)
            case Serve():
                self._serve(command)
            case Release():
                self._release(command)
            case Browse():
                await self._list_directory(command)
            case ReadLog():
                await self._answer(self._handlers.read_log(command))
            case _:
                self._administer(command)

    def _administer(self, command: Command) -> None:
        """Execute a command that concerns the agent itself."""
        match command:
            case Rotate():
                self._handlers.rotate()
            case Relocate():
                self._handlers.relocate(command.api_url)
            case Trust():
                log.debug("keys were replaced when the command was accepted")
            case UpdateAgent():
                log.warning(
                    "update command ignored: updates arrive as IoT jobs", extra={"version": command.version}
                )
            case Retire():
                log.warning("removed by the control plane")
                self._handlers.retire()

    def resume_serving(self) -> None:
        """Serve every recorded grant again, after a start."""
        self.end_old_grants()
        for serve, token in self._journal.grants():
            self._allow(serve, token)

    def report_unreachable(self, serve: Serve, errors: str) -> None:
        """Report that the peer of a served hop could not be dialed; the peer may still dial this agent."""
        problem = DESTINATION_UNREACHABLE.problem(agent_id=serve.peer.agent_id, reason=errors)
        self._outbox.enqueue(Refused(at=now(), hop_id=serve.hop_id, problem=problem))

    def end_old_grants(self) -> None:
        """Withdraw the grants whose time is over."""
        current = datetime.now(UTC)
        for serve, _ in self._journal.grants():
            if serve.until < current:
                self._lane.revoke(serve.hop_id)
                self._journal.withdraw(serve.hop_id)

    def _record(self, command: Command, token: str) -> None:
        match command:
            case Move():
                self._record_move(command)
            case Pause() | Cancel():
                record = on_stop(self._journal.hop(command.hop_id), command)
                if record:
                    self._journal.save_hop(record)
            case Serve():
                if command.attempt >= self._served_attempt(command.hop_id):
                    self._journal.grant(command, token)
            case Release():
                if command.attempt >= self._served_attempt(command.hop_id):
                    self._journal.withdraw(command.hop_id)
            case Retire():
                self._journal.retire()
            case (
                Watch() | Browse() | ReadLog() | Rotate() | UpdateAgent() | Trust() | Relocate()
            ):  # nothing to record, or recorded elsewhere
                pass

    def _record_move(self, move: Move) -> None:
        record = on_move(self._journal.hop(move.hop_id), move)
        self._journal.save_hop(record)
        if record.end and record.attempt == move.attempt:
            self._outbox.enqueue_for_hop(record.end.model_copy(update={"at": now()}))
            log.info("hop has already ended", extra={"hop_id": record.hop_id, "end": record.end.kind})

    def _serve(self, command: Serve) -> None:
        for serve, token in self._journal.grants():
            if serve == command:
                self._allow(serve, token)

    def _allow(self, serve: Serve, token: str) -> None:
        try:
            self._lane.allow(serve, token)
        except HopError as error:
            self._journal.withdraw(serve.hop_id)
            self._refuse(error.problem, None, serve.hop_id)
        except Exception as error:  # the other grants must still be served
            log.exception("hop not served", extra={"hop_id": serve.hop_id})
            self._journal.withdraw(serve.hop_id)
            self._refuse(unforeseen(error), None, serve.hop_id)

    def _release(self, command: Release) -> None:
        if not self._served_attempt(command.hop_id):
            self._lane.revoke(command.hop_id)

    def _served_attempt(self, hop_id: str) -> int:
        """Return the highest attempt served of a hop; 0 if the hop is not served."""
        grants = self._journal.grants()
        return max((serve.attempt for serve, _ in grants if serve.hop_id == hop_id), default=0)

    async def _list_directory(self, command: Browse) -> None:
        try:
            reply = await asyncio.to_thread(self._handlers.browse, command)
        except Exception as error:
            log.exception("listing failed unexpectedly", extra={"path": command.path})
            reply = Browsed(request_id=command.request_id, problem=unforeseen(error))
        await self._answer(reply)

    async def _answer(self, reply: Browsed | LogExcerpt) -> None:
        """Publish an answer now or never: a person waits for it."""
        try:
            await self._outbox.publish(reply)
        except LinkError as error:
            log.warning("answer lost", extra={"kind": reply.kind, "reason": str(error)})

    def _refuse(self, problem: Problem, command_id: str | None, hop_id: str | None = None) -> None:
        facts = {"code": problem.code, "reason": problem.message, "command_id": command_id, "hop_id": hop_id}
        log.warning("command refused", extra=facts)
        self.refusals.add(1, problem.code)
        self._outbox.enqueue(Refused(at=now(), command_id=command_id, hop_id=hop_id, problem=problem))


def _facts(claims: Claims) -> dict[str, object]:
    command = claims.command
    hop_id, attempt = getattr(command, "hop_id", None), getattr(command, "attempt", None)
    facts = {"kind": command.kind, "command_id": claims.jti, "hop_id": hop_id, "attempt": attempt}
    facts["transfer_id"] = None if hop_id else getattr(command, "transfer_id", None)
    return {name: value for name, value in facts.items() if value is not None}
