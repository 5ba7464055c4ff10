"""Puts the built console where browsers get it, with a config.json that tells it its API.

python -m infra.publish STAGE    after `cdk deploy`, with the account's credentials in the environment
"""

import json
import mimetypes
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3

from infra import REPOSITORY

DIST = REPOSITORY / "web/dist"
HASHED = "public, max-age=31536000, immutable"
FRESH = "no-cache"


class NotBuilt(RuntimeError):  # noqa: N818  # it reads as what happened
    """The console was not built yet."""


def publish(outputs: Mapping[str, str], clients: Mapping[str, Any], dist: Path = DIST) -> int:
    """How many files went up; NotBuilt when there is no console to publish.

    `outputs` are those of the stack, `clients` boto3's `s3` and `cloudfront`.
    """
    if not (dist / "index.html").exists():
        raise NotBuilt(
            f"{dist} has no index.html: build the console first with infra/local/setup.sh node web"
        )
    bucket = outputs["ConsoleBucket"]
    files = sorted(path for path in dist.rglob("*") if path.is_file())
    for file in sorted(files, key=lambda path: path.name == "index.html"):
        _upload(clients["s3"], bucket, file, str(file.relative_to(dist)))
    config = json.dumps({"api_url": outputs["ApiUrl"]})
    clients["s3"].put_object(
        Bucket=bucket,
        Key="config.json",
        Body=config.encode(),
        ContentType="application/json",
        CacheControl=FRESH,
    )
    _invalidate(clients["cloudfront"], outputs["ConsoleDistribution"])
    return len(files)


def _upload(s3: Any, bucket: str, file: Path, key: str) -> None:
    """What has its digest in its name may be kept for ever; index.html comes last and is always asked for."""
    kind = mimetypes.guess_type(key)[0] or "application/octet-stream"
    cache = HASHED if key.startswith("assets/") else FRESH
    s3.put_object(Bucket=bucket, Key=key, Body=file.read_bytes(), ContentType=kind, CacheControl=cache)


def _invalidate(cloudfront: Any, distribution: str) -> None:
    paths = ["/index.html", "/config.json", "/"]
    cloudfront.create_invalidation(
        DistributionId=distribution,
        InvalidationBatch={
            "Paths": {"Quantity": len(paths), "Items": paths},
            "CallerReference": str(time.time_ns()),
        },
    )


def stack_outputs(cloudformation: Any, stack: str) -> dict[str, str]:
    described = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    return {one["OutputKey"]: one["OutputValue"] for one in described.get("Outputs", [])}


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    outputs = stack_outputs(boto3.client("cloudformation"), f"Crosshaul-{sys.argv[1]}")
    files = publish(outputs, {name: boto3.client(name) for name in ("s3", "cloudfront")})
    print(f"{files} files are at {outputs['ConsoleUrl']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
