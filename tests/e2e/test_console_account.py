"""One's own account, in a real browser: forgotten password, second factor, change of password."""

import re

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from agent.cli import cognito
from agent.cli.stage_api import find
from tests.e2e.conftest import Fleet, tab
from tests.e2e.console import violations
from tests.e2e.walk import LANGUAGES, TEXTS, english, looked_at, violations_in_themes
from tests.support.fakes_api import id_token
from tests.support.fakes_cognito import FakeCognito, User, totp

pytestmark = pytest.mark.e2e

USER = "tina@crosshaul.test"
FIRST, SECOND, THIRD = "First-of-9-passwords", "Second-of-9-passwords", "Third-of-9-passwords"
CODE_OF_THE_EMAIL = "654321"
"""Every code that the embedded cloud would send."""


@pytest.fixture
def tina(fleet: Fleet) -> str:
    fleet.here.create_user(USER, FIRST, "operator")
    return USER


def enter(page: Page, label: str, value: str) -> None:
    page.get_by_label(label, exact=True).fill(value)
    page.keyboard.press("Enter")


def key_shown(page: Page) -> str:
    expect(page.get_by_role("img", name="QR code for the authenticator app")).to_be_visible()
    return page.locator("code.command").inner_text().replace(" ", "")


def kept(page: Page) -> str:
    """Return everything that the browser keeps, and the address."""
    return str(page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, location.href])"))


def test_a_forgotten_password_is_replaced_and_a_second_factor_added(
    door: Page, fleet: Fleet, tina: str
) -> None:
    """Tina resets her password, adds her phone, is asked for its code, and changes her password."""
    door.get_by_label("User name or e-mail").fill(tina)
    door.get_by_role("button", name="Forgot your password?").click()
    door.get_by_role("button", name="Send code").click()
    door.get_by_label("Code from the e-mail").fill(CODE_OF_THE_EMAIL)
    assert violations(door) == []
    enter(door, "New password", SECOND)
    expect(door.get_by_role("link", name="Templates").first).to_be_visible()

    door.get_by_role("button", name=tina).click()
    door.get_by_role("menuitem", name="Password and second factor").click()
    enter(door, "Current password", SECOND)
    door.get_by_role("button", name="Set up").click()
    key = key_shown(door)
    assert list(violations_in_themes(door)) == []
    door.get_by_label("Code from your authenticator app").fill("000000")
    door.get_by_role("button", name="Turn on").click()
    expect(door.get_by_text("The code is wrong")).to_be_visible()
    door.get_by_label("Code from your authenticator app").fill(totp(key))
    door.get_by_role("button", name="Turn on").click()
    expect(door.get_by_text("The second factor is on")).to_be_visible()
    assert list(looked_at(door, "account")) == []
    assert not [secret for secret in (key, SECOND, "access") if secret in kept(door)]

    enter(door, "New password", THIRD)
    expect(door.get_by_text("Your password has been changed")).to_be_visible()
    door.get_by_label("User name or e-mail").fill(tina)
    enter(door, "Password", THIRD)
    enter(door, "Code from your authenticator app", totp(key))
    expect(door.get_by_role("link", name="Templates").first).to_be_visible()

    with door.context.expect_page() as opened:  # without an opener, a tab starts with nothing stored
        door.evaluate("() => void window.open(location.href, '_blank', 'noopener')")
    second = opened.value
    expect(second.get_by_role("link", name="Templates").first).to_be_visible()
    second.get_by_role("button", name=tina).click()
    second.get_by_role("menuitem", name="Sign out").click()
    expect(door.get_by_label("User name or e-mail")).to_be_visible()
    assert key not in kept(second), "and nothing remains of it"

    pool = find(fleet.here.outputs.api_url).pool
    asked: list[str] = []

    def answer(question: str, name: str) -> str:
        asked.append(name)
        return totp(key)

    assert cognito.sign_in(pool, tina, THIRD, answer, str).id_token
    assert asked == ["SOFTWARE_TOKEN_MFA_CODE"], "the command line is asked, too"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_second_factor_that_the_stage_requires_is_set_up_at_the_first_sign_in(
    browser: Browser, fleet: Fleet, language: str
) -> None:
    """The embedded cloud never asks for this set-up, so a fake that answers as AWS documents does."""
    people = FakeCognito(lambda: id_token(1, 3600, ["operator"]), fleet.here.outputs.user_pool_id)
    people.required = True
    people.users = {"uwe": User("for once", temporary=True)}

    def ask(route: Route) -> None:
        target = route.request.headers.get("x-amz-target", "")
        if not target.startswith("AWSCognito"):
            return route.continue_()
        status, body = people.answer(target.rpartition(".")[2], route.request.post_data_json)
        return route.fulfill(status=status, json=body, headers={"Access-Control-Allow-Origin": "*"})

    with tab(browser) as page:
        page.add_init_script(f"localStorage.setItem('crosshaul.language', '{language}')")
        page.route(f"{fleet.here.cloud.endpoint}/", ask)
        # The API would end the session, since it does not know the fake's tokens.
        page.route(re.compile("_user_request_/(?!health)"), lambda route: route.abort())
        page.goto(fleet.here.outputs.console_url)
        page.locator("input[name=username]").fill("uwe")
        page.locator("input[name=password]").fill("for once")
        page.keyboard.press("Enter")
        page.locator("input[autocomplete=new-password]").fill(FIRST)
        page.keyboard.press("Enter")
        expect(page.get_by_role("img", name=re.compile("QR"))).to_be_visible()
        if language == "en":
            assert list(violations_in_themes(page)) == []
            assert list(looked_at(page, "second-factor-required")) == []
        else:
            in_english = english()
            assert not [text for text in page.evaluate(TEXTS) if in_english(text)]
        key = page.locator("code.command").inner_text().replace(" ", "")
        page.locator("input[autocomplete=one-time-code]").fill(totp(key))
        page.keyboard.press("Enter")
        expect(page.locator("nav").first).to_be_attached()
    assert people.users["uwe"].second_factor
