"""The workloads: trees of random bytes, which neither compress nor deduplicate."""

import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MIB = 1024 * 1024
PIECE = 16 * MIB


@dataclass(frozen=True)
class Workload:
    """A tree, made by `make(folder, scale)`."""

    name: str
    title: str
    make: Callable[[Path, float], None]
    one_file: bool = False


@dataclass(frozen=True)
class Size:
    """The files and bytes of a tree."""

    files: int
    bytes: int


def size_of(folder: Path) -> Size:
    sizes = [path.lstat().st_size for path in files_of(folder)]
    return Size(len(sizes), sum(sizes))


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def change(folder: Path, share: float, generation: int) -> None:
    """Rewrite `share` of the files at the same size; `generation` selects which."""
    files = files_of(folder)
    for path in random.Random(generation).sample(files, max(1, round(len(files) * share))):
        write(path, path.stat().st_size)


def write(path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for start in range(0, size, PIECE):
            file.write(os.urandom(min(PIECE, size - start)))


def _big(size: int) -> Callable[[Path, float], None]:
    return lambda folder, scale: write(folder / "big.mov", round(size * scale))


def _small(count: int, least: int = 1024, most: int = 8192) -> Callable[[Path, float], None]:
    def make(folder: Path, scale: float) -> None:
        dice = random.Random(1)
        for number in range(max(10, round(count * scale))):
            write(folder / f"reel {number // 500:03}/frame-{number:06}.dpx", dice.randint(least, most))

    return make


def _archive(folder: Path, scale: float) -> None:
    """Make productions with a few videos, proxies, and many thumbnails and notes: 2.5 GiB in 4,300 files."""
    dice = random.Random(2)
    for number in range(max(1, round(10 * scale))):
        production = folder / f"2026/production {number:02} – Köln"
        write(production / "master.mxf", dice.randint(96, 160) * MIB)
        for take in range(24):
            write(production / f"takes/take {take:02}.mp4", dice.randint(2, 8) * MIB + take)
            write(production / f"takes/take {take:02}.srt", dice.randint(200, 20_000))
        for frame in range(380):
            write(production / f"thumbnails/{frame:04}.jpg", dice.randint(4_000, 40_000))


BIG = Workload("big", "one file of 4 GiB", _big(4096 * MIB), one_file=True)
SMALL = Workload("small", "20,000 files of 1–8 KiB", _small(20_000))
ARCHIVE = Workload("archive", "a tree like a video archive, 2.5 GiB in 4,300 files", _archive)
LINE_BIG = Workload("line-big", "one file of 256 MiB", _big(256 * MIB), one_file=True)
LINE_FILE = Workload("line-file", "one file of 10 MiB", _big(10 * MIB), one_file=True)
LINE_SMALL = Workload("line-small", "50,000 files of 1–8 KiB", _small(50_000))
S3_BIG = Workload("s3-big", "one object of 300 MiB", _big(300 * MIB), one_file=True)
S3_SMALL = Workload("s3-small", "10,000 objects of 4 KiB", _small(10_000, 4096, 4096))
BIG_FAR = Workload("big-far", "one file of 1 GiB", _big(1024 * MIB), one_file=True)
SMALL_FAR = Workload("small-far", "500 files of 1–8 KiB", _small(500))
