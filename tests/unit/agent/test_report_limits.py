"""Every report fits into one message of the broker and tells what is left out."""

import os
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.files.browse import list_page
from agent.files.listing import FileEntry as Listed
from agent.hops.attempt import head
from agent.pull.comparison import Comparison
from agent.pull.dry_run import DryRunReport
from agent.report_limits import (
    MAX_REPORT_BYTES,
    bare_report,
    clip_text,
    fit_report,
    message_size,
)
from events.base import Problem
from events.commands import Browse
from events.progress import Connection, PeerReachability, Progress
from events.reports import (
    MAX_FAILURES,
    MAX_REACHED,
    MAX_REMOTES,
    MAX_ROOTS,
    AgentHop,
    Browsed,
    Cancelled,
    Capabilities,
    Checkpoint,
    DirectoryEntry,
    DryRunResult,
    Failed,
    Heartbeat,
    Hello,
    Paused,
    Refused,
    RemoteState,
    ReportEnvelope,
    RootState,
    Started,
    Succeeded,
    Verifying,
)
from events.sizes import json_bytes
from tests.support.fakes_agent import TRANSFER, move

NOW = datetime(2026, 11, 29, tzinfo=UTC)
MAX_NAME = os.fsdecode(b"\x01" * 255)
PIECES = st.sampled_from(["\x01", "a", "ü", "\udcff", '"', "\\", "𝄞", "\x7f", "\n"]) | st.text(max_size=3)
TEXTS = st.builds(lambda piece, times: piece * times, PIECES, st.sampled_from([0, 1, 40, 255, 4096, 60_000]))


def many(strategy, max_count: int):
    """Repeat one value: the size of a report matters, not its variety."""
    counts = st.sampled_from([0, 1, 2, min(17, max_count), max_count])
    return st.builds(lambda item, count: (item,) * count, strategy, counts)


ADDRESSES = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=260)
PROBLEMS = st.builds(
    Problem,
    code=st.just("io-error"),
    message=TEXTS,
    advice=TEXTS,
    path=st.none() | TEXTS,
    retryable=st.booleans(),
    wording=st.just("io-error"),
    parameters=st.dictionaries(st.sampled_from(["reason", "other", "first"]), TEXTS, max_size=3),
)
PROGRESS = st.builds(
    Progress, current=st.none() | TEXTS, bytes_done=st.integers(0, 2**63 - 1), space_shortage=st.none()
)
EXAMPLES = st.dictionaries(
    st.sampled_from(["sent", "replaced", "removed", "kept", "failed"]), many(TEXTS, 100), max_size=5
)
REACHED = many(
    st.builds(
        PeerReachability,
        agent_id=st.just("server-c"),
        dialed=st.booleans(),
        address=st.none() | TEXTS,
        relayed=st.just(False),
    ),
    MAX_REACHED,
)
ROOTS = many(
    st.builds(
        RootState,
        path=st.sampled_from(["/d", "/" + "ü" * 2000]),
        access=st.just("rw"),
        free=st.none(),
        size=st.none(),
    ),
    MAX_ROOTS,
)
REMOTES = many(st.builds(RemoteState, name=st.just("r" * 60), access=st.just("ro"), type=TEXTS), MAX_REMOTES)
HOPS = many(st.just(AgentHop(transfer_id=TRANSFER, hop_id=f"{TRANSFER}-0", attempt=1, state="running")), 3000)


def about_hop(kind, **fields):
    return st.builds(lambda fields: kind(**head(move()), **fields), st.fixed_dictionaries(fields))


REPORTS = st.one_of(
    about_hop(
        Started,
        via=TEXTS,
        connection=st.builds(Connection, kind=st.just("direct"), dialed_by=st.none(), address=TEXTS),
    ),
    about_hop(Checkpoint, progress=PROGRESS),
    about_hop(Verifying, progress=PROGRESS),
    about_hop(Cancelled, progress=PROGRESS),
    about_hop(Paused, progress=PROGRESS, problem=st.none() | PROBLEMS),
    about_hop(
        Succeeded,
        progress=PROGRESS,
        digest=st.just("0" * 32),
        seconds=st.just(1.0),
        preview=st.none() | st.builds(DryRunResult, examples=EXAMPLES, space_shortage=st.none()),
    ),
    about_hop(
        Failed,
        progress=PROGRESS,
        problem=PROBLEMS,
        failures=many(PROBLEMS, MAX_FAILURES),
        failures_total=st.just(77),
    ),
    st.builds(
        lambda host, remotes, **fields: Hello(
            at=NOW,
            version="1.0",
            hostname=host,
            capabilities=Capabilities(remotes=remotes),
            lane_certificate="PEM" * 300,
            **fields,
        ),
        TEXTS,
        REMOTES,
        endpoints=many(ADDRESSES, 16),
        roots=ROOTS,
        hops=HOPS,
        reached=REACHED,
        problems=many(PROBLEMS, 16),
    ),
    st.builds(
        lambda **fields: Heartbeat(at=NOW, **fields),
        roots=ROOTS,
        remotes=st.none() | REMOTES,
        reached=st.none() | REACHED,
        problems=many(PROBLEMS, 16),
    ),
    st.builds(
        Browsed,
        request_id=st.just("r-1"),
        entries=many(
            st.builds(DirectoryEntry, name=TEXTS, type=st.just("file"), size=st.none(), modified=st.none()),
            1000,
        ),
        next=st.none(),
        problem=st.none() | PROBLEMS,
    ),
    st.builds(Refused, at=st.just(NOW), command_id=st.none() | TEXTS, hop_id=st.none(), problem=PROBLEMS),
)


@given(REPORTS)
@settings(deadline=None, max_examples=80)
def test_every_report_fits_and_keeps_its_kind(report):
    fitting, bare = fit_report(report), bare_report(report)
    for item in (fitting, bare):
        parsed = ReportEnvelope.model_validate_json(ReportEnvelope(report=item).model_dump_json()).report
        assert message_size(item) <= MAX_REPORT_BYTES
        assert parsed.kind == report.kind
    if message_size(report) <= MAX_REPORT_BYTES:
        assert fitting == report
    if isinstance(report, Failed):
        assert fitting.failures_total == 77
        assert fitting.problem.code == report.problem.code
    if isinstance(report, Hello):
        assert len(fitting.hops) + fitting.hops_omitted == len(report.hops)
        assert len(fitting.roots) + fitting.omitted.get("roots", 0) == len(report.roots)
        assert len(fitting.reached) + fitting.omitted.get("reached", 0) == len(report.reached)
    if isinstance(report, Browsed):
        assert fitting.next is not None or len(fitting.entries) == len(report.entries)


@given(TEXTS, st.integers(64, 5000))
def test_a_clipped_text_tells_how_much_is_left_out(text, limit):
    text = Progress(current=text).current
    cut = clip_text(text, limit)
    assert json_bytes(cut) - len('""') <= limit
    if cut != text:
        kept, _, rest = cut.rpartition("… [")
        assert text.startswith(kept)
        assert int(rest.split()[0]) == len(text) - len(kept)


def test_a_dry_run_with_long_names_fits_and_counts_all_of_them():
    dry_run = DryRunReport()
    for number in range(120):
        dry_run.note(Listed("f", f"{number}{MAX_NAME[4:]}", 1), Comparison.MISSING)
        dry_run.failed(Listed("!", "x"), Problem(code="x", message=f"{number}{MAX_NAME}"))
    preview = dry_run.preview()
    report = Succeeded(**head(move()), progress=Progress(), digest="0", seconds=1, preview=preview)
    assert message_size(report) < MAX_REPORT_BYTES
    assert preview.sent.files == preview.failed.files == 120
    assert 0 < len(preview.examples["sent"]) < 120


@pytest.mark.parametrize("name", [MAX_NAME, "x" * 3000])
def test_a_listing_of_long_names_is_read_page_by_page(name):
    names = sorted(f"{number:04}{name}" for number in range(500))
    command = Browse(request_id="r", path="/", limit=400)
    received: list[str] = []
    while True:
        page = fit_report(
            list_page(
                command,
                ((item, item) for item in names),
                lambda item, _: DirectoryEntry(name=item, type="file"),
            )
        )
        received += [entry.name for entry in page.entries]
        if page.next is None:
            break
        command = command.model_copy(update={"after": page.next})
    assert received == names


def test_a_name_too_long_for_a_message_does_not_end_a_listing():
    names = ["a", "b" * 200_000, "c"]
    command = Browse(request_id="r", path="/", limit=10)
    received: list[str] = []
    while True:
        page = fit_report(
            list_page(
                command,
                ((item, item) for item in names),
                lambda item, _: DirectoryEntry(name=item, type="file"),
            )
        )
        received += [entry.name[:1] for entry in page.entries]
        if page.next is None:
            break
        command = command.model_copy(update={"after": page.next})
    assert received == ["a", "b", "c"]
