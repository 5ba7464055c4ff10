"""Walk through the console: at each stop take screenshots in both themes and phone size, and check."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from typing import NamedTuple

from playwright.sync_api import Page, expect

from infra import REPOSITORY
from tests.e2e.conftest import Fleet
from tests.e2e.console import THEMES, either, picture, settled, violations, visit

LANGUAGES = ("en", "de")
WIDE = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}

PHONE_RULES = ("aria-allowed-attr", "aria-hidden-focus", "button-name", "link-name", "list")
"""axe's rules about what a phone shows otherwise: the bar at the top, and tables as lists."""

TEXTS = """() => {
  const found = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode())
    if (!node.parentElement.closest("script, [lang=en]")) found.add(node.data.trim());
  for (const one of document.querySelectorAll("[aria-label], [placeholder], [title]"))
    for (const name of ["aria-label", "placeholder", "title"])
      if (one.hasAttribute(name)) found.add(one.getAttribute(name).trim());
  return [...found].filter(Boolean);
}"""
"""Collects all visible and accessible texts, except those marked as English."""

NONSENSE = re.compile(r"undefined|NaN|\[object")
TOO_WIDE = """() => document.documentElement.scrollWidth > innerWidth"""


def nothing(page: Page) -> None:
    """Do nothing."""


class Stop(NamedTuple):
    """A path after the `#/`, and an action before the page is checked."""

    address: str
    act: Callable[[Page], None] = nothing


class Walk:
    def __init__(self, page: Page, fleet: Fleet) -> None:
        self._page, self._fleet = page, fleet
        self._english = english()
        page.emulate_media(reduced_motion="reduce")
        page.set_viewport_size(WIDE)

    def wrong(self, stops: dict[str, Stop], *languages: str) -> list[str]:
        """Return the findings at these stops in these languages, or in both, one line each."""
        return [line for language in languages or LANGUAGES for line in self._walked(stops, language)]

    def _walked(self, stops: dict[str, Stop], language: str) -> Iterator[str]:
        self._page.add_init_script(f"localStorage.setItem('crosshaul.language', '{language}')")
        visit(self._page, self._fleet, "overview")
        self._page.reload()
        expect(self._page.locator(f"html[lang={language}]")).to_be_attached()
        for name, (address, act) in stops.items():
            visit(self._page, self._fleet, address)
            expect(self._page.locator("h1").last).to_be_visible()
            settled(self._page)
            act(self._page)
            english = language == "en"
            # What axe checks does not depend on the language.
            found = violations_in_themes(self._page) if english else self._foreign()
            seen = looked_at(self._page, name if english else f"{name}-{language}")
            yield from (f"{name} ({language}): {line}" for line in [*found, *seen])
            close(self._page)

    def _foreign(self) -> Iterator[str]:
        return (f"in English: {text}" for text in self._page.evaluate(TEXTS) if self._english(text))


def violations_in_themes(page: Page) -> Iterator[str]:
    """Yield axe's findings in both themes; only colors differ between them."""
    paint(page, "light")
    yield from violations(page)
    paint(page, "dark")
    yield from (f"{line} (dark)" for line in violations(page, "color-contrast"))


def looked_at(page: Page, name: str) -> Iterator[str]:
    """Take screenshots of the current page and yield the findings."""
    for theme in THEMES:
        paint(page, theme)
        picture(page, f"{name}-{theme}")
    yield from (f"reads {text!r}" for text in page.evaluate(TEXTS) if NONSENSE.search(text))
    page.set_viewport_size(PHONE)
    picture(page, f"{name}-phone")
    yield from (f"{line} (phone)" for line in violations(page, *PHONE_RULES))
    if page.evaluate(TOO_WIDE):
        yield "wider than a phone"
    page.set_viewport_size(WIDE)


def paint(page: Page, theme: str) -> None:
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light")


def close(page: Page) -> None:
    """Close the dialog, if there is one."""
    dialog = page.get_by_role("dialog")
    if dialog.count():
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)


def english() -> Callable[[str], bool]:
    """Return a check for texts that only the console's English has."""
    node = (REPOSITORY / ".crosshaul/node.path").read_text().strip()
    script = REPOSITORY / "web/scripts/english.mjs"
    said = json.loads(subprocess.run([node, script], check=True, capture_output=True, text=True).stdout)
    texts = set(said["texts"])
    patterns = [re.compile(pattern) for pattern in said["patterns"]]
    return lambda text: text in texts or any(pattern.match(text) for pattern in patterns)


def press(english: str, german: str) -> Callable[[Page], None]:
    """Return an action that presses the first button with this name."""
    return lambda page: page.get_by_role("button", name=either(english, german)).first.click()
