"""The command as a whole: help, exit codes, imports, and values shared with the wire."""

import os
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest

from agent.cli import output, text
from agent.cli.commands import cp
from agent.cli.errors import MEANING, CliError, Exit, exit_code
from events.options import Options
from events.states import TransferState
from tests.support.fakes_api import TRANSFER, FakeApi, problem, transfer_view
from tests.support.waiting import HANG_TIMEOUT_S
from tests.unit.cli.conftest import Run

CROSSHAUL = [sys.executable, "-c", "from agent.cli.main import main; main()"]


def shell(*arguments: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `crosshaul` in a process of its own."""
    return subprocess.run(
        [*CROSSHAUL, *arguments],
        env=os.environ | {"CROSSHAUL_HOME": str(home)} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_TIMEOUT_S,
    )


def test_help_has_the_exit_codes(run: Run) -> None:
    result = run("--help")
    for code in Exit:
        assert f" {code.value}  " in result.out
    assert run("-h").out == result.out


def test_the_guide_has_the_same_exit_codes() -> None:
    guide = Path(__file__).parents[3] / "docs/guides/command-line.md"
    rows = dict(re.findall(r"^\| (\d+) \| (.+) \|$", guide.read_text(), re.MULTILINE))
    assert {code: text.replace("`", "") for code, text in rows.items()} == {
        str(code.value): text for code, text in MEANING.items()
    }


def test_help_shows_the_help_of_any_command(run: Run) -> None:
    assert run("help", "agents", "enroll").out == run("agents", "enroll", "--help").out
    assert run("help").out.startswith("Usage: crosshaul [OPTIONS] COMMAND")
    assert run("help", "frobnicate").code == Exit.USAGE


def test_the_manual_has_every_command_option_and_exit_code(run: Run) -> None:
    page = run("help", "--man").out
    plain = page.replace("\\-", "-")
    for path in ("cp", "agents", "agents enroll", "agents updates show", "agent register", "policies put"):
        assert f'\n.SS "crosshaul {path} [OPTIONS]' in plain, path
    assert "\n.B --delete-extra\n" in plain
    assert "raw itself, as /archive/raw" in plain
    for code in Exit:
        assert f"\n.B {code.value}\n" in plain
    requests = {line.split()[0] for line in page.splitlines() if line.startswith((".", "'"))}
    assert requests == {".TH", ".SH", ".SS", ".PP", ".TP", ".B", ".nf", ".fi"}, "no text is a request of roff"
    assert "\\" not in re.sub(r"\\[-e&]|\\\(dq", "", page), "every backslash is an escape"


def test_help_fits_80_columns(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = run("--help").out.splitlines()
    assert max(map(len, shown)) <= 80
    assert not [line for line in shown if line.endswith("...") and not line.startswith("Usage")]


def test_a_command_in_advice_is_not_broken_by_a_narrow_terminal() -> None:
    command = "`crosshaul show k3v9q0d7m2x8c5n1b6za -w`"
    assert output.wrapped(f"To see how it goes on use {command}; or leave it.", 44).splitlines() == [
        "To see how it goes on use",
        f"{command}; or",
        "leave it.",
    ]


@pytest.mark.parametrize(
    ("status", "arguments", "code"),
    [
        (401, ("agents",), Exit.FORBIDDEN),
        (403, ("agents", "show", "server-b"), Exit.FORBIDDEN),
        (404, ("show", TRANSFER), Exit.NOT_FOUND),
        (409, ("retry", TRANSFER), Exit.REFUSED),
        (422, ("cp", "server-b:/data/x", "server-c:/archive/"), Exit.USAGE),
        (500, ("browse", "server-b:/data"), Exit.UNREACHABLE),
    ],
)
def test_each_kind_of_refusal_has_its_exit_code(
    signed_in: FakeApi, run: Run, status: int, arguments: tuple[str, ...], code: Exit
) -> None:
    signed_in.problems = [problem(status, "Not so.", "Otherwise.")] * 2
    result = run(*arguments)
    assert result.code == code
    assert result.err.splitlines()[0].startswith("error: ")


def test_help_of_cp_explains_the_slash(run: Run) -> None:
    assert "raw itself, as /archive/raw" in run("cp", "--help").out


def test_the_hosts_commands_are_there(run: Run) -> None:
    listed = run("agent", "--help").out
    for name in ("register", "run", "status", "doctor"):
        assert f"\n  {name} " in listed
    assert run("agent", "frobnicate").code == 2


def test_version(run: Run) -> None:
    assert run("--version").out.startswith("crosshaul 0.")


@pytest.mark.parametrize("name", ["frobnicate", "--frobnicate"])
def test_unknown_words_are_wrong_usage(run: Run, name: str) -> None:
    assert run(name).code == 2


@pytest.mark.parametrize(
    ("arguments", "banned"),
    [
        (["--help"], "httpx pydantic yaml awscrt rich.console agent.cloud.mqtt_link"),
        (["cp", "--help"], "httpx yaml awscrt rich.console agent.cloud.mqtt_link"),
        (["cp", "--what"], "httpx yaml awscrt rich.console agent.cloud.mqtt_link"),
        (["transfers"], "awscrt agent.cloud.mqtt_link agent.cloud.live_link"),
    ],
)
def test_what_is_not_needed_is_not_imported(tmp_path: Path, arguments: list[str], banned: str) -> None:
    program = (
        "import sys, atexit\n"
        f"atexit.register(lambda: print([m for m in {banned.split()!r} if m in sys.modules]))\n"
        f"sys.argv[1:] = {arguments!r}\n"
        "from agent.cli.main import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"CROSSHAUL_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_TIMEOUT_S,
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_ctrl_c_while_the_command_loads_ends_it_silently(tmp_path: Path) -> None:
    """As at a terminal: the whole process gets the signal, here in the middle of an import."""
    (tmp_path / "typer").mkdir()
    (tmp_path / "typer/__init__.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    paths = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", "from agent.cli.start import main; main()"],
        env=os.environ | {"CROSSHAUL_HOME": str(tmp_path), "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_TIMEOUT_S,
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def test_a_terminal_without_unicode_gets_escapes_not_a_traceback(tmp_path: Path) -> None:
    done = shell("--help", home=tmp_path, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr


def test_closed_streams_are_no_traceback(tmp_path: Path) -> None:
    line = ["/bin/sh", "-c", '"$0" "$@" >&- 2>&-', *CROSSHAUL, "whoami"]
    done = subprocess.run(line, env=os.environ | {"CROSSHAUL_HOME": str(tmp_path)}, check=False)
    assert done.returncode == Exit.FORBIDDEN


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--version",),
        ("agent", "--help"),
        ("agents", "--json"),
        ("transfers",),
        ("show", TRANSFER),
        ("show", TRANSFER, "--watch"),
        ("cp", "server-b:/data/x", "server-c:/archive/"),
        ("audit", "export", "--format", "csv"),
    ],
)
def test_output_that_cannot_be_written_is_an_error_and_no_traceback(
    signed_in: FakeApi, home: Path, arguments: tuple[str, ...]
) -> None:
    """The disk is full, or the reader at the other end of the pipe is gone."""
    signed_in.stories = {TRANSFER: [transfer_view(TransferState.SUCCEEDED, 1)]}
    gone = "no reader: | head -n 0"
    for target in ("/dev/full", gone):
        if target == gone:
            reading, writing = os.pipe()
            os.close(reading)
        else:
            writing = os.open(target, os.O_WRONLY)
        try:
            done = subprocess.run(
                [*CROSSHAUL, *arguments],
                env=os.environ | {"CROSSHAUL_HOME": str(home)},
                stdout=writing,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
                timeout=HANG_TIMEOUT_S,
            )
        finally:
            os.close(writing)
        assert done.returncode == Exit.OUTPUT, done.stderr
        words = "the program that reads standard output has ended" if target == gone else "No space left"
        assert words in done.stderr
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr


def test_notes_that_cannot_be_written_change_nothing(signed_in: FakeApi, home: Path) -> None:
    line = ["/bin/sh", "-c", '"$0" "$@" 2>/dev/full', *CROSSHAUL]
    environment = os.environ | {"CROSSHAUL_HOME": str(home)}
    for arguments, code in ((["policies", "show", "x"], 0), (["agents", "show", "nobody"], Exit.NOT_FOUND)):
        done = subprocess.run([*line, *arguments], env=environment, capture_output=True, check=False)
        assert done.returncode == code


def test_a_mistake_of_our_own_is_one_line_unless_asked_for_more(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from agent.cli import main, session\n"
        "def load(): raise ZeroDivisionError('oh')\n"
        "session.load = load\n"
        "main.main()\n"
    )
    run_ = [sys.executable, "-c", program]
    short = subprocess.run([*run_, "whoami"], capture_output=True, text=True, check=False)
    assert short.returncode == Exit.BUG
    assert short.stderr.splitlines() == [
        "error: internal error in crosshaul: ZeroDivisionError: oh",
        "`crosshaul --debug …` shows where; please report it.",
    ]
    long = subprocess.run([*run_, "--debug", "whoami"], capture_output=True, text=True, check=False)
    assert "Traceback" in long.stderr


def test_debug_shows_where_a_trouble_came_from(tmp_path: Path) -> None:
    done = shell("--debug", "whoami", home=tmp_path)
    assert "LoginRequiredError" in done.stderr
    assert done.returncode


def test_choices_are_those_of_the_wire() -> None:
    offered = {
        "overwrite": cp.Overwrite,
        "verify": cp.Verify,
        "relay": cp.Relay,
        "symlinks": cp.Symlinks,
        "owner": cp.Owner,
        "priority": cp.Priority,
        "if_offline": cp.IfOffline,
    }
    for name, choices in offered.items():
        assert get_args(choices) == get_args(Options.model_fields[name].annotation)


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, 2), (401, 3), (403, 3), (404, 4), (409, 6), (412, 6), (422, 2), (429, 6), (500, 5), (504, 5)],
)
def test_every_status_has_its_exit_code(status: int, code: int) -> None:
    assert exit_code(status) == code


@pytest.mark.parametrize(
    ("typed", "count"),
    [("50M", 50 * 2**20), ("1.5g", 3 * 2**29), ("2KiB/s", 2048), ("7", 7), ("1 TB", 2**40)],
)
def test_sizes_are_read(typed: str, count: int) -> None:
    assert text.read_size(typed) == count


@pytest.mark.parametrize("typed", ["", "M", "-5M", "5X", "5 0M"])
def test_what_is_no_size_is_refused(typed: str) -> None:
    with pytest.raises(CliError, match="not a size"):
        text.read_size(typed)


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (None, "–"),
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (2**20 - 1, "1.0 MiB"),
        (2**60, "1024.0 PiB"),
    ],
)
def test_sizes_are_told(count: int | None, words: str) -> None:
    assert text.size(count) == words


@pytest.mark.parametrize(
    ("zone", "moment", "shown"),
    [
        ("Etc/GMT-14", datetime.max.replace(tzinfo=UTC), "9999-12-31 23:59:59"),
        ("Etc/GMT+12", datetime.min.replace(tzinfo=UTC), "1-01-01 00:00:00"),
    ],
)
def test_times_at_the_ends_of_the_calendar_are_shown(
    zone: str, moment: datetime, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the reader's zone they would be in the year 10000, or before the year 1."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert text.clock(moment).endswith(shown)
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("seconds", "words"), [(-3, "0 s"), (59, "59 s"), (3600, "1 h"), (90061, "1 d 1 h"), (61.9, "1 min 1 s")]
)
def test_spans(seconds: float, words: str) -> None:
    assert text.span(seconds) == words


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("Zoë – 名前 👩‍💻", "Zoë – 名前 👩‍💻"),
        ("a\tb\nc", r"a\tb\nc"),
        ("\x1b[31m\x9b0m\x7f", r"\x1b[31m\x9b0m\x7f"),
        ("\udcff\ud800", r"\xff\ud800"),
        ("a\u2028b\u202e", r"a\u2028b\u202e"),
    ],
)
def test_names_are_shown_without_their_powers(raw: str, shown: str) -> None:
    assert text.clean(raw) == shown
