"""The errors of the control plane, in one tree. Each carries the `Problem` that the caller gets to read.

What all occurrences of an error have in common is in the catalogue, `problems.py`. A class whose message has
parameters names them in its constructor. Others are given one of the catalogue's `words` for their code with
its parameters, or `detail` and `advice` where only a host or a program reads them, never the console.

CrosshaulError
├── NotFoundError           no resource of that name
│   ├── PersonUnknownError      no user has that e-mail address
│   ├── AgentUnknownError
│   ├── TransferUnknownError
│   ├── TemplateUnknownError
│   ├── PolicyUnknownError
│   ├── RolloutUnknownError
│   ├── UpdateUnknownError
│   ├── BucketUnknownError      the bucket is not configured for transfers
│   └── VersionUnknownError     that agent version was not published
├── RefusedError            the request can never be carried out as it is
│   ├── RouteError              no mover carries bytes between these locations
│   ├── OptionsError            options that exclude one another, or do not fit these locations
│   ├── OverlapError            source and destination are the same, or one contains the other
│   ├── DuplicateDestinationError
│   ├── OutsideRootsError       the path is outside the agent's roots
│   ├── RemoteUnknownError      the agent has no remote of that name
│   ├── ReadOnlyError           the root or the remote is read-only
│   ├── LimitError              larger than a limit
│   ├── CursorError             `next` is not a cursor of this list
│   ├── CertificateError        an invalid CSR or certificate
│   ├── AgentNameError          a name that the token does not allow
│   ├── EndpointError           an address that is not `host:port`
│   ├── DrainOverError          a drain that would end before it begins
│   ├── LoopError               a template that would trigger itself
│   ├── InvalidPolicyError      an invalid policy text (domain/policy_text)
│   ├── LockoutError            a policy change that would lock its author out
│   ├── MisnamedError           a template whose body and URL name different templates
│   ├── AgentTooOldError        the agent's version cannot do this
│   ├── AgentDeclinedError      the agent itself refused
│   └── BucketDeclinedError     S3 refused
├── ConflictError           the request cannot be carried out in the current state
│   ├── AgentOfflineError
│   ├── AgentExistsError
│   ├── NameReservedError       an unused enrollment token exists for the name
│   ├── ThingForeignError       IoT Core has a thing of that name that another owner made
│   ├── TemplateExistsError
│   ├── PolicyExistsError
│   ├── NothingToUpdateError    every agent has that version already
│   ├── AgentBusyUpdatingError  the agent is part of another update
│   ├── UpdateOverError         the update has ended
│   ├── StateError              the transfer's state does not allow this
│   ├── ManifestNotWantedError  the agent has not carried that hop recently
│   ├── HopNotUnderWayError     the agent is not carrying that hop
│   ├── ReusedKeyError          the Idempotency-Key belongs to a different request
│   └── StaleError              concurrent changes won every retry
├── NotSignedInError        the caller is not authenticated
│   ├── TokenError              an unusable enrollment token
│   ├── RolloutOverError        the token of a rollout that accepts no more hosts
│   └── AgentKeyError           not the agent's own API key
├── ForbiddenError          the caller is authenticated, but not authorized
├── RequestError            the HTTP request itself is invalid (api/problems)
├── AgentSilentError        the agent did not answer in time
└── BucketSilentError       S3 did not answer
"""

from datetime import UTC, datetime
from typing import Any

from events.base import Problem
from events.problem_type import ProblemType
from lambdas.domain import problems


class CrosshaulError(Exception):
    """Root of the tree: `problem_type` is of the class, `problem` of this occurrence."""

    problem_type: ProblemType

    def __init__(
        self,
        detail: str = "",
        advice: str = "",
        path: str | None = None,
        *,
        words: ProblemType | None = None,
        **parameters: Any,
    ) -> None:
        """Fill the templates of the problem type, or of `words` of its code; `path` is the path concerned."""
        problem_type = words or self.problem_type
        self.problem = problem_type.problem(path=path, detail=detail, advice=advice, **parameters)
        super().__init__(self.problem.message)


class NotFoundError(CrosshaulError):
    """No resource has that name."""


class PersonUnknownError(NotFoundError):
    problem_type = problems.PERSON_UNKNOWN

    def __init__(self, address: str) -> None:
        super().__init__(address=address)


class AgentUnknownError(NotFoundError):
    problem_type = problems.AGENT_UNKNOWN

    def __init__(self, agent_id: str) -> None:
        super().__init__(agent_id=agent_id)


class TransferUnknownError(NotFoundError):
    problem_type = problems.TRANSFER_UNKNOWN

    def __init__(self, transfer_id: str) -> None:
        super().__init__(transfer_id=transfer_id)


class TemplateUnknownError(NotFoundError):
    problem_type = problems.TEMPLATE_UNKNOWN

    def __init__(self, template_id: str) -> None:
        super().__init__(template_id=template_id)


class PolicyUnknownError(NotFoundError):
    problem_type = problems.POLICY_UNKNOWN

    def __init__(self, policy_id: str) -> None:
        super().__init__(policy_id=policy_id)


class RolloutUnknownError(NotFoundError):
    problem_type = problems.ROLLOUT_UNKNOWN

    def __init__(self, rollout_id: str) -> None:
        super().__init__(rollout_id=rollout_id)


class UpdateUnknownError(NotFoundError):
    problem_type = problems.UPDATE_UNKNOWN

    def __init__(self, update_id: str) -> None:
        super().__init__(update_id=update_id)


class BucketUnknownError(NotFoundError):
    problem_type = problems.BUCKET_UNKNOWN

    def __init__(self, bucket: str, known: tuple[str, ...]) -> None:
        super().__init__(bucket=bucket, known=", ".join(sorted(known)))


class VersionUnknownError(NotFoundError):
    problem_type = problems.VERSION_UNKNOWN

    def __init__(self, version: str | None) -> None:
        super().__init__(words=None if version else problems.NO_VERSION_PUBLISHED, version=version)


class RefusedError(CrosshaulError):
    """The request can never be carried out as it is."""


class RouteError(RefusedError):
    problem_type = problems.ROUTE_UNSUPPORTED


class OptionsError(RefusedError):
    problem_type = problems.OPTIONS


class OverlapError(RefusedError):
    problem_type = problems.OVERLAP


class DuplicateDestinationError(RefusedError):
    problem_type = problems.DUPLICATE_DESTINATION

    def __init__(self, destination: str) -> None:
        super().__init__(destination=destination)


class OutsideRootsError(RefusedError):
    problem_type = problems.OUTSIDE_ROOTS

    def __init__(self, agent_id: str, location: str, path: str, roots: str) -> None:
        super().__init__(path=path, agent_id=agent_id, location=location, roots=roots)


class RemoteUnknownError(RefusedError):
    problem_type = problems.REMOTE_UNKNOWN

    def __init__(self, agent_id: str, remote: str, remotes: str) -> None:
        super().__init__(agent_id=agent_id, remote=remote, remotes=remotes)


class ReadOnlyError(RefusedError):
    problem_type = problems.READ_ONLY


class LimitError(RefusedError):
    problem_type = problems.LIMIT


class CursorError(RefusedError):
    problem_type = problems.CURSOR


class CertificateError(RefusedError):
    problem_type = problems.CERTIFICATE


class AgentNameError(RefusedError):
    problem_type = problems.AGENT_NAME


class EndpointError(RefusedError):
    problem_type = problems.ENDPOINT

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint=repr(endpoint))


class DrainOverError(RefusedError):
    problem_type = problems.DRAIN_OVER

    def __init__(self, until: datetime) -> None:
        super().__init__(until=until.astimezone(UTC).isoformat(timespec="seconds"))


class LoopError(RefusedError):
    problem_type = problems.TEMPLATE_LOOP

    def __init__(self, template_ids: tuple[str, ...]) -> None:
        super().__init__(template_id=template_ids[0], loop=" → ".join((*template_ids, template_ids[0])))


class LockoutError(RefusedError):
    problem_type = problems.POLICY_LOCKOUT

    def __init__(self, person: str) -> None:
        super().__init__(person=person)


class MisnamedError(RefusedError):
    problem_type = problems.TEMPLATE_MISNAMED

    def __init__(self, name: str, template_id: str) -> None:
        super().__init__(name=name, template_id=template_id)


class AgentTooOldError(RefusedError):
    problem_type = problems.AGENT_TOO_OLD

    def __init__(self, agent_id: str, version: str, words: ProblemType, **parameters: Any) -> None:
        super().__init__(words=words, agent_id=agent_id, version=version, **parameters)


class AgentDeclinedError(RefusedError):
    """The agent itself refused; carries the agent's own problem."""

    problem_type = problems.AGENT_DECLINED

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class BucketDeclinedError(RefusedError):
    problem_type = problems.BUCKET_DECLINED

    def __init__(self, bucket: str, words: ProblemType = problems.BUCKET_DECLINED) -> None:
        super().__init__(words=words, bucket=bucket)


class ConflictError(CrosshaulError):
    """The request cannot be carried out in the current state."""


class AgentOfflineError(ConflictError):
    problem_type = problems.AGENT_OFFLINE

    def __init__(self, agent_id: str) -> None:
        super().__init__(agent_id=agent_id)


class AgentExistsError(ConflictError):
    problem_type = problems.AGENT_EXISTS

    def __init__(self, agent_id: str) -> None:
        super().__init__(agent_id=agent_id)


class NameReservedError(ConflictError):
    problem_type = problems.AGENT_NAME_RESERVED

    def __init__(self, agent_id: str) -> None:
        super().__init__(agent_id=agent_id)


class ThingForeignError(ConflictError):
    problem_type = problems.THING_FOREIGN

    def __init__(self, thing: str, stage: str) -> None:
        super().__init__(thing=thing, stage=stage)


class TemplateExistsError(ConflictError):
    problem_type = problems.TEMPLATE_EXISTS

    def __init__(self, template_id: str) -> None:
        super().__init__(template_id=template_id)


class PolicyExistsError(ConflictError):
    problem_type = problems.POLICY_EXISTS

    def __init__(self, policy_id: str, *, ships: bool) -> None:
        super().__init__(words=problems.SHIPPED_POLICY_EXISTS if ships else None, policy_id=policy_id)


class NothingToUpdateError(ConflictError):
    problem_type = problems.NOTHING_TO_UPDATE

    def __init__(self, version: str) -> None:
        super().__init__(version=version)


class AgentBusyUpdatingError(ConflictError):
    problem_type = problems.AGENT_BUSY_UPDATING

    def __init__(self, agent_id: str, update_id: str) -> None:
        super().__init__(agent_id=agent_id, update_id=update_id)


class UpdateOverError(ConflictError):
    problem_type = problems.UPDATE_OVER

    def __init__(self, update_id: str, state: str) -> None:
        super().__init__(update_id=update_id, state=state)


class StateError(ConflictError):
    problem_type = problems.STATE


class ManifestNotWantedError(ConflictError):
    problem_type = problems.MANIFEST_NOT_WANTED

    def __init__(self, agent_id: str, hop_id: str, days: int) -> None:
        super().__init__(agent_id=agent_id, hop_id=hop_id, days=days)


class HopNotUnderWayError(ConflictError):
    problem_type = problems.HOP_NOT_UNDER_WAY

    def __init__(self, agent_id: str, hop_id: str) -> None:
        super().__init__(agent_id=agent_id, hop_id=hop_id)


class ReusedKeyError(ConflictError):
    problem_type = problems.IDEMPOTENCY_KEY_REUSED


class StaleError(ConflictError):
    problem_type = problems.STALE

    def __init__(self, subject: str) -> None:
        super().__init__(subject=subject)


class NotSignedInError(CrosshaulError):
    problem_type = problems.NOT_SIGNED_IN


class TokenError(NotSignedInError):
    """One message for every fault of a token, so that guessing reveals nothing."""

    problem_type = problems.ENROLLMENT_TOKEN


class RolloutOverError(NotSignedInError):
    """Raised only for callers with the right token, so it may say why."""

    problem_type = problems.ROLLOUT_OVER

    def __init__(self, rollout_id: str, reason: str) -> None:
        super().__init__(rollout_id=rollout_id, reason=reason)


class AgentKeyError(NotSignedInError):
    problem_type = problems.AGENT_KEY


class ForbiddenError(CrosshaulError):
    """Names the policies that forbid the request; none if no policy permits it."""

    problem_type = problems.FORBIDDEN

    def __init__(self, words: ProblemType, policies: tuple[str, ...] = (), **parameters: Any) -> None:
        super().__init__(words=words, **parameters)
        self.policies = policies


class AgentSilentError(CrosshaulError):
    problem_type = problems.AGENT_SILENT

    def __init__(self, agent_id: str, seconds: float) -> None:
        super().__init__(agent_id=agent_id, seconds=f"{seconds:.0f}")


class BucketSilentError(CrosshaulError):
    problem_type = problems.BUCKET_SILENT

    def __init__(self, bucket: str) -> None:
        super().__init__(bucket=bucket)
