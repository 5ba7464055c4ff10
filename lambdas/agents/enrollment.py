"""Enroll and register a host: an administrator creates a token, the host sends it with the CSR of its key."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from events.base import AgentId
from events.requests import EnrollmentRequest, RegisterRequest
from events.views import EnrollmentView, RegisteredView
from lambdas.agents.certificates import check_csr, check_lane_certificate
from lambdas.agents.enrollment_slots import EnrollmentSlot, EnrollmentSlots
from lambdas.agents.install_command import install_command
from lambdas.agents.tokens import hash_of, new_secret
from lambdas.audit.recorder import Record, unrecorded
from lambdas.aws.command_publisher import CommandPublisher
from lambdas.aws.iot_registry import IotRegistry
from lambdas.domain.agent import Agent
from lambdas.domain.endpoint import check_endpoints
from lambdas.domain.errors import AgentExistsError, AgentUnknownError
from lambdas.ports import Clock
from lambdas.store.agents import AgentStore
from lambdas.store.base import combined
from lambdas.store.enrollments import Enrollment, EnrollmentStore
from lambdas.store.installer import InstallerStore
from lambdas.telemetry import logger

RegistrationRecorder = Callable[[AgentId, str], Record]
"""Return what is audited with the registration, given the agent and what allowed it."""


def unrecorded_registration(_: AgentId, __: str) -> Record:
    """Record nothing."""
    return unrecorded


@dataclass(frozen=True, kw_only=True)
class EnrollmentStores:
    """The tables that an enrollment reads and writes."""

    agents: AgentStore
    enrollments: EnrollmentStore
    installers: InstallerStore


class EnrollmentService:
    """Creates enrollment tokens, and registers hosts that present one."""

    def __init__(
        self,
        *,
        stores: EnrollmentStores,
        slots: EnrollmentSlots,
        registry: IotRegistry,
        publisher: CommandPublisher,
        stage: str,
        clock: Clock,
    ) -> None:
        self._stores = stores
        self._slots = slots
        self._registry = registry
        self._publisher = publisher
        self._stage = stage
        self._clock = clock

    def enroll(self, request: EnrollmentRequest, api_url: str, record: Record = unrecorded) -> EnrollmentView:
        """Create a token for this name, which replaces an earlier one.

        Raises:
            AgentExistsError: An agent of this name exists.
            ThingForeignError: IoT Core has a thing of this name that is not of this stage.
        """
        self._require_unused(request.agent_id)
        token = f"{request.agent_id}.{new_secret()}"
        enrollment = Enrollment(
            agent_id=request.agent_id,
            token_hash=hash_of(token),
            tags=dict(request.tags),
            expires_at=self._clock().replace(microsecond=0) + timedelta(seconds=request.expires_in),
        )
        shown = {"tags": enrollment.tags, "expires_at": enrollment.expires_at.isoformat()}
        self._stores.enrollments.save_enrollment(enrollment, record(None, shown))
        logger.info("agent enrolled", extra={"agent_id": request.agent_id})
        return EnrollmentView(
            agent_id=request.agent_id,
            token=token,
            expires_at=enrollment.expires_at,
            command=install_command(self._stores.installers.get(), api_url, request.roots),
        )

    def register(
        self,
        request: RegisterRequest,
        source_ip: str | None,
        record_registration: RegistrationRecorder = unrecorded_registration,
    ) -> RegisteredView:
        """Register the host as an agent, completely or not at all. After a failure the token works again.

        Raises:
            TokenError, RolloutOverError, AgentNameError, ForbiddenError: See `EnrollmentSlots.find_slot`.
            CertificateError: The CSR or the lane certificate is not usable.
            EndpointError: An endpoint is invalid.
            AgentExistsError, ThingForeignError, NameReservedError: The name is taken.
            StaleError: The token is being used for the same name at this moment.
        """
        slot = self._slots.find_slot(request)
        csr = check_csr(request.csr)
        now = self._clock()
        agent = _agent(request, slot, source_ip, now)
        self._require_unused(agent.agent_id)
        slot.claim(now)
        try:
            return self._provision(agent, csr, slot, now, record_registration(slot.agent_id, slot.why))
        except Exception:
            self._undo(slot, now)
            raise

    def _provision(
        self, agent: Agent, csr: str, slot: EnrollmentSlot, now: datetime, record: Record
    ) -> RegisteredView:
        certificate = self._registry.provision(agent.agent_id, csr)
        endpoint, keys, api_key = self._registry.endpoint(), self._publisher.verification_keys(), new_secret()
        writes = combined(slot.used(now), record(None, agent))
        self._stores.agents.create_agent(agent, hash_of(api_key), writes)
        logger.info("agent registered", extra={"agent_id": agent.agent_id})
        return RegisteredView(
            agent_id=agent.agent_id,
            thing=self._registry.thing(agent.agent_id),
            stage=self._stage,
            certificate=certificate,
            mqtt_host=endpoint.host,
            mqtt_port=endpoint.port,
            mqtt_ca=endpoint.ca,
            api_key=api_key,
            verification_keys=keys,
        )

    def _undo(self, slot: EnrollmentSlot, now: datetime) -> None:
        """Remove the identity if this registration still holds the slot, then release the token."""
        if not slot.is_claimed(now):
            return
        try:
            self._registry.deprovision(slot.agent_id)
        finally:
            slot.release(now)

    def _require_unused(self, agent_id: AgentId) -> None:
        try:
            self._stores.agents.get(agent_id)
        except AgentUnknownError:
            self._registry.check_owner(agent_id)
            return
        raise AgentExistsError(agent_id)


def _agent(request: RegisterRequest, slot: EnrollmentSlot, source_ip: str | None, now: datetime) -> Agent:
    """Return the agent as the host describes itself; raises EndpointError or CertificateError."""
    check_endpoints(request.endpoints)
    return Agent(
        agent_id=slot.agent_id,
        hostname=request.hostname,
        ip_address=source_ip,
        tags=slot.tags,
        roots=request.roots,
        endpoints=request.endpoints,
        lane_certificate=check_lane_certificate(request.lane_certificate, now),
        capabilities=request.capabilities,
        version=request.version,
        registered_at=now,
    )
