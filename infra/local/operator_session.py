"""An operator who runs `crosshaul` with a session of their own."""

import json
import os
import secrets
import string
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.local.servers import CROSSHAUL


@dataclass(frozen=True)
class Operator:
    """The user who is signed in under `home`."""

    home: Path

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {"CROSSHAUL_HOME": str(self.home)}

    def login(self, api_url: str, user: str, password: str) -> None:
        self._checked("login", api_url, "--user", user, extra={"CROSSHAUL_PASSWORD": password})

    def json(self, *arguments: str) -> Any:
        """Run a command with --json and return the API's answer."""
        return json.loads(self._checked(*arguments, "--json"))

    def show(self, *arguments: str) -> int:
        """Run a command with its output on the terminal; return the exit code."""
        return subprocess.run([CROSSHAUL, *arguments], env=self.environment, check=False).returncode

    def try_(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command with captured output, whatever its exit code."""
        return subprocess.run(
            [CROSSHAUL, *arguments], env=self.environment, text=True, capture_output=True, check=False
        )

    def _checked(self, *arguments: str, extra: dict[str, str] | None = None) -> str:
        done = subprocess.run(
            [CROSSHAUL, *arguments],
            env=self.environment | (extra or {}),
            stdin=subprocess.DEVNULL,
            text=True,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(
                f"crosshaul {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}"
            )
        return done.stdout


def remembered_password(file: Path) -> str:
    """Return the password in `file`, generated at the first call; only the file's owner can read it."""
    if not file.exists():
        letters = string.ascii_letters + string.digits
        password = "".join(secrets.choice(letters) for _ in range(14)) + "-a7Z"
        file.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(file, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w") as stream:
            stream.write(password)
    return file.read_text()
