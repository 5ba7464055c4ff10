"""Certificates for both ends of what speaks TLS, so that it is as mutual as the lane."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificates:
    """Each end's, self-signed: the other trusts exactly that."""

    folder: Path

    def certificate(self, name: str) -> str:
        return str(self.folder / f"{name}.pem")

    def key(self, name: str) -> str:
        return str(self.folder / f"{name}.key")


def certificates(folder: Path) -> Certificates:
    """`server` and `client`, made in the folder."""
    made = Certificates(folder)
    for name in ("server", "client"):
        words = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        names = ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
        where = ["-keyout", made.key(name), "-out", made.certificate(name)]
        subprocess.run(["openssl", "req", "-x509", *words, *names, *where], check=True, capture_output=True)
    return made
