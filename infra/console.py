"""The console: static files in a private bucket, behind CloudFront."""

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_cloudfront_origins as origins
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.stage import Stage

INDEX = "index.html"


class Console(Construct):
    """Where `infra.publish` puts the console, and how browsers get it. Nothing here is state."""

    def __init__(self, scope: Construct, name: str, stage: Stage) -> None:
        super().__init__(scope, name)
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
                origin=origins.S3BucketOrigin.with_origin_access_control(self.bucket),
                viewer_protocol_policy=stage.viewer_protocol,
                response_headers_policy=cloudfront.ResponseHeadersPolicy.SECURITY_HEADERS,
            ),
            error_responses=[_index_instead(status) for status in (403, 404)],
            minimum_protocol_version=cloudfront.SecurityPolicyProtocol.TLS_V1_2_2021,
        )
        self.url = stage.console_url(self.distribution)


def _index_instead(status: int) -> cloudfront.ErrorResponse:
    """The console's own router shows whatever address it is asked for."""
    return cloudfront.ErrorResponse(
        http_status=status, response_http_status=200, response_page_path=f"/{INDEX}", ttl=Duration.seconds(0)
    )
