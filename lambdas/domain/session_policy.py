"""The session policies with which a hop's S3 credentials are restricted, and their size.

STS accepts a policy of at most 2,048 characters, none above U+00FF, so others count as six in JSON. It also
limits the policy in a packed form that only STS knows; room is left for that.
https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
"""

import json
import re
from typing import Any

from events.locations import S3Location
from events.options import Options
from lambdas.domain.errors import LimitError
from lambdas.domain.hop import Hop, relay_prefix
from lambdas.domain.problems import PREFIX_TOO_LONG

STS_POLICY_CHARS = 2048
"""Maximum length of a session policy in characters: the limit of STS."""
MAX_POLICY_CHARS = 1800
"""Maximum length of a session policy when a transfer is requested, in characters."""

_READ = ("s3:GetObject", "s3:GetObjectVersion")
_WRITE = ("s3:PutObject", "s3:AbortMultipartUpload", "s3:GetObject")
_TAG = ("s3:PutObjectTagging",)
"""Also changes the tags of objects that exist, so it is given only to a hop that sets tags."""
_ABORT = ("s3:AbortMultipartUpload",)
_RELAY = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject")
"""HEAD needs s3:GetObject: an upload compares existing objects first."""
_KEYS = ("kms:Decrypt", "kms:GenerateDataKey")
"""Rights to the KMS keys of encrypted buckets; an upload in parts needs to decrypt, too."""
_LONGEST_PARTITION = "aws-us-gov"


def policy_text(policy: dict[str, Any]) -> str:
    """Return a policy as STS accepts it, with as few characters as possible."""
    text = json.dumps(policy, separators=(",", ":"), ensure_ascii=False)
    return re.sub(r"[^\x00-\xff]", lambda found: json.dumps(found[0])[1:-1], text)


def check_policy(hop: Hop, options: Options) -> None:
    """Raise LimitError if no credentials could be issued for a hop to or from S3."""
    size = len(policy_text(session_policy(hop, options, _LONGEST_PARTITION)))
    if size > MAX_POLICY_CHARS:
        end = hop.source if isinstance(hop.source, S3Location) else hop.destination
        raise LimitError(words=PREFIX_TOO_LONG, end=end, size=f"{size:,}", limit=f"{MAX_POLICY_CHARS:,}")


def session_policy(hop: Hop, options: Options, partition: str = "aws") -> dict[str, Any]:
    """Return the session policy of a hop: only reading from its source, or writing to its destination."""
    if isinstance(hop.source, S3Location):
        return _policy(hop.source, _READ, partition)
    if isinstance(hop.destination, S3Location):
        actions = _WRITE + _TAG if options.object_tags else _WRITE
        policy = _policy(hop.destination, actions, partition)
        policy["Statement"].append(_uploads(hop.destination, partition))
        return policy
    raise TypeError(f"{hop.hop_id} has no end in S3")


def abort_policy(location: S3Location, partition: str = "aws") -> dict[str, Any]:
    """Return the session policy of a push that has ended: only finding and aborting its uploads."""
    policy = _policy(location, _ABORT, partition)
    return policy | {"Statement": [policy["Statement"][0], _uploads(location, partition)]}


def _uploads(location: S3Location, partition: str) -> dict[str, Any]:
    """Return the statement with which a hop finds uploads that it has begun; IAM knows no prefix for it."""
    bucket = f"arn:{partition}:s3:::{location.bucket}"
    return {"Effect": "Allow", "Action": "s3:ListBucketMultipartUploads", "Resource": bucket}


def relay_policy(hop: Hop, bucket: str, partition: str = "aws") -> dict[str, Any]:
    """Return the session policy for both agents of a relayed hop: only its prefix in the relay bucket."""
    return _policy(S3Location(bucket=bucket, prefix=relay_prefix(hop.hop_id)), _RELAY, partition)


def _policy(location: S3Location, actions: tuple[str, ...], partition: str) -> dict[str, Any]:
    """Return a policy in which the prefix is written as seldom as possible."""
    bucket = f"arn:{partition}:s3:::{location.bucket}"
    prefix = re.sub(r"[*?$]", lambda found: f"${{{found[0]}}}", location.prefix)
    below = f"{prefix}*" if prefix == "" or prefix.endswith("/") else f"{prefix}/*"
    objects = [f"{bucket}/{below}"]
    if below == f"{prefix}/*":  # the object itself; `videos` does not open `videos-of-others/`
        objects.append(f"{bucket}/{prefix}")
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": list(actions), "Resource": objects},
            {
                "Effect": "Allow",
                "Action": "s3:ListBucket",
                "Resource": bucket,
                "Condition": {"StringLike": {"s3:prefix": below}},
            },
            # The object role names the keys and the only use, through S3; here they would take too much room.
            {"Effect": "Allow", "Action": list(_KEYS), "Resource": "*"},
        ],
    }
