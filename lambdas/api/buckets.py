"""Routes of buckets: list them, and browse one."""

from events.locations import BucketName, S3Location
from events.requests import BucketBrowseRequest
from events.views import BucketListingView, BucketsView
from lambdas import adapters, wiring
from lambdas.api.calls import Call
from lambdas.api.routing import RouteGroup
from lambdas.domain.authorization import BROWSE, READ, bucket_resource, path_of

buckets = RouteGroup("buckets")


@buckets.get("/buckets", action=READ)
def list_buckets() -> BucketsView:
    """List the buckets that transfers may read and write, sorted by name."""
    return adapters.bucket_browser().list_buckets()


@buckets.post("/buckets/{bucket}/browse", action=BROWSE)
def browse_bucket(call: Call, bucket: BucketName, body: BucketBrowseRequest) -> BucketListingView:
    """List the objects and common prefixes directly under a prefix of a bucket."""
    location = S3Location(bucket=bucket, prefix=body.prefix)
    wiring.authorizer().check(call.caller, BROWSE, bucket_resource(bucket), path=path_of(location))
    return adapters.bucket_browser().browse(bucket, body)
