"""Where transfers of the campaign begin and end: a server's root, S3, or a remote."""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import xxhash

from tests.faults.trees import DIRECTORY, Tree, is_file, snapshot


class Place(Protocol):
    """One end of a transfer."""

    @property
    def location(self) -> str:
        """Where it is, as a transfer names it."""

    @property
    def holds_only_files(self) -> bool:
        """Whether it can hold neither directories nor links, nor names that are not UTF-8."""

    @property
    def does_not_take(self) -> bytes:
        """A character in names that this stand-in does not take, though the real thing does."""

    def fill(self, make_tree: Callable[[Path], None]) -> None:
        """Put a tree here, as far as this place can hold it; `make_tree` makes it in a new directory."""

    def content(self) -> Tree:
        """Return what is here."""

    def delete(self) -> None:
        """Remove everything."""


@dataclass(frozen=True)
class Folder:
    """A directory, below a server's root or in a remote."""

    location: str
    path: Path
    holds_only_files: bool = False

    @property
    def does_not_take(self) -> bytes:
        """U+201B for remotes: rclone doubles it in the names of local files, and does not find them again."""
        return "\u201b".encode() if self.holds_only_files else b""

    def fill(self, make_tree: Callable[[Path], None]) -> None:
        make_tree(self.path)
        if self.holds_only_files:
            for name, content in snapshot(self.path).items():
                if not is_file(name, content) and content != DIRECTORY:
                    (self.path / _text(name)).unlink()

    def content(self) -> Tree:
        return snapshot(self.path) if self.path.exists() else {}

    def delete(self) -> None:
        if not self.path.exists():
            return
        for path in self.path.rglob("*"):
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o700)
        shutil.rmtree(self.path)


@dataclass(frozen=True)
class Prefix:
    """A prefix of a bucket."""

    s3: Any
    bucket: str
    prefix: str
    holds_only_files: bool = field(default=True, init=False)
    does_not_take: bytes = field(default=b"\n", init=False)
    """In the embedded cloud, `*` in a policy does not match it."""

    @property
    def location(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"

    def fill(self, make_tree: Callable[[Path], None]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            tree = Path(folder) / "tree"
            make_tree(tree)
            for name, content in snapshot(tree).items():
                if is_file(name, content):
                    body = (tree / _text(name)).read_bytes()
                    self.s3.put_object(Bucket=self.bucket, Key=self.prefix + _text(name), Body=body)

    def content(self) -> Tree:
        found: Tree = {}
        for key in self._keys():
            body = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
            found[key.removeprefix(self.prefix).encode()] = (
                f"{len(body)} bytes {xxhash.xxh3_128(body).hexdigest()}"
            )
        return found

    def delete(self) -> None:
        for key in self._keys():
            self.s3.delete_object(Bucket=self.bucket, Key=key)

    def _keys(self) -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix)
        return [one["Key"] for page in pages for one in page.get("Contents", [])]


def _text(name: bytes) -> str:
    return name.decode(errors="surrogateescape")
