"""An administrator updates agents in the console, follows the progress and sees why it was stopped."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from playwright.sync_api import Page, expect

from infra.local import cloud as embedded
from infra.local.deploy import STAGE
from infra.local.environment import until
from infra.publish import stage_outputs
from lambdas.store.installer import NEWEST, Installer, items
from tests.e2e.conftest import Fleet
from tests.e2e.console import picture, settled, table_rows, violations, visit

pytestmark = pytest.mark.e2e


@pytest.fixture
def published(fleet: Fleet) -> Iterator[str]:
    """Publish a newer version; restore the newest version afterwards."""
    settings = embedded.client_settings(fleet.here.cloud)
    table = stage_outputs(boto3.client("cloudformation", **settings), STAGE)["ReleasesTable"]
    rows: Any = boto3.client("dynamodb", **settings)
    before = rows.get_item(TableName=table, Key={"release_id": {"S": NEWEST}})["Item"]
    newer = Installer("https://console.example/install.sh", "9c" * 32, "7.9.0", "no.host.wants.it")
    for row in items(newer):
        rows.put_item(TableName=table, Item=row)
    yield "7.9.0"
    rows.put_item(TableName=table, Item=before)


def state(fleet: Fleet, version: str) -> str:
    """Return the state of the update to this version after the next scheduled run."""
    fleet.minute()
    [state] = [one["state"] for one in fleet.api.get("/updates")["updates"] if one["version"] == version]
    return str(state)


def test_an_update_of_agents_that_nothing_can_update_is_stopped_and_says_so(
    page: Page, fleet: Fleet, published: str
) -> None:
    visit(page, fleet, "agents")
    page.get_by_role("button", name="Update", exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text("it is rolled back automatically")
    settled(page)
    assert violations(page) == []
    page.get_by_role("dialog").get_by_role("button", name="Update", exact=True).click()
    expect(page.get_by_text(f"3 agents get {published}, stage by stage")).to_be_visible()
    updates = table_rows(page, "Updates", published)
    expect(updates).to_contain_text("0 of 3, stage 1 of 2")
    until("the update to be stopped", lambda: state(fleet, published) == "aborted")
    expect(updates).to_contain_text("Aborted: too many failures")
    expect(updates).to_contain_text("This agent was not installed by the install script")
    assert violations(page) == []
    picture(page, "updates-light")
    [update] = [one for one in fleet.api.get("/updates")["updates"] if one["version"] == published]
    assert (update["state"], update["counts"]) == ("aborted", {"failed": 1, "cancelled": 2})
    assert {agent["version"] for agent in fleet.api.get("/agents")["agents"]} == {"0.1.0"}


def test_a_viewer_sees_updates_and_starts_none(fleet: Fleet, viewer: Any) -> None:
    assert viewer.status("POST", "/updates", {"everyone": True}) == 403
    assert viewer.status("GET", "/updates") == 200
