"""Under which licence everything is that Crosshaul is made of. Nothing is shipped under one that would ask
the same of its users.

python -m infra.local.licences    prints the list; fails if something is shipped that may not be
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
"""What is installed on servers, and what the functions carry; all else only builds and tests."""
REFUSED = re.compile(r"\b(A?GPL|AFFERO|GNU GENERAL PUBLIC|SSPL|BUSL)", re.IGNORECASE)
"""Not LGPL: a library of its own that is installed beside, and can be replaced, asks nothing of us."""
UNKNOWN = "not said"
READ = {"cedarpy": "Apache-2.0"}
"""Where the metadata says nothing, what stands in the package's own LICENSE."""


@dataclass(frozen=True, order=True)
class LicensedPackage:
    name: str
    version: str
    licence: str
    shipped_in: tuple[str, ...] = ()

    @property
    def refused(self) -> bool:
        """May not be shipped, or nobody knows whether it may."""
        return bool(self.shipped_in) and (self.licence == UNKNOWN or bool(REFUSED.search(self.licence)))


def of_python() -> Iterator[LicensedPackage]:
    shipped = {where: locked(REPOSITORY / lock) for where, lock in SHIPPED.items()}
    for found in distributions():
        name = plain(found.name)
        where = tuple(place for place, names in shipped.items() if name in names)
        if name != "crosshaul":
            yield LicensedPackage(name, found.version, licence(found), where)


def of_the_console(lock: Path = REPOSITORY / "web/package-lock.json") -> Iterator[LicensedPackage]:
    """npm's lock file has each package's licence; what is for development only stays out of the console."""
    for place, package in json.loads(lock.read_text())["packages"].items():
        if place:
            where = () if package.get("dev") or package.get("devOptional") else ("console",)
            name = place.rpartition("node_modules/")[2]
            yield LicensedPackage(name, package["version"], str(package.get("license", UNKNOWN)), where)


def licence(found: Distribution) -> str:
    """As an SPDX expression if there is one; or in the words of its classifiers."""
    about = found.metadata.json
    if expression := about.get("license_expression"):
        return str(expression)
    classified = [str(one) for one in about.get("classifier", ()) if str(one).startswith("License ::")]
    named = [one.rpartition(" :: ")[2] for one in classified if not one.endswith("OSI Approved")]
    first = str(about.get("license", "")).strip().partition("\n")[0]
    return " or ".join(named) or first or READ.get(plain(found.name), UNKNOWN)


def locked(lock: Path) -> set[str]:
    return {
        plain(name) for name in re.findall(r"^([A-Za-z0-9._-]+)(?:\[.*\])?==", lock.read_text(), re.MULTILINE)
    }


def plain(name: str) -> str:
    """As PyPI compares names: https://packaging.python.org/en/latest/specifications/name-normalization/"""
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> int:
    everything = sorted({*of_python(), *of_the_console()})
    for one in everything:
        print(f"{one.name:40} {one.version:16} {', '.join(one.shipped_in) or '-':20} {one.licence}")
    refused = [one for one in everything if one.refused]
    for one in refused:
        print(
            f"\n{one.name} is shipped in {', '.join(one.shipped_in)} under: {one.licence}.", file=sys.stderr
        )
        print(
            "Take another package; or read its LICENSE, and note it in infra/local/licences.py.",
            file=sys.stderr,
        )
    shipped = sum(bool(one.shipped_in) for one in everything)
    print(f"\n{len(everything)} packages, {shipped} of them shipped, {len(refused)} that may not be.")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
