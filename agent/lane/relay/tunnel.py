"""One connection of a lane, by way of a bucket: what one side writes becomes objects, numbered, that the
other reads in this order and removes.

To whoever uses it it is a socket. The two agents speak TLS on it, as on any other line: the bucket sees
records. An empty object is the end, as of a stream.
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
"""Bytes of an object at most; this much of a connection is in memory."""
BLOCK_BYTES = 256 * 1024
LINGER_MS = 10
"""Milliseconds in which more may come before what there is goes off as an object."""
POLL_DELAYS_S = (0.05, 0.1, 0.2, 0.3, 0.5)
"""Seconds before it is looked again for what the other side writes; the last one for ever."""
POLLS_BEFORE_PROBE = 10
"""So many times in vain: is the other side still at this connection?"""
NAME_SEPARATOR = "-"
"""In a connection's name, between what all have in common that one process has begun, and its own part. Older
agents' have no such parts."""
GONE = "gone"
"""The object that says no: whoever answered here has lost this connection, or does not want it."""


class ObjectStore(Protocol):
    def put(self, name: str, data: bytes) -> None: ...

    def get(self, name: str) -> bytes | None: ...

    def remove(self, name: str) -> None: ...


class Tunnel:
    """`end` is the socket to use. It ends when that is closed, on either side."""

    def __init__(self, store: ObjectStore, name: str, *, dialled: bool) -> None:
        """`name` is the connection's folder, `dialled` whether this side began it."""
        self._store = store
        self.name = name
        self._writes, self._reads = ("a", "b") if dialled else ("b", "a")
        self.end, self._inner = socket.socketpair()
        self._over = threading.Event()
        self._ended_there = False
        self._reader = threading.Thread(target=self._guarded, args=[self._read], name="relay", daemon=True)
        self._writer = threading.Thread(target=self._write_and_close, name="relay", daemon=True)

    def start(self) -> None:
        self._reader.start()
        self._writer.start()

    def stop(self) -> None:
        """From any thread: whoever uses it finds it at its end."""
        self._over.set()
        shut_down(self._inner)

    def join(self, within: float) -> None:
        """Until all is said and done, at the latest for so many seconds."""
        self._writer.join(within)

    def is_older_than(self, name: str) -> bool:
        """Was it begun by another process than the one of that name, which lives?"""
        mark, between, _ = self.name.partition(NAME_SEPARATOR)
        return bool(between) and NAME_SEPARATOR in name and not name.startswith(mark + between)

    @property
    def is_alive(self) -> bool:
        return self._writer.is_alive()

    def _write_and_close(self) -> None:
        self._guarded(self._write)
        self.stop()
        self._reader.join()
        self._inner.close()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except (OSError, SourceConnectionError, HopError) as error:
            if not self._over.is_set():
                log.info("relayed connection broke", extra={"reason": str(error)})
            self.stop()
        except Exception:  # whoever uses it would wait
            if not self._over.is_set():
                log.exception("relayed connection broke")
            self.stop()

    # --- from here to there ---

    def _write(self) -> None:
        for number in count():
            data = self._collected()
            if not data and self._ended_there:
                return
            self._store.put(f"{self.name}/{self._writes}{number}", data)
            if not data:
                return

    def _collected(self) -> bytes:
        """What is written, as much as comes at once; nothing at the end."""
        data, watch = bytearray(), select.poll()
        watch.register(self._inner, select.POLLIN)
        while len(data) < MAX_OBJECT_BYTES and watch.poll(LINGER_MS if data else None):
            piece = self._inner.recv(min(BLOCK_BYTES, MAX_OBJECT_BYTES - len(data)))
            if not piece:
                break
            data += piece
        return bytes(data)

    # --- from there to here ---

    def _read(self) -> None:
        for number in count():
            name = f"{self.name}/{self._reads}{number}"
            data = self._awaited(name)
            if data is None:
                return
            if not data:
                self._ended_there = True
                with suppress(OSError):
                    self._inner.shutdown(socket.SHUT_WR)
            else:
                self._inner.sendall(data)
            self._store.remove(name)
            if not data:
                return

    def _awaited(self, name: str) -> bytes | None:
        """The object, once it is there; None if the connection is over before."""
        for look, pause in enumerate(_pauses()):
            data = self._store.get(name)
            if data is not None:
                return data
            if (
                look % POLLS_BEFORE_PROBE == POLLS_BEFORE_PROBE - 1
                and self._store.get(f"{self.name}/{GONE}") is not None
            ):
                raise SourceConnectionError("the other side has lost this connection")
            if self._over.wait(pause):
                return None
        return None


def end(tunnels: Collection[Tunnel], within: float) -> None:
    """Stop all of them, and let them tell the other side, for so many seconds."""
    for tunnel in tunnels:
        tunnel.stop()
    deadline = time.monotonic() + within
    for tunnel in tunnels:
        tunnel.join(max(0.0, deadline - time.monotonic()))


def _pauses() -> Iterator[float]:
    return chain(POLL_DELAYS_S, repeat(POLL_DELAYS_S[-1]))
