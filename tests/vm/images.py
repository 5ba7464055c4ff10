"""Images of hosts: a root of Debian's packages on ext4, with kernel, systemd and an SSH server.

An image is made once and kept. A machine writes to a snapshot of it, which goes with the machine.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "mmdebstrap": "mmdebstrap",
    "mkfs.ext4": "e2fsprogs",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "apt-get": "apt",
}
"""Debian's package of each program that is needed here."""
_ON_THE_HOST = (
    # What an administrator's server has anyway,
    *("linux-image-cloud-amd64", "systemd", "systemd-sysv", "udev", "dbus", "kmod", "iproute2", "procps"),
    *("openssh-server", "login", "passwd", "sudo"),
    # and what docs/guides/agent.md asks for.
    *("python3", "python3-venv", "curl", "ca-certificates"),
)
_SIZE = "4G"
_NETWORK = "[Match]\nName=en*\n[Network]\nDHCP=yes\n"
_SOCKET = "[Socket]\nListenStream=127.0.0.1:%i\n[Install]\nWantedBy=sockets.target\n"
_PROXY = "[Service]\nExecStart=/lib/systemd/systemd-socket-proxyd 10.0.2.2:%i\n"
"""An embedded stage is on loopback only, so a host has ports of its machine on its own loopback."""


UNAVAILABLE = 69
"""EX_UNAVAILABLE of sysexits.h: nothing was tried."""


class CannotRunError(Exception):
    """Machines cannot run here; the message says why."""


@dataclass(frozen=True)
class GuestSystem:
    """A distribution and its Python."""

    title: str
    suite: str
    python: str


FAMILIES = {
    one.suite: one
    for one in (GuestSystem("Debian 12", "bookworm", "3.11"), GuestSystem("Debian 13", "trixie", "3.13"))
}


@dataclass(frozen=True)
class Image:
    family: GuestSystem
    folder: Path

    @property
    def disk(self) -> Path:
        return self.folder / "disk.ext4"

    @property
    def kernel(self) -> Path:
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        return self.folder / "initrd"

    @property
    def key(self) -> Path:
        """Return the SSH key of the image's root account."""
        return self.folder / "key"


def require_tools() -> None:
    """Raise CannotRunError if machines cannot run here."""
    if platform.machine() != "x86_64":
        raise CannotRunError(f"the images are for x86_64, and this machine is {platform.machine()}")
    require_programs(PROGRAMS)


def require_programs(programs: Mapping[str, str]) -> None:
    """Raise CannotRunError if one of these is missing, or if this is not root, who makes images.

    `programs` has Debian's package of each.
    """
    if missing := sorted({package for name, package in programs.items() if not shutil.which(name)}):
        raise CannotRunError(f"programs are missing: apt-get install {' '.join(missing)}")
    if os.getuid() != 0:
        raise CannotRunError("an image is made by root")


def image(family: GuestSystem, home: Path, mirror: str | None) -> Image:
    """Return the family's image in `home`, made if there is none.

    Raises:
        CannotRunError: There is no mirror, or it does not have the packages.
    """
    return Image(
        family,
        _kept(
            home / family.suite,
            Path(__file__),
            lambda new: _make(Image(family, new), mirror or _own_mirror()),
        ),
    )


def wheels(family: GuestSystem, home: Path, lock: Path) -> Path:
    """Return a directory in `home` with what the lock file names, for the family's Python.

    Raises:
        CannotRunError: This machine's registry does not have it.
    """
    return _kept(home / f"wheels-{family.python}", lock, lambda new: _download(family, lock, new))


def extracted(suite: str, architecture: str, package: str, home: Path, mirror: str | None) -> Path:
    """Return a root in `home` with a package for another processor, of which nothing was run here.

    Raises:
        CannotRunError: There is no mirror, or it does not have the package.
    """

    def make(new: Path) -> None:
        options = ("--variant=extract", f"--architectures={architecture}", f"--include={package}")
        _run("mmdebstrap", "--quiet", "--mode=root", *options, suite, str(new), mirror or _own_mirror())
        for name in ("bin", "lib"):
            if not (new / name).exists():
                (new / name).symlink_to(f"usr/{name}")  # which a script of the package makes

    return _kept(home / f"{suite}-{architecture}", Path(__file__), make)


def _kept(folder: Path, made_from: Path, make: Callable[[Path], None]) -> Path:
    """Return a directory that is made once for each content of the file that it is made from."""
    digest = hashlib.sha256(made_from.read_bytes()).hexdigest()
    kept = folder.with_name(f"{folder.name}-{digest[:12]}")
    if not kept.exists():
        unfinished = folder.with_name(f"{folder.name}.new")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        make(unfinished)
        unfinished.rename(kept)
    return kept


def _own_mirror() -> str:
    """Return the mirror of Debian that this machine's apt uses."""
    asked = ("--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian", "Label: Debian")
    found = subprocess.run(["apt-get", "indextargets", *asked], capture_output=True, text=True, check=True)
    if not (lines := found.stdout.split()):
        raise CannotRunError("apt knows no mirror of Debian here: apt-get update, or name one by --mirror")
    return lines[0]


def _make(building: Image, mirror: str) -> None:
    root = building.folder / "root"
    _run(
        "mmdebstrap",
        "--quiet",
        "--mode=root",
        "--variant=minbase",
        f"--include={','.join(_ON_THE_HOST)}",
        building.family.suite,
        str(root),
        mirror,
    )
    _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(building.key))
    for path, content in _settings(building):
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    (root / "root/.ssh").chmod(0o700)
    _run("chroot", str(root), "systemctl", "enable", "--quiet", "systemd-networkd", "ssh")
    shutil.copy(next((root / "boot").glob("vmlinuz-*")), building.kernel)
    shutil.copy(next((root / "boot").glob("initrd.img-*")), building.initrd)
    _run("mkfs.ext4", "-q", "-d", str(root), str(building.disk), _SIZE)
    shutil.rmtree(root)


def _settings(building: Image) -> Iterator[tuple[str, str]]:
    yield "etc/hostname", f"{building.family.suite}\n"
    yield "etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {building.family.suite}\n"
    yield "etc/resolv.conf", ""  # nothing outside is looked up
    yield "etc/fstab", "/dev/vda / ext4 defaults 0 1\n"
    yield "etc/systemd/network/en.network", _NETWORK
    yield "etc/systemd/system/to-host@.socket", _SOCKET
    yield "etc/systemd/system/to-host@.service", _PROXY
    yield "root/.ssh/authorized_keys", building.key.with_suffix(".pub").read_text()


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotRunError(f"{command[0]} failed:\n{done.stderr[-2000:]}")


def _download(family: GuestSystem, lock: Path, folder: Path) -> None:
    python = Path(sys.base_prefix, "bin/python3")
    _run(str(python), "-m", "pip", "download", "--quiet", *_pip_options(family, lock), "--dest", str(folder))


def _pip_options(family: GuestSystem, lock: Path) -> Sequence[str]:
    platforms = (f"--platform=manylinux_{version}_x86_64" for version in ("2_17", "2_28"))
    of_the_family = (f"--python-version={family.python}", *platforms, "--platform=manylinux2014_x86_64")
    return ("--no-deps", "--only-binary=:all:", "--require-hashes", "-r", str(lock), *of_the_family)
