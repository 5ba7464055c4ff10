"""Looking for a direct way while the hop already goes by the relay bucket."""

import logging
import threading
from collections.abc import Callable

from agent.errors import HopError
from agent.lane.client import Conversation
from agent.lane.meeting import Meeting
from agent.lane.routes import Met
from agent.movers.source import LostError

log = logging.getLogger(__name__)


class Beside:
    """Looks once, in a thread of its own, from now on. What it finds is remembered for the next time."""

    def __init__(self, meeting: Meeting, found: Callable[[], None]) -> None:
        """`found` is called when there is one, if it is still wanted."""
        self._meeting = meeting
        self._tell = found
        self._lock = threading.Lock()
        self._found: tuple[Conversation, Met] | None = None
        self._error: LostError | HopError | None = None
        self._is_wanted = True
        self._thread = threading.Thread(target=self._look, name="beside", daemon=True)
        self._thread.start()

    def taken(self) -> tuple[Conversation, Met] | None:
        """What has been found so far; nobody asks for what comes later."""
        with self._lock:
            self._is_wanted = False
            found, self._found = self._found, None
            return found

    def awaited(self) -> tuple[Conversation, Met]:
        """What it finds, once it has. LostError, HopError."""
        self._thread.join()
        if found := self.taken():
            return found
        raise self._error or LostError("interrupted")

    def end(self) -> None:
        """Look no longer."""
        self._meeting.interrupt()
        self._thread.join()
        if found := self.taken():
            found[0].close()

    def _look(self) -> None:
        try:
            found = self._meeting.meet()
        except (LostError, HopError) as error:
            self._error = error
            return
        except Exception as error:
            log.exception("no direct way looked for")
            self._error = LostError(f"{type(error).__name__}: {error}")
            return
        with self._lock:
            is_wanted = self._is_wanted
            self._found = found if is_wanted else None
        if is_wanted:
            self._tell()
        else:
            found[0].close()
