"""Files of the archive in S3: lines, compressed with gzip."""

import gzip
import zlib
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from lambdas.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class ArchiveBucket:
    """Writes and reads files of lines."""

    def __init__(self, s3: "S3Client", bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def write(self, name: str, lines: list[bytes]) -> None:
        """Write a file. S3 verifies its checksum, and keeps it in several places before it answers.

        Raises:
            ClientError: S3 has not taken it.
        """
        body = gzip.compress(b"".join(line + b"\n" for line in lines), mtime=0)
        self._s3.put_object(
            Bucket=self._bucket,
            Key=name,
            Body=body,
            ContentType="application/gzip",
            ChecksumAlgorithm="SHA256",
        )

    def read(self, name: str) -> list[bytes]:
        """Return the lines of a file; none if it does not exist or is damaged.

        Raises:
            BotoCoreError: S3 has not answered. Some of these are an OSError, too.
            ClientError: S3 refuses.
        """
        try:
            body = self._s3.get_object(Bucket=self._bucket, Key=name)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"NoSuchKey", "404"}:
                raise
            return []
        try:
            return gzip.decompress(body).splitlines()
        except (OSError, EOFError, zlib.error):
            logger.exception("file of the archive is damaged", extra={"file": name})
            return []
