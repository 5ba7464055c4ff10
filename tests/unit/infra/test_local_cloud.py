"""The embedded cloud: start, reuse and stop, and what a deployment skips."""

import hashlib
import os
import re
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from infra import REPOSITORY
from infra.kit import Kit, make
from infra.local import cloud as embedded
from infra.local import deploy, processes
from infra.local.cloud import Cloud
from infra.publish import NotBuilt, publish, publish_kit
from infra.release_key import ReleaseSigner
from lambdas.store.installer import NEWEST
from tests.support.waiting import HANG_TIMEOUT_S


def a_cloud(**changes: Any) -> Cloud:
    facts: dict[str, Any] = {
        "home": Path("/nowhere"),
        "endpoint": "http://127.0.0.1:1",
        "port": 1,
        "mqtt_port": 2,
        "pid": 0,
        "ca_pem": "",
        "born": "a",
    }
    return Cloud(**facts | changes)


def test_a_process_is_ended_by_a_polite_request(tmp_path: Path) -> None:
    pid = processes.spawn([sys.executable, "-c", "import signal; signal.pause()"], {}, tmp_path / "log")
    assert processes.is_alive(pid, sys.executable)
    assert processes.end(pid, timeout_s=HANG_TIMEOUT_S)
    assert not processes.is_alive(pid, sys.executable)


def test_a_process_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    deaf = "from signal import *; signal(SIGTERM, SIG_IGN); print('up', flush=True); pause()"
    pid = processes.spawn([sys.executable, "-c", deaf], {}, tmp_path / "log")
    deadline = time.monotonic() + HANG_TIMEOUT_S
    while not (tmp_path / "log").read_text():
        assert time.monotonic() < deadline
    assert not processes.end(pid, timeout_s=0.2)
    assert not processes.is_alive(pid, sys.executable)


def test_another_program_under_a_remembered_id_is_not_ours() -> None:
    assert processes.is_alive(os.getpid(), "python")
    assert not processes.is_alive(os.getpid(), "/somewhere/ministack")


def test_a_port_in_use_is_not_free() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        assert not processes.is_free(server.getsockname()[1])
    assert len(set(processes.free_ports(5))) == 5


def test_the_end_was_clean_only_if_the_state_was_saved_after_the_start(tmp_path: Path) -> None:
    assert embedded._ended_cleanly(tmp_path), "never started"
    (tmp_path / "started").touch()
    assert not embedded._ended_cleanly(tmp_path)
    (tmp_path / "state").mkdir()
    saved = tmp_path / "state/dynamodb.json"
    saved.touch()
    began = (tmp_path / "started").stat().st_mtime
    os.utime(saved, (began - 5, began - 5))
    assert not embedded._ended_cleanly(tmp_path)
    os.utime(saved, (began + 5, began + 5))
    assert embedded._ended_cleanly(tmp_path)


def test_the_deployer_sees_nothing_of_the_callers_own_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "secret")
    given = embedded.environment(a_cloud())
    assert "AWS_PROFILE" not in given
    assert "AWS_SESSION_TOKEN" not in given
    assert given["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
    assert given["AWS_CONFIG_FILE"] == os.devnull


def test_the_cloud_sees_nothing_of_the_callers_own_account(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAREAL")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    given = embedded._settings(tmp_path, 1, 2)
    assert given["AWS_ACCESS_KEY_ID"] == "test"
    assert given["AUTH"] == "true"
    assert given["BIND_HOST"] == "127.0.0.1"
    assert "HTTPS_PROXY" not in given


def test_another_cloud_or_port_is_deployed_into_again() -> None:
    before = deploy._digest(a_cloud(), 1)
    assert before == deploy._digest(a_cloud(pid=7), 1)
    assert before != deploy._digest(a_cloud(born="b"), 1)
    assert before != deploy._digest(a_cloud(port=3), 1)
    assert before != deploy._digest(a_cloud(), 2)


def test_what_is_deployed_already_is_not_deployed_again(tmp_path: Path) -> None:
    outputs = deploy.Outputs("http://api", "http://console", "pool", "client", "bucket", "relay")
    deploy._remember(tmp_path, deploy._digest(a_cloud(), 1), outputs)
    assert deploy.deploy(a_cloud(), tmp_path) == outputs


class Recorder:
    """Records every call."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def __getattr__(self, _name: str) -> Any:
        return lambda **arguments: self.calls.append(arguments)


KEY = "A" * 43
"""The public half of a publisher's key."""
OUTPUTS = {"ConsoleBucket": "files", "ConsoleDistribution": "E1", "ApiUrl": "https://api/v1"}


def test_the_console_goes_up_with_its_configuration_and_its_page_last(tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets/app-1a2b.js").write_text("1")
    (tmp_path / "index.html").write_text("<html>")
    (tmp_path / "robots.txt").write_text("")
    s3, cloudfront = Recorder(), Recorder()

    assert publish(OUTPUTS, {"s3": s3, "cloudfront": cloudfront}, tmp_path) == 3

    assert [call["Key"] for call in s3.calls] == [
        "config.json", "assets/app-1a2b.js", "robots.txt", "index.html",
    ]  # fmt: skip
    assert s3.calls[0]["Body"] == b'{"api_url": "https://api/v1"}'
    assert "immutable" in s3.calls[1]["CacheControl"]
    assert s3.calls[3]["CacheControl"] == "no-cache"
    assert cloudfront.calls[0]["DistributionId"] == "E1"


def test_a_console_that_is_not_built_is_not_published(tmp_path: Path) -> None:
    with pytest.raises(NotBuilt, match="build the console first"):
        publish(OUTPUTS, {"s3": Recorder(), "cloudfront": Recorder()}, tmp_path)


def test_the_kit_goes_up_under_its_digests_and_the_control_plane_hears_of_it_last() -> None:
    files = {"install/1a/x.whl": b"wheel", "install/2b/install.sh": b"script"}
    outputs = {**OUTPUTS, "ConsoleUrl": "https://d1.example", "ReleasesTable": "releases"}
    both = Recorder()

    kit = Kit(
        version="0.2.0",
        script_digest="2b" * 32,
        package_digest="1a" * 32,
        lock_digest="3c" * 32,
        unit_digests={},
        rclone_digests=("4d" * 32,),
        released_at=1_700_000_000,
        files=files,
    )
    publish_kit(outputs, {"s3": both, "dynamodb": both}, kit, ReleaseSigner(Ed25519PrivateKey.generate()))

    assert [call.get("Key") for call in both.calls] == [*files, "command-line.json", None, None]
    assert "immutable" in both.calls[0]["CacheControl"]
    of_its_version, row = (call["Item"] for call in both.calls[-2:])
    assert (of_its_version["release_id"], row["release_id"]) == ({"S": "0.2.0"}, {"S": NEWEST})
    digest = "2b" * 32
    assert row["address"] == {"S": f"https://d1.example/install/{digest}/install.sh"}
    assert row["digest"] == {"S": digest}
    assert row["release"] == of_its_version["release"]


def test_the_same_files_make_the_same_kit() -> None:
    one, other = (make("https://d1.example", (KEY,), released_at=7) for _ in range(2))
    assert one == other
    assert hashlib.sha256(one.files[one.script]).hexdigest() == one.script_digest
    assert make("https://d2.example", (KEY,), released_at=7).script_digest != one.script_digest
    assert make("https://d1.example", (KEY, "B" * 43), released_at=7).script_digest != one.script_digest


@pytest.mark.parametrize(("unit", "most"), [("crosshaul-agent", 17), ("crosshaul-update", 24)])
def test_the_units_are_hardened_as_the_guide_says(unit: str, most: int) -> None:
    done = subprocess.run(
        [
            "systemd-analyze",
            "security",
            "--offline=true",
            f"--threshold={most}",
            REPOSITORY / f"agent/{unit}.service",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("result", "stays"), [("success", True), ("exit-code", False), ("signal", False)])
def test_an_updater_that_fails_leaves_no_order_that_starts_it_again(
    tmp_path: Path, result: str, stays: bool
) -> None:
    """With a damaged agent.toml it would never get to delete the order. One that came meanwhile stays."""
    order = tmp_path / "update-request"
    order.touch()
    unit = (REPOSITORY / "agent/crosshaul-update.service").read_text()
    [line] = re.findall("^ExecStopPost=(.*)$", unit, re.MULTILINE)
    command = shlex.split(line.replace("/var/lib/crosshaul/update-request", str(order)))
    subprocess.run(command, env={"SERVICE_RESULT": result, "PATH": os.environ["PATH"]}, check=True)
    assert order.exists() == stays


def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    """The units' programs are not installed here, so existing ones replace them."""
    units = [*REPOSITORY.glob("agent/*.service"), *REPOSITORY.glob("agent/*.path")]
    assert len(units) == 3
    for unit in units:
        text = re.sub("/opt/crosshaul/[a-z]+/bin/crosshaul", sys.executable, unit.read_text())
        (tmp_path / unit.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *tmp_path.iterdir()],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
