"""How the updater gets a release: the published script, checked by its digest, makes one, and no more."""

import hashlib
import shlex
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from agent.cloud import http
from agent.errors import HostError
from agent.updating.releases import Releases
from events.commands import Update

MAX_SCRIPT_BYTES = 1024 * 1024
INSTALL_TIMEOUT_S = 1800
"""Seconds for everything that a script fetches and installs."""
RESTART = "systemctl restart crosshaul-agent"
_SAYS_ITS_VERSION = 60
_TAIL = 500


def installer(releases: Releases, prefix: str) -> Callable[[Update], str]:
    """`prefix` is what everything lies below; "" on a host of its own."""

    def install(order: Update) -> str:
        with tempfile.TemporaryDirectory(prefix="crosshaul-update-") as scratch:
            script = Path(scratch, "install.sh")
            script.write_bytes(_fetched(order))
            release = Path(_run(["bash", str(script), "release", *(["--prefix", prefix] if prefix else [])]))
        found = releases.folder / "releases" / release.name
        if release != found:
            raise HostError(f"the script of {order.version} installed into {release}, not beside the others")
        _check_version(found, order.version)
        return found.name

    return install


def restarter(command: str) -> Callable[[], None]:
    """A start that fails is no reason to stop: the version that is to run will not report healthy."""

    def restart() -> None:
        subprocess.run(shlex.split(command), stdin=subprocess.DEVNULL, timeout=120, check=False)

    return restart


def _fetched(order: Update) -> bytes:
    whole = urlsplit(order.script)
    try:
        with http.client(f"{whole.scheme}://{whole.netloc}") as client:
            content = client.get(whole.path).content[: MAX_SCRIPT_BYTES + 1]
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise HostError(f"{order.script} cannot be fetched: {error}") from error
    if hashlib.sha256(content).hexdigest() != order.digest:
        raise HostError(f"{order.script} is not what was published: its digest differs")
    return content


def _check_version(release: Path, version: str) -> None:
    said = _run([str(release / "bin/crosshaul"), "--version"], _SAYS_ITS_VERSION).split()
    if version not in said:
        raise HostError(f"what was installed says it is {' '.join(said)}, not {version}")


def _run(command: list[str], patience: float = INSTALL_TIMEOUT_S) -> str:
    """What it prints."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=patience, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise HostError(f"{Path(command[0]).name} took longer than {patience:.0f} s") from error
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())[-_TAIL:]
        raise HostError(f"installing failed: {said}")
    return done.stdout.strip()
