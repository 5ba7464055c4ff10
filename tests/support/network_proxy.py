"""A TCP proxy on loopback that counts bytes and can be cut."""

import socket
import threading
from contextlib import suppress

PIECE = 64 * 1024


class NetworkProxy:
    """Forwards connections to a port. `down` cuts all connections and refuses new ones until `up`."""

    def __init__(self, port: int, counts_back: bool = True) -> None:
        """Forward to `port`; count what the target sends, or else what it receives."""
        self._target = port
        self._counts_back = counts_back
        self._server = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._lock = threading.Lock()
        self._ends: set[socket.socket] = set()
        self._is_up = True
        self.passed = 0
        """Bytes forwarded in the counted direction."""
        self.dialed = 0
        self.cut_after: int | None = None
        """Cut all connections once when this many bytes have been forwarded."""
        self.cut_every: int | None = None
        """Cut all connections each time this many further bytes have been forwarded."""
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self._server.getsockname()[1]}"

    def down(self) -> None:
        self._is_up = False
        self.cut()

    def up(self) -> None:
        self._is_up = True

    def cut(self) -> None:
        with self._lock:
            ends, self._ends = self._ends, set()
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
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
        if not self._is_up:
            near.close()
            return
        with near:
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            with far:
                with self._lock:
                    self._ends |= {near, far}
                back = threading.Thread(
                    target=self._pump, args=[near, far, not self._counts_back], daemon=True
                )
                back.start()
                self._pump(far, near, self._counts_back)
                back.join()
                with self._lock:
                    self._ends -= {near, far}

    def _pump(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        with suppress(OSError):
            while data := source.recv(PIECE):
                if counted:
                    self._count(len(data))
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _count(self, size: int) -> None:
        with self._lock:
            self.passed += size
            due = self.cut_after is not None and self.passed >= self.cut_after
            if due:
                self.cut_after = None
            if self.cut_every and self.passed // self.cut_every > (self.passed - size) // self.cut_every:
                due = True
        if due:
            self.cut()
