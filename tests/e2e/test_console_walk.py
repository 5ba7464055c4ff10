"""Every page of the console in each state: both themes, both languages, and phone size."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from infra.local.demo_files import write_random
from tests.e2e.api import SignedInApi
from tests.e2e.conftest import Fleet, tab
from tests.e2e.console import PAGES, either, slow_transfer
from tests.e2e.walk import WIDE, Stop, Walk, looked_at, press, violations_in_themes

pytestmark = pytest.mark.e2e

KIB = 1024
VAULT = """@requires("approval")
forbid (principal, action == Action::"transfer", resource)
when { context.destination_path like "/backup/walled/*" };
"""
TEMPLATE = {
    "name": "walked",
    "trigger": {"bucket": "media", "prefix": "walked/"},
    "destinations": ["server-b:/primary/walked/", "server-d:/backup/walked/"],
    "shape": "chain",
}
NOBODY = {
    "/transfers?": {"transfers": [], "next": None},
    "/agents?": {"agents": [], "next": None},
    "/templates?": {"templates": [], "next": None},
    "/policies": {"policies": []},
    "/audit?": {"records": [], "next": None},
    "/audit/seals": {"seals": [], "next": None},
}
GONE = "k3v9q0d7m2x8c5n1b6za"
LISTS = ("overview", "transfers", "agents", "templates", "policies", "audit")


@pytest.fixture(scope="module")
def transfers(enrolled: Fleet) -> Iterator[dict[str, str]]:
    """Yield one transfer in each state, by state."""
    fleet = enrolled
    fleet.ensure()
    for name in ("one", "two"):
        write_random(fleet.folder("server-b:/data/walk") / f"{name}.bin", 5000)
    (fleet.folder("server-c:/archive/walk in part") / "two.bin/in the way").mkdir(parents=True)
    fleet.s3().put_object(Bucket=fleet.here.outputs.bucket, Key="walk/one.bin", Body=b"1")
    fleet.api.put("/policies/walled", {"text": VAULT, "why": "Two for the vault"})
    fleet.api.post("/templates", TEMPLATE)
    asked: dict[str, str] = {}

    def ask(state: str, transfer_id: str, verb: str | None = None) -> None:
        """Bring a transfer into a state; one at a time, because the embedded cloud refuses bursts."""
        if verb:
            fleet.until_state(transfer_id, "running")
            fleet.api.post(f"/transfers/{transfer_id}/{verb}", {})
        fleet.until_state(transfer_id, state)
        asked[state] = transfer_id

    ask("succeeded", fleet.copy("server-b:/data/walk/", "server-c:/archive/walk/"))
    ask("partially_failed", fleet.copy("server-b:/data/walk/", "server-c:/archive/walk in part/"))
    ask("failed", fleet.copy("server-b:/data/walk/nothing.bin", "server-c:/archive/"))
    ask("awaiting_approval", another_asks(fleet, "server-b:/data/walk/", "server-d:/backup/walled/"))
    ask("cancelled", slow_transfer(fleet, "walk ended", limit=256 * KIB), "cancel")
    ask("paused", slow_transfer(fleet, "walk held", limit=256 * KIB), "pause")
    ask("running", slow_transfer(fleet, "walk slow", limit=64 * KIB))
    rehearsed = fleet.copy("server-b:/data/walk/", "server-c:/archive/walk/", dry_run=True)
    fleet.until_ended(rehearsed)
    yield {**asked, "preview": rehearsed}
    for state in ("running", "paused", "awaiting_approval"):
        fleet.api.post(f"/transfers/{asked[state]}/cancel", {})
    fleet.api.delete("/policies/walled?why=the+walk+is+over")
    fleet.api.delete("/templates/walked")


def another_asks(fleet: Fleet, source: str, destination: str) -> str:
    """Request a transfer as another person, so that whoever walks may approve it; return its id."""
    password = "Walks-past-3-vaults"
    fleet.here.create_user("kim@crosshaul.test", password, "operator")
    body = {"source": source, "destinations": [destination]}
    return str(
        SignedInApi.signed_in(fleet.here, "kim@crosshaul.test", password).post("/transfers", body)[
            "transfer_id"
        ]
    )


def stops(transfers: dict[str, str]) -> dict[str, Stop]:
    by_state = {f"transfer-{state}": Stop(f"transfers/{one}") for state, one in transfers.items()}
    by_state["transfer"] = by_state.pop("transfer-succeeded")
    by_state["transfer-partially_failed"] = Stop(f"transfers/{transfers['partially_failed']}", files)
    return {
        **{name: Stop(address) for name, address in PAGES.items()},
        **by_state,
        "approval": Stop(f"transfers/{transfers['awaiting_approval']}/approval"),
        "approval-decline": Stop(
            f"transfers/{transfers['awaiting_approval']}/approval", press("^Decline$", "^Ablehnen$")
        ),
        "transfers-previews": Stop("transfers?dry_run=true"),
        "new-transfer-browse": Stop("transfers/new?from=server-b&to=server-c", browse),
        "new-transfer-browse-s3": Stop("transfers/new?from=s3%3A%2F%2F", browse_s3),
        "new-transfer-options": Stop("transfers/new", press("^Options", "^Optionen")),
        "add-agent": Stop("agents", press("Add agent", "Agent hinzufügen")),
        "remove-agent": Stop("agents/server-b", remove),
        "template": Stop("templates/walked/edit"),
        "template-yaml": Stop("templates/walked/edit", as_text),
        "policy": Stop("policies/walled/edit", effect),
        "policy-tester": Stop("policies", ask),
        "policy-wrong": Stop("policies/new", mistake),
        "audit-detail": Stop("audit", press(r"^[a-z]+\.[a-z]+$", r"^[a-z]+\.[a-z]+$")),
    }


def browse(page: Page) -> None:
    page.get_by_role("button", name=either("^Browse", "^Durchsuchen")).first.click()
    expect(page.get_by_role("dialog").get_by_text("/primary")).to_be_visible()


def remove(page: Page) -> None:
    press("^More$", "^Mehr$")(page)
    page.get_by_role("menuitem", name=either("^Remove$", "^Entfernen$")).click()


def files(page: Page) -> None:
    page.get_by_role("button", name=either("^Files", "^Dateien")).click()
    expect(page.get_by_role("rowheader", name="two.bin")).to_be_visible()


def browse_s3(page: Page) -> None:
    page.get_by_role("button", name=either("^Browse", "^Durchsuchen")).first.click()
    expect(page.get_by_role("dialog").get_by_text("walk", exact=True)).to_be_visible()


def as_text(page: Page) -> None:
    page.get_by_role("button", name="YAML", exact=True).click()
    text = page.locator("textarea").first
    expect(text).to_have_value(re.compile("^name: walked"))
    text.fill(f"{text.input_value()}colour: blue\n")
    expect(page.locator(".code .wrong")).to_have_text("colour: blue")


def ask(page: Page) -> None:
    page.get_by_placeholder("server-b:/data/videos/").fill("server-b:/data/x/")
    page.get_by_placeholder("server-c:/archive/").fill("server-d:/backup/walled/")
    page.get_by_role("button", name=either("^Test$", "^Testen$")).click()
    expect(page.get_by_text(either("by walled", "walled")).last).to_be_visible()


def effect(page: Page) -> None:
    page.get_by_role("button", name=either("^Check", "^Prüfen")).click()
    expect(
        page.get_by_role("heading", name=either("decided differently", "anders entschieden"))
    ).to_be_visible()


def mistake(page: Page) -> None:
    page.get_by_label("Name").fill("half")
    page.get_by_label("Cedar").fill(
        'permit (principal, action == Action::"transfer", resource)\nwhen { x };\n'
    )
    page.get_by_role("button", name=either("^Check", "^Prüfen")).click()
    expect(page.locator(".code .wrong")).to_be_visible()


def test_every_page_in_both_themes_both_languages_and_on_a_phone(
    browser: Browser, fleet: Fleet, transfers: dict[str, str]
) -> None:
    with tab(browser, fleet.api) as page:
        wrong = Walk(page, fleet).wrong(stops(transfers))
    assert not wrong, "\n".join(wrong)


def test_where_there_is_nothing_yet_the_pages_teach(page: Page, fleet: Fleet) -> None:
    for part, answer in NOBODY.items():
        page.route(re.compile(rf"_user_request_{re.escape(part)}"), saying(200, answer))
    wrong = Walk(page, fleet).wrong({f"empty-{name}": Stop(name) for name in LISTS})
    assert not wrong, "\n".join(wrong)


def test_what_went_wrong_is_said_on_every_page(page: Page, fleet: Fleet) -> None:
    problem = {
        "title": "Not now",
        "status": 409,
        "detail": "It is being mended.",
        "advice": "Come back later.",
    }
    page.route(re.compile("_user_request_/(transfers|agents|templates|policies|audit)"), saying(409, problem))
    things = {
        "agent": "agents/server-b",
        "transfer": f"transfers/{GONE}",
        "template": f"templates/{GONE}/edit",
        "policy": f"policies/{GONE}/edit",
    }
    named = {**{name: name for name in LISTS}, **things}
    wrong = Walk(page, fleet).wrong({f"error-{name}": Stop(address) for name, address in named.items()}, "en")
    assert not wrong, "\n".join(wrong)


def saying(status: int, answer: dict[str, object]) -> Callable[[Route], None]:
    """Return a route handler that gives this answer to every request."""

    def say(route: Route) -> None:
        if route.request.method == "OPTIONS":
            return route.continue_()
        return route.fulfill(status=status, json=answer, headers={"Access-Control-Allow-Origin": "*"})

    return say


def test_the_way_in_is_for_everyone(door: Page) -> None:
    door.set_viewport_size(WIDE)
    expect(door.locator("h1").last).to_be_visible()
    wrong = [*looked_at(door, "sign-in"), *violations_in_themes(door)]
    assert not wrong, "\n".join(wrong)
