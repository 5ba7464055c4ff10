"""Agents in IoT Core: a thing for each, with one certificate that has the device policy.

Things belong to the whole account. Only those with this stage's attribute are the stage's: any other is never
changed, even under a name that is this stage's to give.
"""

import time
from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from events.base import AgentId, ThingName
from events.topics import STAGE_ATTRIBUTE, Topics
from lambdas.domain.errors import ThingForeignError
from lambdas.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient

_NOT_FOUND, _ALREADY_EXISTS = "ResourceNotFoundException", "ResourceAlreadyExistsException"
_RETRYABLE = {"InvalidRequestException", "DeleteConflictException", "CertificateStateException"}
"""To detach takes IoT Core a moment, and until then nothing that is attached can be deleted."""
_MAX_ATTEMPTS = 6
_RETRY_DELAY_S = 0.4
"""Seconds."""


@dataclass(frozen=True)
class IotEndpoint:
    """Where agents find the broker."""

    host: str
    port: int
    ca: str | None


@dataclass(frozen=True)
class IssuedCertificate:
    """A certificate that was made."""

    certificate_id: str
    """Its fingerprint."""
    pem: str


class IotRegistry:
    """Gives agents their identity, and takes it back."""

    def __init__(
        self,
        iot: "IoTClient",
        topics: Topics,
        policy: str,
        endpoint: IotEndpoint,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._iot = iot
        self._topics = topics
        self._policy = policy
        self._endpoint = endpoint
        self._wait = wait

    def endpoint(self) -> IotEndpoint:
        known = self._endpoint
        host = known.host or self._iot.describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"]
        return IotEndpoint(host, known.port, known.ca)

    def thing(self, agent_id: AgentId) -> ThingName:
        """Return the name of the agent's thing, which is also its MQTT client id."""
        return self._topics.thing(agent_id)

    def check_owner(self, agent_id: AgentId) -> None:
        """Raise ThingForeignError if a thing has the agent's name that this stage did not make."""
        self._exists(self.thing(agent_id))

    def provision(self, agent_id: AgentId, csr: str) -> str:
        """The agent's certificate, PEM. Whatever an earlier try has left is removed first.

        It becomes active last: one that is half made opens nothing. Raises ThingForeignError.
        """
        self.deprovision(agent_id)
        thing = self.thing(agent_id)
        self._create(thing)
        return self._issue(thing, csr).pem

    def renew(self, agent_id: AgentId, csr: str, keep: Container[str]) -> IssuedCertificate:
        """One more certificate; what earlier tries have left, beside those to be kept, is removed first.
        Raises ThingForeignError."""
        self.revoke_others(agent_id, keep)
        return self._issue(self.thing(agent_id), csr)

    def revoke_others(self, agent_id: AgentId, keep: Container[str]) -> None:
        """Revoke and remove the agent's certificates but these, named by their ids. Raises
        ThingForeignError."""
        thing = self.thing(agent_id)
        for arn in self._certificates(thing) if self._exists(thing) else ():
            if _id(arn) not in keep:
                self._revoke(thing, arn)

    def _create(self, thing: ThingName) -> None:
        """IoT Core refuses a name whose thing has other attributes: it may have come this very moment."""
        attributes = {STAGE_ATTRIBUTE: self._topics.stage}
        try:
            self._iot.create_thing(thingName=thing, attributePayload={"attributes": attributes})
        except ClientError as error:
            if _code(error) != _ALREADY_EXISTS:
                raise
            raise ThingForeignError(thing, self._topics.stage) from error

    def _issue(self, thing: ThingName, csr: str) -> IssuedCertificate:
        issued = self._iot.create_certificate_from_csr(certificateSigningRequest=csr, setAsActive=False)
        self._iot.attach_thing_principal(thingName=thing, principal=issued["certificateArn"])
        self._iot.attach_policy(policyName=self._policy, target=issued["certificateArn"])
        self._iot.update_certificate(certificateId=issued["certificateId"], newStatus="ACTIVE")
        return IssuedCertificate(issued["certificateId"], issued["certificatePem"])

    def deprovision(self, agent_id: AgentId) -> None:
        """Revoke and remove its certificates, then its thing; all is well if there are none.

        What IoT Core will not delete yet is left: revoked, it opens nothing. Raises ThingForeignError.
        """
        thing = self.thing(agent_id)
        if not self._exists(thing):
            return
        for arn in self._certificates(thing):
            self._revoke(thing, arn)
        self._undo(lambda: self._iot.delete_thing(thingName=thing), thing)

    def _exists(self, thing: ThingName) -> bool:
        """Raises ThingForeignError if it is there without this stage's attribute."""
        try:
            found = self._iot.describe_thing(thingName=thing)
        except ClientError as error:
            if _code(error) != _NOT_FOUND:
                raise
            return False
        if found.get("attributes", {}).get(STAGE_ATTRIBUTE) != self._topics.stage:
            raise ThingForeignError(thing, self._topics.stage)
        return True

    def _certificates(self, thing: ThingName) -> list[str]:
        pages = self._iot.get_paginator("list_thing_principals").paginate(thingName=thing)
        try:
            return [arn for page in pages for arn in page["principals"]]
        except ClientError as error:
            if _code(error) != _NOT_FOUND:
                raise
            return []

    def _revoke(self, thing: ThingName, arn: str) -> None:
        """A certificate that another thing uses as well only loses this thing and the device policy."""
        certificate_id, is_shared = _id(arn), self._is_shared(thing, arn)
        if not is_shared:
            self._iot.update_certificate(certificateId=certificate_id, newStatus="REVOKED")
        self._undo(lambda: self._iot.detach_policy(policyName=self._policy, target=arn), arn)
        self._undo(lambda: self._iot.detach_thing_principal(thingName=thing, principal=arn), arn)
        if is_shared:
            logger.warning("certificate left to another thing", extra={"thing": thing, "certificate": arn})
        else:
            self._undo(
                lambda: self._iot.delete_certificate(certificateId=certificate_id, forceDelete=True), arn
            )

    def _is_shared(self, thing: ThingName, arn: str) -> bool:
        pages = self._iot.get_paginator("list_principal_things").paginate(principal=arn)
        return any(name != thing for page in pages for name in page["things"])

    def _undo(self, action: Callable[[], object], target: str) -> None:
        """Take a step back, unless it was taken already; again while IoT Core is not ready for it."""
        for _ in range(_MAX_ATTEMPTS):
            try:
                action()
            except ClientError as error:
                if _code(error) == _NOT_FOUND:
                    return
                if _code(error) not in _RETRYABLE:
                    raise
                self._wait(_RETRY_DELAY_S)
            else:
                return
        logger.warning("left in IoT Core", extra={"what": target})


def _id(arn: str) -> str:
    return arn.rpartition("/")[2]


def _code(error: ClientError) -> str:
    return error.response["Error"]["Code"]
