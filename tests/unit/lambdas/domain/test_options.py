"""Impossible options are refused before anything starts, each with advice."""

from datetime import UTC, datetime

import pytest
from pydantic import TypeAdapter, ValidationError

from events.locations import Location, from_text
from events.options import BandwidthWindow, Options
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
    ],
)
def test_what_can_be_kept_is_planned(ends: tuple[str, ...], options: dict[str, object]) -> None:
    planned(*ends, **options)


def test_an_unknown_time_zone_is_refused() -> None:
    with pytest.raises(ValidationError, match="not a time zone"):
        BandwidthWindow.model_validate({"start": "08:00", "end": "18:00", "zone": "Europe/Atlantis"})


def test_a_transfer_of_which_some_files_arrived_has_failed_in_part() -> None:
    assert derived_state([HopState.FAILED]) == TransferState.FAILED
    assert derived_state([HopState.FAILED], some_arrived=True) == TransferState.PARTIALLY_FAILED
    assert derived_state([HopState.CANCELLED], some_arrived=True) == TransferState.CANCELLED
