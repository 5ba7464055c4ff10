"""Test that child processes of an agent end with it, however it ends."""

import os
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from agent.rclone import child_process, rc_server
from agent.rclone.child_process import start_child
from agent.rclone.process import RcloneProcess
from infra.local.environment import until
from tests.support.waiting import HANG_TIMEOUT_S

AGENT = """
import subprocess, threading, time
from agent.rclone.process import RcloneProcess, inherited_environment

def hop():
    process = RcloneProcess(inherited_environment())
    rclone = process.spawn("rcd", "--rc-no-auth", "--rc-addr=127.0.0.1:0", stdin=None)
    print(rclone.pid, flush=True)

thread = threading.Thread(target=hop)  # rclone must survive its end
thread.start()
thread.join()
print("hop over", flush=True)
time.sleep(600)
"""


def is_rclone(pid: int) -> bool:
    try:
        return b"rcd" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_a_child_ends_with_a_killed_agent_and_not_with_its_starting_thread():
    with subprocess.Popen([sys.executable, "-c", AGENT], stdout=subprocess.PIPE, text=True) as agent:
        pid = int(agent.stdout.readline())
        try:
            assert agent.stdout.readline() == "hop over\n"
            until("rclone to run", lambda: is_rclone(pid))
            agent.kill()
            until("rclone to end", lambda: not is_rclone(pid))
        finally:
            agent.kill()
            if is_rclone(pid):
                os.kill(pid, signal.SIGKILL)


def test_a_child_can_be_started_from_any_thread_and_waited_for():
    with ThreadPoolExecutor(4) as threads:
        started = [threads.submit(start_child, ["sh", "-c", f"exit {code}"]) for code in range(8)]
        assert [one.result().wait(HANG_TIMEOUT_S) for one in started] == list(range(8))


def test_the_directories_of_killed_agents_are_removed_and_others_stay(tmp_path, monkeypatch):
    """An agent that is killed cannot remove its own; the next one does, once."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ended = start_child(["true"])
    ended.wait(HANG_TIMEOUT_S)
    abandoned = tmp_path / f"{rc_server.DIRECTORY_PREFIX}{ended.pid}-abc"
    others = [tmp_path / f"{rc_server.DIRECTORY_PREFIX}{os.getppid()}-abc", tmp_path / "crosshaul-x"]
    for folder in (abandoned, *others):
        folder.mkdir()
        (folder / "rclone").touch()
    rc_server._remove_abandoned_directories.cache_clear()
    server = rc_server.RcServer(RcloneProcess({}))
    assert sorted(tmp_path.iterdir()) == sorted([*others, server.directory])
    server.close()
    assert sorted(tmp_path.iterdir()) == sorted(others)


def test_without_setpriv_no_prefix_is_used(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda _: "/nowhere/setpriv")
    child_process._parent_death_prefix.cache_clear()
    try:
        assert start_child(["true"]).wait(HANG_TIMEOUT_S) == 0
        assert child_process._parent_death_prefix() == ()
    finally:
        child_process._parent_death_prefix.cache_clear()
