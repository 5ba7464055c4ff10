"""The cost of a run includes all its processes."""

import sys

from tests.bench.measuring import Meter
from tests.bench.tools import Process
from tests.support.waiting import HANG_TIMEOUT_S

WORK = """\
import time
kept = bytearray(80 * 2**20)
while time.process_time() < 0.6:
    pass
"""


def test_processor_time_and_memory_of_both_ends_count():
    far = Process([sys.executable, "-c", WORK + "time.sleep(60)"])
    try:
        with Meter([far.pid], []) as meter:
            near = Process(["bash", "-c", 'true; "$0" -c "$1"; true', sys.executable, WORK])
            meter.joined(near.pid)
            near.wait(HANG_TIMEOUT_S)
    finally:
        far.end()
    assert meter.cost
    assert meter.cost.cpu_seconds > 0.5
    assert meter.cost.near_memory > 80 * 2**20
    assert meter.cost.far_memory > 80 * 2**20
