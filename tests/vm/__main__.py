"""Try installer, units, updater and uninstaller on hosts with systemd, in virtual machines.

    python -m tests.vm [--family SUITE] [--story WORD] [--mirror URL] [--home DIR] [--accelerator kvm|tcg]

Exits with 0 if everything went as it should, 1 if not, and 69 if virtual machines cannot run here.
"""

import argparse
import functools
import http.server
import posixpath
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from infra import REPOSITORY
from infra.kit import LOCK
from infra.local.environment import Environment, running_environment
from infra.local.servers import Server
from tests.vm import images
from tests.vm.host import Host
from tests.vm.images import FAMILIES, UNAVAILABLE, CannotRunError
from tests.vm.machine import accelerator, booted
from tests.vm.stories import tell

PIP_CONF = "[global]\nindex-url = http://127.0.0.1:{port}/\ntrusted-host = 127.0.0.1\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.vm", description=__doc__)
    parser.add_argument(
        "--family", action="append", choices=sorted(FAMILIES), help="repeatable; default: all"
    )
    parser.add_argument(
        "--mirror", metavar="URL", help="mirror of Debian; default: that of this machine's apt"
    )
    parser.add_argument(
        "--home", type=Path, default=REPOSITORY / ".crosshaul/vm", help="where images are kept"
    )
    parser.add_argument(
        "--accelerator", choices=["kvm", "tcg"], help="default: KVM if a kernel starts with it"
    )
    parser.add_argument(
        "--story",
        action="append",
        metavar="WORD",
        default=[],
        help="repeatable; only installation and stories with this word; default: all",
    )
    asked = parser.parse_args()
    asked.home.mkdir(parents=True, exist_ok=True)
    try:
        images.require_tools()
        made = [images.image(FAMILIES[name], asked.home, asked.mirror) for name in asked.family or FAMILIES]
        wheels = {one.family.suite: images.wheels(one.family, asked.home, LOCK) for one in made}
        chosen = asked.accelerator or accelerator(made[0])
    except CannotRunError as reason:
        print(f"virtual machines cannot run here: {reason}", file=sys.stderr)
        return UNAVAILABLE
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that no machine is left behind
    failed = []
    with tempfile.TemporaryDirectory(prefix="crosshaul-vm-") as scratch:
        home = Path(scratch)
        with running_environment(home / "world") as here:
            neighbor = here.start_servers({"neighbor": {"/data": "rw"}})["neighbor"]
            for image in made:
                print(f"{image.family.title}, {chosen}", flush=True)
                try:
                    with hosted(image, home, here, neighbor, wheels[image.family.suite], chosen) as host:
                        tell(host, functools.partial(print, flush=True), asked.story)
                except (AssertionError, OSError, RuntimeError):
                    traceback.print_exc()
                    failed.append(image.family.title)
    print(f"failed: {', '.join(failed) or 'nothing'}")
    return bool(failed)


class _PackageIndex(http.server.SimpleHTTPRequestHandler):
    """A package index (PEP 503) that offers all files for each name: pip takes those of the name."""

    def translate_path(self, path: str) -> str:
        return str(Path(self.directory, unquote(posixpath.basename(urlsplit(path).path))))

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "max-age=31536000")  # as a registry says of wheels
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def served(folder: Path) -> Iterator[int]:
    """Yield the port of loopback at which a package index is served."""
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(_PackageIndex, directory=folder)
    ) as server:
        thread = threading.Thread(target=server.serve_forever, name="package index")
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def hosted(
    image: images.Image, home: Path, here: Environment, neighbor: Server, wheels: Path, accelerator: str
) -> Iterator[Host]:
    """Yield a machine that reaches the control plane, the neighbor and a package index at its loopback."""
    with served(wheels) as index, booted(image, home / image.family.suite, accelerator) as machine:
        cloud = here.cloud
        lane = int((neighbor.folder / "lane.port").read_text())
        host = Host(machine, here, neighbor, home, (cloud.port, cloud.mqtt_port, index, lane))
        host.forward_ports()
        machine.run("cat > /etc/pip.conf", PIP_CONF.format(port=index))
        yield host


if __name__ == "__main__":
    sys.exit(main())
