"""Offer queued hops to their agents: first in the table, then by signed commands.

If anything fails in between, or a message is lost, the offer's lease expires and the hop is offered again.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from events.addresses import dialable
from events.base import AgentId, Problem
from events.certificates import fingerprint
from events.commands import DirectRoute, LocalRoute, Move, Peer, Relay, RemoteRoute, Route, S3Route, Serve
from events.locations import AgentLocation, S3Location
from events.options import Options
from events.states import HopState
from lambdas.domain.agent import Agent, check_able, is_available
from lambdas.domain.errors import AgentTooOldError, AgentUnknownError, LimitError
from lambdas.domain.hop import Hop, relay_prefix
from lambdas.domain.hop_changes import held_for_approval, offered, refused
from lambdas.domain.sizes import MAX_PUBLISHED_BYTES, check_command
from lambdas.domain.timeline import CROSSHAUL, became
from lambdas.domain.transfer import Transfer
from lambdas.ports import AgentLookup, Authorization, AuthorizeStart, Clock, CommandSender, Refusal
from lambdas.telemetry import logger
from lambdas.transfers.live_watches import seconds_watched
from lambdas.transfers.operations import wanting
from lambdas.transfers.writer import Change, ChangeFunction, Start, TransferWriter, one_hop

SERVE_LIFETIME = timedelta(hours=24)
"""How long a source may serve one attempt; a hop that takes longer is offered again and resumes."""


@dataclass(frozen=True)
class DispatchSettings:
    """Settings of the stage that commands depend on."""

    region_of: Callable[[str], str]
    """Returns the region of a bucket."""
    endpoint: str | None
    relay_bucket: str | None = None
    loopback_lanes: bool = False
    """Whether agents may dial each other on loopback: only where all run on one host."""
    threads: int = 8
    """Hops of a fan-out that are offered at the same time: each waits for DynamoDB, KMS and IoT Core."""


class Dispatcher:
    """Offers hops to agents and sends their commands."""

    def __init__(
        self,
        writer: TransferWriter,
        agents: AgentLookup,
        commands: CommandSender,
        settings: DispatchSettings,
        authorize: AuthorizeStart,
        clock: Clock,
    ) -> None:
        self._writer = writer
        self._agents = agents
        self._commands = commands
        self._settings = settings
        self._authorize = authorize
        self._clock = clock

    def offer_ready(self, transfer: Transfer) -> None:
        """Offer every hop whose time has come and whose agents are online.

        Hops of a fan-out are offered in parallel. In a chain, an offer may let the next hop begin.
        """
        find = cache(self._agents.get)
        due = [hop for hop in transfer.hops if offered(hop, self._clock()) is not hop]
        if transfer.shape == "chain" or len(due) < 2:
            for hop in due:
                transfer = self._dispatch(transfer, hop, find)
            return
        with ThreadPoolExecutor(self._settings.threads) as threads:
            for _ in threads.map(lambda hop: self._dispatch(transfer, hop, find), due):
                pass

    def _dispatch(self, transfer: Transfer, hop: Hop, find: Callable[[AgentId], Agent]) -> Transfer:
        try:
            agents = {agent_id: find(agent_id) for agent_id in hop.agents}
            check_able(agents[hop.carrier], hop.destination, transfer.options)
            check_command(transfer, hop, agents, MAX_PUBLISHED_BYTES)
        except (AgentUnknownError, AgentTooOldError, LimitError) as error:
            return self._refuse(transfer, hop, error.problem)
        if not all(is_available(agent, self._clock()) for agent in agents.values()):
            return transfer
        if _streaming_upstream(transfer, hop) and not _can_stream(transfer, hop, agents):
            return transfer
        result = self._writer.change(transfer.transfer_id, self._offer(hop.number), transfer)
        new = result.transfer.hops[hop.number]
        if result.changed and new.state == HopState.OFFERED:
            self._publish(result.transfer, new, agents)
        return result.transfer

    def _offer(self, number: int) -> ChangeFunction:
        """Return the change that offers a hop; or ends or holds it, if policies now demand that."""

        def decide(transfer: Transfer, now: datetime) -> Change | None:
            hop = transfer.hops[number]
            new = offered(hop, now)
            if new is hop:
                return None
            match None if hop.decided_recently(now) else self._authorize(transfer):
                case Refusal() as refusal:
                    ended = refused(hop, refusal.problem, now)
                    record = refusal.record(transfer, transfer.with_hops((ended,), now))
                    return Change((ended,), became(hop, ended, CROSSHAUL, now), record)
                case Authorization() as found if transfer.lacks_approval(hop, found.approval, now):
                    return _hold(transfer, hop, found, now)
            return Change((new,), became(hop, new, CROSSHAUL, now))

        return decide

    def _refuse(self, transfer: Transfer, hop: Hop, problem: Problem) -> Transfer:
        def step(old: Hop, now: datetime) -> Hop:
            return refused(old, problem, now)

        return self._writer.change(
            transfer.transfer_id, one_hop(hop.number, step, CROSSHAUL), transfer
        ).transfer

    def _publish(self, transfer: Transfer, hop: Hop, agents: dict[AgentId, Agent]) -> None:
        move = Move(
            transfer_id=hop.transfer_id,
            hop_id=hop.hop_id,
            attempt=hop.attempt,
            source=hop.source,
            destination=hop.destination,
            selection=_selection(transfer, hop),
            route=self._route(transfer, hop, agents),
            options=transfer.options,
            previous_hop=_streaming_upstream(transfer, hop),
            success_from=hop.success_from,
            watch_s=seconds_watched(transfer, self._clock()),
        )
        self._commands.send_command(hop.carrier, move)
        logger.info("hop offered", extra={"hop_id": hop.hop_id, "attempt": hop.attempt, "to": hop.carrier})

    def _route(self, transfer: Transfer, hop: Hop, agents: dict[AgentId, Agent]) -> Route:
        if hop.route == "local":
            return LocalRoute()
        if hop.route == "remote":
            return RemoteRoute()
        if not isinstance(hop.source, AgentLocation) or hop.route == "s3":
            return S3Route(region=self._settings.region_of(str(hop.bucket)), endpoint=self._settings.endpoint)
        source = agents[hop.source.agent_id]
        return DirectRoute(
            source=_peer(source),
            endpoints=self._dialable(source),
            own_endpoints=self._dialable(agents[hop.carrier]),
            own_certificate=_own(agents[hop.carrier]),
            hop_token=self._serve(transfer, hop, source, hop.source, agents[hop.carrier]),
            relay=self._relay(hop, transfer.options),
        )

    def _dialable(self, agent: Agent) -> tuple[str, ...]:
        """Return the addresses at which an agent's peer is told to dial it."""
        return dialable(agent.endpoints, loopback=self._settings.loopback_lanes)

    def _relay(self, hop: Hop, options: Options) -> Relay | None:
        bucket = self._settings.relay_bucket
        if options.relay == "never" or bucket is None:
            return None
        prefix = relay_prefix(hop.hop_id)
        return Relay(
            bucket=bucket,
            prefix=prefix,
            region=self._settings.region_of(bucket),
            endpoint=self._settings.endpoint,
        )

    def _serve(
        self, transfer: Transfer, hop: Hop, source: Agent, location: AgentLocation, peer: Agent
    ) -> str:
        """Command the source's agent to serve the hop; return the token, which admits the destination."""
        options = transfer.options
        serve = Serve(
            transfer_id=hop.transfer_id,
            hop_id=hop.hop_id,
            attempt=hop.attempt,
            path=location.path,
            peer=_peer(peer),
            endpoints=self._dialable(peer),
            until=self._clock() + SERVE_LIFETIME,
            options=options,
            selection=_selection(transfer, hop),
            own_certificate=_own(source),
            relay=self._relay(hop, options),
            previous_hop=_streaming_upstream(transfer, hop),
        )
        token = self._commands.sign(source.agent_id, serve, SERVE_LIFETIME)
        self._commands.send(source.agent_id, token)
        return token


def _hold(transfer: Transfer, hop: Hop, authorization: Authorization, now: datetime) -> Change:
    """Return the change that makes a hop wait for an approval which it lacks, or which is no longer valid."""
    held = held_for_approval(hop, now)
    start = Start(transfer.asked_for, wanting(authorization), authorization.size)
    record = authorization.record(transfer, start.apply_to(transfer).with_hops((held,), now))
    return Change((held,), became(hop, held, CROSSHAUL, now), record, start)


def _selection(transfer: Transfer, hop: Hop) -> tuple[str, ...] | None:
    """Return the selected paths that the hop's source may have.

    S3 has keys that no file system takes. The first hop reports each of them; a further one starts from an
    agent, which has no such paths.
    """
    if transfer.selection is None or isinstance(hop.source, S3Location):
        return transfer.selection
    return tuple(filter(_is_path, transfer.selection))


def _is_path(selected: str) -> bool:
    return "\0" not in selected and not {"", ".", ".."} & set(selected.split("/"))


def _can_stream(transfer: Transfer, hop: Hop, agents: dict[AgentId, Agent]) -> bool:
    """Return whether files of the upstream hop can be forwarded already; older agents cannot do this."""
    return transfer.can_begin(hop) and all(agent.capabilities.streaming for agent in agents.values())


def _streaming_upstream(transfer: Transfer, hop: Hop) -> str | None:
    """Return the id of the upstream hop if it has not ended with files to forward."""
    if hop.after is None or transfer.ready(hop) or transfer.goes_on_in_part(hop):
        return None
    return transfer.hops[hop.after].hop_id


def _peer(agent: Agent) -> Peer:
    return Peer(agent_id=agent.agent_id, certificate=agent.lane_certificate)


def _own(agent: Agent) -> str | None:
    """Return the fingerprint of the lane certificate that the agent must show, which its peer expects."""
    try:
        return fingerprint(agent.lane_certificate)
    except ValueError:
        return None
