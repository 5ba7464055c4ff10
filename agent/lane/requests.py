"""How a request on the lane is read and refused, by whichever side is asked."""

import ssl
from http.server import BaseHTTPRequestHandler
from typing import Any

from agent.lane import asked
from agent.lane.asked import LaneRequestError
from events.base import Problem


class LaneRequestHandler(BaseHTTPRequestHandler):
    """One connection, without a server of http.server's."""

    protocol_version = "HTTP/1.1"
    connection: ssl.SSLSocket

    def __init__(self, connection: ssl.SSLSocket, address: Any) -> None:
        """Returns when all has been said; OSError if the peer went away."""
        super().__init__(connection, address, None)  # type: ignore[arg-type]  # it needs no server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base's name
        """Nothing: one line a request would be thousands a second."""

    def do_POST(self) -> None:
        try:
            self.answer()
        except LaneRequestError as refusal:
            self.refuse(refusal.status, refusal.problem)

    def answer(self) -> None:
        """What was asked; Refusal of what cannot be."""
        raise NotImplementedError

    @property
    def token(self) -> str:
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    def body(self, most: int) -> bytes:
        """Refusal if it is none of a known size, or longer."""
        length = self.headers.get("Content-Length", "")
        if not (length.isdecimal() and len(length) < 10 and int(length) <= most):
            self.close_connection = True  # what follows cannot be told from the next request
            raise asked.malformed("a body of a known, small size is needed", 413)
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise ConnectionResetError("the peer left in the middle of a request")
        return body

    def head(self, status: int, kind: str, length: int | None) -> None:
        """Of an answer; without a length it comes in chunks."""
        self.send_response_only(status)
        self.send_header("Content-Type", kind)
        if length is None:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def refuse(self, status: int, problem: Problem) -> None:
        body = problem.model_dump_json().encode()
        self.head(status, "application/problem+json", len(body))
        self.wfile.write(body)
