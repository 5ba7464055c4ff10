"""The console in a real browser: a person signs in, moves files, and watches them go."""

import gc
import re
import shutil
import warnings
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from infra.local.material import MIB, differences, listing, write_random
from tests.e2e.conftest import Fleet

pytestmark = pytest.mark.e2e

PATIENCE = 30_000
"""Milliseconds."""
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=list(QUIET))
        yield running
        running.close()
    with warnings.catch_warnings():  # Playwright does not wait for its driver's end
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def page(browser: Browser, fleet: Fleet) -> Iterator[Page]:
    """Nobody is signed in; a script's error fails the test."""
    expect.set_options(timeout=PATIENCE)
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    opened.set_default_timeout(PATIENCE)
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.goto(fleet.here.outputs.console_url)
    yield opened
    opened.close()
    assert errors == []


def sign_in(page: Page, fleet: Fleet) -> None:
    page.get_by_label("User name or e-mail").fill(fleet.here.user)
    page.get_by_label("Password", exact=True).fill(fleet.here.password)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Transfers")).to_be_visible()


def test_a_wrong_password_is_said_and_nothing_is_shown(page: Page, fleet: Fleet) -> None:
    page.get_by_label("User name or e-mail").fill(fleet.here.user)
    page.get_by_label("Password", exact=True).fill("Wrong-pass-1")
    page.keyboard.press("Enter")
    expect(page.get_by_text(re.compile("password", re.IGNORECASE)).first).to_be_visible()
    expect(page.get_by_role("heading", name="Transfers")).not_to_be_visible()


def test_agents_are_shown_with_their_roots(page: Page, fleet: Fleet) -> None:
    sign_in(page, fleet)
    page.get_by_role("link", name="Agents").click()
    for name in fleet.servers:
        row = page.get_by_role("row").filter(has_text=name)
        expect(row).to_contain_text("Online")
    expect(page.get_by_role("row").filter(has_text="server-c")).to_contain_text("/archive")


def test_files_are_moved_paused_resumed_and_watched_live(page: Page, fleet: Fleet) -> None:
    source = fleet.folder("server-b:/data/browser films")
    write_random(source / "Zoë.mov", 96 * MIB)
    moving = fleet.copy("server-b:/data/browser films/", "server-d:/backup/films/", bandwidth_limit=12 * MIB)
    sign_in(page, fleet)

    page.goto(f"{fleet.here.outputs.console_url}/#/transfers/{moving}")

    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    expect(page.get_by_text(re.compile(r"of 96\.0 MiB .* MiB/s")).first).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Paused").first).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("Succeeded").first).to_be_visible(timeout=2 * PATIENCE)
    assert differences(listing(source), listing(fleet.folder("server-d:/backup/films"))) == []


def test_a_transfer_is_put_together_by_browsing(page: Page, fleet: Fleet) -> None:
    write_random(fleet.folder("server-b:/data/to browse") / "one.bin", 1000)
    sign_in(page, fleet)
    page.get_by_role("link", name="New transfer").or_(page.get_by_role("button", name="New transfer")).click()

    choose(page, "Source", "server-b")
    page.get_by_role("button", name="Browse").first.click()
    dialog = page.get_by_role("dialog")
    for name in ("/data", "to browse"):
        dialog.get_by_text(name, exact=True).click()
    expect(dialog).to_contain_text("one.bin")
    dialog.get_by_role("button", name=re.compile("^(Choose|Select|Use)")).click()
    choose(page, "Destination", "server-c")
    page.get_by_placeholder("/data/videos/raw/").last.fill("/archive/browsed/")
    page.get_by_role("button", name="Start transfer").click()

    expect(page.get_by_text("Succeeded").first).to_be_visible()
    assert (fleet.folder("server-c:/archive/browsed")).exists()


def choose(page: Page, end: str, name: str) -> None:
    page.get_by_role("button", name=f"{end}: agent or S3").click()
    page.get_by_role("option", name=name).click()
