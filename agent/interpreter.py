"""Tune Python for a process of many threads that allocates many small objects and few cycles."""

import gc
import sys

GC_THRESHOLD = 20_000
"""New objects before a garbage collection. Python's own 700 are reached every few files."""
SWITCH_INTERVAL_S = 0.001
"""Seconds for which a thread may hold the interpreter.

With Python's own 5 ms the planner delays the workers after each of their system calls.
"""


def tune() -> None:
    """Set garbage collection and thread switching; call it after the imports, whose objects are frozen."""
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, *gc.get_threshold()[1:])
    sys.setswitchinterval(SWITCH_INTERVAL_S)
