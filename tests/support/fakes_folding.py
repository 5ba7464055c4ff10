"""A disk that takes two names for one, made of an ordinary one: kernels that fold case are rare, and such
mounts need root. It stands between `agent` and the operating system, and keeps names as they were given
first, like ext4's casefold, APFS and NTFS."""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest

from agent.files import disk, name_folding, roots

Fold = Callable[[str], str]


def case(name: str) -> str:
    return normalize("NFD", normalize("NFD", name).casefold())


def form(name: str) -> str:
    """Unicode's forms only, as some ZFS are set up."""
    return normalize("NFD", name)


class FoldingOs:
    """`os`, whose names are folded below one directory."""

    def __init__(self, below: Path, fold: Fold) -> None:
        self._below = below
        self._fold = fold
        self._lock = threading.Lock()
        """A disk looks and names in one; two threads must not get between."""

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        return os.open(self._found(path, dir_fd), flags, mode, dir_fd=dir_fd)

    def stat(self, path: str, *, dir_fd: int | None = None, follow_symlinks: bool = True) -> os.stat_result:
        return os.stat(self._found(path, dir_fd), dir_fd=dir_fd, follow_symlinks=follow_symlinks)

    def mkdir(self, path: str, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        os.mkdir(self._found(path, dir_fd), mode, dir_fd=dir_fd)

    def unlink(self, path: str, *, dir_fd: int | None = None) -> None:
        os.unlink(self._found(path, dir_fd), dir_fd=dir_fd)

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
        """The name that stands there for this one."""
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
        return next((one for one in names if self._fold(one) == self._fold(name)), name)


disk_rename_new, disk_name_new = disk.rename_new, disk.link_tmpfile


def fold(patch: pytest.MonkeyPatch, below: Path, how: Fold = case) -> None:
    """From now on the agent finds this directory folding."""
    folding = FoldingOs(below, how)
    patch.setattr(roots, "os", folding)
    patch.setattr(name_folding, "os", folding)
    patch.setattr(disk, "rename_new", folding.rename_new)
    patch.setattr(disk, "link_tmpfile", folding.name_new)
