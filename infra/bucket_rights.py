"""What transfers may do with existing buckets and their KMS keys: for the roles, and for other accounts."""

import json
from collections.abc import Iterator

from infra.settings import BucketSettings

BUCKET_ACTIONS = ("s3:ListBucket",)
UPLOAD_ACTIONS = ("s3:ListBucketMultipartUploads",)
"""What a hop needs on its bucket to find, and abort, uploads that it has begun."""
OBJECT_ACTIONS = (
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:PutObject",
    "s3:PutObjectTagging",
    "s3:AbortMultipartUpload",
)
KEY_ACTIONS = ("kms:Decrypt", "kms:GenerateDataKey")
"""KMS actions that S3 does for whoever reads and writes objects with SSE-KMS."""


def through_s3(region: str) -> dict[str, dict[str, str]]:
    """Return the condition that a KMS key is used by S3 only, on behalf of whoever may read the object."""
    return {"StringEquals": {"kms:ViaService": f"s3.{region}.amazonaws.com"}}


def owners_policies(bucket: BucketSettings, object_role: str, api_role: str) -> Iterator[tuple[str, str]]:
    """Yield what the owner of a bucket in another account has to allow: a heading, and statements as JSON.

    The roles are ARNs: the one whose credentials agents get, and the one that lets people browse.
    """
    arn = f"arn:{object_role.split(':')[1]}:s3:::{bucket.name}"
    yield (
        f"Statements for the bucket policy of {bucket.name}",
        _text(
            {
                "Sid": "CrosshaulLists",
                "Effect": "Allow",
                "Principal": {"AWS": [object_role, api_role]},
                "Action": list(BUCKET_ACTIONS),
                "Resource": arn,
            },
            {
                "Sid": "CrosshaulFindsItsUploads",
                "Effect": "Allow",
                "Principal": {"AWS": object_role},
                "Action": list(UPLOAD_ACTIONS),
                "Resource": arn,
            },
            {
                "Sid": "CrosshaulReadsAndWrites",
                "Effect": "Allow",
                "Principal": {"AWS": object_role},
                "Action": list(OBJECT_ACTIONS),
                "Resource": f"{arn}/*",
            },
        ),
    )
    if bucket.key:
        yield (
            f"Statement for the key policy of {bucket.key}",
            _text(
                {
                    "Sid": "CrosshaulThroughS3",
                    "Effect": "Allow",
                    "Principal": {"AWS": object_role},
                    "Action": list(KEY_ACTIONS),
                    "Resource": "*",
                    "Condition": through_s3(bucket.key_region()),
                }
            ),
        )


def _text(*statements: dict[str, object]) -> str:
    return json.dumps(list(statements), indent=2)
