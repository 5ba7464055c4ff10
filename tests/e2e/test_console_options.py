"""Transfer options in the console: previews, and confirmation before files are deleted."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from infra.local.demo_files import write_random
from tests.e2e.api import SignedInApi
from tests.e2e.conftest import Fleet, tab
from tests.e2e.console import choose, picture, table_rows, violations, visit

pytestmark = pytest.mark.e2e

FOUR_EYES = """@requires("approval")
forbid (principal, action == Action::"transfer", resource)
when { context.destination_path like "/backup/vault/*" };
"""

NO_GLASS = """forbid (principal, action == Action::"transfer", resource)
when { context.destination_path like "/archive/glass/*" };
"""


def test_a_mirror_is_previewed_and_confirmed_before_it_removes(page: Page, fleet: Fleet) -> None:
    source, mirror = fleet.folder("server-b:/data/mirrored"), fleet.folder("server-c:/archive/mirrored")
    for path in (source / "new.mov", source / "proxies/small.mov", mirror / "old.mov"):
        write_random(path, 1000)
    visit(page, fleet, "transfers/new?from=server-b&path=/data/mirrored/&to=server-c")
    page.get_by_label("Destination: path").fill("/archive/mirrored/")
    page.get_by_role("button", name="Options").click()
    page.get_by_label("Not these files").fill("proxies/")
    page.get_by_label(re.compile("Make the destination a mirror")).check()
    expect(page.get_by_label(re.compile("Move instead of copy"))).to_be_disabled()

    page.get_by_role("button", name="Preview").click()

    result = page.get_by_role("list", name="What would be done")
    expect(result).to_contain_text("1 file would be sent")
    expect(result).to_contain_text("1 file would be removed")
    expect(result).to_contain_text("old.mov")
    assert violations(page) == []
    picture(page, "new-transfer-preview")
    assert (mirror / "old.mov").exists()
    assert not (mirror / "new.mov").exists()

    page.get_by_role("button", name="Start transfer").click()
    expect(page.get_by_role("dialog")).to_contain_text("server-c:/archive/mirrored/")
    page.get_by_role("button", name="Start, and remove there").click()
    expect(page.get_by_text("Succeeded").first).to_be_visible()
    expect(page.get_by_text("1 file removed").first).to_be_visible()
    expect(page.get_by_text(re.compile("not proxies/, remove at the destination"))).to_be_visible()
    assert sorted(path.name for path in mirror.iterdir()) == ["new.mov"]

    visit(page, fleet, "transfers")
    mirrored = table_rows(page, "Transfers", "mirrored")
    expect(mirrored).to_have_count(2)
    page.get_by_role("button", name="Kind").click()
    page.get_by_role("option", name="Previews only").click()
    expect(mirrored).to_have_count(1)
    expect(mirrored).to_contain_text("Dry run: nothing is written")
    mirrored.get_by_role("link").click()
    expect(page.get_by_role("heading", name=re.compile("^Preview: server-b"))).to_be_visible()
    page.get_by_role("button", name="More", exact=True).click()
    with page.expect_download() as report:
        page.get_by_role("menuitem", name="Report").click()
    assert '"dry_run": true' in report.value.path().read_text()


def test_an_upload_is_previewed_before_anything_is_written(page: Page, fleet: Fleet) -> None:
    kept = f"s3://{fleet.here.outputs.bucket}/previewed/"
    folder = fleet.folder("server-b:/data/previewed")
    write_random(folder / "there.mov", 1000)
    up = fleet.until_ended(fleet.copy("server-b:/data/previewed/", kept))
    assert up["state"] == "succeeded"
    write_random(folder / "there.mov", 1200)
    write_random(folder / "new.mov", 500)
    (folder / "link").symlink_to("new.mov")
    visit(page, fleet, "transfers/new?from=server-b&path=/data/previewed/")
    choose(page, "Destination", "A bucket and a prefix")
    page.get_by_label("Destination: bucket and prefix").fill(kept)

    page.get_by_role("button", name="Preview").click()

    result = page.get_by_role("list", name="What would be done")
    expect(result).to_contain_text("1 file would be sent")
    expect(result).to_contain_text("1 file would be replaced")
    for name, kind in (("there.mov", "replaced"), ("other.mov", "sent")):
        alone = fleet.copy("server-b:/data/previewed/new.mov", kept + name, dry_run=True)
        (hop,) = fleet.until_ended(alone)["hops"]
        assert hop["preview"][kind]["files"] == 1, hop["problem"]
    expect(result).to_contain_text("1 file would not arrive")
    expect(result).to_contain_text("link is a symbolic link")
    assert violations(page) == []


def written(page: Page) -> None:
    """Fill in a transfer's source and destination."""
    choose(page, "Source", "server-b")
    page.get_by_label("Source: path").fill("/data/limited/")
    choose(page, "Destination", "server-c")
    page.get_by_label("Destination: path").fill("/archive/limited/")


def test_a_limit_is_sent_as_it_was_typed_and_never_as_none(page: Page, fleet: Fleet) -> None:
    write_random(fleet.folder("server-b:/data/limited") / "one.bin", 1000)
    visit(page, fleet, "transfers/new")
    written(page)
    page.get_by_role("button", name="Options").click()
    page.get_by_role("button", name="Speed and connections").click()
    limit, streams = page.get_by_label("Speed limit"), page.get_by_label("Parallel connections")
    limit.press_sequentially("-3")
    streams.press_sequentially("17")
    page.get_by_role("button", name="Start transfer").click()
    expect(page.get_by_text("A number, at least 0.001").first).to_be_visible()
    expect(page.get_by_text("A whole number from 1 to 16").first).to_be_visible()
    assert page.url.endswith("#/transfers/new")

    limit.clear()
    limit.press_sequentially("1.05")
    expect(limit).to_have_value("1.05")
    streams.clear()
    streams.press_sequentially("3")
    page.get_by_role("button", name="Add hours").click()
    hours = page.get_by_role("group", name="Mon, Tue").get_by_label("Speed limit")
    hours.clear()
    hours.press_sequentially("10.25")
    expect(hours).to_have_value("10.25")
    page.get_by_role("button", name="Start transfer").click()
    expect(page.get_by_role("heading", name="Timeline")).to_be_visible()
    options = fleet.transfer(page.url.rpartition("/")[2])["options"]
    assert (options["bandwidth_limit"], options["streams"]) == (1_101_005, 3)
    assert [one["limit"] for one in options["bandwidth_windows"]] == [10_747_904]


def test_a_form_that_was_left_is_there_again(page: Page, fleet: Fleet) -> None:
    visit(page, fleet, "transfers")
    page.get_by_role("link", name="New transfer").first.click()
    written(page)
    page.get_by_role("link", name="Agents").first.click()
    expect(page.get_by_role("heading", name="Agents")).to_be_visible()
    page.go_back()
    expect(page.get_by_label("Source: path")).to_have_value("/data/limited/")
    expect(page.get_by_role("button", name="Destination: agent or S3")).to_contain_text("server-c")
    page.get_by_role("link", name="Transfers").first.click()
    page.get_by_role("link", name="New transfer").first.click()
    expect(page.get_by_label("Source: path")).to_have_value("")

    visit(page, fleet, "templates/new")
    page.get_by_role("button", name="YAML", exact=True).click()
    text = page.get_by_role("textbox", name="YAML")
    text.fill("name: half-written")
    visit(page, fleet, "policies/new")
    page.get_by_label("Why").fill("For later")
    visit(page, fleet, "overview")
    page.go_back()
    expect(page.get_by_label("Why")).to_have_value("For later")
    page.go_back()
    expect(text).to_have_value("name: half-written")


def test_what_a_policy_wants_two_people_for_is_approved_by_a_second_one(
    page: Page, browser: Browser, fleet: Fleet
) -> None:
    password = "Second-person-2-agree"
    fleet.here.create_user("bo@crosshaul.test", password, "operator")
    write_random(fleet.folder("server-b:/data/secret/plan.bin"), 1000)
    fleet.api.put("/policies/four-eyes", {"text": FOUR_EYES, "why": "Two for the vault"})
    try:
        asked = fleet.copy("server-b:/data/secret/", "server-d:/backup/vault/")
        fleet.until_state(asked, "awaiting_approval")
        visit(page, fleet, f"transfers/{asked}")
        expect(page.get_by_text(re.compile("You requested it"))).to_be_visible()
        expect(page.get_by_role("button", name="Approve")).to_have_count(0)

        with tab(browser, SignedInApi.signed_in(fleet.here, "bo@crosshaul.test", password)) as other:
            visit(other, fleet, "overview")
            other.get_by_role("link", name="Awaiting approval: server-b:/data/secret/").click()
            expect(other.get_by_text(re.compile(f"except {fleet.here.user}"))).to_be_visible()
            expect(other.get_by_text("Required by: four-eyes")).to_be_visible()
            picture(other, "transfer-approval")
            other.get_by_role("link", name="Review").click()
            expect(other.get_by_role("heading", name="Approve a transfer")).to_be_visible()
            other.get_by_role("button", name="Preview").click()
            expect(other.get_by_text("1 file would be sent")).to_be_visible()
            picture(other, "approval")
            other.get_by_role("button", name="Approve").click()
            expect(other.get_by_text("Approved by bo@crosshaul.test")).to_be_visible()

        expect(page.get_by_text("Succeeded").first).to_be_visible()
        assert fleet.folder("server-d:/backup/vault/plan.bin").exists()

        refused = fleet.copy("server-b:/data/secret/", "server-d:/backup/vault/again/")
        fleet.until_state(refused, "awaiting_approval")
        with tab(browser, SignedInApi.signed_in(fleet.here, "bo@crosshaul.test", password)) as other:
            visit(other, fleet, f"transfers/{refused}/approval")
            other.get_by_role("button", name="Decline").click()
            dialog = other.get_by_role("dialog")
            dialog.get_by_role("button", name="Decline").click()
            expect(dialog.get_by_text("Give a reason")).to_be_visible()
            dialog.get_by_label("Reason").fill("Once is enough")
            dialog.get_by_role("button", name="Decline").click()
            expect(other.get_by_text("Declined by bo@crosshaul.test")).to_be_visible()
        visit(page, fleet, f"transfers/{refused}")
        expect(page.get_by_text("Declined by bo@crosshaul.test")).to_be_visible()
        expect(page.get_by_text("Once is enough", exact=True)).to_be_visible()
    finally:
        fleet.api.delete("/policies/four-eyes?why=the+story+is+over")


def test_a_policy_is_written_corrected_tried_and_taken_out_again(page: Page, fleet: Fleet) -> None:
    visit(page, fleet, "policies/new")
    page.get_by_label("Name").fill("no-glass")
    text = page.get_by_label("Text in Cedar")
    text.fill(
        'forbid (principal, action == Action::"transfer", resource)\nwhen { context.sauce == "/glass/" };\n'
    )
    page.get_by_role("button", name="Check and show effect").click()
    expect(page.get_by_role("button", name=re.compile("^Line 2, column [0-9]+:"))).to_be_visible()
    expect(page.locator(".code .wrong")).to_have_text("sauce")
    picture(page, "policy-errors")
    text.fill(
        'forbid (principal, action == Action::"transfer", resource)\n'
        'when { context.destination_path like "/archive/glass/*" };\n'
    )
    page.get_by_role("button", name="Check and show effect").click()
    expect(
        page.get_by_text("The text is valid, and no transfer would be decided differently")
    ).to_be_visible()
    assert violations(page) == []
    page.get_by_label("Why").fill("Glass breaks")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("table", name="Policies")).to_contain_text("Glass breaks")

    page.get_by_label("Source", exact=True).fill("server-b:/data/x/")
    page.get_by_label("Destination", exact=True).fill("server-c:/archive/glass/")
    page.get_by_role("button", name="Test", exact=True).click()
    expect(page.get_by_text("by no-glass")).to_be_visible()
    expect(page.get_by_text("Refused", exact=True)).to_be_visible()
    assert violations(page) == []
    picture(page, "policies")

    page.get_by_role("button", name="Remove no-glass").click()
    page.get_by_role("dialog").get_by_label("Why").fill("The story is over")
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_text("The policy no-glass was removed")).to_be_visible()

    page.get_by_role("link", name="Audit").click()
    page.get_by_role("button", name="Search by").click()
    page.get_by_role("option", name="Any text").click()
    page.get_by_label("Search for").fill("story OVER no-glass")
    page.keyboard.press("Enter")
    expect(page.get_by_role("table", name="Audit").get_by_role("row")).to_have_count(2)  # its heading is one
    page.get_by_role("button", name="Search by").click()
    page.get_by_role("option", name="Person").click()
    page.get_by_label("Search for").fill(fleet.here.user)
    page.keyboard.press("Enter")
    removal = table_rows(page, "Audit", "The story is over").filter(has_text="no-glass")
    removal.get_by_role("button").click()
    expect(page.get_by_role("dialog")).to_contain_text("/archive/glass/*")
    assert violations(page) == []
    picture(page, "audit-record")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Verify the last 30 days").click()
    expect(page.get_by_text("No changes were found.")).to_be_visible()
    with page.expect_download() as export:
        page.get_by_role("button", name="Export").click()
        page.get_by_role("menuitem", name=re.compile("CSV")).click()
    assert "policy.removed" in export.value.path().read_text()
    picture(page, "audit")


def test_a_refusal_names_the_policy_and_leads_to_it(page: Page, fleet: Fleet) -> None:
    fleet.api.put("/policies/no-glass", {"text": NO_GLASS, "why": "Glass breaks"})
    try:
        visit(page, fleet, "transfers/new?from=server-b&path=/data/x/&to=server-c")
        page.get_by_label("Destination: path").fill("/archive/glass/")
        page.get_by_role("button", name="Start transfer").click()
        expect(page.get_by_text("Forbidden by:")).to_be_visible()
        page.get_by_role("link", name="no-glass").click()
        expect(page.get_by_label("Text in Cedar")).to_have_value(NO_GLASS)
    finally:
        fleet.api.delete("/policies/no-glass?why=the+story+is+over")


def test_what_is_missing_in_a_policy_is_marked_where_it_is_missed(page: Page, fleet: Fleet) -> None:
    visit(page, fleet, "policies/new")
    page.get_by_label("Name").fill("half")
    page.get_by_label("Text in Cedar").fill("// 🎬 films\n" + NO_GLASS.rstrip().removesuffix(";") + "\n\n")
    page.get_by_role("button", name="Check and show effect").click()
    expect(page.get_by_role("button", name="Line 3, column 58:")).to_be_visible()
    expect(page.locator(".code .wrong")).to_have_text("}")
    page.get_by_role("button", name="Line 3, column 58:").click()
    expect(page.get_by_label("Text in Cedar")).to_be_focused()
    page.keyboard.type(";")
    page.get_by_role("button", name="Check and show effect").click()
    expect(
        page.get_by_text("The text is valid, and no transfer would be decided differently")
    ).to_be_visible()
