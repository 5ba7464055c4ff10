"""Looking for a direct way while the hop already goes by the relay bucket."""

import logging
import threading
from collections.abc import Callable

from agent.errors import HopError
from agent.lane.client import LaneClient
from agent.lane.connector import Connector
from agent.lane.peer_paths import PeerPath
from agent.pull.source import SourceConnectionError

log = logging.getLogger(__name__)


class DirectProbe:
    """Looks once, in a thread of its own, from now on. What it finds is remembered for the next time."""

    def __init__(self, meeting: Connector, found: Callable[[], None]) -> None:
        """`found` is called when there is one, if it is still wanted."""
        self._meeting = meeting
        self._tell = found
        self._lock = threading.Lock()
        self._found: tuple[LaneClient, PeerPath] | None = None
        self._error: SourceConnectionError | HopError | None = None
        self._is_wanted = True
        self._thread = threading.Thread(target=self._look, name="beside", daemon=True)
        self._thread.start()

    def taken(self) -> tuple[LaneClient, PeerPath] | None:
        """What has been found so far; nobody asks for what comes later."""
        with self._lock:
            self._is_wanted = False
            found, self._found = self._found, None
            return found

    def awaited(self) -> tuple[LaneClient, PeerPath]:
        """What it finds, once it has. LostError, HopError."""
        self._thread.join()
        if found := self.taken():
            return found
        raise self._error or SourceConnectionError("interrupted")

    def end(self) -> None:
        """Look no longer."""
        self._meeting.interrupt()
        self._thread.join()
        if found := self.taken():
            found[0].close()

    def _look(self) -> None:
        try:
            found = self._meeting.connect()
        except (SourceConnectionError, HopError) as error:
            self._error = error
            return
        except Exception as error:
            log.exception("no direct way looked for")
            self._error = SourceConnectionError(f"{type(error).__name__}: {error}")
            return
        with self._lock:
            is_wanted = self._is_wanted
            self._found = found if is_wanted else None
        if is_wanted:
            self._tell()
        else:
            found[0].close()
