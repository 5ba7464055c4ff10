"""`transfers`, `show` and the verbs; `templates`."""

import json
from pathlib import Path

import pytest
from rich.console import Console

from agent.cli import output
from agent.cli.errors import Exit
from events.base import Actor, Problem
from events.options import Options
from events.progress import Losses, Progress
from events.states import TransferState
from events.views import Approval, TimelineEntry
from tests.support.fakes import MORNING, a_person
from tests.support.fakes_api import ROUTES, TRANSFER, FakeApi, problem, transfer_view
from tests.unit.cli.conftest import Run

TEMPLATES = """\
name: new-videos
trigger: {bucket: media-uploads, prefix: new-videos/}
destinations: [server-b:/primary/storage/, server-d:/backup/storage/]
shape: chain
---
name: stills
description: "Pictures: every one"
trigger: {bucket: media-uploads, prefix: stills/, suffix: .jpg}
destinations: [s3://archive/stills/]
options: {verify: reread}
---
"""


def other(number: int) -> str:
    return f"k3v9{number:016}"


def test_transfers_are_listed(signed_in: FakeApi, run: Run) -> None:
    signed_in.stories[TRANSFER] = [transfer_view(TransferState.RUNNING, 0.75)]
    result = run("transfers", "--status", "running", "--agent", "server-b", "--since", "2h")
    row = result.out.splitlines()[1]
    assert row.split()[:3] == [TRANSFER, "running", "75%"]
    assert "server-b:/data/videos/raw/" in row
    assert "server-c:/archive/processed/" in row
    path = signed_in.asked[-1][1]
    assert "status=running" in path
    assert "agent=server-b" in path
    assert "since=20" in path


def test_every_question_of_the_console_is_one_of_the_command(signed_in: FakeApi, run: Run) -> None:
    signed_in.stories[TRANSFER] = [transfer_view(TransferState.FAILED)]
    asked = {
        "--state": ("failed", "status=failed"),
        "--search": ("ep1 raw", "search=ep1"),
        "--from": ("server-b", "source=server-b"),
        "--to": ("server-c", "destination=server-c"),
        "--template": ("stills", "template=stills"),
        "--by": ("ana@example.org", "by=ana"),
        "--until": ("1h", "until=20"),
        "--sort": ("oldest", "sort=oldest"),
        "--limit": ("200", "limit=200"),
    }
    given = [word for option, (value, _) in asked.items() for word in (option, value)]
    assert TRANSFER in run("transfers", *given).out
    path = signed_in.asked[-1][1]
    assert [parameter for _, parameter in asked.values() if parameter not in path] == []


def test_rows_fit_80_columns_and_keep_the_end_of_a_path(
    signed_in: FakeApi, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "console", lambda: Console(width=80, markup=False, emoji=False))
    signed_in.stories[TRANSFER] = [transfer_view(TransferState.PARTIALLY_FAILED)]
    lines = run("transfers").out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].split()[0] == TRANSFER
    assert lines[1].rstrip().endswith("essed/")
    assert "/raw/ " in lines[1]


def test_a_dry_run_says_so(signed_in: FakeApi, run: Run) -> None:
    signed_in.stories[TRANSFER] = [transfer_view(TransferState.SUCCEEDED, dry_run=True)]
    assert "succeeded (dry run)" in run("transfers").out


def test_no_transfers(signed_in: FakeApi, run: Run) -> None:
    assert run("transfers").out == "No transfers.\n"
    assert run("transfers", "--template", "stills").out == "No transfers of the template stills.\n"


def test_an_empty_page_is_not_the_end(signed_in: FakeApi, run: Run) -> None:
    signed_in.first_page_is_empty = True
    signed_in.stories[TRANSFER] = [transfer_view(TransferState.RUNNING)]
    assert TRANSFER in run("transfers").out
    assert run("show", "k3v9").code == 0


def test_all_reads_every_page(signed_in: FakeApi, run: Run) -> None:
    for number in range(5):
        view = transfer_view(TransferState.SUCCEEDED, transfer_id=other(number))
        signed_in.stories[other(number)] = [view]
    first = run("transfers", "--limit", "2")
    assert len(first.out.splitlines()) == 3
    assert "2 of 5. For the others add --all" in first.err
    assert len(run("transfers", "--limit", "2", "--all").out.splitlines()) == 6
    answer = json.loads(run("transfers", "--limit", "2", "--json").out)
    assert len(answer["transfers"]) == 2
    assert answer["next"] == "2"


@pytest.mark.parametrize("since", ["99999999d", f"{'9' * 300}w", "1900-01-01"])
def test_since_for_ever_is_every_transfer(signed_in: FakeApi, run: Run, since: str) -> None:
    signed_in.stories[TRANSFER] = [transfer_view(TransferState.RUNNING)]
    result = run("transfers", "--since", since)
    assert result.code == 0
    assert TRANSFER in result.out


@pytest.mark.parametrize(
    "wrong",
    [
        ("--status", "done"),
        ("--sort", "size"),
        ("--since", "yesterday"),
        ("--since", "9999-12-31T23:59:59-12:00"),
        ("--since", f"{'9' * 9000}d"),
        ("--limit", "0"),
    ],
)
def test_wrong_filters(signed_in: FakeApi, run: Run, wrong: tuple[str, str]) -> None:
    assert run("transfers", *wrong).code == 2


def test_show_tells_all(signed_in: FakeApi, run: Run) -> None:
    signed_in.stories[TRANSFER] = [transfer_view(TransferState.FAILED, 0.75)]
    result = run("show", TRANSFER)
    for words in (
        f"Transfer {TRANSFER}  failed",
        "from  server-b:/data/videos/raw/",
        "to    server-c:/archive/processed/",
        "requested by ana@example.org",
        "Hop 1  failed",
        "direct, server-c dialed 10.0.0.2:4460, congestion control bbr, attempt 3",
        "75%, 768.0 MiB of 1.0 GiB, 2,100 of 3,002 files (12 unchanged)",
        "server-c has no room left in /archive",
        "→ Free some space there",
        "Timeline",
        "hop 1 failed: server-c has no room left",
    ):
        assert words in result.out, result
    assert "1 file more that did not arrive" in result.out


def test_show_says_how_fast_the_only_file_travels_and_what_limits_it(signed_in: FakeApi, run: Run) -> None:
    ana, agent = a_person("ana@example.org"), Actor(id="agent:server-c", name="agent:server-c")
    progress = (
        transfer_view(TransferState.RUNNING)
        .hops[0]
        .progress.model_copy(
            update={"files_total": 1, "files_done": 0, "files_unchanged": 0, "bytes_per_second": 20 * 1024}
        )
    )
    entries = (
        TimelineEntry(at=MORNING, by=ana, what="requested"),
        TimelineEntry(at=MORNING, by=agent, what="hop 1 started"),
    )
    view = transfer_view(TransferState.RUNNING, hop={"progress": progress}, timeline=entries)
    limited = view.options.model_copy(update={"bandwidth_limit": 20 * 1024})
    signed_in.stories[TRANSFER] = [view.model_copy(update={"options": limited})]
    out = " ".join(run("show", TRANSFER).out.split())
    assert "0 of 1 file, 20.0 KiB/s, " in out
    assert " left" in out
    assert "with bandwidth limit 20.0 KiB/s" in out
    assert "hop 1 started by server-c (agent)" in out


def test_the_storage_class_and_the_tags_of_a_push_are_shown(signed_in: FakeApi, run: Run) -> None:
    tags = {"site": "ber", "a=b": "x y", "empty": ""}
    options = Options(storage_class="GLACIER_IR", object_tags=tags)
    view = transfer_view(TransferState.RUNNING)
    signed_in.stories[TRANSFER] = [view.model_copy(update={"options": options})]
    result = run("show", TRANSFER)
    assert result.code == 0, result
    shown = " ".join(result.out.split())
    assert "with storage class GLACIER_IR, tag a\\=b=x y, tag empty=, tag site=ber" in shown


def test_show_says_nothing_of_files_before_the_source_is_listed(signed_in: FakeApi, run: Run) -> None:
    signed_in.stories[TRANSFER] = [transfer_view(TransferState.QUEUED, hop={"progress": Progress()})]
    assert "0 B" not in run("show", TRANSFER).out


def test_show_says_what_is_not_kept(signed_in: FakeApi, run: Run) -> None:
    progress = transfer_view(TransferState.SUCCEEDED).hops[0].progress
    lost = progress.model_copy(update={"lost": Losses(xattr=1_200, setid=1)})
    signed_in.stories[TRANSFER] = [transfer_view(TransferState.SUCCEEDED, hop={"progress": lost})]
    result = run("show", TRANSFER)
    assert "not kept: extended attributes of 1,200, setuid or setgid of 1" in result.out
    signed_in.stories[TRANSFER] = [transfer_view(TransferState.SUCCEEDED)]
    assert "not kept" not in run("show", TRANSFER).out


def test_show_names_single_files_that_did_not_arrive(signed_in: FakeApi, run: Run) -> None:
    failures = transfer_view(TransferState.FAILED).hops[0].problem
    hop = {"failures": (failures,) * 12, "failures_total": 40}
    signed_in.stories[TRANSFER] = [transfer_view(TransferState.PARTIALLY_FAILED, hop=hop)]
    result = run("show", TRANSFER)
    assert "and 30 files more that did not arrive" in result.out


def test_advice_that_many_files_share_is_given_once(signed_in: FakeApi, run: Run) -> None:
    lost = [Problem(code="x", message=f"f{n} is lost.", advice="Look.", retryable=False) for n in range(4)]
    other_ = lost[0].model_copy(update={"message": "f9 is locked.", "advice": "Unlock it."})
    summary = lost[0].model_copy(update={"message": "5 of 9 files failed. First failure: f0 is lost."})
    hop = {"problem": summary, "failures": (*lost, other_), "failures_total": 5}
    signed_in.stories[TRANSFER] = [transfer_view(TransferState.FAILED, 0, hop=hop)]
    shown = run("show", TRANSFER).out
    assert (shown.count("→ Look."), shown.count("→ Unlock it.")) == (1, 1)
    assert shown.index("f3 is lost.") < shown.index("→ Look.") < shown.index("f9 is locked.")


def test_first_letters_find_a_transfer(signed_in: FakeApi, run: Run) -> None:
    signed_in.stories[TRANSFER] = [transfer_view(TransferState.RUNNING)]
    assert f"Transfer {TRANSFER}" in run("show", "k3v").out
    assert run("show", "zzz").code == 4
    signed_in.stories[other(1)] = [transfer_view(TransferState.RUNNING, transfer_id=other(1))]
    result = run("cancel", "k3v")
    assert result.code == 2
    assert TRANSFER in result.err
    assert signed_in.named("POST", f"/transfers/{TRANSFER}/cancel") == []


def test_an_unknown_transfer(signed_in: FakeApi, run: Run) -> None:
    result = run("show", other(7))
    assert result.code == 4
    assert result.err.startswith(f"error: no transfer {other(7)}")


@pytest.mark.parametrize("verb", ["cancel", "pause", "resume", "retry"])
def test_verbs(signed_in: FakeApi, run: Run, verb: str) -> None:
    signed_in.stories[TRANSFER] = [transfer_view(TransferState.RUNNING)]
    result = run(verb, TRANSFER)
    assert result.code == 0
    assert TRANSFER in result.out
    ((_, _, _, headers),) = signed_in.named("POST", f"/transfers/{TRANSFER}/{verb}")
    assert headers["idempotency-key"]


def test_apply_creates_then_leaves_then_updates(signed_in: FakeApi, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "templates.yaml"
    file.write_text(TEMPLATES)
    assert run("templates", "apply", str(file)).out == "new-videos: created\nstills: created\n"
    assert run("templates", "apply", str(file)).out == "new-videos: unchanged\nstills: unchanged\n"
    file.write_text(TEMPLATES.replace("reread", "transfer"))
    assert run("templates", "apply", str(file)).out == "new-videos: unchanged\nstills: updated\n"
    assert signed_in.templates["stills"].version == 2


def test_apply_reads_stdin(signed_in: FakeApi, run: Run) -> None:
    assert run("templates", "apply", "-", given=TEMPLATES).code == 0
    assert set(signed_in.templates) == {"new-videos", "stills"}


def test_apply_changes_nothing_if_one_document_is_wrong(signed_in: FakeApi, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "templates.yaml"
    file.write_text(TEMPLATES.replace("s3://archive/stills/", "s3://archive/stills"))
    result = run("templates", "apply", str(file))
    assert result.code == 2
    assert "document 2" in result.err
    assert "end it with /" in result.err
    assert signed_in.asked == []


@pytest.mark.parametrize(
    "text", ["", "just words", "{", "- a\n- b", TEMPLATES.replace("stills\n", "new-videos\n", 1)]
)
def test_apply_explains_what_is_no_template(signed_in: FakeApi, run: Run, tmp_path: Path, text: str) -> None:
    file = tmp_path / "templates.yaml"
    file.write_text(text)
    result = run("templates", "apply", str(file))
    assert result.code == 2
    assert len(result.err.splitlines()) == 2
    assert signed_in.asked == []


def test_a_repeated_key_is_named_with_its_lines_and_nothing_is_applied(
    signed_in: FakeApi, run: Run, tmp_path: Path
) -> None:
    """YAML keeps the last one: half of the destinations would be gone without a word."""
    file = tmp_path / "templates.yaml"
    file.write_text(TEMPLATES.removesuffix("---\n") + "destinations: [server-d:/backup/]\n")
    result = run("templates", "apply", str(file))
    last = len(file.read_text().splitlines())
    assert result.code == Exit.USAGE
    assert f"line {last}: the key 'destinations' is repeated" in result.err
    file.write_text(TEMPLATES.replace("bucket: media-uploads", "bucket: media-uploads, bucket: other", 1))
    assert "the key 'bucket' is repeated" in run("templates", "apply", str(file)).err
    assert signed_in.asked == []


@pytest.mark.parametrize("text", ["when: 2026-13-45", "[" * 5000])
def test_apply_survives_what_breaks_the_yaml_parser(
    signed_in: FakeApi, run: Run, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "templates.yaml"
    file.write_text(text)
    assert run("templates", "apply", str(file)).code == Exit.USAGE


def test_apply_that_stops_half_way_says_what_is_applied(signed_in: FakeApi, run: Run, tmp_path: Path) -> None:
    create = FakeApi.create_template

    def refuse_stills(self: FakeApi, query: dict[str, str], body: dict[str, str]) -> tuple[int, object]:
        if body["name"] == "stills":
            return 422, problem(422, "There is no bucket media.", "Correct it.")
        return create(self, query, body)

    signed_in.routes = [(m, p, refuse_stills if h is create else h) for m, p, h in ROUTES]
    file = tmp_path / "templates.yaml"
    third = TEMPLATES.partition("---")[0].replace("new-videos", "new-sounds")
    file.write_text(TEMPLATES + third)
    result = run("templates", "apply", str(file))
    assert result.code == Exit.USAGE
    assert result.out == "new-videos: created\n"
    assert "stills: There is no bucket media (already applied: new-videos;" in result.err
    assert "not applied: stills, new-sounds)" in result.err
    assert "apply the file again" in result.err
    assert set(signed_in.templates) == {"new-videos"}


def test_apply_of_a_file_that_is_not_there(run: Run, tmp_path: Path) -> None:
    assert run("templates", "apply", str(tmp_path / "none.yaml")).code == 2


def test_templates_are_listed_shown_and_removed(signed_in: FakeApi, run: Run) -> None:
    assert "templates apply" in run("templates").out
    run("templates", "apply", "-", given=TEMPLATES)
    listed = run("templates").out
    assert "s3://media-uploads/stills/*.jpg" in listed
    assert "server-b:/primary/storage/ → server-d:/backup/storage/" in listed
    shown = run("templates", "show", "stills")
    assert run("templates", "apply", "-", given=shown.out).out == "stills: unchanged\n"
    assert run("templates", "remove", "stills").code == 2
    assert run("templates", "remove", "stills", "--yes").code == 0
    assert set(signed_in.templates) == {"new-videos"}
    assert run("templates", "show", "stills").code == 4


def test_a_failure_is_acknowledged_and_failures_of_any_age_are_listed(signed_in: FakeApi, run: Run) -> None:
    signed_in.stories[TRANSFER] = [transfer_view(TransferState.FAILED, 0)]
    assert run("acknowledge", TRANSFER).out == f"Transfer {TRANSFER} needs no further attention.\n"
    assert signed_in.asked[-1][:2] == ("POST", f"/transfers/{TRANSFER}/acknowledgment")
    assert run("transfers", "--attention", "failed").code == 0
    assert "attention=failed" in signed_in.asked[-1][1]
    assert "Write one of" in run("transfers", "--attention", "urgent").err


def test_what_waits_for_a_second_person_says_so_and_is_approved(signed_in: FakeApi, run: Run) -> None:
    wanted = Approval(policies=("four-eyes",), asked_for=(a_person("ana@example.org"),))
    signed_in.stories[TRANSFER] = [transfer_view(TransferState.AWAITING_APPROVAL, 0, approval=wanted)]
    result = run("show", TRANSFER)
    assert "needs approval by a person other than ana@example.org" in result.out
    assert "four-eyes" in result.out
    assert f"crosshaul approve {TRANSFER}" in result.out
    assert run("approve", TRANSFER).code == 0
    assert signed_in.asked[-1][:2] == ("POST", f"/transfers/{TRANSFER}/approval")


def test_what_a_second_person_declines_says_who_and_why(signed_in: FakeApi, run: Run) -> None:
    bo, ana = a_person("bo@example.org"), a_person("ana@example.org")
    declined = Approval(
        policies=("four-eyes",), asked_for=(ana,), declined_by=bo, declined_at=MORNING, why="Not this week."
    )
    signed_in.stories[TRANSFER] = [transfer_view(TransferState.CANCELLED, 0, approval=declined)]
    assert run("decline", TRANSFER).code == 2, "a reason is required"
    assert run("decline", TRANSFER, "--why", "Not this week.").code == 0
    assert signed_in.asked[-1][:3] == ("POST", f"/transfers/{TRANSFER}/decline", {"why": "Not this week."})
    assert "declined by bo@example.org" in run("show", TRANSFER).out
    assert "Not this week." in run("show", TRANSFER).out
