"""Which transfers an agent publishes live progress of."""

from agent.hops.live_leases import MAX_WATCHED, LiveLeases


def test_watches_are_forgotten_and_bounded():
    """However many transfers the control plane names, the agent remembers a thousand of them."""
    watches = LiveLeases()
    for number in range(MAX_WATCHED + 1):
        watches.watch(f"{number}", 300)
    assert not watches.is_watched("0")
    assert watches.is_watched("1")
    assert watches.is_watched(f"{MAX_WATCHED}")
    assert len(watches._until) == MAX_WATCHED


def test_a_shorter_watch_does_not_end_a_longer_one():
    """A Move says what is left of the lease, and may arrive after the Watch that renewed it."""
    watches = LiveLeases()
    watches.watch("transfer", 300)
    watches.watch("transfer", 0)
    assert watches.is_watched("transfer")
    watches.watch("other", 0)
    assert not watches.is_watched("other")
