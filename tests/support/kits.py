"""Copy the sources with another version, and with what a test breaks, for install kits of other versions."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from infra import REPOSITORY


def sources(version: str, folder: Path, broken: Mapping[str, tuple[str, str]] | None = None) -> Path:
    """Copy the sources; `broken` maps a file to a text in it and the replacement."""
    made = folder / version
    made.mkdir()
    for name in ("agent", "events"):
        shutil.copytree(REPOSITORY / name, made / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, made / name)
    for file, pattern in (("pyproject.toml", "^version = "), ("agent/__init__.py", "^VERSION = ")):
        text = (made / file).read_text()
        (made / file).write_text(re.sub(f'({pattern})".*"', rf'\g<1>"{version}"', text, flags=re.MULTILINE))
    for file, (was, becomes) in (broken or {}).items():
        text = (made / file).read_text()
        assert was in text
        (made / file).write_text(text.replace(was, becomes, 1))
    return made
