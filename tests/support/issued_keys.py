"""The control plane as an agent's source of S3 credentials."""

from datetime import UTC, datetime, timedelta

from events.views import CredentialsView


def credentials(key_id: str = "KEY0") -> CredentialsView:
    """Return the credentials of a hop, which an S3 of a test accepts."""
    return CredentialsView(
        access_key_id=key_id,
        secret_access_key="test",
        session_token="token",
        expires_at=datetime.now(UTC) + timedelta(hours=1),
        region="eu-central-1",
        endpoint=None,
    )


class IssuedKeys:
    """Issues credentials, and others once S3 has refused the current ones."""

    def __init__(self, *key_ids: str) -> None:
        self.key_ids = list(key_ids or (f"KEY{number}" for number in range(10)))
        """Access keys; the first is current until S3 refuses it."""
        self.refusal: Exception | None = None
        """Raised instead."""

    def __call__(self, _hop_id: str, /, refused: CredentialsView | None = None) -> CredentialsView:
        if self.refusal:
            raise self.refusal
        if refused and refused.access_key_id == self.key_ids[0]:
            self.key_ids.pop(0)
        return credentials(self.key_ids[0])

    def forget(self, _hop_id: str, /) -> None:
        self.key_ids.pop(0)
