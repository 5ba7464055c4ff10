"""Deploy the stacks into the embedded cloud, skipping what has not changed.

python -m infra.local.deploy [--home DIR]
"""

import argparse
import contextlib
import hashlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import boto3

from infra import REPOSITORY, release_key
from infra.kit import make as make_kit
from infra.local import cloud as embedded
from infra.local.cloud import Cloud
from infra.publish import NotBuilt, publish, publish_kit, stage_outputs
from infra.release_key import ReleaseSigner

STAGE = "local"
CDK = REPOSITORY / ".crosshaul/cdk/node_modules/aws-cdk/bin/cdk"
_MATTERS = (
    "app.py",
    "cdk.json",
    "pyproject.toml",
    "locks/lambdas.txt",
    "events",
    "lambdas",
    "infra",
    "stages/local.toml",
    "web/dist",
    "agent",
    "locks/agent.txt",
    "locks/rclone.txt",
)

logger = logging.getLogger(__name__)


class DeployError(RuntimeError):
    """The deployment failed; the message ends with the last lines of CDK's log."""


@dataclass(frozen=True)
class Outputs:
    """Addresses and names of the deployed control plane."""

    api_url: str
    """Without a trailing slash; works for clients that do not resolve names under .localhost."""
    console_url: str
    user_pool_id: str
    client_id: str
    bucket: str
    """The bucket for uploads, whose events start templates."""
    relay_bucket: str
    """The bucket for the relay between agents that cannot reach each other."""

    @classmethod
    def of(cls, found: Mapping[str, str]) -> "Outputs":
        """Read the outputs of both stacks."""
        return cls(
            api_url=found["ApiUrl"],
            console_url=found["ConsoleUrl"],
            user_pool_id=found["UserPoolId"],
            client_id=found["ClientId"],
            bucket=found["MediaBucket"],
            relay_bucket=found["RelayBucket"],
        )


def deploy(cloud: Cloud, home: Path, command_key: int = 1) -> Outputs:
    """Deploy what has changed since the last deployment of this home.

    Raises:
        DeployError: CDK failed.
    """
    home = home.resolve()
    wanted = _digest(cloud, command_key)
    if (done := _remembered(home)) and done["digest"] == wanted:
        return Outputs(**done["outputs"])
    _stamp(home).unlink(missing_ok=True)
    if not _is_bootstrapped(cloud):
        _cdk(cloud, home, "bootstrap", f"aws://{cloud.account}/{cloud.region}")
    _cdk(
        cloud,
        home,
        "deploy",
        "--all",
        "--require-approval",
        "never",
        "--method",
        "direct",
        *_context(cloud, home, command_key),
    )
    outputs = _publish(cloud, home)
    _remember(home, wanted, outputs)
    return outputs


def create_user(cognito: Any, outputs: Outputs, name: str, password: str, group: str) -> None:
    """Create a user who can sign in at once; an existing one gets this password and group.

    `cognito` is boto3's client `cognito-idp`.
    """
    pool: dict[str, Any] = {"UserPoolId": outputs.user_pool_id, "Username": name}
    with contextlib.suppress(cognito.exceptions.UsernameExistsException):
        cognito.admin_create_user(
            **pool,
            MessageAction="SUPPRESS",
            TemporaryPassword=password,
            UserAttributes=[{"Name": "email", "Value": name}, {"Name": "email_verified", "Value": "true"}],
        )
    cognito.admin_set_user_password(**pool, Password=password, Permanent=True)
    cognito.admin_add_user_to_group(**pool, GroupName=group)


def stage_signer(home: Path) -> ReleaseSigner:
    """Return the signer of this home's releases; its key is made once and stays with the stage's state.

    It is no secret of a person: the home has its whole cloud, and only hosts on loopback trust it.
    """
    file = home / "release.key"
    if not file.exists():
        release_key.create(file)
    return release_key.read(file)


def _publish(cloud: Cloud, home: Path) -> Outputs:
    clients = {
        name: boto3.client(name, **embedded.client_settings(cloud))
        for name in ("cloudformation", "s3", "cloudfront", "dynamodb")
    }
    found = stage_outputs(clients["cloudformation"], STAGE)
    try:
        publish(found, clients)
    except NotBuilt as reason:
        logger.warning("no console: %s", reason)
    signer = stage_signer(home)
    publish_kit(found, clients, make_kit(found["ConsoleUrl"], signer.public_keys), signer)
    return Outputs.of(found)


def _stamp(home: Path) -> Path:
    return home / "deployed.json"


def _remember(home: Path, digest: str, outputs: Outputs) -> None:
    _stamp(home).write_text(json.dumps({"digest": digest, "outputs": asdict(outputs)}))


def _remembered(home: Path) -> dict[str, Any] | None:
    with contextlib.suppress(FileNotFoundError, ValueError):
        found: dict[str, Any] = json.loads(_stamp(home).read_text())
        return found
    return None


def _digest(cloud: Cloud, command_key: int) -> str:
    """Return the digest of everything deployed and of the cloud's state it is deployed into."""
    about = (cloud.born, cloud.port, cloud.mqtt_port, sys.version_info, command_key)
    seen = hashlib.sha256(repr(about).encode())
    for file in _files():
        seen.update(f"\n{file.relative_to(REPOSITORY)}\n".encode())
        seen.update(file.read_bytes())
    return seen.hexdigest()


def _files() -> Iterator[Path]:
    for name in _MATTERS:
        path = REPOSITORY / name
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (file for file in found if file.is_file() and "__pycache__" not in file.parts)


def _is_bootstrapped(cloud: Cloud) -> bool:
    client = boto3.client("cloudformation", **embedded.client_settings(cloud))
    try:
        client.describe_stacks(StackName="CDKToolkit")
    except client.exceptions.ClientError:
        return False
    return True


def _context(cloud: Cloud, home: Path, command_key: int) -> list[str]:
    """Return the context for `infra.stage`, in a file: a certificate does not fit a command line."""
    facts = {
        "endpoint": cloud.endpoint,
        "mqtt_host": "127.0.0.1",
        "mqtt_port": cloud.mqtt_port,
        "mqtt_ca": cloud.ca_pem,
        "region": cloud.region,
        "account": cloud.account,
    }
    file = home / "embedded.json"
    file.write_text(json.dumps(facts))
    return ["-c", f"stage={STAGE}", "-c", f"embedded={file}", "-c", f"commandKey={command_key}"]


def _cdk(cloud: Cloud, home: Path, *arguments: str) -> None:
    log = home / "deploy.log"
    node = (REPOSITORY / ".crosshaul/node.path").read_text().strip()
    # Given with every subcommand: bootstrap would otherwise run the app for the default stage.
    app = [f"{sys.executable} app.py"] if arguments[0] == "deploy" else []
    options = ["--app", *app, "--output", str(home / "cdk.out")] if app else []
    with log.open("ab") as stream:
        done = subprocess.run(
            [node, str(CDK), *arguments, *options, "--no-notices", "--no-version-reporting", "--ci"],
            cwd=REPOSITORY if app else home,
            env=_environment(cloud, Path(node)),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            check=False,
        )
    if done.returncode:
        raise DeployError(f"cdk {arguments[0]} failed, see {log}:\n{_tail(log)}")


def _environment(cloud: Cloud, node: Path) -> dict[str, str]:
    return embedded.environment(cloud) | {
        "JSII_NODE": str(node),
        "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20",
        "PATH": f"{node.parent}:{os.environ['PATH']}",
    }


def _tail(log: Path, lines: int = 25) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    arguments = argparse.ArgumentParser(prog="python -m infra.local.deploy", description=__doc__)
    arguments.add_argument("--home", type=Path, default=REPOSITORY / ".crosshaul/demo")
    home = arguments.parse_args().home
    home.mkdir(parents=True, exist_ok=True)
    for name, value in asdict(deploy(embedded.start(home), home)).items():
        print(f"{name:14}{value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
