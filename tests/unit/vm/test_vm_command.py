"""`python -m tests.vm` where it cannot run, and what its stories rely on."""

import json
import subprocess
import sys

import pytest

from tests.vm import __main__ as command
from tests.vm import file_listing, graviton, sandbox_probe
from tests.vm.images import UNAVAILABLE


@pytest.mark.parametrize(
    ("main", "said", "package"),
    [
        (command.main, "virtual machines cannot run here", "qemu-system-x86"),
        (graviton.main, "Graviton cannot be emulated here", "qemu-user-static"),
    ],
)
def test_without_its_programs_it_says_so_and_exits_with_a_code_of_its_own(
    tmp_path, monkeypatch, capsys, main, said, package
):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["tests.vm", "--home", str(tmp_path)])
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert main() == UNAVAILABLE == 69
    told = capsys.readouterr().err
    assert f"{said}: programs are missing: apt-get install" in told
    assert package in told


def test_the_probe_tells_what_is_refused_from_what_is_not_there(tmp_path):
    assert sandbox_probe.is_refused(lambda: sandbox_probe._write("/proc"))
    assert not sandbox_probe.is_refused(lambda: sandbox_probe._write(str(tmp_path)))
    assert not sandbox_probe.is_refused((tmp_path / ("x" * 300)).touch)


def test_a_listing_shows_each_change(tmp_path):
    (tmp_path / "kept").write_text("kept")
    (tmp_path / "left").mkdir()
    (tmp_path / "link").symlink_to("kept")

    def listed() -> dict[str, str]:
        program = [sys.executable, file_listing.__file__, str(tmp_path), str(tmp_path / "left")]
        found = json.loads(subprocess.run(program, capture_output=True, check=True).stdout)
        return {path.removeprefix(f"{tmp_path}/"): what for path, what in found.items()}

    first = listed()
    assert sorted(first) == ["kept", "link"]
    (tmp_path / "kept").write_text("else")
    (tmp_path / "link").chmod(0o600)
    (tmp_path / "left/new").touch()
    assert {path for path, what in listed().items() if what != first.get(path)} == {"kept"}
