"""One lane connection through a bucket: each side writes numbered objects, which the other reads and deletes.

To its user it is a socket. The two agents speak TLS over it, as over any other connection, so the bucket only
has TLS records. An empty object marks the end of the stream.
"""

import logging
import select
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from itertools import chain, count, repeat
from typing import Protocol

from agent.errors import HopError
from agent.lane.sockets import shut_down
from agent.pull.source import SourceConnectionError

log = logging.getLogger(__name__)

MAX_OBJECT_BYTES = 4 * 1024 * 1024
"""Bytes of an object; this much of a connection is held in memory."""
BLOCK_BYTES = 256 * 1024
LINGER_MS = 10
"""Milliseconds to wait for more data before an object is written."""
POLL_DELAYS_S = (0.05, 0.1, 0.2, 0.3, 0.5)
"""Seconds between checks for the other side's next object; the last value repeats."""
POLLS_BEFORE_PROBE = 10
"""Checks without a new object before looking whether the other side has lost this connection."""
NAME_SEPARATOR = "-"
"""Separates, in a connection's name, the prefix of the process that opened it from the connection's own part.
Names from older agents have no separator."""
GONE = "gone"
"""Name of the object that says that the side which accepted this connection has lost or refused it."""


class ObjectStore(Protocol):
    def put(self, name: str, data: bytes) -> None: ...

    def get(self, name: str) -> bytes | None: ...

    def delete(self, name: str) -> None: ...


class Tunnel:
    """A connection; `socket` is the end to use. It ends when that is closed, on either side."""

    def __init__(self, store: ObjectStore, name: str, *, dialed: bool) -> None:
        """`name` is the connection's folder in the store; `dialed` says whether this side opened it."""
        self._store = store
        self.name = name
        self._writes, self._reads = ("a", "b") if dialed else ("b", "a")
        self.socket, self._inner_socket = socket.socketpair()
        self._stopped = threading.Event()
        self._peer_ended = False
        self._reader = threading.Thread(
            target=self._run_guarded, args=[self._read], name="relay", daemon=True
        )
        self._writer = threading.Thread(target=self._write_and_close, name="relay", daemon=True)

    def start_threads(self) -> None:
        self._reader.start()
        self._writer.start()

    def end_connection(self) -> None:
        """End the connection, from any thread; its user reads the end of the stream."""
        self._stopped.set()
        shut_down(self._inner_socket)

    def join(self, timeout_s: float) -> None:
        """Wait until all data is written, at most so many seconds."""
        self._writer.join(timeout_s)

    def is_older_than(self, name: str) -> bool:
        """Return whether another process opened it than the connection of that name."""
        prefix, separator, _ = self.name.partition(NAME_SEPARATOR)
        return bool(separator) and NAME_SEPARATOR in name and not name.startswith(prefix + separator)

    @property
    def is_alive(self) -> bool:
        return self._writer.is_alive()

    def _write_and_close(self) -> None:
        self._run_guarded(self._write)
        self.end_connection()
        self._reader.join()
        self._inner_socket.close()

    def _run_guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except (OSError, SourceConnectionError, HopError) as error:
            if not self._stopped.is_set():
                log.info("relayed connection broke", extra={"reason": str(error)})
            self.end_connection()
        except Exception:  # or the user of the socket would wait
            if not self._stopped.is_set():
                log.exception("relayed connection broke")
            self.end_connection()

    # --- sending ---

    def _write(self) -> None:
        for number in count():
            data = self._collect()
            if not data and self._peer_ended:
                return
            self._store.put(f"{self.name}/{self._writes}{number}", data)
            if not data:
                return

    def _collect(self) -> bytes:
        """Return the data that was written, as much as is available at once; empty at the end."""
        data, watch = bytearray(), select.poll()
        watch.register(self._inner_socket, select.POLLIN)
        while len(data) < MAX_OBJECT_BYTES and watch.poll(LINGER_MS if data else None):
            piece = self._inner_socket.recv(min(BLOCK_BYTES, MAX_OBJECT_BYTES - len(data)))
            if not piece:
                break
            data += piece
        return bytes(data)

    # --- receiving ---

    def _read(self) -> None:
        for number in count():
            name = f"{self.name}/{self._reads}{number}"
            data = self._wait_for_object(name)
            if data is None:
                return
            if not data:
                self._peer_ended = True
                with suppress(OSError):
                    self._inner_socket.shutdown(socket.SHUT_WR)
            else:
                self._inner_socket.sendall(data)
            self._store.delete(name)
            if not data:
                return

    def _wait_for_object(self, name: str) -> bytes | None:
        """Return the object's content once it exists; None if the connection was stopped before that.

        Raises:
            SourceConnectionError: the other side has lost this connection.
        """
        for polls, delay_s in enumerate(_poll_delays()):
            data = self._store.get(name)
            if data is not None:
                return data
            if (
                polls % POLLS_BEFORE_PROBE == POLLS_BEFORE_PROBE - 1
                and self._store.get(f"{self.name}/{GONE}") is not None
            ):
                raise SourceConnectionError("the other side has lost this connection")
            if self._stopped.wait(delay_s):
                return None
        return None


def stop_all(tunnels: Collection[Tunnel], timeout_s: float) -> None:
    """Stop all tunnels, and give them so many seconds in total to tell the other side."""
    for tunnel in tunnels:
        tunnel.end_connection()
    deadline = time.monotonic() + timeout_s
    for tunnel in tunnels:
        tunnel.join(max(0.0, deadline - time.monotonic()))


def _poll_delays() -> Iterator[float]:
    return chain(POLL_DELAYS_S, repeat(POLL_DELAYS_S[-1]))
