"""What happens to an agent on a host with systemd, from the line that the console prints to its removal.

The stories are told in this order, each on what the one before has left.
"""

import base64
import json
import re
import shlex
import shutil
import time
from collections.abc import Callable, Collection
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from infra import REPOSITORY
from infra.local.demo_files import MIB, write_random
from infra.local.environment import until
from infra.release_key import ReleaseSigner
from tests.support.fakes_agent import Signer
from tests.support.fakes_updates import an_update
from tests.vm import sandbox_probe
from tests.vm.host import LISTING, STORY_TIMEOUT_S, Host

PROBE = Path(sandbox_probe.__file__)
GUIDE = REPOSITORY / "docs/guides/agent.md"
DROP_INS = "/etc/systemd/system"
UNITS = ("crosshaul-agent.service", "crosshaul-update.path")
CONFIGURATION = "/etc/crosshaul/agent.toml"
REMOTE = "[store]\ntype = alias\nremote = /data/in\n"
REQUEST = "/var/lib/crosshaul/update-request"
_INSTALLATION = ("dry run", "install by", "the same line again", "doctor", "transfers to")
_CHANGES_BY_ITSELF = ("/tmp", "/var/tmp", "/var/log", "/var/cache", "/var/lib/systemd", "/data", "/boot")
"""Folders where the system writes, or the roots."""
_BACKUPS = {"/etc/passwd-", "/etc/shadow-", "/etc/group-", "/etc/gshadow-"}
"""Earlier versions of the account files, which useradd and userdel keep."""
_DOWNLOADED = "/root/crosshaul-install.sh"
SLOW = MIB // 2
"""Bytes per second of a transfer that something is to interrupt."""
_BROKEN_START = {"agent/run.py": ("config = read_config(config_path)", "raise SystemExit(3)")}
_HANGING_START = {
    "agent/run.py": ("config = read_config(config_path)", "import time; time.sleep(10**6); config = None")
}


LIMIT = 65536
"""LimitNOFILE of the agent's unit."""


def _limited(files: int) -> dict[str, tuple[str, str]]:
    """Return the change of the agent's unit to another limit."""
    return {"agent/crosshaul-agent.service": (f"LimitNOFILE={LIMIT}", f"LimitNOFILE={files}")}


class Stories:
    """The stories of one host."""

    def __init__(self, host: Host) -> None:
        self.host, self.machine = host, host.machine
        self.before: dict[str, str] = {}
        self.line = self.token = ""

    def all(self) -> list[tuple[str, Callable[[], None]]]:
        return [
            ("dry run: nothing is changed", self.dry_run),
            ("install by the console's line", self.install),
            ("the same line again changes nothing", self.install_again),
            ("doctor finds no fault and leaves nothing of root's", self.doctor),
            ("transfers to and from the host and S3", self.transfers),
            ("owners are kept with the guide's drop-in", self.owners),
            ("reload; after a crash systemd starts the agent again", self.reload_and_crash),
            ("the agent's sandbox", self.sandbox_of_the_agent),
            ("the updater's sandbox", self.sandbox_of_the_updater),
            ("reboot in a transfer: the agent finishes it", self.reboot),
            ("power cut in a transfer: the agent finishes it", self.power_cut),
            ("keys are replaced", self.rotation),
            ("an update that is healthy", self.healthy_update),
            ("an update that does not start returns by itself", self.broken_update),
            ("an update that hangs at its start returns by itself", self.hanging_update),
            ("the updater refuses hostile orders", self.hostile_orders),
            ("the updater refuses another publisher's release", self.hostile_release),
            ("an update after all that", self.update_after_hostile_orders),
            ("uninstall leaves nothing", self.uninstall),
        ]

    def dry_run(self) -> None:
        self.machine.run("mkdir -p /data/in /data/out")
        self.before = self._system()
        enrolled = self.host.here.operator.json("agents", "enroll", self.host.name, "--root", "/data:rw")
        self.line, self.token = enrolled["command"], enrolled["token"]
        said = self.machine.try_(f"cd /root && {self.line} --dry-run")
        assert said.code == 0, said
        assert "would: start the agent" in said.err or "would: install and enable" in said.err, said
        assert self._changes() == {}

    def install(self) -> None:
        said = self.machine.try_(f"cd /root && {self.line}", stdin=self.token)
        assert said.code == 0, said
        self.host.until_online()
        for unit in UNITS:
            assert self.machine.run(f"systemctl is-active {unit}").strip() == "active"
        for unit in (*UNITS, "crosshaul-update.service"):
            assert self.machine.run(f"systemctl is-enabled {unit}").strip() == "enabled"
        self._require_no_failed_unit()
        assert self.machine.run("ps -o user:32= -C crosshaul").split() == ["crosshaul"]

    def install_again(self) -> None:
        was, process = self._system(), self._process()
        said = self.machine.try_(f"cd /root && {self.line}", stdin=self.token)
        assert said.code == 0, said
        assert "already" in said.err, said
        assert {path: was.get(path) for path in self._changed_since(was)} == {}
        assert self._process() == process
        # Behind a router, as this host is, an administrator writes what peers dial.
        address = f"127.0.0.1:{self.machine.lane_port}"
        edit = f's/^listen = .*/listen = "0.0.0.0:{self.machine.lane_port}"\\nadvertise = ["{address}"]/'
        self.machine.run(f"sed -i '{edit}' {CONFIGURATION} && systemctl restart crosshaul-agent")
        until("the address", lambda: address in json.dumps(self.host.view()), STORY_TIMEOUT_S)

    def doctor(self) -> None:
        self.machine.run("chown -R crosshaul: /data")
        for user in ("root", "crosshaul"):
            said = self.machine.try_(f"cd / && runuser -u {user} -- crosshaul agent doctor")
            assert said.code == 0, said
            status = self.machine.try_(f"cd / && runuser -u {user} -- crosshaul agent status")
            assert status.code == 0, status
        owners = self.machine.run("find /var/lib/crosshaul ! -user crosshaul")
        assert owners == "", owners

    def transfers(self) -> None:
        here = self.host.neighbor.path("/data/out")
        write_random(here / "big.bin", 24 * MIB)
        for number in range(200):
            write_random(here / f"small/{number:03}", 1000 + number)
        self.host.until_moved(self.host.copy("neighbor:/data/out/", f"{self.host.name}:/data/in/"))
        assert self.host.contents("/data/in") == self.host.contents_here("/data/out")
        self.host.until_moved(self.host.copy(f"{self.host.name}:/data/in/", "neighbor:/data/back/"))
        assert self.host.contents_here("/data/back") == self.host.contents_here("/data/out")
        bucket = f"s3://{self.host.here.outputs.bucket}/vm-{self.host.name}/"
        self.host.until_moved(self.host.copy(f"{self.host.name}:/data/in/small/", bucket))
        self.host.until_moved(self.host.copy(bucket, f"{self.host.name}:/data/from-s3/"))
        assert self.host.contents("/data/from-s3") == self.host.contents_here("/data/out/small")

    def owners(self) -> None:
        pattern = r"```\n(\[Service\]\nCapabilityBoundingSet=.*?)```"
        [drop_in] = re.findall(pattern, GUIDE.read_text(), re.DOTALL)
        folder = f"{DROP_INS}/crosshaul-agent.service.d"
        self.machine.run(f"mkdir -p {folder} && cat > {folder}/override.conf", drop_in)
        self.machine.run("systemctl daemon-reload && systemctl restart crosshaul-agent")
        self._until_connected()
        file = self.host.neighbor.path("/data/owned/of-games")
        write_random(file, 1000)
        shutil.chown(file, "games", "games")
        self.host.until_moved(
            self.host.copy("neighbor:/data/owned/", f"{self.host.name}:/data/owned/", owner="names")
        )
        assert self.machine.run("stat -c %U:%G /data/owned/of-games").strip() == "games:games"
        self.machine.run("systemctl revert crosshaul-agent && systemctl restart crosshaul-agent")
        self._until_connected()

    def reload_and_crash(self) -> None:
        process = self._process()
        self._offer_a_remote()
        self.machine.run("systemctl reload crosshaul-agent")
        until(
            "the remote", lambda: self.host.view()["capabilities"]["remotes"], STORY_TIMEOUT_S, interval_s=1
        )
        assert self._process() == process
        name = self.host.name
        self.host.copy(f"{name}:store:small/", f"{name}:/data/slowly/", bandwidth_limit=1024)
        until("rclone", lambda: self.machine.try_("pgrep rclone").code == 0, STORY_TIMEOUT_S, interval_s=1)
        rclone = self.machine.run("pgrep rclone").split()
        self.machine.run(f"kill -SEGV {process}")
        until("another process", lambda: self._process() not in {process, "0"}, STORY_TIMEOUT_S)
        left = " ".join(f"/proc/{pid}" for pid in rclone)
        assert self.machine.try_(f"ls -d {left}").out == "", "the unit ends rclone with its agent"
        self._until_connected()

    def _offer_a_remote(self) -> None:
        """Have the agent offer what it has received as a remote: it is rclone that moves files of remotes."""
        rclone_config = "/var/lib/crosshaul/rclone.conf"
        self.machine.run(f"cat > {rclone_config} && chown crosshaul: {rclone_config}", REMOTE)
        self.machine.run(f"sed -i '1i rclone_config = \"{rclone_config}\"' {CONFIGURATION}")
        self.machine.run(f"cat >> {CONFIGURATION}", '\n[[remotes]]\nname = "store"\naccess = "ro"\n')

    def sandbox_of_the_agent(self) -> None:
        self._require_sandbox("crosshaul-agent.service", "agent", "/data", "/var/lib/crosshaul", "/tmp")

    def sandbox_of_the_updater(self) -> None:
        writes = ("/opt/crosshaul", "/etc/crosshaul", "/var/lib/crosshaul", DROP_INS, "/tmp")
        self._require_sandbox("crosshaul-update.service", "updater", *writes)

    def reboot(self) -> None:
        self._interrupted("reboot", self.machine.reboot)

    def power_cut(self) -> None:
        self._interrupted("power-cut", self.machine.cut_power)

    def rotation(self) -> None:
        # Without a link the keys are those of the registration.
        keys = self.machine.try_("readlink /var/lib/crosshaul/keys").out
        self.host.here.operator.json("agents", "rotate", self.host.name)
        until("new keys", lambda: not self.host.view()["rotation_wanted_at"], STORY_TIMEOUT_S, interval_s=1)
        assert self.machine.run("readlink /var/lib/crosshaul/keys") != keys
        self.host.until_moved(self.host.copy("neighbor:/data/out/", f"{self.host.name}:/data/rotated/"))

    def healthy_update(self) -> None:
        self._update("7.1.0", _limited(LIMIT - 1))
        assert self._limit() == LIMIT - 1, "its unit has come with it"

    def broken_update(self) -> None:
        self._returns("7.2.0", _BROKEN_START | _limited(LIMIT - 2))
        assert self._limit() == LIMIT - 1, "its unit is gone with it"

    def hanging_update(self) -> None:
        self._returns("7.3.0", _HANGING_START)

    def hostile_orders(self) -> None:
        """The agent's account is in a stranger's hands, who shows the updater what they like."""
        was = self.machine.run("ls /opt/crosshaul/releases; cat /opt/crosshaul/update.json")
        forged = Signer().envelope(an_update("9.9.9"), aud=self.host.name).decode()
        order = base64.b64encode(forged.encode()).decode()
        for line in (
            f"echo {order} | base64 -d > {REQUEST}",
            f"echo nonsense > {REQUEST}",
            f"head -c 10000000 /dev/zero > {REQUEST}",
            f"ln -s /etc/shadow {REQUEST}",
            f"mkfifo {REQUEST}",
            f"mkdir -p {REQUEST}/full",
            # More orders in a row than systemd starts a unit by default.
            f"for i in $(seq 30); do echo $i > {REQUEST}; sleep 0.2; done",
        ):
            self.machine.run(f"runuser -u crosshaul -- sh -c {shlex.quote(line)}")
            until(f"the updater to take away {line}", self._is_taken, STORY_TIMEOUT_S, interval_s=1)
        assert self.machine.run("ls /opt/crosshaul/releases; cat /opt/crosshaul/update.json") == was
        assert "update refused" in self.host.log_of("crosshaul-update")
        self._require_no_failed_unit()

    def hostile_release(self) -> None:
        """The control plane is in a stranger's hands, who publishes a release and orders it."""
        was = self.host.view()["version"]
        self.host.publish("9.0.0", signer=ReleaseSigner(Ed25519PrivateKey.generate()))
        ended = self.host.update("9.0.0", "--healthy-within", "60s")
        [member] = ended["members"]
        assert member["state"] == "failed", ended
        assert "no key that root has pinned on the host has signed it" in member["problem"]["message"], ended
        self.host.until_online(was)

    def update_after_hostile_orders(self) -> None:
        self._update("7.4.0", {})

    def uninstall(self) -> None:
        said = self.machine.try_("bash /opt/crosshaul/install.sh uninstall --dry-run")
        assert said.code == 0, said
        assert self.machine.run("systemctl is-active crosshaul-agent").strip() == "active"
        # Systemd also remembers a unit that has failed, here for good: its agent has no registration.
        self.machine.run("rm /var/lib/crosshaul/registration.json")
        assert self.machine.try_("systemctl restart crosshaul-agent").code != 0
        assert "crosshaul-agent" in self.machine.run("systemctl --failed --no-legend")
        said = self.machine.try_("bash /opt/crosshaul/install.sh uninstall")
        assert said.code == 0, said
        assert set(self._changes()) == set(), self._changes()
        assert self.machine.run("systemctl list-units --all --no-legend 'crosshaul*'") == ""
        assert self.machine.try_("id crosshaul").code != 0
        assert self.machine.try_("pgrep -f crosshaul").out == ""
        self._require_no_failed_unit()
        assert self.machine.run("ls /data").split(), "the roots' files stay"
        self.host.here.operator.json("agents", "remove", self.host.name, "--yes")
        self.machine.reboot()

    def _process(self) -> str:
        return self.machine.run("systemctl show -p MainPID --value crosshaul-agent").strip()

    def _until_connected(self) -> None:
        status = "crosshaul agent status"
        until("the connection", lambda: self.machine.try_(status).code == 0, STORY_TIMEOUT_S, interval_s=1)

    def _require_no_failed_unit(self) -> None:
        assert self.machine.run("systemctl --failed --no-legend") == ""

    def _is_taken(self) -> bool:
        gone = self.machine.try_(f"test -e {REQUEST} || test -L {REQUEST}").code != 0
        idle = self.machine.try_("systemctl is-active crosshaul-update").out.strip()
        watched = self.machine.try_("systemctl is-active crosshaul-update.path").out.strip()
        assert watched == "active", self.machine.run("systemctl status crosshaul-update.path | cat")
        return gone and idle == "inactive"

    def _system(self) -> dict[str, str]:
        """Return every file of the system, apart from where it writes by itself."""
        found = json.loads(self.machine.python(LISTING, "/", *_CHANGES_BY_ITSELF))
        return {path: what for path, what in found.items() if path not in _BACKUPS}

    def _changed_since(self, was: dict[str, str]) -> set[str]:
        return {path for path, what in {*self._system().items(), *was.items()} if was.get(path) != what}

    def _changes(self) -> dict[str, tuple[str | None, str | None]]:
        now = self._system()
        paths = {path for path in {*now, *self.before} if now.get(path) != self.before.get(path)}
        return {path: (self.before.get(path), now.get(path)) for path in paths - {_DOWNLOADED}}

    def _require_sandbox(self, unit: str, *arguments: str) -> None:
        """Try what the unit may not do: root may do all of it outside, and nothing is possible inside."""
        outside = json.loads(self.machine.python(PROBE, *arguments))
        assert outside["possible"] == outside["tried"], set(outside["tried"]) - set(outside["possible"])
        inside = self._probe(unit, *arguments)
        assert (inside["possible"], inside["refused"]) == ([], []), inside

    def _probe(self, unit: str, *arguments: str) -> dict[str, list[str]]:
        """Run the probe in place of a unit's program, with everything else as the unit has it."""
        self.machine.run("cat > /opt/sandbox_probe.py", PROBE.read_text())
        command = f"/usr/bin/python3 /opt/sandbox_probe.py {' '.join(arguments)}"
        self.machine.run(
            f"sed 's#^ExecStart=.*#ExecStart={command}#; s/^Type=.*/Type=oneshot/; /^Restart/d' "
            f"/etc/systemd/system/{unit} > /run/systemd/system/probe.service && systemctl daemon-reload"
        )
        said = self.machine.try_("systemctl start probe")
        log = self.machine.run("journalctl --no-pager -o cat -u probe _COMM=python3")
        self.machine.run(
            "rm /run/systemd/system/probe.service /opt/sandbox_probe.py; systemctl daemon-reload"
        )
        assert said.code == 0, f"{said}\n{log}"
        found: dict[str, list[str]] = json.loads(log.splitlines()[-1])
        return found

    def _interrupted(self, what: str, interrupt: Callable[[], None]) -> None:
        write_random(self.host.neighbor.path(f"/data/{what}/film.mov"), 24 * MIB)
        moving = self.host.copy(
            f"neighbor:/data/{what}/", f"{self.host.name}:/data/{what}/", bandwidth_limit=SLOW
        )
        arriving = f"find /data/{what} -type f -size +0"
        until("bytes", lambda: self.machine.try_(arriving).out, STORY_TIMEOUT_S, interval_s=1)
        interrupt()
        self._until_connected()
        self.host.until_moved(moving)
        assert self.host.contents(f"/data/{what}") == self.host.contents_here(f"/data/{what}")
        self._require_no_failed_unit()

    def _limit(self) -> int:
        """Return how many files the agent may open, as systemd has it."""
        return int(self.machine.run("systemctl show -p LimitNOFILE --value crosshaul-agent"))

    def _update(self, version: str, changed: dict[str, tuple[str, str]]) -> None:
        self.host.publish(version, changed)
        ended = self.host.update(version, "--healthy-within", "15m")
        assert ended["state"] == "succeeded", f"{ended}\n{self.host.log_of('crosshaul-update')[-3000:]}"
        self.host.until_online(version)
        assert version in self.machine.run("crosshaul --version")
        self._require_no_failed_unit()

    def _returns(self, version: str, broken: dict[str, tuple[str, str]]) -> None:
        was = self.host.view()["version"]
        self.host.publish(version, broken)
        ended = self.host.update(version, "--healthy-within", "15s")
        [member] = ended["members"]
        assert member["state"] == "returned", f"{ended}\n{self.host.log_of('crosshaul-update')[-3000:]}"
        assert member["problem"]["code"] == "update-unhealthy", ended
        self.host.until_online(was)
        self._require_no_failed_unit()


def tell(host: Host, say: Callable[[str], None], words: Collection[str] = ()) -> None:
    """Run the stories with one of these words in their title, or all; print how long each took.

    The host is installed in any case, up to its first transfers: every other story needs that.
    """
    for title, story in Stories(host).all():
        if words and not any(word in title for word in (*_INSTALLATION, *words)):
            continue
        began = time.monotonic()
        story()
        say(f"{time.monotonic() - began:6.0f} s  {title}")
