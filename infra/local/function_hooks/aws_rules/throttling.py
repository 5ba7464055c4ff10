"""Throttle a share of all AWS calls at random, as AWS does under load: in the embedded cloud's functions.

CROSSHAUL_THROTTLING names a file. While it exists, it has the share of calls and a seed; so a test switches
throttling on and off in functions that run. A throttled call fails once to four times: some get through when
botocore repeats them, and some fail for good.
"""

import json
import os
import random
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.client import BaseClient
from botocore.model import OperationModel

FILE_VARIABLE = "CROSSHAUL_THROTTLING"
LOG_SUFFIX = ".log"
"""Beside the file, each throttled attempt is a line of the log."""
MAX_ATTEMPTS = 4
"""How often a call is throttled at most; more often than any client here repeats one."""


@dataclass
class _Settings:
    share: float
    seed: int


def install(client: BaseClient) -> None:
    """Throttle this client's calls while the file exists; without the variable, do nothing."""
    if name := os.environ.get(FILE_VARIABLE):
        throttling = Throttling(Path(name), client)
        client.meta.events.register("before-call", throttling.choose)
        events: Any = client.meta.events  # its types know no handler that answers
        events.register_first("before-send", throttling.answer)


class Throttling:
    """Decides for each call of a client how many of its attempts are throttled."""

    def __init__(self, file: Path, client: BaseClient) -> None:
        self._file = file
        self._protocol = client.meta.service_model.resolved_protocol
        self._service = client.meta.service_model.service_name
        self._random: random.Random | None = None
        self._of_thread = threading.local()

    def choose(self, model: OperationModel, **_: Any) -> None:
        """Decide how many attempts of this call are throttled: mostly none."""
        self._of_thread.operation, self._of_thread.left = model.name, 0
        try:
            settings = _Settings(**json.loads(self._file.read_text()))
        except (FileNotFoundError, ValueError):
            self._random = None
            return
        if self._random is None:
            function = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "")
            seed = f"{settings.seed} {function} {self._service}"
            self._random = random.Random(seed)  # noqa: S311  # to be repeated
        if self._random.random() < settings.share:
            self._of_thread.left = self._random.randint(1, MAX_ATTEMPTS)

    def answer(self, request: AWSRequest, **_: Any) -> AWSResponse | None:
        """Answer an attempt in AWS's place, if it is to be throttled."""
        left = getattr(self._of_thread, "left", 0)
        if left == 0:
            return None
        self._of_thread.left = left - 1
        with self._file.with_name(self._file.name + LOG_SUFFIX).open("a") as log:
            log.write(f"{self._service} {self._of_thread.operation} {left}\n")
        return refusal(str(request.url), self._protocol)


def refusal(url: str, protocol: str) -> AWSResponse:
    """Return how AWS refuses a throttled request in this protocol."""
    match protocol:
        case "rest-xml":  # S3
            return _response(url, 503, "<Error><Code>SlowDown</Code><Message>Slow down</Message></Error>")
        case "query":  # STS
            error = "<Error><Code>Throttling</Code><Message>Rate exceeded</Message></Error>"
            return _response(url, 400, f"<ErrorResponse>{error}</ErrorResponse>")
        case "rest-json":  # IoT
            body = json.dumps({"message": "Rate exceeded"})
            return _response(url, 429, body, {"x-amzn-errortype": "ThrottlingException"})
    body = json.dumps({"__type": "ThrottlingException", "message": "Rate exceeded"})
    return _response(url, 400, body)


class _Body:
    """The part of urllib3's response that botocore reads."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_: Any) -> Any:
        yield self._content


def _response(url: str, status: int, body: str, headers: dict[str, str] | None = None) -> AWSResponse:
    made: Any = AWSResponse  # its types want more than it needs
    answer: AWSResponse = made(url, status, headers or {}, _Body(body.encode()))
    return answer
