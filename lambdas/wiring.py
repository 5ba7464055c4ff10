"""The composition root: builds each thing once, when it is first asked for. Importing does nothing.

Imports stand inside the functions, so that each Lambda function loads only what it uses.
"""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

from lambdas.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_iot_data import IoTDataPlaneClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_s3 import S3Client

    from events.topics import Topics
    from lambdas.agents.book import Agents
    from lambdas.agents.browsing import Browsing
    from lambdas.agents.enrolling import Enrolling
    from lambdas.agents.jobs import Jobs
    from lambdas.agents.leaving import Leaving
    from lambdas.agents.places import Places
    from lambdas.agents.registry import Registry
    from lambdas.agents.rollouts import Rollouts
    from lambdas.agents.rotating import Rotating
    from lambdas.agents.staging import Staging
    from lambdas.agents.succession import Succession
    from lambdas.agents.updating import Updating
    from lambdas.arrivals import Arrivals
    from lambdas.audit.chaining import Chaining, Sealing
    from lambdas.audit.reading import Reading
    from lambdas.audit.recording import Recording
    from lambdas.buckets import Buckets
    from lambdas.bus import Bus
    from lambdas.credentials import Lending
    from lambdas.fleet import Fleet
    from lambdas.live import LiveAddresses
    from lambdas.manifests import Manifests
    from lambdas.news import Announcer
    from lambdas.once import Once
    from lambdas.people import People
    from lambdas.policies.deciding import Deciding
    from lambdas.policies.gate import Gate
    from lambdas.policies.keeping import Keeping
    from lambdas.policies.trying import Trying
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
    from lambdas.templates import Templates
    from lambdas.transfers.changing import Changing
    from lambdas.transfers.desk import Transfers
    from lambdas.transfers.dispatch import Dispatch
    from lambdas.transfers.hearing import Hearing
    from lambdas.transfers.reactions import Reactions
    from lambdas.transfers.sweeping import Sweeping


def clock() -> datetime:
    return datetime.now(UTC)


@cache
def settings() -> Settings:
    return Settings.from_env()


@cache
def kms() -> "KMSClient":
    import boto3

    return boto3.client("kms", region_name=settings().region)


@cache
def topics() -> "Topics":
    """Every name of this stage in IoT Core."""
    from events.topics import Topics

    return Topics(settings().stage)


@cache
def fleet() -> "Fleet":
    import boto3

    from lambdas.fleet import Fleet

    return Fleet(
        kms=kms(),
        broker=boto3.client("iot-data", region_name=settings().region),
        keys=(settings().signing_key_id, settings().next_signing_key_id),
        topics=topics(),
        clock=clock,
    )


@cache
def announcer() -> "Announcer":
    from lambdas.news import Announcer

    return Announcer(hasty_broker, topics())


@cache
def hasty_broker() -> "IoTDataPlaneClient":
    import boto3
    from botocore.config import Config

    soon = Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 1})
    return boto3.client("iot-data", region_name=settings().region, config=soon)


@cache
def bus() -> "Bus":
    import boto3

    from lambdas.bus import Bus

    return Bus(boto3.client("events", region_name=settings().region), settings().bus_name)


@cache
def transfer_store() -> "TransferStore":
    from lambdas.store.transfers import TransferStore

    return TransferStore(settings().transfers_table, settings().region)


@cache
def agent_store() -> "AgentStore":
    from lambdas.store.agents import AgentStore

    return AgentStore(settings().agents_table, settings().region)


@cache
def changing() -> "Changing":
    from lambdas.transfers.changing import Changing

    return Changing(transfer_store(), clock)


@cache
def transfers() -> "Transfers":
    """What people and templates ask."""
    from lambdas.transfers.desk import Transfers

    return Transfers(transfer_store(), changing(), agent_store(), clock)


@cache
def dispatch() -> "Dispatch":
    from lambdas.transfers.dispatch import Dispatch, S3Access

    here = settings()
    s3 = S3Access(here.region, here.s3_endpoint or None, here.relay_bucket or None)
    return Dispatch(changing(), agent_store(), fleet(), s3, clock)


@cache
def reactions() -> "Reactions":
    """What follows from a change in the table."""
    from lambdas.transfers.reactions import Reactions

    return Reactions(transfer_store(), changing(), dispatch(), fleet(), bus(), announcer())


@cache
def hearing() -> "Hearing":
    """What agents say about hops."""
    from lambdas.transfers.hearing import Hearing

    return Hearing(transfer_store(), changing(), reactions(), fleet(), clock)


@cache
def sweeping() -> "Sweeping":
    """What the clock finds."""
    from lambdas.transfers.sweeping import Sweeping

    return Sweeping(transfer_store(), changing(), reactions(), clock)


@cache
def reply_store() -> "ReplyStore":
    from lambdas.store.replies import ReplyStore

    return ReplyStore(settings().agents_table, settings().region)


@cache
def template_store() -> "TemplateStore":
    from lambdas.store.templates import TemplateStore

    return TemplateStore(settings().templates_table, settings().region)


@cache
def registry() -> "Registry":
    import boto3

    from lambdas.agents.registry import Endpoint, Registry

    here = settings()
    broker = Endpoint(here.mqtt_host, here.mqtt_port, here.mqtt_ca or None)
    return Registry(boto3.client("iot", region_name=here.region), topics(), here.device_policy, broker)


@cache
def agents() -> "Agents":
    """What agents and the broker say of them, and what people see."""
    from lambdas.agents.book import Agents

    return Agents(agent_store(), reply_store(), clock)


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
def places() -> "Places":
    """What a token opens. A roll-out lets in whom the person who started it may enrol now."""
    from events.base import AgentId
    from lambdas.agents.places import Places
    from lambdas.domain.deciding import MANAGE_AGENT, agent_thing
    from lambdas.domain.rollout import Rollout

    def allowed(rollout: Rollout, agent_id: AgentId) -> None:
        gate().check_absent(rollout.created_by, MANAGE_AGENT, agent_thing(agent_id, rollout.tags))

    return Places(enrollment_store(), rollout_store(), allowed, clock)


@cache
def enrolling() -> "Enrolling":
    from lambdas.agents.enrolling import Enrolling

    return Enrolling(
        agents=agent_store(),
        enrollments=enrollment_store(),
        places=places(),
        installers=installer_store(),
        registry=registry(),
        fleet=fleet(),
        stage=settings().stage,
        clock=clock,
    )


@cache
def rollouts() -> "Rollouts":
    from lambdas.agents.rollouts import Rollouts

    return Rollouts(rollout_store(), installer_store(), clock)


@cache
def leaving() -> "Leaving":
    from lambdas.agents.leaving import Leaving

    return Leaving(
        agents=agent_store(),
        registry=registry(),
        broker=fleet(),
        transfers=transfer_store(),
        changing=changing(),
    )


@cache
def rotating() -> "Rotating":
    from lambdas.agents.rotating import Rotating

    age = timedelta(days=settings().rotate_after_days)
    return Rotating(
        agents=agent_store(),
        registry=registry(),
        orders=fleet(),
        recording=recording(),
        age=age,
        clock=clock,
    )


@cache
def succession() -> "Succession":
    from lambdas.agents.succession import Succession

    return Succession(fleet())


@cache
def update_store() -> "UpdateStore":
    from lambdas.store.updates import UpdateStore

    return UpdateStore(settings().agents_table, settings().region)


@cache
def jobs() -> "Jobs":
    import boto3

    from lambdas.agents.jobs import Jobs

    here = settings()
    return Jobs(boto3.client("iot", region_name=here.region), here.things, topics())


@cache
def updating() -> "Updating":
    """What people ask of updates, and agents."""
    from lambdas.agents.updating import Updating

    return Updating(
        store=update_store(),
        agents=agent_store(),
        installers=installer_store(),
        jobs=jobs(),
        orders=fleet(),
        clock=clock,
    )


@cache
def staging() -> "Staging":
    """How updates go on."""
    from lambdas.agents.staging import Staging

    return Staging(update_store(), agent_store(), jobs(), recording())


@cache
def browsing() -> "Browsing":
    from lambdas.agents.browsing import Browsing

    return Browsing(agent_store(), fleet(), reply_store())


@cache
def lending() -> "Lending":
    import boto3

    from lambdas.credentials import Lending

    here = settings()
    sts = boto3.client("sts", region_name=here.region)
    return Lending(
        transfers=transfers(),
        sts=sts,
        role_arn=here.object_role_arn,
        region=here.region,
        endpoint=here.s3_endpoint or None,
        relay_bucket=here.relay_bucket or None,
    )


@cache
def s3() -> "S3Client":
    """For a function's own calls while somebody waits, and for addresses that agents and people can reach."""
    import boto3
    from botocore.config import Config

    here = settings()
    style = {"addressing_style": "path" if here.s3_endpoint else "virtual"}
    return boto3.client(
        "s3",
        region_name=here.region,
        endpoint_url=here.s3_endpoint or None,
        config=Config(
            signature_version="s3v4",
            s3=style,  # type: ignore[arg-type]
            connect_timeout=2,
            read_timeout=5,
            retries={"total_max_attempts": 2},
        ),
    )


@cache
def buckets() -> "Buckets":
    from lambdas.buckets import Buckets

    return Buckets(s3(), tuple(name for name in settings().buckets.split(",") if name))


@cache
def manifests() -> "Manifests":
    from lambdas.manifests import Manifests

    return Manifests(transfers(), s3(), settings().manifests_bucket, clock)


@cache
def live() -> "LiveAddresses":
    import boto3

    from lambdas.live import LiveAddresses

    here = settings()
    return LiveAddresses(
        iot=boto3.client("iot", region_name=here.region),
        sts=boto3.client("sts", region_name=here.region),
        role_arn=here.live_role_arn,
        region=here.region,
        topics=topics(),
        clock=clock,
    )


@cache
def templates() -> "Templates":
    from lambdas.templates import Templates

    return Templates(template_store(), agent_store(), clock)


@cache
def arrivals() -> "Arrivals":
    from lambdas.arrivals import Arrivals
    from lambdas.store.dedupe import DedupeStore

    dedupe = DedupeStore(settings().dedupe_table, settings().region)
    return Arrivals(template_store(), dedupe, transfers(), gate(), recording(), clock)


@cache
def policy_store() -> "PolicyStore":
    from lambdas.store.policies import PolicyStore

    return PolicyStore(settings().policies_table, settings().region)


@cache
def people() -> "People":
    import boto3

    from lambdas.people import People

    return People(boto3.client("cognito-idp", region_name=settings().region), settings().user_pool_id)


@cache
def deciding() -> "Deciding":
    from lambdas.policies.deciding import Deciding

    return Deciding(policy_store())


@cache
def gate() -> "Gate":
    """Whether anyone may do anything."""
    from lambdas.policies.gate import Gate

    return Gate(deciding(), recording(), agent_store(), people(), settings().zone, clock)


@cache
def policies() -> "Keeping":
    from lambdas.policies.keeping import Keeping

    return Keeping(policy_store(), deciding(), people(), settings().zone, clock)


@cache
def trying() -> "Trying":
    from lambdas.policies.trying import Trying

    return Trying(policy_store(), agent_store(), people(), transfer_store(), settings().zone, clock)


@cache
def once() -> "Once":
    import boto3

    from lambdas.once import Once

    return Once(settings().idempotency_table, boto3.client("dynamodb", region_name=settings().region))


@cache
def audit_store() -> "AuditStore":
    from lambdas.store.audit import AuditStore

    return AuditStore(settings().audit_table, settings().region)


@cache
def recording() -> "Recording":
    from lambdas.audit.recording import Recording

    return Recording(audit_store(), clock)


@cache
def chaining() -> "Chaining":
    from lambdas.audit.chaining import Chaining

    return Chaining(audit_store(), clock)


@cache
def sealing() -> "Sealing":
    from lambdas.audit.chaining import Sealing

    return Sealing(audit_store(), kms(), settings().audit_key_id, clock)


@cache
def reading() -> "Reading":
    from lambdas.audit.reading import Reading

    return Reading(audit_store(), sealing(), clock)
