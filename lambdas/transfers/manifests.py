"""Manifests, which list what a hop did file by file: signed URLs for uploads and downloads."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, Protocol

from events.base import AgentId, HopId, TransferId
from events.requests import ManifestRequest
from events.views import HopManifest, ManifestPlaceView, ManifestView
from lambdas.domain.errors import ManifestNotWantedError, TransferUnknownError
from lambdas.domain.hop import Hop, hop_number
from lambdas.domain.transfer import Transfer

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

URL_LIFETIME = timedelta(minutes=15)
"""Lifetime of a presigned URL."""
ACCEPTANCE_WINDOW = timedelta(days=14)
"""How long after a hop's end its manifest is accepted."""
_HEADERS = {"Content-Type": "application/gzip"}
_SUFFIX = ".jsonl.gz"


class TransferSource(Protocol):
    """Loads transfers."""

    def load(self, transfer_id: str) -> Transfer:
        """Return a transfer; raise TransferUnknownError if it does not exist."""


class Manifests:
    """Presigns the uploads and downloads of manifests."""

    def __init__(
        self, transfers: TransferSource, s3: "S3Client", bucket: str, clock: Callable[[], datetime]
    ) -> None:
        self._transfers = transfers
        self._s3 = s3
        self._bucket = bucket
        self._clock = clock

    def place(self, agent_id: AgentId, request: ManifestRequest) -> ManifestPlaceView:
        """Return where the agent may upload a hop's manifest.

        Raises:
            ManifestNotWantedError: the agent did not carry this hop, or it ended too long ago.
        """
        hop = self._hop(agent_id, request.hop_id)
        put = {"ContentLength": request.size, "ContentType": _HEADERS["Content-Type"]}
        url, expires_at = self._signed("put_object", _key(hop.transfer_id, hop.number), put)
        return ManifestPlaceView(url=url, headers=_HEADERS, expires_at=expires_at)

    def list_manifests(self, transfer_id: TransferId) -> ManifestView:
        """Return the manifests of a transfer; raise TransferUnknownError if it does not exist."""
        hops = self._transfers.load(transfer_id).hops
        found = self._found(transfer_id)
        manifests = [self._manifest(hop, found[hop.number]) for hop in hops if hop.number in found]
        missing = tuple(hop.hop_id for hop in hops if hop.number not in found)
        expires_at = self._clock() + URL_LIFETIME
        return ManifestView(
            transfer_id=transfer_id, hops=tuple(manifests), missing=missing, expires_at=expires_at
        )

    def _hop(self, agent_id: AgentId, hop_id: HopId) -> Hop:
        """Return the agent's own hop; for others, the error does not reveal whether they exist."""
        hops: tuple[Hop, ...] = ()
        with suppress(TransferUnknownError):
            hops = self._transfers.load(hop_id.rpartition("-")[0]).hops
        for hop in hops:
            if hop.number == hop_number(hop_id) and hop.carrier == agent_id and self._is_open(hop):
                return hop
        raise ManifestNotWantedError(agent_id, hop_id, ACCEPTANCE_WINDOW.days)

    def _is_open(self, hop: Hop) -> bool:
        offered_at = hop.offered_at or hop.started_at
        return offered_at is not None and (
            hop.ended_at is None or self._clock() - hop.ended_at < ACCEPTANCE_WINDOW
        )

    def _found(self, transfer_id: TransferId) -> dict[int, Any]:
        """Return the stored manifests by hop number; one page of S3 has more objects than a transfer hops."""
        prefix = f"{transfer_id}/"
        page = self._s3.list_objects_v2(Bucket=self._bucket, Prefix=prefix)
        return {
            int(one["Key"].removeprefix(prefix).removesuffix(_SUFFIX)): one
            for one in page.get("Contents", [])
        }

    def _manifest(self, hop: Hop, found: Mapping[str, Any]) -> HopManifest:
        headers = {"ResponseContentDisposition": f'attachment; filename="{hop.hop_id}{_SUFFIX}"'}
        url, _ = self._signed("get_object", _key(hop.transfer_id, hop.number), headers)
        return HopManifest(hop_id=hop.hop_id, url=url, size=found["Size"], written_at=found["LastModified"])

    def _signed(
        self, what: Literal["put_object", "get_object"], key: str, more: dict[str, Any]
    ) -> tuple[str, datetime]:
        expires_at = self._clock() + URL_LIFETIME
        parameters = {"Bucket": self._bucket, "Key": key, **more}
        seconds = int(URL_LIFETIME.total_seconds())
        return self._s3.generate_presigned_url(what, Params=parameters, ExpiresIn=seconds), expires_at


def _key(transfer_id: TransferId, number: int) -> str:
    return f"{transfer_id}/{number}{_SUFFIX}"
