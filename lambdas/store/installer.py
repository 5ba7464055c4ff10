"""Where the installing script is published, and its digest: a row in the table of agents for each version and
one for the newest, written by who publishes. The digest stands elsewhere than the script, so that who can
change the one cannot change both.
"""

from dataclasses import dataclass

from lambdas.store.agent_rows import ROWS, InstallerRow
from lambdas.store.base import bind

KEY = "installer#"


@dataclass(frozen=True)
class Installer:
    """The published script."""

    address: str
    digest: str
    """SHA-256, hex."""
    version: str | None = None
    """None where an older publisher did not say."""


class InstallerStore:
    def __init__(self, table: str, region: str) -> None:
        bind(ROWS, table, region)

    def get(self, version: str | None = None) -> Installer | None:
        """That of a version, or the newest; None where none was published."""
        try:
            row = InstallerRow.get(f"{KEY}{version or ''}", consistent_read=True)
        except InstallerRow.DoesNotExist:
            return None
        return Installer(row.address, row.digest, row.version)


def items(address: str, digest: str, version: str) -> list[dict[str, dict[str, str]]]:
    """The rows as DynamoDB's own API takes them, the newest's last."""
    rows = (
        InstallerRow(key, address=address, digest=digest, version=version) for key in (KEY + version, KEY)
    )
    return [row.to_dynamodb_dict() for row in rows]
