"""A fake file system that folds names, on top of a real one: kernels that fold case are rare and need root.

It sits between `agent` and the operating system and preserves the first spelling of a name, like ext4's
casefold, APFS and NTFS.
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast
from unicodedata import normalize

import pytest

from agent.files import disk, name_folding, roots, tmpfile

Fold = Callable[[str], str]


def case(name: str) -> str:
    return normalize("NFD", normalize("NFD", name).casefold())


def shortened(name: str) -> str:
    """Drop dots and blanks at the end, as FAT, exFAT and Windows do."""
    return name.rstrip(". ")


def form(name: str) -> str:
    """Fold Unicode normalization forms only, like some ZFS settings."""
    return normalize("NFD", name)


class _Numbered:
    """The status of a file with another inode number."""

    def __init__(self, found: os.stat_result, inode: int) -> None:
        self._found = found
        self.st_ino = inode

    def __getattr__(self, name: str) -> Any:
        return getattr(self._found, name)


class FoldingOs:
    """The `os` module with names folded below one directory."""

    def __init__(self, below: Path, fold: Fold, stored: Fold, *, numbers_names: bool) -> None:
        """`stored`: what a new name becomes; `numbers_names`: each spelling has an inode number of its own.

        FUSE numbers names.
        """
        self._below = below
        self._fold = fold
        self._stored = stored
        self._numbers_names = numbers_names
        self._lock = threading.Lock()
        """Makes lookup and creation of a name atomic, as on a disk."""

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        return os.open(self._found(path, dir_fd), flags, mode, dir_fd=dir_fd)

    def stat(self, path: str, *, dir_fd: int | None = None, follow_symlinks: bool = True) -> os.stat_result:
        found = os.stat(self._found(path, dir_fd), dir_fd=dir_fd, follow_symlinks=follow_symlinks)
        return cast("os.stat_result", _Numbered(found, hash(path))) if self._numbers_names else found

    def mkdir(self, path: str, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        os.mkdir(self._found(path, dir_fd), mode, dir_fd=dir_fd)

    def unlink(self, path: str, *, dir_fd: int | None = None) -> None:
        os.unlink(self._found(path, dir_fd), dir_fd=dir_fd)

    def rmdir(self, path: str, *, dir_fd: int | None = None) -> None:
        os.rmdir(self._found(path, dir_fd), dir_fd=dir_fd)

    def rename(self, old: str, new: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        new = self._found(new, dst_dir_fd)
        os.rename(self._found(old, src_dir_fd), new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    def rename_new(self, name: str, folder: int, other: str, other_folder: int) -> bool:
        really = disk_rename_new
        with self._lock:
            return really(self._found(name, folder), folder, self._found(other, other_folder), other_folder)

    def name_new(self, descriptor: int, name: str, folder: int) -> bool:
        really = disk_name_new
        with self._lock:
            return really(descriptor, self._found(name, folder), folder)

    def _found(self, path: str, folder: int | None) -> str:
        """Return the existing name that folds to the same as this one."""
        if folder is None:
            return self._found_whole(path)
        place = Path(f"/proc/self/fd/{folder}").readlink()
        return self._listed(place, path) if place.is_relative_to(self._below) else path

    def _found_whole(self, path: str) -> str:
        if not Path(path).is_relative_to(self._below):
            return path
        place = self._below
        for name in Path(path).relative_to(self._below).parts:
            place /= self._listed(place, name)
        return str(place)

    def _listed(self, place: Path, name: str) -> str:
        names = [one.name for one in place.iterdir()] if place.is_dir() else []
        return next((one for one in names if self._fold(one) == self._fold(name)), self._stored(name))


disk_rename_new, disk_name_new = disk.rename_new, tmpfile._link


def fold(
    patch: pytest.MonkeyPatch,
    below: Path,
    how: Fold = case,
    stored: Fold = str,
    *,
    numbers_names: bool = False,
) -> None:
    """Make the agent see this directory as one that folds names, and stores a new one as `stored` says."""
    folding = FoldingOs(below, how, stored, numbers_names=numbers_names)
    patch.setattr(roots, "os", folding)
    patch.setattr(name_folding, "os", folding)
    patch.setattr(disk, "rename_new", folding.rename_new)
    patch.setattr(tmpfile, "_link", folding.name_new)
