"""The plan of every function: what it runs, how much it gets, and what it may touch. Data only."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """One function. `tables` names what it does to each table, in words of `access.TABLE_ACTIONS`."""

    handler: str
    seconds: int
    tables: Mapping[str, str]
    signs_commands: bool = False
    """Commands: KMS's signature and the publish to an agent's commands topic."""
    notifies_consoles: bool = False
    """To open consoles, which transfers have changed."""
    publishes_events: bool = False
    """Facts, on the event bus."""
    reads_public_keys: bool = False
    """The public halves of the keys that sign commands, now and next."""
    enrolls: bool = False
    """Things, certificates and their policy."""
    rotates: bool = False
    """Ends an agent's old certificates."""
    updates: bool = False
    """Makes, looks at and ends the IoT Jobs of updates."""
    assumes_roles: bool = False
    """Credentials of the object and live roles, narrowed."""
    browses: bool = False
    """Lists the buckets that transfers may read and write."""
    keeps_manifests: bool = False
    """Signs addresses for agents to write them to and people to read them from."""
    seals_audit: bool = False
    """The audit's days, with a key of its own."""
    reads_seal_keys: bool = False
    """That key's public half."""
    reads_users: bool = False
    """Looks up whether a template's owner is still there, and in which groups."""
    asynchronous: bool = False
    """Started by an event that nobody waits for: what fails for good goes to a queue."""
    megabytes: int = 512


PLANS: dict[str, Plan] = {
    "Api": Plan(
        "lambdas.api.handler.handler",
        29,
        {
            "transfers_table": "get query batch put update",
            "agents_table": "get query batch put update delete",
            "templates_table": "get query put delete",
            "policies_table": "get query put update delete",
            "audit_table": "query batch put",
            "idempotency_table": "get put update delete",
        },
        signs_commands=True,
        reads_public_keys=True,
        enrolls=True,
        updates=True,
        assumes_roles=True,
        browses=True,
        keeps_manifests=True,
        reads_users=True,
        reads_seal_keys=True,
        megabytes=1024,
    ),
    "OnObject": Plan(
        "lambdas.on_object.handler",
        60,
        {
            "transfers_table": "get query put",
            "agents_table": "get batch",
            "templates_table": "get query",
            "policies_table": "get query",
            "audit_table": "put",
            "dedupe_table": "batch put",
        },
        reads_users=True,
    ),
    "OnReport": Plan(
        "lambdas.on_report.handler",
        30,
        {
            "transfers_table": "get query put update",
            "agents_table": "get batch put update",
            "audit_table": "put",
        },
        signs_commands=True,
        reads_public_keys=True,
        rotates=True,
        asynchronous=True,
    ),
    "OnPresence": Plan(
        "lambdas.on_presence.handler",
        30,
        {"transfers_table": "get query put update", "agents_table": "get batch update"},
        signs_commands=True,
        asynchronous=True,
    ),
    "OnChange": Plan(
        "lambdas.on_change.handler",
        60,
        {"transfers_table": "get query put update", "agents_table": "get batch"},
        signs_commands=True,
        notifies_consoles=True,
        publishes_events=True,
    ),
    "OnSchedule": Plan(
        "lambdas.on_schedule.handler",
        60,
        {
            "transfers_table": "get query put update",
            "agents_table": "get query batch put update",
            "audit_table": "query put",
        },
        signs_commands=True,
        updates=True,
        publishes_events=True,
        seals_audit=True,
        asynchronous=True,
    ),
    "OnAudit": Plan("lambdas.on_audit.handler", 60, {"audit_table": "query put"}),
}
