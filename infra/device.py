"""The IoT policy of a device; IoT fills in the thing's name when it connects."""

from typing import Any

from events.topics import Topics

THING = "${iot:Connection.Thing.ThingName}"


def document(topics: Topics, arn: str) -> dict[str, Any]:
    """Return the policy: connect as its thing, receive its commands and jobs, publish its reports, no more.

    `arn` is the prefix of this account's IoT ARNs: `arn:aws:iot:eu-central-1:111122223333`.
    """
    return {
        "Version": "2012-10-17",
        "Statement": [
            _allow("iot:Connect", f"{arn}:client/{THING}") | _ONLY_WITH_ITS_OWN_CERTIFICATE,
            _allow("iot:Subscribe", *(f"{arn}:topicfilter/{topic}" for topic in _subscribed(topics))),
            _allow("iot:Receive", *(f"{arn}:topic/{topic}" for topic in _subscribed(topics))),
            _allow(
                "iot:Publish",
                f"{arn}:topic/{topics.reports(THING)}",
                f"{arn}:topic/{topics.live(THING, '*', '*')}",
                f"{arn}:topic/{topics.jobs_request(THING)}",
                f"{arn}:topic/{topics.job_result(THING, '*')}",
            ),
        ],
    }


def _subscribed(topics: Topics) -> tuple[str, ...]:
    return topics.commands(THING), topics.job_notifications(THING), topics.jobs_response(THING)


def _allow(action: str, *resources: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": list(resources)}


_ONLY_WITH_ITS_OWN_CERTIFICATE = {"Condition": {"Bool": {"iot:Connection.Thing.IsAttached": "true"}}}
