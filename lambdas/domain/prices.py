"""List prices of AWS in us-east-1, in US dollars, without taxes and free tiers.

https://aws.amazon.com/pricing/
Other regions cost up to a third more. Whoever changes a price changes the date.
"""

AS_OF = "2025-06"
"""The month of these prices."""

S3_WRITE, S3_READ = 5e-6, 0.4e-6
"""For a PUT or LIST, and for a GET, of S3 Standard."""
S3_GB_MONTH = 0.023
"""For a GB in S3 Standard, a month."""
S3_CLASSES = {
    "STANDARD_IA": (10e-6, 0.0125),
    "ONEZONE_IA": (10e-6, 0.01),
    "INTELLIGENT_TIERING": (S3_WRITE, S3_GB_MONTH),
    "GLACIER_IR": (20e-6, 0.004),
    "GLACIER": (30e-6, 0.0036),
    "DEEP_ARCHIVE": (50e-6, 0.00099),
}
"""For a PUT, and for a GB a month, by storage class. Others count as S3 Standard."""
EGRESS_GB = 0.09
"""For a GB that leaves AWS for the internet; within a region it is free."""
GB = 1e9
"""Bytes of a GB, as they are billed."""

KEY, ALARM, METRIC = 1.00, 0.10, 0.30
"""For a KMS key, a metric that an alarm of CloudWatch reads, and one that is written, a month."""
FIREWALL = 6.00
"""For a web ACL of AWS WAF with one rule, a month."""
MESSAGE, RULE, CONNECTED_MINUTE = 1.00e-6, 0.30e-6, 0.08e-6
"""For a message of IoT Core, a rule with one action, and a minute of a connection."""
INVOCATION, GIGABYTE_SECOND = 0.20e-6, 13.33e-6
"""For a call of a Lambda function on ARM, and a second of 1 GB."""
WRITE, READ = 0.625e-6, 0.125e-6
"""For a write and a read of DynamoDB."""
SIGNATURE = 15e-6
"""For an ES256 signature of KMS."""
REQUEST, BUS_EVENT, QUEUE_REQUEST = 3.50e-6, 1.00e-6, 0.40e-6
"""For a request of API Gateway (REST), an event of our own on EventBridge, and a request of SQS."""
LOG_GB = 0.50
"""For a GB that is logged."""
