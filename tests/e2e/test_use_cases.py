"""The two main use cases, on real files."""

from pathlib import Path

import pytest

from infra.local.demo_files import MIB, differences, listing, make_tree, write_random
from infra.local.environment import until
from tests.e2e.conftest import Fleet

pytestmark = pytest.mark.e2e


@pytest.mark.acceptance("direct")
def test_files_go_directly_from_one_server_to_another(fleet: Fleet) -> None:
    source = fleet.folder("server-b:/data/videos/raw")
    make_tree(source, 300 * MIB)
    sent = listing(source)

    transfer = fleet.until_ended(fleet.copy("server-b:/data/videos/raw/", "server-c:/archive/processed/"))

    assert transfer["state"] == "succeeded", transfer["problem"]
    assert differences(sent, listing(fleet.folder("server-c:/archive/processed"))) == []
    [hop] = transfer["hops"]
    assert hop["route"] == "direct"
    assert hop["progress"]["files_done"] == sum(kind != "directory" for kind in sent.values())
    assert hop["progress"]["bytes_done"] == hop["progress"]["bytes_total"]
    told = [moment["state"] for moment in transfer["timeline"] if moment["hop_id"]]
    assert told[-3:] == ["offered", "running", "succeeded"]


def test_the_same_transfer_again_moves_nothing(fleet: Fleet) -> None:
    make_tree(fleet.folder("server-b:/data/videos/again"), MIB)
    first = fleet.until_ended(fleet.copy("server-b:/data/videos/again/", "server-d:/backup/again/"))
    second = fleet.until_ended(fleet.copy("server-b:/data/videos/again/", "server-d:/backup/again/"))

    progress = second["hops"][0]["progress"]
    assert progress["files_unchanged"] == progress["files_total"] == first["progress"]["files_done"]
    assert second["hops"][0]["progress"]["bytes_unchanged"] == progress["bytes_total"] > 0


def upload(fleet: Fleet, folder: Path, prefix: str) -> dict[str, str]:
    s3 = fleet.s3()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        s3.upload_file(str(file), fleet.here.outputs.bucket, f"{prefix}{file.relative_to(folder)}")
    return listing(folder)


def by_template(fleet: Fleet, name: str, objects: int) -> list[str]:
    found = [t for t in fleet.api.get("/transfers")["transfers"] if t["template_id"] == name]
    enough = sum(each["selection_count"] for each in found) >= objects
    return [each["transfer_id"] for each in found] if enough else []


def test_an_upload_starts_a_template_and_goes_on_to_a_second_server(fleet: Fleet, tmp_path: Path) -> None:
    write_random(tmp_path / "Köln + Bonn 100%.mov", 48 * MIB)
    write_random(tmp_path / "second reel/take ü.mov", MIB)
    (tmp_path / "second reel/empty.srt").touch()
    fleet.api.put(
        "/templates/new-videos",
        {
            "name": "new-videos",
            "trigger": {"bucket": fleet.here.outputs.bucket, "prefix": "new-videos/"},
            "destinations": ["server-b:/primary/storage/", "server-d:/backup/storage/"],
            "shape": "chain",
        },
    )

    sent = upload(fleet, tmp_path, "new-videos/")
    started = until("a transfer", lambda: by_template(fleet, "new-videos", 3))

    for transfer_id in started:
        transfer = fleet.until_ended(transfer_id)
        assert transfer["state"] == "succeeded", transfer["problem"]
        assert [hop["route"] for hop in transfer["hops"]] == ["s3", "direct"]
        assert transfer["created_by"]["id"] == "template:new-videos"
    for place in ("server-b:/primary/storage", "server-d:/backup/storage"):
        assert differences(sent, listing(fleet.folder(place))) == [], place


@pytest.fixture(scope="module")
def pushed(enrolled: Fleet) -> Path:
    """Push 90 files to S3, more than one page of anything, and return their folder."""
    enrolled.ensure()
    source = enrolled.folder("server-c:/archive/to s3")
    write_random(source / "sub dir/ünï.bin", 3 * MIB)
    (source / "empty.txt").touch()
    for number in range(88):
        (source / f"{number % 7}").mkdir(exist_ok=True)
        (source / f"{number % 7}/{number}.txt").write_text(f"{number}")
    transfer = enrolled.copy("server-c:/archive/to s3/", f"s3://{enrolled.here.outputs.bucket}/kept/")
    up = enrolled.until_ended(transfer)
    assert up["state"] == "succeeded", up["problem"]
    assert up["progress"]["files_done"] == 90
    return source


@pytest.mark.acceptance("push")
def test_a_server_s_files_go_to_s3(fleet: Fleet, pushed: Path) -> None:
    pages = fleet.s3().get_paginator("list_objects_v2")
    found = pages.paginate(Bucket=fleet.here.outputs.bucket, Prefix="kept/")
    sizes = {one["Key"].removeprefix("kept/"): one["Size"] for page in found for one in page["Contents"]}
    files = [path for path in pushed.rglob("*") if path.is_file()]
    assert sizes == {str(path.relative_to(pushed)): path.stat().st_size for path in files}


@pytest.mark.acceptance("S3 pull of 90 objects")
def test_ninety_objects_of_s3_arrive_on_a_server(fleet: Fleet, pushed: Path) -> None:
    bucket = fleet.here.outputs.bucket
    down = fleet.until_ended(fleet.copy(f"s3://{bucket}/kept/", "server-d:/backup/from s3/"))
    assert down["state"] == "succeeded", down["problem"]
    assert down["progress"]["files_done"] == 90
    assert differences(listing(pushed), listing(fleet.folder("server-d:/backup/from s3"))) == []


def test_from_one_root_to_another_on_the_same_server(fleet: Fleet) -> None:
    source = fleet.folder("server-b:/data/local")
    write_random(source / "ä b.bin", 2 * MIB)

    transfer = fleet.until_ended(fleet.copy("server-b:/data/local", "server-b:/primary/"))

    assert transfer["state"] == "succeeded", transfer["problem"]
    assert transfer["hops"][0]["route"] == "local"
    assert differences(listing(source), listing(fleet.folder("server-b:/primary/local"))) == []


def test_one_source_to_many_servers(fleet: Fleet) -> None:
    source = fleet.folder("server-b:/data/many")
    write_random(source / "one.bin", 2 * MIB)

    transfer = fleet.until_ended(
        fleet.copy("server-b:/data/many/", "server-c:/archive/many/", "server-d:/backup/many/")
    )

    assert transfer["state"] == "succeeded", transfer["problem"]
    for place in ("server-c:/archive/many", "server-d:/backup/many"):
        assert differences(listing(source), listing(fleet.folder(place))) == [], place
