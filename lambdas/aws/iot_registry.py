"""Agents in IoT Core: each is a thing with one certificate that has the device policy.

Things are shared by the whole account. Only those with the attribute of this stage are ever changed, whatever
their name is.
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
"""Errors of a deletion while IoT Core is still detaching, which takes it a moment."""
_MAX_ATTEMPTS = 6
_RETRY_DELAY_S = 0.4


@dataclass(frozen=True)
class IotEndpoint:
    """The broker that agents connect to."""

    host: str
    port: int
    ca: str | None


@dataclass(frozen=True)
class IssuedCertificate:
    """A certificate that IoT Core has issued."""

    certificate_id: str
    """Its fingerprint."""
    pem: str


class IotRegistry:
    """Provisions the identities of agents, and revokes them."""

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
        """Return the broker's endpoint; if none is configured, the one that IoT Core names."""
        known = self._endpoint
        host = known.host or self._iot.describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"]
        return IotEndpoint(host, known.port, known.ca)

    def thing(self, agent_id: AgentId) -> ThingName:
        """Return the name of the agent's thing, which is also its MQTT client id."""
        return self._topics.thing(agent_id)

    def check_owner(self, agent_id: AgentId) -> None:
        """Raise ThingForeignError if a thing with the name of the agent is not of this stage."""
        self._exists(self.thing(agent_id))

    def provision(self, agent_id: AgentId, csr: str) -> str:
        """Create the agent's thing and return its certificate, PEM; remains of an earlier try are removed.

        The certificate is activated last, so that an incomplete one is useless. Raises ThingForeignError.
        """
        self.deprovision(agent_id)
        thing = self.thing(agent_id)
        self._create(thing)
        return self._issue(thing, csr).pem

    def renew(self, agent_id: AgentId, csr: str, keep: Container[str]) -> IssuedCertificate:
        """Issue another certificate, after removing all certificates that are not in `keep`.

        Raises ThingForeignError.
        """
        self.revoke_others(agent_id, keep)
        return self._issue(self.thing(agent_id), csr)

    def revoke_others(self, agent_id: AgentId, keep: Container[str]) -> None:
        """Revoke and delete the agent's certificates, except those with ids in `keep`.

        Raises ThingForeignError.
        """
        thing = self.thing(agent_id)
        for arn in self._certificates(thing) if self._exists(thing) else ():
            if _id(arn) not in keep:
                self._revoke(thing, arn)

    def _create(self, thing: ThingName) -> None:
        """Create the thing; raises ThingForeignError if one with other attributes appeared concurrently."""
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
        """Revoke and delete the agent's certificates, then its thing; do nothing if there are none.

        What IoT Core cannot delete yet is left, revoked. Raises ThingForeignError.
        """
        thing = self.thing(agent_id)
        if not self._exists(thing):
            return
        for arn in self._certificates(thing):
            self._revoke(thing, arn)
        self._undo(lambda: self._iot.delete_thing(thingName=thing), thing)

    def revoke_lost(self, arn: str) -> None:
        """Revoke and delete a certificate that no agent has; from one of a thing, only detach the policy.

        What IoT Core cannot delete yet is left, revoked.
        """
        self._revoke(None, arn)

    def _exists(self, thing: ThingName) -> bool:
        """Return whether the thing exists; raises ThingForeignError if it is not of this stage."""
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

    def _revoke(self, thing: ThingName | None, arn: str) -> None:
        """Revoke and delete a certificate; one that another thing shares is only detached."""
        certificate_id, is_shared = _id(arn), self._is_shared(thing, arn)
        if not is_shared:
            self._iot.update_certificate(certificateId=certificate_id, newStatus="REVOKED")
        self._undo(lambda: self._iot.detach_policy(policyName=self._policy, target=arn), arn)
        if thing:
            self._undo(lambda: self._iot.detach_thing_principal(thingName=thing, principal=arn), arn)
        if is_shared:
            logger.warning("certificate left to another thing", extra={"thing": thing, "certificate": arn})
        else:
            self._undo(
                lambda: self._iot.delete_certificate(certificateId=certificate_id, forceDelete=True), arn
            )

    def _is_shared(self, thing: ThingName | None, arn: str) -> bool:
        pages = self._iot.get_paginator("list_principal_things").paginate(principal=arn)
        return any(name != thing for page in pages for name in page["things"])

    def _undo(self, action: Callable[[], object], target: str) -> None:
        """Run an action of a deletion, and retry while IoT Core is not ready; done already counts as done."""
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
