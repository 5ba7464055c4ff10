"""The command line that installs an agent on a host, for its administrator to run there."""

import shlex
from collections.abc import Iterable

from events.requests import RootSpec
from lambdas.store.installer import Installer

_SCRIPT_FILE = "crosshaul-install.sh"


TOKEN_FILE = "/root/crosshaul.token"  # noqa: S105 - a path, not a token
"""Where the install command of a roll-out reads the token, since it runs unattended."""


def install_command(
    installer: Installer | None, api_url: str, roots: Iterable[RootSpec], token_file: str | None = None
) -> str:
    """Return a command that fetches the install script, verifies its digest and runs it.

    The token is not part of it, since every user of the host sees a command line: the script asks for it, or
    reads it from a file. If no script is published, return the command that registers an installed agent.
    """
    options = ["--api", api_url, *(["--token-file", token_file] if token_file else [])]
    if installer is None:
        return f"crosshaul agent register {shlex.join(options)}"
    for root in roots:
        options += ["--root", f"{root.path}:{root.access}"]
    return " && ".join(
        (
            f"curl -fsSLo {_SCRIPT_FILE} {shlex.quote(installer.address)}",
            f"echo '{installer.digest}  {_SCRIPT_FILE}' | sha256sum -c -",
            f"sudo bash {_SCRIPT_FILE} {shlex.join(options)}",
        )
    )
