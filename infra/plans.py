"""The plan of every Lambda function: handler, resources and access. Data only."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """One Lambda function.

    `tables` maps each table to names in `access.TABLE_ACTIONS` and `access.PARTITIONS`.
    """

    handler: str
    seconds: int
    tables: Mapping[str, str]
    signs_commands: bool = False
    """Signs commands with KMS and publishes them to agents' command topics."""
    notifies_consoles: bool = False
    """Tells open consoles which transfers have changed."""
    tells_of_agents: bool = False
    """Tells open consoles that agents have changed."""
    publishes_events: bool = False
    """Publishes events to the event bus."""
    schedules_retries: bool = False
    """Sends a delayed message for each retry."""
    gathers_objects: bool = False
    """Sends a delayed message for each gathering of a template."""
    reads_public_keys: bool = False
    """Reads the public halves of the current and next command keys."""
    enrolls: bool = False
    """Creates IoT things and certificates and attaches the device policy."""
    moves_agents: bool = False
    """Moves agents from other addresses of the API to the current one."""
    cuts_connections: bool = False
    """Closes the connections of agents, and deletes their sessions at the broker."""
    rotates: bool = False
    """Revokes an agent's old certificates."""
    updates: bool = False
    """Creates, reads and cancels the IoT Jobs of updates."""
    assumes_roles: bool = False
    """Issues narrowed credentials of the object and live roles."""
    browses: bool = False
    """Lists the buckets that transfers may read and write."""
    keeps_manifests: bool = False
    """Presigns URLs where agents write manifests and people read them."""
    archives: bool = False
    """Writes and reads the archive of transfers."""
    seals_audit: bool = False
    """Seals the days of the audit log with a key of its own."""
    reads_seal_keys: bool = False
    """Reads the public half of the audit seals' key."""
    reads_users: bool = False
    """Looks up whether a person still exists, and their groups."""
    asynchronous: bool = False
    """Invoked asynchronously: an event that fails for good goes to a dead-letter queue."""
    retry_attempts: int = 2
    """How often Lambda repeats an asynchronous event that has failed."""
    max_event_age_s: int | None = None
    """How long an asynchronous event may wait in Lambda's queue; None: six hours, Lambda's default."""
    megabytes: int = 512
    reserved: int | None = None
    """Concurrent executions that others cannot take, and that this function cannot exceed; None: neither.
    They are reserved only if the account's quota is known to have room (setting `concurrency`)."""


PLANS: dict[str, Plan] = {
    "Api": Plan(
        "lambdas.api.handler.handler",
        29,
        {
            "transfers_table": "get query batch put update",
            "agents_table": "get query batch put update delete",
            "updates_table": "get query batch put",
            "releases_table": "get",
            "templates_table": "get query put delete",
            "policies_table": "get query put update delete",
            "audit_table": "query batch put-records",
            "idempotency_table": "get put update delete",
            "refusals_table": "put update",
        },
        signs_commands=True,
        tells_of_agents=True,
        reads_public_keys=True,
        enrolls=True,
        cuts_connections=True,
        updates=True,
        assumes_roles=True,
        browses=True,
        keeps_manifests=True,
        reads_users=True,
        reads_seal_keys=True,
        megabytes=1024,
        reserved=50,
    ),
    "OnObject": Plan(
        "lambdas.on_object.handler",
        60,
        {
            "transfers_table": "get query put gather",
            "agents_table": "get batch",
            "templates_table": "get query",
            "policies_table": "get query",
            "audit_table": "put-records",
            "dedupe_table": "batch put",
            "refusals_table": "put update",
        },
        reads_users=True,
        gathers_objects=True,
    ),
    "OnReport": Plan(
        "lambdas.on_report.handler",
        30,
        {
            "transfers_table": "get query put update",
            "agents_table": "get batch put update",
            "policies_table": "get query",
            "audit_table": "put-records",
        },
        signs_commands=True,
        tells_of_agents=True,
        reads_public_keys=True,
        reads_users=True,
        moves_agents=True,
        rotates=True,
        asynchronous=True,
        reserved=60,  # a ceiling, too: reports that wait in Lambda's queue must not starve the others
    ),
    "OnPresence": Plan(
        "lambdas.on_presence.handler",
        30,
        {"agents_table": "batch update"},
        tells_of_agents=True,
        asynchronous=True,
        reserved=20,  # a ceiling, too: all agents of a stage may connect again at once
    ),
    "OnChange": Plan(
        "lambdas.on_change.handler",
        60,
        {
            "transfers_table": "get query put update",
            "agents_table": "get batch",
            "policies_table": "get query",
            "audit_table": "put-records",
        },
        signs_commands=True,
        reads_users=True,
        notifies_consoles=True,
        publishes_events=True,
        schedules_retries=True,
        reserved=20,
    ),
    "OnRetry": Plan(
        "lambdas.on_retry.handler",
        60,
        {
            "transfers_table": "get query put update",
            "agents_table": "get batch",
            "policies_table": "get query",
            "audit_table": "put-records",
        },
        signs_commands=True,
        reads_users=True,
    ),
    "OnSchedule": Plan(
        "lambdas.on_schedule.handler",
        90,  # 40 s for leases, 20 s for silent agents, the rest for what follows
        {
            "transfers_table": "get query put update delete batch-write",
            "agents_table": "get query batch put update",
            "updates_table": "get query batch put",
            "policies_table": "get query",
            "audit_table": "query put-records put-seals",
            "refusals_table": "query delete",
        },
        signs_commands=True,
        tells_of_agents=True,
        cuts_connections=True,
        reads_users=True,
        updates=True,
        publishes_events=True,
        archives=True,
        seals_audit=True,
        asynchronous=True,
        retry_attempts=0,  # the next minute makes up for it; a pile would take hours to work off
        max_event_age_s=60,
        reserved=1,  # one minute's work at a time
        megabytes=1769,  # one processor: after an outage it checks thousands of hops within the minute
    ),
    "OnAudit": Plan("lambdas.on_audit.handler", 60, {"audit_table": "query put-links"}),
}

UNRESERVED = 100
"""Concurrent executions that AWS demands to be left to all other functions of the account."""
MIN_CONCURRENCY = UNRESERVED + sum(plan.reserved or 0 for plan in PLANS.values())
"""Smallest quota of the account with which the functions' executions can be reserved."""
