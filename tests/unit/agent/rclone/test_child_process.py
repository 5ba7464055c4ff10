"""What an agent runs ends with it, however the agent ends."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from agent.rclone import child_process
from agent.rclone.child_process import start_child
from infra.local.environment import until

AGENT = """
import subprocess, threading, time
from agent.rclone.process import Program, kept_environment

def hop():
    rclone = Program(kept_environment()).start("rcd", "--rc-no-auth", "--rc-addr=127.0.0.1:0", stdin=None)
    print(rclone.pid, flush=True)

thread = threading.Thread(target=hop)  # its end is not rclone's
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


def test_rclone_ends_with_an_agent_that_is_killed_and_not_with_the_thread_that_wanted_it():
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


def test_a_program_is_started_from_any_thread_and_its_end_is_known():
    with ThreadPoolExecutor(4) as threads:
        started = [threads.submit(start_child, ["sh", "-c", f"exit {code}"]) for code in range(8)]
        assert [one.result().wait(30) for one in started] == list(range(8))


def test_a_host_without_setpriv_does_without(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda _: "/nowhere/setpriv")
    child_process._parent_death_prefix.cache_clear()
    try:
        assert start_child(["true"]).wait(30) == 0
        assert child_process._parent_death_prefix() == ()
    finally:
        child_process._parent_death_prefix.cache_clear()
