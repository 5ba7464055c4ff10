"""Build the functions' bundle without Docker: our packages and the locked dependencies, with bytecode."""

import compileall
import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from py_compile import PycInvalidationMode

import aws_cdk as cdk
import jsii
from aws_cdk import aws_lambda as lambda_

from infra import REPOSITORY
from infra.stage import Platform

LOCK = REPOSITORY / "locks/lambdas.txt"
ROOMS = ("events", "lambdas")
SERVICES = {"cognito-idp", "dynamodb", "events", "iot", "iot-data", "kms", "s3", "sqs", "sts"}
"""AWS services whose botocore descriptions the bundle keeps; all would be 25 MB."""
Fill = Callable[[Path, Platform], None]
"""Fills a folder with what functions import."""
_UNUSED = ("*.dist-info/RECORD", "*.dist-info/direct_url.json", "*.dist-info/uv_cache.json", ".lock", "bin")


class BundleError(RuntimeError):
    """The bundle cannot be built as functions need it."""


def code(platform: Platform, fill: Fill) -> lambda_.AssetCode:
    """Return the folder that `fill` fills as Lambda code: `make` or `make_rooms`.

    It is hashed by its sources, so that an unchanged tree is built once.
    """
    return lambda_.Code.from_asset(
        str(REPOSITORY),
        asset_hash=digest(platform, fill),
        asset_hash_type=cdk.AssetHashType.CUSTOM,
        exclude=["*"],
        bundling=cdk.BundlingOptions(
            image=cdk.DockerImage.from_registry("crosshaul-needs-no-docker"), local=_Bundler(platform, fill)
        ),
    )


@jsii.implements(cdk.ILocalBundling)
class _Bundler:
    def __init__(self, platform: Platform, fill: Fill) -> None:
        self._platform, self._fill = platform, fill

    def try_bundle(self, output_dir: str, *_options: object, **_named: object) -> bool:
        self._fill(Path(output_dir), self._platform)
        return True


def make(target: Path, platform: Platform) -> None:
    """Fill `target` with everything that the functions import.

    Raises:
        CalledProcessError: A package does not install.
        BundleError: Bytecode is missing.
    """
    _install(target, platform)
    _copy_rooms(target)
    _compile(target, platform)
    _require_bytecode(target, platform)


def make_rooms(target: Path, platform: Platform) -> None:
    """Fill `target` with our own packages alone, for functions that have the others from `shared_packages`.

    Raises:
        BundleError: Bytecode is missing.
    """
    _copy_rooms(target)
    _compile(target, platform)
    _require_bytecode(target, platform)


def shared_packages(platform: Platform) -> Path:
    """Return the folder of the locked packages for all functions on this machine.

    The embedded cloud unpacks a function's code for each process that it starts. With the packages in it,
    that took longer than to start the process. `make_packages` fills the folder.
    """
    seen = hashlib.sha256(_base(platform) + LOCK.read_bytes() + Path(__file__).read_bytes())
    return REPOSITORY / ".crosshaul/packages" / seen.hexdigest()


def make_packages(target: Path, platform: Platform) -> None:
    """Fill `target` with the locked packages, unless it exists. Several processes may do this at once.

    Raises:
        CalledProcessError: A package does not install.
    """
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        made = Path(folder, "made")
        _install(made, platform)
        _compile(made, platform)
        try:
            made.rename(target)
        except OSError:
            if not target.exists():  # otherwise another process was faster
                raise


def _copy_rooms(target: Path) -> None:
    for room in ROOMS:
        shutil.copytree(
            REPOSITORY / room, target / room, ignore=shutil.ignore_patterns("__pycache__", "samples")
        )


def _require_bytecode(target: Path, platform: Platform) -> None:
    """Raise BundleError if one of the functions' own modules has no bytecode of their Python version."""
    tag = f"cpython-{platform.python.replace('.', '')}"
    missing = [
        str(file.relative_to(target))
        for room in ROOMS
        for file in (target / room).rglob("*.py")
        if not (file.parent / "__pycache__" / f"{file.stem}.{tag}.pyc").exists()
    ]
    if missing:
        raise BundleError(f"no bytecode of Python {platform.python} for {', '.join(sorted(missing)[:5])}")


def digest(platform: Platform, fill: Fill) -> str:
    """Return the digest of everything that `fill` makes the bundle from."""
    seen = hashlib.sha256(_base(platform) + fill.__name__.encode())
    for file in sorted(_sources()):
        seen.update(f"\n{file.relative_to(REPOSITORY)}\n".encode())
        seen.update(file.read_bytes())
    return seen.hexdigest()


def _base(platform: Platform) -> bytes:
    """Return what tells apart bundles of the same sources."""
    return repr((platform.python, platform.target, sys.version_info[:2])).encode()


def _sources() -> Iterator[Path]:
    yield LOCK
    yield Path(__file__)
    for room in ROOMS:
        for kind in ("*.py", "*.cedar", "*.cedarschema"):
            yield from (REPOSITORY / room).rglob(kind)


def uv() -> str:
    """Return the path of uv: the one that setup.sh installed, or the one on PATH."""
    noted = REPOSITORY / ".crosshaul/uv.path"
    return noted.read_text().strip() if noted.exists() else "uv"


def _install(target: Path, platform: Platform) -> None:
    command = [uv(), "pip", "install", "--quiet", "--no-build", "--no-deps", "--require-hashes"]
    command += ["--target", str(target), "--python", sys.executable, "--python-version", platform.python]
    if platform.target:
        command += ["--python-platform", platform.target]
    subprocess.run([*command, "-r", str(LOCK)], check=True)
    _trim(target)


def _trim(target: Path) -> None:
    for pattern in _UNUSED:
        for path in list(target.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for folder in (target / "botocore/data").iterdir():
        if folder.is_dir() and folder.name not in SERVICES:
            shutil.rmtree(folder)


def _compile(target: Path, platform: Platform) -> None:
    """Write bytecode that Python uses without checking the source: cold imports take a third of the time.

    Bytecode belongs to one Python version. Functions cannot write theirs: /var/task is read-only.

    Raises:
        BundleError: That version is not installed here, or it left files without bytecode.
    """
    if platform.python == f"{sys.version_info.major}.{sys.version_info.minor}":
        compileall.compile_dir(
            target,
            quiet=2,
            stripdir=str(target),
            prependdir="/var/task",
            invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
        )
        return
    found = subprocess.run(
        [uv(), "python", "find", "--no-python-downloads", platform.python],
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode:
        raise BundleError(
            f"the functions run on Python {platform.python}, which is not installed here, so their bytecode "
            f"cannot be made and each cold start would compile them: run `{uv()} python install "
            f"{platform.python}`"
        )
    options = ["-q", "-s", str(target), "-p", "/var/task", "--invalidation-mode", "unchecked-hash"]
    subprocess.run([found.stdout.strip(), "-m", "compileall", *options, str(target)], check=False)
