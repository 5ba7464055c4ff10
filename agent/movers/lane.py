"""A hop from another agent: the lane as a source."""

import os
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

from agent.lane import wire
from agent.lane.client import Conversation, Dialer
from agent.listing import Entry, Meant
from agent.movers import crew
from agent.movers.limiter import piece_of
from events.options import Options


class LaneSource:
    """A hop's source, served by another agent."""

    most_streams = crew.MOST
    pack_files = wire.PACK_FILES

    def __init__(self, dialer: Dialer, hop_id: str, token: str, options: Options) -> None:
        self._piece = piece_of(options)
        self._dialer = dialer
        self._hop_id = hop_id
        self._token = token
        self.streams = max(2, min(8, os.cpu_count() or 1))
        self._lock = threading.Lock()
        self._listing: set[Conversation] = set()

    def connect(self) -> str:
        connection, endpoint = self._dialer.dial()
        connection.close()
        return f"direct, dialled {endpoint}"

    def entries(self, meant: Meant) -> Iterator[Entry]:
        with closing(self._conversation()) as conversation, self._interruptible(conversation):
            yield from conversation.manifest(meant)

    def reader(self) -> Conversation:
        return self._conversation()

    def interrupt(self) -> None:
        with self._lock:
            for conversation in self._listing:
                conversation.interrupt()

    def close(self) -> None:
        """Each connection belongs to whoever opened it."""

    def _conversation(self) -> Conversation:
        connection, endpoint = self._dialer.dial()
        return Conversation(connection, endpoint, self._hop_id, self._token, self._piece)

    @contextmanager
    def _interruptible(self, conversation: Conversation) -> Iterator[None]:
        with self._lock:
            self._listing.add(conversation)
        try:
            yield
        finally:
            with self._lock:
                self._listing.discard(conversation)
