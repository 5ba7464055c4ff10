"""An HTTP server on loopback, for rclone's requests to this agent."""

import logging
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Generic, TypeVar

log = logging.getLogger(__name__)

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

    def handle_error(self, *_: object) -> None:
        """Log why a request failed; that rclone was ended in the middle of one is not an error."""
        if isinstance(sys.exception(), OSError):
            log.debug("rclone closed a connection", exc_info=True)
        else:
            log.exception("a request of rclone failed")

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class QuietHandler:
    """Mixin that keeps a request handler from writing to standard error."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Log nothing: it would go to standard error."""
