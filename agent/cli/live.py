"""Live messages for `--watch`. If the connection fails at any point, polling alone goes on."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from time import monotonic, sleep
from typing import TYPE_CHECKING

import httpx
import pydantic

from agent.cli import output
from agent.cli.timing import Timing
from agent.cloud.http import ApiProblem
from agent.errors import HostError
from events.base import AgentId
from events.progress import Live
from events.topics import live_sender
from events.views import LiveView

if TYPE_CHECKING:
    from agent.cli.api import ApiClient
    from agent.cloud.live_link import LiveLink


@dataclass(frozen=True)
class AgentLive:
    """A live message, and the agent that sent it."""

    agent_id: AgentId
    live: Live


def _ask_nobody() -> None:
    pass


class LiveFeed:
    """The live messages of one transfer; without a connection it yields none."""

    def __init__(
        self,
        link: "LiveLink | None" = None,
        request_progress: Callable[[], None] = _ask_nobody,
        interval_s: float = Timing.watch_interval_s,
    ) -> None:
        """`request_progress` is called every `interval_s`: agents publish only while someone watches."""
        self._link = link
        self._request_progress = request_progress
        self._interval_s = interval_s
        self._request_due = 0.0

    @property
    def is_connected(self) -> bool:
        return self._link is not None and self._link.connected

    def next(self, seconds: float) -> AgentLive | None:
        """Return the next message, waiting at most `seconds`; None if none arrived or it is not valid."""
        if self._link is None:
            sleep(seconds)
            return None
        if (now := monotonic()) >= self._request_due:
            self._request_due = now + self._interval_s
            self._request_progress()
        try:
            return _read(self._link.messages, seconds)
        except Empty:
            return None


def _read(messages: "SimpleQueue[tuple[str, bytes]]", seconds: float) -> AgentLive | None:
    topic, payload = messages.get(timeout=seconds)
    try:
        live = Live.model_validate_json(payload)
    except pydantic.ValidationError:  # from a newer agent, or not ours: progress messages may be lost
        return None
    sender = live_sender(topic)
    if sender is None or sender[1:] != (live.transfer_id, live.hop_id):
        return None
    return AgentLive(sender[0], live)


@contextmanager
def live_feed(api: "ApiClient", transfer_id: str) -> Iterator[LiveFeed]:
    """Subscribe to the transfer's live topics; if that fails, note it and yield an empty feed."""
    with ExitStack() as stack:
        link: LiveLink | None = None
        try:
            view = LiveView.model_validate(api.glance("live", transfer_id=transfer_id))
            link = stack.enter_context(_link(view))
        except (
            ApiProblem,
            httpx.TransportError,
            pydantic.ValidationError,
            OSError,
            RuntimeError,
            ImportError,
            HostError,  # the environment names a proxy that MQTT cannot use
        ):
            output.note("no live connection; polling every second")
        yield LiveFeed(link, lambda: _request_progress(api, transfer_id), api.timing.watch_interval_s)


def _request_progress(api: "ApiClient", transfer_id: str) -> None:
    """Have agents publish live progress for a while; if that fails, polling alone goes on."""
    with suppress(ApiProblem, httpx.TransportError):
        api.signal("live", "watches", body={"transfers": [transfer_id]})


def _link(view: LiveView) -> "LiveLink":
    from agent.cloud.live_link import LiveLink

    return LiveLink(view.url, view.client_id, view.topics)
