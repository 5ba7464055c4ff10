"""Manifests, which list what a hop did file by file: signed URLs for uploads and downloads."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Literal, Protocol

from events.base import AgentId, HopId, TransferId
from events.requests import ManifestRequest
from events.states import HopState
from events.views import HopManifest, ManifestPlaceView, ManifestView
from lambdas.domain.errors import ManifestNotWantedError, TransferUnknownError
from lambdas.domain.hop import Hop, hop_number
from lambdas.domain.transfer import Transfer

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectTypeDef

URL_LIFETIME = timedelta(minutes=15)
"""Lifetime of a presigned URL."""
ACCEPTANCE_WINDOW = timedelta(days=14)
"""How long after a hop's end its manifest is accepted."""
_HEADERS = {"Content-Type": "application/gzip"}
_SUFFIX = ".jsonl.gz"
_NOT_SUCCEEDED = ".not-succeeded"


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
        key = _key(hop.transfer_id, hop.number, succeeded=request.succeeded)
        url, expires_at = self._signed("put_object", key, put)
        return ManifestPlaceView(url=url, headers=_HEADERS, expires_at=expires_at)

    def list_manifests(self, transfer_id: TransferId) -> ManifestView:
        """Return the manifests of a transfer; raise TransferUnknownError if it does not exist."""
        hops = self._transfers.load(transfer_id).hops
        stored = self._stored(transfer_id)
        newest = [(hop, _newest(hop, stored)) for hop in hops]
        manifests = [self._manifest(hop, manifest) for hop, manifest in newest if manifest]
        missing = tuple(
            hop.hop_id
            for hop, manifest in newest
            if manifest is None or _is_of_earlier_attempt(manifest, hop)
        )
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

    def _stored(self, transfer_id: TransferId) -> "dict[str, ObjectTypeDef]":
        """Return the stored manifests by key; one page of S3 has more objects than a transfer manifests."""
        page = self._s3.list_objects_v2(Bucket=self._bucket, Prefix=f"{transfer_id}/")
        return {manifest["Key"]: manifest for manifest in page.get("Contents", [])}

    def _manifest(self, hop: Hop, manifest: "ObjectTypeDef") -> HopManifest:
        headers = {"ResponseContentDisposition": f'attachment; filename="{hop.hop_id}{_SUFFIX}"'}
        url, _ = self._signed("get_object", manifest["Key"], headers)
        return HopManifest(
            hop_id=hop.hop_id, url=url, size=manifest["Size"], written_at=manifest["LastModified"]
        )

    def _signed(
        self, what: Literal["put_object", "get_object"], key: str, more: dict[str, Any]
    ) -> tuple[str, datetime]:
        expires_at = self._clock() + URL_LIFETIME
        parameters = {"Bucket": self._bucket, "Key": key, **more}
        seconds = int(URL_LIFETIME.total_seconds())
        return self._s3.generate_presigned_url(what, Params=parameters, ExpiresIn=seconds), expires_at


def _key(transfer_id: TransferId, number: int, *, succeeded: bool) -> str:
    return f"{transfer_id}/{number}{'' if succeeded else _NOT_SUCCEEDED}{_SUFFIX}"


def _newest(hop: Hop, stored: "Mapping[str, ObjectTypeDef]") -> "ObjectTypeDef | None":
    """Return the newest manifest of a hop; None if there is none, or none of its success.

    Reports overtake manifests: what an earlier attempt has left undone is not what a success has.
    """
    results = (True,) if hop.state == HopState.SUCCEEDED else (True, False)
    keys = (_key(hop.transfer_id, hop.number, succeeded=succeeded) for succeeded in results)
    return max((stored[key] for key in keys if key in stored), key=itemgetter("LastModified"), default=None)


def _is_of_earlier_attempt(manifest: "ObjectTypeDef", hop: Hop) -> bool:
    """Return whether a manifest of a hop that has not succeeded is older than its last attempt."""
    if hop.state == HopState.SUCCEEDED or not hop.ended or hop.offered_at is None:
        return False
    return manifest["LastModified"] < hop.offered_at.replace(microsecond=0)  # S3 keeps whole seconds
