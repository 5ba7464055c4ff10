"""Build the install kit for publishing: wheel, lock file, systemd units and the install script.

The script holds the digests of the other files, so that its own digest covers all of them, and the
publisher's public keys, which root pins on each host.
"""

import hashlib
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from events.releases import ReleaseKey, UnitName
from infra import REPOSITORY

FOLDER = "install"
"""Folder of the kit below the console's URL."""
SCRIPT = "install.sh"
LOCK = REPOSITORY / "locks/agent.txt"
RCLONE = REPOSITORY / "locks/rclone.txt"
"""SHA-256 of the rclone program in the locked wheel of each platform, like the output of sha256sum."""
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
"""Machines, as `uname -m` names them, by rclone's names."""
_WHEEL_IS_MADE_OF = ("pyproject.toml", "README.md", "LICENSE", "agent", "events")
_UNITS: dict[str, UnitName] = {
    "unit": "crosshaul-agent.service",
    "updater": "crosshaul-update.service",
    "watch": "crosshaul-update.path",
}
"""Units by the install script's names for them."""
_EPOCH = "1767225600"
"""Timestamp of the files in the wheel, so that the same files make the same wheel."""
_BLANKS = (
    "kit='' package_part='' lock_part='' unit_part='' updater_part='' watch_part=''"
    " release_keys='' released_at='' rclone_parts='' rclone_own=''\n"
)


class KitError(RuntimeError):
    """The kit cannot be built from what was given."""


@dataclass(frozen=True, kw_only=True)
class Kit:
    version: str
    script_digest: str
    """SHA-256 of the install script, hexadecimal."""
    package_digest: str
    lock_digest: str
    unit_digests: dict[UnitName, str]
    rclone_digests: tuple[str, ...]
    released_at: int
    """Seconds since 1970."""
    files: Mapping[str, bytes]
    """Files by path below the console's URL, each under its own digest; the script comes last."""

    @property
    def script(self) -> str:
        return f"{FOLDER}/{self.script_digest}/{SCRIPT}"


def make(
    console_url: str,
    release_keys: Iterable[ReleaseKey],
    lock: Path = LOCK,
    source: Path = REPOSITORY,
    rclone: Mapping[str, bytes] | None = None,
    released_at: int | None = None,
) -> Kit:
    """Build the kit from the sources in `source`, to be published at `console_url`.

    Hosts that are installed with it trust `release_keys` for later releases. `rclone` is the program by
    machine (`x86_64`), from rclone's own release; hosts of other machines use the one in the locked package.
    `released_at` is in seconds since 1970, now by default: hosts refuse releases that are older.
    """
    released_at = int(time.time()) if released_at is None else released_at
    own = {f"{_digest(program)}/rclone-{machine}": program for machine, program in (rclone or {}).items()}
    expected = (*own, *(part for part in locked_rclone() if _machine(part) not in (rclone or {})))
    wheel, package = _wheel(source)
    others = {"lock": lock, **{which: source / "agent" / name for which, name in _UNITS.items()}}
    contents = {"package": (wheel, package)} | {
        which: (path.name, path.read_bytes()) for which, path in others.items()
    }
    names = {which: f"{_digest(content)}/{name}" for which, (name, content) in contents.items()}
    known = {
        "kit": f"{console_url}/{FOLDER}",
        **{f"{which}_part": name for which, name in names.items()},
        "release_keys": " ".join(release_keys),
        "released_at": str(released_at),
        "rclone_parts": " ".join(expected),
        "rclone_own": " ".join(own),
    }
    script = _filled_in(source, known)
    files = {f"{FOLDER}/{names[which]}": content for which, (_, content) in contents.items()}
    files |= {f"{FOLDER}/{name}": program for name, program in own.items()}
    digest = _digest(script)
    version = wheel.split("-")[1]
    return Kit(
        version=version,
        script_digest=digest,
        package_digest=_digest(contents["package"][1]),
        lock_digest=_digest(contents["lock"][1]),
        unit_digests={name: _digest(contents[which][1]) for which, name in _UNITS.items()},
        released_at=released_at,
        rclone_digests=tuple(part.partition("/")[0] for part in expected),
        files={**files, f"{FOLDER}/{digest}/{SCRIPT}": script},
    )


def locked_rclone() -> tuple[str, ...]:
    """Return the rclone in the locked package of each machine, as `DIGEST/rclone-MACHINE`."""
    lines = (line.split() for line in RCLONE.read_text().splitlines())
    return tuple(f"{digest}/rclone-{machine}" for digest, machine in lines)


def _machine(part: str) -> str:
    """Return the machine of `DIGEST/rclone-MACHINE`."""
    return part.partition("/rclone-")[2]


def released_rclone(archives: Iterable[Path], sums: Path) -> dict[str, bytes]:
    """Return the program by machine from archives of rclone's own release: `rclone-v1.75.2-linux-amd64.zip`.

    `sums` is the release's SHA256SUMS.

    Raises:
        KitError: An archive is not in it, is for another machine, or cannot be read.
    """
    try:
        lines = (line.partition("  ") for line in sums.read_text().splitlines())
        expected = {name: digest for digest, _, name in lines}
        return dict(_released(archive, expected.get(archive.name)) for archive in archives)
    except (OSError, UnicodeDecodeError, KeyError, zipfile.BadZipFile) as error:
        raise KitError(f"rclone's release cannot be read: {error}") from error


def _released(archive: Path, expected: str | None) -> tuple[str, bytes]:
    if expected != _digest(archive.read_bytes()):
        raise KitError(f"{archive} is not the archive that SHA256SUMS names")
    platform = archive.stem.rpartition("-")[2]
    if platform not in _MACHINES:
        raise KitError(f"{archive} is for {platform}, not for {' or '.join(_MACHINES)}")
    with zipfile.ZipFile(archive) as packed:
        return _MACHINES[platform], packed.read(f"{archive.stem}/rclone")


def _filled_in(source: Path, known: Mapping[str, str]) -> bytes:
    script = (source / "agent" / SCRIPT).read_text()
    if script.count(_BLANKS) != 1:
        raise ValueError(f"agent/{SCRIPT} lacks the lines that are filled in: {_BLANKS!r}")
    filled = " ".join(f"{variable}={shlex.quote(value)}" for variable, value in known.items())
    return script.replace(_BLANKS, f"{filled}\n").encode()


def _wheel(source: Path) -> tuple[str, bytes]:
    """Return the wheel's name and content; built from a copy, because setuptools leaves files behind."""
    with tempfile.TemporaryDirectory(prefix="crosshaul-kit-") as folder:
        built = _build(source, Path(folder))
        return built.name, built.read_bytes()


def _build(source: Path, folder: Path) -> Path:
    copy, built = folder / "source", folder / "built"
    copy.mkdir()
    for name in _WHEEL_IS_MADE_OF:
        path = source / name
        if path.is_dir():
            shutil.copytree(path, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, copy / name)
    program = f"from setuptools import build_meta; build_meta.build_wheel({str(built)!r})"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        cwd=copy,
        env={"SOURCE_DATE_EPOCH": _EPOCH, "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the wheel cannot be built:\n{done.stderr[-2000:]}")
    return next(built.glob("*.whl"))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
