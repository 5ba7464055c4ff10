"""Following a transfer to its end: polling is the truth, live messages fill the time between."""

import sys
import time
from typing import Any

import httpx

from agent.cli import output
from agent.cli.api import ApiClient
from agent.cli.details import amounts, print_preview, print_problems
from agent.cli.errors import CliError, Exit, code_for_status
from agent.cli.live import LiveFeed, listening
from agent.cli.progress import TransferSnapshot
from agent.cli.screen import Screen, screen_for
from agent.cli.text import clean
from agent.cloud.http import ApiProblem
from events.states import TransferState
from events.views import TransferView

_POLL_INTERVAL_S = 1.0
"""Seconds between two looks without a live connection, and with one:"""
_LIVE_POLL_INTERVAL_S = 2.0
_API_TIMEOUT_S = 300.0
"""Seconds without any answer from the API before we give up. The transfer does not need us."""


def follow(api: ApiClient, transfer_id: str, *, as_json: bool = False) -> None:
    """Show progress until the transfer ends; Trouble unless all of it succeeded."""
    to = sys.stderr if as_json else sys.stdout
    output.say(f"Transfer {transfer_id}", file=to, style="bold")
    try:
        with listening(api, transfer_id) as ear, screen_for(to) as screen:
            answer = _until_the_end(_Watch(api, transfer_id, ear, screen))
    except KeyboardInterrupt:
        raise _left(transfer_id) from None
    if as_json:
        output.print_json(answer)
    _conclude(TransferView.model_validate(answer), quiet=as_json)


class _Watch:
    """One watch: where to look, where to listen, where to show."""

    def __init__(self, api: ApiClient, transfer_id: str, ear: LiveFeed, screen: Screen) -> None:
        self.transfer_id = transfer_id
        self.ear = ear
        self.screen = screen
        self._api = api
        self._silent_since: float | None = None

    def poll(self) -> dict[str, Any] | None:
        """The transfer as the API has it; None while the API does not answer, and an error after a while."""
        try:
            answer: dict[str, Any] = self._api.glance("transfers", self.transfer_id)
        except (httpx.TransportError, ApiProblem) as error:
            self._tolerate(error)
            return None
        self._silent_since = None
        return answer

    def _tolerate(self, error: httpx.TransportError | ApiProblem) -> None:
        if isinstance(error, ApiProblem) and code_for_status(error.status) is not Exit.UNREACHABLE:
            raise error
        now = time.monotonic()
        if self._silent_since is None:
            self._silent_since = now
            self.screen.remark("the API does not answer; the transfer goes on, and so does this watch")
        elif now - self._silent_since > _API_TIMEOUT_S:
            raise error


def _until_the_end(watch: _Watch) -> dict[str, Any]:
    picture: TransferSnapshot | None = None
    while True:
        answer = watch.poll()
        if answer is not None:
            view = TransferView.model_validate(answer)
            picture = picture or TransferSnapshot(view)
            picture.on_poll(view)
            watch.screen.show(picture)
            if picture.ended:
                return answer
        _listen(watch, picture)


def _listen(watch: _Watch, picture: TransferSnapshot | None) -> None:
    """Until the next look is due, show what is heard."""
    due = time.monotonic() + (_LIVE_POLL_INTERVAL_S if watch.ear.is_connected else _POLL_INTERVAL_S)
    while (left := due - time.monotonic()) > 0:
        live = watch.ear.next(left)
        if live and picture:
            picture.on_message(live)
            watch.screen.show(picture)


def _left(transfer_id: str) -> CliError:
    advice = f"`crosshaul show {transfer_id} --watch` looks again; `crosshaul cancel {transfer_id}` stops it."
    return CliError(f"stopped watching; transfer {transfer_id} goes on", advice, Exit.INTERRUPTED)


def _conclude(view: TransferView, *, quiet: bool) -> None:
    if view.state is TransferState.SUCCEEDED:
        if not quiet:
            _tell_the_good_end(view)
        return
    if not quiet:
        for hop in view.hops:
            print_problems(hop)
    raise CliError(f"transfer {view.transfer_id} {_ENDS[view.state]}", _advice(view), Exit.FAILED)


def _tell_the_good_end(view: TransferView) -> None:
    if not view.options.dry_run:
        return output.say(f"Everything arrived: {amounts(TransferSnapshot(view).total)}.", style="green")
    output.say("A dry run: nothing was written.", style="green")
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
        return "Repeat the copy to send what is missing."
    return f"`crosshaul retry {view.transfer_id}` tries again; `crosshaul show` with its id tells all."
