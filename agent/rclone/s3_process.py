"""Run rclone for one hop's S3 with credentials that it fetches from this agent.

rclone requests them on loopback through the interface that AWS's SDKs use in containers. So no secret is on a
command line or in a file, and rclone renews them by itself.
https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
"""

import hmac
import json
import logging
import math
import os
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler

from agent.errors import HopError
from agent.pull.mover import Credentials, credentials_error
from agent.pull.source import SourceConnectionError
from agent.rclone.loopback_server import LoopbackServer, QuietHandler
from agent.rclone.process import RcloneProcess, inherited_environment
from events.commands import S3Route
from events.views import CredentialsView

log = logging.getLogger(__name__)

REMOTE = "s3"
LATE_REFUSALS_S = 3.0
"""Seconds after credentials were replaced in which a refusal may still be one of the old ones."""


class S3RcloneProcess(RcloneProcess):
    """rclone with S3 as its only remote."""

    def __init__(self, hop_id: str, route: S3Route, credentials: Credentials) -> None:
        """Prepare rclone. Raise HopError if it is not installed."""
        super().__init__(_environment(route))
        self._endpoint = _CredentialsEndpoint(hop_id, credentials)
        self._environment |= self._endpoint.environment

    def check(self) -> None:
        """Check that credentials are issued, before rclone finds out by retrying for minutes.

        Raises:
            HopError: the control plane refuses them.
            SourceConnectionError: the control plane does not answer.
        """
        try:
            self._endpoint.issue()
        except Exception as error:
            raise credentials_error(error) from error

    def close(self) -> None:
        super().close()
        self._endpoint.close()

    def discard_credentials(self) -> bool:
        may_succeed = self._endpoint.discard()
        self.terminate_all()
        return may_succeed

    @property
    def refusal(self) -> HopError | SourceConnectionError | None:
        """Return why there were no credentials, if that was the last answer to rclone."""
        return self._endpoint.refusal


def _environment(route: S3Route) -> dict[str, str]:
    """Return rclone's whole environment: no configuration or account of this host is included."""
    section = f"RCLONE_CONFIG_{REMOTE.upper()}_"
    found = inherited_environment() | {
        "RCLONE_CONFIG": "",
        "RCLONE_USE_JSON_LOG": "true",
        "RCLONE_LOG_LEVEL": "NOTICE",
        "RCLONE_USE_SERVER_MODTIME": "true",
        "RCLONE_LOW_LEVEL_RETRIES": "4",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        f"{section}TYPE": "s3",
        f"{section}PROVIDER": "Other" if route.endpoint else "AWS",
        f"{section}ENV_AUTH": "true",
        f"{section}REGION": route.region,
        f"{section}NO_CHECK_BUCKET": "true",
        f"{section}ENCODING": "Raw",
        f"{section}LIST_URL_ENCODE": "true",  # XML has no way to write some characters of keys
        f"{section}USE_DATA_INTEGRITY_PROTECTIONS": str(_is_tls(route)).lower(),
    }
    if route.endpoint:
        found |= {f"{section}ENDPOINT": route.endpoint, f"{section}FORCE_PATH_STYLE": "true"}
    return found


def _is_tls(route: S3Route) -> bool:
    """Return whether the endpoint uses TLS: checksums that follow the data require it."""
    return route.endpoint is None or route.endpoint.startswith("https:")


class _CredentialsEndpoint:
    """Issues credentials on loopback to clients that show the token."""

    def __init__(self, hop_id: str, credentials: Credentials) -> None:
        self._hop_id = hop_id
        self._credentials = credentials
        self._handed_out: CredentialsView | None = None
        """What rclone got last; others may be issued already."""
        self._refused: list[CredentialsView] = []
        self._discarded_at = -math.inf
        """On the monotonic clock, in seconds."""
        self._discarding = threading.Lock()
        self._token = secrets.token_urlsafe(32)
        self.refusal: HopError | SourceConnectionError | None = None
        self._server = LoopbackServer(_CredentialsHandler, self, "credentials")

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": self._server.url,
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": self._token,
        }

    def issue(self) -> CredentialsView:
        refused = {"refused": self._refused[-1]} if self._refused else {}
        return self._credentials(self._hop_id, **refused)

    def discard(self) -> bool:
        """Replace credentials that S3 refuses; return False if it has refused others before.

        Several readers are refused at once. Their late reports are about the old credentials, even if a new
        rclone has others already. Thread-safe.
        """
        with self._discarding:
            refused, now = self._handed_out, time.monotonic()
            if refused and refused not in self._refused and now - self._discarded_at > LATE_REFUSALS_S:
                log.warning("S3 refuses credentials", extra={"hop_id": self._hop_id})
                self._refused.append(refused)
                try:
                    self.issue()
                except Exception as error:  # the next request for them reports it
                    log.info("no other credentials yet", extra={"hop_id": self._hop_id, "reason": str(error)})
                self._discarded_at = time.monotonic()
            return len(self._refused) == 1

    def answer(self, token: str) -> tuple[int, bytes]:
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            return 403, b"{}"
        try:
            issued = self.issue()
        except Exception as error:
            self.refusal = credentials_error(error)
            return 400, json.dumps({"code": "Unavailable", "message": str(error)}).encode()
        self.refusal, self._handed_out = None, issued
        answer = {
            "AccessKeyId": issued.access_key_id,
            "SecretAccessKey": issued.secret_access_key,
            "Token": issued.session_token,
            "Expiration": issued.expires_at.isoformat().replace("+00:00", "Z"),
        }
        return 200, json.dumps(answer).encode()

    def close(self) -> None:
        self._server.close()


class _CredentialsHandler(QuietHandler, BaseHTTPRequestHandler):
    server: LoopbackServer[_CredentialsEndpoint]

    def do_GET(self) -> None:
        status, body = self.server.owner.answer(self.headers.get("Authorization", ""))
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
