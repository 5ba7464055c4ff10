"""Make the demonstration's files and check what arrived: names, kinds and digests, read from disk."""

import os
import random
from dataclasses import dataclass
from pathlib import Path

import xxhash

MIB = 1024 * 1024
CHUNK = 4 * MIB

BIG_FILE = "Interview Zoë – take 2.mov"
SMALL_FILES = 3000
ODD_NAMES = (
    "notes with spaces.txt",
    "Übersicht Köln.txt",
    "名前.txt",
    "emoji 🎬.txt",
    "100%+more.txt",
    "'quoted'.txt",
)


@dataclass(frozen=True)
class Difference:
    """A mismatch, `missing`, `extra` or `changed`, and the path below the two directories."""

    what: str
    path: str


def write_random(path: Path, size: int) -> None:
    """Write `size` random bytes, which neither compress nor deduplicate."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half_done = path.with_name(path.name + ".part")
    with half_done.open("wb") as file:
        for start in range(0, size, CHUNK):
            file.write(os.urandom(min(CHUNK, size - start)))
    half_done.rename(path)


def make_tree(folder: Path, big_file: int) -> None:
    """Make one file of `big_file` bytes, thousands of small files, empty ones, and odd names."""
    made = folder / ".made"
    if made.exists():
        return
    dice = random.Random(2)  # noqa: S311  # sizes, not secrets
    write_random(folder / BIG_FILE, big_file)
    for number in range(SMALL_FILES):
        write_random(folder / f"frames/reel {number // 500}/frame-{number:05}.dpx", dice.randrange(1, 8192))
    for name in ODD_NAMES:
        (folder / "names").mkdir(exist_ok=True)
        (folder / "names" / name).write_text(f"{name}\n", encoding="utf-8")
    for name in ("empty/nothing here", "empty/nested/deeper"):
        (folder / name).mkdir(parents=True)
    (folder / "empty/zero bytes.bin").touch()
    made.touch()


def digest(path: Path) -> str:
    """Return the file's xxh3-128, hexadecimal."""
    state = xxhash.xxh3_128()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            state.update(chunk)
    return state.hexdigest()


def listing(folder: Path) -> dict[str, str]:
    """Map each path below the folder to a file's digest, `directory`, or a link's target."""
    found: dict[str, str] = {}
    for parent, directories, files in os.walk(folder):
        for name in directories + files:
            path = Path(parent, name)
            found[str(path.relative_to(folder))] = _kind(path)
    return found


def _kind(path: Path) -> str:
    if path.is_symlink():
        return f"link to {path.readlink()}"
    return "directory" if path.is_dir() else digest(path)


def differences(sent: dict[str, str], arrived: dict[str, str]) -> list[Difference]:
    """Return what was sent and did not arrive unchanged; other files at the destination are ignored."""
    return [
        Difference("changed" if path in arrived else "missing", path)
        for path, kind in sent.items()
        if arrived.get(path) != kind
    ]


def remove_arrived(sent: dict[str, str], folder: Path) -> None:
    """Delete only the files of an earlier run, so that this run has something to move."""
    for path, kind in sorted(sent.items(), reverse=True):
        target = folder / path
        if kind == "directory":
            _remove_if_empty(target)
        else:
            target.unlink(missing_ok=True)


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
