"""What hops did, file by file: where an agent may put it, and where people get it."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, Protocol

from events.base import AgentId, HopId, TransferId
from events.requests import ManifestRequest
from events.views import HopManifest, ManifestPlaceView, ManifestView
from lambdas.domain.errors import ConflictError, TransferUnknownError
from lambdas.domain.hop import Hop, hop_number
from lambdas.domain.transfer import Transfer

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

URL_LIFETIME = timedelta(minutes=15)
"""Of a signed address."""
ACCEPTANCE_WINDOW = timedelta(days=14)
"""After a hop's end; then what it did is settled."""
_HEADERS = {"Content-Type": "application/gzip"}
_SUFFIX = ".jsonl.gz"


class ManifestNotWantedError(ConflictError):
    code = "manifest-not-wanted"


class TransferSource(Protocol):
    def load(self, transfer_id: str) -> Transfer:
        """Raises TransferUnknownError."""


class Manifests:
    def __init__(
        self, transfers: TransferSource, s3: "S3Client", bucket: str, clock: Callable[[], datetime]
    ) -> None:
        self._transfers = transfers
        self._s3 = s3
        self._bucket = bucket
        self._clock = clock

    def place(self, agent_id: AgentId, wish: ManifestRequest) -> ManifestPlaceView:
        """Raises ManifestNotWantedError unless the hop was once given to this very agent to carry."""
        hop = self._hop(agent_id, wish.hop_id)
        put = {"ContentLength": wish.size, "ContentType": _HEADERS["Content-Type"]}
        url, expires_at = self._signed("put_object", _key(hop.transfer_id, hop.number), put)
        return ManifestPlaceView(url=url, headers=_HEADERS, expires_at=expires_at)

    def of(self, transfer_id: TransferId) -> ManifestView:
        """Raises TransferUnknownError."""
        hops = self._transfers.load(transfer_id).hops
        found = self._found(transfer_id)
        there = [self._manifest(hop, found[hop.number]) for hop in hops if hop.number in found]
        missing = tuple(hop.hop_id for hop in hops if hop.number not in found)
        expires_at = self._clock() + URL_LIFETIME
        return ManifestView(
            transfer_id=transfer_id, hops=tuple(there), missing=missing, expires_at=expires_at
        )

    def _hop(self, agent_id: AgentId, hop_id: HopId) -> Hop:
        """Of another agent's hop it says no more than of one that there is not."""
        hops: tuple[Hop, ...] = ()
        with suppress(TransferUnknownError):
            hops = self._transfers.load(hop_id.rpartition("-")[0]).hops
        for hop in hops:
            if hop.number == hop_number(hop_id) and hop.carrier == agent_id and self._is_open(hop):
                return hop
        raise ManifestNotWantedError(
            f"{agent_id} has not carried a hop {hop_id} of late.",
            "A manifest is taken from a hop's first offer until "
            f"{ACCEPTANCE_WINDOW.days} days after its end.",
        )

    def _is_open(self, hop: Hop) -> bool:
        begun = hop.offered_at or hop.started_at
        return begun is not None and (
            hop.ended_at is None or self._clock() - hop.ended_at < ACCEPTANCE_WINDOW
        )

    def _found(self, transfer_id: TransferId) -> dict[int, Any]:
        """By the hop's number. A transfer has fewer hops than a page has objects."""
        prefix = f"{transfer_id}/"
        page = self._s3.list_objects_v2(Bucket=self._bucket, Prefix=prefix)
        return {
            int(one["Key"].removeprefix(prefix).removesuffix(_SUFFIX)): one
            for one in page.get("Contents", [])
        }

    def _manifest(self, hop: Hop, there: Mapping[str, Any]) -> HopManifest:
        shown_as = {"ResponseContentDisposition": f'attachment; filename="{hop.hop_id}{_SUFFIX}"'}
        url, _ = self._signed("get_object", _key(hop.transfer_id, hop.number), shown_as)
        return HopManifest(hop_id=hop.hop_id, url=url, size=there["Size"], written_at=there["LastModified"])

    def _signed(
        self, what: Literal["put_object", "get_object"], key: str, more: dict[str, Any]
    ) -> tuple[str, datetime]:
        expires_at = self._clock() + URL_LIFETIME
        place = {"Bucket": self._bucket, "Key": key, **more}
        seconds = int(URL_LIFETIME.total_seconds())
        return self._s3.generate_presigned_url(what, Params=place, ExpiresIn=seconds), expires_at


def _key(transfer_id: TransferId, number: int) -> str:
    return f"{transfer_id}/{number}{_SUFFIX}"
