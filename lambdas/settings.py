"""The names of every setting of the control plane, once: functions read them, infra writes them."""

import os
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any

PREFIX = "CROSSHAUL_"
_NUMBERS = ("mqtt_port", "rotate_after_days")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a function knows of where it runs. An empty string means: not set."""

    stage: str
    region: str
    version: str
    transfers_table: str
    agents_table: str
    templates_table: str
    policies_table: str
    audit_table: str
    dedupe_table: str
    idempotency_table: str
    bus_name: str
    signing_key_id: str = ""
    """The ARN of the KMS key (ECC_NIST_P256) that signs commands."""
    next_signing_key_id: str = ""
    """The ARN of the one that will sign next: agents know it already."""
    audit_key_id: str = ""
    """The ARN of the KMS key that seals the audit's days."""
    device_policy: str = ""
    """The name of the IoT policy every agent's certificate gets."""
    things: str = ""
    """How the ARNs of this account's things begin, up to the name."""
    manifests_bucket: str = ""
    """Where agents put what their hops did, file by file."""
    buckets: str = ""
    """Names, with a comma between two: those that transfers may read and write."""
    object_role_arn: str = ""
    """Assumed, narrowed by a session policy, for one hop's S3 credentials."""
    relay_bucket: str = ""
    """Through which agents that cannot reach each other may go. Empty: there is none."""
    live_role_arn: str = ""
    """Assumed, narrowed by a session policy, for a viewer of live progress."""
    zone: str = "UTC"
    """The time zone that policies speak of: `Europe/Zurich`."""
    user_pool_id: str = ""
    """Where people sign in, and the groups of a template's owner are looked up."""
    sign_in_client_id: str = ""
    sign_in_endpoint: str = ""
    """Empty: Cognito in AWS."""
    mqtt_host: str = ""
    """Empty: ask IoT for its data endpoint."""
    mqtt_port: int = 8883
    rotate_after_days: int = 90
    """The age at which an agent's keys are replaced."""
    mqtt_ca: str = ""
    """PEM. Empty: the agent's system knows the authority."""
    s3_endpoint: str = ""
    """What agents are told. Empty: S3 in AWS."""

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> "Settings":
        """Read `CROSSHAUL_<FIELD>` for every field; KeyError names a missing one that has no default."""
        names = {field.name: PREFIX + field.name.upper() for field in fields(cls)}
        required = {field.name for field in fields(cls) if field.default is MISSING}
        given: dict[str, Any] = {
            field: env[name] for field, name in names.items() if name in env or field in required
        }
        given |= {name: int(given[name]) for name in _NUMBERS if name in given}
        return cls(**given)

    def as_env(self) -> dict[str, str]:
        """The same as environment variables; what is not set is left out."""
        return {PREFIX + name.upper(): str(value) for name, value in asdict(self).items() if value != ""}
