"""How Python is set for a process of many threads that makes many small objects and few cycles of them."""

import gc
import sys

GC_THRESHOLD = 20_000
"""So many new ones are worth a look for garbage. Python's own 700 come with every few files."""
SWITCH_INTERVAL_S = 0.001
"""Seconds for which a thread may keep the interpreter from another. With Python's own 5 ms whoever plans
keeps it from whoever puts files in place, after each of their system calls."""


def tune() -> None:
    """Once all is loaded: what is there by now is never looked at again."""
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, *gc.get_threshold()[1:])
    sys.setswitchinterval(SWITCH_INTERVAL_S)
