"""A hop from another agent: the lane as a source."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from agent.errors import HopError
from agent.files.digests import MAX_PACK_FILES
from agent.files.listing import FileEntry, Selection
from agent.lane.client import LaneClient
from agent.lane.connector import Connector, unreachable
from agent.lane.peer_paths import PeerPath
from agent.pull import worker_pool
from agent.pull.source import SourceConnectionError
from events.base import AgentId
from events.commands import DirectRoute, Move
from events.progress import Connection

if TYPE_CHECKING:
    from agent.lane.relay.dialer import RelayDialer
    from agent.lane.relay.direct_probe import DirectProbe


Ask = Callable[[LaneClient, Selection], Iterator[FileEntry]]


class LaneSource:
    """A hop's source, served by another agent."""

    most_streams = worker_pool.MAX_WORKERS
    pack_files = MAX_PACK_FILES

    def __init__(
        self,
        order: Move,
        route: DirectRoute,
        meeting: Connector,
        here: AgentId,
        relay: "RelayDialer | None" = None,
    ) -> None:
        """`here`: this agent. `relay` is the way that is left when nobody can dial, if it may be taken."""
        self._agent = here
        self._source = str(order.source)
        self._route = route
        self._meeting = meeting
        self._relay = relay
        self._another = meeting.another
        self.streams = max(2, min(8, os.cpu_count() or 1))
        self._lock = threading.Lock()
        self._kept: list[LaneClient] = []
        """Connections that nobody uses just now."""
        self._listing: set[LaneClient] = set()
        self._was_here = False
        self._beside: DirectProbe | None = None

    def connect(self) -> Connection:
        """The first time, a source that cannot be reached ends the attempt, so that people see why. Later it
        was there a moment ago, and is waited for."""
        self._forget()
        self._end_looking()
        if self._relay:
            self._relay.begin()
        try:
            conversation, way = self._met()
        except SourceConnectionError as lost:
            if self._was_here:
                raise
            raise unreachable(self._source, self._route, lost) from lost
        self._was_here = True
        self._keep(conversation)
        return way

    def _met(self) -> tuple[LaneClient, Connection]:
        if self._relay and self._meeting.was_relayed:
            return self._relayed_again(self._relay)
        try:
            return self._directly(*self._meeting.connect())
        except SourceConnectionError as lost:
            if self._relay is None:
                raise
            return self._relayed(self._relay, lost)

    def _directly(self, conversation: LaneClient, met: PeerPath) -> tuple[LaneClient, Connection]:
        self._another = self._meeting.another
        dialler = self._agent if met.dialled else self._route.source.agent_id
        return conversation, Connection(kind="direct", dialled_by=dialler, address=met.address)

    def _relayed(self, relay: "RelayDialer", lost: SourceConnectionError) -> tuple[LaneClient, Connection]:
        try:
            conversation = relay.connect()
        except SourceConnectionError as error:
            raise SourceConnectionError(f"{lost}; relay: {error}") from error
        self._meeting.relayed()
        self._another = relay.another
        return conversation, Connection(kind="relay")

    def _relayed_again(self, relay: "RelayDialer") -> tuple[LaneClient, Connection]:
        """At once, as the last time. A direct way that is found meanwhile is taken, and the bucket let be,
        where the source hears nobody whom it has met. One that is found later is for the next pass."""
        from agent.lane.relay.direct_probe import DirectProbe

        beside = self._beside = DirectProbe(self._meeting, relay.interrupt)
        try:
            conversation = relay.connect()
        except (SourceConnectionError, HopError) as error:
            try:
                return self._directly(*beside.awaited())
            except SourceConnectionError as lost:
                raise SourceConnectionError(f"{lost}; relay: {error}") from error
        if found := beside.taken():
            conversation.close()
            return self._directly(*found)
        self._another = relay.another
        return conversation, Connection(kind="relay")

    def _end_looking(self) -> None:
        if self._beside:
            self._beside.end()
            self._beside = None

    def entries(self, meant: Selection) -> Iterator[FileEntry]:
        return self._listed(LaneClient.manifest, meant)

    def arriving(self, meant: Selection) -> Iterator[FileEntry]:
        """The same while another hop is bringing it there. HopError if that hop rests."""
        return self._listed(LaneClient.list_incremental, meant)

    def _listed(self, ask: Ask, meant: Selection) -> Iterator[FileEntry]:
        conversation = self.reader()
        try:
            with self._interruptible(conversation):
                yield from ask(conversation, meant)
        except BaseException:
            conversation.close()
            raise
        self._keep(conversation)

    def reader(self) -> LaneClient:
        """One that is kept, or another."""
        while conversation := self._taken():
            if conversation.is_quiet:
                return conversation
            conversation.close()
        return self._another()

    def interrupt(self) -> None:
        self._meeting.interrupt()
        if self._relay:
            self._relay.interrupt()
        with self._lock:
            for conversation in self._listing:
                conversation.interrupt()

    def close(self) -> None:
        self._forget()
        self._end_looking()
        self._meeting.close()
        if self._relay:
            self._relay.close()

    def _keep(self, conversation: LaneClient) -> None:
        with self._lock:
            self._kept.append(conversation)

    def _taken(self) -> LaneClient | None:
        with self._lock:
            return self._kept.pop() if self._kept else None

    def _forget(self) -> None:
        while conversation := self._taken():
            conversation.close()

    @contextmanager
    def _interruptible(self, conversation: LaneClient) -> Iterator[None]:
        with self._lock:
            self._listing.add(conversation)
        try:
            yield
        finally:
            with self._lock:
                self._listing.discard(conversation)
