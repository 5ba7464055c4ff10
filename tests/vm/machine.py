"""A virtual machine under qemu, driven over SSH. Its network is qemu's own: it reaches this machine only."""

import contextlib
import json
import os
import shlex
import socket
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.local.environment import until
from infra.local.processes import free_port
from tests.vm.images import Image

BOOT_TIMEOUT_S = 900
"""Seconds for a boot; software emulation on a busy machine takes minutes."""
_KVM_PROBE_S = 30
COMMAND_TIMEOUT_S = 1800
_MEMORY_MIB = 1536
_KERNEL_OPTIONS = "root=/dev/vda rw console=ttyS0 no_timer_check"
"""Under software emulation on a busy machine, the kernel's check of its timer fails."""


@dataclass(frozen=True)
class Done:
    """A command that has ended, with its output."""

    code: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"exit code {self.code}\n{self.out[-4000:]}\n{self.err[-4000:]}"


@dataclass
class Machine:
    """A running machine; everything in it is done by root."""

    image: Image
    folder: Path
    ssh_port: int
    lane_port: int
    """Port at which this machine, and so the host's agent, reaches the same port of the virtual one."""
    process: subprocess.Popen[bytes]

    def try_(self, line: str, stdin: str = "") -> Done:
        """Run a shell line, whatever its exit code."""
        done = subprocess.run(
            [*self._ssh, f"bash -c {shlex.quote(line)}"],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def run(self, line: str, stdin: str = "") -> str:
        """Run a shell line and return its output.

        Raises:
            AssertionError: It failed; the message has its output.
        """
        done = self.try_(line, stdin)
        assert done.code == 0, f"{line}: {done}"
        return done.out

    def python(self, program: Path, *arguments: str, python: str = "python3") -> str:
        """Run a program of the standard library and return its output."""
        return self.run(f"{python} - {shlex.join(arguments)}", program.read_text())

    def wait_until_booted(self) -> None:
        until("SSH", self._answers, BOOT_TIMEOUT_S, interval_s=1)
        until("the end of the boot", self._has_booted, BOOT_TIMEOUT_S, interval_s=1)

    def _answers(self) -> bool:
        log = self.folder / "qemu.log"
        assert self.process.poll() is None, f"qemu has ended:\n{log.read_text()}\n{self.console[-2000:]}"
        return self.try_("true").code == 0

    def _has_booted(self) -> bool:
        state = self.try_("systemctl is-system-running").out.strip()
        assert state != "degraded", self.run("systemctl --failed --no-legend")
        return state == "running"

    def reboot(self) -> None:
        """Restart the system, as an administrator does."""
        self._begin_boot(lambda: self.try_("systemctl reboot"))

    def cut_power(self) -> None:
        """Reset the machine: what was not written to the disk is lost."""
        self._begin_boot(lambda: self._monitor("system_reset"))

    def _begin_boot(self, begin) -> None:
        before = self.run("cat /proc/sys/kernel/random/boot_id")
        begin()
        self._disconnect()

        def is_another_boot() -> bool:
            done = self.try_("cat /proc/sys/kernel/random/boot_id")
            return done.code == 0 and done.out != before

        until("another boot", is_another_boot, BOOT_TIMEOUT_S, interval_s=1)
        self.wait_until_booted()

    @property
    def console(self) -> str:
        """Return what the kernel and systemd have written to the serial console."""
        return (self.folder / "console.log").read_text(errors="replace")

    @property
    def _ssh(self) -> Sequence[str]:
        options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")
        waits = ("ConnectTimeout=60", "ServerAliveInterval=10", "ServerAliveCountMax=6", "BatchMode=yes")
        # One connection for all commands: in software emulation, a log-in may take half a minute.
        shared = ("ControlMaster=auto", f"ControlPath={self.folder}/ssh", "ControlPersist=yes")
        flags = [part for option in (*options, *waits, *shared) for part in ("-o", option)]
        return ("ssh", *flags, "-i", str(self.image.key), "-p", str(self.ssh_port), "root@127.0.0.1")

    def _disconnect(self) -> None:
        subprocess.run([*self._ssh, "-O", "exit"], capture_output=True, check=False)

    def _monitor(self, command: str) -> dict:
        with socket.socket(socket.AF_UNIX) as channel:
            channel.connect(str(self.folder / "monitor"))
            with channel.makefile("rw") as lines:
                lines.readline()  # the greeting
                for name in ("qmp_capabilities", command):
                    lines.write(json.dumps({"execute": name}) + "\n")
                    lines.flush()
                    while "return" not in (answer := json.loads(lines.readline())):
                        assert "error" not in answer, answer
        return answer["return"]

    def stop(self) -> None:
        self._disconnect()
        self.process.terminate()
        self.process.wait()


def accelerator(image: Image) -> str:
    """Return `kvm` if a kernel starts with it here, else `tcg`.

    The device alone tells little: in a sandbox it may be there without working.
    """
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    command = [*_base("kvm"), "-serial", "stdio", *_kernel(image)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_KVM_PROBE_S, check=False)
        said = done.stdout
    except subprocess.TimeoutExpired as error:  # without a disk it never ends by itself
        said = error.stdout or b""
    return "kvm" if b"Linux version" in said else "tcg"


@contextlib.contextmanager
def booted(image: Image, folder: Path, accelerator: str) -> Iterator[Machine]:
    """Yield a booted machine, which is gone afterwards with what it wrote to its disk."""
    folder.mkdir(parents=True)
    ssh_port, lane_port = free_port(), free_port()
    with (folder / "qemu.log").open("wb") as log:
        process = subprocess.Popen(
            _command(image, folder, accelerator, ssh_port, lane_port),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "TMPDIR": str(folder)},
            start_new_session=True,
        )
    machine = Machine(image, folder, ssh_port, lane_port, process)
    try:
        machine.wait_until_booted()
        yield machine
    finally:
        machine.stop()


def _command(image: Image, folder: Path, accelerator: str, ssh_port: int, lane_port: int) -> Sequence[str]:
    forwards = (f"hostfwd=tcp:127.0.0.1:{ssh_port}-:22", f"hostfwd=tcp:127.0.0.1:{lane_port}-:{lane_port}")
    return (
        *_base(accelerator),
        *_kernel(image),
        *("-serial", f"file:{folder}/console.log", "-qmp", f"unix:{folder}/monitor,server=on,wait=off"),
        *("-drive", f"file={image.disk},format=raw,if=virtio,snapshot=on"),
        *("-netdev", ",".join(("user", "id=net", "ipv6=off", *forwards))),
        *("-device", "virtio-net-pci,netdev=net", "-device", "virtio-rng-pci"),
    )


def _base(accelerator: str) -> Sequence[str]:
    size = ("-smp", "2", "-m", str(_MEMORY_MIB))
    machine = ("-machine", "q35", "-accel", accelerator, "-cpu", "max")
    return ("qemu-system-x86_64", *machine, *size, "-nodefaults", "-display", "none")


def _kernel(image: Image) -> Sequence[str]:
    return ("-kernel", str(image.kernel), "-initrd", str(image.initrd), "-append", _KERNEL_OPTIONS)
