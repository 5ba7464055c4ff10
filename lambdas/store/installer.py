"""Address and digest of published install scripts, in the agents table: of each version, and of the newest.

The publisher writes them. The digest is stored apart from the script, so that a person who can change one
cannot change both.
"""

from dataclasses import dataclass

from lambdas.store.agent_rows import ROWS, InstallerRow
from lambdas.store.base import bind

KEY = "installer#"


@dataclass(frozen=True)
class Installer:
    """A published install script."""

    address: str
    digest: str
    """SHA-256, hex."""
    version: str | None = None
    """None if an older publisher did not record it."""


class InstallerStore:
    """Reads where install scripts are published."""

    def __init__(self, table: str, region: str) -> None:
        bind(ROWS, table, region)

    def get(self, version: str | None = None) -> Installer | None:
        """Return the script of a version, or the newest; None if none was published."""
        try:
            row = InstallerRow.get(f"{KEY}{version or ''}", consistent_read=True)
        except InstallerRow.DoesNotExist:
            return None
        return Installer(row.address, row.digest, row.version)


def items(address: str, digest: str, version: str) -> list[dict[str, dict[str, str]]]:
    """Return the rows for DynamoDB's own API, the one for the newest version last."""
    rows = (
        InstallerRow(key, address=address, digest=digest, version=version) for key in (KEY + version, KEY)
    )
    return [row.to_dynamodb_dict() for row in rows]
