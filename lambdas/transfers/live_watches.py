"""Have agents publish live progress of the transfers that someone watches, and of no others.

The lease is an attribute of the transfer's header, one for all watchers. A hop that starts, or moves to
another agent, while the lease lasts learns of it from its Move.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from events.base import TransferId
from events.commands import Watch
from events.states import HopState
from lambdas.domain.hop import AT_WORK
from lambdas.domain.transfer import Transfer
from lambdas.ports import Clock, CommandSender
from lambdas.store.transfers import TransferStore

LEASE = timedelta(seconds=90)
"""How long agents publish after a request. Pages ask every 30 s, so that every other request renews it."""
RENEW_WITHIN = timedelta(seconds=45)
"""A lease that lasts longer than this is not renewed."""


class LiveWatches:
    """Keeps transfers watched while pages show them."""

    def __init__(self, store: TransferStore, commands: CommandSender, clock: Clock) -> None:
        self._store = store
        self._commands = commands
        self._clock = clock

    def watch(self, transfer_ids: Iterable[TransferId]) -> None:
        """Renew the lease of each transfer where it is due, and tell the agents that move its files now.

        Transfers that do not exist or have ended are left out: the page shows its last state anyway.
        """
        now = self._clock()
        for transfer_id in self._store.unwatched(transfer_ids, now + RENEW_WITHIN):
            transfer = self._store.get(transfer_id)
            if self._store.extend_watch(transfer_id, transfer.watched_until, now + LEASE):
                self._tell_carriers(transfer)

    def _tell_carriers(self, transfer: Transfer) -> None:
        at_agents = (hop for hop in transfer.hops if hop.state in AT_WORK | {HopState.OFFERED})
        for agent_id in dict.fromkeys(hop.carrier for hop in at_agents):
            watch = Watch(transfer_id=transfer.transfer_id, seconds=int(LEASE.total_seconds()))
            self._commands.send_command(agent_id, watch)


def seconds_watched(transfer: Transfer, now: datetime) -> int:
    """Return for how many seconds the transfer is still watched."""
    return max(0, int((transfer.watched_until - now).total_seconds())) if transfer.watched_until else 0
