"""Start, show and cancel agent updates. How they advance through stages is in `update_stages`."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from events.base import Actor, AgentId, UpdateId
from events.commands import UpdateAgent as UpdateCommand
from events.updates import (
    MAX_AGENTS,
    UpdateDetails,
    UpdateOrderView,
    UpdateRequest,
    UpdatesView,
    UpdateView,
)
from lambdas.agents.cursors import parse_cursor
from lambdas.agents.update_stages import BATCH_SIZE, StageJobs
from lambdas.audit.recorder import Record
from lambdas.domain import update as domain
from lambdas.domain.agent import Agent
from lambdas.domain.errors import (
    AgentBusyUpdatingError,
    AgentUnknownError,
    LimitError,
    NothingToUpdateError,
    UpdateUnknownError,
    VersionUnknownError,
)
from lambdas.domain.problems import TOO_MANY_AGENTS, UPDATE_CANCELLED
from lambdas.domain.update import Member, Update
from lambdas.ports import Clock, CommandSender
from lambdas.store.agent_list import find_names
from lambdas.store.agents import AgentStore
from lambdas.store.installer import InstallerStore
from lambdas.store.optimistic import retry_stale
from lambdas.store.updates import UpdateStore
from lambdas.telemetry import logger

_COMMAND_LIFETIME = timedelta(minutes=10)
"""How long the signed order of an update is valid; the updater uses it at once."""

Step = Callable[[Update], Update]


class UpdateService:
    """Starts, lists and cancels updates, and issues their signed orders."""

    def __init__(
        self,
        *,
        store: UpdateStore,
        agents: AgentStore,
        installers: InstallerStore,
        jobs: StageJobs,
        commands: CommandSender,
        clock: Clock,
    ) -> None:
        self._store = store
        self._agents = agents
        self._installers = installers
        self._jobs = jobs
        self._commands = commands
        self._clock = clock

    def plan(self, request: UpdateRequest, update_id: UpdateId, by: Actor) -> tuple[Update, list[Agent]]:
        """Return the update and its agents; online agents come first, agents of that version are left out.

        Raises:
            VersionUnknownError: The version is not published.
            AgentUnknownError: A named agent does not exist.
            LimitError: More agents match than one update may have.
            NothingToUpdateError: All agents have that version.
        """
        installer = self._installers.get(request.version)
        if installer is None:
            raise VersionUnknownError(request.version)
        version = installer.version
        agents = [agent for agent in self._select_agents(request, version) if agent.version != version]
        if not agents:
            raise NothingToUpdateError(version)
        agents.sort(key=lambda agent: (agent.presence != "online", agent.agent_id))
        stages = domain.staged([agent.agent_id for agent in agents], request.canaries, request.percents)
        members = tuple(
            Member(agent_id=agent.agent_id, stage=stages[agent.agent_id], before=agent.version)
            for agent in agents
        )
        update = Update(
            update_id=update_id,
            version=version,
            script=installer.address,
            digest=installer.digest,
            release=installer.release,
            members=members,
            abort_above=request.abort_above,
            healthy_within=request.healthy_within,
            created_by=by,
            created_at=self._clock().replace(microsecond=0),
        )
        return update, agents

    def start_update(self, update: Update, record: Record) -> None:
        """Store the update and begin its first stage.

        Raises:
            AgentBusyUpdatingError: An agent is part of another running update.
            StaleError: This update was started before.
        """
        self._require_not_updating(update)
        first = domain.begun(update, 0)
        self._store.create_update(first, record(None, first))
        logger.info("update started", extra={"update_id": update.update_id, "version": update.version})
        self._jobs.create_job(first, 0)  # if this fails, the next sweep of UpdateStages repeats it

    def list_updates(self, limit: int, after: str | None) -> UpdatesView:
        """Return one page, sorted newest first; raises CursorError."""
        found, following = self._store.list_updates(limit, parse_cursor(UpdateId, after))
        newest_first = sorted(found, key=lambda update: update.created_at, reverse=True)
        return UpdatesView(
            updates=tuple(UpdateView(**_view_fields(update)) for update in newest_first), next=following
        )

    def get(self, update_id: UpdateId) -> Update:
        """Return an update; raises UpdateUnknownError."""
        return self._store.get(update_id)[0]

    def view(self, update_id: UpdateId) -> UpdateDetails:
        """Return an update as the API shows it; raises UpdateUnknownError."""
        return UpdateDetails.model_validate(_view_fields(self.get(update_id)))

    def cancel(self, update_id: UpdateId, by: Actor, record: Record) -> UpdateDetails:
        """Stop further agents from beginning; raises UpdateUnknownError or UpdateOverError."""

        def step(update: Update) -> Update:
            domain.must_run(update)
            return domain.ended(
                update, "cancelled", UPDATE_CANCELLED.problem(person=by.name), by, self._clock()
            )

        update = self._change(update_id, step, record)
        logger.info("update cancelled", extra={"update_id": update_id, "by": by.id})
        self._jobs.cancel_jobs(update)
        return UpdateDetails.model_validate(_view_fields(update))

    def order(self, agent_id: AgentId, update_id: UpdateId) -> UpdateOrderView:
        """Return the signed order for an agent, or why there is none; raises AgentUnknownError."""
        reported_version = self._agents.get(agent_id).version
        try:
            update = self.get(update_id)
        except UpdateUnknownError as error:
            return UpdateOrderView(reported_version=reported_version, problem=error.problem)
        if problem := domain.why_not(update, agent_id):
            return UpdateOrderView(reported_version=reported_version, problem=problem)
        if reported_version == update.version:
            return UpdateOrderView(reported_version=reported_version)
        command = UpdateCommand(
            update_id=update_id,
            version=update.version,
            script=update.script,
            digest=update.digest,
            release=update.release,
            healthy_within=update.healthy_within,
        )
        logger.info("update ordered", extra={"update_id": update_id, "agent_id": agent_id})
        return UpdateOrderView(
            reported_version=reported_version, token=self._commands.sign(agent_id, command, _COMMAND_LIFETIME)
        )

    def _select_agents(self, request: UpdateRequest, version: str) -> list[Agent]:
        """Return the agents that the request names, or tags and that have another version.

        Raises:
            AgentUnknownError: A named agent does not exist.
            LimitError: There are more than one update may have.
        """
        if request.agents:
            found = self._agents.get_many(request.agents)
            if missing := sorted(set(request.agents) - found.keys()):
                raise AgentUnknownError(missing[0])
            return list(found.values())
        names = find_names(request.tags, version)
        if len(names) > MAX_AGENTS:
            raise LimitError(words=TOO_MANY_AGENTS, count=len(names), limit=MAX_AGENTS)
        return list(self._agents.get_many(names).values())

    def _require_not_updating(self, update: Update) -> None:
        names = {member.agent_id for member in update.members}
        for other in self._store.running(BATCH_SIZE):
            unfinished = {member.agent_id for member in other.members if member.state not in domain.ENDED}
            if busy := sorted(names & unfinished):
                raise AgentBusyUpdatingError(busy[0], other.update_id)

    def _change(self, update_id: UpdateId, step: Step, record: Record) -> Update:
        def attempt() -> Update:
            old, revision = self._store.get(update_id)
            new = step(old)
            self._store.replace_update(new, revision, self._clock(), record(old, new))
            return new

        return retry_stale(attempt, f"The update {update_id}")


def _view_fields(update: Update) -> dict[str, Any]:
    return {**asdict(update), "stages": update.stages, "counts": update.counts}
