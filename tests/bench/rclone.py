"""rclone between two servers: over sftp, from `serve http`, and to `serve s3`.

Also aria2, which downloads one file from `serve http` over many connections.
"""

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

from infra.local.processes import free_port
from tests.bench.certificates import Certificates, certificates
from tests.bench.serving import until_answers
from tests.bench.ssh import CIPHER, sshd
from tests.bench.tools import CommandSession, Job, Process, Tool, ToolSession, as_shown, find

CLEAN_CONFIG = {"RCLONE_CONFIG": "/dev/null"}
"""Environment without the user's own rclone configuration."""
CUTOFF = "32M"


def _copy(job: Job, *words: str, streams: int = 4) -> list[str]:
    """Return the command with the shared options: many files in parallel, and retries when interrupted."""
    many = ["--transfers", str(max(streams, 4) if job.one_file else 16), "--checkers", "16"]
    streaming = (
        ["--multi-thread-streams", str(streams), "--multi-thread-cutoff", CUTOFF]
        if streams > 1
        else [
            "--multi-thread-streams",
            "0",
        ]
    )
    again = ["--retries", "20", "--low-level-retries", "50"] if job.resumes else []
    return ["rclone", "copy", *words, *many, *streaming, *again]


@contextmanager
def _sftp(job: Job) -> Iterator[ToolSession]:
    """Pull, which is faster, since only a pull has several streams."""
    with sshd(job) as server:
        keys = job.scratch
        remote = [
            "--sftp-host",
            job.address,
            "--sftp-port",
            str(server.port),
            "--sftp-key-file",
            f"{keys}/client",
        ]
        known = keys / "known_by_port"
        known.write_text(f"[{job.address}]:{server.port} " + (keys / "host.pub").read_text())
        trust = ["--sftp-known-hosts-file", str(known), "--sftp-ciphers", CIPHER, "--sftp-user", _user()]
        fast = ["--sftp-chunk-size", "255k", "--sftp-concurrency", "64", "--sftp-disable-hashcheck"]
        argv = _copy(job, f":sftp:{job.source}", str(job.destination), *remote, *trust, *fast)
        yield _session(argv, job, server.process, CLEAN_CONFIG)


def _http(streams: int) -> Callable[[Job], AbstractContextManager[ToolSession]]:
    @contextmanager
    def prepare(job: Job) -> Iterator[ToolSession]:
        with _serving_http(job) as (server, url, own):
            tls = ["--http-url", url, "--ca-cert", own.certificate("server")]
            tls += ["--client-cert", own.certificate("client"), "--client-key", own.key("client")]
            unseen = [] if job.one_file or job.compares else ["--http-no-head"]
            yield _session(
                _copy(job, ":http:", str(job.destination), *tls, *unseen, streams=streams),
                job,
                server,
                CLEAN_CONFIG,
            )

    return prepare


@contextmanager
def _s3(job: Job) -> Iterator[ToolSession]:
    """Push; the bucket is the destination's folder. Keys stay off the command line."""
    own, port = certificates(job.scratch, job.address), free_port()
    access, secret = secrets.token_hex(10).upper(), secrets.token_hex(20)
    tls = ["--cert", own.certificate("server"), "--key", own.key("server")]
    served = ["serve", "s3", str(job.destination.parent), "--addr", f"{job.address}:{port}", *tls]
    with _server(served, job, port, CLEAN_CONFIG | {"RCLONE_AUTH_KEY": f'"{access},{secret}"'}) as server:
        remote = ["--s3-provider", "Rclone", "--s3-endpoint", f"https://{job.address}:{job.dial(port)}"]
        fast = ["--s3-upload-cutoff", "200M", "--s3-chunk-size", "64M", "--s3-upload-concurrency", "4"]
        where = [str(job.source), f":s3:{job.destination.name}"]
        argv = _copy(
            job, *where, *remote, *fast, "--s3-no-check-bucket", "--ca-cert", own.certificate("server")
        )
        keys = {"RCLONE_S3_ACCESS_KEY_ID": access, "RCLONE_S3_SECRET_ACCESS_KEY": secret}
        yield _session(argv, job, server, CLEAN_CONFIG | keys)


@contextmanager
def _aria2(job: Job) -> Iterator[ToolSession]:
    with _serving_http(job) as (server, url, own):
        tls = ["--ca-certificate", own.certificate("server")]
        tls += ["--certificate", own.certificate("client"), "--private-key", own.key("client")]
        fast = ["-x", "8", "-s", "8", "-k", "16M", "--file-allocation=falloc", "--disk-cache=64M"]
        again = ["-c", "-m", "0", "--retry-wait=0", "--auto-save-interval=1"] if job.resumes else []
        quiet = ["--no-conf", "-q", "--enable-dht=false", "--download-result=hide"]
        names = [url + path.name for path in job.source.iterdir()]
        argv = ["aria2c", *quiet, *fast, *again, *tls, "-d", str(job.destination), *names]
        yield _session(argv, job, server, {})


@contextmanager
def _serving_http(job: Job) -> Iterator[tuple[Process, str, Certificates]]:
    """Yield the server, the address to dial, and both certificates."""
    own, port = certificates(job.scratch, job.address), free_port()
    tls = [
        "--cert",
        own.certificate("server"),
        "--key",
        own.key("server"),
        "--client-ca",
        own.certificate("client"),
    ]
    served = ["serve", "http", str(job.source), "--addr", f"{job.address}:{port}", "--read-only", *tls]
    with _server(served, job, port, CLEAN_CONFIG) as server:
        yield server, f"https://{job.address}:{job.dial(port)}/", own


@contextmanager
def _server(words: list[str], job: Job, port: int, environment: Mapping[str, str]) -> Iterator[Process]:
    server = Process(job.at_far([str(find("rclone")), *words]), environment, job.scratch / "server.log")
    try:
        until_answers(job.address, port, server)
        yield server
    finally:
        server.end()


def _session(argv: list[str], job: Job, server: Process, environment: Mapping[str, str]) -> CommandSession:
    shown = as_shown(argv, job)
    program = [str(find(argv[0])), *argv[1:]]
    return CommandSession(program, shown, job.scratch / "tool.log", [server.pid], environment)


def _user() -> str:
    import getpass

    return getpass.getuser()


RCLONE_SFTP = Tool("rclone-sftp", _sftp, ("rclone", "sshd"))
RCLONE_HTTP = tuple(
    Tool(f"rclone-http-{streams}", _http(streams), ("rclone", "openssl")) for streams in (1, 4, 8)
)
RCLONE_S3 = Tool("rclone-s3", _s3, ("rclone", "openssl"))
ARIA2 = Tool("aria2", _aria2, ("aria2c", "rclone", "openssl"), many=False, compares=False)
