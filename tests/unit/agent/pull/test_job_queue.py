"""Who takes small files waits a moment for others, and no longer than that."""

import threading
import time

import pytest

from agent.files.listing import FileEntry
from agent.pull.job_queue import BATCH_LINGER_S, JobQueue, PackJob

HOUR = 3600.0


@pytest.fixture
def patient(monkeypatch):
    """Nobody would be waited for by the clock alone."""
    monkeypatch.setattr("agent.pull.job_queue.BATCH_LINGER_S", HOUR)


def small(number: int) -> FileEntry:
    return FileEntry("f", f"file-{number}", 10, 1)


def taking(jobs: JobQueue) -> tuple[threading.Thread, list[object]]:
    taken: list[object] = []
    thread = threading.Thread(target=lambda: taken.append(jobs.take()), daemon=True)
    thread.start()
    return thread, taken


def test_what_comes_together_is_taken_together(patient):
    jobs = JobQueue(pack_files=3)
    thread, taken = taking(jobs)
    for number in range(3):
        assert taken == []
        jobs.add(small(number))
    thread.join(10)
    assert taken == [PackJob((small(0), small(1), small(2)))]


def test_at_the_end_of_the_plan_nobody_is_waited_for(patient):
    jobs = JobQueue(pack_files=3)
    threads = [taking(jobs) for _ in range(3)]
    jobs.add(small(0))
    jobs.planning_done()
    work_left = [taken for _, taken in threads]
    while not any(work_left):
        time.sleep(0.001)
    jobs.job_done(progressed=True)
    for thread, _ in threads:
        thread.join(10)
    assert sorted(map(str, (taken[0] for taken in work_left))) == sorted(
        map(str, (PackJob((small(0),)), None, None))
    )


def test_one_by_itself_is_taken_after_a_moment_with_no_further_word():
    jobs = JobQueue(pack_files=3)
    begun = time.monotonic()
    jobs.add(small(0))
    assert jobs.take() == PackJob((small(0),))
    assert time.monotonic() - begun >= BATCH_LINGER_S


def test_a_file_that_comes_again_after_the_plan_is_taken_at_once(patient):
    jobs = JobQueue(pack_files=3)
    jobs.planning_done()
    jobs.add(small(0), block=False)
    assert jobs.take() == PackJob((small(0),))
