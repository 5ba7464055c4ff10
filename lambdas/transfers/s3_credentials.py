"""S3 credentials for one hop: the object role, narrowed to the hop's bucket, prefix and direction; or, for
both agents of a hop that may be relayed, to its place in the relay bucket.
"""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from events.base import AgentId, HopId
from events.locations import S3Location
from events.options import Options
from events.states import HopState
from events.views import CredentialsView
from lambdas.domain.errors import ConflictError, TransferUnknownError
from lambdas.domain.hop import Hop, hop_number, relay_prefix
from lambdas.domain.transfer import Transfer

if TYPE_CHECKING:
    from mypy_boto3_sts import STSClient

LIFETIME_S = 3600
"""Seconds; the most there can be, since a function's role assumes the object role."""

_UNDER_WAY = {HopState.OFFERED, HopState.RUNNING, HopState.VERIFYING}
_READ = ("s3:GetObject", "s3:GetObjectVersion")
_WRITE = ("s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:GetObject")
_RELAY = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject")
"""To look at an object (HEAD) takes the right to get it: whoever pushes compares what is there already."""


class HopNotUnderWayError(ConflictError):
    code = "hop-not-under-way"


class TransferLoader(Protocol):
    def load(self, transfer_id: str) -> Transfer:
        """Raises TransferUnknownError."""


class S3CredentialsService:
    def __init__(
        self,
        *,
        transfers: TransferLoader,
        sts: "STSClient",
        role_arn: str,
        region: str,
        endpoint: str | None,
        relay_bucket: str | None = None,
    ) -> None:
        self._transfers = transfers
        self._sts = sts
        self._role_arn = role_arn
        self._region = region
        self._endpoint = endpoint
        self._relay_bucket = relay_bucket

    def issue(
        self, agent_id: AgentId, hop_id: HopId, record: Callable[[str, dict[str, Any]], None]
    ) -> CredentialsView:
        """Raises HopNotUnderWayError unless this very agent is carrying this hop, to or from S3, now; or is
        at one of its ends, and it may be relayed.

        `record` is told of the transfer, and of what is lent, before it is.
        """
        hop = self._hop(agent_id, hop_id)
        policy = self._policy(hop)
        record(hop.transfer_id, reach(hop, self._relay_bucket))
        answer = self._sts.assume_role(
            RoleArn=self._role_arn,
            RoleSessionName=f"{agent_id[:40]}-{hop_id[-23:]}",
            Policy=json.dumps(policy, separators=(",", ":")),
            DurationSeconds=LIFETIME_S,
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

    def _policy(self, hop: Hop) -> dict[str, Any]:
        partition = self._role_arn.split(":")[1]
        if hop.route == "direct" and self._relay_bucket:
            return relay_policy(hop, self._relay_bucket, partition)
        return session_policy(hop, partition)

    def _hop(self, agent_id: AgentId, hop_id: HopId) -> Hop:
        """Of another agent's hop it says no more than of one that there is not."""
        found = None
        with suppress(TransferUnknownError):
            found = self._transfers.load(hop_id.rpartition("-")[0])
        mine = [hop for hop in found.hops if hop.number == hop_number(hop_id)] if found else []
        if not found or not mine or not self._is_theirs(mine[0], agent_id, found.options):
            raise HopNotUnderWayError(
                f"{agent_id} is not carrying a hop {hop_id} to or from S3.",
                "Wait for the hop's command; the hop may be paused, over, or another agent's.",
            )
        return mine[0]

    def _is_theirs(self, hop: Hop, agent_id: AgentId, options: Options) -> bool:
        if hop.state not in _UNDER_WAY:
            return False
        if hop.route == "direct":
            return agent_id in hop.agents and options.relay == "allowed" and bool(self._relay_bucket)
        return hop.route == "s3" and hop.carrier == agent_id


def relay_policy(hop: Hop, bucket: str, partition: str = "aws") -> dict[str, Any]:
    """The hop's own place in the relay bucket, for both of its agents, and nothing else."""
    return _policy(S3Location(bucket=bucket, prefix=relay_prefix(hop.hop_id)), _RELAY, partition)


def reach(hop: Hop, relay_bucket: str | None) -> dict[str, Any]:
    """What the hop's credentials open, in words."""
    if hop.route == "direct" and relay_bucket:
        return {"hop_id": hop.hop_id, "relays": f"s3://{relay_bucket}/{relay_prefix(hop.hop_id)}"}
    if isinstance(hop.source, S3Location):
        return {"hop_id": hop.hop_id, "reads": str(hop.source)}
    return {"hop_id": hop.hop_id, "writes": str(hop.destination)}


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
