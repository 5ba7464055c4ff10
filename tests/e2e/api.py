"""A client of the HTTP API, as a user's own program would be."""

import time
import uuid
from dataclasses import dataclass
from typing import Any

import httpx

from agent.cli import cognito
from agent.cli.stage_api import find
from agent.cloud.http import client
from infra.local.environment import HANG_TIMEOUT_S, Environment


class ApiRefusal(Exception):  # noqa: N818  # it is an answer
    """An error response with problem details (RFC 9457)."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(f"{status}: {problem}")
        self.status, self.problem = status, problem


@dataclass
class SignedInApi:
    """The API as one caller, signed in or anonymous."""

    url: str
    token: str | None
    answer_within_s: float = 35.0
    """Seconds without an answer after which a request is repeated; API Gateway itself gives up after 29."""

    @classmethod
    def signed_in(cls, here: Environment, user: str, password: str) -> "SignedInApi":
        service = find(here.outputs.api_url)
        tokens = cognito.sign_in(service.pool, user, password, _no_question, _no_question)
        return cls(service.url, tokens.id_token)

    def send(self, method: str, path: str, body: Any = None, key: str | None = None) -> httpx.Response:
        """Send a request, again while nothing answers in time: functions may start slowly on a busy machine.

        All methods can be repeated: a POST repeats its key. What a repeated DELETE does not find, an earlier
        one has deleted.
        """
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if method == "POST":
            headers["Idempotency-Key"] = key or str(uuid.uuid4())
        end, unanswered = time.monotonic() + HANG_TIMEOUT_S, False
        with client(self.url, timeout=httpx.Timeout(self.answer_within_s)) as http:
            while True:
                try:
                    answer = http.request(method, path, json=body, headers=headers)
                except httpx.TimeoutException:
                    if time.monotonic() > end:
                        raise
                    unanswered = True
                    continue
                if unanswered and method == "DELETE" and answer.status_code == httpx.codes.NOT_FOUND:
                    return httpx.Response(httpx.codes.NO_CONTENT, request=answer.request)
                if not _is_crowded(answer) or time.monotonic() > end:
                    return answer
                time.sleep(0.5)

    def status(self, method: str, path: str, body: Any = None) -> int:
        return self.send(method, path, body).status_code

    def get(self, path: str) -> Any:
        return _answer(self.send("GET", path))

    def post(self, path: str, body: Any = None, key: str | None = None) -> Any:
        return _answer(self.send("POST", path, body, key))

    def put(self, path: str, body: Any) -> Any:
        return _answer(self.send("PUT", path, body))

    def delete(self, path: str) -> Any:
        return _answer(self.send("DELETE", path))


def _no_question(question: str, _name: str = "") -> str:
    raise AssertionError(f"a test's user is asked for more than the password: {question}")


def _is_crowded(response: httpx.Response) -> bool:
    """Return whether Lambda itself refused the request before any of our code ran."""
    return response.status_code == 429 and response.headers["content-type"] != "application/problem+json"


def _answer(response: httpx.Response) -> Any:
    if response.is_success:
        return response.json() if response.content else None
    if response.headers["content-type"] != "application/problem+json":
        raise AssertionError(f"{response.status_code} without problem details: {response.text}")
    raise ApiRefusal(response.status_code, response.json())
