"""Create signed MQTT-over-WebSocket URLs for live progress and change notices, with receive-only rights.

https://docs.aws.amazon.com/iot/latest/developerguide/protocols.html#mqtt-ws
"""

import json
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from events.base import TransferId
from events.topics import Topics
from events.views import LiveView
from lambdas.ports import Clock

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient
    from mypy_boto3_sts import STSClient

SIGNATURE_LIFETIME_S = 300
"""How long the URL may be used to connect."""
SESSION_LIFETIME_S = 3600
"""How long the credentials in the URL are valid."""


class LiveUrls:
    """Creates presigned WebSocket URLs of IoT Core."""

    def __init__(
        self,
        *,
        iot: "IoTClient",
        sts: "STSClient",
        role_arn: str,
        region: str,
        topics: Topics,
        clock: Clock,
    ) -> None:
        self._iot = iot
        self._sts = sts
        self._role_arn = role_arn
        self._region = region
        self._topics = topics
        self._clock = clock
        self._host = ""

    def progress_url(self, transfer_id: TransferId | None) -> LiveView:
        """Return a URL for the progress of one transfer, or of all."""
        return self._live_view(
            self._topics.live_of_transfer(transfer_id) if transfer_id else self._topics.all_live
        )

    def changes_url(self) -> LiveView:
        """Return a URL for notices of changed transfers."""
        return self._live_view(self._topics.all_changes)

    def _live_view(self, topic: str) -> LiveView:
        token = secrets.token_hex(10)
        client_id = self._topics.console(token)
        credentials = self._sts.assume_role(
            RoleArn=self._role_arn,
            RoleSessionName=f"live-{token}",
            Policy=json.dumps(self.session_policy(client_id, topic), separators=(",", ":")),
            DurationSeconds=SESSION_LIFETIME_S,
        )["Credentials"]
        signed_url = self._signed(credentials["AccessKeyId"], credentials["SecretAccessKey"])
        url = f"{signed_url}&X-Amz-Security-Token={quote(credentials['SessionToken'], safe='')}"
        expires_at = self._clock() + timedelta(seconds=SIGNATURE_LIFETIME_S)
        return LiveView(url=url, client_id=client_id, topics=(topic,), expires_at=expires_at)

    def session_policy(self, client_id: str, topic: str) -> dict[str, Any]:
        """Return the IAM policy to connect as `client_id` and receive `topic`; IAM writes `+` as `*`."""
        _, partition, _, _, account, _ = self._role_arn.split(":", 5)
        iot = f"arn:{partition}:iot:{self._region}:{account}"
        allowed = {
            "iot:Connect": f"{iot}:client/{client_id}",
            "iot:Subscribe": f"{iot}:topicfilter/{topic}",
            "iot:Receive": f"{iot}:topic/{topic.replace('+', '*')}",
        }
        statements = [
            {"Effect": "Allow", "Action": action, "Resource": resource}
            for action, resource in allowed.items()
        ]
        return {"Version": "2012-10-17", "Statement": statements}

    def _signed(self, access_key: str, secret_key: str) -> str:
        """Return the presigned URL; IoT Core requires that the session token is appended unsigned."""
        from botocore.auth import SigV4QueryAuth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        credentials = Credentials(access_key, secret_key)
        request = AWSRequest("GET", f"{self._endpoint()}/mqtt")
        SigV4QueryAuth(credentials, "iotdevicegateway", self._region, expires=SIGNATURE_LIFETIME_S).add_auth(
            request
        )
        return str(request.url)

    def _endpoint(self) -> str:
        """Return the broker's URL: `wss` for IoT Core, `ws` for the embedded cloud, whose host has a port."""
        self._host = self._host or self._iot.describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"]
        return f"ws://{self._host}" if ":" in self._host else f"wss://{self._host}"
