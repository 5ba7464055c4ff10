"""Run the embedded cloud: ministack on loopback, one per home folder, which holds its state.

python -m infra.local.cloud start|stop|status [--home DIR]
"""

import argparse
import contextlib
import json
import os
import shutil
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra import REPOSITORY
from infra.local import function_hooks, processes
from infra.local.function_hooks import aws_rules
from infra.local.function_hooks.aws_rules import throttling
from infra.local.saved_state import forget_stream_positions

PROGRAM = REPOSITORY / ".crosshaul/cloud-env/bin/ministack"
REGION = "us-east-1"
ACCOUNT = "000000000000"
LAMBDA_WORKERS = 16
"""Parallel function processes. Without a bound, a burst of events would start a process for each.

A topic rule's invocation beyond that is lost, where AWS would retry it for hours.
"""


class CloudError(RuntimeError):
    """The embedded cloud does not start or stop; the message says where to look."""


@dataclass(frozen=True)
class Cloud:
    """A running embedded cloud and how to reach it."""

    home: Path
    endpoint: str
    """`http://127.0.0.1:PORT`, for every AWS service."""
    port: int
    mqtt_port: int
    pid: int
    ca_pem: str
    """Certificate, PEM, that signed the broker's certificate."""
    born: str
    """Id of this state; when it changes, everything deployed before is gone."""
    region: str = REGION
    account: str = ACCOUNT
    access_key_id: str = "test"
    secret_access_key: str = "test"  # noqa: S105  # ministack's root: reachable on loopback only

    @property
    def refused_calls(self) -> Path:
        """Return the file with the calls of functions that AWS would have refused, one a line."""
        return _refused_calls(_folder(self.home))

    @property
    def throttling(self) -> Path:
        """Return the file that, while it exists, throttles a share of all functions' calls."""
        return _throttling(_folder(self.home))


def start(home: Path, timeout_s: float = 60) -> Cloud:
    """Start the cloud whose state is in `home`, or return the one that runs.

    Raises:
        CloudError: It did not become ready within `timeout_s` seconds.
    """
    home = home.resolve()
    if running := status(home):
        return running
    folder = _folder(home)
    if not _ended_cleanly(folder):
        forget(home)
    folder.mkdir(parents=True, exist_ok=True)
    port, mqtt_port = _ports(folder)
    born = _born(folder)
    forget_stream_positions(folder / "state")
    pid = _spawn(folder, port, mqtt_port)
    facts = {"pid": pid, "port": port, "mqtt_port": mqtt_port, "born": born}
    (folder / "cloud.json").write_text(json.dumps(facts))
    try:
        _await_ready(folder, port, pid, timeout_s)
    except BaseException:
        processes.end(pid, timeout_s)
        raise
    (folder / "started").touch()
    return _cloud(home, facts)


def stop(cloud: Cloud, timeout_s: float = 60) -> None:
    """Stop the cloud, so that its state is saved.

    Raises:
        CloudError: It did not stop within `timeout_s` seconds and was killed, so its state is lost.
    """
    if not processes.end(cloud.pid, timeout_s):
        raise CloudError(
            f"the embedded cloud did not stop in {timeout_s:.0f} s and was killed; its state is lost: "
            f"see {_log(cloud.home)}"
        )


def status(home: Path) -> Cloud | None:
    """Return the cloud of this home, or None if it does not run."""
    with contextlib.suppress(OSError, ValueError):
        facts = json.loads((_folder(home) / "cloud.json").read_text())
        if processes.is_alive(facts["pid"], str(PROGRAM)):
            return _cloud(home.resolve(), facts)
    return None


def forget(home: Path) -> None:
    """Delete all state, but keep the ports."""
    for name in ("state", "s3", "born", "started"):
        path = _folder(home) / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def environment(cloud: Cloud) -> dict[str, str]:
    """Return the environment in which an SDK or the CDK command line reaches this cloud and no other."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return ours | {
        "AWS_ENDPOINT_URL": cloud.endpoint,
        "AWS_ENDPOINT_URL_S3": cloud.endpoint,
        "AWS_ACCESS_KEY_ID": cloud.access_key_id,
        "AWS_SECRET_ACCESS_KEY": cloud.secret_access_key,
        "AWS_REGION": cloud.region,
        "AWS_DEFAULT_REGION": cloud.region,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def client_settings(cloud: Cloud) -> dict[str, Any]:
    """Return keyword arguments for `boto3.client`."""
    return {
        "endpoint_url": cloud.endpoint,
        "region_name": cloud.region,
        "aws_access_key_id": cloud.access_key_id,
        "aws_secret_access_key": cloud.secret_access_key,
    }


def _folder(home: Path) -> Path:
    return home / "cloud"


def _refused_calls(folder: Path) -> Path:
    return folder / "refused-calls.log"


def _throttling(folder: Path) -> Path:
    return folder / "throttling.json"


def _log(home: Path) -> Path:
    return _folder(home) / "cloud.log"


def _cloud(home: Path, facts: dict[str, Any]) -> Cloud:
    endpoint = f"http://127.0.0.1:{facts['port']}"
    return Cloud(
        home=home,
        endpoint=endpoint,
        port=facts["port"],
        mqtt_port=facts["mqtt_port"],
        pid=facts["pid"],
        ca_pem=_get(f"{endpoint}/_ministack/iot/ca.pem"),
        born=facts["born"],
    )


def _ended_cleanly(folder: Path) -> bool:
    """Return whether the state was saved at the last stop; after a kill the tables are lost."""
    started = folder / "started"
    if not started.exists():
        return True
    saved = [file.stat().st_mtime for file in (folder / "state").glob("*.json")]
    return bool(saved) and max(saved) > started.stat().st_mtime


def _born(folder: Path) -> str:
    name = folder / "born"
    if not name.exists():
        name.write_text(os.urandom(8).hex())
    return name.read_text()


def _spawn(folder: Path, port: int, mqtt_port: int) -> int:
    """Start ministack in its own session, so that Ctrl-C in the terminal does not reach it."""
    (folder / "tmp").mkdir(exist_ok=True)
    return processes.spawn([str(PROGRAM)], _settings(folder, port, mqtt_port), folder / "cloud.log")


def _settings(folder: Path, port: int, mqtt_port: int) -> dict[str, str]:
    """Return ministack's whole environment, without the caller's account, proxy or Docker settings.

    Functions inherit it, and with it the rules for calls that AWS would refuse.
    """
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL", "TZ") if name in os.environ}
    return kept | {
        "AUTH": "true",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        aws_rules.PLUGINS_VARIABLE: f"aws_rules={aws_rules.__name__.rpartition('.')[2]}",
        aws_rules.FILE_VARIABLE: str(_refused_calls(folder)),
        throttling.FILE_VARIABLE: str(_throttling(folder)),
        "PYTHONPATH": str(function_hooks.FOLDER),
        "BIND_HOST": "127.0.0.1",
        "DOCKER_HOST": f"unix://{folder}/no-docker",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_PORT": str(mqtt_port),
        "LAMBDA_ACCOUNT_CONCURRENCY": str(LAMBDA_WORKERS),
        "LOG_LEVEL": "INFO",
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_REGION": REGION,
        "PERSIST_STATE": "1",
        "S3_DATA_DIR": str(folder / "s3"),
        "S3_PERSIST": "1",
        "SFTP_ENABLED": "0",
        "STATE_DIR": str(folder / "state"),
        "TMPDIR": str(folder / "tmp"),
    }


def _await_ready(folder: Path, port: int, pid: int, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if not processes.is_alive(pid, str(PROGRAM)):
            raise CloudError(f"the embedded cloud ended while starting: see {folder / 'cloud.log'}")
        with contextlib.suppress(OSError):
            answer = json.loads(_get(f"http://127.0.0.1:{port}/_ministack/ready"))
            if answer["iot_mtls"] != "listening":
                raise CloudError(f"the MQTT broker is {answer['iot_mtls']}: see {folder / 'cloud.log'}")
            return
        time.sleep(0.05)
    raise CloudError(f"the embedded cloud was not ready after {timeout_s:.0f} s: see {folder / 'cloud.log'}")


def _get(url: str) -> str:
    """Send a GET without a proxy and return the body.

    Raises:
        OSError: The request failed.
    """
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(url, timeout=10) as answer:
        return str(answer.read().decode())


def _ports(folder: Path) -> tuple[int, int]:
    """Return the HTTP and MQTT ports: those of the last run, unless another program uses one now."""
    remembered = folder / "cloud.json"
    if remembered.exists():
        facts = json.loads(remembered.read_text())
        if processes.is_free(facts["port"]) and processes.is_free(facts["mqtt_port"]):
            return facts["port"], facts["mqtt_port"]
    first, second = processes.free_ports(2)
    return first, second


def main() -> int:
    arguments = argparse.ArgumentParser(prog="python -m infra.local.cloud", description=__doc__)
    arguments.add_argument("verb", choices=["start", "stop", "status"])
    arguments.add_argument("--home", type=Path, default=REPOSITORY / ".crosshaul/demo")
    chosen = arguments.parse_args()
    running = start(chosen.home) if chosen.verb == "start" else status(chosen.home)
    if running is None:
        print("not running")
        return 0 if chosen.verb == "stop" else 1
    if chosen.verb == "stop":
        stop(running)
        print("stopped")
        return 0
    print(f"{running.endpoint}  MQTT {running.mqtt_port}  pid {running.pid}  log {_log(running.home)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
