"""The one line that makes a host an agent, for its administrator to run there."""

import shlex
from collections.abc import Iterable

from events.requests import RootWish
from lambdas.store.installer import Installer

_SAVED = "crosshaul-install.sh"


def line(installer: Installer | None, api_url: str, roots: Iterable[RootWish]) -> str:
    """Fetch the script, check it by its digest, run it. The token is no part of it: the script asks for it,
    since a line is seen by everyone on the host.

    Where no script is published, what an installed agent registers with.
    """
    if installer is None:
        return f"crosshaul agent register --api {shlex.quote(api_url)}"
    options = ["--api", api_url]
    for root in roots:
        options += ["--root", f"{root.path}:{root.access}"]
    return " && ".join(
        (
            f"curl -fsSLo {_SAVED} {shlex.quote(installer.address)}",
            f"echo '{installer.digest}  {_SAVED}' | sha256sum -c -",
            f"sudo bash {_SAVED} {shlex.join(options)}",
        )
    )
