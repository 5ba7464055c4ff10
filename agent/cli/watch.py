"""Follow a transfer to its end: polling is authoritative, live messages fill the time between polls."""

import sys
import time
from typing import Any

import httpx

from agent.cli import output
from agent.cli.api import ApiClient
from agent.cli.details import amounts, print_preview, print_problems
from agent.cli.errors import CliError, Exit, exit_code
from agent.cli.live import LiveFeed, live_feed
from agent.cli.progress import TransferSnapshot
from agent.cli.screen import Screen, screen_for
from agent.cli.text import clean
from agent.cloud.http import ApiProblem
from events.states import TransferState
from events.views import TransferView

_POLL_INTERVAL_S = 1.0
"""Seconds between polls without a live connection."""
_LIVE_POLL_INTERVAL_S = 2.0
"""Seconds between polls with a live connection."""
_API_TIMEOUT_S = 300.0
"""Seconds without an answer from the API before the watch gives up; the transfer itself continues."""


def follow(api: ApiClient, transfer_id: str, *, as_json: bool = False) -> None:
    """Show progress until the transfer ends.

    Raises:
        CliError: The transfer did not fully succeed, or the watch was interrupted.
    """
    stream = sys.stderr if as_json else sys.stdout
    output.say(f"Transfer {transfer_id}", file=stream, style="bold")
    try:
        with live_feed(api, transfer_id) as feed, screen_for(stream) as screen:
            answer = _poll_until_ended(_Watch(api, transfer_id, feed, screen))
    except KeyboardInterrupt:
        raise _interrupted(transfer_id) from None
    if as_json:
        output.print_json(answer)
    _conclude(TransferView.model_validate(answer), quiet=as_json)


class _Watch:
    """The parts of one watch: API to poll, feed of live messages, screen to draw on."""

    def __init__(self, api: ApiClient, transfer_id: str, feed: LiveFeed, screen: Screen) -> None:
        self.transfer_id = transfer_id
        self.feed = feed
        self.screen = screen
        self._api = api
        self._silent_since: float | None = None

    def poll(self) -> dict[str, Any] | None:
        """Return the transfer, or None while the API does not answer.

        Raises:
            httpx.TransportError: The API has not answered for 5 minutes.
            ApiProblem: The API refused the request, or has failed for 5 minutes.
        """
        try:
            answer: dict[str, Any] = self._api.glance("transfers", self.transfer_id)
        except (httpx.TransportError, ApiProblem) as error:
            self._tolerate(error)
            return None
        self._silent_since = None
        return answer

    def _tolerate(self, error: httpx.TransportError | ApiProblem) -> None:
        if isinstance(error, ApiProblem) and exit_code(error.status) is not Exit.UNREACHABLE:
            raise error
        now = time.monotonic()
        if self._silent_since is None:
            self._silent_since = now
            self.screen.note("the API does not answer; the transfer continues, retrying")
        elif now - self._silent_since > _API_TIMEOUT_S:
            raise error


def _poll_until_ended(watch: _Watch) -> dict[str, Any]:
    snapshot: TransferSnapshot | None = None
    while True:
        answer = watch.poll()
        if answer is not None:
            view = TransferView.model_validate(answer)
            snapshot = snapshot or TransferSnapshot(view)
            snapshot.on_poll(view)
            watch.screen.show(snapshot)
            if snapshot.ended:
                return answer
        _listen(watch, snapshot)


def _listen(watch: _Watch, snapshot: TransferSnapshot | None) -> None:
    """Show live messages until the next poll is due."""
    due = time.monotonic() + (_LIVE_POLL_INTERVAL_S if watch.feed.is_connected else _POLL_INTERVAL_S)
    while (left := due - time.monotonic()) > 0:
        live = watch.feed.next(left)
        if live and snapshot:
            snapshot.on_message(live)
            watch.screen.show(snapshot)


def _interrupted(transfer_id: str) -> CliError:
    advice = f"`crosshaul show {transfer_id} --watch` resumes; `crosshaul cancel {transfer_id}` cancels it."
    return CliError(f"stopped watching; transfer {transfer_id} continues", advice, Exit.INTERRUPTED)


def _conclude(view: TransferView, *, quiet: bool) -> None:
    if view.state is TransferState.SUCCEEDED:
        if not quiet:
            _print_success(view)
        return
    if not quiet:
        for hop in view.hops:
            print_problems(hop)
    raise CliError(f"transfer {view.transfer_id} {_ENDS[view.state]}", _advice(view), Exit.FAILED)


def _print_success(view: TransferView) -> None:
    if not view.options.dry_run:
        return output.say(f"Everything arrived: {amounts(TransferSnapshot(view).total)}.", style="green")
    output.say("Dry run: nothing was written.", style="green")
    for hop in view.hops:
        output.say(f"{clean(str(hop.source))} → {clean(str(hop.destination))}")
        if hop.preview:
            print_preview(hop.preview)
    return None


_ENDS = {
    TransferState.CANCELLED: "was cancelled",
    TransferState.FAILED: "failed",
    TransferState.PARTIALLY_FAILED: "failed in part",
}


def _advice(view: TransferView) -> str:
    if view.state is TransferState.CANCELLED:
        return "Repeat the command to send the files that are missing."
    return (
        f"`crosshaul retry {view.transfer_id}` retries it; `crosshaul show {view.transfer_id}` shows details."
    )
