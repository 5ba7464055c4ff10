"""The bucket of one run: a stand-in for S3, in a process of its own, whose answers take 30 ms.

python -m tests.bench.bucket DELAY_S    prints {"port": 1}, then answers JSON lines on standard input:
{"load": FOLDER}                        makes an object of each file
{"save": FOLDER}                        makes a file of each object
{"requests": true}                      says how many requests have arrived
"""

import hashlib
import json
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from awscrt import checksums

from tests.bench.workloads import files_of
from tests.support.s3_server import S3Server

Direction = Literal["pull", "push"]
DELAY_S = 0.030
"""From a request's last byte to the first of its answer."""
PREFIX = "tree/"


@dataclass(frozen=True)
class ObjectFolder:
    """Where a tool finds the objects, and whether it pulls or pushes them."""

    direction: Direction
    endpoint: str
    name: str
    process: "subprocess.Popen[bytes]"

    def load(self, folder: Path) -> None:
        self._ask(load=str(folder))

    def save(self, folder: Path) -> None:
        self._ask(save=str(folder))

    def requests(self) -> int:
        """Return how many requests have arrived so far."""
        return int(self._ask(requests=True)["requests"])

    def _ask(self, **words: object) -> dict[str, Any]:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(words).encode() + b"\n")
        self.process.stdin.flush()
        return _answer(self.process)


@contextmanager
def bucket(direction: Direction) -> Iterator[ObjectFolder]:
    """Start an empty bucket."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.bucket", str(DELAY_S)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        started = _answer(process)
        yield ObjectFolder(direction, f"http://127.0.0.1:{started['port']}", started["bucket"], process)
    finally:
        process.terminate()
        process.communicate()


def _answer(process: "subprocess.Popen[bytes]") -> dict[str, Any]:
    assert process.stdout
    line = process.stdout.readline()
    if not line:
        raise OSError(f"the stand-in for S3 ended with code {process.wait()}")
    answer: dict[str, Any] = json.loads(line)
    return answer


def _load(server: S3Server, folder: Path) -> None:
    """Make an object of each file, with the ETag and the checksum that S3 itself adds to each."""
    for path in files_of(folder):
        data = path.read_bytes()
        server.put(
            PREFIX + str(path.relative_to(folder)),
            data,
            etag=f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"',
            x_amz_checksum_crc64nvme=b64encode(checksums.crc64nvme(data).to_bytes(8)).decode(),
            x_amz_checksum_type="FULL_OBJECT",
        )


def _save(server: S3Server, folder: Path) -> None:
    for key, stored in server.objects.items():
        path = folder / key.removeprefix(PREFIX)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(stored.data)


def _serve(delay_s: float) -> None:
    with S3Server(delay_s=delay_s) as server:
        print(json.dumps({"port": int(server.url.rpartition(":")[2]), "bucket": server.bucket}), flush=True)
        for line in sys.stdin:
            match json.loads(line):
                case {"load": folder}:
                    _load(server, Path(folder))
                case {"save": folder}:
                    _save(server, Path(folder))
            print(json.dumps({"requests": len(server.requests)}), flush=True)


if __name__ == "__main__":
    _serve(float(sys.argv[1]))
