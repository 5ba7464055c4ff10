"""Issue S3 credentials for one hop.

They are for the object role, restricted to the hop's bucket, prefix and direction; or, for both agents of a
hop that may be relayed, to its prefix in the relay bucket. For some days after a push has failed or was
cancelled, they let its agent abort the uploads that it has begun, and nothing else.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from events.base import AgentId, HopId
from events.locations import S3Location
from events.options import Options
from events.states import HopState
from events.views import CredentialsView
from lambdas.domain.errors import HopNotUnderWayError, TransferUnknownError
from lambdas.domain.hop import Hop, hop_number, relay_prefix
from lambdas.domain.session_policy import abort_policy, policy_text, relay_policy, session_policy
from lambdas.domain.transfer import Transfer
from lambdas.ports import Clock
from lambdas.transfers.dispatcher import DispatchSettings

if TYPE_CHECKING:
    from mypy_boto3_sts import STSClient

LIFETIME_S = 3600
"""Lifetime in seconds: the maximum for role chaining, since a function's role assumes the object role."""

ABORT_WINDOW = timedelta(days=7)
"""Time after the end of a push for which its agent may abort its uploads: it may be away at the end."""
_UNDER_WAY = {HopState.OFFERED, HopState.RUNNING, HopState.VERIFYING}


class TransferLoader(Protocol):
    """Loads transfers."""

    def load(self, transfer_id: str) -> Transfer:
        """Return a transfer; raise TransferUnknownError if it does not exist."""


class S3CredentialsService:
    """Issues S3 credentials to the agents of a hop."""

    def __init__(
        self,
        *,
        transfers: TransferLoader,
        sts: "STSClient",
        role_arn: str,
        settings: DispatchSettings,
        clock: Clock,
    ) -> None:
        self._transfers = transfers
        self._sts = sts
        self._role_arn = role_arn
        self._settings = settings
        self._relay_bucket = settings.relay_bucket
        self._clock = clock

    def issue(
        self, agent_id: AgentId, hop_id: HopId, record: Callable[[str, dict[str, Any]], None]
    ) -> CredentialsView:
        """Issue credentials for a hop; `record` is called before, with the transfer id and what they open.

        Raises:
            HopNotUnderWayError: the agent is not carrying this hop to or from S3 now, nor has it carried it
                there lately, nor is it at an end of a hop that may be relayed.
        """
        hop, options = self._hop(agent_id, hop_id)
        policy = self._policy(hop, options)
        record(hop.transfer_id, reach(hop, self._relay_bucket))
        answer = self._sts.assume_role(
            RoleArn=self._role_arn,
            RoleSessionName=f"{agent_id[:40]}-{hop_id[-23:]}",
            Policy=policy_text(policy),
            DurationSeconds=LIFETIME_S,
        )
        credentials = answer["Credentials"]
        return CredentialsView(
            access_key_id=credentials["AccessKeyId"],
            secret_access_key=credentials["SecretAccessKey"],
            session_token=credentials["SessionToken"],
            expires_at=credentials["Expiration"],
            region=self._settings.region_of(str(hop.bucket or self._relay_bucket)),
            endpoint=self._settings.endpoint,
        )

    def _policy(self, hop: Hop, options: Options) -> dict[str, Any]:
        partition = self._role_arn.split(":")[1]
        if hop.route == "direct" and self._relay_bucket:
            return relay_policy(hop, self._relay_bucket, partition)
        if hop.ended and isinstance(hop.destination, S3Location):
            return abort_policy(hop.destination, partition)
        return session_policy(hop, options, partition)

    def _hop(self, agent_id: AgentId, hop_id: HopId) -> tuple[Hop, Options]:
        """Return the agent's own hop and its options; to others, the error reveals nothing."""
        found = None
        with suppress(TransferUnknownError):
            found = self._transfers.load(hop_id.rpartition("-")[0])
        mine = [hop for hop in found.hops if hop.number == hop_number(hop_id)] if found else []
        if not found or not mine or not self._is_theirs(mine[0], agent_id, found.options):
            raise HopNotUnderWayError(agent_id, hop_id)
        return mine[0], found.options

    def _is_theirs(self, hop: Hop, agent_id: AgentId, options: Options) -> bool:
        if hop.state not in _UNDER_WAY:
            return hop.carrier == agent_id and self._may_abort(hop)
        if hop.route == "direct":
            return agent_id in hop.agents and options.relay == "allowed" and bool(self._relay_bucket)
        return hop.route == "s3" and hop.carrier == agent_id

    def _may_abort(self, hop: Hop) -> bool:
        """Return whether a push has ended lately without completing all of its uploads."""
        is_given_up = hop.state in {HopState.FAILED, HopState.CANCELLED} and hop.offered_at is not None
        return (
            is_given_up
            and isinstance(hop.destination, S3Location)
            and hop.ended_at is not None
            and self._clock() - hop.ended_at < ABORT_WINDOW
        )


def reach(hop: Hop, relay_bucket: str | None) -> dict[str, Any]:
    """Return what the hop's credentials open, for the audit."""
    if hop.route == "direct" and relay_bucket:
        return {"hop_id": hop.hop_id, "relays": f"s3://{relay_bucket}/{relay_prefix(hop.hop_id)}"}
    if isinstance(hop.source, S3Location):
        return {"hop_id": hop.hop_id, "reads": str(hop.source)}
    return {"hop_id": hop.hop_id, "aborts" if hop.ended else "writes": str(hop.destination)}
