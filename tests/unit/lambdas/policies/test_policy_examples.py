"""The examples of docs/guides/policies.md do what the guide says, and no more."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from events.locations import AgentLocation, S3Location, from_text
from events.options import Options
from lambdas.domain.authorization import Principal, RequestTime, movements
from lambdas.domain.plan import TransferSpec, new_transfer_id, plan
from lambdas.domain.policy_set import defaults, policy_set
from lambdas.domain.policy_text import statements, with_ids
from tests.support.fakes import id_of

GUIDE = Path("docs/guides/policies.md").read_text()
WRITTEN = dict(re.findall(r"### ([a-z0-9-]+)\n.*?```cedar\n(.*?)```", GUIDE, re.DOTALL))
EXAMPLES = {name: with_ids(text, id_of) for name, text in WRITTEN.items()}
"""As they are kept."""

NOON, NIGHT, SUNDAY = (
    datetime(2026, 11, day, hour, tzinfo=UTC) for day, hour in ((24, 12), (24, 23), (22, 12))
)
TAGS = {
    "prod-1": {"env": "production"},
    "lab-1": {"env": "lab"},
    "vault-1": {"zone": "vault"},
    "archive-1": {"role": "archive"},
    "plain-1": {},
}
REREAD, GENTLE = Options(verify="reread"), Options(bandwidth_limit=40_000_000)
BO, STUDIO = (
    Principal(id_of("bo@example.org"), ("operator",)),
    Principal(id_of("cy@example.org"), ("studio",)),
)
DORA = Principal(id_of("dora@example.org"), ("operator",), name="bo@example.org")
GB = 10**9

CASES = [
    ("no-production-in-lab", "prod-1:/data/", "lab-1:/x/", {}, "refused"),
    ("no-production-in-lab", "plain-1:/data/", "lab-1:/x/", {}, "allowed"),
    ("no-production-in-lab", "lab-1:/data/", "prod-1:/x/", {}, "allowed"),
    ("large-at-night", "plain-1:/data/", "lab-1:/x/", {"size": 101 * GB}, "refused"),
    ("large-at-night", "plain-1:/data/", "lab-1:/x/", {"size": 101 * GB, "at": NIGHT}, "allowed"),
    ("large-at-night", "plain-1:/data/", "lab-1:/x/", {"size": 101 * GB, "at": SUNDAY}, "allowed"),
    ("large-at-night", "plain-1:/data/", "lab-1:/x/", {"size": 99 * GB}, "allowed"),
    ("large-at-night", "plain-1:/data/", "lab-1:/x/", {}, "allowed"),
    ("four-eyes", "plain-1:/data/", "vault-1:/x/", {}, "approval"),
    ("four-eyes", "plain-1:/data/", "lab-1:/x/", {"size": 1001 * GB}, "approval"),
    ("four-eyes", "plain-1:/data/", "lab-1:/x/", {"size": 5}, "allowed"),
    ("four-eyes", "plain-1:/data/", "vault-1:/x/", {"who": Principal("x", ("viewer",))}, "refused"),
    ("no-programs", "plain-1:/data/setup.EXE", "prod-1:/x/", {}, "refused"),
    ("no-programs", "plain-1:/data/film.mov", "prod-1:/x/", {}, "allowed"),
    ("archive-is-verified", "plain-1:/data/", "archive-1:/x/", {}, "refused"),
    ("archive-is-verified", "plain-1:/data/", "archive-1:/x/", {"options": REREAD}, "allowed"),
    ("gentle-by-day", "plain-1:/data/", "lab-1:/x/", {}, "refused"),
    ("gentle-by-day", "plain-1:/data/", "lab-1:/x/", {"options": GENTLE}, "allowed"),
    ("gentle-by-day", "plain-1:/data/", "lab-1:/x/", {"at": NIGHT}, "allowed"),
    ("gentle-by-day", "plain-1:/data/", "plain-1:/x/", {}, "allowed"),
    ("studio", "plain-1:/data/studio/a.mov", "archive-1:/archive/studio/", {"who": STUDIO}, "allowed"),
    ("studio", "plain-1:/data/", "archive-1:/archive/studio/", {"who": STUDIO}, "refused"),
    ("studio", "plain-1:/data/studio/", "archive-1:/archive/", {"who": STUDIO}, "refused"),
    ("studio", "plain-1:/data/studio/", "lab-1:/archive/studio/", {"who": STUDIO}, "refused"),
    ("not-bo", "plain-1:/data/", "lab-1:/x/", {}, "refused"),
    ("not-bo", "plain-1:/data/", "lab-1:/x/", {"who": DORA}, "allowed"),
    ("templates-only", "plain-1:/data/", "s3://customers/x/", {}, "refused"),
    ("templates-only", "plain-1:/data/", "s3://customers/x/", {"template": "to-customers"}, "allowed"),
    ("templates-only", "plain-1:/data/", "s3://customers/x/", {"template": "another"}, "refused"),
]


def place(text):
    fields = from_text(text)
    return (AgentLocation if fields["kind"] == "agent" else S3Location).model_validate(fields)


@pytest.mark.parametrize(("name", "source", "destination", "how", "outcome"), CASES)
def test_an_example_does_what_the_guide_says(name, source, destination, how, outcome):
    here = policy_set(defaults() | {name: EXAMPLES[name]})
    spec = TransferSpec(
        source=place(source),
        destinations=(place(destination),),
        options=how.get("options", Options()),
        template_id=how.get("template"),
    )
    transfer = plan(new_transfer_id(), spec, BO.actor, NOON)
    now = RequestTime(how.get("at", NOON))
    person = how.get("who", BO)
    verdicts = [
        here.decide(one) for one in movements(person, "transfer", transfer, TAGS, now, how.get("size"))
    ]
    assert [verdict.outcome for verdict in verdicts] == [outcome]
    if outcome != "allowed" and person is BO:
        assert verdicts[0].policies == (name,)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_can_be_kept(name):
    assert statements(EXAMPLES[name])


def test_every_example_is_tried_both_ways():
    assert set(EXAMPLES) == {case[0] for case in CASES}
    for name in EXAMPLES:
        assert len({case[-1] for case in CASES if case[0] == name}) >= 2
