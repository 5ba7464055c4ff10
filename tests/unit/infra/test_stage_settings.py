"""A stage's settings come from its file, are checked there, and are compared with the last deployment's."""

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import boto3
import pytest
from moto import mock_aws

from infra import preflight
from infra.deployed import parameter_name
from infra.local.deploy import STAGE as DEMONSTRATION
from infra.settings import EXAMPLE, NAMES, STAGES, StageError, StageSettings, read
from infra.stage import Stage
from tests.unit.infra.conftest import Synthesized

REGION = "eu-central-1"
KEY = "arn:aws:kms:eu-west-1:111122223333:key/01234567-89ab-cdef-0123-456789abcdef"


@pytest.fixture
def stages(tmp_path: Path) -> Path:
    """Return a folder with a stage `prod`."""
    write(
        tmp_path,
        """
        manifestDays = 90
        zone = "Europe/Zurich"
        accessLog = true
        [[buckets]]
        name = "my-media"
        [[buckets]]
        name = "my.archive"
        """,
    )
    return tmp_path


def write(folder: Path, text: str) -> None:
    (folder / "prod.toml").write_text(text)


def settings(folder: Path, **context: str) -> StageSettings:
    return read("prod", context, folder)


def test_a_stage_has_what_its_file_says(stages: Path) -> None:
    found = settings(stages)
    assert (found.manifest_days, found.zone, found.access_log) == (90, "Europe/Zurich", True)
    assert found.bucket_names == ("my-media", "my.archive")
    assert found.rotate_after_days == 90, "what the file leaves out has its default"


def test_the_command_line_overrides_a_setting_and_nothing_else(stages: Path) -> None:
    found = settings(stages, manifestDays="30", accessLog="no", alarmEmail="ops@example.com")
    assert (found.manifest_days, found.access_log, found.alarm_email) == (30, False, "ops@example.com")
    assert (found.zone, found.bucket_names) == ("Europe/Zurich", ("my-media", "my.archive"))
    assert settings(stages, alarmEmail="").alarm_email is None
    assert settings(stages, buckets="").bucket_names == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("manifest_days = 90", "manifest_days: there is no such setting; did you mean manifestDays?"),
        ("manifestDays = '90'", "manifestDays: Input should be a valid integer, not '90'"),
        ("transferDays = 30", "greater than or equal to 90, not 30"),
        ("manifestDays = 4000", "less than or equal to 3650, not 4000"),
        ("zone = 'Europe/Zurch'", "'Europe/Zurch' is not a time zone"),
        ("accessLog = 'yes'", "accessLog: Input should be a valid boolean"),
        ("concurrency = 10", "New accounts have only 10"),
        ("[[buckets]]\nname = 's3://mine'", "cannot be a bucket's name"),
        ("[[buckets]]\nname = 'my-media'\n[[buckets]]\nname = 'my-media'", "my-media more than once"),
        ("[[buckets]]\nregion = 'eu-west-1'", "buckets.0.name: Field required"),
        ("[[buckets]]\nname = 'b-1'\nregion = 'Dublin'", "'Dublin' is not a region"),
        ("[[buckets]]\nname = 'b-1'\naccount = '12'", "'12' is not an account's number"),
        ("[[buckets]]\nname = 'b-1'\nkey = 'alias/mine'", "an alias is not enough"),
        (
            f"[[buckets]]\nname = 'b-1'\nregion = 'eu-west-2'\nkey = '{KEY}'",
            "b-1 is in eu-west-2, and its key in eu-west-1",
        ),
        ("manifestDays = ", "cannot be read"),
        ("\n".join(f"[[buckets]]\nname = '{n:060}'" for n in range(30)), "deploy a second stage"),
        ("\n".join(f"[[buckets]]\nname = '{n:016}'\nkey = '{KEY}'" for n in range(60)), "the parameter that"),
    ],
)
def test_a_slip_in_the_file_is_named_before_anything_is_deployed(
    tmp_path: Path, text: str, expected: str
) -> None:
    write(tmp_path, text)
    with pytest.raises(StageError) as found:
        settings(tmp_path)
    assert "prod.toml" in str(found.value)
    assert expected in str(found.value)


def test_a_slip_on_the_command_line_is_not_blamed_on_the_file(stages: Path) -> None:
    with pytest.raises(StageError, match=r"^-c accessLog: .*takes yes or no"):
        settings(stages, accessLog="true")
    with pytest.raises(StageError, match="Did you mean -c manifestDays"):
        settings(stages, manifestDay="30")


def test_an_unknown_stage_is_refused_with_what_to_write(stages: Path) -> None:
    with pytest.raises(StageError, match=r"(?s)cp stages/example\.toml .*prdo\.toml.*that exist: prod\."):
        read("prdo", {}, stages)
    with pytest.raises(StageError, match=r"-c stage=prod, say\. There are: prod"):
        read("", {}, stages)


def test_each_stage_in_the_repository_is_valid_and_the_example_shows_every_default() -> None:
    assert read(DEMONSTRATION, {}) == StageSettings()
    assert read(EXAMPLE, {}) == StageSettings(), "copied as it is, it changes nothing"
    commented = (STAGES / f"{EXAMPLE}.toml").read_text()
    settings_of_it = "\n".join(
        line.removeprefix("# ") for line in commented.splitlines() if line.startswith("# ") and is_toml(line)
    )
    table = tomllib.loads(settings_of_it)
    assert set(table) == set(NAMES)
    shown = StageSettings.model_validate(table).shown()
    for name, default in StageSettings().shown().items():
        assert default in (None, []) or shown[name] == default, f"{name} is shown with its default"


def is_toml(line: str) -> bool:
    text = line.removeprefix("# ")
    return text.startswith("[") or text.partition(" = ")[1] != ""


def test_a_key_without_its_bucket_s_region_is_found_out_where_the_stage_s_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CDK_DEFAULT_REGION", REGION)
    write(tmp_path, f"[[buckets]]\nname = 'b-1'\nkey = '{KEY}'")
    app = cdk.App(context={"stage": "prod"})
    stage = Stage.of(app, tmp_path)
    with pytest.raises(StageError, match='write region = "eu-west-1" beside its key'):
        stage.bucket_keys(cdk.Stack(app, "Any", env=stage.environment))


@pytest.fixture
def deployed(stages: Path, monkeypatch: pytest.MonkeyPatch, request: Any) -> Iterator[Any]:
    """Yield SSM of an account to which `prod` was deployed."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("CDK_DEFAULT_REGION", REGION)
    with mock_aws():
        for name in ("my-media", "my.archive", "new-one"):
            if request.cls is not TestBucketsBeforeADeployment:
                make_bucket(name)
        ssm = boto3.client("ssm", region_name=REGION)
        remember(ssm, settings(stages))
        yield ssm


def remember(ssm: Any, found: StageSettings) -> None:
    value = json.dumps(found.shown())
    ssm.put_parameter(Name=parameter_name("prod"), Value=value, Type="String", Overwrite=True)


def review(folder: Path, **context: str) -> list[str]:
    app = cdk.App(context={"stage": "prod", **context})
    return list(preflight.check_stage(Stage.of(app, folder), app.node.get_all_context()))


@pytest.mark.usefixtures("deployed")
class TestAgainstTheLastDeployment:
    def test_what_changes_is_shown(self, stages: Path) -> None:
        assert review(stages) == ["Settings of prod: unchanged."]
        assert review(stages, zone="UTC", manifestDays="91", buckets="my-media,my.archive,new-one") == [
            "Settings of prod that change:",
            "  buckets: none → new-one",
            "  manifestDays: 90 → 91",
            "  zone: Europe/Zurich → UTC",
        ]

    @pytest.mark.parametrize(
        ("setting", "value", "loss"),
        [
            ("manifestDays", "30", "would delete all manifests that are older than 30 days"),
            ("transferDays", "100", "more than 100 days ago would be in the archive only"),
            ("buckets", "my-media", "templates of my.archive would fail"),
            ("commandKey", "3", "Agents know keys 1 and 2 only"),
        ],
    )
    def test_a_deployment_that_would_delete_is_stopped_until_it_is_wanted(
        self, stages: Path, setting: str, value: str, loss: str
    ) -> None:
        with pytest.raises(StageError, match=loss) as stop:
            review(stages, **{setting: value})
        assert f"-c accept={setting}" in str(stop.value)
        assert len(review(stages, accept=setting, **{setting: value})) == 2
        with pytest.raises(StageError, match=loss):
            review(stages, accept="zone", **{setting: value})

    def test_alarms_do_not_lose_their_reader_unnoticed(self, stages: Path, deployed: Any) -> None:
        remember(deployed, settings(stages, alarmEmail="ops@example.com"))
        with pytest.raises(StageError, match=r"ops@example\.com would get no more alarms"):
            review(stages)

    def test_a_name_that_agents_use_is_not_dropped_unnoticed(self, stages: Path, deployed: Any) -> None:
        arn = f"arn:aws:acm:eu-central-1:111122223333:certificate/{KEY[-36:]}"
        named = settings(stages).shown() | {"apiDomains": [{"name": "api.example.com", "certificate": arn}]}
        deployed.put_parameter(
            Name=parameter_name("prod"), Value=json.dumps(named), Type="String", Overwrite=True
        )
        with pytest.raises(StageError, match=r"still use https://api\.example\.com could not reach"):
            review(stages)

    def test_a_new_version_s_settings_count_as_their_defaults_before_it(
        self, stages: Path, deployed: Any
    ) -> None:
        older = settings(stages).shown()
        del older["rotateAfterDays"]
        deployed.put_parameter(
            Name=parameter_name("prod"), Value=json.dumps(older), Type="String", Overwrite=True
        )
        assert review(stages) == ["Settings of prod: unchanged."]

    def test_what_cannot_be_read_is_not_taken_for_unchanged(self, stages: Path, deployed: Any) -> None:
        deployed.put_parameter(Name=parameter_name("prod"), Value="{", Type="String", Overwrite=True)
        with pytest.raises(StageError, match="-c accept=unread"):
            review(stages)
        assert review(stages, accept="unread") == []

    def test_another_account_s_deployment_is_not_compared_with(
        self, stages: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """`cdk --profile` gives the app the account, and not the credentials."""
        monkeypatch.setenv("CDK_DEFAULT_ACCOUNT", "123456789012")
        assert review(stages) == ["Settings of prod: unchanged."]
        monkeypatch.setenv("CDK_DEFAULT_ACCOUNT", "999999999999")
        with pytest.raises(StageError, match="set AWS_PROFILE instead of --profile"):
            review(stages)

    def test_only_settings_can_be_accepted(self, stages: Path) -> None:
        with pytest.raises(StageError, match="names of settings"):
            review(stages, accept="everything")


def test_a_first_deployment_has_nothing_to_compare(stages: Path, deployed: Any) -> None:
    deployed.delete_parameter(Name=parameter_name("prod"))
    assert review(stages) == ["First deployment of prod."]


@pytest.mark.usefixtures("deployed")
class TestBucketsBeforeADeployment:
    """A bucket that transfers cannot use is found before the deployment, not by the first transfer."""

    def test_one_that_is_not_there_stops_it(self, stages: Path) -> None:
        make_bucket("my.archive")
        with pytest.raises(StageError, match="my-media: there is no bucket of this name"):
            review_buckets(stages)

    def test_one_elsewhere_stops_it_until_the_file_says_so(self, tmp_path: Path) -> None:
        make_bucket("in-dublin", "eu-west-1")
        write(tmp_path, "[[buckets]]\nname = 'in-dublin'")
        with pytest.raises(StageError, match='Write region = "eu-west-1"'):
            review_buckets(tmp_path)
        write(tmp_path, "[[buckets]]\nname = 'in-dublin'\nregion = 'eu-west-1'")
        (note,) = review_buckets(tmp_path)
        assert "forwards its events" in note


def make_bucket(name: str, region: str = REGION) -> None:
    """Create a bucket of which the checks have nothing to say."""
    s3 = boto3.client("s3", region_name=region)
    s3.create_bucket(
        Bucket=name,
        CreateBucketConfiguration={"LocationConstraint": region},  # type: ignore[typeddict-item]
        ObjectOwnership="BucketOwnerEnforced",
    )
    tidy = {"ID": "tidy", "Status": "Enabled", "Filter": {"Prefix": ""}}
    s3.put_bucket_lifecycle_configuration(
        Bucket=name,
        LifecycleConfiguration={
            "Rules": [{**tidy, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}}]  # type: ignore[typeddict-item]
        },
    )


def review_buckets(folder: Path) -> list[str]:
    app = cdk.App(context={"stage": "prod"})
    session = boto3.Session(region_name=REGION)
    return list(preflight.check_buckets(session, Stage.of(app, folder).settings))


def test_without_credentials_nothing_is_asked(stages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    (line,) = review(stages)
    assert line.startswith("No credentials")


def test_the_deployment_itself_writes_what_the_next_one_reads(real: Synthesized) -> None:
    (parameter,) = real.properties("AWS::SSM::Parameter")
    assert parameter["Name"] == parameter_name("prod")
    written = json.loads(parameter["Value"])
    assert written == StageSettings.model_validate({"buckets": [{"name": "archive-of-acme"}]}).shown()
