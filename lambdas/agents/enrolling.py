"""A host joins: an administrator lets it, by a token that works once; the host brings the CSR of its key."""

import re
from datetime import datetime, timedelta

from events.base import AgentId
from events.requests import EnrollmentRequest, RegisterRequest
from events.views import EnrollmentView, RegisteredView
from lambdas.agents.certificates import check_csr, check_lane_certificate
from lambdas.agents.line import line
from lambdas.agents.registry import Registry
from lambdas.agents.secrets import hash_of, is_secret, new_secret
from lambdas.audit.recording import Record, unrecorded
from lambdas.domain.agent import Agent
from lambdas.domain.endpoint import check_endpoints
from lambdas.domain.errors import AgentExistsError, AgentUnknownError, TokenError
from lambdas.fleet import Fleet
from lambdas.store.agents import AgentStore
from lambdas.store.base import both
from lambdas.store.enrollments import Enrollment, EnrollmentStore
from lambdas.store.installer import InstallerStore
from lambdas.telemetry import logger
from lambdas.transfers.ports import Clock

_TOKEN = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)\.[A-Za-z0-9_-]+")
"""The agent's name and the secret, so that a token finds its enrolment."""


class Enrolling:
    def __init__(
        self,
        *,
        agents: AgentStore,
        enrollments: EnrollmentStore,
        installers: InstallerStore,
        registry: Registry,
        fleet: Fleet,
        stage: str,
        clock: Clock,
    ) -> None:
        self._agents = agents
        self._enrollments = enrollments
        self._installers = installers
        self._registry = registry
        self._fleet = fleet
        self._stage = stage
        self._clock = clock

    def enroll(self, request: EnrollmentRequest, api_url: str, record: Record = unrecorded) -> EnrollmentView:
        """A new token for this name, in place of any earlier one; raises AgentExistsError."""
        self._must_be_new(request.agent_id)
        token = f"{request.agent_id}.{new_secret()}"
        enrollment = Enrollment(
            agent_id=request.agent_id,
            token_hash=hash_of(token),
            tags=dict(request.tags),
            expires_at=self._clock().replace(microsecond=0) + timedelta(seconds=request.expires_in),
        )
        shown = {"tags": enrollment.tags, "expires_at": enrollment.expires_at.isoformat()}
        self._enrollments.put(enrollment, record(None, shown))
        logger.info("agent enrolled", extra={"agent_id": request.agent_id})
        return EnrollmentView(
            agent_id=request.agent_id,
            token=token,
            expires_at=enrollment.expires_at,
            command=line(self._installers.get(), api_url, request.roots),
        )

    def register(
        self, request: RegisterRequest, source_ip: str | None, record: Record = unrecorded
    ) -> RegisteredView:
        """Make the host an agent, whole or not at all: when it fails, the token can be tried again.

        Raises TokenError, CertificateError, EndpointError, AgentExistsError, or StaleError if the same
        token is being used at this very moment.
        """
        enrollment = self._enrollment(request.token)
        csr = check_csr(request.csr)
        now = self._clock()
        agent = _agent(request, enrollment, source_ip, now)
        self._must_be_new(agent.agent_id)
        self._enrollments.claim(enrollment, now)
        try:
            return self._admit(agent, csr, enrollment, now, record)
        except Exception:
            self._undo(enrollment, now)
            raise

    def _admit(
        self, agent: Agent, csr: str, enrollment: Enrollment, now: datetime, record: Record
    ) -> RegisteredView:
        certificate = self._registry.admit(agent.agent_id, csr)
        endpoint, keys, api_key = self._registry.endpoint(), self._fleet.verification_keys(), new_secret()
        also = both(self._enrollments.used(enrollment, now), record(None, agent))
        self._agents.create(agent, hash_of(api_key), also)
        logger.info("agent registered", extra={"agent_id": agent.agent_id})
        return RegisteredView(
            agent_id=agent.agent_id,
            stage=self._stage,
            certificate=certificate,
            mqtt_host=endpoint.host,
            mqtt_port=endpoint.port,
            mqtt_ca=endpoint.ca,
            api_key=api_key,
            verification_keys=keys,
        )

    def _undo(self, enrollment: Enrollment, now: datetime) -> None:
        """Leave no identity behind, if it still is ours to remove; then let the token be tried again."""
        if self._enrollments.is_claimed(enrollment, now):
            self._registry.expel(enrollment.agent_id)
            self._enrollments.release(enrollment, now)

    def _enrollment(self, token: str) -> Enrollment:
        found = _TOKEN.fullmatch(token)
        enrollment = self._enrollments.get(found[1]) if found else None
        if not is_secret(token, enrollment.token_hash if enrollment else None):
            raise TokenError
        if enrollment is None or enrollment.expires_at <= self._clock():
            raise TokenError
        return enrollment

    def _must_be_new(self, agent_id: AgentId) -> None:
        try:
            self._agents.get(agent_id)
        except AgentUnknownError:
            return
        raise AgentExistsError(agent_id)


def _agent(request: RegisterRequest, enrollment: Enrollment, source_ip: str | None, now: datetime) -> Agent:
    """As the host describes itself; raises EndpointError or CertificateError."""
    check_endpoints(request.endpoints)
    return Agent(
        agent_id=enrollment.agent_id,
        hostname=request.hostname,
        ip_address=source_ip,
        tags=enrollment.tags,
        roots=request.roots,
        endpoints=request.endpoints,
        lane_certificate=check_lane_certificate(request.lane_certificate, now),
        capabilities=request.capabilities,
        version=request.version,
        registered_at=now,
    )
