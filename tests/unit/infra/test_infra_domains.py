"""Addresses that last: the API and the console answer under names of the company's own."""

import json
from pathlib import Path

import aws_cdk as cdk
import pytest

from infra.settings import StageError, read
from infra.stage import Stage
from tests.unit.infra.conftest import Synthesized, stage_in, synthesize
from tests.unit.infra.test_infra_access import text as plain

ID = "01234567-89ab-cdef-0123-456789abcdef"
CERTIFICATE = f"arn:aws:acm:{{}}:111122223333:certificate/{ID}"
DOMAINS = f"""
apiDomain = "api.example.com"
[[apiDomains]]
name = "api.example.com"
certificate = "{CERTIFICATE.format("eu-central-1")}"
[[apiDomains]]
name = "old.example.com"
certificate = "{CERTIFICATE.format("eu-central-1")}"
[consoleDomain]
name = "crosshaul.example.com"
certificate = "{CERTIFICATE.format("us-east-1")}"
"""


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    return synthesize(tmp_path_factory.mktemp("named"), {"stage": "prod"}, DOMAINS)


def test_the_api_answers_under_each_name_with_its_certificate(named: Synthesized) -> None:
    found = {one["DomainName"]: one for one in named.properties("AWS::ApiGateway::DomainName")}
    assert set(found) == {"api.example.com", "old.example.com"}
    for one in found.values():
        assert one["RegionalCertificateArn"] == CERTIFICATE.format("eu-central-1")
        assert one["SecurityPolicy"] == "TLS_1_2"
    mapped = named.properties("AWS::ApiGateway::BasePathMapping")
    assert len(mapped) == 2
    assert all("Stage" in one and "BasePath" not in one for one in mapped), "the name alone is the address"


def test_people_and_agents_get_the_name_and_the_other_addresses_are_former_ones(named: Synthesized) -> None:
    outputs = named.templates["Crosshaul-prod"]["Outputs"]
    assert outputs["ApiUrl"]["Value"] == "https://api.example.com"
    assert outputs["ConsoleUrl"]["Value"] == "https://crosshaul.example.com"
    assert "old.example.com = " in json.dumps(outputs["DnsTargets"])
    [pool] = named.properties("AWS::Cognito::UserPool")
    invitation = pool["AdminCreateUserConfig"]["InviteMessageTemplate"]["EmailMessage"]
    assert "https://crosshaul.example.com<br>" in invitation
    for function in named.properties("AWS::Lambda::Function"):
        variables = function["Environment"]["Variables"]
        assert variables["CROSSHAUL_API_URL"] == "https://api.example.com"
    [hears_agents] = [
        one["Environment"]["Variables"]
        for one in named.properties("AWS::Lambda::Function")
        if one["Handler"] == "lambdas.on_report.handler"
    ]
    former = plain(hears_agents["CROSSHAUL_FORMER_API_URLS"]).split(",")
    assert former[-1] == "https://old.example.com"
    assert former[0].endswith("/v1"), "that of AWS"
    assert len(former) == 2


def test_the_console_has_its_name_and_may_call_the_api_s(named: Synthesized) -> None:
    (front,) = named.properties("AWS::CloudFront::Distribution")
    assert front["DistributionConfig"]["Aliases"] == ["crosshaul.example.com"]
    viewer = front["DistributionConfig"]["ViewerCertificate"]
    assert viewer["AcmCertificateArn"] == CERTIFICATE.format("us-east-1")
    assert viewer["MinimumProtocolVersion"] == "TLSv1.2_2021"
    assert "connect-src 'self' https://api.example.com" in json.dumps(named.templates)


def test_without_names_the_addresses_are_aws_s_and_none_is_former(real: Synthesized) -> None:
    assert real.properties("AWS::ApiGateway::DomainName") == []
    for function in real.properties("AWS::Lambda::Function"):
        assert "CROSSHAUL_FORMER_API_URLS" not in function["Environment"]["Variables"]


def test_the_api_goes_back_to_aws_s_address_while_the_names_still_answer(tmp_path: Path) -> None:
    stage: Stage = stage_in(cdk.App(context={"stage": "prod", "apiDomain": ""}), tmp_path, DOMAINS)
    current, *former = stage.api_urls("a1b2c3", "v1", "eu-central-1")
    assert current.startswith("https://a1b2c3.execute-api.eu-central-1.")
    assert former == ["https://api.example.com", "https://old.example.com"]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ('apiDomain = "api.example.com"', 'apiDomain = "typo.example.com"', "needs a table [[apiDomains]]"),
        (
            f"us-east-1:111122223333:certificate/{ID}",
            f"eu-west-1:111122223333:certificate/{ID}",
            "CloudFront takes",
        ),
        ('name = "old.example.com"', 'name = "https://old.example.com"', "is not a domain name"),
        ('name = "old.example.com"', 'name = "api.example.com"', "more than once"),
        (f"certificate/{ID}", "certificate/mine", "is not the ARN of a certificate"),
    ],
)
def test_a_name_that_cannot_work_is_refused(tmp_path: Path, before: str, after: str, expected: str) -> None:
    (tmp_path / "prod.toml").write_text(DOMAINS.replace(before, after))
    with pytest.raises(StageError) as found:
        read("prod", {}, tmp_path)
    assert expected in str(found.value)


def test_the_api_s_certificate_must_be_in_the_stage_s_region(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CDK_DEFAULT_REGION", "eu-west-2")
    app = cdk.App(context={"stage": "prod"})
    stage: Stage = stage_in(app, tmp_path, DOMAINS)
    with pytest.raises(StageError, match="request one in eu-west-2"):
        stage.check_certificates(cdk.Stack(app, "Any", env=stage.environment))
