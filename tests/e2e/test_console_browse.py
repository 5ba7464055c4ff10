"""Browse a server from the console, in a real browser."""

import os

import pytest
from playwright.sync_api import Page, expect

from infra.local.demo_files import write_random
from tests.e2e.conftest import Fleet
from tests.e2e.console import browse, choose, picture, visit

pytestmark = pytest.mark.e2e


def test_one_of_hundreds_is_found_and_what_no_location_names_is_not_offered(page: Page, fleet: Fleet) -> None:
    folder = fleet.folder("server-b:/data/many shots")
    write_random(folder / "Zoë's take.mov", 1000)
    (folder / os.fsdecode(b"latin \xe9.mov")).touch()
    (folder / "two\nlines.mov").touch()
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
    expect(dialog.get_by_text("not UTF-8: transferred with its directory")).to_be_visible()
    expect(dialog.get_by_role("checkbox", name="latin")).to_be_disabled()
    dialog.get_by_label("Find names").fill("lines")
    expect(dialog.get_by_text("a line break in its name: transferred with its directory")).to_be_visible()
    expect(dialog.get_by_role("checkbox", name="lines")).to_be_disabled()
    picture(page, "browse-found")
    dialog.get_by_label("Find names").fill("no such name")
    expect(dialog.get_by_text("No name matches.")).to_be_visible()
    dialog.get_by_label("Find names").fill("zoë")
    dialog.get_by_role("checkbox", name="Zoë").check()
    dialog.get_by_role("button", name="Use").click()
    expect(page.get_by_label("Source: path")).to_have_value("/data/many shots/Zoë's take.mov")


def test_a_bucket_is_browsed_on_the_command_line_and_in_the_console(page: Page, fleet: Fleet) -> None:
    bucket, s3 = fleet.here.outputs.bucket, fleet.s3()
    for number in range(450):
        s3.put_object(Bucket=bucket, Key=f"browsing/shot {number:04}.mov", Body=b"")
    for key in ("browsing/raw/Zoë's take 2.mov", "browsing/raw/notes.txt", "browsing/raw//unnamed"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"12345")
    cli = fleet.here.operator
    assert cli.try_("browse", "s3://").stdout == f"s3://{bucket}/\n"
    listed = cli.try_("browse", f"s3://{bucket}/browsing/raw/").stdout.splitlines()
    assert [line.split()[-1] for line in listed] == ["NAME", "?", "2.mov", "notes.txt"]
    everything = cli.try_("browse", f"s3://{bucket}/browsing/", "--all", "--limit", "100").stdout
    assert everything.count("shot ") == 450

    visit(page, fleet, "transfers/new")
    choose(page, "Source", "S3")
    dialog = browse(page, "browsing")
    dialog.get_by_label("Find names").fill("RAW")
    expect(dialog.get_by_text("shot 0000.mov")).to_be_hidden()
    dialog.get_by_text("raw", exact=True).click()
    dialog.get_by_role("checkbox", name="Zoë's take 2.mov").check()
    picture(page, "browse-s3")
    dialog.get_by_role("button", name="Use").click()
    expect(page.get_by_label("Source: bucket and prefix")).to_have_value(
        f"{bucket}/browsing/raw/Zoë's take 2.mov"
    )
    choose(page, "Destination", "server-b")
    page.get_by_label("Destination: path").fill("/primary/from the bucket/")
    page.get_by_role("button", name="Start transfer").click()

    expect(page.get_by_text("Succeeded").first).to_be_visible()
    arrived = fleet.folder("server-b:/primary/from the bucket/Zoë's take 2.mov")
    assert arrived.read_bytes() == b"12345"


def test_a_bucket_that_is_not_crosshauls_and_one_that_does_not_answer_are_said(
    page: Page, fleet: Fleet
) -> None:
    said = fleet.here.operator.try_("browse", "s3://somebody-elses/")
    assert said.returncode != 0
    assert f"Configured buckets: {fleet.here.outputs.bucket}." in said.stderr
    page.route("**/buckets", lambda route: route.abort())
    visit(page, fleet, "transfers/new")
    choose(page, "Source", "S3")
    page.get_by_role("button", name="Browse").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("The API cannot be reached")).to_be_visible()
    page.unroute("**/buckets")
    dialog.get_by_role("button", name="Try again").click()
    expect(dialog.get_by_role("navigation")).to_contain_text(fleet.here.outputs.bucket)
