"""Small files wait briefly for others to share their request, and no longer."""

import threading
import time

from agent.files.listing import FileEntry
from agent.pull.job_queue import JobQueue, PackJob
from agent.pull.limits import PullLimits
from tests.support.waiting import HANG_TIMEOUT_S

HOUR = 3600.0


ENDLESS = PullLimits(batch_linger_s=HOUR)
"""The linger is so long that no batch is ever ready by time alone."""


def small(number: int) -> FileEntry:
    return FileEntry("f", f"file-{number}", 10, 1)


def take_in_thread(jobs: JobQueue) -> tuple[threading.Thread, list[object]]:
    taken: list[object] = []
    thread = threading.Thread(target=lambda: taken.append(jobs.take()), daemon=True)
    thread.start()
    return thread, taken


def test_files_added_together_are_one_pack():
    jobs = JobQueue(3, ENDLESS)
    thread, taken = take_in_thread(jobs)
    for number in range(3):
        assert taken == []
        jobs.add(small(number))
    thread.join(HANG_TIMEOUT_S)
    assert taken == [PackJob((small(0), small(1), small(2)))]


def test_end_of_planning_releases_an_open_batch():
    jobs = JobQueue(3, ENDLESS)
    threads = [take_in_thread(jobs) for _ in range(3)]
    jobs.add(small(0))
    jobs.planning_done()
    results = [taken for _, taken in threads]
    while not any(results):
        time.sleep(0.001)
    jobs.job_done(progressed=True)
    for thread, _ in threads:
        thread.join(HANG_TIMEOUT_S)
    assert sorted(map(str, (taken[0] for taken in results))) == sorted(
        map(str, (PackJob((small(0),)), None, None))
    )


def test_single_file_is_taken_after_the_linger():
    jobs = JobQueue(3, PullLimits())
    started = time.monotonic()
    jobs.add(small(0))
    assert jobs.take() == PackJob((small(0),))
    assert time.monotonic() - started >= PullLimits().batch_linger_s


def test_file_queued_again_after_planning_is_taken_at_once():
    jobs = JobQueue(3, PullLimits())
    jobs.planning_done()
    jobs.add(small(0), block=False)
    assert jobs.take() == PackJob((small(0),))
