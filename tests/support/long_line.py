"""A long line between two network namespaces: packets that wait, queue up and get lost.

It needs root, /dev/net/tun, `ip` of iproute2, `nsenter` and a C compiler. `tc netem` would do the same, but
not every kernel has it. The kernel's own TCP runs over this line, with the algorithm that `LineProfile` names
as the default of both hosts; `tests.support.network_proxy` only slows down what passes through a proxy.
"""

import ctypes
import fcntl
import os
import secrets
import shutil
import signal
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_PROGRAM = Path(__file__).with_suffix(".c")
_NETWORKS = Path("/run/netns")
_TUN = Path("/dev/net/tun")
_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_CLONE_NEWNET = 0x40000000
_DEVICE_PACKETS = 10_000
"""Packets that a device holds while the forwarding process waits for a processor."""


@dataclass(frozen=True)
class LineProfile:
    """What a line does to packets. Seconds, bits per second, bytes."""

    round_trip_s: float = 0.1
    jitter_s: float = 0.0
    """Longest extra delay of a packet; those behind it wait, too."""
    loss: float = 0.0
    """Share of packets that are lost, in each direction."""
    rate_bits: int = 200_000_000
    queue_bytes: int = 2_500_000
    """Bytes that wait in front of the line before further ones are dropped."""
    congestion_control: str = "reno"
    """The default of both hosts: one of those in net.ipv4.tcp_allowed_congestion_control."""


@dataclass(frozen=True)
class LongLine:
    """A line that is up; the two ends are called near and far."""

    near_address: str
    far_address: str
    near_network: Path
    far_network: Path
    pid: int
    """The process that forwards packets. While it is stopped, the line is silent."""

    def far(self, argv: list[str]) -> list[str]:
        """Return the command that runs `argv` at the far end."""
        return ["nsenter", f"--net={self.far_network}", *argv]

    @contextmanager
    def near(self) -> Iterator[None]:
        """Let this thread, and the processes and threads that it starts, be at the near end."""
        with Path("/proc/thread-self/ns/net").open() as before:
            _enter(self.near_network)
            try:
                yield
            finally:
                _set_namespace(before.fileno())

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Let nothing pass in either direction, and tell neither end, as when a cable is pulled."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)


def lacks() -> str | None:
    """Return why there can be no line on this machine, or None."""
    if os.geteuid() != 0:
        return "a line between network namespaces needs root"
    if not os.access(_TUN, os.R_OK | os.W_OK):
        return f"{_TUN} cannot be used"
    missing = [program for program in ("ip", "nsenter", "unshare", "cc") if _find(program) is None]
    if missing:
        return f"{', '.join(missing)} is not installed"
    trial = subprocess.run([str(_find("unshare")), "--net", "true"], capture_output=True, check=False)
    return "network namespaces are not allowed here, as in most containers" if trial.returncode else None


@contextmanager
def long_line(profile: LineProfile) -> Iterator[LongLine]:
    """Yield a line between two new namespaces, which are removed at the end.

    Raises:
        OSError: The system refuses a namespace or a device.
        subprocess.CalledProcessError: It refuses a setting, such as an unknown congestion control.
    """
    name = f"xh{secrets.token_hex(3)}"
    addresses = {"n": "10.99.0.1", "f": "10.99.0.2"}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="long-line-")))
        devices = {}
        for end, address in addresses.items():
            network = f"{name}{end}"
            _run("ip", "netns", "add", network)
            stack.callback(_run, "ip", "netns", "delete", network)
            devices[end] = _device(network)
            stack.callback(os.close, devices[end])
            other = addresses["f" if end == "n" else "n"]
            _run("ip", "-n", network, "link", "set", "lo", "up")
            _run("ip", "-n", network, "addr", "add", address, "peer", other, "dev", network)
            _run("ip", "-n", network, "link", "set", network, "txqueuelen", str(_DEVICE_PACKETS), "up")
            algorithm = f"net.ipv4.tcp_congestion_control={profile.congestion_control}"
            _run("nsenter", f"--net={_NETWORKS / network}", "sysctl", "-q", "-w", algorithm)
        process = _forwarder(folder, profile, devices["n"], devices["f"])
        stack.callback(process.wait)
        stack.callback(process.kill)
        networks = [_NETWORKS / f"{name}{end}" for end in addresses]
        yield LongLine(*addresses.values(), *networks, process.pid)


def _device(name: str) -> int:
    """Return the descriptor of a new TUN device, which is moved into the namespace of the same name."""
    descriptor = os.open(_TUN, os.O_RDWR)
    try:
        fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH", name.encode(), _IFF_TUN | _IFF_NO_PI))
        _run("ip", "link", "set", name, "netns", name)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _forwarder(folder: Path, profile: LineProfile, near: int, far: int) -> subprocess.Popen[bytes]:
    program = str(folder / "long_line")
    _run("cc", "-O2", "-Wall", "-Werror", "-o", program, str(_PROGRAM))
    delay_us, jitter_us = round(profile.round_trip_s * 500_000), round(profile.jitter_s * 1_000_000)
    numbers = [
        profile.rate_bits,
        profile.queue_bytes,
        delay_us,
        jitter_us,
        round(profile.loss * 1_000_000),
        1,
    ]
    process = subprocess.Popen([program, *map(str, [near, far, *numbers])], pass_fds=[near, far])
    with suppress(OSError):  # on a busy machine the line would otherwise be as slow as the machine
        os.sched_setscheduler(process.pid, os.SCHED_FIFO, os.sched_param(1))
    return process


def _enter(network: Path) -> None:
    descriptor = os.open(network, os.O_RDONLY)
    try:
        _set_namespace(descriptor)
    finally:
        os.close(descriptor)


def _set_namespace(descriptor: int) -> None:
    """Call setns(2), which Python has only from 3.12 on."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _find(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _run(*argv: str) -> None:
    subprocess.run([str(_find(argv[0])), *argv[1:]], check=True)
