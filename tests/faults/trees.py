"""Trees made from a seed, with everything that lies on real disks, and what must become of each entry."""

import os
import random
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import xxhash

MIB = 1024 * 1024
TIMES_S = (-2_000_000_000, -1, 0, 1, 1_700_000_000, 4_300_000_000, 9_000_000_000)
"""From 1906 to 2255: before 1970, beyond 32 bits, signed and unsigned."""
NAMES = (
    b"plain.txt",
    b"with spaces and \xc3\xbc.mov",
    b"caf\xe9 of latin-1",
    b"line\nbreak",
    b"tab\tand\x1b[31m escape",
    b"-rf",
    b"~",
    b"%2e%2e",
    b"back\\slash",
    "e\u0301 decomposed".encode(),
    "\u00e9 composed".encode(),
    "\u201b quote".encode(),
    b"x" * 255,
    "ä".encode() * 127,
    b".hidden",
    b"trailing dot.",
    b"*?[glob]{a,b}",
    b"CON",
)
NOT_UTF8 = b"\xe9"
"""What makes a name of these invalid as UTF-8."""
SPECIAL = "special"
"""What an entry is that cannot be transferred: a FIFO or a socket."""
DIRECTORY = "directory"
Tree = dict[bytes, str]
"""Path → content, which is a digest, a link's target, `directory` or `special`. Names are bytes."""


def make_tree(folder: Path, dice: random.Random, without: frozenset[bytes] = frozenset()) -> None:
    """Fill a new directory with some dozens of entries of every kind, 1 to 5 MiB in all.

    No name has one of the characters `without`.
    """
    folder.mkdir(parents=True)
    directories = [folder]
    names = [name for name in NAMES if not any(_has(name, one) for one in without)]
    for number in range(dice.randrange(1, 8)):
        inner = dice.choice(directories) / _name(dice, names, number)
        if _fits(inner, folder):
            inner.mkdir(exist_ok=True)
            directories.append(inner)
    for number in range(dice.randrange(5, 30)):
        _write(
            dice.choice(directories) / _name(dice, names, 100 + number),
            dice.randbytes(dice.randrange(20_000)),
        )
    for number in range(dice.randrange(1, 3)):
        _write(folder / f"big{number}", dice.randbytes(dice.randrange(MIB // 2, 2 * MIB)))
    _make_odd(folder, directories, dice)
    for path in sorted(folder.rglob("*"), reverse=True):
        if not path.is_symlink() and dice.random() < 0.3:
            _set_time(path, dice)


def _make_odd(folder: Path, directories: list[Path], dice: random.Random) -> None:
    with (folder / "sparse").open("wb") as file:
        file.truncate(dice.randrange(MIB, 10 * MIB))
        file.seek(dice.randrange(MIB))
        file.write(dice.randbytes(10_000))
    os.link(folder / "big0", dice.choice(directories) / "another name of big0")
    for target in ("big0", "nowhere", "/etc/passwd", "../..", "."):
        if dice.random() < 0.5:
            (dice.choice(directories) / f"link to {target.replace('/', ' ')}").symlink_to(target)
    if dice.random() < 0.3:
        deep = folder / "deep"
        for _ in range(dice.randrange(50)):
            deep /= "d"
        deep.mkdir(parents=True)
        _write(deep / "bottom", b"bottom")
    if dice.random() < 0.3:
        (folder / "empty").mkdir(exist_ok=True)
        (folder / "zero bytes").touch()
    if dice.random() < 0.3:
        (folder / "read-only").mkdir()
        _write(folder / "read-only/x", b"x")
        (folder / "read-only").chmod(0o555)
    if dice.random() < 0.3:
        os.mkfifo(dice.choice(directories) / "fifo")
    if dice.random() < 0.2:
        with socket.socket(socket.AF_UNIX) as listener, suppress(OSError):  # a path of over 107 bytes
            listener.bind(str(folder / "socket"))


def _name(dice: random.Random, names: list[bytes], number: int) -> str:
    """Return one of the odd names, or one with this number."""
    return os.fsdecode(dice.choice(names)) if dice.random() < 0.4 else f"entry {number}"


def _has(name: bytes, character: bytes) -> bool:
    return character in name if character != NOT_UTF8 else not _is_utf8(name)


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


def _fits(path: Path, folder: Path) -> bool:
    return len(os.fsencode(path.relative_to(folder))) < 1500


def _write(path: Path, data: bytes) -> None:
    if not path.exists():
        path.write_bytes(data)


def _set_time(path: Path, dice: random.Random) -> None:
    seconds = dice.choice(TIMES_S)
    with suppress(OSError, OverflowError):  # not every file system keeps every time
        os.utime(path, ns=(0, seconds * 10**9 + dice.randrange(10**9)), follow_symlinks=False)


def is_file(path: bytes, content: str) -> bool:
    """Return whether an entry is a file whose name is UTF-8: S3 and remotes hold nothing else."""
    return " bytes " in content and _is_utf8(path)


def snapshot(folder: Path) -> Tree:
    """Return everything below a directory."""
    return {os.fsencode(path.relative_to(folder)): _content(path) for path in _walk(folder)}


def _walk(folder: Path) -> Iterator[Path]:
    for parent, directories, files in os.walk(folder):
        for name in directories + files:
            yield Path(parent, name)


def _content(path: Path) -> str:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return f"link to {path.readlink()}"
    if stat.S_ISDIR(mode):
        return DIRECTORY
    if not stat.S_ISREG(mode):
        return SPECIAL
    with path.open("rb") as file:
        digest = xxhash.xxh3_128()
        while chunk := file.read(4 * MIB):
            digest.update(chunk)
    return f"{path.stat().st_size} bytes {digest.hexdigest()}"
