"""A TCP proxy on loopback that stands in for a network: it delays, counts, holds and cuts.

    python -m tests.support.network_proxy PORT [--delay SECONDS] [--window BYTES] [--cut-every SECONDS]

As a program, it prints its port as a JSON line, and for each line of its input the number of bytes forwarded
and of cuts.

With a delay, bytes arrive `delay_s` seconds after they were sent, in each direction, and a sender may have
`window` bytes in flight: sent, and not yet acknowledged over the same delay. Connecting takes a round trip.
Without a delay, bytes are spliced through the kernel, so that the proxy costs next to nothing.
"""

import argparse
import json
import os
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal

PIECE_BYTES = 1024 * 1024
DELAYED_PIECE_BYTES = 64 * 1024

Counts = Literal["both", "from target", "to target"]


class Direction:
    """One direction of a connection: bytes in flight, and when they are due and acknowledged."""

    def __init__(self, delay_s: float, window: int) -> None:
        self._delay_s, self._window = delay_s, window
        self._changed = threading.Condition()
        self._sent: deque[tuple[float, bytes]] = deque()
        self._acknowledged: deque[tuple[float, int]] = deque()
        self._in_flight = 0
        self._over = False

    def room(self) -> int:
        """Wait until bytes may be sent and return how many; 0 if the direction is closed."""
        with self._changed:
            while not self._over:
                self._take_acknowledgements()
                if self._in_flight < self._window:
                    return min(DELAYED_PIECE_BYTES, self._window - self._in_flight)
                self._changed.wait(self._until(self._acknowledged))
            return 0

    def send(self, data: bytes) -> None:
        with self._changed:
            self._in_flight += len(data)
            self._sent.append((time.monotonic() + self._delay_s, data))
            self._changed.notify_all()

    def arrivals(self) -> Iterator[bytes]:
        """Yield bytes when they arrive, until the sender is done."""
        while (data := self._next()) is not None:
            yield data
            with self._changed:
                self._acknowledged.append((time.monotonic() + self._delay_s, len(data)))
                self._changed.notify_all()

    def end(self) -> None:
        """Stop accepting bytes; those in flight still arrive."""
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def _next(self) -> bytes | None:
        with self._changed:
            while not (self._sent and self._sent[0][0] <= time.monotonic()):
                if self._over and not self._sent:
                    return None
                self._changed.wait(self._until(self._sent))
            return self._sent.popleft()[1]

    def _take_acknowledgements(self) -> None:
        while self._acknowledged and self._acknowledged[0][0] <= time.monotonic():
            self._in_flight -= self._acknowledged.popleft()[1]

    @staticmethod
    def _until(queue: "deque[tuple[float, bytes]] | deque[tuple[float, int]]") -> float | None:
        return max(0.0, queue[0][0] - time.monotonic()) if queue else None


class NetworkProxy:
    """Forwards connections to a port. `down` cuts all connections and refuses new ones until `up`."""

    def __init__(
        self, target: int, counts: Counts = "both", delay_s: float = 0.0, window: int = 4 * PIECE_BYTES
    ) -> None:
        """Forward to the port `target`; `counts` is the direction whose bytes count."""
        self._target, self._counts, self._delay_s, self._window = target, counts, delay_s, window
        self._server = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._changed = threading.Condition()
        self._ends: set[socket.socket] = set()
        self._is_up = True
        self.passed = 0
        """Bytes forwarded in the counted direction."""
        self.dialed = self.cuts = 0
        self.cut_after: int | None = None
        """Cut all connections once when this many bytes have been forwarded."""
        self.cut_every: int | None = None
        """Cut all connections each time this many further bytes have been forwarded."""
        self._hold_at: int | None = None
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._server.getsockname()[1])

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.port}"

    def down(self) -> None:
        self._is_up = False
        self.cut()

    def up(self) -> None:
        self._is_up = True

    def cut(self) -> None:
        """Disconnect all connections."""
        with self._changed:
            ends, self._ends = self._ends, set()
            self.cuts += bool(ends)
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def held_after(self, size: int) -> Iterator[None]:
        """Within the block, forward `size` more bytes of the counted direction and then no more."""
        with self._changed:
            self._hold_at = self.passed + size
        try:
            yield
        finally:
            with self._changed:
                self._hold_at = None
                self._changed.notify_all()

    @property
    def is_held(self) -> bool:
        """Whether the bytes that `held_after` lets through have been forwarded."""
        return self._hold_at is not None and self.passed >= self._hold_at

    def close(self) -> None:
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            self.dialed += 1
            threading.Thread(target=self._connect, args=[near], daemon=True).start()

    def _connect(self, near: socket.socket) -> None:
        with near, suppress(OSError):
            if not self._is_up:
                return
            time.sleep(2 * self._delay_s)
            with socket.create_connection(("127.0.0.1", self._target)) as far, self._remembered(near, far):
                back = threading.Thread(
                    target=self._pump, args=[far, near, self._counts != "to target"], daemon=True
                )
                back.start()
                self._pump(near, far, self._counts != "from target")
                back.join()

    @contextmanager
    def _remembered(self, *ends: socket.socket) -> Iterator[None]:
        for end in ends:
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._changed:
            self._ends |= set(ends)
        try:
            yield
        finally:
            with self._changed:
                self._ends -= set(ends)

    def _pump(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        """Forward until `source` ends, then end `sink`."""
        pump = self._delayed if self._delay_s else self._spliced
        try:
            pump(source, sink, counted)
        except OSError:
            for end in (source, sink):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        else:
            with suppress(OSError):
                sink.shutdown(socket.SHUT_WR)

    def _spliced(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        out, into = os.pipe()
        try:
            while size := os.splice(source.fileno(), into, PIECE_BYTES):
                self._count(size, counted)
                while size:
                    size -= os.splice(out, sink.fileno(), size)
        finally:
            os.close(out)
            os.close(into)

    def _delayed(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        direction = Direction(self._delay_s, self._window)
        taking = threading.Thread(target=self._take, args=[source, direction, counted], daemon=True)
        taking.start()
        try:
            for data in direction.arrivals():
                sink.sendall(data)
        finally:
            direction.end()
            taking.join()

    def _take(self, source: socket.socket, direction: Direction, counted: bool) -> None:
        with suppress(OSError):
            while (room := direction.room()) and (data := source.recv(room)):
                self._count(len(data), counted)
                direction.send(data)
        direction.end()

    def _count(self, size: int, counted: bool) -> None:
        """Count bytes that are about to be forwarded, and hold or cut if it is time for that."""
        if not counted:
            return
        with self._changed:
            self.passed += size
            due = self.cut_after is not None and self.passed >= self.cut_after
            if due:
                self.cut_after = None
            if self.cut_every and self.passed // self.cut_every > (self.passed - size) // self.cut_every:
                due = True
            self._changed.wait_for(lambda: not self.is_held)
        if due:
            self.cut()


def _cut_repeatedly(proxy: NetworkProxy, interval_s: float) -> None:
    while True:
        time.sleep(interval_s)
        proxy.cut()


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("port", type=int)
    arguments.add_argument("--delay", type=float, default=0.0)
    arguments.add_argument("--window", type=int, default=4 * PIECE_BYTES)
    arguments.add_argument("--cut-every", type=float, default=None)
    chosen = arguments.parse_args()
    sys.setswitchinterval(0.001)
    proxy = NetworkProxy(chosen.port, delay_s=chosen.delay, window=chosen.window)
    if chosen.cut_every:
        threading.Thread(target=_cut_repeatedly, args=[proxy, chosen.cut_every], daemon=True).start()
    print(json.dumps({"port": proxy.port}), flush=True)
    for _ in sys.stdin:
        print(json.dumps({"passed": proxy.passed, "cuts": proxy.cuts}), flush=True)
    proxy.close()


if __name__ == "__main__":
    main()
