"""`make demo`: run two use cases on real files through the real control plane, as a user would.

python -m infra.local.demo [--once] [--home DIR]
"""

import argparse
import contextlib
import signal
import sys
import time
from pathlib import Path
from threading import Event
from typing import Any

import boto3
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from infra.local import cloud as embedded
from infra.local.demo_files import MIB, differences, listing, make_tree, remove_arrived, write_random
from infra.local.environment import USER, Environment, build, until
from infra.local.servers import Server

HOME = Path(".crosshaul/demo")
SERVERS = {
    "server-b": {"/data": "rw", "/primary": "rw"},
    "server-c": {"/archive": "rw"},
    "server-d": {"/backup": "rw"},
}
TEMPLATE = "new-videos"
BIG_FILE = 512 * MIB
UPLOAD = 192 * MIB

out = Console(highlight=False)


def main() -> int:
    arguments = argparse.ArgumentParser(prog="make demo")
    arguments.add_argument("--once", action="store_true", help="stop when both use cases are done")
    arguments.add_argument("--home", type=Path, default=HOME, help="folder for its state")
    chosen = arguments.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return run(chosen.home.resolve(), once=chosen.once)
    except KeyboardInterrupt:
        out.print("\nstopped before the end")
        return 130


def run(home: Path, *, once: bool) -> int:
    """Run both use cases; return 0 only if every file arrived with its digest unchanged."""
    began = time.monotonic()
    step("starting the embedded cloud and deploying the control plane into it")
    here = build(home)
    try:
        servers = start_servers(here)
        out.print(f"  ready after {time.monotonic() - began:.1f} s\n")
        succeeded = [direct(here, servers), from_s3(here, servers)]
        print_addresses(here, servers)
        if not once:
            out.print("\nCtrl-C stops everything; the state is kept for the next run.")
            Event().wait()
        return 0 if all(succeeded) else 1
    except KeyboardInterrupt:
        if once:
            raise
        return 0
    finally:
        stop(here)


def start_servers(here: Environment) -> dict[str, Server]:
    step("starting three agents: " + ", ".join(SERVERS))
    return here.start_servers(SERVERS)


def direct(here: Environment, servers: dict[str, Server]) -> bool:
    """Run use case 1: from server to server over mutual TLS, not through S3."""
    source, destination = "server-b:/data/videos/raw/", "server-c:/archive/processed/"
    raw, processed = (
        servers["server-b"].path("/data/videos/raw"),
        servers["server-c"].path("/archive/processed"),
    )
    step("making real files in " + source)
    make_tree(raw, BIG_FILE)
    sent = listing(raw)
    remove_arrived(sent, processed)
    headline("1", f"{source} → {destination}", "directly between the two agents")
    command("crosshaul cp", source, destination, "--watch")
    ended = here.operator.show("cp", source, destination, "--watch")
    return all_arrived(ended == 0, sent, {"server-c": processed})


def from_s3(here: Environment, servers: dict[str, Server]) -> bool:
    """Run use case 2: an upload starts a template, S3 → server-b → server-d, without an API call."""
    bucket = here.outputs.bucket
    primary, backup = (
        servers["server-b"].path("/primary/storage"),
        servers["server-d"].path("/backup/storage"),
    )
    uploads = here.home / "uploads"
    make_uploads(uploads)
    sent = listing(uploads)
    for folder in (primary, backup):
        remove_arrived(sent, folder)
    headline("2", f"s3://{bucket}/new-videos/ → server-b → server-d", "started by the upload itself")
    template_file = here.home / "new-videos.yaml"
    template_file.write_text(template(bucket))
    command("crosshaul templates apply", template_file.name)
    if here.operator.show("templates", "apply", str(template_file)):
        return False
    before = {transfer["transfer_id"] for transfer in moved_by_template(here)}
    files = upload(here, uploads, bucket)
    started = until("the uploads to start a transfer", lambda: started_transfers(here, before, files))
    ended = [watch(here, transfer_id) for transfer_id in started]
    return all_arrived(not any(ended), sent, {"server-b": primary, "server-d": backup})


def watch(here: Environment, transfer_id: str) -> int:
    command("crosshaul show", transfer_id, "--watch")
    return here.operator.show("show", transfer_id, "--watch")


def started_transfers(here: Environment, before: set[str], files: int) -> list[str]:
    """Return the new transfers once they hold `files` objects; a slow upload may start several."""
    new = [transfer for transfer in moved_by_template(here) if transfer["transfer_id"] not in before]
    if sum(transfer["selection_count"] for transfer in new) < files:
        return []
    return [transfer["transfer_id"] for transfer in reversed(new)]


def make_uploads(folder: Path) -> None:
    if not (folder / "Köln + Bonn 100%.mov").exists():
        write_random(folder / "second reel/take one.mov", 3 * MIB)
        (folder / "second reel/empty.srt").touch()
        write_random(folder / "Köln + Bonn 100%.mov", UPLOAD)


def template(bucket: str) -> str:
    return f"""\
name: {TEMPLATE}
description: Every new video goes to server-b, and from there to server-d
trigger:
  bucket: {bucket}
  prefix: new-videos/
shape: chain
destinations:
  - server-b:/primary/storage/
  - server-d:/backup/storage/
"""


def moved_by_template(here: Environment) -> list[dict[str, Any]]:
    transfers = here.operator.json("transfers", "--limit", "50")["transfers"]
    return [transfer for transfer in transfers if transfer["template_id"] == TEMPLATE]


def upload(here: Environment, folder: Path, bucket: str) -> int:
    """Upload the files and return how many there are."""
    s3 = boto3.client("s3", **embedded.client_settings(here.cloud))
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for file in files:
        key = f"new-videos/{file.relative_to(folder)}"
        command("upload", f"s3://{bucket}/{key}", f"({file.stat().st_size / MIB:.0f} MiB)")
        s3.upload_file(str(file), bucket, key)
    return len(files)


def all_arrived(ended_well: bool, sent: dict[str, str], places: dict[str, Path]) -> bool:
    """Print for each server whether everything arrived with its digest; return whether it did."""
    wrong = {name: differences(sent, listing(folder)) for name, folder in places.items()}
    for name, found in wrong.items():
        files = sum(kind != "directory" for kind in sent.values())
        if not found:
            out.print(
                f"  [green]✓[/] {name}: {files} files and {len(sent) - files} directories, all digests match"
            )
            continue
        out.print(f"  [red]✗ {name}: {len(found)} of {len(sent)} differ[/]")
        for difference in found[:10]:
            out.print(f"    {difference.what} {escape(repr(difference.path))}")
    out.print()
    return ended_well and not any(wrong.values())


def print_addresses(here: Environment, servers: dict[str, Server]) -> None:
    rows = Table.grid(padding=(0, 2))
    rows.add_row("console", here.outputs.console_url)
    rows.add_row("API", here.outputs.api_url)
    rows.add_row("sign in", f"{USER}   {here.password}")
    for server in servers.values():
        roots = "  ".join(f"{root} = {_near(server.path(root))}" for root in server.roots)
        rows.add_row(server.name, escape(roots))
    rows.add_row("uploads", f"s3://{here.outputs.bucket}/new-videos/")
    out.print(rows, soft_wrap=True)
    out.print("\nTry it: put files into a server's folder, then")
    out.print(f"  export CROSSHAUL_HOME={_near(here.operator.home)} PATH={_near(Path(sys.prefix))}/bin:$PATH")
    out.print("  crosshaul cp server-b:/data/yours server-c:/archive/ --watch")


def _near(path: Path) -> str:
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)


def stop(here: Environment) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    step("stopping the agents and the embedded cloud")
    here.shut_down()


def step(text: str) -> None:
    out.print(f"[dim]· {escape(text)}[/]")


def headline(number: str, route: str, how: str) -> None:
    out.print(f"\n[bold]Use case {number}[/]  {escape(route)}\n[dim]{escape(how)}[/]")


def command(*words: str) -> None:
    out.print(f"  [cyan]$ {escape(' '.join(words))}[/]", soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
