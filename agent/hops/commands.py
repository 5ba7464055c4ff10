"""From a letter to what it asks for: verified, written down, acknowledged, and only then done."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from agent.cloud.command_verifier import CommandVerifier, TrustError, replayed
from agent.cloud.messages import LinkError
from agent.errors import HopError, unforeseen
from agent.hops.journal import Journal
from agent.hops.manager import HopManager
from agent.hops.record import on_move, on_stop
from agent.hops.report_outbox import ReportOutbox, now
from events.base import Problem
from events.commands import (
    Browse,
    Cancel,
    Claims,
    Command,
    Move,
    Pause,
    Release,
    Retire,
    Rotate,
    Serve,
    Trust,
    Update,
)
from events.reports import DESTINATION_UNREACHABLE, Browsed, Refused

log = logging.getLogger(__name__)


class Lane(Protocol):
    """The source's side of direct hops."""

    def allow(self, serve: Serve, token: str) -> None: ...

    def revoke(self, hop_id: str) -> None: ...

    def on_unreachable(self, unreached: Callable[[Serve, str], None]) -> None: ...


class Commands:
    """Obeys what the control plane orders."""

    def __init__(
        self,
        verifier: CommandVerifier,
        journal: Journal,
        desk: ReportOutbox,
        hops: HopManager,
        lane: Lane,
        browse: Callable[[Browse], Browsed],
        rotate: Callable[[], None],
        trust: Callable[[Trust, str], None],
        retire: Callable[[], None],
    ) -> None:
        self._verifier = verifier
        self._journal = journal
        self._desk = desk
        self._hops = hops
        self._lane = lane
        self._browse = browse
        self._rotate = rotate
        self._trust = trust
        self._retire = retire

    def accept(self, letter: bytes) -> Command | None:
        """The command, once it and all it asks for stand in the journal; None when it is refused."""
        try:
            claims, token = self._verifier.verify(letter)
            with self._journal.change():
                if not self._journal.admit(claims.jti, claims.exp):
                    raise replayed(claims.jti)
                self._record(claims.command, token)
            if isinstance(claims.command, Trust):  # at once: what comes next may be signed by them
                self._trust(claims.command, token)
        except TrustError as refusal:
            self._refuse(refusal.problem, refusal.command_id, refusal.hop_id)
            return None
        log.info("command", extra=_facts(claims))
        return claims.command

    async def execute(self, command: Command) -> None:
        """One that breaks is over, and logged: those beside it, and the hops, are not to end with it. Raises
        sqlite3.Error where the journal itself is at fault."""
        try:
            await self._obey(command)
        except sqlite3.Error:
            raise
        except Exception as error:
            log.exception("command broke", extra={"kind": command.kind})
            self._refuse(unforeseen(error), None, getattr(command, "hop_id", None))

    def refuse_unforeseen(self, error: Exception) -> None:
        """Nothing could be made of a message, by a mistake of ours."""
        self._refuse(unforeseen(error), None)

    async def _obey(self, command: Command) -> None:
        match command:
            case Move() | Pause() | Cancel():
                await self._hops.reconcile(command.hop_id)
            case Serve():
                self._serve(command)
            case Release():
                self._release(command)
            case Browse():
                await self._answer(command)
            case Rotate():
                self._rotate()
            case Trust():
                log.debug("heeded already")
            case Update():
                log.warning("an update that came by itself", extra={"version": command.version})
            case Retire():
                log.warning("removed by the control plane")
                self._retire()

    def resume_serving(self) -> None:
        """After a start: serve what was served."""
        self.end_old_grants()
        for serve, token in self._journal.grants():
            self._allow(serve, token)

    def report_unreachable(self, serve: Serve, answers: str) -> None:
        """The peer of a hop that is served could not be dialled; it may still dial us."""
        self._desk.enqueue(
            Refused(at=now(), hop_id=serve.hop_id, problem=_unreached(serve.peer.agent_id, answers))
        )

    def end_old_grants(self) -> None:
        moment = datetime.now(UTC)
        for serve, _ in self._journal.grants():
            if serve.until < moment:
                self._lane.revoke(serve.hop_id)
                self._journal.withdraw(serve.hop_id)

    def _record(self, command: Command, token: str) -> None:
        match command:
            case Move():
                self._record_move(command)
            case Pause() | Cancel():
                held = on_stop(self._journal.hop(command.hop_id), command)
                if held:
                    self._journal.save_hop(held)
            case Serve():
                if command.attempt >= self._served_attempt(command.hop_id):
                    self._journal.grant(command, token)
            case Release():
                if command.attempt >= self._served_attempt(command.hop_id):
                    self._journal.withdraw(command.hop_id)
            case Retire():
                self._journal.retire()
            case Browse() | Rotate() | Update() | Trust():  # nudges, and what others note
                pass

    def _record_move(self, order: Move) -> None:
        held = on_move(self._journal.hop(order.hop_id), order)
        self._journal.save_hop(held)
        if held.end and held.attempt == order.attempt:
            self._desk.enqueue_for_hop(held.end.model_copy(update={"at": now()}))
            log.info("hop was over already", extra={"hop_id": held.hop_id, "end": held.end.kind})

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
        except Exception as error:  # at a start it would keep all others from being served
            log.exception("hop not served", extra={"hop_id": serve.hop_id})
            self._journal.withdraw(serve.hop_id)
            self._refuse(unforeseen(error), None, serve.hop_id)

    def _release(self, command: Release) -> None:
        if not self._served_attempt(command.hop_id):
            self._lane.revoke(command.hop_id)

    def _served_attempt(self, hop_id: str) -> int:
        """0 when the hop is not served."""
        grants = self._journal.grants()
        return max((serve.attempt for serve, _ in grants if serve.hop_id == hop_id), default=0)

    async def _answer(self, command: Browse) -> None:
        try:
            answer = await asyncio.to_thread(self._browse, command)
        except Exception as error:
            log.exception("listing broke", extra={"path": command.path})
            answer = Browsed(request_id=command.request_id, problem=unforeseen(error))
        try:
            await self._desk.publish(answer)
        except LinkError as error:
            log.warning("listing lost", extra={"path": command.path, "reason": str(error)})

    def _refuse(self, problem: Problem, command_id: str | None, hop_id: str | None = None) -> None:
        facts = {"code": problem.code, "reason": problem.message, "command_id": command_id, "hop_id": hop_id}
        log.warning("command refused", extra=facts)
        self._desk.enqueue(Refused(at=now(), command_id=command_id, hop_id=hop_id, problem=problem))


def _unreached(agent_id: str, answers: str) -> Problem:
    return Problem(
        code=DESTINATION_UNREACHABLE,
        message=f"Its source dialled {agent_id} in vain: {answers}.",
        advice=f"Nothing, if {agent_id} can dial the source: one way is enough.",
        retryable=True,
    )


def _facts(claims: Claims) -> dict[str, object]:
    command = claims.command
    hop_id, attempt = getattr(command, "hop_id", None), getattr(command, "attempt", None)
    facts = {"kind": command.kind, "command_id": claims.jti, "hop_id": hop_id, "attempt": attempt}
    return {name: value for name, value in facts.items() if value is not None}
