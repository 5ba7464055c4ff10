"""Rotate an agent's device certificate, API key and lane certificate while it works.

The agent creates the keys and requests a certificate; the old ones stay valid until it has connected to the
broker with the new certificate. The lane certificate needs no approval: it comes with the agent's Hello.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from events.base import Actor, AgentId
from events.commands import Rotate
from events.requests import RenewalRequest
from events.views import AgentView, RenewalView
from lambdas.agents.certificates import check_csr
from lambdas.agents.service import agent_view
from lambdas.agents.tokens import hash_of, new_secret
from lambdas.audit.recorder import AuditEvent, AuditRecorder, Record, unrecorded
from lambdas.aws.iot_registry import IotRegistry
from lambdas.domain import rotation
from lambdas.domain.agent import Agent
from lambdas.domain.authorization import Principal
from lambdas.domain.errors import AgentUnknownError, StaleError
from lambdas.domain.timeline import CROSSHAUL, by_agent
from lambdas.ports import Clock, CommandSender
from lambdas.store.agents import AgentStore
from lambdas.store.optimistic import retry_stale
from lambdas.telemetry import KEYS_OVERDUE, count, logger

BATCH_SIZE = 50
"""Agents checked a minute, so that a fleet that joined in one day does not rotate in one minute."""
OVERDUE_AFTER = timedelta(days=7)
"""How long an agent may take to renew its keys before a person is told, if it is online."""

Step = Callable[[Agent], Agent]
Write = Callable[[Agent, Agent], None]


class KeyRotation:
    """Requests, issues and confirms new keys of agents."""

    def __init__(
        self,
        *,
        agents: AgentStore,
        registry: IotRegistry,
        commands: CommandSender,
        recorder: AuditRecorder,
        max_key_age: timedelta,
        clock: Clock,
    ) -> None:
        """`max_key_age`: keys of this age are rotated without a request."""
        self._agents = agents
        self._registry = registry
        self._commands = commands
        self._recorder = recorder
        self._max_key_age = max_key_age
        self._clock = clock

    def request_rotation(self, agent_id: AgentId, record: Record) -> AgentView:
        """Request a rotation; an offline agent is told when it connects. Raises AgentUnknownError."""
        agent = self._request(agent_id, record)
        return agent_view(agent, self._clock())

    def renew(self, agent_id: AgentId, request: RenewalRequest, record: Record) -> RenewalView:
        """Issue a certificate and an API key beside those in use.

        Raises:
            AgentUnknownError: There is no agent of this id.
            CertificateError: The CSR is not usable.
            ThingForeignError: The agent's thing is not of this stage.
        """
        csr, api_key = check_csr(request.csr), new_secret()
        kept = rotation.certificates(self._agents.get(agent_id)) | {request.certificate}
        issued = self._registry.renew(agent_id, csr, kept)

        def step(agent: Agent) -> Agent:
            return rotation.renewed(agent, issued.certificate_id, self._clock())

        def write(old: Agent, new: Agent) -> None:
            self._agents.renew(old, new, hash_of(api_key), record(old, new))

        self._change(agent_id, step, write)
        logger.info("agent renewed", extra={"agent_id": agent_id, "certificate": issued.certificate_id})
        return RenewalView(certificate=issued.pem, api_key=api_key)

    def record_hello(self, agent: Agent, certificate: str | None) -> None:
        """Record a Hello that arrived over this certificate, as the broker reports it.

        A new certificate is confirmed, and all others of the agent are revoked. If a rotation is pending, the
        agent is told again, since it may have been offline when it was requested.
        """
        if certificate and rotation.is_news(agent, certificate):
            agent = self._confirm_key(agent.agent_id, certificate)
        if agent.rotation_wanted_at:
            self._commands.send_command(agent.agent_id, Rotate())

    def rotate_aging_keys(self, now: datetime) -> None:
        """Request a rotation of old keys, and repeat a request that is pending for an hour."""
        for agent_id in self._agents.aging(now, BATCH_SIZE):
            try:
                agent = self._request(agent_id, self._record(CROSSHAUL, "rotation-wanted", agent_id))
            except (AgentUnknownError, StaleError):
                continue  # removed or changed at this moment: the next sweep handles it
            if rotation.is_overdue(agent, now, OVERDUE_AFTER):
                logger.warning("agent does not renew its keys", extra={"agent_id": agent_id})
                count(KEYS_OVERDUE)

    def _request(self, agent_id: AgentId, record: Record) -> Agent:
        def write(old: Agent, new: Agent) -> None:
            self._agents.replace_agent(old, new, None if old.rotation_wanted_at else record(old, new))

        agent = self._change(agent_id, lambda agent: rotation.wanted(agent, self._clock()), write)
        if agent.presence == "online":
            self._commands.send_command(agent_id, Rotate())
        return agent

    def _confirm_key(self, agent_id: AgentId, certificate: str) -> Agent:
        """Confirm a new certificate and revoke the others; if it fails halfway, the next Hello repeats it."""

        def step(agent: Agent) -> Agent:
            return rotation.proven(agent, certificate, self._clock(), self._max_key_age)

        expected = step(self._agents.get(agent_id))
        self._registry.revoke_others(agent_id, rotation.certificates(expected))

        def write(old: Agent, new: Agent) -> None:
            is_first = old.certificate is None and old.next_certificate is None
            record = unrecorded if is_first else self._record(by_agent(agent_id), "rotated", agent_id)
            self._agents.confirm_key(old, new, record(old, new))

        confirmed = self._change(agent_id, step, write)
        logger.info("agent certified", extra={"agent_id": agent_id, "certificate": certificate})
        return confirmed

    def _record(self, actor: Actor, verb: str, agent_id: AgentId) -> Record:
        event = AuditEvent(action=f"agent.{verb}", about=f"agent {agent_id}", agents=(agent_id,))
        return self._recorder.record_change(Principal(actor.id), event)

    def _change(self, agent_id: AgentId, step: Step, write: Write) -> Agent:
        def attempt() -> Agent:
            agent = self._agents.get(agent_id)
            new = step(agent)
            write(agent, new)
            return new

        return retry_stale(attempt, f"Agent {agent_id}")
