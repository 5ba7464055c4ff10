"""Publish the built console, with a config.json that names its API, and the agents' install kit.

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
from infra.kit import Kit, make
from lambdas.store.installer import items

DIST = REPOSITORY / "web/dist"
IMMUTABLE = "public, max-age=31536000, immutable"
"""Cache-Control of files with a digest in their name."""
REVALIDATE = "no-cache"
"""Cache-Control of index.html, which is uploaded last, after all files that it names."""


class NotBuilt(RuntimeError):  # noqa: N818  # it reads as what happened
    """The console has not been built yet."""


def publish(outputs: Mapping[str, str], clients: Mapping[str, Any], dist: Path = DIST) -> int:
    """Upload the console and return the number of files.

    `outputs` are those of the stack, `clients` boto3's `s3` and `cloudfront`.

    Raises:
        NotBuilt: There is no built console.
    """
    if not (dist / "index.html").exists():
        raise NotBuilt(
            f"{dist} has no index.html: build the console first with infra/local/setup.sh node web"
        )
    bucket = outputs["ConsoleBucket"]
    config = json.dumps({"api_url": outputs["ApiUrl"]}).encode()
    _put(clients["s3"], bucket, "config.json", config, REVALIDATE)
    files = sorted(path for path in dist.rglob("*") if path.is_file())
    for file in sorted(files, key=lambda path: path.name == "index.html"):
        key = str(file.relative_to(dist))
        _put(
            clients["s3"],
            bucket,
            key,
            file.read_bytes(),
            IMMUTABLE if key.startswith("assets/") else REVALIDATE,
        )
    _invalidate(clients["cloudfront"], outputs["ConsoleDistribution"])
    return len(files)


def publish_kit(outputs: Mapping[str, str], clients: Mapping[str, Any], kit: Kit) -> None:
    """Upload the install kit. Earlier kits stay, so that earlier install commands still work.

    `clients` are boto3's `s3` and `dynamodb`. The control plane learns of the script last.
    """
    for key, content in kit.files.items():
        _put(clients["s3"], outputs["ConsoleBucket"], key, content, IMMUTABLE)
    address = f"{outputs['ConsoleUrl']}/{kit.script}"
    for row in items(address, kit.script_digest, kit.version):
        clients["dynamodb"].put_item(TableName=outputs["AgentsTable"], Item=row)


def _put(s3: Any, bucket: str, key: str, content: bytes, cache: str) -> None:
    kind = mimetypes.guess_type(key)[0] or "application/octet-stream"
    s3.put_object(Bucket=bucket, Key=key, Body=content, ContentType=kind, CacheControl=cache)


def _invalidate(cloudfront: Any, distribution: str) -> None:
    paths = ["/index.html", "/config.json", "/"]
    cloudfront.create_invalidation(
        DistributionId=distribution,
        InvalidationBatch={
            "Paths": {"Quantity": len(paths), "Items": paths},
            "CallerReference": str(time.time_ns()),
        },
    )


def stage_outputs(cloudformation: Any, stage: str) -> dict[str, str]:
    """Return the outputs of both stacks."""
    found = {}
    for name in (f"Crosshaul-{stage}-State", f"Crosshaul-{stage}"):
        stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        found.update({one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", [])})
    return found


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    outputs = stage_outputs(boto3.client("cloudformation"), sys.argv[1])
    clients = {name: boto3.client(name) for name in ("s3", "cloudfront", "dynamodb")}
    files = publish(outputs, clients)
    publish_kit(outputs, clients, make(outputs["ConsoleUrl"]))
    print(f"{files} files are at {outputs['ConsoleUrl']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
