"""Certificates for tools that use TLS, so that they authenticate mutually like the lane."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificates:
    """Self-signed certificates; each end trusts exactly the other's."""

    folder: Path

    def certificate(self, name: str) -> str:
        return str(self.folder / f"{name}.pem")

    def key(self, name: str) -> str:
        return str(self.folder / f"{name}.key")


def certificates(folder: Path, address: str) -> Certificates:
    """Create certificates `server` and `client` in the folder, both for the address."""
    made = Certificates(folder)
    for name in ("server", "client"):
        words = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        names = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=IP:{address}"]
        where = ["-keyout", made.key(name), "-out", made.certificate(name)]
        subprocess.run(["openssl", "req", "-x509", *words, *names, *where], check=True, capture_output=True)
    return made
