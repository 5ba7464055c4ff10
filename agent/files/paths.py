"""What paths tell by their names alone."""

PARTIAL_PREFIX = ".crosshaul-"
"""Prefix of the names of a hop's temporary files."""


def is_partial(path: str) -> bool:
    """Return whether a path is, or is inside, a hop's temporary file or directory."""
    return PARTIAL_PREFIX in path and any(name.startswith(PARTIAL_PREFIX) for name in path.split("/"))


def is_below(path: str, top: str) -> bool:
    """Return whether `path` is the directory `top` or inside it."""
    top = top.rstrip("/")
    return path.rstrip("/") == top or path.startswith(f"{top}/")
