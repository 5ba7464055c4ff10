"""The outer half of the composition root: settings, AWS clients, stores and adapters, each built once.

Importing it does nothing; imports are inside the functions, so that each Lambda function loads only what it
uses. `wiring` builds the use cases from what is here.
"""

from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from lambdas.settings import Settings

if TYPE_CHECKING:
    from botocore.config import Config
    from mypy_boto3_iot_data import IoTDataPlaneClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_s3 import S3Client

    from events.topics import Topics
    from lambdas.aws.archive_bucket import ArchiveBucket
    from lambdas.aws.bucket_browser import BucketBrowser
    from lambdas.aws.change_notifier import IotChangeNotifier
    from lambdas.aws.command_publisher import CommandPublisher
    from lambdas.aws.delay_queue import GatherQueue, RetryQueue
    from lambdas.aws.event_bus import EventBus
    from lambdas.aws.idempotency import Idempotency
    from lambdas.aws.iot_jobs import IotJobs
    from lambdas.aws.iot_registry import IotRegistry
    from lambdas.aws.live_urls import LiveUrls
    from lambdas.aws.user_directory import CognitoDirectory
    from lambdas.store.agents import AgentStore
    from lambdas.store.audit import AuditStore
    from lambdas.store.dedupe import DedupeStore
    from lambdas.store.enrollments import EnrollmentStore
    from lambdas.store.gathered import GatheredStore
    from lambdas.store.installer import InstallerStore
    from lambdas.store.policies import PolicyStore
    from lambdas.store.refusals import RefusalStore
    from lambdas.store.replies import ReplyStore
    from lambdas.store.rollouts import RolloutStore
    from lambdas.store.templates import TemplateStore
    from lambdas.store.transfer_archive import ArchiveStore
    from lambdas.store.transfers import TransferStore
    from lambdas.store.updates import UpdateStore


def clock() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


@cache
def settings() -> Settings:
    return Settings.from_env()


@cache
def client(
    service: str, *, endpoint: str | None = None, config: "Config | None" = None, region: str = ""
) -> Any:
    """Return the AWS client of this service in `region`, the stage's if it is empty.

    Unless `config` says otherwise, a call that hangs ends within 24 s: API Gateway gives up after 29 s.
    """
    import boto3
    from botocore.config import Config

    from lambdas.store.base import MAX_CONNECTIONS

    patient = Config(
        connect_timeout=3,
        read_timeout=9,
        retries={"total_max_attempts": 2, "mode": "standard"},
        max_pool_connections=MAX_CONNECTIONS,
    )
    create: Any = boto3.client
    return create(
        service,
        region_name=region or settings().region,
        endpoint_url=endpoint,
        config=config or patient,
    )


def kms() -> "KMSClient":
    """Return the client that signs commands and seals; tests replace it."""
    kms_client: KMSClient = client("kms")
    return kms_client


@cache
def topics() -> "Topics":
    """Return the names of this stage in IoT Core."""
    from events.topics import Topics

    return Topics(settings().stage)


@cache
def command_publisher() -> "CommandPublisher":
    from lambdas.aws.command_publisher import CommandPublisher

    return CommandPublisher(
        kms=kms(),
        broker=client("iot-data"),
        keys=(settings().signing_key_id, settings().next_signing_key_id),
        topics=topics(),
        clock=clock,
    )


@cache
def change_notifier() -> "IotChangeNotifier":
    from lambdas.aws.change_notifier import IotChangeNotifier

    return IotChangeNotifier(low_latency_broker, topics(), clock)


@cache
def low_latency_broker() -> "IoTDataPlaneClient":
    """Return a broker client with short timeouts and no retry, for messages that may be lost."""
    from botocore.config import Config

    impatient = Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 1})
    broker: IoTDataPlaneClient = client("iot-data", config=impatient)
    return broker


@cache
def event_bus() -> "EventBus":
    from lambdas.aws.event_bus import EventBus

    return EventBus(client("events"), settings().bus_name)


@cache
def retry_queue() -> "RetryQueue":
    from lambdas.aws.delay_queue import RetryQueue

    return RetryQueue(lambda: client("sqs"), settings().retry_queue_url, clock)


@cache
def gather_queue() -> "GatherQueue":
    from lambdas.aws.delay_queue import GatherQueue

    return GatherQueue(lambda: client("sqs"), settings().upload_queue_url, clock)


@cache
def archive_store() -> "ArchiveStore":
    from lambdas.store.transfer_archive import ArchiveStore

    return ArchiveStore(settings().transfers_table, settings().region)


@cache
def archive_bucket() -> "ArchiveBucket":
    from lambdas.aws.archive_bucket import ArchiveBucket

    return ArchiveBucket(s3(), settings().archive_bucket)


@cache
def gathered_store() -> "GatheredStore":
    from lambdas.store.gathered import GatheredStore

    return GatheredStore(settings().transfers_table, settings().region)


@cache
def transfer_store() -> "TransferStore":
    from lambdas.store.transfers import TransferStore

    return TransferStore(settings().transfers_table, settings().region)


@cache
def agent_store() -> "AgentStore":
    from lambdas.store.agents import AgentStore

    return AgentStore(settings().agents_table, settings().region)


@cache
def reply_store() -> "ReplyStore":
    from lambdas.store.replies import ReplyStore

    return ReplyStore(settings().agents_table, settings().region)


@cache
def template_store() -> "TemplateStore":
    from lambdas.store.templates import TemplateStore

    return TemplateStore(settings().templates_table, settings().region)


@cache
def iot_registry() -> "IotRegistry":
    from lambdas.aws.iot_registry import IotEndpoint, IotRegistry

    config = settings()
    broker = IotEndpoint(config.mqtt_host, config.mqtt_port, config.mqtt_ca or None)
    return IotRegistry(client("iot"), topics(), config.device_policy, broker)


@cache
def enrollment_store() -> "EnrollmentStore":
    from lambdas.store.enrollments import EnrollmentStore

    return EnrollmentStore(settings().agents_table, settings().region)


@cache
def rollout_store() -> "RolloutStore":
    from lambdas.store.rollouts import RolloutStore

    return RolloutStore(settings().agents_table, settings().region)


@cache
def installer_store() -> "InstallerStore":
    from lambdas.store.installer import InstallerStore

    return InstallerStore(settings().releases_table, settings().region)


@cache
def update_store() -> "UpdateStore":
    from lambdas.store.updates import UpdateStore

    return UpdateStore(settings().updates_table, settings().region)


@cache
def iot_jobs() -> "IotJobs":
    from lambdas.aws.iot_jobs import IotJobs

    config = settings()
    return IotJobs(client("iot"), config.things, topics())


@cache
def s3(region: str = "") -> "S3Client":
    """Return the S3 client for calls within a request, with short timeouts, and for presigned URLs.

    `region` is that of the bucket; '' is the stage's own.
    """
    from botocore.config import Config

    endpoint = settings().s3_endpoint or None
    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": "path" if endpoint else "virtual"},
        connect_timeout=2,
        read_timeout=5,
        retries={"total_max_attempts": 2},
    )
    s3_client: S3Client = client("s3", endpoint=endpoint, config=config, region=region)
    return s3_client


@cache
def bucket_browser() -> "BucketBrowser":
    from lambdas.aws.bucket_browser import BucketBrowser

    here = settings()
    return BucketBrowser(lambda bucket: s3(here.region_of(bucket)), here.bucket_names)


@cache
def live_urls() -> "LiveUrls":
    from lambdas.aws.live_urls import LiveUrls

    config = settings()
    return LiveUrls(
        iot=client("iot"),
        sts=client("sts"),
        role_arn=config.live_role_arn,
        region=config.region,
        topics=topics(),
        clock=clock,
    )


@cache
def policy_store() -> "PolicyStore":
    from lambdas.store.policies import PolicyStore

    return PolicyStore(settings().policies_table, settings().region)


@cache
def user_directory() -> "CognitoDirectory":
    from lambdas.aws.user_directory import CognitoDirectory

    return CognitoDirectory(client("cognito-idp"), settings().user_pool_id)


@cache
def idempotency() -> "Idempotency":
    from lambdas.aws.idempotency import Idempotency

    return Idempotency(settings().idempotency_table, client("dynamodb"))


@cache
def audit_store() -> "AuditStore":
    from lambdas.store.audit import AuditStore

    return AuditStore(settings().audit_table, settings().region)


@cache
def refusal_store() -> "RefusalStore":
    from lambdas.store.refusals import RefusalStore

    return RefusalStore(settings().refusals_table, settings().region)


@cache
def dedupe_store() -> "DedupeStore":
    from lambdas.store.dedupe import DedupeStore

    return DedupeStore(settings().dedupe_table, settings().region)
