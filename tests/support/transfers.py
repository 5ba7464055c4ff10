"""Transfers as the planner makes them, in any state, from short text."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from events.base import Actor
from events.locations import AgentLocation, Location
from events.options import Options
from events.states import HopState
from lambdas.domain.plan import TransferSpec, new_transfer_id, plan
from lambdas.domain.transfer import Transfer
from lambdas.store.transfer_list import TransferFilter, list_transfers
from tests.support.fakes import ADA, MORNING


def listed_ids(wanted: TransferFilter) -> list[str]:
    """Return the ids on all pages of a list."""
    found: list[str] = []
    cursor, pages = None, 0
    while pages == 0 or cursor:
        page, cursor = list_transfers(wanted, cursor)
        found += [summary.transfer_id for summary in page]
        pages += 1
        assert pages < 50
    return found


def a_place(text: str) -> Location:
    agent, _, path = text.partition(":")
    return AgentLocation(agent_id=agent, path=path)


def made(
    source: Location | str,
    *destinations: str,
    by: Actor = ADA,
    at: datetime = MORNING,
    state: HopState = HopState.QUEUED,
    dry_run: bool = False,
    **more: Any,
) -> Transfer:
    """Return a transfer between places such as `server-b:/data/`, all of its hops in this state."""
    source = a_place(source) if isinstance(source, str) else source
    ends = tuple(map(a_place, destinations))
    spec = TransferSpec(source=source, destinations=ends, options=Options(dry_run=dry_run), **more)
    transfer = plan(new_transfer_id(), spec, by, at)
    ended = at if state in {HopState.FAILED, HopState.SUCCEEDED, HopState.CANCELLED} else None
    hops = [replace(hop, state=state, ended_at=ended) for hop in transfer.hops]
    return transfer.with_hops(hops, at)
