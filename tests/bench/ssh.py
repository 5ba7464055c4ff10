"""A private sshd on loopback, with its own keys and configuration, and the tools that use it."""

import shlex
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.local.processes import free_port
from tests.bench.serving import until_answers
from tests.bench.tools import CommandSession, Job, Process, Tool, ToolSession, as_shown, find

CIPHER = "aes128-gcm@openssh.com"

SSHD = """\
ListenAddress {address}
Port {port}
HostKey {keys}/host
AuthorizedKeysFile {keys}/client.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
MaxStartups 64
MaxSessions 64
LogLevel ERROR
"""
SSH = """\
Host far
  HostName {address}
  Port {port}
  HostKeyAlias far
  IdentityFile {keys}/client
  IdentitiesOnly yes
  UserKnownHostsFile {keys}/known
  BatchMode yes
  Ciphers {cipher}
  Compression no
"""


@dataclass(frozen=True)
class Sshd:
    process: Process
    port: int
    """Port to dial."""
    config: Path
    """Configuration for ssh -F, which names the server `far`."""


@contextmanager
def sshd(job: Job) -> Iterator[Sshd]:
    keys, port = job.scratch, free_port()
    for name in ("host", "client"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(keys / name)], check=True)
    (keys / "known").write_text("far " + (keys / "host.pub").read_text())
    (keys / "sshd_config").write_text(SSHD.format(address=job.address, port=port, keys=keys))
    program = str(find("sshd"))  # sshd re-executes itself and needs its absolute path
    _separation()
    process = Process(
        job.at_far([program, "-D", "-e", "-f", str(keys / "sshd_config")]), log=keys / "sshd.log"
    )
    try:
        until_answers(job.address, port, process)
        dialed = job.dial(port)
        config = keys / "ssh_config"
        config.write_text(SSH.format(address=job.address, port=dialed, keys=keys, cipher=CIPHER))
        yield Sshd(process, dialed, config)
    finally:
        process.end()


def _separation() -> None:
    """Create the privilege separation directory that sshd needs as root."""
    import os

    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)


Words = Callable[[Job, Sshd], list[str]]


def _over_ssh(words: Words) -> Callable[[Job], AbstractContextManager[ToolSession]]:
    @contextmanager
    def prepare(job: Job) -> Iterator[ToolSession]:
        with sshd(job) as server:
            argv = words(job, server)
            yield CommandSession(argv, as_shown(argv, job), job.scratch / "tool.log", [server.process.pid])

    return prepare


def _rsync(job: Job, server: Sshd) -> list[str]:
    """Write whole files in place; resume interrupted ones as rsync's manual recommends."""
    how = ["--inplace", "--append-verify"] if job.resumes else ["--whole-file", "--inplace"]
    return ["rsync", "-a", *how, "-e", f"ssh -F {server.config}", f"{job.source}/", f"far:{job.destination}/"]


def _scp(job: Job, server: Sshd) -> list[str]:
    return ["scp", "-F", str(server.config), "-q", "-r", "-p", *_things(job), f"far:{job.destination}/"]


def _sftp(job: Job, server: Sshd) -> list[str]:
    """Use many large requests in flight; `-a` resumes a partial file."""
    verb = "put -a -p -R" if job.resumes else "put -p -R"
    batch = job.scratch / "batch"
    if job.resumes:  # it resumes only a file that exists
        for thing in _things(job):
            (job.destination / Path(thing).name).touch()
    places = [(thing, f"{job.destination}/{Path(thing).name}") for thing in _things(job)]
    batch.write_text("".join(f"{verb} {_quoted(here)} {_quoted(there)}\n" for here, there in places))
    return ["sftp", "-F", str(server.config), "-q", "-B", "261120", "-R", "64", "-b", str(batch), "far"]


def _tar(job: Job, server: Sshd) -> list[str]:
    pack = f"tar -C {shlex.quote(str(job.source))} -b 512 -cf - ."
    unpack = shlex.quote(f"tar -C {shlex.quote(str(job.destination))} -b 512 -xf -")
    ssh = f"ssh -F {shlex.quote(str(server.config))} far"
    return ["bash", "-o", "pipefail", "-c", f"{pack} | {ssh} {unpack}"]


def _things(job: Job) -> list[str]:
    return sorted(str(path) for path in job.source.iterdir())


def _quoted(path: str) -> str:
    return '"' + path.replace('"', '\\"') + '"'


RSYNC = Tool("rsync", _over_ssh(_rsync), ("rsync", "ssh", "sshd"))
SCP = Tool("scp", _over_ssh(_scp), ("scp", "sshd"), compares=False)
SFTP = Tool("sftp", _over_ssh(_sftp), ("sftp", "sshd"), compares=False)
TAR = Tool("tar", _over_ssh(_tar), ("tar", "ssh", "sshd"), compares=False)
