"""Every accepted transfer to or from S3 can get credentials: its session policy fits into STS's limit."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from events.locations import AgentLocation, S3Location
from events.options import Options
from infra.bucket_rights import OBJECT_ACTIONS
from lambdas.domain import problems
from lambdas.domain.errors import LimitError
from lambdas.domain.plan import TransferSpec, new_transfer_id, plan
from lambdas.domain.session_policy import (
    MAX_POLICY_CHARS,
    STS_POLICY_CHARS,
    policy_text,
    relay_policy,
    session_policy,
)
from lambdas.domain.transfer import Transfer
from tests.support.fakes import ADA, MORNING

STS_PATTERN = re.compile(r"[\x09\x0a\x0d\x20-\xff]+")
"""https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html, parameter Policy"""
HERE = AgentLocation(agent_id="server-b", path="/data/")
LONGEST_BUCKET = "b" * 63
TAGGED = Options(object_tags={"project": "film"})
"""Those with which the policy of a push is longest."""
ALPHABETS = {"ASCII": "a", "umlauts": "ü", "Cyrillic": "ж", "CJK": "名", "emoji": "🎬", "wildcards": "*"}


def planned(prefix: str, *, to_s3: bool = False) -> Transfer:
    there = S3Location(bucket=LONGEST_BUCKET, prefix=prefix)
    source, destination = (HERE, there) if to_s3 else (there, HERE)
    spec = TransferSpec(
        source=source,
        destinations=(destination,),
        shape="fan_out",
        options=TAGGED if to_s3 else Options(),
        selection=None,
        template_id=None,
        owner=ADA,
    )
    return plan(new_transfer_id(), spec, ADA, MORNING)


def is_accepted(prefix: str, *, to_s3: bool) -> bool:
    try:
        planned(prefix, to_s3=to_s3)
    except (LimitError, ValidationError):
        return False
    return True


def policy_of(prefix: str, *, to_s3: bool) -> str:
    transfer = planned(prefix, to_s3=to_s3)
    return policy_text(session_policy(transfer.hops[0], transfer.options, "aws-us-gov"))


@pytest.mark.parametrize("to_s3", [False, True])
@pytest.mark.parametrize("end", ["", "/"])
@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_the_longest_accepted_prefix_gets_credentials_and_the_next_is_refused(alphabet, end, to_s3):
    letter, end = ALPHABETS[alphabet], end or "x"
    lengths = range(1, (1024 - len(end)) // len(letter.encode()) + 1)
    longest = max(length for length in lengths if is_accepted(letter * length + end, to_s3=to_s3))
    policy = policy_of(letter * longest + end, to_s3=to_s3)
    assert len(policy) <= MAX_POLICY_CHARS < STS_POLICY_CHARS
    assert STS_PATTERN.fullmatch(policy)
    assert letter * 20 in json.loads(policy)["Statement"][0]["Resource"][0].replace("${*}", "*")
    if longest < lengths[-1]:
        with pytest.raises(LimitError, match=f"{MAX_POLICY_CHARS:,} are the limit|at most 1,024 bytes"):
            planned(letter * (longest + 1) + end, to_s3=to_s3)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=400), st.booleans())
def test_whatever_is_accepted_fits_and_is_what_was_meant(prefix, to_s3):
    if not is_accepted(prefix, to_s3=to_s3):
        return
    policy = policy_of(prefix, to_s3=to_s3)
    assert len(policy) <= STS_POLICY_CHARS
    assert STS_PATTERN.fullmatch(policy)
    transfer = planned(prefix, to_s3=to_s3)
    assert json.loads(policy) == session_policy(transfer.hops[0], transfer.options, "aws-us-gov")


def test_only_who_writes_finds_unfinished_uploads_and_aborts_those_below_its_prefix():
    """A push that was killed, or lost its ledger, must not leave parts that somebody pays for."""
    writing = session_policy(planned("in/", to_s3=True).hops[0], Options())["Statement"]
    of_action = {action: one["Resource"] for one in writing for action in _listed(one["Action"])}
    bucket = f"arn:aws:s3:::{LONGEST_BUCKET}"
    assert of_action["s3:ListBucketMultipartUploads"] == bucket
    assert of_action["s3:AbortMultipartUpload"] == [f"{bucket}/in/*"]
    assert "MultipartUpload" not in policy_of("in/", to_s3=False)


def test_only_a_push_that_sets_tags_may_change_tags():
    """It also reaches objects that exist, whose tags may decide who reads and what deletes them."""
    assert "Tagging" not in policy_text(session_policy(planned("in/", to_s3=True).hops[0], Options()))
    assert "Tagging" not in policy_of("in/", to_s3=False)
    [writing, *others] = session_policy(planned("in/", to_s3=True).hops[0], TAGGED)["Statement"]
    assert "s3:PutObjectTagging" in writing["Action"]
    assert writing["Resource"] == [f"arn:aws:s3:::{LONGEST_BUCKET}/in/*"]
    assert "Tagging" not in str(others)
    assert "s3:PutObjectTagging" in OBJECT_ACTIONS, "the role whose session it is has the right, too"


def _listed(actions: str | list[str]) -> list[str]:
    return [actions] if isinstance(actions, str) else actions


def test_the_relay_s_policy_always_fits():
    policy = relay_policy(planned("x/").hops[0], LONGEST_BUCKET, "aws-us-gov")
    assert len(policy_text(policy)) <= MAX_POLICY_CHARS


def test_a_transfer_with_a_prefix_that_is_too_long_is_refused_when_it_is_requested(here):
    """It was accepted, and the agent then got eight times an answer of 500."""
    here.join("server-b")
    for body in (
        {"source": f"s3://media/{'名' * 200}/", "destinations": ["server-b:/primary/"]},
        {"source": "server-b:/primary/", "destinations": [f"s3://media/{'名' * 200}/"]},
    ):
        answer = here.post("/transfers", body)
        assert (answer.status, answer.problem) == (422, problems.LIMIT)
        assert "prefix" in answer.body["detail"]


def test_a_prefix_that_ends_too_long_or_in_no_path_is_refused_when_it_is_requested(here):
    """What rsync's rule makes of two valid ends need not be valid."""
    here.join("server-b")
    for body in (
        {"source": "server-b:/primary/", "destinations": [f"s3://media/{'a' * 1024}"]},
        {"source": "s3://media/a\0", "destinations": ["server-b:/primary/"]},
    ):
        assert (here.post("/transfers", body).status, body) == (422, body)
