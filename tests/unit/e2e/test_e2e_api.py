"""The tests' client of the API repeats what a busy machine answers too late."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.e2e.api import ApiRefusal, SignedInApi


class SlowControlPlane(ThreadingHTTPServer):
    """A control plane with agents, which obeys the first request at once and answers it after the second."""

    def __init__(self, *agents: str) -> None:
        super().__init__(("127.0.0.1", 0), _LateHandler)
        self.agents = set(agents)
        self.received = 0
        self.repeated = threading.Event()
        self.lock = threading.Lock()

    def count(self) -> int:
        with self.lock:
            self.received += 1
            if self.received > 1:
                self.repeated.set()
            return self.received


class _LateHandler(BaseHTTPRequestHandler):
    server: SlowControlPlane

    def do_DELETE(self) -> None:
        name = self.path.rpartition("/")[2]
        known = name in self.server.agents
        self.server.agents.discard(name)
        if self.server.count() == 1:
            self.server.repeated.wait()
        problem = b"" if known else json.dumps({"title": "Unknown agent", "status": 404}).encode()
        self.send_response(204 if known else 404)
        self.send_header("Content-Type", "application/problem+json")
        self.send_header("Content-Length", str(len(problem)))
        self.end_headers()
        self.wfile.write(problem)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def plane() -> Iterator[SlowControlPlane]:
    with SlowControlPlane("here") as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield server
        server.repeated.set()
        server.shutdown()
        serving.join()


def test_an_agent_whose_removal_is_answered_too_late_is_removed(plane: SlowControlPlane) -> None:
    api = SignedInApi(f"http://127.0.0.1:{plane.server_port}", None, answer_within_s=0.3)

    api.delete("/agents/here")

    assert plane.agents == set()
    assert plane.received > 1


def test_the_removal_of_an_unknown_agent_is_refused(plane: SlowControlPlane) -> None:
    plane.repeated.set()
    api = SignedInApi(f"http://127.0.0.1:{plane.server_port}", None)

    with pytest.raises(ApiRefusal, match="404"):
        api.delete("/agents/unknown")
