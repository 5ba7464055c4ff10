"""Import each function's handler from the bundle of a real account, by an emulated Python for its processor.

    python -m tests.vm.graviton [--mirror URL] [--home DIR]

Exits with 0 if all work, 1 if not, and 69 if this processor cannot be emulated here.
"""

import argparse
import contextlib
import subprocess
import sys
import tempfile
from pathlib import Path

from infra import REPOSITORY
from infra.bundle import make
from infra.plans import PLANS
from infra.stage import GRAVITON
from tests.vm.images import UNAVAILABLE, CannotRunError, extracted, require_programs

_PROGRAMS = {"qemu-aarch64-static": "qemu-user-static", "mmdebstrap": "mmdebstrap"}
_PROGRAM = """
import os, sys
sys.path.insert(0, sys.argv[1])
os.environ["AWS_DEFAULT_REGION"] = "eu-central-1"
from importlib import import_module
for handler in sys.argv[2:]:
    module, _, name = handler.rpartition(".")
    assert callable(getattr(import_module(module), name))
    print(handler, flush=True)
import cedarpy, jwt
from cryptography.hazmat.primitives.asymmetric import ec
key = ec.generate_private_key(ec.SECP256R1())
token = jwt.encode({"sub": "server-b"}, key, algorithm="ES256")
assert jwt.decode(token, key.public_key(), algorithms=["ES256"]) == {"sub": "server-b"}
entities = {"principal": 'User::"a"', "action": 'Action::"b"', "resource": 'Root::"c"'}
assert cedarpy.is_authorized(entities, "permit(principal, action, resource);", []).allowed
from lambdas.api.app import describe
assert describe()["paths"]
print("keys, policies and messages", flush=True)
"""
"""What each compiled module is for is tried as well: they load lazily."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.vm.graviton", description=__doc__)
    parser.add_argument(
        "--mirror", metavar="URL", help="mirror of Debian; default: that of this machine's apt"
    )
    parser.add_argument("--home", type=Path, default=REPOSITORY / ".crosshaul/vm", help="where it is kept")
    asked = parser.parse_args()
    asked.home.mkdir(parents=True, exist_ok=True)
    try:
        require_programs(_PROGRAMS)
        root = extracted("trixie", "arm64", f"python{GRAVITON.python}", asked.home, asked.mirror)
    except CannotRunError as reason:
        print(f"Graviton cannot be emulated here: {reason}", file=sys.stderr)
        return UNAVAILABLE
    with tempfile.TemporaryDirectory(prefix="crosshaul-graviton-") as bundle:
        with contextlib.suppress(RuntimeError):  # without this Python here it has no bytecode
            make(Path(bundle), GRAVITON)
        python = root / f"usr/bin/python{GRAVITON.python}"
        handlers = [plan.handler for plan in PLANS.values()]
        command = [
            "qemu-aarch64-static",
            "-L",
            str(root),
            str(python),
            "-I",
            "-c",
            _PROGRAM,
            bundle,
            *handlers,
        ]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
