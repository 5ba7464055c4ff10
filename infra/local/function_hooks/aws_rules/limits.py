"""Limits of AWS that no botocore model holds, each with its source: one table for all tests.

A row measures the parameters of an operation; a size above its maximum is a violation. What a model does
hold (a KMS message of 4,096 bytes, 100 writes in a transaction, the pattern of a thing's name) is enforced
from there, by `models`.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

Parameters = Mapping[str, Any]
Sizes = Iterable[tuple[str, float]]
"""Parameters with their sizes."""

KIB = 1024


@dataclass(frozen=True)
class Limit:
    """A limit of a service."""

    service: str
    operations: tuple[str, ...]
    """Empty for every operation of the service."""
    maximum: float
    unit: str
    source: str
    sizes: Callable[[Parameters], Sizes]
    """Return each limited parameter with its size; nothing if the call does not have it."""

    def applies_to(self, service: str, operation: str) -> bool:
        return service == self.service and (not self.operations or operation in self.operations)


@dataclass(frozen=True)
class Violation:
    """A parameter that AWS would refuse."""

    service: str
    operation: str
    parameter: str
    problem: str
    """What it is, and what the limit is."""

    def __str__(self) -> str:
        return f"AWS would refuse {self.service} {self.operation}: {self.parameter} {self.problem}"


def violations(service: str, operation: str, parameters: Parameters) -> Iterator[Violation]:
    """Yield what exceeds the table's limits."""
    for limit in LIMITS:
        if limit.applies_to(service, operation):
            for parameter, size in limit.sizes(parameters):
                if size > limit.maximum:
                    problem = f"has {size:,} {limit.unit}, {limit.maximum:,} are the limit ({limit.source})"
                    yield Violation(service, operation, parameter, problem)


def response_violation(answer: object) -> Violation | None:
    """Return what is wrong with a function's answer: Lambda drops a larger one."""
    size = len(json.dumps(answer, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    if size <= RESPONSE_BYTES:
        return None
    problem = f"has {size:,} bytes, {RESPONSE_BYTES:,} are the limit ({_LAMBDA})"
    return Violation("lambda", "Invoke", "response", problem)


def item_bytes(item: Parameters) -> int:
    """Return the size of an item in bytes as DynamoDB counts it: names, and values by their type."""
    return sum(_text_bytes(name) + _value_bytes(value) for name, value in item.items())


def _value_bytes(value: Parameters) -> int:
    [(kind, content)] = value.items()
    match kind:
        case "S":
            return _text_bytes(content)
        case "N":
            return _number_bytes(content)
        case "B":
            return len(content)
        case "BOOL" | "NULL":
            return 1
        case "SS":
            return sum(_text_bytes(one) for one in content)
        case "NS":
            return sum(_number_bytes(one) for one in content)
        case "BS":
            return sum(len(one) for one in content)
        case "L":
            return 3 + sum(1 + _value_bytes(one) for one in content)
        case "M":
            return 3 + sum(1 + _text_bytes(name) + _value_bytes(one) for name, one in content.items())
    raise ValueError(f"{kind} is not a type of DynamoDB")


def _number_bytes(number: str) -> int:
    return (len(number.strip("-").replace(".", "")) + 1) // 2 + 1 + number.startswith("-")


def _text_bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _text(name: str) -> Callable[[Parameters], Sizes]:
    """Measure a text parameter in UTF-8 bytes."""
    return lambda call: [(name, _text_bytes(call[name]))] if isinstance(call.get(name), str) else []


def _characters(name: str) -> Callable[[Parameters], Sizes]:
    return lambda call: [(name, len(call[name]))] if name in call else []


def _value(name: str) -> Callable[[Parameters], Sizes]:
    return lambda call: [(name, call[name])] if name in call else []


def _payload(call: Parameters) -> Sizes:
    content = call.get("payload", b"")
    yield "payload", _text_bytes(content) if isinstance(content, str) else len(content)


def _slashes(call: Parameters) -> Sizes:
    """Count a topic's slashes; those of reserved topics do not count."""
    if not call["topic"].startswith("$"):
        yield "topic", call["topic"].count("/")


def _things_attributes(call: Parameters) -> Sizes:
    if "thingTypeName" not in call:
        yield "attributePayload", len(call.get("attributePayload", {}).get("attributes", {}))


def _policy_document(call: Parameters) -> Sizes:
    yield "policyDocument", len("".join(call["policyDocument"].split()))


def _digest_excess(call: Parameters) -> Sizes:
    """Return how far a digest's length is from that of its algorithm."""
    if call.get("MessageType") == "DIGEST":
        algorithm = call["SigningAlgorithm"].rpartition("SHA_")[2]
        if algorithm in {"256", "384", "512"}:
            yield "Message", abs(len(call["Message"]) - hashlib.new(f"sha{algorithm}").digest_size)


def _writes(call: Parameters) -> Iterator[tuple[str, Parameters]]:
    """Yield each write of a call with its place: the call itself, or those of a transaction or batch."""
    for number, one in enumerate(call.get("TransactItems", ())):
        for kind, write in one.items():
            yield f"TransactItems[{number}].{kind}.", write
    for table, requests in call.get("RequestItems", {}).items():
        if isinstance(requests, Mapping):  # of BatchGetItem
            yield from ((f"RequestItems.{table}.", {"Key": key}) for key in requests.get("Keys", ()))
            continue
        for number, request in enumerate(requests):
            for kind, write in request.items():
                yield f"RequestItems.{table}[{number}].{kind}.", write
    if "TransactItems" not in call and "RequestItems" not in call:
        yield "", call


def _items(call: Parameters) -> Sizes:
    """Measure what is put, or what an update sets, which is the least that the item then has."""
    for place, write in _writes(call):
        if "Item" in write:
            yield f"{place}Item", item_bytes(write["Item"])
        elif "UpdateExpression" in write:
            values = write.get("ExpressionAttributeValues", {})
            yield f"{place}UpdateExpression", sum(_value_bytes(value) for value in values.values())


def _together(call: Parameters) -> Sizes:
    yield "all items together", sum(size for _, size in _items(call))


def _keys(call: Parameters) -> Sizes:
    for place, write in _writes(call):
        for name, value in write.get("Key", {}).items():
            if "S" in value:
                yield f"{place}Key.{name}", _text_bytes(value["S"])


def _empty_keys(call: Parameters) -> Sizes:
    for place, write in _writes(call):
        for name, value in write.get("Key", {}).items():
            yield f"{place}Key.{name}", int(value in ({"S": ""}, {"B": b""}))


_EXPRESSIONS = (
    "ConditionExpression",
    "FilterExpression",
    "KeyConditionExpression",
    "ProjectionExpression",
    "UpdateExpression",
)


def _expressions(call: Parameters) -> Sizes:
    for place, write in _writes(call):
        yield from ((f"{place}{name}", _text_bytes(write[name])) for name in _EXPRESSIONS if name in write)


def _numbers(call: Parameters) -> Iterator[tuple[str, str]]:
    for place, write in _writes(call):
        for group in ("Item", "Key", "ExpressionAttributeValues"):
            for name, value in write.get(group, {}).items():
                yield from ((f"{place}{group}.{name}", number) for number in _numbers_of(value))


def _numbers_of(value: Parameters) -> Iterator[str]:
    [(kind, content)] = value.items()
    match kind:
        case "N":
            yield content
        case "NS":
            yield from content
        case "L":
            for one in content:
                yield from _numbers_of(one)
        case "M":
            for one in content.values():
                yield from _numbers_of(one)


def _digits(call: Parameters) -> Sizes:
    for place, number in _numbers(call):
        digits = "".join(str(digit) for digit in _decimal(number).as_tuple().digits)
        yield place, len(digits.strip("0"))


def _magnitude(call: Parameters) -> Sizes:
    for place, number in _numbers(call):
        exact = _decimal(number)
        yield place, abs(exact.adjusted()) if exact else 0


def _decimal(number: str) -> Decimal:
    """Return a number; one that is none has too many digits for every table."""
    try:
        return Decimal(number)
    except InvalidOperation:
        return Decimal("1" * 99)


def _entries(call: Parameters) -> Sizes:
    """Measure the entries of PutEvents together, as the documentation counts them."""
    texts = ("Source", "DetailType", "Detail")
    size = 0
    for entry in call["Entries"]:
        size += 14 * ("Time" in entry) + sum(_text_bytes(entry.get(name, "")) for name in texts)
        size += sum(_text_bytes(one) for one in entry.get("Resources", ()))
    yield "Entries", size


def _messages(call: Parameters) -> Sizes:
    bodies = [entry["MessageBody"] for entry in call.get("Entries", (call,))]
    yield "MessageBody", sum(_text_bytes(body) for body in bodies)


def _object_metadata(call: Parameters) -> Sizes:
    pairs = call.get("Metadata", {}).items()
    yield "Metadata", sum(_text_bytes(name) + _text_bytes(value) for name, value in pairs)


_DOCS = "https://docs.aws.amazon.com"
_IOT = f"{_DOCS}/general/latest/gr/iot-core.html"
_STS = f"{_DOCS}/STS/latest/APIReference/API_AssumeRole.html"
_ITEM = f"{_DOCS}/amazondynamodb/latest/developerguide/Constraints.html"
_TRANSACTION = f"{_DOCS}/amazondynamodb/latest/APIReference/API_TransactWriteItems.html"
_BATCH = f"{_DOCS}/amazondynamodb/latest/APIReference/API_BatchWriteItem.html"
_EVENTS = f"{_DOCS}/eventbridge/latest/userguide/eb-putevents.html"
_SQS = f"{_DOCS}/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html"
_KMS = f"{_DOCS}/kms/latest/APIReference/API_Sign.html"
_KEY = f"{_DOCS}/AmazonS3/latest/userguide/object-keys.html"
_METADATA = f"{_DOCS}/AmazonS3/latest/userguide/UsingMetadata.html"
_LAMBDA = f"{_DOCS}/lambda/latest/dg/gettingstarted-limits.html"

RESPONSE_BYTES = 6 * KIB * KIB
"""Largest answer of a function that is waited for: the API's. https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""
IOT_PAYLOAD_BYTES = 128 * KIB
"""Largest MQTT message."""
DYNAMODB_ITEM_BYTES = 400 * KIB
"""Largest item of a table."""
STS_POLICY_CHARS = 2048
"""Longest session policy, before it is packed; the packed size only AWS can tell."""

LIMITS = (
    Limit("iot-data", ("Publish",), IOT_PAYLOAD_BYTES, "bytes", _IOT, _payload),
    Limit("iot-data", ("Publish",), 256, "bytes", _IOT, _text("topic")),
    Limit("iot-data", ("Publish",), 7, "slashes", _IOT, _slashes),
    Limit("iot", ("CreateThing",), 3, "attributes without a thing type", _IOT, _things_attributes),
    Limit("iot", ("CreatePolicy", "CreatePolicyVersion"), 2048, "characters", _IOT, _policy_document),
    Limit("iot", ("CreateJob",), 100, "targets", _IOT, _characters("targets")),
    Limit("sts", ("AssumeRole",), STS_POLICY_CHARS, "characters", _STS, _characters("Policy")),
    # A function's role assumes another role: role chaining.
    Limit("sts", ("AssumeRole",), 3600, "seconds", _STS, _value("DurationSeconds")),
    Limit("dynamodb", (), DYNAMODB_ITEM_BYTES, "bytes", _ITEM, _items),
    Limit("dynamodb", ("TransactWriteItems",), 4 * KIB * KIB, "bytes", _TRANSACTION, _together),
    Limit("dynamodb", ("BatchWriteItem",), 16 * KIB * KIB, "bytes", _BATCH, _together),
    Limit("dynamodb", (), 2048, "bytes", _ITEM, _keys),
    Limit("dynamodb", (), 0, "empty text as a key", _ITEM, _empty_keys),
    Limit("dynamodb", (), 4 * KIB, "bytes", _ITEM, _expressions),
    Limit("dynamodb", (), 38, "digits", _ITEM, _digits),
    Limit("dynamodb", (), 125, "digits before or after the point", _ITEM, _magnitude),
    Limit("events", ("PutEvents",), 256 * KIB, "bytes", _EVENTS, _entries),
    Limit("sqs", ("SendMessage", "SendMessageBatch"), 256 * KIB, "bytes", _SQS, _messages),
    Limit("kms", ("Sign", "Verify"), 0, "bytes more or less than the digest", _KMS, _digest_excess),
    Limit("s3", (), 1024, "bytes", _KEY, _text("Key")),
    Limit("s3", (), 1024, "bytes", _KEY, _text("Prefix")),
    Limit("s3", (), 1024, "bytes", _KEY, _text("StartAfter")),
    Limit("s3", ("PutObject", "CreateMultipartUpload"), 2 * KIB, "bytes", _METADATA, _object_metadata),
)
