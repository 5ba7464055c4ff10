"""Follow a transfer to its end: polling is authoritative, live messages fill the time between polls."""

import sys
import time

import httpx

from agent.cli import output
from agent.cli.api import ApiClient
from agent.cli.details import not_kept, print_preview, print_problems, total_amounts
from agent.cli.errors import CliError, Exit, exit_code
from agent.cli.live import LiveFeed, live_feed
from agent.cli.progress import TransferSnapshot
from agent.cli.screen import Screen, SilentScreen, screen_for
from agent.cli.text import clean
from agent.cli.waiting import AgentCache, reasons
from agent.cloud.http import ApiProblem
from events.states import TransferState
from events.views import TransferView

_EXPLANATION_INTERVAL_S = 5.0
"""Seconds between questions why a transfer does not move."""


def follow(api: ApiClient, transfer_id: str, *, as_json: bool = False) -> TransferView:
    """Show progress until the transfer ends; return it then. With `as_json`, as JSON Lines.

    Raises:
        CliError: The transfer did not fully succeed, or the watch was interrupted.
    """
    if not as_json:
        output.say(f"Transfer {transfer_id}", style="bold")
    try:
        with live_feed(api, transfer_id) as feed, screen_for(sys.stdout, as_json=as_json) as screen:
            view = _poll_until_ended(_Watch(api, transfer_id, feed, screen))
    except KeyboardInterrupt:
        raise _interrupted(transfer_id) from None
    conclude(view, quiet=as_json)
    return view


def wait(api: ApiClient, transfer_id: str) -> TransferView:
    """Return the transfer once it has ended, without showing its progress."""
    try:
        return _poll_until_ended(_Watch(api, transfer_id, LiveFeed(), SilentScreen()))
    except KeyboardInterrupt:
        raise _interrupted(transfer_id) from None


class _Watch:
    """The parts of one watch: API to poll, feed of live messages, screen to draw on."""

    def __init__(self, api: ApiClient, transfer_id: str, feed: LiveFeed, screen: Screen) -> None:
        self.transfer_id = transfer_id
        self.feed = feed
        self.screen = screen
        self.timing = api.timing
        self._api = api
        self._silent_since: float | None = None
        self._explained: set[str] = set()
        self._next_explanation = 0.0

    def explain(self, view: TransferView) -> None:
        """Note why the transfer does not move, each reason once."""
        if (now := time.monotonic()) < self._next_explanation:
            return
        self._next_explanation = now + _EXPLANATION_INTERVAL_S
        for reason in reasons(view, AgentCache(self._api)):
            about = reason.partition(" (")[0]  # without the time of the last heartbeat, which changes
            if about not in self._explained:
                self._explained.add(about)
                self.screen.note(f"It {clean(reason)}.")

    def poll(self) -> TransferView | None:
        """Return the transfer, or None while the API does not answer.

        Raises:
            httpx.TransportError: The API has not answered for 5 minutes.
            ApiProblem: The API refused the request, or has failed for 5 minutes.
        """
        try:
            view = TransferView.model_validate(self._api.glance("transfers", self.transfer_id))
        except (httpx.TransportError, ApiProblem) as error:
            self._tolerate(error)
            return None
        self._silent_since = None
        return view

    def _tolerate(self, error: httpx.TransportError | ApiProblem) -> None:
        if isinstance(error, ApiProblem) and exit_code(error.status) is not Exit.UNREACHABLE:
            raise error
        now = time.monotonic()
        if self._silent_since is None:
            self._silent_since = now
            self.screen.note("the API does not answer; the transfer continues, retrying")
        elif now - self._silent_since > self.timing.api_timeout_s:
            raise error


def _poll_until_ended(watch: _Watch) -> TransferView:
    snapshot: TransferSnapshot | None = None
    while True:
        view = watch.poll()
        if view is not None:
            snapshot = snapshot or TransferSnapshot(view)
            snapshot.on_poll(view)
            watch.screen.show(snapshot)
            if snapshot.ended:
                return view
            watch.explain(view)
        _listen(watch, snapshot)


def _listen(watch: _Watch, snapshot: TransferSnapshot | None) -> None:
    """Show live messages until the next poll is due."""
    timing = watch.timing
    due = time.monotonic() + (
        timing.live_poll_interval_s if watch.feed.is_connected else timing.poll_interval_s
    )
    while (left := due - time.monotonic()) > 0:
        message = watch.feed.next(left)
        if message and snapshot:
            snapshot.on_message(message.agent_id, message.live)
            watch.screen.show(snapshot)


def _interrupted(transfer_id: str) -> CliError:
    advice = f"`crosshaul show {transfer_id} --watch` resumes; `crosshaul cancel {transfer_id}` cancels it."
    return CliError(f"stopped watching; transfer {transfer_id} continues", advice, Exit.INTERRUPTED)


def conclude(view: TransferView, *, quiet: bool) -> None:
    """Print how the transfer ended.

    Raises:
        CliError: It did not fully succeed.
    """
    if view.state is TransferState.SUCCEEDED:
        if not quiet:
            _print_success(view)
        return
    if not quiet:
        _print_losses(view)
        for hop in view.hops:
            print_problems(hop)
    raise CliError(f"transfer {view.transfer_id} {_ENDS[view.state]}", _advice(view), Exit.FAILED)


def _print_success(view: TransferView) -> None:
    if not view.options.dry_run:
        total = TransferSnapshot(view).total
        what = "Everything but files with reserved names" if total.lost.name else "Everything"
        output.say(f"{what} arrived: {total_amounts(view, total)}.", style="green")
        return _print_losses(view)
    output.say("Dry run: nothing was written.", style="green")
    if view.real_start and view.real_start.needs_approval:
        policies = clean(", ".join(view.real_start.policies))
        output.say(
            f"Without --dry-run it waits for another person's approval (policies: {policies}).",
            style="yellow",
        )
    for hop in view.hops:
        output.say(f"{clean(str(hop.source))} → {clean(str(hop.destination))}")
        if hop.preview:
            print_preview(hop.preview)
    return None


def _print_losses(view: TransferView) -> None:
    """Say what the destination does not have, or not entirely, although nothing failed."""
    if lost := not_kept(TransferSnapshot(view).total.lost):
        output.say(
            f"Not kept: {lost}. `crosshaul manifest {view.transfer_id}` names each file.", style="yellow"
        )


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
