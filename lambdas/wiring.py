"""The composition root: builds each use case once, on first use, from `adapters`. Importing it does nothing.

Imports are inside the functions, so that each Lambda function loads only what it uses.
"""

from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING

from lambdas import adapters

if TYPE_CHECKING:
    from lambdas.agents.api_relocation import ApiRelocation
    from lambdas.agents.directory_browser import DirectoryBrowser
    from lambdas.agents.enrollment import EnrollmentService
    from lambdas.agents.enrollment_slots import EnrollmentSlots
    from lambdas.agents.fleet import FleetOverview
    from lambdas.agents.free_room import FreeRoom
    from lambdas.agents.inquiry import Inquiry
    from lambdas.agents.key_rotation import KeyRotation
    from lambdas.agents.log_reader import LogReader
    from lambdas.agents.removal import AgentRemoval
    from lambdas.agents.rollouts import RolloutService
    from lambdas.agents.service import AgentService
    from lambdas.agents.signing_key_rollover import SigningKeyRollover
    from lambdas.agents.update_stages import UpdateStages
    from lambdas.agents.updates import UpdateService
    from lambdas.audit.chain import AuditChain, AuditSealer
    from lambdas.audit.lag import AuditLag
    from lambdas.audit.query import AuditQuery
    from lambdas.audit.recorder import AuditRecorder
    from lambdas.audit.refusals import RefusalSummary
    from lambdas.policies.authorizer import Authorizer
    from lambdas.policies.decision_point import DecisionPoint
    from lambdas.policies.service import PolicyService
    from lambdas.policies.simulator import PolicySimulator
    from lambdas.templates.gatherer import Gatherer
    from lambdas.templates.object_events import ObjectEventHandler
    from lambdas.templates.service import TemplateService
    from lambdas.templates.starter import TransferStarter
    from lambdas.transfers.archive import TransferArchive
    from lambdas.transfers.dispatcher import Dispatcher, DispatchSettings
    from lambdas.transfers.fleet_metrics import FleetMetrics
    from lambdas.transfers.lease_sweeper import LeaseSweeper
    from lambdas.transfers.live_watches import LiveWatches
    from lambdas.transfers.manifests import Manifests
    from lambdas.transfers.report_handler import ReportHandler
    from lambdas.transfers.s3_credentials import S3CredentialsService
    from lambdas.transfers.service import TransferService
    from lambdas.transfers.stream_handler import StreamHandler
    from lambdas.transfers.writer import TransferWriter


@cache
def transfer_writer() -> "TransferWriter":
    from lambdas.transfers.writer import TransferWriter

    return TransferWriter(adapters.transfer_store(), adapters.clock)


@cache
def transfer_service() -> "TransferService":
    """Return the service for requests of people and templates."""
    from lambdas.transfers.service import TransferService

    return TransferService(
        adapters.transfer_store(), transfer_writer(), adapters.agent_store(), adapters.clock
    )


def _dispatch_settings() -> "DispatchSettings":
    from lambdas.transfers.dispatcher import DispatchSettings

    config = adapters.settings()
    return DispatchSettings(
        config.region_of, config.s3_endpoint or None, config.relay_bucket or None, bool(config.loopback_lanes)
    )


@cache
def dispatcher() -> "Dispatcher":
    from lambdas.domain.transfer import Transfer
    from lambdas.ports import Authorization, Refusal
    from lambdas.transfers.dispatcher import Dispatcher

    def authorize(transfer: Transfer) -> Authorization | Refusal:
        return authorizer().for_start(transfer)  # built on demand: most starts were decided just before

    return Dispatcher(
        writer=transfer_writer(),
        agents=adapters.agent_store(),
        commands=adapters.command_publisher(),
        settings=_dispatch_settings(),
        authorize=authorize,
        clock=adapters.clock,
    )


@cache
def stream_handler() -> "StreamHandler":
    """Return the handler of changes in the transfers table."""
    from lambdas.transfers.stream_handler import StreamHandler, StreamOutputs

    outputs = StreamOutputs(adapters.event_bus(), adapters.change_notifier(), adapters.retry_queue())
    return StreamHandler(
        adapters.transfer_store(),
        transfer_writer(),
        dispatcher(),
        adapters.command_publisher(),
        outputs,
    )


@cache
def report_handler() -> "ReportHandler":
    """Return the handler of agents' reports about hops."""
    from lambdas.transfers.report_handler import ReportHandler

    return ReportHandler(
        adapters.transfer_store(),
        transfer_writer(),
        stream_handler(),
        adapters.command_publisher(),
        adapters.clock,
    )


@cache
def lease_sweeper() -> "LeaseSweeper":
    """Return the sweeper of expired leases and due retries, run by the schedule and for single hops."""
    from lambdas.transfers.lease_sweeper import LeaseSweeper

    return LeaseSweeper(
        adapters.transfer_store(),
        transfer_writer(),
        stream_handler(),
        adapters.clock,
        adapters.command_publisher().cut,
    )


@cache
def fleet_metrics() -> "FleetMetrics":
    """Return what measures agents and waiting transfers, run by the schedule."""
    from lambdas.transfers.fleet_metrics import FleetMetrics

    return FleetMetrics(adapters.transfer_store(), adapters.agent_store(), adapters.clock)


@cache
def transfer_archive() -> "TransferArchive":
    """Return what archives ended transfers, run by the schedule."""
    from lambdas.transfers.archive import TransferArchive

    keep = timedelta(days=adapters.settings().transfer_days)
    return TransferArchive(adapters.archive_store(), adapters.archive_bucket(), keep, adapters.clock)


@cache
def free_room() -> "FreeRoom":
    from lambdas.agents.free_room import FreeRoom

    return FreeRoom(adapters.settings().free_percent)


@cache
def agent_service() -> "AgentService":
    """Return the service that records and shows agents."""
    from lambdas.agents.service import AgentService

    return AgentService(
        adapters.agent_store(), adapters.reply_store(), adapters.change_notifier(), adapters.clock
    )


@cache
def fleet() -> "FleetOverview":
    """Return what lists and counts agents."""
    from lambdas.agents.fleet import FleetOverview

    return FleetOverview(adapters.agent_store(), adapters.installer_store(), adapters.clock)


@cache
def enrollment_slots() -> "EnrollmentSlots":
    """Return the lookup of enrollment tokens; a roll-out admits what its starter may enroll now."""
    from events.base import AgentId
    from lambdas.agents.enrollment_slots import EnrollmentSlots
    from lambdas.domain.authorization import MANAGE_AGENT, agent_resource
    from lambdas.domain.rollout import Rollout

    def allowed(rollout: Rollout, agent_id: AgentId) -> None:
        authorizer().check_absent(rollout.created_by, MANAGE_AGENT, agent_resource(agent_id, rollout.tags))

    return EnrollmentSlots(adapters.enrollment_store(), adapters.rollout_store(), allowed, adapters.clock)


@cache
def enrollment_service() -> "EnrollmentService":
    from lambdas.agents.enrollment import EnrollmentService, EnrollmentStores

    stores = EnrollmentStores(
        agents=adapters.agent_store(),
        enrollments=adapters.enrollment_store(),
        installers=adapters.installer_store(),
    )
    return EnrollmentService(
        stores=stores,
        slots=enrollment_slots(),
        registry=adapters.iot_registry(),
        publisher=adapters.command_publisher(),
        stage=adapters.settings().stage,
        clock=adapters.clock,
    )


@cache
def rollout_service() -> "RolloutService":
    from lambdas.agents.rollouts import RolloutService

    return RolloutService(adapters.rollout_store(), adapters.installer_store(), adapters.clock)


@cache
def agent_removal() -> "AgentRemoval":
    from lambdas.agents.removal import AgentRemoval

    return AgentRemoval(
        agents=adapters.agent_store(),
        registry=adapters.iot_registry(),
        broker=adapters.command_publisher(),
        transfers=adapters.transfer_store(),
        writer=transfer_writer(),
        consoles=adapters.change_notifier(),
    )


@cache
def key_rotation() -> "KeyRotation":
    from lambdas.agents.key_rotation import KeyRotation

    return KeyRotation(
        agents=adapters.agent_store(),
        registry=adapters.iot_registry(),
        commands=adapters.command_publisher(),
        recorder=audit_recorder(),
        max_key_age=timedelta(days=adapters.settings().rotate_after_days),
        clock=adapters.clock,
    )


@cache
def signing_key_rollover() -> "SigningKeyRollover":
    from lambdas.agents.signing_key_rollover import SigningKeyRollover

    return SigningKeyRollover(adapters.command_publisher())


@cache
def api_relocation() -> "ApiRelocation":
    from lambdas.agents.api_relocation import ApiRelocation

    config = adapters.settings()
    return ApiRelocation(adapters.command_publisher(), config.api_url, config.former_urls)


@cache
def update_service() -> "UpdateService":
    """Return the service for update requests of people and agents."""
    from lambdas.agents.updates import UpdateService

    return UpdateService(
        store=adapters.update_store(),
        agents=adapters.agent_store(),
        installers=adapters.installer_store(),
        jobs=adapters.iot_jobs(),
        commands=adapters.command_publisher(),
        clock=adapters.clock,
    )


@cache
def update_stages() -> "UpdateStages":
    """Return what advances updates through their stages, run by the schedule."""
    from lambdas.agents.update_stages import UpdateStages

    return UpdateStages(
        adapters.update_store(), adapters.agent_store(), adapters.iot_jobs(), audit_recorder()
    )


@cache
def directory_browser() -> "DirectoryBrowser":
    from lambdas.agents.directory_browser import DirectoryBrowser

    return DirectoryBrowser(_inquiry())


@cache
def log_reader() -> "LogReader":
    from lambdas.agents.log_reader import LogReader

    return LogReader(_inquiry())


def _inquiry() -> "Inquiry":
    from lambdas.agents.inquiry import Inquiry

    return Inquiry(adapters.agent_store(), adapters.command_publisher(), adapters.reply_store())


@cache
def live_watches() -> "LiveWatches":
    from lambdas.transfers.live_watches import LiveWatches

    return LiveWatches(adapters.transfer_store(), adapters.command_publisher(), adapters.clock)


@cache
def s3_credentials() -> "S3CredentialsService":
    from lambdas.transfers.s3_credentials import S3CredentialsService

    return S3CredentialsService(
        transfers=transfer_service(),
        sts=adapters.client("sts"),
        role_arn=adapters.settings().object_role_arn,
        settings=_dispatch_settings(),
        clock=adapters.clock,
    )


@cache
def manifest_service() -> "Manifests":
    from lambdas.transfers.manifests import Manifests

    return Manifests(transfer_service(), adapters.s3(), adapters.settings().manifests_bucket, adapters.clock)


@cache
def template_service() -> "TemplateService":
    from lambdas.templates.service import TemplateService

    return TemplateService(
        adapters.template_store(),
        adapters.agent_store(),
        adapters.settings().bucket_names,
        adapters.clock,
        distant=adapters.settings().distant_bucket_names,
    )


@cache
def object_events() -> "ObjectEventHandler":
    from lambdas.templates.object_events import ObjectEventHandler

    return ObjectEventHandler(adapters.template_store(), transfer_starter(), gatherer())


@cache
def transfer_starter() -> "TransferStarter":
    """Return what starts the transfers of templates."""
    from lambdas.templates.starter import TransferStarter

    return TransferStarter(
        adapters.template_store(),
        adapters.dedupe_store(),
        transfer_service(),
        authorizer(),
        audit_recorder(),
        adapters.clock,
    )


@cache
def gatherer() -> "Gatherer":
    """Return what keeps the objects of templates that gather."""
    from lambdas.templates.gatherer import Gatherer

    return Gatherer(
        adapters.gathered_store(),
        transfer_starter(),
        audit_recorder(),
        adapters.gather_queue(),
        adapters.clock,
    )


@cache
def decision_point() -> "DecisionPoint":
    from lambdas.policies.decision_point import DecisionPoint

    return DecisionPoint(adapters.policy_store())


@cache
def authorizer() -> "Authorizer":
    """Return the authorizer of all requests."""
    from lambdas.policies.authorizer import Authorizer

    return Authorizer(
        decision_point(),
        audit_recorder(),
        adapters.agent_store(),
        adapters.user_directory(),
        adapters.settings().zone,
        adapters.clock,
    )


@cache
def policy_service() -> "PolicyService":
    from lambdas.policies.service import PolicyService

    return PolicyService(
        adapters.policy_store(),
        decision_point(),
        adapters.user_directory(),
        adapters.settings().zone,
        adapters.clock,
    )


@cache
def policy_simulator() -> "PolicySimulator":
    from lambdas.policies.simulator import PolicySimulator

    return PolicySimulator(
        adapters.policy_store(),
        adapters.agent_store(),
        adapters.user_directory(),
        adapters.transfer_store(),
        adapters.settings().zone,
        adapters.clock,
    )


@cache
def audit_recorder() -> "AuditRecorder":
    from lambdas.audit.recorder import AuditRecorder
    from lambdas.audit.refusals import RefusalCounter

    store = adapters.audit_store()
    return AuditRecorder(store, RefusalCounter(adapters.refusal_store(), store), adapters.clock)


@cache
def refusal_summary() -> "RefusalSummary":
    from lambdas.audit.refusals import RefusalSummary

    return RefusalSummary(adapters.refusal_store(), adapters.audit_store(), adapters.clock)


@cache
def audit_chain() -> "AuditChain":
    from lambdas.audit.chain import AuditChain

    return AuditChain(adapters.audit_store(), adapters.clock)


@cache
def audit_lag() -> "AuditLag":
    from lambdas.audit.lag import AuditLag

    return AuditLag(adapters.audit_store(), adapters.clock)


@cache
def audit_sealer() -> "AuditSealer":
    from lambdas.audit.chain import AuditSealer

    return AuditSealer(
        adapters.audit_store(), adapters.kms(), adapters.settings().audit_key_id, adapters.clock
    )


@cache
def audit_query() -> "AuditQuery":
    from lambdas.audit.query import AuditQuery

    return AuditQuery(adapters.audit_store(), audit_sealer(), adapters.clock)
