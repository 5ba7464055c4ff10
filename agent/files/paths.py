"""What paths tell by their names alone."""


def is_below(path: str, top: str) -> bool:
    """Return whether `path` is the directory `top` or inside it."""
    top = top.rstrip("/")
    return path.rstrip("/") == top or path.startswith(f"{top}/")
