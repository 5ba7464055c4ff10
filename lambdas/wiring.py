"""The composition root: builds each object once, on first use. Importing it does nothing.

Imports are inside the functions, so that each Lambda function loads only what it uses.
"""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from lambdas.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_iot_data import IoTDataPlaneClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_s3 import S3Client

    from events.topics import Topics
    from lambdas.agents.directory_browser import DirectoryBrowser
    from lambdas.agents.enrollment import EnrollmentService
    from lambdas.agents.enrollment_slots import EnrollmentSlots
    from lambdas.agents.key_rotation import KeyRotation
    from lambdas.agents.removal import AgentRemoval
    from lambdas.agents.rollouts import RolloutService
    from lambdas.agents.service import AgentService
    from lambdas.agents.signing_key_rollover import SigningKeyRollover
    from lambdas.agents.update_stages import UpdateStages
    from lambdas.agents.updates import UpdateService
    from lambdas.audit.chain import AuditChain, AuditSealer
    from lambdas.audit.query import AuditQuery
    from lambdas.audit.recorder import AuditRecorder
    from lambdas.aws.bucket_browser import BucketBrowser
    from lambdas.aws.change_notifier import IotChangeNotifier
    from lambdas.aws.command_publisher import CommandPublisher
    from lambdas.aws.event_bus import EventBus
    from lambdas.aws.idempotency import Idempotency
    from lambdas.aws.iot_jobs import IotJobs
    from lambdas.aws.iot_registry import IotRegistry
    from lambdas.aws.live_urls import LiveUrls
    from lambdas.aws.user_directory import CognitoDirectory
    from lambdas.policies.authorizer import Authorizer
    from lambdas.policies.decision_point import DecisionPoint
    from lambdas.policies.service import PolicyService
    from lambdas.policies.simulator import PolicySimulator
    from lambdas.store.agents import AgentStore
    from lambdas.store.audit import AuditStore
    from lambdas.store.enrollments import EnrollmentStore
    from lambdas.store.installer import InstallerStore
    from lambdas.store.policies import PolicyStore
    from lambdas.store.replies import ReplyStore
    from lambdas.store.rollouts import RolloutStore
    from lambdas.store.templates import TemplateStore
    from lambdas.store.transfers import TransferStore
    from lambdas.store.updates import UpdateStore
    from lambdas.templates.object_events import ObjectEventHandler
    from lambdas.templates.service import TemplateService
    from lambdas.transfers.dispatcher import Dispatcher
    from lambdas.transfers.lease_sweeper import LeaseSweeper
    from lambdas.transfers.manifests import Manifests
    from lambdas.transfers.report_handler import ReportHandler
    from lambdas.transfers.s3_credentials import S3CredentialsService
    from lambdas.transfers.service import TransferService
    from lambdas.transfers.stream_handler import StreamHandler
    from lambdas.transfers.writer import TransferWriter


def clock() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


@cache
def settings() -> Settings:
    return Settings.from_env()


@cache
def client(service: str) -> Any:
    """Return the AWS client of this service in the stage's region, with botocore's default timeouts."""
    import boto3

    create: Any = boto3.client
    return create(service, region_name=settings().region)


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

    return IotChangeNotifier(low_latency_broker, topics())


@cache
def low_latency_broker() -> "IoTDataPlaneClient":
    """Return a broker client with short timeouts and no retry, for messages that may be lost."""
    import boto3
    from botocore.config import Config

    impatient = Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 1})
    return boto3.client("iot-data", region_name=settings().region, config=impatient)


@cache
def event_bus() -> "EventBus":
    from lambdas.aws.event_bus import EventBus

    return EventBus(client("events"), settings().bus_name)


@cache
def transfer_store() -> "TransferStore":
    from lambdas.store.transfers import TransferStore

    return TransferStore(settings().transfers_table, settings().region)


@cache
def agent_store() -> "AgentStore":
    from lambdas.store.agents import AgentStore

    return AgentStore(settings().agents_table, settings().region)


@cache
def transfer_writer() -> "TransferWriter":
    from lambdas.transfers.writer import TransferWriter

    return TransferWriter(transfer_store(), clock)


@cache
def transfer_service() -> "TransferService":
    """Return the service for requests of people and templates."""
    from lambdas.transfers.service import TransferService

    return TransferService(transfer_store(), transfer_writer(), agent_store(), clock)


@cache
def dispatcher() -> "Dispatcher":
    from lambdas.transfers.dispatcher import Dispatcher, S3Access

    config = settings()
    s3 = S3Access(config.region, config.s3_endpoint or None, config.relay_bucket or None)
    return Dispatcher(transfer_writer(), agent_store(), command_publisher(), s3, clock)


@cache
def stream_handler() -> "StreamHandler":
    """Return the handler of changes in the transfers table."""
    from lambdas.transfers.stream_handler import StreamHandler

    return StreamHandler(
        transfer_store(), transfer_writer(), dispatcher(), command_publisher(), event_bus(), change_notifier()
    )


@cache
def report_handler() -> "ReportHandler":
    """Return the handler of agents' reports about hops."""
    from lambdas.transfers.report_handler import ReportHandler

    return ReportHandler(transfer_store(), transfer_writer(), stream_handler(), command_publisher(), clock)


@cache
def lease_sweeper() -> "LeaseSweeper":
    """Return the sweeper of expired leases, run by the schedule."""
    from lambdas.transfers.lease_sweeper import LeaseSweeper

    return LeaseSweeper(transfer_store(), transfer_writer(), stream_handler(), clock)


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
def agent_service() -> "AgentService":
    """Return the service that records and shows agents."""
    from lambdas.agents.service import AgentService

    return AgentService(agent_store(), reply_store(), clock)


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

    return InstallerStore(settings().agents_table, settings().region)


@cache
def enrollment_slots() -> "EnrollmentSlots":
    """Return the lookup of enrollment tokens; a roll-out admits what its starter may enroll now."""
    from events.base import AgentId
    from lambdas.agents.enrollment_slots import EnrollmentSlots
    from lambdas.domain.authorization import MANAGE_AGENT, agent_resource
    from lambdas.domain.rollout import Rollout

    def allowed(rollout: Rollout, agent_id: AgentId) -> None:
        authorizer().check_absent(rollout.created_by, MANAGE_AGENT, agent_resource(agent_id, rollout.tags))

    return EnrollmentSlots(enrollment_store(), rollout_store(), allowed, clock)


@cache
def enrollment_service() -> "EnrollmentService":
    from lambdas.agents.enrollment import EnrollmentService, EnrollmentStores

    stores = EnrollmentStores(
        agents=agent_store(), enrollments=enrollment_store(), installers=installer_store()
    )
    return EnrollmentService(
        stores=stores,
        slots=enrollment_slots(),
        registry=iot_registry(),
        publisher=command_publisher(),
        stage=settings().stage,
        clock=clock,
    )


@cache
def rollout_service() -> "RolloutService":
    from lambdas.agents.rollouts import RolloutService

    return RolloutService(rollout_store(), installer_store(), clock)


@cache
def agent_removal() -> "AgentRemoval":
    from lambdas.agents.removal import AgentRemoval

    return AgentRemoval(
        agents=agent_store(),
        registry=iot_registry(),
        broker=command_publisher(),
        transfers=transfer_store(),
        writer=transfer_writer(),
    )


@cache
def key_rotation() -> "KeyRotation":
    from lambdas.agents.key_rotation import KeyRotation

    return KeyRotation(
        agents=agent_store(),
        registry=iot_registry(),
        commands=command_publisher(),
        recorder=audit_recorder(),
        max_key_age=timedelta(days=settings().rotate_after_days),
        clock=clock,
    )


@cache
def signing_key_rollover() -> "SigningKeyRollover":
    from lambdas.agents.signing_key_rollover import SigningKeyRollover

    return SigningKeyRollover(command_publisher())


@cache
def update_store() -> "UpdateStore":
    from lambdas.store.updates import UpdateStore

    return UpdateStore(settings().agents_table, settings().region)


@cache
def iot_jobs() -> "IotJobs":
    from lambdas.aws.iot_jobs import IotJobs

    config = settings()
    return IotJobs(client("iot"), config.things, topics())


@cache
def update_service() -> "UpdateService":
    """Return the service for update requests of people and agents."""
    from lambdas.agents.updates import UpdateService

    return UpdateService(
        store=update_store(),
        agents=agent_store(),
        installers=installer_store(),
        jobs=iot_jobs(),
        commands=command_publisher(),
        clock=clock,
    )


@cache
def update_stages() -> "UpdateStages":
    """Return what advances updates through their stages, run by the schedule."""
    from lambdas.agents.update_stages import UpdateStages

    return UpdateStages(update_store(), agent_store(), iot_jobs(), audit_recorder())


@cache
def directory_browser() -> "DirectoryBrowser":
    from lambdas.agents.directory_browser import DirectoryBrowser

    return DirectoryBrowser(agent_store(), command_publisher(), reply_store())


@cache
def s3_credentials() -> "S3CredentialsService":
    from lambdas.transfers.s3_credentials import S3CredentialsService

    config = settings()
    sts = client("sts")
    return S3CredentialsService(
        transfers=transfer_service(),
        sts=sts,
        role_arn=config.object_role_arn,
        region=config.region,
        endpoint=config.s3_endpoint or None,
        relay_bucket=config.relay_bucket or None,
    )


@cache
def s3() -> "S3Client":
    """Return the S3 client for calls within a request, with short timeouts, and for presigned URLs."""
    import boto3
    from botocore.config import Config

    config = settings()
    style = {"addressing_style": "path" if config.s3_endpoint else "virtual"}
    return boto3.client(
        "s3",
        region_name=config.region,
        endpoint_url=config.s3_endpoint or None,
        config=Config(
            signature_version="s3v4",
            s3=style,  # type: ignore[arg-type]
            connect_timeout=2,
            read_timeout=5,
            retries={"total_max_attempts": 2},
        ),
    )


@cache
def bucket_browser() -> "BucketBrowser":
    from lambdas.aws.bucket_browser import BucketBrowser

    return BucketBrowser(s3(), tuple(name for name in settings().buckets.split(",") if name))


@cache
def manifest_service() -> "Manifests":
    from lambdas.transfers.manifests import Manifests

    return Manifests(transfer_service(), s3(), settings().manifests_bucket, clock)


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
def template_service() -> "TemplateService":
    from lambdas.templates.service import TemplateService

    return TemplateService(template_store(), agent_store(), clock)


@cache
def object_events() -> "ObjectEventHandler":
    from lambdas.store.dedupe import DedupeStore
    from lambdas.templates.object_events import ObjectEventHandler

    dedupe = DedupeStore(settings().dedupe_table, settings().region)
    return ObjectEventHandler(
        template_store(), dedupe, transfer_service(), authorizer(), audit_recorder(), clock
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
def decision_point() -> "DecisionPoint":
    from lambdas.policies.decision_point import DecisionPoint

    return DecisionPoint(policy_store())


@cache
def authorizer() -> "Authorizer":
    """Return the authorizer of all requests."""
    from lambdas.policies.authorizer import Authorizer

    return Authorizer(
        decision_point(), audit_recorder(), agent_store(), user_directory(), settings().zone, clock
    )


@cache
def policy_service() -> "PolicyService":
    from lambdas.policies.service import PolicyService

    return PolicyService(policy_store(), decision_point(), user_directory(), settings().zone, clock)


@cache
def policy_simulator() -> "PolicySimulator":
    from lambdas.policies.simulator import PolicySimulator

    return PolicySimulator(
        policy_store(), agent_store(), user_directory(), transfer_store(), settings().zone, clock
    )


@cache
def idempotency() -> "Idempotency":
    from lambdas.aws.idempotency import Idempotency

    return Idempotency(settings().idempotency_table, client("dynamodb"))


@cache
def audit_store() -> "AuditStore":
    from lambdas.store.audit import AuditStore

    return AuditStore(settings().audit_table, settings().region)


@cache
def audit_recorder() -> "AuditRecorder":
    from lambdas.audit.recorder import AuditRecorder

    return AuditRecorder(audit_store(), clock)


@cache
def audit_chain() -> "AuditChain":
    from lambdas.audit.chain import AuditChain

    return AuditChain(audit_store(), clock)


@cache
def audit_sealer() -> "AuditSealer":
    from lambdas.audit.chain import AuditSealer

    return AuditSealer(audit_store(), kms(), settings().audit_key_id, clock)


@cache
def audit_query() -> "AuditQuery":
    from lambdas.audit.query import AuditQuery

    return AuditQuery(audit_store(), audit_sealer(), clock)
