"""The bundle in isolation, so that packages of this machine cannot hide what it lacks."""

import re
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest

from infra import REPOSITORY
from infra.plans import PLANS
from tests.support.waiting import HANG_TIMEOUT_S


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from infra.bundle import make
    from infra.stage import THIS_MACHINE

    target = tmp_path_factory.mktemp("bundle")
    make(target, THIS_MACHINE)
    return target


@pytest.mark.parametrize("handler", [plan.handler for plan in PLANS.values()])
def test_every_handler_imports_from_the_bundle_alone(bundle: Path, handler: str) -> None:
    module, _, name = handler.rpartition(".")
    program = f"import sys; sys.path.insert(0, {str(bundle)!r}); from {module} import {name}; print({name})"
    done = subprocess.run(
        # -I -S: neither the environment nor anything installed for this Python.
        [sys.executable, "-I", "-S", "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env={"POWERTOOLS_SERVICE_NAME": "crosshaul", "AWS_DEFAULT_REGION": "eu-central-1"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "function" in done.stdout


def test_in_the_embedded_cloud_functions_carry_our_own_packages_alone(bundle: Path, tmp_path: Path) -> None:
    from infra.bundle import ROOMS, make_rooms
    from infra.stage import THIS_MACHINE

    make_rooms(tmp_path, THIS_MACHINE)
    assert {path.name for path in tmp_path.iterdir()} == set(ROOMS)
    assert files(tmp_path) == {file for file in files(bundle) if file.parts[0] in ROOMS}


def files(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}


def test_clouds_that_are_deployed_at_once_share_the_locked_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of them sees a folder that another still fills, and what the others made is not left behind."""
    from infra import bundle as built
    from infra.stage import THIS_MACHINE

    everyone, packages = Barrier(3), tmp_path / "packages/digest"

    def install(target: Path, _platform: object) -> None:
        target.mkdir()
        (target / "package.py").write_text("x = 1\n")
        everyone.wait(HANG_TIMEOUT_S)

    monkeypatch.setattr(built, "_install", install)
    with ThreadPoolExecutor(3) as clouds:
        list(clouds.map(lambda _: built.make_packages(packages, THIS_MACHINE), range(3)))
    tag = sys.implementation.cache_tag
    assert files(packages) == {Path("package.py"), Path(f"__pycache__/package.{tag}.pyc")}
    assert list(packages.parent.iterdir()) == [packages]
    built.make_packages(packages, THIS_MACHINE)  # there is nothing left to install


def test_what_functions_never_need_is_left_out(bundle: Path) -> None:
    there = {path.name for path in bundle.iterdir()}
    assert {"events", "lambdas", "chalice", "boto3", "pydantic"} <= there
    unwanted = {
        "pip",
        "setuptools",
        "wheel",
        "inquirer",
        "blessed",
        "click",
        "yaml",
        "awscrt",
        "agent",
        "infra",
    }
    assert there & unwanted == set()


def test_bytecode_is_trusted_without_a_look_at_the_source(bundle: Path) -> None:
    compiled = list((bundle / "lambdas").rglob("*.pyc"))
    assert compiled
    for file in compiled:
        (flags,) = struct.unpack("<I", file.read_bytes()[4:8])
        assert flags == 0b01, "hash-based and unchecked (PEP 552)"


def test_a_bundle_without_bytecode_is_not_deployed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions could not make up for it: where they run, nothing can be written."""
    from infra import bundle as built
    from infra.stage import THIS_MACHINE

    module = tmp_path / "lambdas/on_change.py"
    module.parent.mkdir()
    (tmp_path / "events").mkdir()
    module.write_text("x = 1\n")
    absent = replace(THIS_MACHINE, python="3.99")
    with pytest.raises(built.BundleError, match=r"python install 3\.99"):
        built._compile(tmp_path, absent)
    with pytest.raises(built.BundleError, match=r"no bytecode of Python .* for lambdas/on_change\.py"):
        built._require_bytecode(tmp_path, THIS_MACHINE)
    built._compile(tmp_path, THIS_MACHINE)
    built._require_bytecode(tmp_path, THIS_MACHINE)


def test_every_aws_service_that_the_functions_use_is_described(bundle: Path) -> None:
    from infra.bundle import SERVICES

    sources = "\n".join(file.read_text() for file in (REPOSITORY / "lambdas").rglob("*.py"))
    used = set(re.findall(r"""(?:client|resource)\(\s*["']([a-z0-9-]+)["']""", sources))
    assert used
    assert used <= SERVICES
    assert {path.name for path in (bundle / "botocore/data").iterdir() if path.is_dir()} <= SERVICES


def test_an_unchanged_tree_has_an_unchanged_name() -> None:
    from infra.bundle import digest, make, make_rooms
    from infra.stage import GRAVITON, THIS_MACHINE

    assert digest(THIS_MACHINE, make) == digest(THIS_MACHINE, make)
    assert digest(GRAVITON, make) != digest(THIS_MACHINE, make)
    assert digest(THIS_MACHINE, make_rooms) != digest(THIS_MACHINE, make)
