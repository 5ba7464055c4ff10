"""An HTTP server on loopback, for rclone's requests to this agent."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Generic, TypeVar

Owner = TypeVar("Owner")


class LoopbackServer(ThreadingHTTPServer, Generic[Owner]):
    """Serves on a free port, from its creation until `close`."""

    daemon_threads = True

    def __init__(self, handler: type[BaseHTTPRequestHandler], owner: Owner, name: str) -> None:
        """Start the server. Handlers find `owner` as `self.server.owner`; `name` is the thread's name."""
        self.owner = owner
        super().__init__(("127.0.0.1", 0), handler)
        threading.Thread(target=self.serve_forever, name=name, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class QuietHandler:
    """Mixin that keeps a request handler from writing to standard error."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Log nothing: it would go to standard error."""
