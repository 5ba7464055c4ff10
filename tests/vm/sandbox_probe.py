"""Try what a unit of Crosshaul may not do, inside its sandbox; print as JSON what was not refused.

python3 sandbox_probe.py agent|updater WRITABLE_DIRECTORY…
"""

import ctypes
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

_REFUSALS = {
    errno.EPERM,
    errno.EACCES,
    errno.EROFS,
    errno.EAFNOSUPPORT,
    errno.ENOENT,  # what is hidden
    errno.ESRCH,
}
_CLONE_NEWUSER = 0x10000000
_FINIT_MODULE = 313
_PTRACE_SEIZE = 0x4206
_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: object) -> None:
    """Call a function of the C library; raise OSError if it fails."""
    if getattr(_libc, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _write(folder: str) -> None:
    path = Path(folder, ".crosshaul-probe")
    path.write_text("probe")
    path.unlink()


def _give_away() -> None:
    path = Path(sys.argv[2], ".crosshaul-given-away")
    path.touch()
    try:
        os.chown(path, 1, 1)
    finally:
        path.unlink()


def _control_group() -> None:
    Path("/sys/fs/cgroup/crosshaul-probe").mkdir()
    Path("/sys/fs/cgroup/crosshaul-probe").rmdir()


def _device() -> None:
    path = Path("/tmp/crosshaul-probe-device")
    os.mknod(path, 0o060600, os.makedev(254, 0))
    path.unlink()


def _mount() -> None:
    _call("mount", b"none", b"/mnt", b"tmpfs", 0, None)
    _call("umount", b"/mnt")


def _kernel_setting() -> None:
    setting = Path("/proc/sys/kernel/printk_delay")
    setting.write_text(setting.read_text())


def _host_name() -> None:
    socket.sethostname(socket.gethostname())


def _clock() -> None:
    time.clock_settime(time.CLOCK_REALTIME, time.time())


def _low_port() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 81))


def _sudo() -> None:
    if subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode:
        raise PermissionError(errno.EPERM, "sudo")


BOTH: dict[str, Callable[[], object]] = {
    "write below /etc": lambda: _write("/etc"),
    "write below /usr": lambda: _write("/usr/local/bin"),
    "write below /boot": lambda: _write("/boot"),
    "change a kernel setting": _kernel_setting,
    "make a control group": _control_group,
    "read the disk": lambda: os.open("/dev/vda", os.O_RDONLY),
    "make a device": _device,
    "read the kernel's log": lambda: os.open("/dev/kmsg", os.O_RDONLY),
    "set the clock": _clock,
    "set the host's name": _host_name,
    "mount": _mount,
    "load a module": lambda: _call("syscall", _FINIT_MODULE, -1, b"", 0),
    "change how the host restarts": lambda: _call("reboot", 0),
    "listen to all packets": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close(),
    "send raw packets": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close(),
    "trace process 1": lambda: _call("ptrace", _PTRACE_SEIZE, 1, None, None),
    "give files away": _give_away,
    "run in real time": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
    "make a namespace": lambda: _call("unshare", _CLONE_NEWUSER),
}
OF_THE_AGENT: dict[str, Callable[[], object]] = {
    "write releases": lambda: _write("/opt/crosshaul"),
    "write units": lambda: _write("/etc/systemd/system"),
    "write its configuration": lambda: _write("/etc/crosshaul"),
    "read the passwords": lambda: Path("/etc/shadow").read_bytes(),
    "become root": lambda: os.setuid(0),
    "become root by sudo": _sudo,
    "listen on a low port": _low_port,
    "signal process 1": lambda: os.kill(1, signal.SIGCONT),
    "see other processes": lambda: Path("/proc/1/stat").read_bytes(),
}
OF_THE_UPDATER: dict[str, Callable[[], object]] = {
    "write to home directories": lambda: _write("/root"),
    "write to the roots": lambda: _write("/data"),
    "write logs": lambda: _write("/var/log"),
    "listen on a low port": _low_port,
}


def is_refused(what: Callable[[], object]) -> bool:
    """Return whether the system refuses this; that it fails for another reason is no refusal."""
    try:
        what()
    except OSError as error:
        return error.errno in _REFUSALS
    return False


if __name__ == "__main__":
    # The last of what both may not do changes what the process may do afterwards.
    tried = {"agent": OF_THE_AGENT, "updater": OF_THE_UPDATER}[sys.argv[1]] | BOTH
    refused = [path for path in sys.argv[2:] if is_refused(lambda path=path: _write(path))]
    possible = [name for name, what in tried.items() if not is_refused(what)]
    print(json.dumps({"tried": sorted(tried), "possible": sorted(possible), "refused": refused}))
