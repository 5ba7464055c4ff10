"""Impossible options are refused before anything starts, each with advice."""

from datetime import UTC, datetime
from typing import get_args
from urllib.parse import parse_qsl

import botocore.session
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from events.locations import Location, from_text
from events.options import MAX_TAGGING_BYTES, BandwidthWindow, Options, StorageClass, tagging_header
from events.states import HopState, TransferState
from lambdas.domain.errors import OptionsError
from lambdas.domain.plan import TransferSpec, new_transfer_id, plan
from lambdas.domain.transfer import derived_state
from tests.support.fakes import ADA

B, C, D, S3 = "server-b:/data/", "server-c:/archive/", "server-d:/backup/", "s3://bucket/x/"


def planned(source: str, *destinations: str, template: str | None = None, **options: object) -> None:
    place = TypeAdapter(Location)
    wish = TransferSpec(
        source=place.validate_python(from_text(source)),
        destinations=tuple(place.validate_python(from_text(one)) for one in destinations),
        options=Options.model_validate(options),
        template_id=template,
    )
    plan(new_transfer_id(), wish, ADA, datetime(2026, 11, 25, tzinfo=UTC))


@pytest.mark.parametrize(
    ("ends", "options"),
    [
        ((S3, C), {"compare": "checksum"}),
        ((B, S3), {"compare": "checksum"}),
        ((S3, C), {"owner": "names"}),
        ((B, S3), {"owner": "ids"}),
        ((B, S3), {"delete_extra": True}),
        ((B, C), {"delete_extra": True, "move": True}),
        ((S3, C), {"move": True}),
        ((B, S3), {"move": True}),
        ((B, C, D), {"move": True}),
        ((B, C), {"storage_class": "STANDARD_IA"}),
        ((S3, C), {"object_tags": {"project": "film"}}),
        ((B, "server-b:archive:photos/"), {"storage_class": "GLACIER"}),
    ],
)
def test_what_cannot_be_kept_is_refused_with_advice(
    ends: tuple[str, ...], options: dict[str, object]
) -> None:
    with pytest.raises(OptionsError) as refused:
        planned(*ends, **options)
    assert refused.value.problem.advice


@pytest.mark.parametrize("option", ["delete_extra", "move"])
def test_a_template_removes_nothing(option: str) -> None:
    with pytest.raises(OptionsError):
        planned(S3, C, template="new-videos", **{option: True})


@pytest.mark.parametrize(
    ("ends", "options"),
    [
        ((B, C), {"move": True, "compare": "checksum", "dry_run": True}),
        ((B, C, D), {"delete_extra": True, "dry_run": True}),
        ((S3, C), {"delete_extra": True}),
        ((B, S3), {"dry_run": True, "overwrite": "fail"}),
        ((B, S3, C), {"storage_class": "STANDARD_IA", "object_tags": {"project": "film"}}),
    ],
)
def test_what_can_be_kept_is_planned(ends: tuple[str, ...], options: dict[str, object]) -> None:
    planned(*ends, **options)


def test_storage_classes_are_those_of_s3() -> None:
    model = botocore.session.get_session().get_service_model("s3")
    assert list(get_args(StorageClass)) == model.shape_for("StorageClass").enum


@pytest.mark.parametrize(
    "tags",
    [
        {"": "no key"},
        {"k" * 129: "long"},
        {"key": "v" * 257},
        {"aws:created-by": "reserved"},
        {"AWS:x": "reserved"},
        {"line\nbreak": ""},
        {"key": "semi;colon"},
        {"key": "half \udcff"},
        {"emoji 🎬": "not a letter"},
        {f"key {number}": "" for number in range(11)},
        {"key": "名" * 256, "another": "名" * 256},
    ],
)
def test_tags_that_s3_would_refuse_are_refused_at_once(tags: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="object_tags"):
        Options(object_tags=tags)


_TAG_CHARS = st.characters(categories=["L", "N", "Z"], include_characters="_.:/=+-@")


@given(st.dictionaries(st.text(_TAG_CHARS, min_size=1, max_size=128), st.text(_TAG_CHARS, max_size=256)))
def test_all_other_tags_are_taken_and_arrive_as_they_were_written(tags: dict[str, str]) -> None:
    try:
        options = Options(object_tags=tags)
    except ValidationError:
        is_aws = any(key.lower().startswith("aws:") for key in tags)
        assert len(tags) > 10 or len(tagging_header(tags)) > MAX_TAGGING_BYTES or is_aws
        return
    sent = tagging_header(options.object_tags)
    assert dict(parse_qsl(sent, keep_blank_values=True, strict_parsing=bool(tags))) == tags
    assert sent.isascii()
    reordered = Options(object_tags=dict(reversed(tags.items())))
    assert reordered.model_dump_json() == options.model_dump_json(), "the same request has the same id"


def test_an_unknown_time_zone_is_refused() -> None:
    with pytest.raises(ValidationError, match="not a time zone"):
        BandwidthWindow.model_validate({"start": "08:00", "end": "18:00", "zone": "Europe/Atlantis"})


def test_a_transfer_of_which_some_files_arrived_has_failed_in_part() -> None:
    assert derived_state([HopState.FAILED]) == TransferState.FAILED
    assert derived_state([HopState.FAILED], some_arrived=True) == TransferState.PARTIALLY_FAILED
    assert derived_state([HopState.CANCELLED], some_arrived=True) == TransferState.CANCELLED
