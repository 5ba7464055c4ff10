"""Look for a direct connection while the hop uses the relay bucket."""

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
    """Tries once, in a thread of its own, to connect directly; the connector remembers a way that works."""

    def __init__(self, connector: Connector, on_found: Callable[[], None]) -> None:
        """Start; `on_found` is called when there is a direct connection and it is still wanted."""
        self._connector = connector
        self._on_found = on_found
        self._lock = threading.Lock()
        self._found: tuple[LaneClient, PeerPath] | None = None
        self._error: SourceConnectionError | HopError | None = None
        self._is_wanted = True
        self._thread = threading.Thread(target=self._probe, name="direct-probe", daemon=True)
        self._thread.start()

    def take_connection(self) -> tuple[LaneClient, PeerPath] | None:
        """Return the connection found so far; one that is found later is closed."""
        with self._lock:
            self._is_wanted = False
            found, self._found = self._found, None
            return found

    def wait(self) -> tuple[LaneClient, PeerPath]:
        """Return the connection once the search has ended.

        Raises:
            SourceConnectionError: no direct way was found.
            HopError: the source refused this hop.
        """
        self._thread.join()
        if found := self.take_connection():
            return found
        raise self._error or SourceConnectionError("interrupted")

    def end(self) -> None:
        """Stop the search and close what it found."""
        self._connector.stop_waiting()
        self._thread.join()
        if found := self.take_connection():
            found[0].close()

    def _probe(self) -> None:
        try:
            found = self._connector.connect()
        except (SourceConnectionError, HopError) as error:
            self._error = error
            return
        except Exception as error:
            log.exception("direct probe failed")
            self._error = SourceConnectionError(f"{type(error).__name__}: {error}")
            return
        with self._lock:
            is_wanted = self._is_wanted
            self._found = found if is_wanted else None
        if is_wanted:
            self._on_found()
        else:
            found[0].close()
