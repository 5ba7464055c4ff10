"""What the console shows when the network, the API, the broker or an agent is unavailable."""

import os
import re
import signal

import pytest
from playwright.sync_api import Page, Route, expect

from infra.local.demo_files import MIB, write_random
from infra.local.environment import until
from tests.e2e.conftest import Fleet
from tests.e2e.console import picture, slow_transfer, table_rows, visit

pytestmark = pytest.mark.e2e


def test_a_page_that_could_not_be_loaded_without_a_network_is_there_when_it_is_back(
    page: Page, fleet: Fleet
) -> None:
    visit(page, fleet, "overview")
    expect(page.get_by_text("3 online")).to_be_visible()

    page.context.set_offline(True)
    page.get_by_role("link", name="Agents").first.click()
    expect(page.get_by_text("This page could not be loaded")).to_be_visible()
    expect(page.get_by_role("heading", name="Agents", level=1)).to_be_visible()
    picture(page, "script-lacking")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("This page could not be loaded")).to_be_visible()
    page.get_by_role("link", name="Overview").first.click()
    expect(page.get_by_text("This page could not be loaded")).to_have_count(0)
    page.get_by_role("link", name="Agents").first.click()
    expect(page.get_by_text("This page could not be loaded")).to_be_visible()

    page.context.set_offline(False)
    expect(table_rows(page, "Agents", "server-b")).to_contain_text("Online")


def test_a_page_whose_script_a_new_deployment_has_taken_away_is_loaded_with_the_whole_document(
    page: Page, fleet: Fleet
) -> None:
    def html(route: Route) -> None:
        route.fulfill(status=200, content_type="text/html", body="<!doctype html><title>Crosshaul</title>")

    visit(page, fleet, "overview")
    expect(page.get_by_text("3 online")).to_be_visible()
    page.route(re.compile(r"assets/AuditPage-.*\.js"), html)
    page.get_by_role("link", name="Audit").first.click()
    expect(page.get_by_text("This page could not be loaded")).to_be_visible()
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("table", name="Audit")).to_be_visible()


def test_a_language_that_does_not_come_is_said_and_there_after_a_reload(page: Page, fleet: Fleet) -> None:
    visit(page, fleet, "overview")
    expect(page.get_by_text("3 online")).to_be_visible()
    page.context.set_offline(True)
    page.get_by_role("button", name="Display and language").click()
    page.get_by_role("menuitemcheckbox", name="Deutsch").click()
    expect(page.get_by_text("This language could not be loaded")).to_be_visible()
    expect(page.get_by_role("heading", name="Overview", level=1)).to_be_visible()
    page.context.set_offline(False)
    page.reload()
    expect(page.get_by_role("heading", name="Übersicht", level=1)).to_be_visible()


def hold(_: Route) -> None:
    """Leave the request unanswered."""


def test_an_api_that_does_not_answer_is_said_and_the_page_tries_again_by_itself(
    page: Page, fleet: Fleet
) -> None:
    template = {
        "name": "answered-late",
        "trigger": {"bucket": "nowhere", "prefix": "x/"},
        "destinations": ["server-c:/archive/"],
    }
    fleet.api.post("/templates", template)
    page.route(re.compile("/v1/templates|/templates[?]"), hold)
    visit(page, fleet, "templates")
    expect(page.get_by_text("The API does not respond")).to_be_visible()
    picture(page, "no-answer")
    page.unroute_all()
    expect(page.get_by_role("link", name="answered-late", exact=True)).to_be_visible()
    expect(page.get_by_text("The API does not respond")).to_have_count(0)
    fleet.api.delete("/templates/answered-late")


def test_a_transfer_whose_agent_says_nothing_has_no_speed_and_the_page_says_why(
    page: Page, fleet: Fleet
) -> None:
    moving = slow_transfer(fleet, "stalled", limit=MIB)
    visit(page, fleet, f"transfers/{moving}")
    expect(page.get_by_text(re.compile("MiB/s.* left")).first).to_be_visible()
    expect(page.get_by_text("film.mov").first).to_be_visible()
    picture(page, "moves")

    with fleet.frozen("server-d"):
        expect(page.get_by_text(re.compile("server-d has not been heard for [0-9]+ s")).first).to_be_visible()
        expect(page.get_by_text(re.compile("iB/s · "))).to_have_count(0)
        expect(page.get_by_text(re.compile(" left"))).to_have_count(0)
        fleet.make_late("server-d")
        picture(page, "stalled")
        visit(page, fleet, "overview")
        expect(page.get_by_text("0 B/s total")).to_be_visible()
        expect(page.locator(".running .rate").first).to_have_text("")
        picture(page, "stalled-overview")
        visit(page, fleet, f"transfers/{moving}")

    expect(page.get_by_text("has not been heard")).to_have_count(0)
    expect(page.get_by_text(re.compile("MiB/s.* left")).first).to_be_visible()
    fleet.api.post(f"/transfers/{moving}/cancel", {})


def test_a_reload_in_the_middle_keeps_showing_how_far_it_is(page: Page, fleet: Fleet) -> None:
    write_random(fleet.folder("server-b:/data/reloaded") / "film.mov", 64 * MIB)
    moving = fleet.copy("server-b:/data/reloaded/film.mov", "server-d:/backup/", bandwidth_limit=4 * MIB)
    visit(page, fleet, f"transfers/{moving}")
    before = _shown(page, 1)
    expect(page.get_by_text("film.mov", exact=True).first).to_be_visible()
    page.reload()
    after = _shown(page, 1)
    assert after >= before
    assert _shown(page, after + 1) < 64, "it still moves, and is followed"
    fleet.api.post(f"/transfers/{moving}/cancel", {})


def _shown(page: Page, least: float) -> float:
    """Wait until the page shows at least `least` MiB and return how many."""
    shown: list[float] = []

    def enough(_: object = None) -> bool:
        said = re.search(r"([0-9.]+) MiB of 64", page.get_by_role("main").inner_text())
        shown.append(float(said[1]) if said else 0)
        return shown[-1] >= least

    until(f"{least} MiB to be shown", enough)
    return shown[-1]


def test_live_is_said_only_while_anybody_speaks(page: Page, fleet: Fleet) -> None:
    page.clock.install()
    moving = slow_transfer(fleet, "silent", limit=MIB)
    visit(page, fleet, "overview")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    os.kill(fleet.here.cloud.pid, signal.SIGSTOP)
    try:
        page.clock.run_for(20_000)
        expect(page.get_by_text("Live", exact=True)).to_have_count(0)
        expect(page.get_by_text(re.compile("No response from the API for [0-9]+ s"))).to_be_visible()
        expect(page.get_by_text("0 B/s total")).to_be_visible()
        picture(page, "silent")
    finally:
        os.kill(fleet.here.cloud.pid, signal.SIGCONT)
    page.clock.run_for(40_000)
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    fleet.api.post(f"/transfers/{moving}/cancel", {})
