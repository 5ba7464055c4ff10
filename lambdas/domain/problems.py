"""The control plane's catalogue of problems: code, title, message, advice, retryable and HTTP status of each.

The API's description, docs/reference/problems.md and the console's list of codes are made from it. A message
of `{detail}` and an advice of `{advice}` are written where the problem is found, since one code has several.
The exceptions that carry these problems are in `errors.py`.
"""

from events.problem_type import ProblemType, catalogue

# 400: the request cannot be parsed
MALFORMED = ProblemType("malformed", "Malformed request", advice="{advice}", status=400)
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
    "List the transfers to find its id.",
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
    advice="Publish it: python -m infra.publish stage STAGE --key FILE (docs/guides).",
    status=404,
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
    advice="Choose another name, or edit the existing policy.",
    status=409,
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
OPTIONS = ProblemType(
    "options", "The options exclude each other or do not fit the locations", advice="{advice}", status=422
)
OVERLAP = ProblemType("overlap", "Source and destination overlap", advice="{advice}", status=422)
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
)
REMOTE_UNKNOWN = ProblemType(
    "remote-unknown",
    "The agent has no such remote",
    "Agent {agent_id} has no remote {remote}.",
    "Use one of: {remotes}. Or let the host's administrator add it to agent.toml.",
    status=422,
)
READ_ONLY = ProblemType("read-only", "The location is read-only", advice="{advice}", status=422)
LIMIT = ProblemType("limit", "Limit exceeded", advice="{advice}", status=422)
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
    "Agent {agent_id} runs version {version}, which cannot {ability}.",
    "Update the agent, or {alternative}.",
    status=422,
)
AGENT_DECLINED = ProblemType(
    "agent-declined",
    "The agent declined",  # carries the agent's own problem, with its code
    status=422,
)
BUCKET_DECLINED = ProblemType(
    "bucket-declined",
    "S3 denies access to the bucket",
    advice="Check that the bucket exists and that its bucket policy lets Crosshaul's account list it.",
    status=422,
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
    "agent-silent", "The agent does not answer", advice="{advice}", retryable=True, status=504
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

CATALOGUE = catalogue(globals().values())
