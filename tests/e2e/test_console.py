"""The console in a real browser: sign in, add servers, move files and watch them."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from infra.local.demo_files import MIB, differences, listing, write_random
from infra.local.environment import until
from tests.e2e.api import SignedInApi
from tests.e2e.conftest import Fleet
from tests.e2e.console import browse, choose, pick, picture, sign_in, slow_transfer, tab_to, table_rows, visit
from tests.e2e.installed import InstalledServer
from tests.e2e.publisher import Publisher

pytestmark = pytest.mark.e2e


def test_a_wrong_password_is_said_and_nothing_is_shown(door: Page, fleet: Fleet) -> None:
    door.get_by_label("User name or e-mail").fill(fleet.here.user)
    door.get_by_label("Password", exact=True).fill("Wrong-pass-1")
    door.keyboard.press("Enter")
    expect(door.get_by_text(re.compile("password", re.IGNORECASE)).first).to_be_visible()
    expect(door.get_by_role("heading", name="Overview")).not_to_be_visible()


def test_signing_in_leads_to_the_overview_and_leaves_no_token_where_it_would_stay(
    door: Page, fleet: Fleet
) -> None:
    sign_in(door, fleet)
    expect(door.get_by_role("heading", name="Overview")).to_be_visible()
    expect(door.get_by_text("3 online")).to_be_visible()
    for name in fleet.servers:
        expect(door.get_by_role("link", name=f"{name}: Online")).to_be_visible()
    assert "eyJ" not in door.evaluate("JSON.stringify(localStorage) + location.href + document.cookie")


def test_agents_are_found_and_shown_with_their_roots(page: Page, fleet: Fleet) -> None:
    visit(page, fleet, "overview")
    page.get_by_role("link", name="Agents").first.click()
    for name in fleet.servers:
        expect(table_rows(page, "Agents", name)).to_contain_text("Online")
    assert fleet.api.status("PATCH", "/agents/server-c", {"tags": {"site": "berlin"}}) == 200
    page.get_by_label("Tags").fill("site=berlin")
    page.get_by_role("option", name="Agents with site=berlin").click()
    expect(table_rows(page, "Agents", "server-d")).to_have_count(0)
    expect(table_rows(page, "Agents", "server-c").locator("time")).to_have_count(2)
    visit(page, fleet, "agents")
    page.get_by_label("Find by the beginning of the name").fill("server-c")
    expect(table_rows(page, "Agents", "server-b")).to_have_count(0)
    table_rows(page, "Agents", "server-c").get_by_role("link", name="server-c").click()
    expect(page.get_by_role("heading", name="server-c", exact=True)).to_be_visible()
    expect(page.get_by_text("/archive").first).to_be_visible()
    expect(page.get_by_text("Keys in use since")).to_be_visible()
    past = page.get_by_role("table", name="Timeline").get_by_role("row")
    expect(past.filter(has_text="agent.changed: agent server-c").first).to_contain_text(fleet.here.user)
    expect(page.get_by_role("heading", name="Timeline", exact=True)).to_be_visible()
    page.get_by_role("link", name="All audit records").click()
    expect(page.get_by_label("Search for")).to_have_value("server-c")
    fleet.api.send("PATCH", "/agents/server-c", {"tags": {}})


@pytest.fixture(scope="module")
def publisher(enrolled: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Publisher:
    """Return a publisher of kits that install on this machine."""
    published = Publisher(enrolled, tmp_path_factory.mktemp("kits"))
    published.publish()
    return published


def shown_command(page: Page) -> tuple[str, str]:
    """Return the install command and its token."""
    line, token = (page.locator("code.command").nth(number).inner_text() for number in (0, 1))
    assert "sha256sum" in shlex.split(line), "the script is checked before it is run"
    assert token not in line
    return line, token


def test_several_are_added_by_one_token(
    page: Page, fleet: Fleet, publisher: Publisher, tmp_path: Path
) -> None:
    visit(page, fleet, "agents")
    page.get_by_role("button", name="Add agent").first.click()
    page.get_by_text("Several, with one token").click()
    page.get_by_placeholder("render-{hostname}").fill("console")
    page.get_by_label("At most").fill("2")
    page.get_by_role("button", name="Get the install command").click()
    expect(page.get_by_text("Write {hostname} once")).to_be_visible()
    page.get_by_placeholder("render-{hostname}").fill("console-{hostname}")
    expect(page.get_by_text("Write an absolute path")).to_be_visible()
    page.get_by_role("textbox", name="Path on the server").fill(str(tmp_path))
    page.get_by_role("button", name="Get the install command").click()
    command, token = shown_command(page)
    expect(page.get_by_text("0 of 2 have joined")).to_be_visible()
    file = tmp_path / "crosshaul.token"
    file.write_text(token)

    try:
        for name in ("console-1", "console-2"):
            server = InstalledServer(name, fleet.here.home / "servers" / name, {})
            publisher.run_line(server, command, "", "--token-file", str(file), "--name", name)
            assert f'path = "{tmp_path}"\naccess = "rw"' in server.config.read_text()
        expect(page.get_by_text("2 of 2 have joined")).to_be_visible()
    finally:
        for name in ("console-1", "console-2"):
            fleet.api.send("DELETE", f"/agents/{name}")


def test_an_agent_is_added_by_running_the_line_that_is_shown(
    page: Page, fleet: Fleet, publisher: Publisher, tmp_path: Path
) -> None:
    fresh, films = tmp_path / "new", tmp_path / "all films"
    for folder in (fresh, films):
        folder.mkdir()
    visit(page, fleet, "agents")
    page.get_by_role("button", name="Add agent").first.click()
    page.get_by_placeholder("server-b").fill("server-e")
    paths = page.get_by_role("textbox", name="Path on the server")
    for wrong, words in (("", "begins with /"), ("new", "begins with /"), (f"{fresh}/../x", "'..' in it")):
        paths.fill(wrong)
        page.get_by_role("button", name="Get the install command").click()
        expect(page.get_by_text(words)).to_be_visible()
    paths.fill(str(fresh))
    page.get_by_role("button", name="Add root").click()
    paths.nth(1).fill(f"{fresh}/")
    expect(page.get_by_text("named twice")).to_be_visible()
    paths.nth(1).fill(str(films))
    page.get_by_role("button", name="Access read and write").nth(1).click()
    page.get_by_role("option", name="read only").click()
    page.get_by_role("button", name="Get the install command").click()
    command, token = shown_command(page)

    server = InstalledServer("server-e", fleet.here.home / "servers/server-e", {})
    publisher.run_line(server, command, token)
    fleet.here.start_agent(server)

    try:
        expect(page.get_by_text("server-e has joined").first).to_be_visible()
    finally:
        fleet.here.agents.pop("server-e").stop()
    roots = [(root["path"], root["access"]) for root in fleet.api.get("/agents/server-e")["roots"]]
    assert roots == [(str(fresh), "rw"), (str(films), "ro")]
    visit(page, fleet, "agents/server-e")
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("menuitem", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_text("server-e was removed").first).to_be_visible()
    assert "server-e" not in [agent["agent_id"] for agent in fleet.api.get("/agents")["agents"]]


def test_files_are_moved_paused_resumed_and_watched_live(page: Page, fleet: Fleet) -> None:
    moving = slow_transfer(fleet, "browser films", 96 * MIB, 12 * MIB)
    visit(page, fleet, f"transfers/{moving}")

    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    expect(page.get_by_text(re.compile(r"of 96\.0 MiB .* MiB/s")).first).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("Speed: Now"))).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Paused").first).to_be_visible()
    page.reload()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("Succeeded").first).to_be_visible()
    sent, arrived = (
        fleet.folder("server-b:/data/browser films"),
        fleet.folder("server-d:/backup/browser films"),
    )
    assert differences(listing(sent), listing(arrived)) == []


def test_the_overview_shows_what_moves_and_a_cancel_elsewhere_ends_it(
    page: Page, browser: Browser, fleet: Fleet
) -> None:
    moving = slow_transfer(fleet, "overview", limit=MIB)
    visit(page, fleet, "transfers")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    expect(table_rows(page, "Transfers", "overview")).to_contain_text(re.compile("of 64.0 MiB .*/s"))
    visit(page, fleet, "overview")
    expect(page.locator(".fleet-map .line.moving")).to_have_count(1)
    expect(page.get_by_role("list", name="Running transfers").get_by_role("link")).to_have_count(1)
    expect(page.locator(".fleet-map .speed")).to_have_count(1)
    picture(page, "overview-moving")
    other = browser.new_page(locale="en-GB")
    try:
        other.goto(f"{fleet.here.outputs.console_url}/#/transfers/{moving}")
        sign_in(other, fleet)
        other.get_by_role("button", name="More", exact=True).click()
        other.get_by_role("menuitem", name="Cancel transfer").click()
        other.get_by_role("button", name="Cancel the transfer").click()
        expect(other.get_by_text("Cancelled").first).to_be_visible()
    finally:
        other.close()
    expect(page.get_by_text("No transfers are running")).to_be_visible()


def test_a_transfer_is_put_together_by_browsing(page: Page, fleet: Fleet) -> None:
    write_random(fleet.folder("server-b:/data/to browse") / "one.bin", 1000)
    visit(page, fleet, "transfers/new")

    choose(page, "Source", "server-b")
    dialog = browse(page, "/data", "to browse")
    expect(dialog).to_contain_text("one.bin")
    dialog.get_by_role("button", name=re.compile("^(Choose|Select|Use)")).click()
    choose(page, "Destination", "server-c")
    page.get_by_placeholder("/data/videos/raw/").last.fill("/archive/browsed/")
    page.get_by_role("button", name="Add destination").click()
    choose(page, "Destination 2", "server-d")
    page.get_by_placeholder("/data/videos/raw/").last.fill("/backup/browsed/")
    page.get_by_text("Chain", exact=True).click()
    expect(page.get_by_text("when the previous hop has arrived")).to_be_visible()
    page.get_by_role("button", name="Start transfer").click()

    expect(page.get_by_role("heading", name="Hops (2)")).to_be_visible()
    fleet.until_ended(page.url.rpartition("/")[2])
    expect(page.get_by_text("Succeeded").first).to_be_visible()
    assert fleet.folder("server-d:/backup/browsed/one.bin").exists()


def test_from_signing_in_to_the_end_of_a_transfer_with_the_keyboard_alone(door: Page, fleet: Fleet) -> None:
    write_random(fleet.folder("server-b:/data/keys") / "one.bin", 1000)
    tab_to(door, door.get_by_label("User name or e-mail"))
    door.keyboard.type(fleet.here.user)
    tab_to(door, door.get_by_label("Password", exact=True))
    door.keyboard.type(fleet.here.password)
    door.keyboard.press("Enter")
    expect(door.get_by_role("heading", name="Overview")).to_be_visible()
    tab_to(door, door.get_by_role("link", name="New transfer"))
    door.keyboard.press("Enter")

    pick(door, "Source", "server-b")
    tab_to(door, door.get_by_label("Source: path"))
    door.keyboard.type("/data/keys/")
    pick(door, "Destination", "server-c")
    tab_to(door, door.get_by_label("Destination: path"))
    door.keyboard.type("/archive/keys/")
    tab_to(door, door.get_by_role("button", name="Start transfer"))
    door.keyboard.press("Enter")

    expect(door.get_by_text("Succeeded").first).to_be_visible()
    assert fleet.folder("server-c:/archive/keys/one.bin").exists()


def test_the_first_tab_leads_past_the_navigation(page: Page, fleet: Fleet) -> None:
    visit(page, fleet, "transfers/new")
    expect(page.get_by_role("heading", name="New transfer")).to_be_visible()
    skip = page.get_by_role("link", name="Skip to content")
    expect(skip).not_to_be_in_viewport()
    page.keyboard.press("Tab")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    picture(page, "skip-link")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Source: agent or S3")).to_be_focused()
    assert page.url.endswith("#/transfers/new")


def test_a_template_written_as_yaml_moves_what_is_uploaded(page: Page, fleet: Fleet, tmp_path: Path) -> None:
    bucket = fleet.here.outputs.bucket
    visit(page, fleet, "templates/new")
    page.get_by_role("button", name="YAML").click()
    page.get_by_role("textbox").fill(
        "name: from-console\ntrigger: {bucket: x}\nshape: star\ndestinations: [a]\n"
    )
    expect(page.get_by_text(re.compile("Line 3: shape .* fan_out, chain"))).to_be_visible()
    page.get_by_role("textbox").fill(
        f"name: from-console\ntrigger: {{bucket: {bucket}, prefix: console/}}\n"
        "destinations:\n  - server-b:/primary/console/\n"
    )
    event = page.get_by_label("Object key or S3 event")  # tested before it is created
    event.fill("elsewhere/clip.mov")
    expect(page.get_by_text("Its key does not begin with console/")).to_be_visible()
    page.get_by_role("button", name="Create template").click()
    expect(page.get_by_text("from-console is saved").first).to_be_visible()
    visit(page, fleet, "templates/from-console/edit")
    expect(page.get_by_text("Match: it would arrive as")).to_be_visible()
    page.get_by_role("button", name="Fill in a sample event").click()
    expect(event).to_have_value(re.compile('"detail-type": "Object Created"'))
    expect(page.get_by_text("server-b:/primary/console/example")).to_be_visible()
    event.fill((event.input_value()).replace(f'"name": "{bucket}"', '"name": "elsewhere"'))
    expect(page.get_by_text(f"It is not in the bucket {bucket}")).to_be_visible()
    write_random(tmp_path / "clip.mov", 1000)
    s3 = fleet.s3()
    s3.upload_file(str(tmp_path / "clip.mov"), bucket, "console/clip.mov")

    expect(page.get_by_role("table", name="Runs")).to_contain_text("Succeeded")
    assert fleet.folder("server-b:/primary/console/clip.mov").exists()
    fleet.api.delete("/templates/from-console")


def test_a_transfer_that_failed_says_what_to_do_and_is_retried(page: Page, fleet: Fleet) -> None:
    failed = fleet.copy("server-b:/data/not there yet.bin", "server-c:/archive/")
    fleet.until_state(failed, "failed")
    visit(page, fleet, "overview")
    expect(page.get_by_role("link", name=re.compile("Failed: .*not there yet"))).to_be_visible()
    visit(page, fleet, f"transfers/{failed}")
    expect(page.get_by_text("Failed").first).to_be_visible()
    write_random(fleet.folder("server-b:/data") / "not there yet.bin", 1000)
    page.get_by_role("button", name="Retry").click()
    expect(page.get_by_text("Succeeded").first).to_be_visible()


def test_only_the_files_that_failed_are_tried_again(page: Page, fleet: Fleet) -> None:
    source, arrived = fleet.folder("server-b:/data/in part"), fleet.folder("server-c:/archive/in part")
    for name in ("one", "two", "three"):
        write_random(source / f"{name}.bin", 1000)
    (arrived / "two.bin/in the way").mkdir(parents=True)
    failed = fleet.copy("server-b:/data/in part/", "server-c:/archive/in part/")
    fleet.until_state(failed, "partially_failed")
    visit(page, fleet, f"transfers/{failed}")
    expect(page.get_by_text("two.bin is a directory").first).to_be_visible()
    shutil.rmtree(arrived / "two.bin")
    before = (arrived / "one.bin").stat().st_ino
    page.get_by_role("button", name="Retry the failed files").click()
    expect(page.get_by_text("Succeeded").first).to_be_visible()
    assert differences(listing(source), listing(arrived)) == []
    assert (arrived / "one.bin").stat().st_ino == before, "what has arrived does not travel again"


def test_an_agent_tells_of_its_clock_and_whom_it_reaches(page: Page, fleet: Fleet) -> None:
    write_random(fleet.folder("server-b:/data/reach") / "one.bin", 1000)
    fleet.until_ended(fleet.copy("server-b:/data/reach/", "server-c:/archive/reach/"))
    fleet.stop("server-c")
    fleet.start("server-c")  # its hello reports it
    visit(page, fleet, "agents/server-c")
    expect(page.get_by_text(re.compile("^(in sync|[0-9]+ s behind)$"))).to_be_visible()
    met = table_rows(page, "Connections to other agents", "server-b")
    expect(met).to_contain_text(re.compile("Direct: server-[bc] connects to server-[bc]"))


def test_after_a_sleep_the_page_says_so_and_shows_what_is_true_now(page: Page, fleet: Fleet) -> None:
    moving = slow_transfer(fleet, "asleep", limit=MIB)
    page.clock.install()
    visit(page, fleet, f"transfers/{moving}")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()

    page.context.set_offline(True)
    expect(page.get_by_text("No network")).to_be_visible()
    fleet.api.post(f"/transfers/{moving}/cancel", {})
    fleet.until_state(moving, "cancelled")
    page.clock.fast_forward("10:00")
    expect(page.get_by_text("Cancelled")).to_have_count(0)
    page.context.set_offline(False)

    expect(page.get_by_text(re.compile("Caught up after 10 min")).first).to_be_visible()
    expect(page.get_by_text("Cancelled").first).to_be_visible()


def test_a_frozen_page_hears_the_broker_again(page: Page, fleet: Fleet) -> None:
    page.clock.install()
    moving = slow_transfer(fleet, "frozen", limit=MIB)
    visit(page, fleet, "overview")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    session = page.context.new_cdp_session(page)
    session.send("Page.setWebLifecycleState", {"state": "frozen"})
    session.send("Page.setWebLifecycleState", {"state": "active"})
    with page.expect_websocket():  # the old connection may be dead without notice
        page.clock.fast_forward("02:00")
    expect(page.get_by_text(re.compile("Caught up after 2 min")).first).to_be_visible()
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    expect(page.locator(".running .rate").first).to_contain_text("/s")
    fleet.api.post(f"/transfers/{moving}/cancel", {})
    expect(page.get_by_text("No transfers are running")).to_be_visible()


def test_an_agent_that_hangs_is_shown_as_late_and_one_that_is_killed_as_down(
    page: Page, fleet: Fleet
) -> None:
    visit(page, fleet, "overview")
    with fleet.frozen("server-d"):
        fleet.make_late("server-d")
        expect(page.get_by_role("link", name="server-d: Late")).to_be_visible()
        expect(page.get_by_role("link", name="server-d is late")).to_be_visible()
        fleet.agent("server-d").kill()
    expect(page.get_by_role("link", name="server-d: Offline")).to_be_visible()
    expect(page.get_by_role("link", name="server-d is offline")).to_be_visible()
    fleet.start("server-d")
    expect(page.get_by_role("link", name="server-d: Online")).to_be_visible()


def test_a_viewer_sees_everything_and_is_offered_nothing(
    door: Page, fleet: Fleet, viewer: SignedInApi
) -> None:
    asked = fleet.copy("server-b:/data/nothing here", "server-c:/archive/")
    until("it to end", lambda: fleet.transfer(asked)["state"] == "failed")
    fleet.api.post(
        "/templates",
        {"name": "looked-at", "trigger": {"bucket": "media"}, "destinations": ["server-b:/data/"]},
    )
    sign_in(door, fleet, "viewer@crosshaul.test", "Look-only-7-times")
    for address in ("overview", "transfers", f"transfers/{asked}", "agents", "agents/server-b", "templates"):
        visit(door, fleet, address)
        expect(door.get_by_role("heading", level=1)).to_be_visible()
        expect(
            door.get_by_role("button", name=re.compile("Add|New|Retry|Cancel|Remove|Pause|Save|Delete"))
        ).to_have_count(0)
        expect(door.get_by_role("link", name=re.compile("^New "))).to_have_count(0)
    visit(door, fleet, "templates")
    door.get_by_role("link", name="looked-at").click()
    expect(door.get_by_text("- server-b:/data/")).to_be_visible()
    expect(door.get_by_role("table", name="Runs")).to_be_visible()
    expect(door.get_by_role("button", name=re.compile("Create|Save|YAML"))).to_have_count(0)
    for address in ("transfers/new", "templates/new"):
        visit(door, fleet, address)
        expect(door.get_by_role("heading", name="This page is for operators")).to_be_visible()
        expect(door.get_by_role("button", name=re.compile("Start|Create|Save"))).to_have_count(0)
    assert viewer.status("POST", f"/transfers/{asked}/retry") == 403
    fleet.api.delete("/templates/looked-at")


def test_an_operator_is_offered_to_move_files_and_not_to_manage_who_may(door: Page, fleet: Fleet) -> None:
    fleet.here.create_user("otto@crosshaul.test", "Move-only-7-times", "operator")
    sign_in(door, fleet, "otto@crosshaul.test", "Move-only-7-times")
    expect(door.get_by_role("link", name="Policies")).to_have_count(0)
    for address, offer in (
        ("overview", "New transfer"),
        ("transfers", "New transfer"),
        ("templates", "New template"),
    ):
        visit(door, fleet, address)
        expect(door.get_by_role("link", name=offer).first).to_be_visible()
    visit(door, fleet, "agents/server-b")
    expect(door.get_by_role("link", name="Send from here")).to_be_visible()
    expect(door.get_by_role("button", name=re.compile("Add|Remove|Rotate|Update|Edit|More"))).to_have_count(0)
    for guarded in ("policies", "policies/new", "audit"):
        visit(door, fleet, guarded)
        expect(door.get_by_role("heading", name="This page is for administrators")).to_be_visible()
        expect(door).to_have_title("This page is for administrators · Crosshaul")


def test_a_window_that_was_narrow_for_a_while_finds_its_list_of_pages_again(page: Page, fleet: Fleet) -> None:
    visit(page, fleet, "transfers")
    templates = page.get_by_role("link", name="Templates")
    expect(templates).to_be_visible()
    page.set_viewport_size({"width": 390, "height": 844})
    expect(templates).not_to_be_visible()
    page.set_viewport_size({"width": 1280, "height": 900})
    expect(templates).to_be_visible()


def test_german_and_dark_are_one_choice_each_and_stay(page: Page, fleet: Fleet) -> None:
    visit(page, fleet, "overview")
    page.get_by_role("button", name="Display and language").click()
    page.get_by_role("menuitemcheckbox", name="Dark").click()
    expect(page.locator("body.awsui-dark-mode")).to_be_visible()
    page.get_by_role("button", name="Display and language").click()
    page.get_by_role("menuitemcheckbox", name="Deutsch").click()
    expect(page.get_by_role("heading", name="Übersicht")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Übersicht")).to_be_visible()
    expect(page.locator("body.awsui-dark-mode")).to_be_visible()


def test_an_open_page_is_told_what_changes_elsewhere(page: Page, fleet: Fleet) -> None:
    write_random(fleet.folder("server-b:/data/told") / "one.bin", 1000)
    visit(page, fleet, "transfers?agent=server-d")
    with page.expect_websocket() as opened:
        page.reload()
    line = opened.value
    line.wait_for_event("framereceived")  # connected
    line.wait_for_event("framereceived")  # and listening

    transfer = fleet.copy("server-b:/data/told/", "server-d:/backup/told/")

    line.wait_for_event("framereceived", lambda frame: f"/changes/{transfer}".encode() in bytes(frame))
    told = table_rows(page, "Transfers", "/backup/told/")
    expect(told).to_contain_text("Succeeded")
