"""All settings of the control plane, each declared once: infra writes them, functions read them."""

import os
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any

PREFIX = "CROSSHAUL_"
_NUMBERS = ("mqtt_port", "rotate_after_days", "loopback_lanes", "free_percent", "transfer_days")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The environment of a function. An empty string means that a setting is not set."""

    stage: str
    region: str
    version: str
    transfers_table: str
    agents_table: str
    updates_table: str
    releases_table: str
    templates_table: str
    policies_table: str
    audit_table: str
    dedupe_table: str
    idempotency_table: str
    refusals_table: str
    bus_name: str
    retry_queue_url: str = ""
    """The URL of the queue that delivers a message for each retry when it is due."""
    upload_queue_url: str = ""
    """The URL of the queue of created objects, and of what templates have gathered when it is due."""
    signing_key_id: str = ""
    """The ARN of the KMS key (ECC_NIST_P256) that signs commands."""
    next_signing_key_id: str = ""
    """The ARN of the KMS key that signs commands after a rollover; agents trust it already."""
    audit_key_id: str = ""
    """The ARN of the KMS key that seals each day of the audit log."""
    api_url: str = ""
    """The address of the API that agents use, without a final slash. Empty: they keep theirs."""
    former_api_urls: str = ""
    """The other addresses of this API, separated by commas: agents that use them are moved."""
    device_policy: str = ""
    """The name of the IoT policy that is attached to every agent's certificate."""
    things: str = ""
    """The ARN of a thing in this account, up to its name."""
    manifests_bucket: str = ""
    """The bucket to which agents upload manifests: the outcome of every file."""
    archive_bucket: str = ""
    """The bucket to which transfers that have ended are archived."""
    transfer_days: int = 400
    """Days that a transfer stays in the table after its end."""
    buckets: str = ""
    """The buckets that transfers may read and write, separated by commas."""
    bucket_regions: str = ""
    """The regions of buckets that are not in the stage's: `my-archive=eu-west-1`, separated by commas."""
    distant_buckets: str = ""
    """The buckets in another region or account, separated by commas: their events must be forwarded."""
    object_role_arn: str = ""
    """Assumed, narrowed by a session policy, for one hop's S3 credentials."""
    relay_bucket: str = ""
    """The bucket that relays data between agents that cannot reach each other. Empty: no relay."""
    live_role_arn: str = ""
    """Assumed, narrowed by a session policy, for a viewer of live progress."""
    zone: str = "UTC"
    """The time zone of times in policies, for example `Europe/Zurich`."""
    user_pool_id: str = ""
    """The Cognito user pool in which people sign in and have groups."""
    sign_in_client_id: str = ""
    sign_in_endpoint: str = ""
    """Empty: Cognito in AWS."""
    mqtt_host: str = ""
    """Empty: ask IoT for its data endpoint."""
    mqtt_port: int = 8883
    rotate_after_days: int = 90
    """The age in days at which an agent's keys are rotated."""
    free_percent: int = 5
    """Free room of a writable root, in percent of its disk, below which a person is told."""
    mqtt_ca: str = ""
    """The broker's certificate authority, PEM. Empty: the agent uses its system's authorities."""
    s3_endpoint: str = ""
    """The S3 endpoint that agents use. Empty: S3 in AWS."""
    loopback_lanes: int = 0
    """1 if agents may dial each other on loopback: the local stage, whose agents all run on one host."""

    @property
    def bucket_names(self) -> tuple[str, ...]:
        return _listed(self.buckets)

    @property
    def distant_bucket_names(self) -> tuple[str, ...]:
        return _listed(self.distant_buckets)

    @property
    def former_urls(self) -> tuple[str, ...]:
        return _listed(self.former_api_urls)

    def region_of(self, bucket: str) -> str:
        """Return the region of a bucket that transfers may use."""
        return dict(one.split("=") for one in _listed(self.bucket_regions)).get(bucket, self.region)

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
        """Return the settings as environment variables, without those that are not set."""
        return {PREFIX + name.upper(): str(value) for name, value in asdict(self).items() if value != ""}


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.split(",") if part)
