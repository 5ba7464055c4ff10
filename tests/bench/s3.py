"""Between a directory and a bucket: the agent's own mover, rclone, s5cmd and the AWS CLI.

The agent runs before the clock starts, as for the lane; the clock runs from the Move command to the result.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from events.commands import Move, S3Route
from events.locations import AgentLocation, S3Location
from events.options import Options
from tests.bench.bucket import PREFIX, ObjectFolder
from tests.bench.lane import HOP, TIMEOUT_S, TRANSFER, LaneHost, RunningHop, host_command
from tests.bench.lane_host import KEYS, REGION, ROOT
from tests.bench.rclone import CLEAN_CONFIG
from tests.bench.tools import CommandSession, FailedError, Job, RunningTool, Tool, ToolSession, as_shown, find


class AgentSession:
    """One agent that is told to pull or push."""

    command = "a hop between S3 and the agent, which is running (python -m tests.bench.lane_host mover)"

    def __init__(self, job: Job) -> None:
        folders = [job.scratch / name for name in ("keys", "state")]
        for folder in folders:
            folder.mkdir()
        bucket = _bucket(job)
        self._order = _order(bucket)
        local = job.destination if bucket.direction == "pull" else job.source
        self._host = LaneHost(host_command("mover", folders[0], local, folders[1]), job.scratch / "tool.log")
        self._host.receive(TIMEOUT_S)
        self.far: list[int] = []
        self.near = [self._host.pid]

    def start(self) -> RunningTool:
        self._host.tell(move=self._order.model_dump(mode="json"))
        return RunningHop(self._host)

    def close(self) -> None:
        self._host.kill()


def _order(bucket: ObjectFolder) -> Move:
    here = AgentLocation(agent_id="server-b", path=f"{ROOT}/")
    there = S3Location(bucket=bucket.name, prefix=PREFIX)
    pulls = bucket.direction == "pull"
    return Move(
        transfer_id=TRANSFER,
        hop_id=HOP,
        attempt=1,
        source=there if pulls else here,
        destination=here if pulls else there,
        route=S3Route(region=REGION, endpoint=bucket.endpoint),
        options=Options(),
    )


@contextmanager
def _agent(job: Job) -> Iterator[ToolSession]:
    session = AgentSession(job)
    try:
        yield session
    finally:
        session.close()


@contextmanager
def _rclone(job: Job) -> Iterator[ToolSession]:
    """Copy with as few requests as rclone can: without a HEAD for a modification time or after an upload."""
    bucket = _bucket(job)
    remote = [
        "--s3-provider=AWS",
        f"--s3-endpoint={bucket.endpoint}",
        f"--s3-region={REGION}",
        "--s3-env-auth",
        "--s3-no-check-bucket",
        "--s3-use-data-integrity-protections=false",  # trailing checksums need TLS
        "--s3-use-unsigned-payload=true",  # the hash of a signed one has to be read first
        "--fast-list",
    ]
    many = ["--transfers=64", "--checkers=64", "--multi-thread-streams=8", "--multi-thread-cutoff=32M"]
    if bucket.direction == "pull":
        few = ["--use-server-modtime", "--s3-no-head-object", "--multi-thread-chunk-size=16M"]
    else:
        few = ["--s3-no-head", "--s3-upload-cutoff=32M", "--s3-chunk-size=16M", "--s3-upload-concurrency=8"]
    argv = ["rclone", "copy", *_ends(job, bucket, f":s3:{bucket.name}/{PREFIX}"), *remote, *many, *few]
    yield _command(argv, job, CLEAN_CONFIG)


@contextmanager
def _aws(job: Job) -> Iterator[ToolSession]:
    bucket = _bucket(job)
    settings = job.scratch / "config"
    settings.write_text(
        f"[default]\nregion = {REGION}\nrequest_checksum_calculation = when_required\n"
        "s3 =\n  max_concurrent_requests = 64\n  addressing_style = path\n"
    )
    ends = _ends(job, bucket, f"s3://{bucket.name}/{PREFIX}")
    argv = ["aws", "--endpoint-url", bucket.endpoint, "s3", "cp", "--recursive", "--only-show-errors", *ends]
    yield _command(argv, job, {"AWS_CONFIG_FILE": str(settings)})


@contextmanager
def _s5cmd(job: Job) -> Iterator[ToolSession]:
    bucket = _bucket(job)
    there = f"s3://{bucket.name}/{PREFIX}"
    source, target = _ends(job, bucket, there)
    ends = (f"{source}*", f"{target}/") if bucket.direction == "pull" else (f"{source}/", target)
    argv = ["s5cmd", "--endpoint-url", bucket.endpoint, "--log", "error", "cp", *ends]
    yield _command(argv, job, {"AWS_REGION": REGION})


def _ends(job: Job, bucket: ObjectFolder, there: str) -> tuple[str, str]:
    """Return source and destination of a command."""
    pulls = bucket.direction == "pull"
    return (there, str(job.destination)) if pulls else (str(job.source), there)


def _command(argv: list[str], job: Job, environment: dict[str, str]) -> CommandSession:
    program = [str(find(argv[0])), *argv[1:]]
    return CommandSession(program, as_shown(argv, job), job.scratch / "tool.log", [], environment | KEYS)


def _bucket(job: Job) -> ObjectFolder:
    if job.bucket is None:
        raise FailedError("this case has no bucket")
    return job.bucket


AGENT = Tool("agent", _agent, uses_bucket=True)
RCLONE_BUCKET = Tool("rclone", _rclone, ("rclone",), uses_bucket=True)
S5CMD = Tool("s5cmd", _s5cmd, ("s5cmd",), uses_bucket=True)
AWS_CLI = Tool("aws-cli", _aws, ("aws",), uses_bucket=True)
