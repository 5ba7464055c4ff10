"""`cp`: start a transfer and watch it to its end."""

import json
from dataclasses import replace

import pytest

from agent.cli import bandwidth, waiting, watch
from agent.cli.errors import CliError, Exit
from agent.cli.progress import TransferSnapshot, fraction, share
from agent.cli.screen import line, render
from agent.cli.timing import Timing
from agent.cli.waiting import AgentCache
from events import views
from events.options import Options
from events.progress import Live, Losses, Progress, SpaceShortage
from events.reports import Amount, DryRunResult
from events.states import HopState, TransferState
from tests.support.fakes import a_person
from tests.support.fakes_api import NOW, TRANSFER, FakeApi, problem, sample, transfer_view
from tests.unit.cli.conftest import Run

ENDS = ("server-b:/data/raw/", "server-c:/archive/")


QUICK = Timing(retry_delays_s=(0.0, 0.0), poll_interval_s=0.01)


@pytest.fixture
def timing() -> Timing:
    return QUICK


def test_cp_asks_and_tells_what_to_do_next(signed_in: FakeApi, run: Run) -> None:
    signed_in.stories[TRANSFER] = [transfer_view(TransferState.QUEUED)]
    result = run("cp", *ENDS, "s3://bucket/x/", "--chain", "--bwlimit", "50M", "--streams", "4")
    assert result.code == 0, result
    assert f"crosshaul show {TRANSFER} --watch" in result.out
    ((_, _, body, headers),) = signed_in.named("POST", "/transfers")
    assert body["shape"] == "chain"
    assert len(body["destinations"]) == 2
    assert body["options"]["bandwidth_limit"] == 50 * 2**20
    assert body["options"]["streams"] == 4
    assert len(headers["idempotency-key"]) == 36


def test_cp_sends_the_storage_class_and_the_tags(signed_in: FakeApi, run: Run) -> None:
    signed_in.stories[TRANSFER] = [transfer_view(TransferState.QUEUED)]
    tags = ("--tag", "project=a=b", "--tag", r"a\=b=c", "--tag", "empty=")
    result = run("cp", "server-b:/data/", "s3://bucket/x/", "--storage-class", "GLACIER_IR", *tags)
    assert result.code == 0, result
    ((_, _, body, _),) = signed_in.named("POST", "/transfers")
    assert body["options"]["storage_class"] == "GLACIER_IR"
    assert body["options"]["object_tags"] == {"project": "a=b", "a=b": "c", "empty": ""}


def test_a_cut_connection_is_tried_again_with_the_same_key(signed_in: FakeApi, run: Run) -> None:
    signed_in.stories[TRANSFER] = [transfer_view(TransferState.QUEUED)]
    signed_in.hang_ups = 1
    assert run("cp", *ENDS).code == 0
    first, second = signed_in.named("POST", "/transfers")
    assert first[3]["idempotency-key"] == second[3]["idempotency-key"]


def test_a_connection_that_stays_cut_is_exit_code_5(signed_in: FakeApi, run: Run) -> None:
    signed_in.hang_ups = 99
    result = run("cp", *ENDS)
    assert result.code == 5
    assert len(signed_in.asked) == 3


def test_a_busy_api_is_asked_again(signed_in: FakeApi, run: Run) -> None:
    signed_in.stories[TRANSFER] = [transfer_view(TransferState.QUEUED)]
    signed_in.problems = [problem(503, "busy")]
    assert run("cp", *ENDS).code == 0


def test_a_refusal_comes_with_its_advice(signed_in: FakeApi, run: Run) -> None:
    signed_in.problems = [problem(409, "server-c is offline", "Leave out --if-offline refuse to wait.")]
    result = run("cp", *ENDS, "--if-offline", "refuse")
    assert result.code == 6
    assert result.out == ""
    assert result.err.splitlines() == ["error: server-c is offline", "Leave out --if-offline refuse to wait."]


@pytest.mark.parametrize(
    "wrong",
    [
        ("server-b:/data",),
        ("./here", "server-c:/archive/"),
        ("server-b:/a/../b", "server-c:/archive/"),
        ("server-b:/data", "Server:/archive/"),
        ("server-b:/data/\udcff", "server-c:/archive/"),
        (*ENDS, "--bwlimit", "fast"),
        (*ENDS, "--bwlimit", "10"),
        (*ENDS, "--bwlimit", "9" * 300 + "G"),
        (*ENDS, "--bwlimit", "9" * 300 + "Gbit"),
        (*ENDS, "--bwlimit-at", "night 10M"),
        (*ENDS, "--bwlimit-at", "08:00-18:00 10M Mars/Base"),
        (*ENDS, "--include", "{a"),
        (*ENDS, "--overwrite", "maybe"),
        (*ENDS, "--streams", "99"),
        (*ENDS, "--frobnicate"),
        (*ENDS, "--storage-class", "COLD"),
        (*ENDS, "--tag", "nothing"),
        ("server-b:/data/", "s3://bucket/x/", "--tag", "site=ber", "--tag", "site=muc"),
        (*ENDS, "--tag", "semi;colon=x"),
    ],
)
def test_what_is_typed_wrongly_is_never_sent(signed_in: FakeApi, run: Run, wrong: tuple[str, ...]) -> None:
    result = run("cp", *wrong)
    assert result.code == 2
    assert result.err
    assert "Traceback" not in result.err
    assert signed_in.asked == []


def test_watching_to_a_good_end(signed_in: FakeApi, run: Run) -> None:
    signed_in.stories[TRANSFER] = [
        transfer_view(TransferState.QUEUED, 0),
        transfer_view(TransferState.RUNNING, 0.25),
        transfer_view(TransferState.RUNNING, 0.75),
        transfer_view(TransferState.SUCCEEDED, 1),
    ]
    result = run("cp", *ENDS, "--watch")
    assert result.code == 0, result
    lines = result.out.splitlines()
    assert lines[0] == f"Transfer {TRANSFER}"
    assert lines[1].startswith("running: 25%, 256.0 MiB of 1.0 GiB, 2,100 of 3,002 files (12 unchanged), ")
    assert lines[2].startswith("succeeded: 100%")
    assert lines[3].startswith("Everything arrived: 100%, 1.0 GiB of 1.0 GiB")
    assert len(lines) == 4
    assert "no live connection" in result.err
    assert "\x1b" not in result.out + result.err


@pytest.mark.parametrize(
    ("lost", "first", "second"),
    [
        (
            {"name": 2},
            "Everything but files with reserved names arrived: ",
            "Not kept: reserved names of 2. ",
        ),
        ({"xattr": 1}, "Everything arrived: ", "Not kept: extended attributes of 1. "),
    ],
)
def test_watching_to_a_good_end_says_what_is_not_there(
    signed_in: FakeApi, run: Run, lost: dict[str, int], first: str, second: str
) -> None:
    view = transfer_view(TransferState.SUCCEEDED, 1)
    progress = view.hops[0].progress.model_copy(update={"lost": Losses(**lost)})
    hop = view.hops[0].model_copy(update={"progress": progress})
    signed_in.stories[TRANSFER] = [view.model_copy(update={"hops": (hop,)})]
    result = run("cp", *ENDS, "--watch")
    assert result.code == 0
    assert result.out.splitlines()[-2].startswith(first)
    assert result.out.splitlines()[-1] == f"{second}`crosshaul manifest {TRANSFER}` names each file."


def test_watching_to_a_bad_end_shows_the_problem_with_its_advice(signed_in: FakeApi, run: Run) -> None:
    signed_in.stories[TRANSFER] = [
        transfer_view(TransferState.RUNNING, 0.25),
        transfer_view(TransferState.RUNNING, 0.25),
        transfer_view(TransferState.FAILED, 0.25),
    ]
    result = run("cp", *ENDS, "-w")
    assert result.code == 1
    assert "server-c has no room left in /archive" in result.out
    assert "→ Free some space there" in result.out
    assert f"error: transfer {TRANSFER} failed" in result.err


@pytest.mark.parametrize("state", [TransferState.PARTIALLY_FAILED, TransferState.CANCELLED])
def test_no_other_end_is_a_good_one(signed_in: FakeApi, run: Run, state: TransferState) -> None:
    signed_in.stories[TRANSFER] = [transfer_view(state, 0.25)]
    assert run("cp", *ENDS, "-w").code == 1


def test_watch_with_json_is_a_line_for_each_state(signed_in: FakeApi, run: Run) -> None:
    signed_in.stories[TRANSFER] = [
        transfer_view(TransferState.QUEUED, 0),
        transfer_view(TransferState.RUNNING, 0.25),
        transfer_view(TransferState.RUNNING, 0.25),
        transfer_view(TransferState.FAILED, 0.25),
    ]
    result = run("cp", *ENDS, "--watch", "--json")
    assert result.code == Exit.FAILED
    views = [json.loads(line) for line in result.out.splitlines()]
    assert [(view["transfer_id"], view["state"]) for view in views] == [
        (TRANSFER, "running"),
        (TRANSFER, "failed"),
    ]
    assert json.loads(result.err.splitlines()[-1])["exit_code"] == Exit.FAILED


def test_what_waits_says_why_once(signed_in: FakeApi, run: Run) -> None:
    """An agent is offline: the reason is a note, not a line every few seconds."""
    waiting = transfer_view(TransferState.QUEUED, 0)
    signed_in.agents = [
        sample(views.AgentView, agent_id=name, status=status)
        for name, status in (("server-b", "online"), ("server-c", "offline"))
    ]
    signed_in.stories[TRANSFER] = [waiting] * 10 + [transfer_view(TransferState.SUCCEEDED, 1)]
    result = run("cp", *ENDS)
    assert "It waits for server-c, which is offline (last heartbeat" in result.out
    assert "It waits for server-c, which is offline" in run("show", TRANSFER).out
    watched = run("show", TRANSFER, "--watch")
    assert watched.code == 0
    assert watched.err.count("It waits for server-c, which is offline") == 1
    assert [line.partition(":")[0] for line in watched.out.splitlines()[1:3]] == ["queued", "succeeded"]


def test_show_gives_each_reason_once(signed_in: FakeApi, run: Run) -> None:
    problem_ = transfer_view(TransferState.FAILED).hops[0].problem
    assert problem_
    for state, words in ((TransferState.PAUSED, problem_.message), (TransferState.QUEUED, "retried at")):
        hop = {"problem": problem_ if state is TransferState.PAUSED else None, "retry_at": NOW}
        signed_in.stories[TRANSFER] = [transfer_view(state, 0, hop=hop, timeline=())]
        assert run("show", TRANSFER).out.count(words) == 1


def test_what_waits_for_a_turn_a_retry_or_a_person_says_which(signed_in: FakeApi) -> None:
    busy = sample(views.AgentView, agent_id="server-c", status="online", running=4)
    agents = AgentCache(None)  # type: ignore[arg-type]
    agents._known = {"server-b": busy.model_copy(update={"agent_id": "server-b"}), "server-c": busy}

    def reason(state: HopState, **changes: object) -> list[str]:
        view = transfer_view(TransferState.RUNNING, hop={"state": state, **changes})
        return waiting.reasons(view, agents)

    assert reason(HopState.OFFERED) == ["waits for its turn on server-c, which has 4 hops running"]
    assert reason(HopState.QUEUED, retry_at=None) == []
    assert reason(HopState.QUEUED, retry_at=NOW)[0].startswith("is retried at 2026-11-24")
    assert reason(HopState.RUNNING, seconds_since_report=3.0) == []
    drain = views.Drain(by=a_person("ana"), at=NOW, why="new disks")
    agents._known["server-c"] = busy.model_copy(update={"drain": drain})
    assert reason(HopState.QUEUED) == ["waits for server-c, which is drained, by ana: new disks"]
    assert reason(HopState.RUNNING, seconds_since_report=3.0) == []
    agents._known["server-c"] = busy
    agents._known["server-b"] = busy.model_copy(update={"agent_id": "server-b", "status": "late"})
    assert reason(HopState.RUNNING, seconds_since_report=40.0)[0].startswith(
        "waits for server-b, which is late"
    )
    wanted = views.Approval(policies=("four-eyes",), asked_for=(a_person("ana@example.org"),))
    asked = transfer_view(TransferState.AWAITING_APPROVAL, 0, approval=wanted)
    assert waiting.reasons(asked, agents) == [
        "waits for approval by a person other than ana@example.org (policies: four-eyes): "
        f"crosshaul approve {TRANSFER}"
    ]
    pausing = views.TimelineEntry(at=NOW, what="paused", by=a_person("bo"), state=HopState.PAUSED)
    paused = transfer_view(TransferState.PAUSED, 0, timeline=(pausing,))
    assert waiting.reasons(paused, agents) == [f"is paused by bo: crosshaul resume {TRANSFER}"]


@pytest.mark.parametrize(
    ("source", "written"),
    [
        (
            "server-b:/data/raw/*.mov",
            "crosshaul cp server-b:/data/raw/ server-c:/archive/ --include '/*.mov'",
        ),
        ("server-b:/data/raw/*", "crosshaul cp server-b:/data/raw/ server-c:/archive/"),
        ("server-b:/data/r?w/x", "crosshaul cp server-b:/data/ server-c:/archive/ --include '/r?w/x'"),
        ("server-b:/data/ep*/", "crosshaul cp server-b:/data/ server-c:/archive/ --include '/ep*/**'"),
        ("s3://media/raw/*.mov", "crosshaul cp s3://media/raw/ server-c:/archive/ --include '/*.mov'"),
        ("server-b:nas:*.mov", "Name a directory, and select in it with --include."),
    ],
)
def test_a_wildcard_is_refused_with_what_to_write_instead(
    signed_in: FakeApi, run: Run, source: str, written: str
) -> None:
    """It would look for a file of that very name: no shell expands it on another host."""
    result = run("cp", source, "server-c:/archive/")
    assert result.code == Exit.USAGE
    assert "wildcards are not expanded" in result.err
    assert written in result.err
    assert run("cp", "server-b:/data/", "server-c:/archive/*").code == Exit.USAGE
    assert signed_in.asked == []


@pytest.mark.parametrize("source", ["server-b:/data/Film [2020] {a}.mov", "s3://media/what?.mov"])
def test_what_is_common_in_names_is_no_wildcard(signed_in: FakeApi, run: Run, source: str) -> None:
    signed_in.stories[TRANSFER] = [transfer_view(TransferState.QUEUED)]
    assert run("cp", source, "server-c:/archive/").code == 0


def test_a_misspelt_agent_is_named_as_it_was_meant(signed_in: FakeApi, run: Run) -> None:
    unknown = problem(404, "Agent serverb does not exist.", "List the agents.")
    unknown = unknown.model_copy(update={"type": "urn:crosshaul:problem:agent-unknown"})
    for command in (
        ("cp", "serverb:/data/x", "server-b:/archive/"),
        ("browse", "serverb:/data"),
        ("agents", "show", "serverb"),
        ("agents", "rotate", "serverb"),
        ("agents", "remove", "serverb", "--yes"),
    ):
        signed_in.problems = [unknown]
        result = run(*command)
        assert result.code == Exit.NOT_FOUND, command
        assert result.err.splitlines() == [
            "error: Agent serverb does not exist.",
            "Did you mean server-b? List the agents.",
        ]
    signed_in.problems = [unknown]
    assert "Did you mean" not in run("cp", "zzz:/x", "server-b:/y/").err
    missing = run("transfers", "--agent", "serverb")
    assert (missing.code, "Did you mean server-b?" in missing.err) == (Exit.NOT_FOUND, True)


def test_sync_shows_what_it_would_do_and_asks(
    signed_in: FakeApi, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    preview = DryRunResult(
        sent=Amount(files=12, bytes=3 << 20),
        removed=Amount(files=2, bytes=9),
        examples={"removed": ("old.mov",)},
    )
    ended = transfer_view(TransferState.SUCCEEDED, 1, hop={"preview": preview})
    rehearsed = ended.model_copy(update={"options": ended.options.model_copy(update={"dry_run": True})})
    moved = transfer_view(TransferState.SUCCEEDED, 1)
    signed_in.stories[TRANSFER] = [rehearsed]
    unasked = run("sync", *ENDS)
    assert unasked.code == Exit.USAGE
    assert "2 files would be removed" in unasked.out
    assert "old.mov" in unasked.out
    assert "confirmation required: Send 12 files and delete 2 files at server-c:/archive/?" in unasked.err
    ((_, _, body, _),) = signed_in.named("POST", "/transfers")
    assert (body["options"]["dry_run"], body["options"]["delete_extra"]) == (True, True)

    signed_in.asked.clear()
    signed_in.stories[TRANSFER] = [rehearsed, rehearsed, moved]
    assert run("sync", *ENDS, "--exclude", "tmp/", "--yes").code == 0
    sent = [one[2]["options"] for one in signed_in.named("POST", "/transfers")]
    assert [(one["dry_run"], one["delete_extra"], one["exclude"]) for one in sent] == [
        (True, True, ["tmp/"]),
        (False, True, ["tmp/"]),
    ]


def test_sync_of_what_is_equal_does_nothing(signed_in: FakeApi, run: Run) -> None:
    same = transfer_view(TransferState.SUCCEEDED, 1, hop={"preview": DryRunResult()})
    signed_in.stories[TRANSFER] = [same.model_copy(update={"options": Options(dry_run=True)})]
    result = run("sync", *ENDS)
    assert result.code == 0
    assert "Nothing to do" in result.err
    assert len(signed_in.named("POST", "/transfers")) == 1


def test_a_preview_that_fails_changes_nothing(signed_in: FakeApi, run: Run) -> None:
    signed_in.stories[TRANSFER] = [transfer_view(TransferState.FAILED, 0)]
    assert run("sync", *ENDS, "--yes").code == Exit.FAILED
    assert len(signed_in.named("POST", "/transfers")) == 1


def test_wait_prints_nothing_until_the_end(signed_in: FakeApi, run: Run) -> None:
    signed_in.stories[TRANSFER] = [
        transfer_view(TransferState.RUNNING, 0.25),
        transfer_view(TransferState.SUCCEEDED, 1),
    ]
    result = run("wait", TRANSFER)
    assert result.code == 0
    assert result.out.startswith("Everything arrived: 100%")
    assert len(result.out.splitlines()) == 1
    signed_in.stories[TRANSFER] = [transfer_view(TransferState.CANCELLED, 0.5)]
    failed = run("wait", TRANSFER, "--json")
    assert failed.code == Exit.FAILED
    assert json.loads(failed.out)["state"] == "cancelled"


def test_a_watch_survives_an_api_that_is_away_for_a_while(signed_in: FakeApi, run: Run) -> None:
    signed_in.stories[TRANSFER] = [transfer_view(TransferState.SUCCEEDED, 1)]
    away = [problem(500, "away")] * 4  # the live connection, then three polls
    signed_in.problems = away
    result = run("show", TRANSFER, "--watch")
    assert result.code == 0, result
    assert result.err.count("the API does not answer") == 1


@pytest.mark.parametrize("timing", [replace(QUICK, api_timeout_s=0.05)], ids=["short"])
def test_a_watch_gives_up_in_the_end(signed_in: FakeApi, run: Run) -> None:
    signed_in.stories[TRANSFER] = [transfer_view(TransferState.RUNNING)]
    signed_in.problems = [problem(500, "away")] * 10_000
    result = run("show", TRANSFER, "--watch")
    assert result.code == 5


def test_ctrl_c_leaves_the_transfer_alone(
    signed_in: FakeApi, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(watch, "_listen", interrupt)
    signed_in.stories[TRANSFER] = [transfer_view(TransferState.RUNNING)]
    result = run("cp", *ENDS, "-w")
    assert result.code == 130
    assert "continues" in result.err
    assert f"crosshaul cancel {TRANSFER}" in result.err
    assert signed_in.named("POST", f"/transfers/{TRANSFER}/cancel") == []


# Merging polls and live messages into one snapshot


def live_message(attempt: int, done: int, second: int = 5) -> Live:
    progress = Progress(bytes_done=done, bytes_total=2**30, bytes_per_second=7)
    hop_id = f"{TRANSFER}-0"
    at = NOW.replace(second=second)
    return Live(transfer_id=TRANSFER, hop_id=hop_id, attempt=attempt, at=at, progress=progress)


def picture(state: TransferState = TransferState.RUNNING) -> TransferSnapshot:
    return TransferSnapshot(transfer_view(state, 0.5, hop={"attempt": 2}))


def test_live_progress_is_nearer_to_now_than_the_last_look() -> None:
    seen = picture()
    seen.on_message("server-c", live_message(2, 600 * 2**20))
    assert seen.total.bytes_done == 600 * 2**20
    assert seen.total.bytes_per_second == 7


@pytest.mark.parametrize("stranger", ["server-b", "server-e"])
def test_live_progress_from_another_agent_than_the_carrier_is_ignored(stranger: str) -> None:
    seen = picture()
    seen.on_message(stranger, live_message(2, 900 * 2**20))
    assert seen.total.bytes_done == 2**29
    seen.on_message("server-c", live_message(2, 600 * 2**20))
    seen.on_message(stranger, live_message(9, 900 * 2**20))
    assert seen.total.bytes_done == 600 * 2**20


def test_live_progress_of_an_older_attempt_is_ignored() -> None:
    seen = picture()
    seen.on_message("server-c", live_message(1, 900 * 2**20))
    assert seen.total.bytes_done == 2**29


def test_late_and_reordered_live_messages_do_not_go_back() -> None:
    seen = picture()
    seen.on_message("server-c", live_message(2, 700 * 2**20, second=9))
    seen.on_message("server-c", live_message(2, 600 * 2**20, second=8))
    assert seen.total.bytes_done == 700 * 2**20
    seen.on_message("server-c", live_message(2, 100, second=10))
    assert seen.total.bytes_done == 2**29


def test_a_newer_attempt_is_believed_before_the_next_look() -> None:
    seen = picture()
    seen.on_message("server-c", live_message(3, 100))
    assert seen.total.bytes_done == 100


def test_what_has_ended_is_as_the_table_says() -> None:
    seen = picture(TransferState.SUCCEEDED)
    seen.on_message("server-c", live_message(2, 900 * 2**20))
    assert seen.total.bytes_done == 2**29
    assert seen.total.bytes_per_second == 0


@pytest.mark.parametrize(
    ("progress", "part", "words"),
    [
        (Progress(), None, "–"),
        (Progress(bytes_done=999_999, bytes_total=1_000_000), 0.999999, "99%"),
        (Progress(bytes_total=0, files_done=1, files_total=2), 0.5, "50%"),
        (Progress(bytes_total=0, files_total=0), None, "–"),
        (Progress(bytes_done=9, bytes_total=8), 1.0, "100%"),
    ],
)
def test_shares(progress: Progress, part: float | None, words: str) -> None:
    assert fraction(progress) == part
    assert share(progress) == words


@pytest.mark.parametrize("width", [20, 60, 100])
def test_bars_fit_the_terminal_and_keep_names_harmless(width: int) -> None:
    import io

    from rich.cells import cell_len
    from rich.console import Console

    seen = picture()
    progress = Progress(bytes_done=5, bytes_total=10, current="\x1b]0;title\x07 [red]名前[/red]" * 5)
    hop = seen.view.hops[0].model_copy(update={"progress": progress, "problem": None})
    seen.on_poll(seen.view.model_copy(update={"hops": (hop,) * 9}))
    file = io.StringIO()
    console = Console(file=file, width=width, markup=False, emoji=False, highlight=False)
    console.print(render(seen, width, height=11))
    lines = file.getvalue().splitlines()
    assert len(lines) <= 11
    assert all(cell_len(line) <= width for line in lines)
    assert "\x1b" not in file.getvalue()
    assert "and 6 more" in file.getvalue()


@pytest.mark.parametrize(
    ("typed", "bytes_per_second"),
    [
        ("10Mbit", 1_250_000),
        ("10 mbit/s", 1_250_000),
        ("2.5Gbps", 312_500_000),
        ("100kbits", 12_500),
        ("10M", 10 * 2**20),
        ("10MiB/s", 10 * 2**20),
    ],
)
def test_rates_are_read_in_bytes_and_in_bits(typed: str, bytes_per_second: int) -> None:
    assert bandwidth.rate("--bwlimit", typed) == bytes_per_second
    if " " not in typed:
        assert bandwidth.window(f"08:00-18:00 {typed}")["limit"] == bytes_per_second


def test_hours_of_another_limit_are_read() -> None:
    assert bandwidth.window("mon-fri 08:00-18:00 10M Europe/Berlin") == {
        "days": ["mon", "tue", "wed", "thu", "fri"],
        "start": "08:00",
        "end": "18:00",
        "zone": "Europe/Berlin",
        "limit": 10 * 2**20,
    }
    assert bandwidth.window("sat,sun-mon 22:00-06:00 off")["days"] == ["sat", "sun", "mon"]
    assert bandwidth.window("22:00-06:00 off")["limit"] is None


@pytest.mark.parametrize("typed", ["", "08:00-18:00", "fry 08:00-18:00 10M", "8-18 10M", "08:00-18:00 fast"])
def test_hours_that_are_none_are_told_so(typed: str) -> None:
    with pytest.raises(CliError):
        bandwidth.window(typed)


def test_a_dry_run_ends_with_what_would_happen(signed_in: FakeApi, run: Run) -> None:
    view = transfer_view(TransferState.SUCCEEDED, 0)
    amount = Amount(files=12, bytes=2048)
    preview = DryRunResult(sent=amount, removed=amount, examples={"removed": ("old/\x1b[2J.mov",)})
    hop = view.hops[0].model_copy(update={"preview": preview})
    view = view.model_copy(update={"hops": (hop,), "options": Options(dry_run=True)})
    signed_in.stories[TRANSFER] = [view]
    result = run("cp", *ENDS, "--dry-run", "--watch")
    assert result.code == 0, result
    assert "Dry run: nothing was written." in result.out
    assert "12 files would be sent (2.0 KiB)" in result.out
    assert "old/\\x1b[2J.mov" in result.out
    assert "Everything arrived" not in result.out


def test_what_would_not_arrive_is_named_by_a_dry_run_with_why(signed_in: FakeApi, run: Run) -> None:
    why = "/data/link is a symbolic link, which S3 cannot store."
    preview = DryRunResult(failed=Amount(files=1, bytes=0), examples={"failed": (why,)})
    view = transfer_view(TransferState.SUCCEEDED, 1.0)
    hop = view.hops[0].model_copy(update={"preview": preview})
    signed_in.stories[TRANSFER] = [view.model_copy(update={"hops": (hop,)})]
    result = run("show", TRANSFER)
    assert "1 file would not arrive" in result.out
    assert why in result.out


def test_an_agent_that_says_nothing_is_told_of(signed_in: FakeApi, run: Run) -> None:
    view = transfer_view(TransferState.RUNNING, 0.5)
    for seconds, told in ((9.0, False), (75.0, True)):
        hop = view.hops[0].model_copy(update={"seconds_since_report": seconds})
        signed_in.stories[TRANSFER] = [view.model_copy(update={"hops": (hop,)})]
        assert ("no report from its agent for 1 min 15 s" in run("show", TRANSFER).out) == told


def test_too_little_room_is_told_of_while_it_moves_and_by_a_dry_run(signed_in: FakeApi, run: Run) -> None:
    short = SpaceShortage(wanted=3 << 30, free=1 << 30)
    words = "not enough free space: 3.0 GiB to write, 1.0 GiB free"
    view = transfer_view(TransferState.RUNNING, 0.5)
    progress = view.hops[0].progress.model_copy(update={"space_shortage": short})
    moving = view.hops[0].model_copy(update={"progress": progress})
    signed_in.stories[TRANSFER] = [view.model_copy(update={"hops": (moving,)})]
    assert words in run("show", TRANSFER).out

    rehearsed = moving.model_copy(update={"preview": DryRunResult(space_shortage=short)})
    signed_in.stories[TRANSFER] = [view.model_copy(update={"hops": (rehearsed,)})]
    assert run("show", TRANSFER).out.count(words) == 1


def two_hops(state: TransferState, *parts: Progress) -> views.TransferView:
    """Return a chain to server-c and on to server-e, with the progress of its hops."""
    whole = transfer_view(state)
    hops = tuple(
        whole.hops[0].model_copy(update={"hop_id": f"{TRANSFER}-{number}", "progress": part})
        for number, part in enumerate(parts)
    )
    return whole.model_copy(update={"hops": hops, "progress": Progress.of_hops(parts), "shape": "chain"})


def test_a_chain_counts_its_files_once_while_it_runs_and_at_its_end() -> None:
    whole = Progress(bytes_done=192 * 2**20, bytes_total=192 * 2**20, files_done=2, files_total=2)
    half = TransferSnapshot(two_hops(TransferState.RUNNING, whole, Progress()))
    assert line(half) == "running: 50% of 192.0 MiB, 2 files"
    end = TransferSnapshot(two_hops(TransferState.SUCCEEDED, whole, whole))
    assert line(end) == "succeeded: 100% of 192.0 MiB, 2 files"
