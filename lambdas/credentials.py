"""S3 credentials for one hop: the object role, narrowed to the hop's bucket, prefix and direction."""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from events.base import AgentId, HopId
from events.locations import S3Location
from events.states import HopState
from events.views import CredentialsView
from lambdas.domain.errors import ConflictError, TransferUnknownError
from lambdas.domain.hop import Hop, hop_number
from lambdas.domain.transfer import Transfer

if TYPE_CHECKING:
    from mypy_boto3_sts import STSClient

LIFETIME = 3600
"""Seconds; the most there can be, since a function's role assumes the object role."""

_UNDER_WAY = {HopState.OFFERED, HopState.RUNNING, HopState.VERIFYING}
_READ = ("s3:GetObject", "s3:GetObjectVersion")
_WRITE = ("s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:GetObject")
"""To look at an object (HEAD) takes the right to get it: whoever pushes compares what is there already."""


class HopNotUnderWayError(ConflictError):
    code = "hop-not-under-way"


class Transfers(Protocol):
    def find(self, transfer_id: str) -> Transfer:
        """Raises TransferUnknownError."""


class Lending:
    def __init__(
        self, transfers: Transfers, sts: "STSClient", role_arn: str, region: str, endpoint: str | None
    ) -> None:
        self._transfers = transfers
        self._sts = sts
        self._role_arn = role_arn
        self._region = region
        self._endpoint = endpoint

    def lend(
        self, agent_id: AgentId, hop_id: HopId, record: Callable[[str, dict[str, Any]], None]
    ) -> CredentialsView:
        """Raises HopNotUnderWayError unless this very agent is carrying this hop, to or from S3, now.

        `record` is told of the transfer, and of what is lent, before it is.
        """
        hop = self._hop(agent_id, hop_id)
        policy = session_policy(hop, self._role_arn.split(":")[1])
        record(hop.transfer_id, reach(hop))
        answer = self._sts.assume_role(
            RoleArn=self._role_arn,
            RoleSessionName=f"{agent_id[:40]}-{hop_id[-23:]}",
            Policy=json.dumps(policy, separators=(",", ":")),
            DurationSeconds=LIFETIME,
        )
        credentials = answer["Credentials"]
        return CredentialsView(
            access_key_id=credentials["AccessKeyId"],
            secret_access_key=credentials["SecretAccessKey"],
            session_token=credentials["SessionToken"],
            expires_at=credentials["Expiration"],
            region=self._region,
            endpoint=self._endpoint,
        )

    def _hop(self, agent_id: AgentId, hop_id: HopId) -> Hop:
        """Of another agent's hop it says no more than of one that there is not."""
        hops: tuple[Hop, ...] = ()
        with suppress(TransferUnknownError):
            hops = self._transfers.find(hop_id.rpartition("-")[0]).hops
        mine = [hop for hop in hops if hop.number == hop_number(hop_id) and hop.carrier == agent_id]
        if not mine or mine[0].route != "s3" or mine[0].state not in _UNDER_WAY:
            raise HopNotUnderWayError(
                f"{agent_id} is not carrying a hop {hop_id} to or from S3.",
                "Wait for the hop's command; the hop may be paused, over, or another agent's.",
            )
        return mine[0]


def reach(hop: Hop) -> dict[str, Any]:
    """What the hop's credentials open, in words."""
    reads = isinstance(hop.source, S3Location)
    return {
        "hop_id": hop.hop_id,
        "reads" if reads else "writes": str(hop.source if reads else hop.destination),
    }


def session_policy(hop: Hop, partition: str = "aws") -> dict[str, Any]:
    """Reading from the hop's source, or writing to its destination, and nothing else."""
    if isinstance(hop.source, S3Location):
        return _policy(hop.source, _READ, partition)
    if isinstance(hop.destination, S3Location):
        return _policy(hop.destination, _WRITE, partition)
    raise TypeError(f"{hop.hop_id} has no end in S3")


def _policy(place: S3Location, actions: tuple[str, ...], partition: str) -> dict[str, Any]:
    bucket = f"arn:{partition}:s3:::{place.bucket}"
    patterns = _patterns(place.prefix)
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": list(actions),
                "Resource": [f"{bucket}/{pattern}" for pattern in patterns],
            },
            {
                "Effect": "Allow",
                "Action": "s3:ListBucket",
                "Resource": bucket,
                "Condition": {"StringLike": {"s3:prefix": patterns}},
            },
        ],
    }


def _patterns(prefix: str) -> list[str]:
    """What is under a prefix: with a slash at its end, everything beneath; without, also the one object.

    `videos` is not meant to let anyone at `videos-of-others/`.
    """
    literal = re.sub(r"[*?$]", lambda found: f"${{{found[0]}}}", prefix)
    if prefix == "" or prefix.endswith("/"):
        return [f"{literal}*"]
    return [literal, f"{literal}/*"]
