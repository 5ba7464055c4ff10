"""Install a release for the updater: run the published script, after checking its digest.

Afterward what was installed is compared with what the publisher has signed.
"""

import contextlib
import hashlib
import shlex
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from agent.cloud import http
from agent.errors import UpdateError
from agent.problems import (
    UPDATE_MISPLACED,
    UPDATE_NOT_INSTALLED,
    UPDATE_OTHER_VERSION,
    UPDATE_PARTS_DIFFER,
    UPDATE_RCLONE_DIFFERS,
    UPDATE_SCRIPT_AWAY,
    UPDATE_SCRIPT_DIFFERS,
    UPDATE_SLOW,
    UPDATE_UNIT_DIFFERS,
)
from agent.updating.releases import Releases
from agent.updating.units import AGENT_UNIT, UPDATER_UNITS
from agent.updating.updater import Install
from events.commands import UpdateAgent
from events.releases import PublishedRelease

MAX_SCRIPT_BYTES = 1024 * 1024
"""Bytes of the installing script."""
INSTALL_TIMEOUT_S = 1800
"""Seconds for everything that a script fetches and installs."""
RESTART = "systemctl restart crosshaul-agent"
RESTART_TIMEOUT_S = 180
"""Seconds to wait for a restart. On a slow host it takes longer: the unit has ten minutes."""
VERSION_TIMEOUT_S = 60
"""Seconds for a release to print its version."""
MAX_OUTPUT_CHARS = 500
"""Characters of a failed command's output that are reported."""


def installer(releases: Releases, prefix: str) -> Install:
    """Return the function that installs a release; everything is below `prefix`, "" on a real host."""

    def install(update: UpdateAgent, signed: PublishedRelease) -> str:
        with tempfile.TemporaryDirectory(prefix="crosshaul-update-") as scratch:
            script = Path(scratch, "install.sh")
            script.write_bytes(_fetch(update))
            command = ["bash", str(script), "release", *(["--prefix", prefix] if prefix else [])]
            release = Path(_run(command, update.version))
        expected = releases.path(release.name)
        if release != expected:
            raise UpdateError(UPDATE_MISPLACED.problem(version=update.version, folder=release))
        try:
            _check_parts(expected, signed)
            _check_version(expected, update.version)
        except BaseException:  # each order would leave another one on the disk
            releases.delete_release(expected.name)
            raise
        return expected.name

    return install


def restarter(command: str, timeout_s: float = RESTART_TIMEOUT_S) -> Callable[[], None]:
    """Return the function that restarts the service; a failed or endless start is ignored.

    A version that does not start does not report healthy either.
    """

    def restart() -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(shlex.split(command), stdin=subprocess.DEVNULL, timeout=timeout_s, check=False)

    return restart


def _fetch(update: UpdateAgent) -> bytes:
    url = urlsplit(update.script)
    try:
        with http.client(f"{url.scheme}://{url.netloc}") as client, client.stream("GET", url.path) as answer:
            content = _read(answer)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UpdateError(UPDATE_SCRIPT_AWAY.problem(script=update.script, detail=error)) from error
    if hashlib.sha256(content).hexdigest() != update.digest:
        raise UpdateError(UPDATE_SCRIPT_DIFFERS.problem(script=update.script))
    return content


def _read(answer: httpx.Response) -> bytes:
    """Return the content, or as much of it as shows that it is too long."""
    content = b""
    for piece in answer.iter_bytes():
        content += piece
        if len(content) > MAX_SCRIPT_BYTES:
            break
    return content[: MAX_SCRIPT_BYTES + 1]


def _check_parts(release: Path, signed: PublishedRelease) -> None:
    """Compare what it was installed from, as the script says, and units and rclone with what is signed."""
    package, lock, *_ = [*(release / "installed-from").read_text(errors="replace").split(), "", ""]
    if (package, lock) != (signed.package, signed.lock):
        raise UpdateError(UPDATE_PARTS_DIFFER.problem(version=signed.version))
    for name in (AGENT_UNIT, *UPDATER_UNITS):
        if _digest(release / "units" / name) != signed.units.get(name):
            raise UpdateError(UPDATE_UNIT_DIFFERS.problem(version=signed.version, unit=name))
    program = release / "bin/rclone"  # if there is none, the host's own is used
    if program.exists() and _digest(program) not in signed.rclone:
        raise UpdateError(UPDATE_RCLONE_DIFFERS.problem(version=signed.version))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_version(release: Path, version: str) -> None:
    output = _run([str(release / "bin/crosshaul"), "--version"], version, VERSION_TIMEOUT_S).split()
    if version not in output:
        raise UpdateError(UPDATE_OTHER_VERSION.problem(found=" ".join(output), version=version))


def _run(command: list[str], version: str, timeout_s: float = INSTALL_TIMEOUT_S) -> str:
    """Run a command for the version and return its output.

    Raises UpdateError if it fails or takes too long.
    """
    try:
        process = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UpdateError(UPDATE_SLOW.problem(version=version, seconds=round(timeout_s))) from error
    if process.returncode:
        output = " ".join((process.stderr or process.stdout).split())[-MAX_OUTPUT_CHARS:]
        raise UpdateError(UPDATE_NOT_INSTALLED.problem(version=version, detail=output))
    return process.stdout.strip()
