"""What can be wrong with a wish, in one tree. Every error carries the `Problem` that people get to read.

CrosshaulError
├── NotFoundError           nothing of that name
│   ├── PersonUnknownError      nobody has that e-mail address now
│   ├── AgentUnknownError
│   ├── TransferUnknownError
│   ├── TemplateUnknownError
│   ├── PolicyUnknownError
│   ├── RolloutUnknownError
│   ├── UpdateUnknownError
│   ├── BucketUnknownError      transfers may not read or write it
│   └── VersionUnknownError     no such version was published
├── RefusedError            cannot be done as asked, now or ever
│   ├── RouteError              no mover carries bytes between these ends
│   ├── OptionsError            options that do not go together, or not with these ends
│   ├── OverlapError            source and destination are the same, or one lies in the other
│   ├── DuplicateDestinationError
│   ├── OutsideRootsError       the host does not offer this path
│   ├── RemoteUnknownError      the host offers no remote of that name
│   ├── ReadOnlyError           the host does not let anyone write there
│   ├── LimitError              more than fits
│   ├── CursorError             `next` is not what was given out
│   ├── CertificateError        a CSR or a certificate that will not do
│   ├── AgentNameError          a name that the token is not for
│   ├── LoopError               a template that would start itself
│   ├── PolicyError             a policy's text that will not do (domain/policy_text)
│   ├── LockoutError            a change after which its author could not take it back
│   ├── AgentDeclinedError      the agent itself says no
│   └── BucketDeclinedError     S3 says no
├── ConflictError           cannot be done as things stand
│   ├── AgentOfflineError
│   ├── AgentExistsError
│   ├── NameReservedError       somebody else has a token for it
│   ├── ThingForeignError       IoT Core has a thing of that name that is not this stage's
│   ├── TemplateExistsError
│   ├── PolicyExistsError
│   ├── NothingToUpdateError    all of them have that version
│   ├── AgentBusyUpdatingError  another update is at it
│   ├── UpdateOverError         the update has ended
│   ├── StateError              the transfer is not in a state for this
│   ├── ReusedKeyError          the same Idempotency-Key for another wish
│   └── StaleError              someone else was faster, again and again
├── NotSignedInError        nobody we know
│   ├── TokenError              no enrolment token that may be used
│   ├── RolloutOverError        a roll-out's token that lets nobody in any more
│   └── AgentKeyError           not the agent's own key
├── ForbiddenError          somebody we know who may not do this
├── AgentSilentError        an agent that should have answered
└── BucketSilentError       S3, which should have
"""

from typing import ClassVar

from events.base import Problem


class CrosshaulError(Exception):
    """The root: `code` is stable, `advice` says what to do."""

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
            f"Nobody has the e-mail address {address} now.",
            "Check how it is written; of somebody who has left or has another address now, give the id, as"
            " the audit has it.",
        )


class AgentUnknownError(NotFoundError):
    code = "agent-unknown"

    def __init__(self, agent_id: str) -> None:
        super().__init__(
            f"There is no agent {agent_id}.",
            "See the agents' names, or enrol the host under this one.",
        )


class TransferUnknownError(NotFoundError):
    code = "transfer-unknown"

    def __init__(self, transfer_id: str) -> None:
        super().__init__(f"There is no transfer {transfer_id}.", "See the list of transfers.")


class TemplateUnknownError(NotFoundError):
    code = "template-unknown"

    def __init__(self, template_id: str) -> None:
        super().__init__(f"There is no template {template_id}.", "See the list of templates.")


class PolicyUnknownError(NotFoundError):
    code = "policy-unknown"

    def __init__(self, policy_id: str) -> None:
        super().__init__(f"There is no policy {policy_id}.", "See the list of policies.")


class RolloutUnknownError(NotFoundError):
    code = "rollout-unknown"

    def __init__(self, rollout_id: str) -> None:
        super().__init__(f"There is no roll-out {rollout_id}.", "See the list of roll-outs.")


class UpdateUnknownError(NotFoundError):
    code = "update-unknown"

    def __init__(self, update_id: str) -> None:
        super().__init__(f"There is no update {update_id}.", "See the list of updates.")


class BucketUnknownError(NotFoundError):
    code = "bucket-unknown"

    def __init__(self, bucket: str, known: tuple[str, ...]) -> None:
        super().__init__(
            f"Transfers may not read or write the bucket {bucket}.",
            f"They may: {', '.join(sorted(known))}. An administrator names others: cdk deploy -c buckets=…",
        )


class VersionUnknownError(NotFoundError):
    code = "version-unknown"

    def __init__(self, version: str | None) -> None:
        what = f"version {version}" if version else "version"
        super().__init__(
            f"No {what} was published for agents.", "Publish it: python -m infra.publish STAGE (docs/guides)."
        )


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
        super().__init__("`next` is not what this list gave out.", "Begin again without it.")


class CertificateError(RefusedError):
    code = "certificate"


class AgentNameError(RefusedError):
    code = "agent-name"


class LoopError(RefusedError):
    code = "template-loop"


class LockoutError(RefusedError):
    code = "policy-lockout"


class AgentDeclinedError(RefusedError):
    """Carries the agent's own problem."""

    code = "agent-declined"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class BucketDeclinedError(RefusedError):
    code = "bucket-declined"

    def __init__(self, message: str) -> None:
        super().__init__(
            message, "See that it exists and that its own policy lets Crosshaul's account list it."
        )


class ConflictError(CrosshaulError):
    code = "conflict"


class AgentOfflineError(ConflictError):
    code = "agent-offline"
    retryable = True

    def __init__(
        self,
        agent_id: str,
        advice: str = "Start it, or ask with if_offline=queue: the transfer then waits for it.",
    ) -> None:
        super().__init__(f"The agent {agent_id} is offline.", advice)


class AgentExistsError(ConflictError):
    code = "agent-exists"

    def __init__(self, agent_id: str) -> None:
        super().__init__(
            f"An agent {agent_id} is registered already.",
            f"Choose another name, or remove the old one first: crosshaul agents remove {agent_id}.",
        )


class NameReservedError(ConflictError):
    code = "agent-name-reserved"

    def __init__(self, agent_id: str) -> None:
        super().__init__(
            f"The name {agent_id} is enrolled already, for a token of its own or for a host that joins now.",
            "Use that token, wait until it has expired, or choose another name: --name NAME.",
        )


class ThingForeignError(ConflictError):
    code = "thing-foreign"

    def __init__(self, thing: str, stage: str) -> None:
        super().__init__(
            f"IoT Core has a thing {thing} that the stage {stage} did not make. It was not touched.",
            "Find out whose it is. If nobody uses it, delete it in AWS and try again; "
            "otherwise choose another name for the agent.",
        )


class TemplateExistsError(ConflictError):
    code = "template-exists"

    def __init__(self, template_id: str) -> None:
        super().__init__(
            f"There is a template {template_id} already.", "Choose another name, or replace it with PUT."
        )


class PolicyExistsError(ConflictError):
    code = "policy-exists"

    def __init__(self, policy_id: str, *, ships: bool) -> None:
        super().__init__(
            f"There is a policy {policy_id} already{': it comes with Crosshaul' if ships else ''}.",
            "Choose another name, or open that policy and change it there.",
        )


class NothingToUpdateError(ConflictError):
    code = "nothing-to-update"

    def __init__(self, version: str) -> None:
        super().__init__(f"There is no agent among these that has not {version} already.", "Nothing to do.")


class AgentBusyUpdatingError(ConflictError):
    code = "agent-busy-updating"

    def __init__(self, agent_id: str, update_id: str) -> None:
        super().__init__(
            f"Agent {agent_id} is part of the update {update_id}, which is not over.",
            f"Wait for its end, or cancel it: crosshaul agents updates cancel {update_id}",
        )


class UpdateOverError(ConflictError):
    code = "update-over"

    def __init__(self, update_id: str, state: str) -> None:
        super().__init__(
            f"The update {update_id} has ended already: {state}.",
            f"See how: crosshaul agents updates show {update_id}",
        )


class StateError(ConflictError):
    code = "state"


class ReusedKeyError(ConflictError):
    code = "idempotency-key-reused"


class StaleError(ConflictError):
    code = "stale"
    retryable = True

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} was changed by someone else at the same moment.", "Try again.")


class NotSignedInError(CrosshaulError):
    code = "not-signed-in"

    def __init__(
        self, message: str = "You are not signed in.", advice: str = "Sign in: crosshaul login URL."
    ) -> None:
        super().__init__(message, advice)


class TokenError(NotSignedInError):
    """Says the same whatever is wrong with the token: whoever guesses learns nothing."""

    code = "enrollment-token"

    def __init__(self) -> None:
        super().__init__(
            "This enrolment token is not known, was used already, or has expired.",
            "Ask an administrator for a new one: crosshaul agents enroll NAME.",
        )


class RolloutOverError(NotSignedInError):
    """Only for whoever has the right token, so it may say why."""

    code = "rollout-over"

    def __init__(self, rollout_id: str, why: str) -> None:
        super().__init__(
            f"The roll-out {rollout_id} lets nobody in any more: it {why}.",
            "Ask an administrator for a new one: crosshaul agents rollout --name PATTERN --count N.",
        )


class AgentKeyError(NotSignedInError):
    code = "agent-key"

    def __init__(self) -> None:
        super().__init__(
            "There is no agent of this name with this key.", "Send the agent's own key in X-Agent-Key."
        )


class ForbiddenError(CrosshaulError):
    """Names the policies that forbid it; none where nothing permits it."""

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
        super().__init__(f"S3 does not answer for the bucket {bucket} just now.", "Try again in a moment.")
