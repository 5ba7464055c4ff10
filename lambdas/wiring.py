"""The composition root: builds each thing once, when it is first asked for. Importing does nothing.

Imports stand inside the functions, so that each Lambda function loads only what it uses.
"""

from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from lambdas.settings import Settings

if TYPE_CHECKING:
    from lambdas.bus import Bus
    from lambdas.fleet import Fleet
    from lambdas.store.agents import AgentStore
    from lambdas.store.transfers import TransferStore
    from lambdas.transfers.changing import Changing
    from lambdas.transfers.desk import Transfers
    from lambdas.transfers.dispatch import Dispatch
    from lambdas.transfers.hearing import Hearing
    from lambdas.transfers.reactions import Reactions
    from lambdas.transfers.sweeping import Sweeping


def clock() -> datetime:
    return datetime.now(UTC)


@cache
def settings() -> Settings:
    return Settings.from_env()


@cache
def fleet() -> "Fleet":
    import boto3

    from events.topics import Topics
    from lambdas.fleet import Fleet

    return Fleet(
        kms=boto3.client("kms", region_name=settings().region),
        broker=boto3.client("iot-data", region_name=settings().region),
        key_id=settings().signing_key_id,
        topics=Topics(settings().stage),
        clock=clock,
    )


@cache
def bus() -> "Bus":
    import boto3

    from lambdas.bus import Bus

    return Bus(boto3.client("events", region_name=settings().region), settings().bus_name)


@cache
def transfer_store() -> "TransferStore":
    from lambdas.store.transfers import TransferStore

    return TransferStore(settings().transfers_table, settings().region)


@cache
def agent_store() -> "AgentStore":
    from lambdas.store.agents import AgentStore

    return AgentStore(settings().agents_table, settings().region)


@cache
def changing() -> "Changing":
    from lambdas.transfers.changing import Changing

    return Changing(transfer_store(), clock)


@cache
def transfers() -> "Transfers":
    """What people and templates ask."""
    from lambdas.transfers.desk import Transfers

    return Transfers(transfer_store(), changing(), agent_store(), clock)


@cache
def dispatch() -> "Dispatch":
    from lambdas.transfers.dispatch import Dispatch, S3Access

    s3 = S3Access(settings().region, settings().s3_endpoint or None)
    return Dispatch(changing(), agent_store(), fleet(), s3, clock)


@cache
def reactions() -> "Reactions":
    """What follows from a change in the table."""
    from lambdas.transfers.reactions import Reactions

    return Reactions(transfer_store(), changing(), dispatch(), fleet(), bus())


@cache
def hearing() -> "Hearing":
    """What agents say about hops."""
    from lambdas.transfers.hearing import Hearing

    return Hearing(transfer_store(), changing(), reactions(), fleet(), clock)


@cache
def sweeping() -> "Sweeping":
    """What the clock finds."""
    from lambdas.transfers.sweeping import Sweeping

    return Sweeping(transfer_store(), changing(), reactions(), clock)
