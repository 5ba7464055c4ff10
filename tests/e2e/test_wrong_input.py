"""Bad input gets a clear, typed error with advice, and leaves nothing partial."""

import os

import httpx
import pytest

from infra.local.demo_files import MIB, differences, listing, write_random
from tests.e2e.api import ApiRefusal, SignedInApi
from tests.e2e.conftest import Fleet

pytestmark = pytest.mark.e2e


def refused(fleet: Fleet, source: str, *destinations: str, **options: str) -> ApiRefusal:
    with pytest.raises(ApiRefusal) as caught:
        fleet.copy(source, *destinations, **options)
    assert caught.value.problem["detail"]
    return caught.value


def test_unknown_agent(fleet: Fleet) -> None:
    refusal = refused(fleet, "server-b:/data/x", "server-x:/data/")
    assert refusal.status in {404, 422}
    assert "server-x" in refusal.problem["detail"]
    assert refusal.problem["advice"]


def test_offline_agent_is_refused_when_asked_for(fleet: Fleet) -> None:
    fleet.stop("server-d")
    refusal = refused(fleet, "server-b:/data/x", "server-d:/backup/", if_offline="refuse")
    assert refusal.status == 409
    assert "server-d" in refusal.problem["detail"]


@pytest.mark.parametrize(
    ("source", "destination", "word"),
    [
        ("server-b:/etc/passwd", "server-c:/archive/", "/etc/passwd"),
        ("server-b:/data/x", "server-c:/etc/cron.d/", "/etc/cron.d"),
        ("server-b:/data/../etc/passwd", "server-c:/archive/", ".."),
        ("server-b:/data/x", "server-c:/glacier/", "/glacier"),
        ("server-b:data/x", "server-c:/archive/", "location"),
        ("s3://one-bucket/a/", "s3://other-bucket/b/", "s3"),
        ("server-b:/data/x/", "server-b:/data/x/y/", "/data/x"),
    ],
)
def test_places_that_cannot_be(fleet: Fleet, source: str, destination: str, word: str) -> None:
    refusal = refused(fleet, source, destination)
    assert 400 <= refusal.status < 500
    assert word in str(refusal.problem)


def test_source_missing(fleet: Fleet) -> None:
    ended = fleet.until_ended(fleet.copy("server-b:/data/no such file", "server-c:/archive/"))
    assert ended["state"] == "failed"
    assert ended["problem"]["code"] == "source-missing"
    assert "/data/no such file" in ended["problem"]["message"]


def test_missing_in_s3(fleet: Fleet) -> None:
    bucket = fleet.here.outputs.bucket
    ended = fleet.until_ended(fleet.copy(f"s3://{bucket}/nothing/here/", "server-c:/archive/"))
    assert ended["state"] == "failed"
    assert ended["problem"]["code"] == "source-missing"


def test_a_link_that_leads_outside_the_root_is_not_followed(fleet: Fleet) -> None:
    folder = fleet.folder("server-b:/data/links")
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "secrets").is_symlink():
        (folder / "secrets").symlink_to("/etc")
    ended = fleet.until_ended(fleet.copy("server-b:/data/links/secrets/", "server-c:/archive/secrets/"))
    assert ended["state"] == "failed"
    assert ended["problem"]["code"] == "outside-roots"
    assert not (fleet.folder("server-c:/archive/secrets") / "passwd").exists()


def test_a_destination_link_that_leads_outside_the_root_is_not_followed(
    fleet: Fleet, tmp_path: object
) -> None:
    outside = fleet.here.home / "outside"
    outside.mkdir(exist_ok=True)
    link = fleet.folder("server-c:/archive") / "way out"
    if not link.is_symlink():
        link.symlink_to(outside)
    write_random(fleet.folder("server-b:/data/innocent") / "file.bin", 1000)
    ended = fleet.until_ended(fleet.copy("server-b:/data/innocent/", "server-c:/archive/way out/"))
    assert ended["state"] == "failed"
    assert list(outside.iterdir()) == []


def test_odd_trees_arrive_whole(fleet: Fleet) -> None:
    folder = fleet.folder("server-b:/data/odd")
    odd_tree(fleet)
    ended = fleet.until_ended(fleet.copy("server-b:/data/odd/", "server-d:/backup/odd/"))
    assert ended["state"] == "succeeded", (ended["problem"], ended["hops"][0]["failures"])
    assert differences(listing(folder), listing(fleet.folder("server-d:/backup/odd"))) == []


def odd_tree(fleet: Fleet) -> None:
    """Make a tree of empty, sparse, deep, linked and oddly named files."""
    folder = fleet.folder("server-b:/data/odd")
    (folder / "empty directory").mkdir(parents=True, exist_ok=True)
    (folder / "zero").touch()
    with (folder / "sparse.img").open("wb") as file:
        file.truncate(64 * MIB)
        file.seek(32 * MIB)
        file.write(b"an island")
    (folder / ("n" * 255)).write_text("as long a name as there can be")
    with open(os.fsencode(folder) + b"/latin1-\xfc.txt", "wb") as file:  # noqa: PTH123  # the name is bytes
        file.write(b"this name is not UTF-8")
    (folder / "line\nbreak \x1b[31mred").write_text("control characters")
    (folder / ("d/" * 40)).mkdir(parents=True, exist_ok=True)
    for name, target in (("dangling", "nowhere"), ("to zero", "zero")):
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(target)


def test_a_template_that_would_trigger_itself(fleet: Fleet) -> None:
    bucket = fleet.here.outputs.bucket
    with pytest.raises(ApiRefusal) as caught:
        fleet.api.put(
            "/templates/loop",
            {
                "name": "loop",
                "trigger": {"bucket": bucket, "prefix": "in/"},
                "destinations": ["server-b:/primary/loop/", f"s3://{bucket}/in/again/"],
                "shape": "chain",
            },
        )
    assert 400 <= caught.value.status < 500
    assert caught.value.problem["advice"]


@pytest.mark.acceptance("browse")
def test_browsing_shows_what_is_there_and_nothing_outside(fleet: Fleet) -> None:
    odd_tree(fleet)
    listed = fleet.api.post("/agents/server-b/browse", {"path": "/data/odd"})
    assert {"name": "zero", "type": "file"}.items() <= next(
        entry for entry in listed["entries"] if entry["name"] == "zero"
    ).items()
    with pytest.raises(ApiRefusal) as caught:
        fleet.api.post("/agents/server-b/browse", {"path": "/etc"})
    assert caught.value.problem["advice"]


class TestAuthentication:
    """Who may call the API."""

    @pytest.mark.parametrize("path", ["/agents", "/transfers", "/templates", "/openapi.json"])
    def test_nobody_without_signing_in(self, fleet: Fleet, path: str) -> None:
        assert SignedInApi(fleet.api.url, token=None).status("GET", path) == 401

    def test_a_forged_token(self, fleet: Fleet) -> None:
        header, claims, _ = (fleet.api.token or "").split(".")
        assert SignedInApi(fleet.api.url, token=f"{header}.{claims}.AAAA").status("GET", "/agents") == 401

    def test_a_viewer_may_look_and_not_touch(self, fleet: Fleet, viewer: SignedInApi) -> None:
        assert viewer.status("GET", "/transfers") == 200
        body = {"source": "server-b:/data/x", "destinations": ["server-c:/archive/"]}
        assert viewer.status("POST", "/transfers", body) == 403
        assert viewer.status("POST", "/agents/enrollments", {"agent_id": "server-z"}) == 403

    def test_health_is_open(self, fleet: Fleet) -> None:
        assert SignedInApi(fleet.api.url, token=None).get("/health")["status"] == "ok"

    def test_an_enrolment_token_works_once(self, fleet: Fleet) -> None:
        assert SignedInApi(fleet.api.url, token=None).status("POST", "/agents/register", {}) in {400, 422}

    def test_no_credentials_without_the_agent_s_own_key(self, fleet: Fleet) -> None:
        path = "/agents/server-b/credentials"
        assert SignedInApi(fleet.api.url, token=None).status("POST", path, {"hop_id": "a" * 20 + "-0"}) in {
            401,
            403,
        }

    def test_the_lane_answers_nobody_it_does_not_serve(self, fleet: Fleet) -> None:
        [endpoint] = fleet.api.get("/agents/server-b")["endpoints"]
        with pytest.raises(httpx.TransportError):
            httpx.get(f"https://{endpoint}/", verify=False)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({}, "source"),
        ({"source": "server-b:/data/x", "destinations": []}, "destinations"),
        ({"source": 7, "destinations": ["server-c:/archive/"]}, "source"),
        (
            {"source": "server-b:/data/x", "destinations": ["server-c:/archive/"], "overwrite": "always"},
            "overwrite",
        ),
        ({"source": "server-b:/data/\0", "destinations": ["server-c:/archive/"]}, "NUL"),
        ({"source": "server-b:/data/" + "x" * 5000, "destinations": ["server-c:/archive/"]}, "4096"),
    ],
)
def test_a_malformed_transfer(fleet: Fleet, body: dict[str, object], word: str) -> None:
    with pytest.raises(ApiRefusal) as caught:
        fleet.api.post("/transfers", body)
    assert caught.value.status in {400, 422}
    assert word in str(caught.value.problem)


def test_the_same_wish_twice_is_one_transfer(fleet: Fleet) -> None:
    body = {"source": "server-b:/data/no such file", "destinations": ["server-c:/archive/"]}
    first = fleet.api.post("/transfers", body, key="the-same-key")
    again = fleet.api.post("/transfers", body, key="the-same-key")
    assert first["transfer_id"] == again["transfer_id"]
    with pytest.raises(ApiRefusal) as caught:
        fleet.api.post("/transfers", body | {"source": "server-b:/data/other"}, key="the-same-key")
    assert caught.value.status == 422
