"""Progress of a transfer, merged from polled views and live messages."""

from events.base import AgentId, HopId
from events.locations import agent_of
from events.progress import Live, Progress
from events.states import HopState, TransferState
from events.views import HopView, TransferView

ENDED = {
    TransferState.SUCCEEDED,
    TransferState.PARTIALLY_FAILED,
    TransferState.FAILED,
    TransferState.CANCELLED,
}
_ACTIVE = {HopState.OFFERED, HopState.RUNNING, HopState.VERIFYING}


class TransferSnapshot:
    """The latest view of a transfer, with newer progress from live messages."""

    def __init__(self, view: TransferView) -> None:
        self.view = view
        self._live: dict[str, Live] = {}

    @property
    def _carriers(self) -> dict[HopId, AgentId | None]:
        """The agent that carries out and reports each hop: the destination's, or the only one."""
        return {hop.hop_id: agent_of(hop.destination) or agent_of(hop.source) for hop in self.view.hops}

    def on_poll(self, view: TransferView) -> None:
        self.view = view

    def on_message(self, agent_id: AgentId, live: Live) -> None:
        """Keep the message, if it is from the hop's carrier, unless a newer one is known.

        Live messages may arrive late or twice, and any agent may send them about any hop.
        """
        if agent_id != self._carriers.get(live.hop_id):
            return
        known = self._live.get(live.hop_id)
        if known is None or (known.attempt, known.at) <= (live.attempt, live.at):
            self._live[live.hop_id] = live

    def progress(self, hop: HopView) -> Progress:
        live = self._live.get(hop.hop_id)
        if live is None or hop.state not in _ACTIVE or live.attempt < hop.attempt:
            return hop.progress
        newer = live.attempt > hop.attempt or live.progress.bytes_done >= hop.progress.bytes_done
        return live.progress if newer else hop.progress

    @property
    def ended(self) -> bool:
        return self.view.state in ENDED

    @property
    def total(self) -> Progress:
        """The transfer's progress, which counts each file once; an ended hop has no rate."""
        parts = [
            self.progress(hop).model_copy(update={"bytes_per_second": self.rate(hop)})
            for hop in self.view.hops
        ]
        return Progress.of_hops(parts) if parts else self.view.progress

    def rate(self, hop: HopView) -> int:
        """Return the current rate in bytes per second; 0 for a hop that is not active."""
        return self.progress(hop).bytes_per_second if hop.state in _ACTIVE else 0


def fraction(progress: Progress) -> float | None:
    """Return progress from 0 to 1 by bytes, or by files if all are empty; None while totals are unknown."""
    if progress.bytes_total:
        return min(1.0, progress.bytes_done / progress.bytes_total)
    if progress.files_total:
        return min(1.0, progress.files_done / progress.files_total)
    return None


def share(progress: Progress) -> str:
    """Return progress as `67%`, rounded down: never 100% before the last byte."""
    done = fraction(progress)
    if done is None:
        return "–"
    return f"{int(done * 100)}%"


def seconds_left(progress: Progress, rate: int) -> float | None:
    if not rate or progress.bytes_total is None:
        return None
    return max(0, progress.bytes_total - progress.bytes_done) / rate
