"""Where the installing script is published, and its digest: one row in the table of agents, written by who
publishes. The digest stands elsewhere than the script, so that who can change the one cannot change both.
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


class InstallerStore:
    def __init__(self, table: str, region: str) -> None:
        bind(ROWS, table, region)

    def get(self) -> Installer | None:
        """None where none was published."""
        try:
            row = InstallerRow.get(KEY, consistent_read=True)
        except InstallerRow.DoesNotExist:
            return None
        return Installer(row.address, row.digest)


def item(address: str, digest: str) -> dict[str, dict[str, str]]:
    """The row as DynamoDB's own API takes it."""
    row: dict[str, dict[str, str]] = InstallerRow(KEY, address=address, digest=digest).to_dynamodb_dict()
    return row
