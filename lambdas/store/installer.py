"""Published releases in DynamoDB, in a table of their own: each version, and the newest.

Only the publisher writes them, with rights of the account: no function may. The digest of the install script
is stored apart from the script, so that a person who can change one cannot change both.
"""

from dataclasses import dataclass

from pynamodb.attributes import UnicodeAttribute
from pynamodb.models import Model

from lambdas.store.base import bind

NEWEST = "#newest"
"""Key of the row that repeats the newest release; no version begins with `#`."""


class ReleaseRow(Model):
    """A published release."""

    class Meta:
        table_name = ""

    release_id = UnicodeAttribute(hash_key=True)
    address = UnicodeAttribute()
    digest = UnicodeAttribute()
    version = UnicodeAttribute()
    release = UnicodeAttribute()


@dataclass(frozen=True)
class Installer:
    """A published release, which its install script installs."""

    address: str
    digest: str
    """SHA-256 of the script, hex."""
    version: str
    release: str
    """What the publisher has signed about it, for the hosts' updaters (`events.releases`)."""


class InstallerStore:
    """Reads what is published."""

    def __init__(self, table: str, region: str) -> None:
        bind((ReleaseRow,), table, region)

    def get(self, version: str | None = None) -> Installer | None:
        """Return the release of a version, or the newest; None if none was published."""
        try:
            row = ReleaseRow.get(version or NEWEST, consistent_read=True)
        except ReleaseRow.DoesNotExist:
            return None
        return Installer(row.address, row.digest, row.version, row.release)


def items(installer: Installer) -> list[dict[str, dict[str, str]]]:
    """Return the rows for DynamoDB's own API, the one for the newest version last."""
    rows = (
        ReleaseRow(
            key,
            address=installer.address,
            digest=installer.digest,
            version=installer.version,
            release=installer.release,
        )
        for key in (installer.version, NEWEST)
    )
    return [row.to_dynamodb_dict() for row in rows]
