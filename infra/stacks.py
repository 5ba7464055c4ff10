"""The stack of all that can be recreated from this repository, and the app, which has this and State."""

import json
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from infra import fleet, reactions
from infra.access import Access, assumable_roles
from infra.alarms import Watched
from infra.api import Api
from infra.console import Console
from infra.deployed import parameter_name
from infra.functions import Functions
from infra.monitoring import Monitoring
from infra.stack_tables import construct_name
from infra.stage import Stage
from infra.state import State, write_outputs
from infra.store import GROWING, relay_bucket
from lambdas.settings import Settings


class Control(cdk.Stack):
    """Functions, API, IoT topic rules and console."""

    def __init__(self, scope: Construct, stage: Stage, state: State) -> None:
        super().__init__(
            scope,
            stage.title,
            env=stage.environment,
            synthesizer=stage.synthesizer(),
            termination_protection=stage.protected,
        )
        self._stage, self._state = stage, state
        self._buckets = [state.media.bucket_name, *stage.settings.bucket_names]
        self.failures = reactions.queue(self, "Failures")
        self.functions = Functions(self, "Functions", stage, failures=self.failures)
        self.retries = reactions.Retries(self, "Retries", stage, self.functions.by_name["OnRetry"])
        self.uploads = reactions.Uploads(
            self, "Uploads", stage, buckets=self._buckets, on_object=self.functions.by_name["OnObject"]
        )
        self.bus = events.EventBus(self, "Facts", event_bus_name=f"crosshaul-{stage.name}")
        self.api = Api(self, "Api", stage, function=self.functions.by_name["Api"], people=state.sign_in.pool)
        self.relay = relay_bucket(self, stage)
        self.console = Console(
            self, "Console", stage, api_origins=self.api.origins, manifests=state.manifests
        )
        self._grant_access()
        self._add_event_sources()
        self._remember_settings()
        self._outputs()

    def _grant_access(self) -> None:
        stage, state, functions = self._stage, self._state, self.functions
        issuer = functions.role("Api")
        buckets = (
            state.media.bucket_arn,
            *(f"arn:{cdk.Aws.PARTITION}:s3:::{name}" for name in stage.settings.bucket_names),
        )
        objects, live = assumable_roles(self, stage, buckets, self.relay.bucket_arn, issuer)
        policy = fleet.device_policy(self, stage)
        tables: dict[str, Any] = {name: table.table_name for name, table in state.tables.by_setting.items()}
        settings = Settings(
            **tables,
            stage=stage.name,
            region=self.region,
            version=stage.version,
            bus_name=self.bus.event_bus_name,
            retry_queue_url=self.retries.waiting.queue_url,
            upload_queue_url=self.uploads.waiting.queue_url,
            signing_key_id=state.command_keys.now.key_arn,
            next_signing_key_id=state.command_keys.following.key_arn,
            audit_key_id=state.audit_key.key_arn,
            device_policy=str(policy.policy_name),
            things=fleet.iot_arn(self, "thing/"),
            manifests_bucket=state.manifests.bucket_name,
            archive_bucket=state.archive.bucket_name,
            transfer_days=stage.settings.transfer_days,
            buckets=",".join(self._buckets),
            api_url=self.api.url,
            former_api_urls=",".join(self.api.former_urls),
            bucket_regions=stage.settings.bucket_regions,
            distant_buckets=stage.settings.distant_buckets,
            object_role_arn=objects.role_arn,
            relay_bucket=self.relay.bucket_name,
            live_role_arn=live.role_arn,
            zone=stage.settings.zone,
            rotate_after_days=stage.settings.rotate_after_days,
            free_percent=stage.settings.alarm_free_percent,
            user_pool_id=state.sign_in.pool.user_pool_id,
            sign_in_client_id=state.sign_in.client.user_pool_client_id,
            **stage.endpoints(),
        )
        self._objects = objects
        access = Access(
            stage, state, self.bus, buckets, (objects, live), self.retries.waiting, self.uploads.waiting
        )
        functions.give(settings, access)

    def _add_event_sources(self) -> None:
        stage, state, functions = self._stage, self._state, self.functions.by_name
        reactions.follow(state.tables, functions["OnChange"], self.failures)
        reactions.chain(state.tables, functions["OnAudit"], self.failures)
        minute = reactions.each_minute(self, functions["OnSchedule"])
        iot_rules = fleet.IotRules(
            self,
            "Ears",
            stage,
            on_report=functions["OnReport"],
            on_presence=functions["OnPresence"],
            failures=self.failures,
        )
        watched = Watched(
            stage=stage,
            queues={"Failures": self.failures, "Uploads": self.uploads.dead, "Retries": self.retries.dead},
            functions=functions,
            tables={construct_name(name): state.tables.by_setting[name] for name in GROWING},
            rules={"Uploads": self.uploads.rule, "EachMinute": minute},
            iot_rules=iot_rules.by_name,
            rest=self.api.rest,
            refusals=self.api.refusals,
            api_certificates={one.name: one.certificate for one in stage.settings.api_domains},
        )
        self.watch = Monitoring(self, "Watch", watched)

    def _remember_settings(self) -> None:
        """Write the settings where the next deployment compares its own with them."""
        ssm.StringParameter(
            self,
            "Settings",
            parameter_name=parameter_name(self._stage.name),
            description=f"Crosshaul {self._stage.name}: settings of the last deployment",
            string_value=json.dumps(self._stage.settings.shown()),
            tier=ssm.ParameterTier.INTELLIGENT_TIERING,  # many buckets may exceed a standard one's 4 KB
        )

    def _outputs(self) -> None:
        outputs = {
            "ApiUrl": self.api.url,
            "ConsoleUrl": self.console.url,
            "ObjectRole": self._objects.role_arn,
            "ApiRole": self.functions.role("Api").role_arn,
            "RelayBucket": self.relay.bucket_name,
            "ConsoleBucket": self.console.bucket.bucket_name,
            "ConsoleDistribution": self.console.distribution.distribution_id,
            "AlarmTopic": self.watch.topic.topic_arn,
        }
        targets = self.api.dns_targets | self.console.dns_targets
        if targets:
            outputs["DnsTargets"] = ", ".join(f"{name} = {target}" for name, target in targets.items())
        write_outputs(self, outputs)


def compose(app: cdk.App, stage: Stage) -> None:
    state = State(app, stage)
    Control(app, stage, state)
    stage.suppress_embedded_findings(app)
    cdk.Tags.of(app).add("crosshaul", stage.name)
