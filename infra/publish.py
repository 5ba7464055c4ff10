"""Publish the built console, with a config.json that names its API, and the agents' install kit.

The kit is signed with a key that only the publisher has: no host updates itself to anything else.
"""

import argparse
import json
import mimetypes
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3

from infra import REPOSITORY, release_key
from infra.kit import Kit, KitError, make, released_rclone
from infra.release_key import ReleaseKeyError, ReleaseSigner
from lambdas.store.installer import Installer, items

DIST = REPOSITORY / "web/dist"
IMMUTABLE = "public, max-age=31536000, immutable"
"""Cache-Control of files with a digest in their name."""
REVALIDATE = "no-cache"
"""Cache-Control of index.html, which is uploaded last, after all files that it names."""


COMMAND_LINE = "command-line.json"
"""Path below the console's URL of the file that names the package of the `crosshaul` command."""


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


def publish_kit(
    outputs: Mapping[str, str], clients: Mapping[str, Any], kit: Kit, signer: ReleaseSigner
) -> None:
    """Sign and upload the install kit. Earlier kits stay, so that earlier install commands still work.

    `clients` are boto3's `s3` and `dynamodb`. The control plane learns of the script last.
    """
    for key, content in kit.files.items():
        _put(clients["s3"], outputs["ConsoleBucket"], key, content, IMMUTABLE)
    _put(clients["s3"], outputs["ConsoleBucket"], COMMAND_LINE, command_line(kit), REVALIDATE)
    installer = Installer(
        address=f"{outputs['ConsoleUrl']}/{kit.script}",
        digest=kit.script_digest,
        version=kit.version,
        release=signer.sign(kit),
    )
    for row in items(installer):
        clients["dynamodb"].put_item(TableName=outputs["ReleasesTable"], Item=row)


def command_line(kit: Kit) -> bytes:
    """Return what the console needs to say how the command is installed: the wheel's path and digest."""
    [path] = [key for key in kit.files if key.endswith(".whl")]
    return json.dumps({"path": path, "sha256": kit.package_digest}).encode()


def _put(s3: Any, bucket: str, key: str, content: bytes, cache: str) -> None:
    kind = mimetypes.guess_type(key)[0] or "application/octet-stream"
    s3.put_object(Bucket=bucket, Key=key, Body=content, ContentType=kind, CacheControl=cache)


def _invalidate(cloudfront: Any, distribution: str) -> None:
    paths = ["/index.html", "/config.json", f"/{COMMAND_LINE}", "/"]
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


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.publish", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    keygen = commands.add_parser("keygen", help="make the key that signs releases; print its public half")
    keygen.add_argument("file", type=Path, help="a new file outside the repository, which stays with you")
    upload = commands.add_parser(
        "stage", help="publish, after `cdk deploy`, with the account's credentials in the environment"
    )
    upload.add_argument("stage")
    upload.add_argument("--key", type=Path, required=True, help="the file with the key that signs releases")
    upload.add_argument("--next-key", metavar="PUBLIC", help="announce the public half of the next key")
    upload.add_argument(
        "--rclone",
        type=Path,
        action="append",
        metavar="ZIP",
        help="give hosts rclone's own release; repeatable",
    )
    upload.add_argument("--rclone-sums", type=Path, metavar="FILE", help="the SHA256SUMS of that release")
    given = parser.parse_args(arguments)
    if given.command == "stage" and bool(given.rclone) != bool(given.rclone_sums):
        parser.error("--rclone and --rclone-sums go together")
    try:
        if given.command == "keygen":
            release_key.require_outside(given.file)
            print(release_key.create(given.file))
            return 0
        release_key.require_outside(given.key)
        signer = release_key.read(given.key, given.next_key)
        rclone = released_rclone(given.rclone, given.rclone_sums) if given.rclone else None
        _publish_all(given.stage, signer, rclone)
    except (ReleaseKeyError, KitError) as error:
        print(f"publish: {error}", file=sys.stderr)
        return 1
    return 0


def _publish_all(stage: str, signer: ReleaseSigner, rclone: Mapping[str, bytes] | None) -> None:
    outputs = stage_outputs(boto3.client("cloudformation"), stage)
    clients = {name: boto3.client(name) for name in ("s3", "cloudfront", "dynamodb")}
    files = publish(outputs, clients)
    kit = make(outputs["ConsoleUrl"], signer.public_keys, rclone=rclone)
    publish_kit(outputs, clients, kit, signer)
    print(f"{files} files are at {outputs['ConsoleUrl']}")
    print(f"release {kit.version}, signed with {signer.public_keys[0]}, install script {kit.script_digest}")


if __name__ == "__main__":
    sys.exit(main())
