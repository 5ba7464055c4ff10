"""The boundary of a root: which resolved paths are inside it."""

import errno
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from agent.files.known_devices import KnownDevices
from agent.files.paths import is_below

CHECK_TTL_S = 1.0
"""Seconds after which the path of an open directory is checked again."""


class NestedRoot(NamedTuple):
    """A root's directory, resolved, and whether it may be written."""

    path: str
    is_writable: bool


class Boundary:
    """The boundary of one root."""

    def __init__(
        self,
        top: Path,
        nested: Iterable[NestedRoot] = (),
        private: str | None = None,
        *,
        links_allowed: bool = False,
        check_ttl_s: float = CHECK_TTL_S,
        devices: KnownDevices | None = None,
    ) -> None:
        """Create the boundary of the root at `top`.

        `nested` are roots that may be inside this one: the innermost root's access applies. `private` is
        excluded, even if it is inside. With `links_allowed`, paths may pass links, within the root. The path
        of a directory that stays open is checked again after `check_ttl_s` seconds. `devices` are those that
        earlier trees of the same location have found.
        """
        self.devices = devices or KnownDevices()
        self.check_ttl_s = check_ttl_s
        self.links_allowed = links_allowed
        self.top = os.path.realpath(top)
        self._nested = [root for root in nested if root.path != self.top and is_below(root.path, self.top)]
        self._private = private

    def require_inside(self, target: str) -> None:
        """Raise OSError with EXDEV if a resolved path is outside the root or excluded from it."""
        if not is_below(target, self.top):
            raise OSError(errno.EXDEV, "a symbolic link leads out of the root", target)
        if self._private and is_below(target, self._private):
            raise OSError(errno.EXDEV, "the agent's state directory is excluded from all roots", target)
        containing = [root for root in self._nested if is_below(target, root.path)]
        innermost = max(containing, key=lambda root: (len(root.path), root.is_writable), default=None)
        if innermost and not innermost.is_writable:
            raise OSError(errno.EXDEV, "the path leads into a read-only root inside this one", target)
