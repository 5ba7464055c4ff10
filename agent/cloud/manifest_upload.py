"""The way of a hop's manifest to the control plane: ask the API for a place, and put it there."""

import os
from collections.abc import Callable, Sequence
from typing import IO

import httpx

from agent.cloud import api, http
from agent.pull.manifest_outbox import RefusedError
from events.base import HopId
from events.views import ManifestPlaceView

_NEVER = {400, 403, 404, 413, 422}
"""What the API answers to a manifest that it will not take another time either."""


class ManifestApi:
    """Brings a hop's manifest to where the control plane keeps it."""

    def __init__(self, agent_id: str, api_keys: Callable[[], Sequence[str]], client: httpx.Client) -> None:
        self._path = f"agents/{agent_id}/manifests"
        self._api_keys = api_keys
        self._client = client

    def __call__(self, hop_id: HopId, manifest: IO[bytes]) -> None:
        """RefusedError if it is not wanted; OSError when it may be tried again."""
        try:
            self._put(self._place(hop_id, os.fstat(manifest.fileno()).st_size), manifest)
        except (httpx.HTTPError, http.ApiProblem) as error:
            raise OSError(str(error)) from error

    def _place(self, hop_id: HopId, size: int) -> ManifestPlaceView:
        body = {"hop_id": hop_id, "size": size}  # whether it is too large, the API says
        try:
            response = api.post(self._client, self._path, body, self._api_keys())
        except http.ApiProblem as refusal:
            if refusal.status in _NEVER:
                raise RefusedError(str(refusal)) from refusal
            raise
        return ManifestPlaceView.model_validate_json(response.content)

    def _put(self, place: ManifestPlaceView, manifest: IO[bytes]) -> None:
        """The address stands for a right, and is in no message."""
        length = {"Content-Length": str(os.fstat(manifest.fileno()).st_size)}
        response = self._client.put(place.url, content=manifest, headers=place.headers | length)
        if not response.is_success:
            raise OSError(f"the manifests' bucket answers {response.status_code}")
