"""No package under a copyleft license is shipped."""

import json

import pytest

from infra.local.licences import UNKNOWN, LicensedPackage, console_packages, main


def test_everything_that_is_shipped_may_be(capsys: pytest.CaptureFixture[str]) -> None:
    assert main() == 0
    listed = capsys.readouterr().out
    for name in ("pydantic", "cedarpy", "awsiotsdk", "react"):
        assert f"\n{name} " in listed


@pytest.mark.parametrize(
    "license_name", ["GPL-3.0-only", "AGPL-3.0", "GNU Affero General Public License v3", UNKNOWN]
)
def test_what_asks_the_same_of_its_users_is_not_shipped(license_name: str) -> None:
    assert LicensedPackage("x", "1", license_name, ("agent",)).refused
    assert not LicensedPackage("x", "1", license_name).refused, "it only tests"


@pytest.mark.parametrize("license_name", ["MIT", "Apache-2.0 OR BSD-3-Clause", "LGPL-3.0-only", "MPL-2.0"])
def test_all_else_may_be(license_name: str) -> None:
    assert not LicensedPackage("x", "1", license_name, ("agent",)).refused


def test_what_only_builds_the_console_is_not_shipped(tmp_path) -> None:
    packages = {
        "": {"name": "web"},
        "node_modules/a": {"version": "1.0.0", "license": "MIT"},
        "node_modules/b/node_modules/@c/d": {"version": "2.0.0", "license": "GPL-3.0", "dev": True},
    }
    (tmp_path / "lock.json").write_text(json.dumps({"packages": packages}))
    assert list(console_packages(tmp_path / "lock.json")) == [
        LicensedPackage("a", "1.0.0", "MIT", ("console",)),
        LicensedPackage("@c/d", "2.0.0", "GPL-3.0"),
    ]
