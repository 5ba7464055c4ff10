"""The bundle of a real stage, built here and read without running it: it is for another processor."""

import os
import re
import struct
from pathlib import Path

import pytest

from infra.bundle import make
from infra.stage import GRAVITON

ELF, AARCH64, UNCHECKED_HASH = b"\x7fELF", 0xB7, 0b01
MAGIC_OF_3_13 = (3571).to_bytes(2, "little") + b"\r\n"
"""First bytes of Python 3.13's bytecode (importlib/_bootstrap_external.py)."""
MAX_UNZIPPED_BYTES = 250 * 1024 * 1024
"""https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""
GLIBC_OF_LAMBDA = (2, 34)
"""Amazon Linux 2023, on which Python 3.12 and later run."""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the bundle, with bytecode if the functions' Python is installed here.

    pyenv's own programs find no version that is not chosen, so that its folders are looked into as well.
    """
    target = tmp_path_factory.mktemp("graviton")
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    found = [str(folder) for folder in pyenv.glob(f"versions/{GRAVITON.python}*/bin")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", os.pathsep.join([*found, os.environ["PATH"]]))
        try:
            make(target, GRAVITON)
        except RuntimeError as refusal:
            assert f"python install {GRAVITON.python}" in str(refusal)  # noqa: PT017 - only this is expected
    return target


def test_every_compiled_module_is_for_graviton_and_the_functions_python(bundle: Path) -> None:
    modules = list(bundle.rglob("*.so"))
    assert len(modules) > 3
    for file in modules:
        head = file.read_bytes()[:20]
        assert head[:4] == ELF, file.name
        assert struct.unpack("<H", head[18:20]) == (AARCH64,), file.name
        assert not re.search(r"x86_64|cpython-3(?!13)\d+", file.name), file.name


def test_every_package_is_a_wheel_that_lambda_can_load(bundle: Path) -> None:
    wheels = list(bundle.glob("*.dist-info/WHEEL"))
    assert len(wheels) > 10
    for file in wheels:
        tags = re.findall(r"^Tag: (\S+)-(\S+)-(\S+)$", file.read_text(), re.MULTILINE)
        assert any(loads(*tag) for tag in tags), (file.parent.name, tags)


def loads(python: str, abi: str, platforms: str) -> bool:
    """Return whether the functions' Python can load a wheel with these tags."""
    if platforms == "any":
        return abi == "none" and "py3" in python.split(".")
    glibc = re.findall(r"manylinux_(\d+)_(\d+)_aarch64", platforms)
    fits = "manylinux2014_aarch64" in platforms or any(
        (int(major), int(minor)) <= GLIBC_OF_LAMBDA for major, minor in glibc
    )
    return fits and abi in {"cp313", "abi3", "none"}


def test_it_is_small_enough_unzipped(bundle: Path) -> None:
    whole = sum(file.stat().st_size for file in bundle.rglob("*") if file.is_file())
    assert 10 * 1024 * 1024 < whole <= MAX_UNZIPPED_BYTES


def test_its_bytecode_is_that_of_the_functions_python(bundle: Path) -> None:
    """Where that Python is not installed, there is none, instead of one that functions would not take."""
    compiled = list(bundle.rglob("*.pyc"))
    assert len(compiled) in {0, len(list(bundle.rglob("*.py")))}
    for file in compiled:
        head = file.read_bytes()[:8]
        assert head[:4] == MAGIC_OF_3_13, file
        assert struct.unpack("<I", head[4:]) == (UNCHECKED_HASH,), file
