"""Looking around on a server from the console, in a real browser."""

import os

import pytest
from playwright.sync_api import Page, expect

from infra.local.material import write_random
from tests.e2e.conftest import Fleet
from tests.e2e.console import browse, choose, picture, visit

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def test_one_of_hundreds_is_found_and_what_no_location_names_is_not_offered(page: Page, fleet: Fleet) -> None:
    folder = fleet.folder("server-b:/data/many shots")
    write_random(folder / "Zoë's take.mov", 1000)
    (folder / os.fsdecode(b"latin \xe9.mov")).touch()
    for number in range(450):
        (folder / f"shot {number:04}.mov").touch()
    visit(page, fleet, "transfers/new")
    choose(page, "Source", "server-b")
    dialog = browse(page, "/data", "many shots")

    expect(dialog.get_by_text("200+ found")).to_be_hidden()  # nobody has looked for anything
    dialog.get_by_label("Find names").fill("ZOË")
    expect(dialog.get_by_text("Zoë's take.mov")).to_be_visible()
    expect(dialog.get_by_text("shot 0000.mov")).to_be_hidden()
    dialog.get_by_label("Find names").fill("latin")
    expect(dialog.get_by_text("travels with its directory")).to_be_visible()
    expect(dialog.get_by_role("radio")).to_be_disabled()
    picture(page, "browse-found")
    dialog.get_by_label("Find names").fill("no such name")
    expect(dialog.get_by_text("No name here has that in it.")).to_be_visible()
    dialog.get_by_label("Find names").fill("zoë")
    dialog.get_by_role("radio").check()
    dialog.get_by_role("button", name="Use").click()
    expect(page.get_by_label("Source: path")).to_have_value("/data/many shots/Zoë's take.mov")
