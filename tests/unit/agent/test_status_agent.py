"""What `status` reports from outside the service, while it runs and when it does not."""

import subprocess
import sys

import pytest

from agent import lock
from agent.cloud.messages import Connected, Disconnected
from agent.errors import HostError
from agent.hops.journal import Journal
from agent.hops.record import HopRecord
from agent.identity.registration import Files
from agent.status import Status, overview
from tests.support.fakes_agent import move


def test_an_empty_state_directory_is_not_running(tmp_path):
    state = overview(Files(tmp_path))
    assert (state.running, state.connected, state.moving, state.unsent) == (False, False, 0, 0)


def test_a_running_agent_has_a_process_a_connection_and_work(tmp_path):
    files = Files(tmp_path)
    journal = Journal(files.journal, "reg")
    journal.save_hop(HopRecord(move(0)))
    journal.save_hop(HopRecord(move(1), desired_state="pause"))
    status = Status(files.status)
    with lock.exclusive(files.lock):
        status.note(Connected(session_present=False))
        state = overview(files)
        assert state.running
        assert state.pid
        assert (state.connected, state.moving, state.paused) == (True, 1, 1)
        status.note(Disconnected("the cable"))
        assert overview(files).reason == "the cable"
    assert not overview(files).running
    journal.close()


def test_repeated_failures_to_connect_are_not_written_again(tmp_path):
    path = tmp_path / "status.json"
    status = Status(path)
    status.note(Disconnected("the cable"))
    before = path.stat().st_mtime_ns
    status.note(Disconnected("the cable"))
    assert path.stat().st_mtime_ns == before
    status.delete_file()
    status.delete_file()
    assert not path.exists()


def test_one_service_per_state_directory_and_the_lock_ends_with_its_process(tmp_path):
    path = tmp_path / "agent.lock"
    program = (
        "import sys, pathlib; from agent.lock import exclusive\n"
        "with exclusive(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with other:
        assert other.stdout.readline() == "held\n"
        assert lock.holder(path) == other.pid
        with pytest.raises(HostError, match=f"process {other.pid}"), lock.exclusive(path):
            pass
        other.kill()
    with lock.exclusive(path):
        pass
    assert lock.holder(path) is None
