"""Test the credentials that rclone for the relay bucket gets from its agent."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import httpx

from agent.rclone.s3_process import S3RcloneProcess
from events.commands import S3Route
from tests.support.hosts import TRANSFER
from tests.support.issued_keys import IssuedKeys


def key_given_to(rclone: S3RcloneProcess) -> str:
    """Return the access key that an rclone which starts now would get."""
    shown = {"Authorization": rclone._environment["AWS_CONTAINER_AUTHORIZATION_TOKEN"]}
    answer = httpx.get(rclone._environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"], headers=shown)
    return str(answer.raise_for_status().json()["AccessKeyId"])


def test_readers_that_are_refused_together_discard_the_old_credentials_only():
    """Eight connections learn that a session has ended; the last of them when rclone has the new one."""
    with closing(S3RcloneProcess(f"{TRANSFER}-0", S3Route(region="eu-central-1"), IssuedKeys())) as rclone:
        assert key_given_to(rclone) == "KEY0"
        with ThreadPoolExecutor(8) as readers:
            reports = [readers.submit(rclone.discard_credentials) for _ in range(8)]
        assert all(report.result() for report in reports)
        assert key_given_to(rclone) == "KEY1"
        assert rclone.discard_credentials()
        assert key_given_to(rclone) == "KEY1"
