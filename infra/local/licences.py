"""Check the license of every dependency; a package under a copyleft license must not be shipped.

python -m infra.local.licences    prints the list; fails if a shipped package is not allowed
"""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path

from infra import REPOSITORY

SHIPPED = {"agent": "locks/agent.txt", "functions": "locks/lambdas.txt"}
"""Lock files of what is shipped: on servers and in the functions. All else is for building and testing."""
REFUSED = re.compile(r"\b(A?GPL|AFFERO|GNU GENERAL PUBLIC|SSPL|BUSL)", re.IGNORECASE)
"""Licenses that may not be shipped. LGPL may: the library is installed separately and can be replaced."""
UNKNOWN = "unknown"
READ = {"cedarpy": "Apache-2.0"}
"""Licenses read from the package's own LICENSE, where its metadata names none."""


@dataclass(frozen=True, order=True)
class LicensedPackage:
    """A dependency with its license, and where it is shipped."""

    name: str
    version: str
    license: str
    shipped_in: tuple[str, ...] = ()

    @property
    def refused(self) -> bool:
        """Whether the package is shipped although its license is unknown or not allowed."""
        return bool(self.shipped_in) and (self.license == UNKNOWN or bool(REFUSED.search(self.license)))


def python_packages() -> Iterator[LicensedPackage]:
    """Yield the installed Python packages."""
    shipped = {where: locked(REPOSITORY / lock) for where, lock in SHIPPED.items()}
    for found in distributions():
        name = plain(found.name)
        where = tuple(place for place, names in shipped.items() if name in names)
        if name != "crosshaul":
            yield LicensedPackage(name, found.version, license_of(found), where)


def console_packages(lock: Path = REPOSITORY / "web/package-lock.json") -> Iterator[LicensedPackage]:
    """Yield npm packages from the lock file; those for development only are not shipped."""
    for place, package in json.loads(lock.read_text())["packages"].items():
        if place:
            where = () if package.get("dev") or package.get("devOptional") else ("console",)
            name = place.rpartition("node_modules/")[2]
            yield LicensedPackage(name, package["version"], str(package.get("license", UNKNOWN)), where)


def license_of(found: Distribution) -> str:
    """Return the license as an SPDX expression if there is one, else from the classifiers."""
    about = found.metadata.json
    if expression := about.get("license_expression"):
        return str(expression)
    classified = [str(one) for one in about.get("classifier", ()) if str(one).startswith("License ::")]
    named = [one.rpartition(" :: ")[2] for one in classified if not one.endswith("OSI Approved")]
    first = str(about.get("license", "")).strip().partition("\n")[0]
    return " or ".join(named) or first or READ.get(plain(found.name), UNKNOWN)


def locked(lock: Path) -> set[str]:
    """Return the names of the packages in a lock file."""
    return {
        plain(name) for name in re.findall(r"^([A-Za-z0-9._-]+)(?:\[.*\])?==", lock.read_text(), re.MULTILINE)
    }


def plain(name: str) -> str:
    """Normalize a package name as PyPI does.

    https://packaging.python.org/en/latest/specifications/name-normalization/
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> int:
    packages = sorted({*python_packages(), *console_packages()})
    for one in packages:
        print(f"{one.name:40} {one.version:16} {', '.join(one.shipped_in) or '-':20} {one.license}")
    refused = [one for one in packages if one.refused]
    for one in refused:
        print(
            f"\n{one.name} is shipped in {', '.join(one.shipped_in)} under: {one.license}.", file=sys.stderr
        )
        print(
            "Use another package; or read its LICENSE and add it to READ in infra/local/licences.py.",
            file=sys.stderr,
        )
    shipped = sum(bool(one.shipped_in) for one in packages)
    print(f"\n{len(packages)} packages, {shipped} of them shipped, {len(refused)} not allowed.")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
