"""Measure the thread time of a policy decision with many policies. Prints, asserts nothing.

python -m tests.bench.deciding [POLICIES]
"""

import statistics
import sys
import time
from datetime import UTC, datetime

from events.locations import AgentLocation
from lambdas.domain.authorization import Principal, RequestTime, movements
from lambdas.domain.plan import TransferSpec, new_transfer_id, plan
from lambdas.domain.policy_set import defaults, policy_set
from tests.support.fakes import ADA

REPETITIONS = 2000


def texts(count: int) -> dict[str, str]:
    """Return the three built-in policies and typical others: by tag, path, size and hour."""
    others = {
        f"rule-{number}": f"""
        forbid (principal, action == Action::"transfer", resource in Tag::"rack={number}")
        when {{ context has source_agent && context.source_agent in Tag::"env=production"
            && context.source_path like "/data/{number}/*" }}
        unless {{ context.time.hour >= 22 || context.time.hour < {number % 24} }};"""
        for number in range(count - 3)
    }
    return defaults() | others


def main(count: int = 500) -> None:
    begin = time.thread_time()
    here = policy_set(texts(count))
    parsed = time.thread_time() - begin
    now = RequestTime(datetime(2026, 11, 24, 12, tzinfo=UTC), "Europe/Zurich")
    ends = (AgentLocation(agent_id="a", path="/data/7/x"), AgentLocation(agent_id="b", path="/archive/"))
    transfer = plan(new_transfer_id(), TransferSpec(source=ends[0], destinations=(ends[1],)), ADA, now.at)
    tags = {"a": {"env": "production", "site": "zurich"}, "b": {"rack": "8", "site": "geneva"}}
    times = []
    for _ in range(REPETITIONS):
        begin = time.thread_time()
        (question,) = movements(Principal("bo", ("operator",)), "transfer", transfer, tags, now)
        result = here.decide(question)
        times.append((time.thread_time() - begin) * 1000)
    times.sort()
    ms, most = parsed * 1000, times[REPETITIONS * 99 // 100]
    print(f"{count} policies, parsed once in {ms:.0f} ms; the result: {result.outcome}")
    print(f"a decision: median {statistics.median(times):.3f} ms, 99 of 100 within {most:.3f} ms")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
