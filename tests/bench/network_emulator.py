"""Emulate a network on loopback, in a process of its own: a TCP proxy with delay, window, counter and cuts.

    python -m tests.bench.network_emulator PORT [--delay SECONDS] [--window BYTES] [--cut-every SECONDS]

Prints its port as a JSON line, and the bytes forwarded for each line on standard input.

With a delay, bytes arrive `delay` seconds after they were sent, in each direction, and a sender may have
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

PIECE = 1024 * 1024
SMALL_PIECE = 64 * 1024


class ByteCounter:
    """A thread-safe sum."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.total = 0

    def add(self, size: int) -> None:
        with self._lock:
            self.total += size


class Direction:
    """One direction of a connection: bytes in flight, and when they are due and acknowledged."""

    def __init__(self, delay: float, window: int) -> None:
        self._delay, self._window = delay, window
        self._changed = threading.Condition()
        self._sent: deque[tuple[float, bytes]] = deque()
        self._acknowledged: deque[tuple[float, int]] = deque()
        self._under_way = 0
        self._over = False

    def room(self) -> int:
        """Wait until bytes may be sent and return how many; 0 if the direction is closed."""
        with self._changed:
            while not self._over:
                self._take_acknowledgements()
                if self._under_way < self._window:
                    return min(SMALL_PIECE, self._window - self._under_way)
                self._changed.wait(self._until(self._acknowledged))
            return 0

    def send(self, data: bytes) -> None:
        with self._changed:
            self._under_way += len(data)
            self._sent.append((time.monotonic() + self._delay, data))
            self._changed.notify_all()

    def arrivals(self) -> Iterator[bytes]:
        """Yield bytes when they arrive, until the sender is done."""
        while (data := self._next()) is not None:
            yield data
            with self._changed:
                self._acknowledged.append((time.monotonic() + self._delay, len(data)))
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
            self._under_way -= self._acknowledged.popleft()[1]

    @staticmethod
    def _until(queue: "deque[tuple[float, bytes]] | deque[tuple[float, int]]") -> float | None:
        return max(0.0, queue[0][0] - time.monotonic()) if queue else None


class NetworkEmulator:
    """Forwards connections to a port of this machine, as the network would."""

    def __init__(
        self, target: int, delay: float = 0.0, window: int = 4 * PIECE, cut_every: float | None = None
    ) -> None:
        self._target, self._delay, self._window, self._cut_every = target, delay, window, cut_every
        self._server = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._lock = threading.Lock()
        self._ends: set[socket.socket] = set()
        self._closed = threading.Event()
        self.passed = ByteCounter()
        """Bytes forwarded in both directions."""
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()
        if cut_every:
            threading.Thread(target=self._cut_again_and_again, args=[cut_every], daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._server.getsockname()[1])

    def cut(self) -> None:
        """Disconnect all connections."""
        with self._lock:
            ends, self._ends = self._ends, set()
        self.cuts += bool(ends)
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._closed.set()
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.cut()

    def _cut_again_and_again(self, every: float) -> None:
        while not self._closed.wait(every):
            self.cut()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=[near], daemon=True).start()

    def _connect(self, near: socket.socket) -> None:
        with near, suppress(OSError):
            time.sleep(2 * self._delay)
            with socket.create_connection(("127.0.0.1", self._target)) as far, self._remembered(near, far):
                back = threading.Thread(target=self._pump, args=[far, near], daemon=True)
                back.start()
                self._pump(near, far)
                back.join()

    @contextmanager
    def _remembered(self, *ends: socket.socket) -> Iterator[None]:
        for end in ends:
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._ends |= set(ends)
        try:
            yield
        finally:
            with self._lock:
                self._ends -= set(ends)

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        """Forward until `source` ends, then end `sink`."""
        try:
            self._delayed(source, sink) if self._delay else self._spliced(source, sink)
        except OSError:
            for end in (source, sink):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        else:
            with suppress(OSError):
                sink.shutdown(socket.SHUT_WR)

    def _spliced(self, source: socket.socket, sink: socket.socket) -> None:
        out, into = os.pipe()
        try:
            while size := os.splice(source.fileno(), into, PIECE):
                self.passed.add(size)
                while size:
                    size -= os.splice(out, sink.fileno(), size)
        finally:
            os.close(out)
            os.close(into)

    def _delayed(self, source: socket.socket, sink: socket.socket) -> None:
        way = Direction(self._delay, self._window)
        taking = threading.Thread(target=self._take, args=[source, way], daemon=True)
        taking.start()
        try:
            for data in way.arrivals():
                sink.sendall(data)
        finally:
            way.end()
            taking.join()

    def _take(self, source: socket.socket, way: Direction) -> None:
        with suppress(OSError):
            while (room := way.room()) and (data := source.recv(room)):
                self.passed.add(len(data))
                way.send(data)
        way.end()


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("port", type=int)
    arguments.add_argument("--delay", type=float, default=0.0)
    arguments.add_argument("--window", type=int, default=4 * PIECE)
    arguments.add_argument("--cut-every", type=float, default=None)
    chosen = arguments.parse_args()
    sys.setswitchinterval(0.001)
    line = NetworkEmulator(chosen.port, chosen.delay, chosen.window, chosen.cut_every)
    print(json.dumps({"port": line.port}), flush=True)
    for _ in sys.stdin:
        print(json.dumps({"passed": line.passed.total, "cuts": line.cuts}), flush=True)
    line.close()


if __name__ == "__main__":
    main()
