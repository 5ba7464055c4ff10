"""What install kits of tests are made of: sources of other versions, and packages without a registry."""

import base64
import hashlib
import re
import shutil
import sysconfig
import zipfile
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


def dependencies(folder: Path) -> Path:
    """Make a lock file of one wheel that points to what is installed here, without a registry or copies."""
    name, files = "crosshaul_dependencies-1.dist-info", {}
    files["crosshaul_dependencies.pth"] = sysconfig.get_path("purelib")
    files[f"{name}/METADATA"] = "Metadata-Version: 2.1\nName: crosshaul-dependencies\nVersion: 1\n"
    files[f"{name}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    rows = [f"{path},sha256={_sum(text.encode())},{len(text)}" for path, text in files.items()]
    files[f"{name}/RECORD"] = "\n".join([*rows, f"{name}/RECORD,,"]) + "\n"
    wheel = folder / "crosshaul_dependencies-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as packed:
        for path, text in files.items():
            packed.writestr(path, text)
    lock = folder / "agent.txt"
    lock.write_text(
        f"crosshaul-dependencies==1 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"
    )
    return lock


def _sum(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
