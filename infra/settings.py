"""Settings of a stage: `stages/NAME.toml`; `cdk -c SETTING=VALUE` overrides single ones."""

import json
import re
import tomllib
import zoneinfo
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from events.base import StageName
from infra import REPOSITORY
from infra.plans import MIN_CONCURRENCY

STAGES = REPOSITORY / "stages"
"""The folder with a file for each stage."""
EXAMPLE = "example"
"""The stage whose file documents the settings. It is not deployed."""
MAX_CONCURRENCY = 1_000_000
"""Largest quota that is believed; a larger one is a slip of the pen."""
MIN_WAF_REQUESTS, MAX_WAF_REQUESTS = 100, 2_000_000_000
"""Limits of a WAF rate. AWS takes 10 and more, but one console sends more than that in five minutes."""
MIN_TRANSFER_DAYS = 90
"""Least days that transfers are kept: the console and the command line list those of 90 days."""
MAX_EMAIL_CHARS = 254
"""Longest e-mail address, in characters (RFC 5321)."""
MAX_DOMAIN_CHARS = 64
"""Longest domain name, in characters: that of a certificate's common name."""
CLOUDFRONT_REGION = "us-east-1"
"""The region of CloudFront's certificates."""
MAX_SHOWN_BYTES = 8192
"""Largest value of an SSM parameter, in bytes: the settings are written into one."""
MAX_BUCKET_CHARS = 1200
"""Longest list of buckets, in characters. A function's whole environment may have 4 KB."""

_BUCKET = re.compile(r"(?!xn--|sthree-|amzn-s3-demo-)[a-z0-9]([a-z0-9-]|\.(?!\.)){1,61}[a-z0-9]")
_IP_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]")
_KEY = re.compile(r"arn:aws[a-z-]*:kms:[a-z]{2}(-[a-z]+)+-[0-9]:[0-9]{12}:key/(mrk-)?[0-9a-f-]{32,36}")
_DOMAIN = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")
_CERTIFICATE = re.compile(r"arn:aws[a-z-]*:acm:[a-z]{2}(-[a-z]+)+-[0-9]:[0-9]{12}:certificate/[0-9a-f-]{36}")
_EMAIL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@([A-Za-z0-9-]{1,63}\.)+[A-Za-z0-9-]{2,63}")
_PLAIN_CONTEXT = re.compile(r"[A-Za-z]+")
"""Context keys that a person writes; those of CDK and its feature flags have other characters."""


class StageError(ValueError):
    """A stage cannot be deployed with these settings; the message says what to write."""


def _bucket_name(text: str) -> str:
    """Check a bucket's name, which goes into ARNs and an event pattern; AWS would refuse it much later.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html

    Raises:
        ValueError: It cannot be a bucket's name.
    """
    if not _BUCKET.fullmatch(text) or _IP_ADDRESS.fullmatch(text):
        raise ValueError(
            f"{text!r} cannot be a bucket's name: write 3 to 63 small letters, digits, dots and dashes, "
            "without s3:// and without a prefix"
        )
    return text


def _region(text: str) -> str:
    if not _REGION.fullmatch(text):
        raise ValueError(f"{text!r} is not a region: write, say, eu-west-1")
    return text


def _account(text: str) -> str:
    if not re.fullmatch(r"[0-9]{12}", text):
        raise ValueError(f"{text!r} is not an account's number: write its 12 digits, between quotes")
    return text


def _key(text: str) -> str:
    """Check a key's ARN. An alias cannot be named in a policy, and may name another key tomorrow.

    Raises:
        ValueError: It is not the ARN of a key.
    """
    if not _KEY.fullmatch(text):
        raise ValueError(
            f"{text!r} is not the ARN of a KMS key, and an alias is not enough: write what `aws kms "
            "describe-key --key-id … --query KeyMetadata.Arn` shows, arn:aws:kms:eu-west-1:111122223333:key/…"
        )
    return text


def _domain(text: str) -> str:
    if not _DOMAIN.fullmatch(text) or len(text) > MAX_DOMAIN_CHARS:
        raise ValueError(f"{text!r} is not a domain name in small letters: write, say, api.example.com")
    return text


def _certificate(text: str) -> str:
    if not _CERTIFICATE.fullmatch(text):
        raise ValueError(
            f"{text!r} is not the ARN of a certificate in ACM: "
            "arn:aws:acm:us-east-1:111122223333:certificate/…, as `aws acm list-certificates` shows it"
        )
    return text


def _key_region(arn: str) -> str:
    return arn.split(":")[3]


def _zone(name: str) -> str:
    """Check a time zone's name, so that a wrong one fails the deployment and not the first decision.

    Raises:
        ValueError: There is no such time zone.
    """
    if name not in zoneinfo.available_timezones():
        raise ValueError(f"{name!r} is not a time zone: write, say, Europe/Zurich")
    return name


def _email(text: str) -> str:
    """Check an e-mail address; SNS would refuse a malformed one in the middle of a deployment.

    Raises:
        ValueError: It is not an e-mail address.
    """
    address = text.strip()
    if not (_EMAIL.fullmatch(address) and len(address) <= MAX_EMAIL_CHARS):
        raise ValueError(f"{text!r} is not an e-mail address: write, say, ops@example.com")
    return address


def _command_key(number: int) -> int:
    if not 1 <= number <= 9999:
        raise ValueError(
            f"{number} is not a command key's number: write that of the current key, or the next"
        )
    return number


def _concurrency(quota: int) -> int:
    if not MIN_CONCURRENCY <= quota <= MAX_CONCURRENCY:
        raise ValueError(
            f"{quota} is not a quota of concurrent executions from which Crosshaul can reserve: write "
            f"{MIN_CONCURRENCY} or more, or leave concurrency out and nothing is reserved. New accounts have "
            "only 10; Service Quotas shows and raises it"
        )
    return quota


def _stage_name(text: str) -> str:
    """Check a stage's name. One that ends in `-state` would collide with another stage's state stack.

    Raises:
        StageError: It is not a stage's name.
    """
    try:
        name = TypeAdapter(StageName).validate_python(text)
    except ValidationError:
        name = ""
    if not name or name.endswith("-state"):
        raise StageError(
            f"{text!r} cannot be a stage's name: write up to 32 small letters, digits and dashes, no dash at "
            "either end, and not -state at the end: -c stage=prod, say"
        )
    return name


Days = Annotated[StrictInt, Field(ge=1, le=3650)]
Percent = Annotated[StrictInt, Field(ge=1, le=100)]


class _Table(BaseModel):
    """A table of the file: names in camel case, as in the CDK context, and nothing that is not known."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel)


class BucketSettings(_Table):
    """An existing bucket that transfers may read and write."""

    name: Annotated[str, AfterValidator(_bucket_name)]
    region: Annotated[str, AfterValidator(_region)] | None = None
    """The bucket's region; None: the stage's."""
    account: Annotated[str, AfterValidator(_account)] | None = None
    """The account that the bucket belongs to; None: the stage's."""
    key: Annotated[str, AfterValidator(_key)] | None = None
    """ARN of the KMS key that encrypts its objects; None: SSE-S3, or the account's own key for S3."""

    @model_validator(mode="after")
    def _check_key(self) -> Self:
        if self.key and self.region and _key_region(self.key) != self.region:
            raise ValueError(
                f"{self.name} is in {self.region}, and its key in {_key_region(self.key)}: S3 encrypts with "
                "keys of the bucket's region only"
            )
        return self

    @property
    def distant(self) -> bool:
        """Return whether it is in another region or account, so that its events do not come by themselves."""
        return bool(self.region or self.account)

    def key_region(self) -> str:
        """Return the region of its key; '' if it has none."""
        return _key_region(self.key) if self.key else ""


class DomainSettings(_Table):
    """A domain name of the company's own, with its certificate."""

    name: Annotated[str, AfterValidator(_domain)]
    certificate: Annotated[str, AfterValidator(_certificate)]
    """ARN of its certificate in ACM."""

    @property
    def certificate_region(self) -> str:
        return self.certificate.split(":")[3]


class StageSettings(_Table):
    """All settings of a stage, with their defaults."""

    buckets: tuple[BucketSettings, ...] = ()
    """Existing buckets that transfers may read and write, and whose events start templates."""
    manifest_days: Days = 365
    """Days that transfer manifests are kept."""
    transfer_days: Annotated[StrictInt, Field(ge=MIN_TRANSFER_DAYS, le=3650)] = 400
    """Days that a transfer is kept after its end; the archive keeps it for ever."""
    zone: Annotated[str, AfterValidator(_zone)] = "UTC"
    """Time zone of hours and weekdays in policies."""
    rotate_after_days: Days = 90
    """Age in days at which agents' keys are replaced."""
    command_key: Annotated[StrictInt, AfterValidator(_command_key)] = 1
    """Number of the key that signs commands; agents know the next."""
    alarm_email: Annotated[str, AfterValidator(_email)] | None = None
    """Recipient of alarms."""
    alarm_absent_percent: Percent = 20
    """Share of agents, in percent, that may be away."""
    alarm_queued_minutes: Annotated[StrictInt, Field(ge=5, le=10_080)] = 60
    """Minutes for which a hop may be queued."""
    alarm_free_percent: Percent = 5
    """Free room that a writable root needs, in percent of its disk."""
    monthly_budget: Annotated[StrictInt, Field(ge=1, le=10_000_000)] | None = None
    """US dollars that the stage may cost in a month. None: nobody is told."""
    concurrency: Annotated[StrictInt, AfterValidator(_concurrency)] | None = None
    """The account's quota of concurrent Lambda executions. None: none are reserved."""
    mqtt_port: Literal[443, 8883] = 8883
    """Port at which agents connect to the broker. A host may choose the other itself."""
    access_log: StrictBool = False
    """Whether API Gateway logs each request. The account must have a role for it."""
    tracing: StrictBool = False
    """Whether API Gateway and the functions send traces to AWS X-Ray."""
    requests_per_address: Annotated[StrictInt, Field(ge=MIN_WAF_REQUESTS, le=MAX_WAF_REQUESTS)] | None = None
    """Requests of one address in five minutes, beyond which AWS WAF blocks it. None: no firewall."""
    second_factor: Literal["optional", "required"] = "optional"
    """Whether everybody needs an authenticator app to sign in."""

    api_domains: Annotated[tuple[DomainSettings, ...], Field(max_length=4)] = ()
    """Names under which the API answers, beside its own in AWS; certificates are in the stage's region."""
    api_domain: str | None = None
    """The one of them that people and agents use, and to which agents move. None: AWS's own address."""
    console_domain: DomainSettings | None = None
    """Name of the console; its certificate is in us-east-1, where CloudFront looks for it."""

    @model_validator(mode="after")
    def _check_domains(self) -> Self:
        names = [domain.name for domain in self.api_domains]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"apiDomains has {', '.join(twice)} more than once")
        if self.api_domain and self.api_domain not in names:
            raise ValueError(f"apiDomain is {self.api_domain}, which needs a table [[apiDomains]] of its own")
        if self.console_domain and self.console_domain.certificate_region != CLOUDFRONT_REGION:
            raise ValueError(
                f"the certificate of {self.console_domain.name} is in "
                f"{self.console_domain.certificate_region}: CloudFront takes certificates from "
                f"{CLOUDFRONT_REGION} only; request one there"
            )
        return self

    @model_validator(mode="after")
    def _check_buckets(self) -> Self:
        names = self.bucket_names
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"buckets has {', '.join(twice)} more than once")
        if (chars := len(",".join((*names, self.bucket_regions, self.distant_buckets)))) > MAX_BUCKET_CHARS:
            raise ValueError(
                f"buckets has names and regions of {chars:,} characters together, and a function has room "
                f"for {MAX_BUCKET_CHARS:,}: deploy a second stage for the others"
            )
        return self

    @model_validator(mode="after")
    def _check_size(self) -> Self:
        if (size := len(json.dumps(self.shown()).encode())) > MAX_SHOWN_BYTES:
            raise ValueError(
                f"the settings have {size:,} bytes, and the parameter that remembers them has room for "
                f"{MAX_SHOWN_BYTES:,}: deploy a second stage for some of the buckets"
            )
        return self

    @property
    def bucket_names(self) -> tuple[str, ...]:
        return tuple(bucket.name for bucket in self.buckets)

    @property
    def bucket_regions(self) -> str:
        """Return the regions of buckets that have their own, as the functions read them."""
        return ",".join(f"{bucket.name}={bucket.region}" for bucket in self.buckets if bucket.region)

    @property
    def distant_buckets(self) -> str:
        """Return the buckets in another region or account, as the functions read them."""
        return ",".join(bucket.name for bucket in self.buckets if bucket.distant)

    def shown(self) -> dict[str, Any]:
        """Return all settings as the file would have them, also those that have their default."""
        return self.model_dump(mode="json", by_alias=True)


NAMES = {field.alias: field for field in StageSettings.model_fields.values() if field.alias}
"""Fields of the settings by their names in the file."""


def read(name: str, context: Mapping[str, Any], folder: Path = STAGES) -> StageSettings:
    """Read the stage's file; `context` is CDK's, whose values for settings override the file.

    Raises:
        StageError: There is no such stage, or a setting is not valid.
    """
    if not name:
        raise StageError(f"Name the stage: -c stage=prod, say. There are: {_known(folder)}.")
    file = folder / f"{_stage_name(name)}.toml"
    try:
        table = tomllib.loads(file.read_text())
    except FileNotFoundError:
        raise StageError(_unknown(name, folder)) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise StageError(f"{_shown_path(file)} cannot be read: {error}") from error
    _refuse_misspelt(context)
    given = {key: value for key, value in context.items() if key in NAMES}
    try:
        in_file = StageSettings.model_validate(table)
        merged = table | {key: _parsed(key, value, in_file) for key, value in given.items()}
        return StageSettings.model_validate(merged)
    except ValidationError as error:
        raise StageError(_explained(error, _shown_path(file), given)) from error


def _known(folder: Path) -> str:
    return ", ".join(sorted(file.stem for file in folder.glob("*.toml") if file.stem != EXAMPLE)) or "none"


def _unknown(name: str, folder: Path) -> str:
    wanted = _shown_path(folder / f"{name}.toml")
    return (
        f"There is no stage {name}: {wanted} does not exist. For a new stage, copy the example and edit it:\n"
        f"  cp {_shown_path(STAGES / f'{EXAMPLE}.toml')} {wanted}\n"
        f"Stages that exist: {_known(folder)}."
    )


def _shown_path(file: Path) -> str:
    return str(file.relative_to(REPOSITORY)) if file.is_relative_to(REPOSITORY) else str(file)


def _refuse_misspelt(context: Mapping[str, Any]) -> None:
    """Refuse a context key that is nearly a setting: CDK would ignore it.

    Raises:
        StageError: There is one.
    """
    for key in context:
        if not _PLAIN_CONTEXT.fullmatch(key) or key in NAMES:
            continue
        if near := get_close_matches(key, NAMES, n=1, cutoff=0.75):
            raise StageError(f"-c {key}: there is no such setting. Did you mean -c {near[0]}?")


def _parsed(key: str, value: Any, in_file: StageSettings) -> Any:
    """Return a value of the context in its type; what cannot be parsed is left for the model to refuse."""
    text = str(value).strip()
    if key == "buckets":
        known = {bucket.name: bucket for bucket in in_file.buckets}
        names = dict.fromkeys(name.strip() for name in text.split(",") if name.strip())
        return [known[name].model_dump(by_alias=True) if name in known else {"name": name} for name in names]
    if text == "" and NAMES[key].default is None:
        return None
    if key in _SWITCHES:
        return {"yes": True, "no": False}.get(text, text)
    return int(text) if key in _NUMBERS and re.fullmatch(r"-?(0|[1-9][0-9]*)", text) else text


_SWITCHES = {"accessLog", "tracing"}
_NUMBERS = {
    "manifestDays",
    "transferDays",
    "mqttPort",
    "rotateAfterDays",
    "commandKey",
    "concurrency",
    "requestsPerAddress",
    "alarmAbsentPercent",
    "alarmQueuedMinutes",
    "alarmFreePercent",
    "monthlyBudget",
}


def _explained(error: ValidationError, file: str, overridden: Iterable[str]) -> str:
    """Return the errors as a person would read them, each with the place where the value was written."""
    lines = []
    for one in error.errors():
        place = ".".join(str(part) for part in one["loc"])
        top = str(one["loc"][0]) if one["loc"] else "buckets"
        where = f"-c {top}" if top in overridden else file
        if one["type"] == "extra_forbidden":
            near = get_close_matches(place, NAMES, n=1)
            advice = f"did you mean {near[0]}?" if near else f"settings are {', '.join(NAMES)}"
            lines.append(f"{where}: {place}: there is no such setting; {advice}")
            continue
        why = one["msg"].removeprefix("Value error, ")
        shown = "" if one["type"] == "value_error" else f", not {one['input']!r}"
        hint = " (-c takes yes or no)" if top in _SWITCHES and top in overridden else ""
        lines.append(f"{where}: {place or 'settings'}: {why}{shown}{hint}")
    return "\n".join(lines)
