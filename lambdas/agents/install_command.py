"""The one line that makes a host an agent, for its administrator to run there."""

import shlex
from collections.abc import Iterable

from events.requests import RootSpec
from lambdas.store.installer import Installer

_SCRIPT_FILE = "crosshaul-install.sh"


TOKEN_FILE = "/root/crosshaul.token"  # noqa: S105 - where it is, not what
"""Where the line of a roll-out finds the token: nobody is there to be asked."""


def install_command(
    installer: Installer | None, api_url: str, roots: Iterable[RootSpec], token_file: str | None = None
) -> str:
    """Fetch the script, check it by its digest, run it. The token is no part of it: the script asks for it,
    or reads it from a file, since a line is seen by everyone on the host.

    Where no script is published, what an installed agent registers with.
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
