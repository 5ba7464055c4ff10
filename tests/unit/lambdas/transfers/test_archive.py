"""Ended transfers go to the archive, and leave the table only when the archive is known to have them."""

import gzip
import json
from datetime import timedelta
from pathlib import Path

import pytest
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError

from events.archive import ArchivedTransfer
from events.reports import Failed, Started, Succeeded
from lambdas.aws.archive_bucket import ArchiveBucket
from lambdas.domain.errors import TransferUnknownError
from lambdas.domain.transfer import FIRST_DAY
from lambdas.store.transfer_archive import ArchiveStore
from lambdas.store.transfer_list import TransferFilter, list_transfers
from lambdas.store.transfer_mapping import timeline_entry_row
from lambdas.store.transfer_rows import TimelineEntryRow, TransferRow
from lambdas.store.transfer_totals import totals
from lambdas.transfers.archive import BATCH_SIZE, MAX_WORK, TransferArchive
from tests.support.dynamodb_units import units_counted
from tests.support.fakes import ADA
from tests.support.moto_shortcuts import kept_client
from tests.support.world import REGION, TABLE

KEEP = timedelta(days=400)
BUCKET = "archive"


class Archive:
    """The archive of a world, on a bucket of moto."""

    def __init__(self, world):
        self.world = world
        self.s3 = kept_client("s3", REGION)
        self.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        self.store = ArchiveStore(TABLE, REGION)
        self.files = ArchiveBucket(self.s3, BUCKET)
        self.archive = TransferArchive(self.store, self.files, KEEP, world.clock)

    def pass_time(self, **time):
        self.world.clock.forward(**time)
        self.archive.work()

    def names(self):
        return [one["Key"] for one in self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]

    def lines(self):
        """Return what Athena would read: the newest line of each transfer."""
        found = {}
        for name in self.names():
            body = self.s3.get_object(Bucket=BUCKET, Key=name)["Body"].read()
            for line in map(ArchivedTransfer.model_validate_json, gzip.decompress(body).splitlines()):
                known = found.get(line.transfer_id)
                found[line.transfer_id] = max(known or line, line, key=lambda one: one.revision)
        return found

    def rows(self, transfer_id):
        return [row["part"] for row in self._items() if row["transfer_id"] == transfer_id]

    def _items(self):
        pages = kept_client("dynamodb", REGION).get_paginator("scan").paginate(TableName=TABLE)
        return [
            {name: value["S"] for name, value in item.items() if name in {"transfer_id", "part"}}
            for page in pages
            for item in page["Items"]
        ]

    def ended(self, how=Succeeded, **more):
        """Return the id of a transfer that has just ended."""
        transfer_id = self.world.request("a:/data/", "c:/archive/")
        self.world.stream()
        self.world.report(Started, self.world.hop(transfer_id), 1)
        self.world.report(how, self.world.hop(transfer_id), 2, **more)
        self.world.stream()
        assert self.world.store.get(transfer_id).ended
        return transfer_id

    def known(self, transfer_id):
        try:
            self.world.store.get(transfer_id)
        except TransferUnknownError:
            return False
        return True


@pytest.fixture
def archive(world):
    return Archive(world)


def test_an_ended_transfer_is_archived_within_the_hour_with_all_that_is_known(archive, world):
    transfer_id = archive.ended()
    archive.archive.work()
    assert archive.names() == [], "many go into one file"
    archive.pass_time(hours=1)
    [name] = archive.names()
    assert name.startswith(f"transfers/year=2026/month=11/day={world.clock().day}/")
    line = archive.lines()[transfer_id]
    transfer = world.store.get(transfer_id)
    assert (line.state, line.ended_at, line.hops[0].digest) == ("succeeded", transfer.ended_at, "d")
    assert line.timeline == world.store.timeline(transfer_id)[0]
    assert line.created_by == ADA
    assert line.cost.final


def test_one_that_runs_is_not_archived(archive, world):
    transfer_id = world.request("a:/data/", "c:/archive/")
    world.stream()
    archive.pass_time(days=500)
    assert archive.names() == []
    assert archive.known(transfer_id)


def test_it_leaves_the_table_when_it_is_old_with_words_and_indexes_and_the_sums_stay(archive, world):
    transfer_id = archive.ended()
    ended_at = world.store.get(transfer_id).ended_at
    archive.pass_time(hours=1)
    archive.pass_time(days=399)
    assert archive.known(transfer_id)
    archive.pass_time(days=1)
    assert archive.rows(transfer_id) == []
    wanted = TransferFilter(since=ended_at - timedelta(days=1), until=world.clock(), limit=10)
    assert list_transfers(wanted, None)[0] == ()
    [month] = totals((ended_at,), world.clock())
    assert (month.transfers, month.succeeded) == (1, 1)
    assert transfer_id in archive.lines()


def test_a_failure_that_nobody_has_looked_at_stays_until_somebody_has(archive, world):
    transfer_id = archive.ended(Failed)
    archive.pass_time(hours=1)
    archive.pass_time(days=500)
    assert archive.known(transfer_id)
    assert archive.lines()[transfer_id].state == "failed"
    world.transfer_service.acknowledge(transfer_id, ADA)
    archive.pass_time(hours=0)
    archive.pass_time(minutes=1)
    assert not archive.known(transfer_id)
    assert archive.lines()[transfer_id].acknowledged_by == ADA


def test_what_changes_while_its_file_is_written_is_archived_again(archive, world, monkeypatch):
    transfer_id = archive.ended(Failed)
    write = archive.files.write

    def slowly(name, lines):
        write(name, lines)
        world.transfer_service.acknowledge(transfer_id, ADA)

    with monkeypatch.context() as patch:
        patch.setattr(archive.files, "write", slowly)
        archive.pass_time(hours=1)
    assert archive.lines()[transfer_id].acknowledged_by is None
    archive.pass_time(hours=1)
    assert archive.lines()[transfer_id].acknowledged_by == ADA


def test_a_transfer_that_is_retried_is_archived_again_and_kept_from_its_new_end(archive, world):
    transfer_id = archive.ended(Failed)
    archive.pass_time(hours=1)
    world.clock.forward(days=100)
    world.transfer_service.retry(transfer_id, ADA)
    archive.pass_time(days=390)
    assert archive.known(transfer_id)
    world.stream()
    hop = world.hop(transfer_id)
    world.report(Started, hop, 1)
    world.report(Succeeded, hop, 2)
    archive.pass_time(hours=1)
    assert archive.lines()[transfer_id].state == "succeeded"
    assert len(archive.names()) == 2
    archive.pass_time(days=399)
    assert archive.known(transfer_id)
    archive.pass_time(days=1)
    assert not archive.known(transfer_id)


def test_nothing_is_archived_while_s3_is_away_and_nothing_is_lost(archive, monkeypatch):
    transfer_id = archive.ended()
    with monkeypatch.context() as patch:

        def away(**_):
            raise ConnectionError("S3 is away")

        patch.setattr(archive.s3, "put_object", away)
        with pytest.raises(ConnectionError):
            archive.pass_time(hours=1)
        with pytest.raises(ConnectionError):
            archive.pass_time(days=500)
    assert archive.known(transfer_id)
    archive.pass_time(minutes=1)
    archive.pass_time(minutes=1)
    assert transfer_id in archive.lines()
    assert not archive.known(transfer_id)


def test_a_function_that_ends_after_it_has_written_the_file_writes_the_same_one_again(archive, monkeypatch):
    transfer_id = archive.ended()

    def gone(*_):
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(archive.store, "set_archived", gone)
        with pytest.raises(SystemExit):
            archive.pass_time(hours=1)
    archive.pass_time(minutes=1)
    assert len(archive.names()) == 1
    archive.pass_time(days=401)
    assert not archive.known(transfer_id)


@pytest.mark.parametrize("damage", ["removed", "damaged", "other", "older", "unreadable"])
def test_a_transfer_stays_if_its_file_is_gone_and_is_archived_again(archive, damage):
    transfer_id = archive.ended()
    archive.pass_time(hours=1)
    [name] = archive.names()
    body = archive.s3.get_object(Bucket=BUCKET, Key=name)["Body"].read()
    match damage:
        case "removed":
            archive.s3.delete_object(Bucket=BUCKET, Key=name)
        case "damaged":
            archive.s3.put_object(Bucket=BUCKET, Key=name, Body=body[:-9])
        case "other":
            archive.s3.put_object(Bucket=BUCKET, Key=name, Body=gzip.compress(b""))
        case "older":
            line = json.loads(gzip.decompress(body))
            older = json.dumps(line | {"revision": line["revision"] - 1}).encode()
            archive.s3.put_object(Bucket=BUCKET, Key=name, Body=gzip.compress(older))
        case "unreadable":
            archive.s3.put_object(Bucket=BUCKET, Key=name, Body=gzip.compress(b'{"transfer_id": 1}\n'))
    archive.pass_time(days=401)
    assert archive.known(transfer_id)
    archive.pass_time(minutes=1)
    assert transfer_id in archive.lines()
    archive.pass_time(minutes=1)
    assert not archive.known(transfer_id)


@pytest.mark.parametrize("silence", [ConnectTimeoutError, ReadTimeoutError])
def test_nothing_counts_as_lost_and_is_archived_twice_while_s3_does_not_answer(archive, monkeypatch, silence):
    """botocore's time-outs are an OSError, as is a damaged file."""
    transfer_id = archive.ended()
    archive.pass_time(hours=1)
    with monkeypatch.context() as patch:

        def silent(**_):
            raise silence(endpoint_url="https://s3")

        patch.setattr(archive.s3, "get_object", silent)
        with pytest.raises(silence):
            archive.pass_time(days=401)
    assert archive.store.get(transfer_id).file in archive.names()
    archive.pass_time(minutes=1)
    assert not archive.known(transfer_id)
    assert len(archive.names()) == 1


def test_a_retry_at_the_moment_of_removal_keeps_the_transfer_whole(archive, world, monkeypatch):
    """With its timeline, and the words by which it is found."""
    transfer_id = archive.ended(Failed)
    world.transfer_service.acknowledge(transfer_id, ADA)
    archive.pass_time(hours=1)
    remove, rows = archive.store.remove, set(archive.rows(transfer_id))

    def after_a_retry(transfer):
        world.transfer_service.retry(transfer_id, ADA)
        remove(transfer)

    with monkeypatch.context() as patch:
        patch.setattr(archive.store, "remove", after_a_retry)
        archive.pass_time(days=401)
    assert [hop.state for hop in world.store.get(transfer_id).hops] == ["queued"]
    assert rows < set(archive.rows(transfer_id))
    archive.pass_time(minutes=1)
    assert rows < set(archive.rows(transfer_id))


@pytest.mark.parametrize("step", ["header", "rest", "last"])
def test_a_removal_that_ends_half_way_is_continued(archive, world, monkeypatch, step):
    transfer_id = archive.ended()
    archive.pass_time(hours=1)
    rows = archive.rows(transfer_id)
    with monkeypatch.context() as patch:

        def gone(*_, **__):
            raise ConnectionError("gone")

        match step:
            case "header":
                patch.setattr("lambdas.store.transfer_archive.transaction", gone)
            case "rest":
                patch.setattr(TransferRow, "batch_write", gone)
            case "last":
                patch.setattr(TransferRow, "delete", gone)
        with pytest.raises(ExceptionGroup):
            archive.pass_time(days=401)
    if step == "header":
        assert archive.rows(transfer_id) == rows
    else:
        assert not archive.known(transfer_id), "nobody meets a part of a transfer"
        assert archive.rows(transfer_id)
    archive.pass_time(minutes=1)
    assert archive.rows(transfer_id) == []
    assert list_transfers(TransferFilter(since=FIRST_DAY, until=world.clock(), limit=10), None)[0] == ()


def test_one_removed_transfer_that_cannot_be_cleared_holds_up_no_other(archive, monkeypatch):
    bad, good = archive.ended(), archive.ended()
    archive.pass_time(hours=1)
    clear = archive.store.clear

    def damaged(transfer_id):
        if transfer_id == bad:
            raise ValueError("damaged row")
        clear(transfer_id)

    with monkeypatch.context() as patch:
        patch.setattr(archive.store, "clear", damaged)
        for _ in range(2):
            with pytest.raises(ExceptionGroup, match="removed"):
                archive.pass_time(days=401)
        assert archive.rows(good) == []
    archive.pass_time(minutes=1)
    assert archive.rows(bad) == []


def test_one_transfer_that_cannot_be_read_holds_up_no_other(archive, monkeypatch):
    bad, good = archive.ended(), archive.ended()
    get = archive.store.get

    def damaged(transfer_id):
        if transfer_id == bad:
            raise ValueError("damaged row")
        return get(transfer_id)

    with monkeypatch.context() as patch:
        patch.setattr(archive.store, "get", damaged)
        with pytest.raises(ExceptionGroup, match="archived"):
            archive.pass_time(hours=1)
    assert set(archive.lines()) == {good}
    archive.pass_time(minutes=1)
    assert set(archive.lines()) == {bad, good}


def test_one_old_transfer_that_cannot_be_read_does_not_keep_all_others_in_the_table(archive, monkeypatch):
    bad, good = archive.ended(), archive.ended()
    archive.pass_time(hours=1)
    get = archive.store.get

    def damaged(transfer_id):
        if transfer_id == bad:
            raise ValueError("damaged row")
        return get(transfer_id)

    monkeypatch.setattr(archive.store, "get", damaged)
    with pytest.raises(ExceptionGroup, match="removed"):
        archive.pass_time(days=401)
    assert archive.known(bad)
    assert not archive.known(good)


def test_a_timeline_of_hundreds_of_entries_is_archived_whole(archive, world):
    transfer_id = archive.ended()
    [first, *_] = world.store.timeline(transfer_id)[0]
    with TimelineEntryRow.batch_write() as batch:
        for number in range(500):
            moment = first.model_copy(update={"at": first.at + timedelta(milliseconds=number)})
            batch.save(timeline_entry_row(transfer_id, moment, None))
    archive.pass_time(hours=1)
    assert len(archive.lines()[transfer_id].timeline) > 500
    archive.pass_time(days=401)
    assert archive.rows(transfer_id) == []


def test_many_with_long_timelines_are_archived_over_some_minutes(archive, world, monkeypatch):
    """Otherwise a call that reads them all would be ended before it has written any, each minute anew."""
    transfer_ids = {archive.ended() for _ in range(5)}
    read = archive.store.timeline

    def slowly(transfer_id):
        world.clock.forward(seconds=MAX_WORK.total_seconds() * 0.6)
        return read(transfer_id)

    monkeypatch.setattr(archive.store, "timeline", slowly)
    archive.pass_time(hours=1)
    assert len(archive.lines()) == 2
    archive.pass_time(minutes=1)
    archive.pass_time(minutes=1)
    assert set(archive.lines()) == transfer_ids


def test_many_in_as_many_files_are_removed_over_some_minutes(archive, world, monkeypatch):
    transfer_ids = []
    for _ in range(3):
        transfer_ids.append(archive.ended())
        archive.pass_time(hours=1)
    read = archive.files.read

    def slowly(name):
        world.clock.forward(seconds=MAX_WORK.total_seconds() * 0.6)
        return read(name)

    monkeypatch.setattr(archive.files, "read", slowly)
    archive.pass_time(days=401)
    assert list(map(archive.known, transfer_ids)) == [False, False, True]
    archive.pass_time(minutes=1)
    assert not any(map(archive.known, transfer_ids))


@pytest.mark.parametrize("number", [1, 4])
def test_the_work_of_a_transfer_does_not_grow_with_their_number(archive, number):
    for _ in range(number):
        archive.ended()
    with units_counted() as used:
        archive.pass_time(hours=1)
        archive.pass_time(days=401)
    assert len(archive.names()) == 1
    assert used["write"] <= 40 * number
    assert used["read"] <= 20 * number + 10
    assert number <= BATCH_SIZE


def test_athena_s_table_has_the_fields_of_the_lines(archive):
    """docs/guides/operations.md has its statement."""
    guide = (Path(__file__).parents[4] / "docs/guides/operations.md").read_text()
    statement = guide.partition("CREATE EXTERNAL TABLE")[2].partition(";")[0]
    columns = [
        line.split()[0] for line in statement.splitlines() if line.startswith("  ") and "'" not in line
    ]
    assert set(columns) <= set(ArchivedTransfer.model_fields)
    assert {"transfer_id", "revision", "hops", "timeline"} <= set(columns)
    archive.ended()
    archive.pass_time(hours=1)
    [name] = archive.names()
    template = statement.partition("storage.location.template' = 's3://BUCKET/")[2].partition("'")[0]
    day = {"year": "2026", "month": "11", "day": "24"}
    for part, value in day.items():
        template = template.replace(f"${{{part}}}", value)
    assert name.startswith(template)
    assert json.loads(archive.lines()[next(iter(archive.lines()))].model_dump_json()).keys() >= set(columns)
