"""The control plane's catalogue of problems: code, title, message, advice, retryable and HTTP status of each.

The API's description, docs/reference/problems.md and the console's list of codes are made from it. A message
of `{detail}` and an advice of `{advice}` are written where the problem is found, since one code has several.
The exceptions that carry these problems are in `errors.py`.
"""

from dataclasses import replace

from events.problem_type import ProblemType, catalogue, wordings

# 400: the request cannot be parsed
MALFORMED = ProblemType(
    "malformed", "Malformed request", advice="{advice}", status=400, wording="api-malformed"
)
INVALID_QUERY = ProblemType(
    "invalid-query",
    "Invalid query",
    "The query is invalid: {first}",
    "See `errors` for every invalid parameter, and GET /openapi.json for the schema.",
    status=400,
)
CURSOR = ProblemType(
    "cursor",
    "Invalid cursor",
    "Invalid cursor in `next`.",
    "Start again from the first page, without `next`.",
    status=400,
)
REFUSED = ProblemType(
    "refused", "The request was refused", advice="Compare the request with GET /openapi.json.", status=400
)

# 401: the caller is not authenticated
NOT_SIGNED_IN = ProblemType(
    "not-signed-in",
    "Not signed in",
    "You are not signed in.",
    "Sign in: crosshaul login URL.",
    status=401,
)
ENROLLMENT_TOKEN = ProblemType(
    "enrollment-token",
    "The enrollment token is not valid",
    "The enrollment token is unknown, was already used, or has expired.",
    "Ask an administrator for a new one: crosshaul agents enroll NAME.",
    status=401,
)
ROLLOUT_OVER = ProblemType(
    "rollout-over",
    "The rollout accepts no more hosts",
    "Rollout {rollout_id} accepts no more hosts: it {reason}.",
    "Ask an administrator for a new one: crosshaul agents rollout --name PATTERN --count N.",
    status=401,
)
AGENT_KEY = ProblemType(
    "agent-key",
    "This is not the agent's API key",
    "No agent of this name has this API key.",
    "Send the agent's own API key in X-Agent-Key.",
    status=401,
)

# 403: the caller is not authorized
FORBIDDEN = ProblemType("forbidden", "Not allowed", advice="{advice}", status=403)
ACCOUNT_GONE = replace(
    FORBIDDEN,
    wording="account-gone",
    message="{person} may not {phrase}: their account was deleted or disabled.",
    advice="Let another person request it, or create the template or the roll-out again as their own.",
)
NOT_PERMITTED = replace(
    FORBIDDEN,
    wording="not-permitted",
    message="{person} may not {phrase}: no policy permits it.",
    advice="Ask an administrator for a group or a policy that permits it.",
)
FORBIDDEN_BY_POLICY = replace(
    FORBIDDEN,
    wording="forbidden-by-policy",
    message="{person} may not {phrase}: forbidden by {names}.",
    advice="Ask an administrator why.",
)
OWN_APPROVAL = replace(
    FORBIDDEN,
    wording="own-approval",
    message="{person} requested transfer {transfer_id} and cannot approve it.",
    advice="Ask another person who may move these files: crosshaul approve {transfer_id}",
)
OWN_DECLINE = replace(
    FORBIDDEN,
    wording="own-decline",
    message="{person} requested transfer {transfer_id} and cannot decline it.",
    advice="Cancel it instead: crosshaul cancel {transfer_id}",
)

# 404: there is no such resource
NOT_FOUND = ProblemType(
    "not-found", "Not found", "{value} is not a valid {name}.", "Check the spelling.", status=404
)
NO_SUCH_ROUTE = ProblemType(
    "no-such-route",
    "The API has no such path",
    "There is no route {method} {route}.",
    "See GET /openapi.json for all of them.",
    status=404,
)
PERSON_UNKNOWN = ProblemType(
    "person-unknown",
    "No user has this e-mail address",
    "No user has the e-mail address {address}.",
    "Check the spelling. For a user who has left or has a new address, give the user's id instead: "
    "the audit shows it.",
    status=404,
)
AGENT_UNKNOWN = ProblemType(
    "agent-unknown",
    "The agent does not exist",
    "Agent {agent_id} does not exist.",
    "List the agents (crosshaul agents), or enroll a host under this name.",
    status=404,
)
TRANSFER_UNKNOWN = ProblemType(
    "transfer-unknown",
    "The transfer does not exist",
    "Transfer {transfer_id} does not exist.",
    "List the transfers to find its id. One that ended long ago is only in the archive, which the guide for "
    "operators tells how to read.",
    status=404,
)
TEMPLATE_UNKNOWN = ProblemType(
    "template-unknown",
    "The template does not exist",
    "Template {template_id} does not exist.",
    "List the templates to find its name.",
    status=404,
)
POLICY_UNKNOWN = ProblemType(
    "policy-unknown",
    "The policy does not exist",
    "Policy {policy_id} does not exist.",
    "List the policies to find its name.",
    status=404,
)
ROLLOUT_UNKNOWN = ProblemType(
    "rollout-unknown",
    "The rollout does not exist",
    "Rollout {rollout_id} does not exist.",
    "List the rollouts to find its id.",
    status=404,
)
UPDATE_UNKNOWN = ProblemType(
    "update-unknown",
    "The update does not exist",
    "Update {update_id} does not exist.",
    "List the updates to find its id.",
    status=404,
)
BUCKET_UNKNOWN = ProblemType(
    "bucket-unknown",
    "Transfers cannot use this bucket",
    "Transfers cannot use the bucket {bucket}: it is not configured for them.",
    "Configured buckets: {known}. An administrator can add others to the stage's file (stages/NAME.toml).",
    status=404,
)
VERSION_UNKNOWN = ProblemType(
    "version-unknown",
    "The agent version was not published",
    "Agent version {version} was not published.",
    "Publish it: python -m infra.publish stage STAGE --key FILE (docs/guides).",
    status=404,
)
NO_VERSION_PUBLISHED = replace(
    VERSION_UNKNOWN,
    wording="no-version-published",
    message="No agent version was published.",
    advice="Publish one: python -m infra.publish stage STAGE --key FILE (docs/guides).",
)

# 405: the path exists, the method does not
NO_SUCH_METHOD = ProblemType(
    "no-such-method",
    "Method not allowed",
    "{route} does not take {method}.",
    "It takes {allowed}.",
    status=405,
)

# 409: the current state does not allow it
AGENT_OFFLINE = ProblemType(
    "agent-offline",
    "The agent is offline",
    "Agent {agent_id} is offline.",
    "Start the agent, or wait until it is back. A transfer with if_offline=queue waits for it.",
    retryable=True,
    status=409,
)
AGENT_EXISTS = ProblemType(
    "agent-exists",
    "An agent of this name already exists",
    "Agent {agent_id} is already registered.",
    "Choose another name, or remove the existing agent first: crosshaul agents remove {agent_id}.",
    status=409,
)
AGENT_NAME_RESERVED = ProblemType(
    "agent-name-reserved",
    "The name is reserved",
    "The name {agent_id} is reserved: it has an enrollment token, or a host is joining with it.",
    "Use that token, wait until it expires, or choose another name: --name NAME.",
    status=409,
)
THING_FOREIGN = ProblemType(
    "thing-foreign",
    "Another owner has a thing of this name in IoT Core",
    "IoT Core already has a thing {thing} that stage {stage} did not create. It was not changed.",
    "Find out who owns the thing. If it is unused, delete it in AWS and try again; "
    "otherwise choose another name for the agent.",
    status=409,
)
TEMPLATE_EXISTS = ProblemType(
    "template-exists",
    "A template of this name already exists",
    "Template {template_id} already exists.",
    "Choose another name, or replace it with PUT.",
    status=409,
)
POLICY_EXISTS = ProblemType(
    "policy-exists",
    "A policy of this name already exists",
    "Policy {policy_id} already exists.",
    "Choose another name, or edit the existing policy.",
    status=409,
)
SHIPPED_POLICY_EXISTS = replace(
    POLICY_EXISTS,
    wording="shipped-policy-exists",
    message="Policy {policy_id} already exists: it comes with Crosshaul.",
    advice="Choose another name, or edit the existing policy.",
)
NOTHING_TO_UPDATE = ProblemType(
    "nothing-to-update",
    "Every agent already has this version",
    "Every selected agent already has version {version}.",
    "There is nothing to do.",
    status=409,
)
AGENT_BUSY_UPDATING = ProblemType(
    "agent-busy-updating",
    "The agent is part of another update",
    "Agent {agent_id} is part of update {update_id}, which is still running.",
    "Wait until it ends, or cancel it: crosshaul agents updates cancel {update_id}",
    status=409,
)
UPDATE_OVER = ProblemType(
    "update-over",
    "The update has already ended",
    "Update {update_id} has already ended: {state}.",
    "For details: crosshaul agents updates show {update_id}",
    status=409,
)
STATE = ProblemType("state", "Not possible in this state", advice="{advice}", status=409)
ENDED_BEFORE_CANCEL = replace(
    STATE,
    wording="ended-before-cancel",
    message="Transfer {transfer_id} cannot be cancelled: it is {state}.",
    advice="Files that have arrived remain at the destination; delete them there if you do not need them.",
)
ENDED_BEFORE_PAUSE = replace(
    STATE,
    wording="ended-before-pause",
    message="Transfer {transfer_id} cannot be paused: it is {state}.",
    advice="There is nothing left to pause.",
)
ENDED_BEFORE_RESUME = replace(
    STATE,
    wording="ended-before-resume",
    message="Transfer {transfer_id} cannot be resumed: it is {state}.",
    advice="Retry a failed or cancelled transfer instead.",
)
NOTHING_TO_RETRY = replace(
    STATE,
    wording="nothing-to-retry",
    message="Transfer {transfer_id} cannot be retried: it is {state}.",
    advice="Only failed or cancelled hops can be retried. To continue a paused transfer, resume it.",
)
RETRY_TOO_EARLY = replace(
    STATE,
    wording="retry-too-early",
    message="Transfer {transfer_id} cannot be retried: it is {state}.",
    advice="A later hop still forwards what the failed one delivered. Retry the transfer when that hop has "
    "ended, or cancel the transfer first.",
)
NOT_AWAITING_APPROVAL = replace(
    STATE,
    wording="not-awaiting-approval",
    message="Transfer {transfer_id} is not awaiting approval: it is {state}.",
    advice="There is nothing to approve.",
)
NOTHING_TO_DECLINE = replace(
    NOT_AWAITING_APPROVAL, wording="nothing-to-decline", advice="There is nothing to decline."
)
NOT_FAILED = replace(
    STATE,
    wording="not-failed",
    message="Transfer {transfer_id} has not failed: it is {state}.",
    advice="There is nothing to acknowledge.",
)
STALE = ProblemType(
    "stale",
    "Changed by another request at the same time",
    "{subject} was changed by another request at the same time.",
    "Try again.",
    retryable=True,
    status=409,
)
MANIFEST_NOT_WANTED = ProblemType(
    "manifest-not-wanted",
    "No manifest is accepted for this hop",
    "Agent {agent_id} has not carried hop {hop_id} recently.",
    "A manifest is accepted from a hop's first offer until {days} days after its end.",
    status=409,
)
HOP_NOT_UNDER_WAY = ProblemType(
    "hop-not-under-way",
    "The hop is not under way",
    "Agent {agent_id} is not carrying hop {hop_id} to or from S3.",
    "Wait for the hop's command. The hop may be paused or ended, or belong to another agent.",
    status=409,
)

# 413: the body is too large
TOO_LARGE = ProblemType(
    "too-large",
    "The request is too large",
    "The body is larger than {limit} bytes.",
    "Send less in one request.",
    status=413,
)

# 422: the request can never be carried out as it is
INVALID_BODY = ProblemType(
    "invalid-body",
    "Invalid input",
    "The body is invalid: {first}",
    "See `errors` for every invalid field, and GET /openapi.json for the schema.",
    status=422,
)
ROUTE_UNSUPPORTED = ProblemType(
    "route-unsupported", "No transfer is possible between these locations", advice="{advice}", status=422
)
NO_AGENT_INVOLVED = replace(
    ROUTE_UNSUPPORTED,
    wording="no-agent-involved",
    message="{source} → {destination}: no agent is involved.",
    advice="Copy within S3 (replication, or `aws s3 cp`), or choose an agent as the destination.",
)
REMOTE_OF_ANOTHER_AGENT = replace(
    ROUTE_UNSUPPORTED,
    wording="remote-of-another-agent",
    message="{source} → {destination}: {location} can be reached only from a path on agent {agent_id}.",
    advice="Use a chain through a path on that agent: {source} → {agent_id}:/… → {destination}.",
)
OPTIONS = ProblemType(
    "options", "The options exclude each other or do not fit the locations", advice="{advice}", status=422
)
CHECKSUM_NEEDS_AGENTS = replace(
    OPTIONS,
    wording="checksum-needs-agents",
    message="compare=checksum needs an agent path at both ends: S3 and remotes store no such checksum.",
    advice="Leave compare out: files are then compared by size and time.",
)
OWNER_NEEDS_AGENTS = replace(
    OPTIONS,
    wording="owner-needs-agents",
    message="owner needs an agent path at both ends: S3 and remotes have no users of a host.",
    advice="Leave owner out.",
)
OBJECTS_NEED_S3 = replace(
    OPTIONS,
    wording="objects-need-s3",
    message="storage_class and object_tags need a destination s3://…: only objects in S3 have them.",
    advice="Leave them out, or choose a bucket as a destination.",
)
MOVE_AND_DELETE_EXTRA = replace(
    OPTIONS,
    wording="move-and-delete-extra",
    message="move and delete_extra exclude each other: files moved from the source would be deleted at the "
    "destination by the next run.",
    advice="Use only one of them.",
)
DELETE_EXTRA_IN_TEMPLATE = replace(
    OPTIONS,
    wording="delete-extra-in-template",
    message="delete_extra cannot be used in a template: it sends single objects, and all others would be "
    "deleted.",
    advice="Leave delete_extra out, or mirror the whole prefix by a separate transfer.",
)
DELETE_EXTRA_NEEDS_AGENTS = replace(
    OPTIONS,
    wording="delete-extra-needs-agents",
    message="delete_extra needs an agent path at every destination.",
    advice="Use a lifecycle rule of the bucket, or the remote's own tools, to delete files there.",
)
MOVE_FROM_AGENT_ONLY = replace(
    OPTIONS,
    wording="move-from-agent-only",
    message="move needs an agent path as the source: nothing is deleted in S3 or on remotes.",
    advice="Leave move out, and delete the source by a lifecycle rule or the remote's own tools.",
)
MOVE_TO_ONE_ONLY = replace(
    OPTIONS,
    wording="move-to-one-only",
    message="move allows only one destination, not {count}.",
    advice="Copy to all destinations, and delete the source when every copy is complete.",
)
MOVE_TO_AGENT_ONLY = replace(
    OPTIONS,
    wording="move-to-agent-only",
    message="move needs an agent path as the destination.",
    advice="Copy, then delete the source.",
)
OVERLAP = ProblemType("overlap", "Source and destination overlap", advice="{advice}", status=422)
SAME_LOCATION = replace(
    OVERLAP,
    wording="same-location",
    message="Source {source} and destination {destination} are the same.",
    advice="Choose another destination.",
)
LOCATIONS_OVERLAP = replace(
    OVERLAP,
    wording="locations-overlap",
    message="Source {source} and destination {destination} overlap: one contains the other.",
    advice="Choose a destination that neither contains the source nor lies inside it.",
)
DUPLICATE_DESTINATION = ProblemType(
    "duplicate-destination",
    "A destination occurs more than once",
    "The destination {destination} occurs more than once.",
    "Name each destination once.",
    status=422,
)
OUTSIDE_ROOTS = ProblemType(
    "outside-roots",
    "The path is outside the agent's roots",
    "{location} is outside the roots of agent {agent_id}.",
    "Choose a path below one of: {roots}. Or ask for a root there.",
    status=422,
    wording="api-outside-roots",
)
REMOTE_UNKNOWN = ProblemType(
    "remote-unknown",
    "The agent has no such remote",
    "Agent {agent_id} has no remote {remote}.",
    "Use one of: {remotes}. Or let the host's administrator add it to agent.toml.",
    status=422,
    wording="api-remote-unknown",
)
READ_ONLY = ProblemType("read-only", "The location is read-only", advice="{advice}", status=422)
MOVE_FROM_READ_ONLY = replace(
    READ_ONLY,
    wording="move-from-read-only",
    message="{location} is read-only, so a move cannot delete the files there.",
    advice="Copy them instead: without --move (options.move). Or let the administrator of the source's "
    "host allow writing in agent.toml.",
)
REMOTE_READ_ONLY = replace(
    READ_ONLY,
    wording="remote-read-only",
    message="{location} is read-only: remote {remote} of agent {agent_id} is not writable.",
    advice="Use one of: {remotes}. Or let the host's administrator allow writing in agent.toml.",
)
ROOT_READ_ONLY = replace(
    READ_ONLY,
    wording="root-read-only",
    message="{location} is read-only: root {root} of agent {agent_id} is not writable.",
    advice="Choose a destination below one of: {roots}. Or let the host's administrator allow writing in "
    "agent.toml.",
)
LIMIT = ProblemType("limit", "Limit exceeded", advice="{advice}", status=422)
TOO_MANY_AGENTS = replace(
    LIMIT,
    wording="too-many-agents",
    message="The tags match {count} agents; one update may have {limit}.",
    advice="Select fewer agents by another tag.",
)
TOO_MANY_POLICIES = replace(
    LIMIT,
    wording="too-many-policies",
    message="There would be {count} policies.",
    advice="Keep {limit} at most.",
)
ARRIVAL_INVALID = replace(
    LIMIT,
    wording="arrival-invalid",
    message="{source} cannot arrive at {destination}: {reason}.",
    advice="Use another path.",
)
TOO_MANY_DESTINATIONS = replace(
    LIMIT,
    wording="too-many-destinations",
    message="The transfer has {count} destinations.",
    advice="Name between 1 and {limit} destinations; for more, start several transfers.",
)
TOO_MANY_SELECTED = replace(
    LIMIT,
    wording="too-many-selected",
    message="The transfer selects {count} paths.",
    advice="Select at most {limit} paths with at most {kib} KiB in total.",
)
PREFIX_TOO_LONG = replace(
    LIMIT,
    wording="prefix-too-long",
    message="The prefix of {end} is too long for the credentials of this transfer: their policy would have "
    "{size} characters, {limit} are the limit.",
    advice="Use a shorter prefix: each character that is not Latin counts six times.",
)
REQUEST_TOO_LONG = replace(
    LIMIT,
    wording="request-too-long",
    message="Source, destinations and options have {size} bytes in total, {limit} are the limit.",
    advice="Use fewer destinations, or shorter paths.",
)
COMMAND_TOO_LONG = replace(
    LIMIT,
    wording="command-too-long",
    message="The command to agent {agent_id} would have {size} bytes, {limit} are the limit.",
    advice="Use fewer or shorter filters, or shorter paths.",
)
CERTIFICATE = ProblemType("certificate", "The certificate is not accepted", advice="{advice}", status=422)
AGENT_NAME = ProblemType(
    "agent-name", "The token does not allow this agent name", advice="{advice}", status=422
)
ENDPOINT = ProblemType(
    "endpoint",
    "Invalid address",
    "{endpoint} is not a valid address.",
    "Write host:port, or [address]:port for IPv6. Link-local and multicast addresses are never dialed.",
    status=422,
)
DRAIN_OVER = ProblemType(
    "drain-over",
    "The drain would be over already",
    "{until} is in the past.",
    "Give a later time, or none: then the drain lasts until a person ends it.",
    status=422,
)
TEMPLATE_LOOP = ProblemType(
    "template-loop",
    "The template would trigger itself",
    "Objects that {template_id} writes to S3 would start it again: {loop}.",
    "Write to a prefix or bucket that starts no template of this loop.",
    status=422,
)
TEMPLATE_MISNAMED = ProblemType(
    "template-misnamed",
    "Body and URL name different templates",
    "The body names the template {name}, the URL {template_id}.",
    "Use the same name in both. To rename, create a new template and remove the old one.",
    status=422,
)
POLICY_INVALID = ProblemType(
    "policy-invalid",
    "The policy is not valid",
    "The policy is not valid: {errors}.",
    "{advice}",
    status=422,
)
POLICY_LOCKOUT = ProblemType(
    "policy-lockout",
    "The change would lock you out",
    "With this change, {person} could no longer change policies, nor undo it.",
    "Keep a policy that permits you manage_policy, or let another administrator make the change.",
    status=422,
)
IDEMPOTENCY_KEY_REUSED = ProblemType(
    "idempotency-key-reused",
    "The Idempotency-Key was used for a different request",
    advice="Send a new key with each new request.",
    status=422,
)
AGENT_TOO_OLD = ProblemType(
    "agent-too-old",
    "The agent's version is too old",
    status=422,
)
REMOTES_NOT_LISTED = replace(
    AGENT_TOO_OLD,
    wording="remotes-not-listed",
    message="Agent {agent_id} runs version {version}, which cannot list a remote's directories.",
    advice="Update the agent, or enter the path by hand: transfers to it work.",
)
DRY_RUN_UNSUPPORTED = replace(
    AGENT_TOO_OLD,
    wording="dry-run-unsupported",
    message="Agent {agent_id} runs version {version}, which cannot make dry runs to {destination}.",
    advice="Update the agent, or start the transfer without a dry run.",
)
AGENT_DECLINED = ProblemType(
    "agent-declined",
    "The agent declined",  # carries the agent's own problem, with its code
    status=422,
)
BUCKET_DECLINED = ProblemType(
    "bucket-declined",
    "S3 denies access to the bucket",
    "S3 denies Crosshaul access to the bucket {bucket}.",
    "Check that the bucket exists and that its bucket policy lets Crosshaul's account list it.",
    status=422,
)
BUCKET_GONE = replace(
    BUCKET_DECLINED,
    wording="bucket-gone",
    message="The bucket {bucket} no longer exists.",
    advice="Check that the bucket exists and that its bucket policy lets Crosshaul's account list it.",
)

BUCKET_DISTANT = ProblemType(
    "bucket-distant",
    "The bucket is in another region or account",
    "The bucket {bucket} is in another region or account than the control plane.",
    "Forward its events to the control plane: only then do uploads start this template.",
)

# 429 and 5xx: a later attempt may succeed
TOO_MANY_REQUESTS = ProblemType(
    "too-many-requests",
    "Too many requests",
    advice="Wait a moment, then try again.",
    retryable=True,
    status=429,
)
INTERNAL = ProblemType(
    "internal",
    "Internal error",
    "Internal error in the control plane. The request id is {request_id}.",
    "Try again; if it fails again, give an administrator the request id: the log has the cause.",
    retryable=True,
    status=500,
)
UNAVAILABLE = ProblemType(
    "unavailable",
    "The API is not available",
    advice="Try again; if it fails again, an administrator can find the cause in the function's log.",
    retryable=True,
    status=503,
)
AGENT_SILENT = ProblemType(
    "agent-silent",
    "The agent does not answer",
    "{agent_id} did not answer within {seconds} s.",
    "Try again; the list of agents shows its last heartbeat. A large directory on a slow disk may take "
    "longer: request a smaller page.",
    retryable=True,
    status=504,
)
HOP_NOT_REPORTED = replace(
    AGENT_SILENT,
    wording="hop-not-reported",
    message="Agent {agent_id} sent no report about {hop} for {seconds} s.",
    advice="Check in the list of agents whether it is online; the hop resumes when it is back.",
)
APPROVAL_DECLINED = ProblemType(
    "approval-declined",
    "Approval was declined",
    "{person} declined it: {reason}",
    "Talk to them. Then retry, which asks for approval again, or start another transfer.",
    status=403,
)
BUCKET_SILENT = ProblemType(
    "bucket-silent",
    "S3 does not answer",
    "S3 did not answer for the bucket {bucket}.",
    "Try again in a moment.",
    retryable=True,
    status=504,
)

# Problems of hops, never answers of the API
PREVIOUS_HOP_ENDED = ProblemType(
    "previous-hop-ended",
    "The previous hop did not succeed",
    "{hop} continues {previous}, which {state}.",
    "Fix the problem of {previous}, then retry the transfer.",
)
PREVIOUS_HOP_INCOMPLETE = ProblemType(
    "previous-hop-incomplete",
    "The previous hop delivered only some of the files",
    "{hop} has forwarded what arrived at {previous}, which failed for {failed} other files.",
    "Fix the problem of {previous}, then retry the transfer.",
)
AGENT_RESTARTED = ProblemType(
    "agent-restarted",
    "The agent lost the hop in a restart",
    "Agent {agent_id} reconnected without {hop}, which it had started.",
    "The hop is sent again automatically. If this repeats, check the agent's log.",
    retryable=True,
)
AGENT_REMOVED = ProblemType(
    "agent-removed",
    "The agent was removed",
    "The agent {agent_id} was removed by {person}.",
    "Request the transfer again with another agent. Files that arrived completely are kept.",
)

# Why agents do not have the version of an update, never answers of the API
UPDATE_INCOMPLETE = ProblemType(
    "update-incomplete",
    "Not every agent has the new version",
    "{missing} of {total} agents do not have the new version.",
    "See the reason of each, then update these agents again.",
)
UPDATE_EXPIRED = replace(
    UPDATE_INCOMPLETE,
    wording="update-expired",
    message="Not every agent reported within {days} days.",
    advice="Start the agents that are offline, then update them.",
)
UPDATE_UNREPORTED = replace(
    UPDATE_INCOMPLETE,
    wording="update-unreported",
    message="The agent did not report in time.",
    advice="See the log of the host's updater: journalctl -u crosshaul-update",
)
UPDATE_AGENT_GONE = replace(
    UPDATE_INCOMPLETE, wording="update-agent-gone", message="The agent was removed.", advice=""
)
UPDATE_UNEXPLAINED = replace(
    UPDATE_INCOMPLETE,
    wording="update-unexplained",
    message="The agent gave no reason.",
    advice="See the log of the host's updater: journalctl -u crosshaul-update",
)
UPDATE_ABORTED = ProblemType(
    "update-aborted",
    "The update was aborted",
    "{failed} of {total} agents of stage {stage} failed, {agent_id} first.",
    "Read why it failed there before you update the others.",
)
UPDATE_CANCELLED = ProblemType(
    "update-cancelled", "The update was cancelled", "The update was cancelled by {person}."
)
UPDATE_NOT_DUE = ProblemType(
    "update-not-due", "The agent is not due", "Agent {agent_id} is not due in update {update_id} now."
)
UPDATE_STOPPED = replace(
    UPDATE_NOT_DUE, wording="update-stopped", message="Update {update_id} has ended ({state})."
)

CATALOGUE = catalogue(globals().values())
"""Code → problem type, with its first words."""
WORDINGS = wordings(globals().values())
"""Wording → problem type."""
