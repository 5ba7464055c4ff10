"""Actions in the console and what tests check: sign-in, choices, screenshots, axe's findings."""

import re
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

from infra import REPOSITORY
from infra.local.demo_files import MIB, write_random
from tests.e2e.conftest import Fleet

AXE = REPOSITORY / "web/node_modules/axe-core/axe.min.js"
SHOTS = REPOSITORY / "web/shots"
"""Folder of screenshots, an output of the test run, not in the repository."""
THEMES = ("light", "dark")
MOST_TABS = 60

PAGES = {
    "overview": "overview",
    "transfers": "transfers",
    "new-transfer": "transfers/new",
    "agents": "agents",
    "agent": "agents/server-b",
    "templates": "templates",
    "new-template": "templates/new",
    "policies": "policies",
    "new-policy": "policies/new",
    "audit": "audit",
    "account": "account",
    "command-line": "command-line",
    "not-found": "nowhere",
}
"""Path after the `#/` by page name; tests add pages of single items."""


def sign_in(page: Page, fleet: Fleet, user: str | None = None, password: str | None = None) -> None:
    """Sign in and wait for the requested page."""
    page.get_by_label("User name or e-mail").fill(user or fleet.here.user)
    page.get_by_label("Password", exact=True).fill(password or fleet.here.password)
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Templates").first).to_be_visible()


def visit(page: Page, fleet: Fleet, address: str) -> None:
    page.goto(f"{fleet.here.outputs.console_url}/#/{address}")


def choose(page: Page, end: str, name: str) -> None:
    page.get_by_role("button", name=f"{end}: agent or S3").click()
    page.get_by_role("option", name=name).first.click()  # its remotes come after it


def browse(page: Page, *names: str) -> Locator:
    """Browse nested directories of a source and return the dialog that shows the last."""
    page.get_by_role("button", name="Browse").first.click()
    dialog = page.get_by_role("dialog")
    for name in names:
        dialog.get_by_text(name, exact=True).click()
    return dialog


def tab_to(page: Page, place: Locator) -> None:
    """Press Tab until the element has the focus, like a user without a mouse."""
    expect(place).to_be_visible()
    for _ in range(MOST_TABS):
        if place.evaluate("one => one === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{place} cannot be reached with Tab")


def pick(page: Page, end: str, name: str) -> None:
    """Choose an agent with the keyboard."""
    chooser = page.get_by_role("button", name=f"{end}: agent or S3")
    tab_to(page, chooser)
    page.keyboard.press("Enter")
    wanted = page.get_by_role("option").filter(has_text=name)
    expect(wanted).to_be_visible()
    for _ in range(MOST_TABS):
        if "highlighted" in (wanted.get_attribute("class") or ""):
            break
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(chooser).to_contain_text(name)


def table_rows(page: Page, table: str, text: str) -> Locator:
    """Return the rows of one table that hold the text; other tables of the page may hold it, too.

    Tables that are walked through by keyboard are grids.
    """
    named = page.get_by_role("table", name=table, exact=True).or_(
        page.get_by_role("grid", name=table, exact=True)
    )
    return named.get_by_role("row").filter(has_text=text)


def state(page: Page) -> Locator:
    """Return the element with the transfer's state."""
    return page.get_by_role("main")


def slow_transfer(fleet: Fleet, name: str, size: int = 64 * MIB, limit: int = 8 * MIB) -> str:
    """Start a slow transfer and return its id."""
    write_random(fleet.folder(f"server-b:/data/{name}") / "film.mov", size)
    return fleet.copy(f"server-b:/data/{name}/", f"server-d:/backup/{name}/", bandwidth_limit=limit)


def either(english: str, german: str) -> re.Pattern[str]:
    """Match a text in English or German."""
    return re.compile(f"{english}|{german}")


def settled(page: Page) -> None:
    """Wait until everything has loaded."""
    expect(page.get_by_text(either("^Loading", "^Lädt"))).to_have_count(0)


def picture(page: Page, name: str, folder: Path = SHOTS) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"{name}.png")


AT_REST = """() => Promise.allSettled(document.getAnimations()
  .filter((one) => Number.isFinite(one.effect?.getComputedTiming().endTime))
  .map((one) => one.finished))"""
"""Waits for fading colors to settle, but not for endless animations."""


def violations(page: Page, *rules: str) -> list[str]:
    """Return axe's findings on the current page, by these rules or all, one line each."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text())
    page.evaluate(AT_REST)
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    found: list[dict[str, Any]] = page.evaluate(
        "(options) => axe.run(document, options).then((result) => result.violations)",
        {**options, "runOnly": rules} if rules else options,
    )
    return [f"{one['id']}: {node['html'][:160]}" for one in found for node in one["nodes"]]
