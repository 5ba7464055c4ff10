"""The errors of the control plane, in one tree. Each carries the `Problem` that the caller gets to read.

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
│   ├── EndpointError           an invalid address (domain/endpoint)
│   ├── LoopError               a template that would trigger itself
│   ├── InvalidPolicyError      an invalid policy text (domain/policy_text)
│   ├── LockoutError            a policy change that would lock its author out
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
│   ├── ReusedKeyError          the Idempotency-Key belongs to a different request
│   └── StaleError              concurrent changes won every retry
├── NotSignedInError        the caller is not authenticated
│   ├── TokenError              an unusable enrollment token
│   ├── RolloutOverError        the token of a rollout that accepts no more hosts
│   └── AgentKeyError           not the agent's own API key
├── ForbiddenError          the caller is authenticated, but not authorized
├── AgentSilentError        the agent did not answer in time
└── BucketSilentError       S3 did not answer
"""

from typing import ClassVar

from events.base import Problem


class CrosshaulError(Exception):
    """Root of the tree: `code` is stable, `advice` says what to do, `retryable` whether to try again."""

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, advice: str = "", path: str | None = None) -> None:
        super().__init__(message)
        self.problem = Problem(
            code=self.code, message=message, advice=advice, path=path, retryable=self.retryable
        )


class NotFoundError(CrosshaulError):
    code = "not-found"


class PersonUnknownError(NotFoundError):
    code = "person-unknown"

    def __init__(self, address: str) -> None:
        super().__init__(
            f"No user has the e-mail address {address}.",
            "Check the spelling. For a user who has left or has a new address, give the user's id instead: "
            "the audit shows it.",
        )


class AgentUnknownError(NotFoundError):
    code = "agent-unknown"

    def __init__(self, agent_id: str) -> None:
        super().__init__(
            f"Agent {agent_id} does not exist.",
            "List the agents (crosshaul agents list), or enroll a host under this name.",
        )


class TransferUnknownError(NotFoundError):
    code = "transfer-unknown"

    def __init__(self, transfer_id: str) -> None:
        super().__init__(f"Transfer {transfer_id} does not exist.", "List the transfers to find its id.")


class TemplateUnknownError(NotFoundError):
    code = "template-unknown"

    def __init__(self, template_id: str) -> None:
        super().__init__(f"Template {template_id} does not exist.", "List the templates to find its name.")


class PolicyUnknownError(NotFoundError):
    code = "policy-unknown"

    def __init__(self, policy_id: str) -> None:
        super().__init__(f"Policy {policy_id} does not exist.", "List the policies to find its name.")


class RolloutUnknownError(NotFoundError):
    code = "rollout-unknown"

    def __init__(self, rollout_id: str) -> None:
        super().__init__(f"Rollout {rollout_id} does not exist.", "List the rollouts to find its id.")


class UpdateUnknownError(NotFoundError):
    code = "update-unknown"

    def __init__(self, update_id: str) -> None:
        super().__init__(f"Update {update_id} does not exist.", "List the updates to find its id.")


class BucketUnknownError(NotFoundError):
    code = "bucket-unknown"

    def __init__(self, bucket: str, known: tuple[str, ...]) -> None:
        super().__init__(
            f"Transfers cannot use the bucket {bucket}: it is not configured for them.",
            f"Configured buckets: {', '.join(sorted(known))}. An administrator can add others: "
            "cdk deploy -c buckets=…",
        )


class VersionUnknownError(NotFoundError):
    code = "version-unknown"

    def __init__(self, version: str | None) -> None:
        what = f"Agent version {version} was not published." if version else "No agent version was published."
        super().__init__(what, "Publish it: python -m infra.publish STAGE (docs/guides).")


class RefusedError(CrosshaulError):
    code = "refused"


class RouteError(RefusedError):
    code = "route-unsupported"


class OptionsError(RefusedError):
    code = "options"


class OverlapError(RefusedError):
    code = "overlap"


class DuplicateDestinationError(RefusedError):
    code = "duplicate-destination"


class OutsideRootsError(RefusedError):
    code = "outside-roots"


class RemoteUnknownError(RefusedError):
    code = "remote-unknown"


class ReadOnlyError(RefusedError):
    code = "read-only"


class LimitError(RefusedError):
    code = "limit"


class CursorError(RefusedError):
    code = "cursor"

    def __init__(self) -> None:
        super().__init__("Invalid cursor in `next`.", "Start again from the first page, without `next`.")


class CertificateError(RefusedError):
    code = "certificate"


class AgentNameError(RefusedError):
    code = "agent-name"


class LoopError(RefusedError):
    code = "template-loop"


class LockoutError(RefusedError):
    code = "policy-lockout"


class AgentDeclinedError(RefusedError):
    """The agent itself refused; carries the agent's own problem."""

    code = "agent-declined"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class BucketDeclinedError(RefusedError):
    code = "bucket-declined"

    def __init__(self, message: str) -> None:
        super().__init__(
            message,
            "Check that the bucket exists and that its bucket policy lets Crosshaul's account list it.",
        )


class ConflictError(CrosshaulError):
    code = "conflict"


class AgentOfflineError(ConflictError):
    code = "agent-offline"
    retryable = True

    def __init__(
        self,
        agent_id: str,
        advice: str = "Start the agent, or use if_offline=queue: the transfer then waits for it.",
    ) -> None:
        super().__init__(f"Agent {agent_id} is offline.", advice)


class AgentExistsError(ConflictError):
    code = "agent-exists"

    def __init__(self, agent_id: str) -> None:
        super().__init__(
            f"Agent {agent_id} is already registered.",
            f"Choose another name, or remove the existing agent first: crosshaul agents remove {agent_id}.",
        )


class NameReservedError(ConflictError):
    code = "agent-name-reserved"

    def __init__(self, agent_id: str) -> None:
        super().__init__(
            f"The name {agent_id} is reserved: it has an enrollment token, or a host is joining with it.",
            "Use that token, wait until it expires, or choose another name: --name NAME.",
        )


class ThingForeignError(ConflictError):
    code = "thing-foreign"

    def __init__(self, thing: str, stage: str) -> None:
        super().__init__(
            f"IoT Core already has a thing {thing} that stage {stage} did not create. It was not changed.",
            "Find out who owns the thing. If it is unused, delete it in AWS and try again; "
            "otherwise choose another name for the agent.",
        )


class TemplateExistsError(ConflictError):
    code = "template-exists"

    def __init__(self, template_id: str) -> None:
        super().__init__(
            f"Template {template_id} already exists.", "Choose another name, or replace it with PUT."
        )


class PolicyExistsError(ConflictError):
    code = "policy-exists"

    def __init__(self, policy_id: str, *, ships: bool) -> None:
        super().__init__(
            f"Policy {policy_id} already exists{': it comes with Crosshaul' if ships else ''}.",
            "Choose another name, or edit the existing policy.",
        )


class NothingToUpdateError(ConflictError):
    code = "nothing-to-update"

    def __init__(self, version: str) -> None:
        super().__init__(f"Every selected agent already has version {version}.", "There is nothing to do.")


class AgentBusyUpdatingError(ConflictError):
    code = "agent-busy-updating"

    def __init__(self, agent_id: str, update_id: str) -> None:
        super().__init__(
            f"Agent {agent_id} is part of update {update_id}, which is still running.",
            f"Wait until it ends, or cancel it: crosshaul agents updates cancel {update_id}",
        )


class UpdateOverError(ConflictError):
    code = "update-over"

    def __init__(self, update_id: str, state: str) -> None:
        super().__init__(
            f"Update {update_id} has already ended: {state}.",
            f"For details: crosshaul agents updates show {update_id}",
        )


class StateError(ConflictError):
    code = "state"


class ReusedKeyError(ConflictError):
    code = "idempotency-key-reused"


class StaleError(ConflictError):
    code = "stale"
    retryable = True

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} was changed by another request at the same time.", "Try again.")


class NotSignedInError(CrosshaulError):
    code = "not-signed-in"

    def __init__(
        self, message: str = "You are not signed in.", advice: str = "Sign in: crosshaul login URL."
    ) -> None:
        super().__init__(message, advice)


class TokenError(NotSignedInError):
    """One message for every fault of a token, so that guessing reveals nothing."""

    code = "enrollment-token"

    def __init__(self) -> None:
        super().__init__(
            "The enrollment token is unknown, was already used, or has expired.",
            "Ask an administrator for a new one: crosshaul agents enroll NAME.",
        )


class RolloutOverError(NotSignedInError):
    """Raised only for callers with the right token, so it may say why."""

    code = "rollout-over"

    def __init__(self, rollout_id: str, why: str) -> None:
        super().__init__(
            f"Rollout {rollout_id} accepts no more hosts: it {why}.",
            "Ask an administrator for a new one: crosshaul agents rollout --name PATTERN --count N.",
        )


class AgentKeyError(NotSignedInError):
    code = "agent-key"

    def __init__(self) -> None:
        super().__init__(
            "No agent of this name has this API key.", "Send the agent's own API key in X-Agent-Key."
        )


class ForbiddenError(CrosshaulError):
    """Names the policies that forbid the request; none if no policy permits it."""

    code = "forbidden"

    def __init__(self, message: str, advice: str = "", policies: tuple[str, ...] = ()) -> None:
        super().__init__(message, advice)
        self.policies = policies


class AgentSilentError(CrosshaulError):
    code = "agent-silent"
    retryable = True


class BucketSilentError(CrosshaulError):
    code = "bucket-silent"
    retryable = True

    def __init__(self, bucket: str) -> None:
        super().__init__(f"S3 did not answer for the bucket {bucket}.", "Try again in a moment.")
