"""First sign-in, in a real browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Request, expect

from tests.e2e.conftest import Fleet
from tests.e2e.console import picture

pytestmark = pytest.mark.e2e

NINA = "nina@crosshaul.test"
FOR_ONCE, LASTING = "For-once-and-7-days", "Lasting-for-9-years"


@pytest.fixture(autouse=True)
def gone(fleet: Fleet) -> Iterator[None]:
    """Delete the account at the end, since a stage that is accepted goes on."""
    yield
    pool = {"UserPoolId": fleet.here.outputs.user_pool_id, "Username": NINA}
    fleet.here.client("cognito-idp").admin_delete_user(**pool)


def invite(fleet: Fleet, user: str) -> None:
    """Invite a user like an administrator in Cognito, with a one-time password."""
    fleet.here.client("cognito-idp").admin_create_user(
        UserPoolId=fleet.here.outputs.user_pool_id,
        Username=user,
        MessageAction="SUPPRESS",
        TemporaryPassword=FOR_ONCE,
        UserAttributes=[{"Name": "email", "Value": user}, {"Name": "email_verified", "Value": "true"}],
    )


@pytest.mark.acceptance("sign-in with a new password")
def test_who_was_invited_chooses_a_password_and_the_first_one_is_never_sent(door: Page, fleet: Fleet) -> None:
    invite(fleet, NINA)
    sent: list[str] = []

    def note(request: Request) -> None:
        sent.append(request.post_data or "")

    door.on("request", note)
    door.get_by_label("User name or e-mail").fill("nina@crosshaul.test")
    door.get_by_label("Password", exact=True).fill(FOR_ONCE)
    door.keyboard.press("Enter")
    chosen = door.get_by_label("New password")
    expect(chosen).to_be_visible()
    picture(door, "new-password")
    chosen.fill(LASTING)
    door.keyboard.press("Enter")

    in_no_group_yet = "nina@crosshaul.test may not view Crosshaul"
    expect(door.get_by_text(in_no_group_yet)).to_be_visible()
    assert any("PASSWORD_CLAIM_SIGNATURE" in body for body in sent)
    assert not any(FOR_ONCE in body for body in sent)
