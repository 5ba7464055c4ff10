"""The stack of all that must not be lost: tables, buckets, users and signing keys."""

import aws_cdk as cdk
from constructs import Construct

from infra import fleet
from infra.sign_in import UserPool
from infra.stage import Stage
from infra.store import Tables, archive_bucket, manifest_bucket, media_bucket


class State(cdk.Stack):
    """Tables, buckets, users and signing keys."""

    def __init__(self, scope: Construct, stage: Stage) -> None:
        super().__init__(
            scope,
            f"{stage.title}-State",
            env=stage.environment,
            synthesizer=stage.synthesizer(),
            termination_protection=stage.protected,
        )
        self.tables = Tables(self, "Tables", stage)
        self.media = media_bucket(self, stage)
        self.manifests = manifest_bucket(self, stage)
        self.archive = archive_bucket(self, stage)
        self.sign_in = UserPool(self, "SignIn", stage)
        self.command_keys = fleet.StageCommandKeys.create(self, stage)
        self.audit_key = fleet.signing_key(self, stage, "Audit", "seals the audit's days")
        outputs = {
            "UserPoolId": self.sign_in.pool.user_pool_id,
            "ClientId": self.sign_in.client.user_pool_client_id,
            "MediaBucket": self.media.bucket_name,
            "ArchiveBucket": self.archive.bucket_name,
            "ReleasesTable": self.tables.by_setting["releases_table"].table_name,
        }
        write_outputs(self, outputs)


def write_outputs(stack: cdk.Stack, outputs: dict[str, str]) -> None:
    """Add the outputs to the stack, by name."""
    for name, value in outputs.items():
        cdk.CfnOutput(stack, name, value=value)
