"""The console: static files in a private bucket, behind CloudFront."""

from collections.abc import Sequence

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_cloudfront_origins as origins
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.stage import Stage
from infra.suppressions import suppress_finding

INDEX = "index.html"


class Console(Construct):
    """The bucket that `infra.publish` fills and the CloudFront distribution in front of it; no state."""

    def __init__(
        self, scope: Construct, name: str, stage: Stage, *, api_origins: list[str], manifests: s3.IBucket
    ) -> None:
        super().__init__(scope, name)
        domain = stage.settings.console_domain
        self.bucket = s3.Bucket(
            self,
            "Files",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=stage.protected,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            removal_policy=RemovalPolicy.DESTROY,
        )
        self.distribution = cloudfront.Distribution(
            self,
            "Front",
            comment=f"Crosshaul {stage.name}: console",
            default_root_object=INDEX,
            default_behavior=cloudfront.BehaviorOptions(
                origin=origins.S3BucketOrigin.with_origin_access_control(
                    self.bucket, origin_access_control=self._access(stage)
                ),
                viewer_protocol_policy=stage.viewer_protocol,
                response_headers_policy=self._headers(stage, stage.connections(self, api_origins, manifests)),
            ),
            error_responses=[_index_instead(status) for status in (403, 404)],
            minimum_protocol_version=cloudfront.SecurityPolicyProtocol.TLS_V1_2_2021,
            domain_names=[domain.name] if domain else None,
            certificate=acm.Certificate.from_certificate_arn(self, "Certificate", domain.certificate)
            if domain
            else None,
        )
        self.dns_targets = {domain.name: self.distribution.distribution_domain_name} if domain else {}
        self.url = stage.console_url(self.distribution)
        _suppress_findings(self)

    def _access(self, stage: Stage) -> cloudfront.S3OriginAccessControl:
        return cloudfront.S3OriginAccessControl(
            self, "Access", origin_access_control_name=_global_name(self, stage)
        )

    def _headers(self, stage: Stage, connections: list[str]) -> cloudfront.ResponseHeadersPolicy:
        """Return the security headers: what the console may run, load, connect to and be framed by."""
        return cloudfront.ResponseHeadersPolicy(
            self,
            "Headers",
            response_headers_policy_name=_global_name(self, stage),
            comment=f"Crosshaul {stage.name}: console",
            security_headers_behavior=cloudfront.ResponseSecurityHeadersBehavior(
                content_security_policy=cloudfront.ResponseHeadersContentSecurityPolicy(
                    content_security_policy=content_security_policy(connections),
                    override=True,
                ),
                content_type_options=cloudfront.ResponseHeadersContentTypeOptions(override=True),
                frame_options=cloudfront.ResponseHeadersFrameOptions(
                    frame_option=cloudfront.HeadersFrameOption.DENY, override=True
                ),
                referrer_policy=cloudfront.ResponseHeadersReferrerPolicy(
                    referrer_policy=cloudfront.HeadersReferrerPolicy.NO_REFERRER, override=True
                ),
                strict_transport_security=cloudfront.ResponseHeadersStrictTransportSecurity(
                    access_control_max_age=Duration.days(365), include_subdomains=True, override=True
                ),
            ),
            custom_headers_behavior=cloudfront.ResponseCustomHeadersBehavior(
                custom_headers=[
                    cloudfront.ResponseCustomHeader(header=name, value=value, override=True)
                    for name, value in _FURTHER.items()
                ]
            ),
        )


def _global_name(scope: Construct, stage: Stage) -> str:
    """Return a name that is unique per region: CloudFront's names are shared by all regions of an account."""
    return f"crosshaul-{stage.name}-{Stack.of(scope).region}"


def _suppress_findings(console: Console) -> None:
    suppress_finding(console, "People sign in from wherever they work", "CFR1")
    suppress_finding(
        console, "Static files, the same for everyone: there is nothing for a firewall to look at", "CFR2"
    )
    suppress_finding(
        console, "Static files, the same for everyone: who uses them is in the API's log", "CFR3", "S1"
    )
    suppress_finding(
        console, "CloudFront's own name fixes its TLS versions; a name of the company's own does not", "CFR4"
    )


_FURTHER = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


def content_security_policy(connections: Sequence[str]) -> str:
    """Return the policy: scripts and styles from our own files only, no inline code, no eval, no framing.

    Cloudscape's style sheets have small images in data: URLs. Its components set single style properties from
    script, which the policy allows.
    """
    rules = {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'", "data:"],
        "connect-src": ["'self'", *connections],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
    return "; ".join(" ".join([name, *values]) for name, values in rules.items())


def _index_instead(status: int) -> cloudfront.ErrorResponse:
    """Answer an error status with index.html: the console's router handles the path."""
    return cloudfront.ErrorResponse(
        http_status=status, response_http_status=200, response_page_path=f"/{INDEX}", ttl=Duration.seconds(0)
    )
