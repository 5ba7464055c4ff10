"""Upload a hop's manifest: ask the API for an upload URL, and put the manifest there."""

import os
from collections.abc import Callable, Sequence
from typing import IO

import httpx

from agent.cloud import api, http
from agent.errors import HostError
from agent.pull.manifest_outbox import ManifestRefusedError
from events.base import HopId
from events.views import ManifestPlaceView

_FINAL_STATUSES = {400, 403, 404, 413, 422}
"""The API's answers to a manifest that it will never accept."""


class ManifestApi:
    """Uploads hops' manifests to the control plane's bucket."""

    def __init__(self, agent_id: str, api_keys: Callable[[], Sequence[str]], client: httpx.Client) -> None:
        self._path = f"agents/{agent_id}/manifests"
        self._api_keys = api_keys
        self._client = client

    def __call__(self, hop_id: HopId, manifest: IO[bytes], *, succeeded: bool) -> None:
        """Upload a manifest; see `agent.pull.manifest_outbox.Send`."""
        size = os.fstat(manifest.fileno()).st_size  # the API checks it
        request = {"hop_id": hop_id, "size": size, "succeeded": succeeded}
        try:
            self._put(self._request_location(request), manifest)
        except (httpx.HTTPError, http.ApiProblem, HostError) as error:
            raise OSError(str(error)) from error

    def _request_location(self, request: dict[str, object]) -> ManifestPlaceView:
        try:
            response = api.post(self._client, self._path, request, self._api_keys())
        except http.ApiProblem as refusal:
            if refusal.status in _FINAL_STATUSES:
                raise ManifestRefusedError(str(refusal)) from refusal
            raise
        return ManifestPlaceView.model_validate_json(response.content)

    def _put(self, location: ManifestPlaceView, manifest: IO[bytes]) -> None:
        """Upload to the presigned URL, which grants access and must appear in no message."""
        headers = {"Content-Length": str(os.fstat(manifest.fileno()).st_size)}
        response = self._client.put(location.url, content=manifest, headers=location.headers | headers)
        if not response.is_success:
            raise OSError(f"the manifests' bucket answers with status {response.status_code}")
