"""The journal: writes survive a crash, reports keep their order, checkpoints coalesce."""

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from agent.cloud.command_verifier import MAX_CLOCK_SKEW_S, CommandVerifier
from agent.hops.attempt import head
from agent.hops.journal import ENDED_RETENTION_S, MAX_UNBOUND_REPORTS, Journal
from agent.hops.record import HopRecord
from events.base import Problem
from events.commands import Peer, Rotate, Serve
from events.progress import Progress
from events.reports import Cancelled, Checkpoint, Paused, Refused, ReportEnvelope, Started, Succeeded
from tests.support.fakes_agent import AGENT, TRANSFER, Signer, move

HOP = f"{TRANSFER}-0"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path):
    journal = Journal(path, "reg-1")
    yield journal
    journal.close()


def checkpoint(hop: int, done: int) -> Checkpoint:
    return Checkpoint(**head(move(hop)), progress=Progress(bytes_done=done))


def sent(journal: Journal) -> list:
    """Return every waiting report in the order of sending."""
    found = []
    while unsent := journal.oldest_unsent():
        found.append(ReportEnvelope.model_validate_json(unsent.envelope).report)
        journal.sent(unsent.number)
    return found


def refused(n: int) -> Refused:
    problem = Problem(code="command-malformed", message=str(n))
    return Refused(at=datetime.now(UTC), command_id=str(n), problem=problem)


def test_the_file_is_for_its_owner_only(journal, path):
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_command_is_accepted_once_also_after_a_restart(journal, path):
    assert journal.admit("j1", 2_000_000_000)
    assert not journal.admit("j1", 2_000_000_000)
    journal.close()
    reopened = Journal(path, "reg-1")
    assert not reopened.admit("j1", 2_000_000_000)
    reopened.close()


def test_expired_command_ids_are_deleted(journal):
    journal.admit("j1", 100)
    journal.prune(now=100 + MAX_CLOCK_SKEW_S + 1)
    assert journal.admit("j1", 100)


def test_a_command_is_obeyed_once_also_between_its_expiry_and_the_skew_that_clocks_may_have(journal):
    """An attacker who replays it in that minute must find it remembered."""
    signer = Signer()
    message = signer.envelope(Rotate(), iat=1_000, exp=1_300)
    last_moment = 1_300 + MAX_CLOCK_SKEW_S
    claims, _ = CommandVerifier(AGENT, [signer.jwk], lambda: last_moment).verify(message)
    assert journal.admit(claims.jti, claims.exp)
    journal.prune(now=last_moment)
    assert not journal.admit(claims.jti, claims.exp)


def test_a_change_is_all_or_nothing(journal):
    def cut_off():
        with journal.change():
            journal.admit("j1", 2_000_000_000)
            journal.save_hop(HopRecord(move()))
            raise RuntimeError("power")

    with pytest.raises(RuntimeError):
        cut_off()
    assert journal.hop(HOP) is None
    assert journal.admit("j1", 2_000_000_000)


def test_open_hops_are_read_back_in_order(journal, path):
    first = HopRecord(move(7), desired_state="pause", progress=Progress(bytes_done=5), paused=True)
    journal.save_hop(first)
    journal.save_hop(HopRecord(move(2)))
    journal.close()
    reopened = Journal(path, "reg-1")
    assert reopened.open_hops() == [first, HopRecord(move(2))]
    reopened.close()


def test_reports_leave_in_order_and_seq_grows_over_attempts_and_restarts(journal, path):
    journal.save_hop(HopRecord(move()))
    journal.enqueue_report(Started(**head(move()), via="local"))
    journal.close()
    reopened = Journal(path, "reg-1")
    reopened.save_hop(HopRecord(move(attempt=2)))
    reopened.enqueue_report(Paused(**head(move(attempt=2)), progress=Progress()))
    reopened.enqueue_report(Started(**head(move(attempt=2)), via="local"))
    assert [(r.kind, r.attempt, r.seq) for r in sent(reopened)] == [
        ("started", 1, 1),
        ("paused", 2, 2),
        ("started", 2, 3),
    ]
    reopened.close()


def test_a_newer_checkpoint_replaces_an_unsent_one_of_its_hop_only(journal):
    journal.save_hop(HopRecord(move(0)))
    journal.save_hop(HopRecord(move(1)))
    for done in range(50):
        journal.enqueue_report(checkpoint(0, done))
    journal.enqueue_report(checkpoint(1, 7))
    assert [(r.hop_id[-1], r.progress.bytes_done) for r in sent(journal)] == [("0", 49), ("1", 7)]


def test_state_reports_are_never_dropped(journal):
    journal.save_hop(HopRecord(move()))
    for _ in range(30):
        journal.enqueue_report(Started(**head(move()), via="local"))
        journal.enqueue_report(checkpoint(0, 1))
    kinds = [r.kind for r in sent(journal)]
    assert kinds == ["started"] * 30 + ["checkpoint"]


def test_the_progress_reported_last_is_recorded(journal):
    journal.save_hop(HopRecord(move()))
    journal.enqueue_report(checkpoint(0, 42))
    assert journal.hop(HOP).progress.bytes_done == 42


def test_refusals_cannot_fill_the_disk(journal):
    journal.save_hop(HopRecord(move()))
    journal.enqueue_report(Started(**head(move()), via="local"))
    for n in range(MAX_UNBOUND_REPORTS + 50):
        journal.enqueue(refused(n))
    left = sent(journal)
    assert len(left) == MAX_UNBOUND_REPORTS + 1
    assert left[0].kind == "started"
    assert left[-1].command_id == str(MAX_UNBOUND_REPORTS + 49)


def test_an_ended_hop_is_kept_for_a_day_and_until_its_result_is_sent(journal):
    record = HopRecord(move())
    end = Succeeded(**head(move()), progress=Progress(), digest="d", seconds=1)
    journal.save_hop(replace(record, end=end))
    journal.enqueue_report(end)
    ended = datetime.now(UTC).timestamp()
    assert journal.open_hops() == []
    assert [hop.hop_id for hop in journal.unsent_results()] == [HOP]
    journal.prune(ended + ENDED_RETENTION_S + 5)
    assert journal.hop(HOP).end.digest == "d"
    sent(journal)
    journal.prune(ended + ENDED_RETENTION_S - 5)
    assert journal.hop(HOP).end.digest == "d"
    journal.prune(ended + ENDED_RETENTION_S + 5)
    assert journal.hop(HOP) is None


def test_grants_are_read_back_with_their_token(journal):
    serve = Serve(
        transfer_id=TRANSFER,
        hop_id=HOP,
        attempt=1,
        path="/data/",
        peer=Peer(agent_id="server-c", certificate="PEM"),
        until=datetime(2030, 1, 1, tzinfo=UTC),
    )
    journal.grant(serve, "token")
    assert journal.grants() == [(serve, "token")]
    journal.withdraw(HOP)
    assert journal.grants() == []


def test_retiring_deletes_the_work_and_survives_a_restart(journal, path):
    journal.save_hop(HopRecord(move()))
    end = Cancelled(**head(move()), progress=Progress())
    journal.enqueue_report(end)
    journal.retire()
    assert (journal.retired, journal.open_hops(), journal.unsent()) == (True, [], 0)
    journal.close()
    reopened = Journal(path, "reg-1")
    assert reopened.retired
    reopened.close()


def test_a_new_registration_starts_an_empty_journal(journal, path):
    journal.save_hop(HopRecord(move()))
    journal.retire()
    journal.close()
    reopened = Journal(path, "reg-2")
    assert (reopened.retired, reopened.hop(HOP)) == (False, None)
    reopened.close()


def test_what_was_committed_survives_a_kill(journal, path):
    """Read over another connection while the first is never closed: as after SIGKILL."""
    journal.save_hop(HopRecord(move()))
    journal.enqueue_report(Started(**head(move()), via="local"))
    other = sqlite3.connect(path)
    assert other.execute("SELECT count(*) FROM outbox").fetchone() == (1,)
    other.close()


def test_a_journal_of_an_older_agent_opens_with_its_hops_and_unsent_reports(journal, path):
    paused = HopRecord(move(1), desired_state="pause", progress=Progress(bytes_done=5), paused=True)
    journal.save_hop(HopRecord(move(0)))
    journal.save_hop(paused)
    journal.enqueue_report(Started(**head(move(0)), via="local"))
    journal.enqueue(refused(1))
    journal.close()
    older = sqlite3.connect(path)
    older.execute("ALTER TABLE hops RENAME COLUMN desired_state TO wish")
    older.execute("ALTER TABLE outbox RENAME COLUMN envelope TO letter")
    older.commit()
    older.close()
    for _ in range(2):  # the second time nothing is left to rename
        opened = Journal(path, "reg-1")
        assert opened.open_hops() == [HopRecord(move(0)), paused]
        assert opened.unsent() == 2
        opened.close()
    opened = Journal(path, "reg-1")
    assert [report.kind for report in sent(opened)] == ["started", "refused"]
    opened.enqueue_report(Started(**head(move(0)), via="local"))
    assert [report.seq for report in sent(opened)] == [2]
    opened.close()
    assert not (path.parent / "damaged").exists()
