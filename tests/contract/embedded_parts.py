"""Helpers for the tests of the embedded cloud: clients, queues, functions, devices."""

import io
import json
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import boto3
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent.cloud.messages import BrokerEndpoint
from events.topics import Topics
from infra import device
from infra.local import cloud as embedded
from infra.local.cloud import Cloud
from lambdas.aws.iot_registry import IotEndpoint as Broker
from lambdas.aws.iot_registry import IotRegistry
from tests.support.waiting import HANG_TIMEOUT_S

T = TypeVar("T")

TOPICS = Topics("contract")

SPEAKER = """
import json, os
from botocore.session import get_session  # ministack's own; boto3 is not installed there
def handler(event, context):
    sqs = get_session().create_client("sqs")
    sqs.send_message(QueueUrl=os.environ["QUEUE"], MessageBody=json.dumps(event))
"""


def client(cloud: Cloud, service: str, **credentials: str) -> Any:
    return boto3.client(service, **{**embedded.client_settings(cloud), **credentials})


def until(ask: Callable[[], T | None]) -> T:
    deadline = time.monotonic() + HANG_TIMEOUT_S
    while not (answer := ask()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return answer


def received(cloud: Cloud, queue: str, count: int = 1) -> list[Any]:
    """Return the next `count` messages of a queue, parsed."""
    sqs, found = client(cloud, "sqs"), []

    def more() -> bool:
        answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        for message in answer.get("Messages", []):
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            found.append(json.loads(message["Body"]))
        return len(found) >= count

    until(more)
    return found


def new_queue(cloud: Cloud, name: str) -> tuple[str, str]:
    """Create a queue; return its URL and ARN."""
    url = client(cloud, "sqs").create_queue(QueueName=name)["QueueUrl"]
    return url, f"arn:aws:sqs:{cloud.region}:{cloud.account}:{name}"


def new_role(cloud: Cloud, name: str, principal: dict[str, str], *statements: dict[str, Any]) -> str:
    """Create a role; return its ARN."""
    trust = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    iam = client(cloud, "iam")
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust))
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=policy(*statements))
    return str(role["Role"]["Arn"])


def allow(action: str | list[str], resource: str | list[str]) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource}


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def new_forwarder(cloud: Cloud, name: str, queue: tuple[str, str], *more: dict[str, Any]) -> str:
    """Create a function that puts every event into a queue; return its ARN."""
    url, arn = queue
    role = new_role(cloud, name, {"Service": "lambda.amazonaws.com"}, allow("sqs:SendMessage", arn), *more)
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("speaker.py", SPEAKER)
    made = client(cloud, "lambda").create_function(
        FunctionName=name,
        Runtime="python3.11",
        Role=role,
        Handler="speaker.handler",
        Code={"ZipFile": code.getvalue()},
        Environment={"Variables": {"QUEUE": url}},
    )
    return str(made["FunctionArn"])


def device_policy(topics: Topics) -> str:
    """Create the device policy; return its name."""
    return f"crosshaul-{topics.stage}-device"


def new_device_policy(cloud: Cloud, topics: Topics) -> None:
    document = device.document(topics, f"arn:aws:iot:{cloud.region}:{cloud.account}")
    client(cloud, "iot").create_policy(policyName=device_policy(topics), policyDocument=json.dumps(document))


def registry(cloud: Cloud, topics: Topics) -> IotRegistry:
    """Return the control plane's IoT registry of one stage."""
    broker = Broker("127.0.0.1", cloud.mqtt_port, cloud.ca_pem)
    return IotRegistry(client(cloud, "iot"), topics, device_policy(topics), broker)


def new_csr() -> tuple[ec.EllipticCurvePrivateKey, str]:
    """Return a new key and its certificate signing request, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "crosshaul agent")])
    csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return key, csr.public_bytes(serialization.Encoding.PEM).decode()


def new_device(cloud: Cloud, folder: Path, name: str, topics: Topics = TOPICS) -> BrokerEndpoint:
    """Return an agent with a thing and a certificate from the registry."""
    key, csr = new_csr()
    certificate = registry(cloud, topics).provision(name, csr)
    return device_files(cloud, folder, topics.thing(name), key, certificate)


def device_files(
    cloud: Cloud, folder: Path, client_id: str, key: ec.EllipticCurvePrivateKey, certificate: str
) -> BrokerEndpoint:
    folder.mkdir(exist_ok=True)
    files = {
        "device.pem": certificate.encode(),
        "device.key": key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        "ca.pem": cloud.ca_pem.encode(),
    }
    for file, content in files.items():
        (folder / file).write_bytes(content)
    names = ("device.pem", "device.key", "ca.pem")
    return BrokerEndpoint("127.0.0.1", cloud.mqtt_port, client_id, *(folder / name for name in names))


def new_rule_queue(cloud: Cloud, rule: str, sql: str) -> str:
    """Create a queue that receives what a topic rule selects; return its URL."""
    queue = new_queue(cloud, rule)
    function = new_forwarder(cloud, rule, queue)
    arn = f"arn:aws:iot:{cloud.region}:{cloud.account}:rule/{rule}"
    client(cloud, "lambda").add_permission(
        FunctionName=rule,
        StatementId="rule",
        Action="lambda:InvokeFunction",
        Principal="iot.amazonaws.com",
        SourceArn=arn,
    )
    client(cloud, "iot").create_topic_rule(
        ruleName=rule,
        topicRulePayload={
            "sql": sql,
            "awsIotSqlVersion": "2016-03-23",
            "actions": [{"lambda": {"functionArn": function}}],
        },
    )
    return queue[0]
