"""The destination's way to its source when neither can dial the other: connections by the relay bucket."""

import secrets
import threading
from collections.abc import Callable

from agent.lane.client import LaneClient
from agent.lane.dialer import Dialer, describe_error
from agent.lane.relay.bucket import RelayBucket
from agent.lane.relay.tunnel import NAME_SEPARATOR, Tunnel, end
from agent.pull.source import SourceConnectionError

ANSWER_TIMEOUT_S = 30.0
"""Seconds for a connection's handshake and its first question: the source looks for new ones now and then."""
CLOSE_TIMEOUT_S = 5.0
"""Seconds in which the source is told of the ends of all connections."""
ADDRESS = "relay"


class RelayDialer:
    """One hop's. Used by any thread."""

    def __init__(
        self,
        bucket: Callable[[], RelayBucket],
        dialler: Dialer,
        converse: Callable[..., LaneClient],
    ) -> None:
        """`bucket` is asked for when there is need of it; `converse` makes a conversation of a connection
        and the address that was dialled."""
        self._make_bucket = bucket
        self._dialler = dialler
        self._converse = converse
        self._mark = secrets.token_hex(4)
        """In front of its connections' names, so that the source tells them from an earlier process's."""
        self._lock = threading.Lock()
        self._bucket: RelayBucket | None = None
        self._tunnels: list[Tunnel] = []
        self._interrupted = False

    def begin(self) -> None:
        """What was interrupted may be tried again."""
        with self._lock:
            self._interrupted = False

    def connect(self) -> LaneClient:
        """The first connection, on which the source has answered. LostError, HopError."""
        self._opened().open()
        conversation = self.another()
        try:
            conversation.greet(ANSWER_TIMEOUT_S)
        except OSError as error:
            conversation.close()
            raise SourceConnectionError(describe_error(error)) from error
        except BaseException:
            conversation.close()
            raise
        return conversation

    def another(self) -> LaneClient:
        """A further connection. LostError."""
        tunnel = self._begun(self._opened())
        try:
            tunnel.end.settimeout(ANSWER_TIMEOUT_S)
            return self._converse(self._dialler.secured(tunnel.end), ADDRESS)
        except (OSError, ValueError) as error:
            tunnel.stop()
            raise SourceConnectionError(describe_error(error)) from error

    def interrupt(self) -> None:
        """From any thread: whoever waits gets LostError, until `begin`. No connection survives it."""
        with self._lock:
            self._interrupted = True
            tunnels = list(self._tunnels)
        for tunnel in tunnels:
            tunnel.stop()

    def close(self) -> None:
        """Once nobody uses a connection any more."""
        end(self._tunnels, CLOSE_TIMEOUT_S)
        if self._bucket:
            self._bucket.close()

    def _begun(self, bucket: RelayBucket) -> Tunnel:
        with self._lock:
            if self._interrupted:
                raise SourceConnectionError("interrupted")
            name = f"{self._mark}{NAME_SEPARATOR}{secrets.token_hex(4)}"
            tunnel = Tunnel(bucket, name, dialled=True)
            self._tunnels = [*(one for one in self._tunnels if one.is_alive), tunnel]
            tunnel.start()
            return tunnel

    def _opened(self) -> RelayBucket:
        with self._lock:
            self._bucket = self._bucket or self._make_bucket()
            return self._bucket
