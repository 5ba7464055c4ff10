"""A host in a chroot: a new root directory with this machine's /usr, read-only, and no systemd.

It also has wheels of the packages installed here, so that a host there installs without a registry.
"""

import base64
import hashlib
import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from tests.support.waiting import HANG_TIMEOUT_S

_OF_THE_SYSTEM = ("bin", "sbin", "lib", "lib64")
_COPIED = (
    "pam.d",
    "login.defs",
    "nsswitch.conf",
    "alternatives",
    "security",
    "ssl",
    "ld.so.cache",
    "debian_version",
)
_ENTER = """
set -e
mount --rbind /usr "$0/usr"
mount -o remount,bind,ro "$0/usr"
mount --bind "$0/local" "$0/usr/local"
mount --rbind /dev "$0/dev"
mount --rbind /proc "$0/proc"
exec chroot "$0" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin HOME=/root "$@"
"""


class ChrootHost:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in (
            "usr",
            "local/bin",
            "local/lib",
            "dev",
            "proc",
            "etc",
            "var/lib",
            "tmp",
            "root",
            "data",
            "srv/wheels",
        ):
            (folder / name).mkdir(parents=True)
        (folder / "tmp").chmod(0o1777)
        for name in _OF_THE_SYSTEM:
            (folder / name).symlink_to(f"usr/{name}")
        for name in filter(lambda name: Path("/etc", name).exists(), _COPIED):
            copy = shutil.copytree if Path("/etc", name).is_dir() else shutil.copy
            copy(
                Path("/etc", name),
                folder / "etc" / name,
                **({"symlinks": True} if copy is shutil.copytree else {}),
            )
        (folder / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\n")
        (folder / "etc/group").write_text("root:x:0:\n")
        (folder / "etc/shadow").write_text("root:*:20000:0:99999:7:::\n")
        (folder / "etc/hosts").write_text("127.0.0.1 localhost\n")
        sudo = folder / "local/bin/sudo"
        sudo.write_text('#!/bin/sh\nexec "$@"\n')
        sudo.chmod(0o755)

    def run(self, line: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a shell line as root, mapped to an unprivileged user if the tests do not run as root."""
        alone = ["unshare", "--mount", *(() if os.geteuid() == 0 else ("--map-root-user", "--map-auto"))]
        given = [f"{name}={value}" for name, value in env.items()]
        command = [
            *alone,
            "bash",
            "-c",
            _ENTER,
            str(self.folder),
            *given,
            "bash",
            "-c",
            f"cd /root && {line}",
        ]
        return subprocess.run(command, capture_output=True, text=True, timeout=HANG_TIMEOUT_S, check=False)

    def files(self) -> dict[str, str]:
        """Return every file's content by path."""
        found = (path for path in self.folder.rglob("*") if not path.is_dir() or path.is_symlink())
        return {str(path.relative_to(self.folder)): _content(path) for path in found}

    def wheels(self, names: list[str]) -> Path:
        """Put wheels of the packages into /srv/wheels and return their lock file."""
        lines = []
        for name in names:
            wheel = repacked(distribution(name), self.folder / "srv/wheels")
            digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
            lines.append(f"{name}=={distribution(name).version} --hash=sha256:{digest}\n")
        lock = self.folder / "srv/agent.txt"
        lock.write_text("".join(lines))
        return lock


def _content(path: Path) -> str:
    return str(path.readlink()) if path.is_symlink() else hashlib.sha256(path.read_bytes()).hexdigest()


def repacked(installed: Distribution, folder: Path) -> Path:
    """Build a wheel from an installed distribution."""
    about = installed.read_text("WHEEL") or ""
    tag = [line.partition(": ")[2] for line in about.splitlines() if line.startswith("Tag: ")][-1]
    info = f"{installed.name.replace('-', '_')}-{installed.version}.dist-info"
    wheel = folder / f"{info.removesuffix('.dist-info')}-{tag}.whl"
    record = []
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content, mode in _files(installed):
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            record.append(f"{name},sha256={digest},{len(content)}\n")
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            archive.writestr(entry, content)
        place = next(name for name, _, _ in _files(installed) if name.endswith(".dist-info/WHEEL"))
        archive.writestr(place.replace("/WHEEL", "/RECORD"), "".join(record))
    return wheel


def _files(installed: Distribution) -> Iterator[tuple[str, bytes, int]]:
    """Yield name, content and mode of each file; the mode keeps programs executable."""
    left_out = ("INSTALLER", "REQUESTED", "RECORD", "direct_url.json", "uv_cache.json")
    for file in installed.files or ():
        if file.parts[0] != ".." and file.suffix != ".pyc" and file.name not in left_out:
            path = Path(str(installed.locate_file(file)))
            yield str(file), path.read_bytes(), path.stat().st_mode
