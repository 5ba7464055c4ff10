"""How a destination comes to its source: it dials, and lets itself be dialled, until one of the two stands.

The way that stood first is the hop's, for every further connection, until it breaks; then both are tried
anew.
"""

import threading
from collections.abc import Callable
from functools import partial

from agent.errors import HopError
from agent.lane.client import LaneClient
from agent.lane.connection_race import ConnectionRace
from agent.lane.dialer import DIAL_TIMEOUT_S, Dialer
from agent.lane.inbound import InboundConnections
from agent.lane.peer_paths import PeerPath, PeerPathCache
from agent.pull.source import SourceConnectionError
from events.base import Problem
from events.commands import DirectRoute
from events.reports import SOURCE_UNREACHABLE

POLL_INTERVAL_S = 0.25
"""Seconds after which who waits for the source to dial looks whether that is still wanted."""


class Connector:
    """One hop's, with its source. Used by any thread."""

    def __init__(
        self,
        dialler: Dialer,
        route: DirectRoute,
        awaited: InboundConnections | None,
        routes: PeerPathCache,
        converse: Callable[..., LaneClient],
    ) -> None:
        """`awaited` is where the source's own connections come in, if it was told to dial; `converse` makes
        a conversation of a connection and the address that was dialled."""
        self._dialler = dialler
        self._route = route
        self._awaited = awaited
        self._routes = routes
        self._converse = converse
        self._lock = threading.Lock()
        self._race: ConnectionRace[LaneClient] | None = None
        self._met: PeerPath | None = None
        self._interrupted = False

    def connect(self) -> tuple[LaneClient, PeerPath]:
        """The first connection on which the source has answered, and how it came about. LostError names what
        was tried and what came of it; HopError."""
        ways: dict[str, Callable[[], LaneClient]] = {
            endpoint: partial(self._greeted, partial(self._dialled, endpoint))
            for endpoint in self._route.endpoints
        }
        from_there = self._from_there()
        if self._awaited:
            ways[from_there] = partial(self._greeted, partial(self._came, POLL_INTERVAL_S))
        race = self._begin(ConnectionRace(ways, self._preferred(from_there)))
        name, conversation = race.run(DIAL_TIMEOUT_S)
        return conversation, self._remember(PeerPath(name != from_there, conversation.endpoint))

    def another(self) -> LaneClient:
        """A further connection, the same way. LostError."""
        with self._lock:
            met, interrupted = self._met, self._interrupted
        if met is None or interrupted:
            raise SourceConnectionError("interrupted")
        return self._dialled_again(met.address) if met.dialled else self._came(DIAL_TIMEOUT_S)

    @property
    def was_relayed(self) -> bool:
        """Did neither get through to the other the last time, so that they met by the relay bucket?"""
        known = self._routes.recall(self._route.source.agent_id)
        return known is not None and known.relayed

    def relayed(self) -> None:
        """This time, too: remembered until a direct way stands."""
        self._routes.remember(self._route.source.agent_id, PeerPath(dialled=False, relayed=True))

    def interrupt(self) -> None:
        """From any thread: whoever waits for a connection gets LostError; until `meet` is called again."""
        with self._lock:
            self._interrupted = True
            if self._race:
                self._race.stop()
        if self._awaited:
            self._awaited.wake()

    def close(self) -> None:
        if self._awaited:
            self._awaited.close()

    def _begin(self, race: ConnectionRace[LaneClient]) -> ConnectionRace[LaneClient]:
        with self._lock:
            self._race, self._met, self._interrupted = race, None, False
        return race

    def _remember(self, met: PeerPath) -> PeerPath:
        with self._lock:
            self._met = met
        if met.dialled and self._awaited:
            self._awaited.clear()
        self._routes.remember(self._route.source.agent_id, met if met.dialled else PeerPath(False))
        return met

    def _from_there(self) -> str:
        return f"{self._route.source.agent_id}, dialling {', '.join(self._route.own_endpoints)} itself"

    def _preferred(self, from_there: str) -> str | None:
        known = self._routes.recall(self._route.source.agent_id)
        if known is None or known.relayed:
            return None
        return known.address if known.dialled else from_there

    def _greeted(self, connect: Callable[[], LaneClient]) -> LaneClient:
        conversation = connect()
        try:
            conversation.greet(DIAL_TIMEOUT_S)
        except BaseException:
            conversation.close()
            raise
        return conversation

    def _dialled(self, endpoint: str) -> LaneClient:
        return self._converse(self._dialler.connect(endpoint), endpoint)

    def _dialled_again(self, endpoint: str) -> LaneClient:
        try:
            return self._dialled(endpoint)
        except (OSError, ValueError) as error:
            raise SourceConnectionError(f"{endpoint}: {error}") from error

    def _came(self, within: float) -> LaneClient:
        if self._awaited is None:
            raise SourceConnectionError("it was not told to dial")
        parked = self._awaited.take(within)
        return self._converse(parked.connection, parked.dialled)


def unreachable(source: str, route: DirectRoute, lost: SourceConnectionError) -> HopError:
    """Neither side got through to the other."""
    log = f" What {route.source.agent_id} met is in its log." if route.own_endpoints else ""
    return HopError(
        Problem(
            code=SOURCE_UNREACHABLE,
            message=f"{source} cannot be reached: {lost or 'it has told no address'}.",
            advice="See that both agents run, and open the lane port of one of the two hosts to the other: "
            f"either will do (`crosshaul agent doctor` on both hosts).{log}",
            retryable=True,
        )
    )
