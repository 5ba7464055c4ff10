"""Simulate a fleet of agents and print what it costs, how long things take, and what throttles.

python -m tests.scale [SCENARIO …] [--agents N] [--seed SEED]
"""

import argparse
import sys
import time

from tests.scale.bill import dollars
from tests.scale.calibration import profiles
from tests.scale.cloud import SimulatedCloud
from tests.scale.fleet import SimulatedFleet
from tests.scale.scenarios import SCENARIOS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.scale", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"of {', '.join(SCENARIOS)}")
    parser.add_argument("--agents", type=int, default=10_000, help="size of the fleet; default: 10000")
    parser.add_argument("--seed", type=int, default=1, help="seed of all chance; default: 1")
    asked = parser.parse_args()
    if unknown := set(asked.scenarios) - set(SCENARIOS):
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    measured = profiles()
    for name in asked.scenarios or SCENARIOS:
        cloud = SimulatedCloud(asked.seed)
        fleet = SimulatedFleet(cloud, measured, asked.agents)
        begun = time.process_time()
        SCENARIOS[name](fleet)
        print(_report(name, fleet, time.process_time() - begun), flush=True)
    return 0


def _report(name: str, fleet: SimulatedFleet, processor_s: float) -> str:
    cloud = fleet.cloud
    costs = dollars(cloud, fleet.agents * cloud.now / 60)
    lines = [
        f"## {name}: {fleet.agents:,} agents, {cloud.now / 60:,.0f} minutes ({processor_s:.0f} s)",
        f"cost      ${sum(costs.values()):,.2f}  "
        + ", ".join(f"{service} {amount:,.2f}" for service, amount in costs.items() if amount >= 0.005),
        f"units     {cloud.bill['written units']:,.0f} written, {cloud.bill['read units']:,.0f} read; "
        f"calls: {_listed({k[9:]: v for k, v in cloud.bill.items() if k.startswith('calls of ')})}",
        f"at once   {_listed({name: one.most for name, one in cloud.functions.items()})}",
        f"queues    {_listed(cloud.deepest)}",
        f"throttled {_listed(cloud.throttled) or 'nothing'}",
        f"given up  {_listed(cloud.dead) or 'nothing'}",
        f"late      until {max(cloud.late_until - fleet.back_at, 0):,.0f} s after it began",
        f"open      {fleet.unfinished:,} hops",
        f"busiest   {', '.join(f'{place} {rate:,.0f}/s' for place, rate in cloud.busiest()[:6])}",
    ]
    for kind in sorted(cloud.latencies.by_kind):
        values = cloud.latencies.by_kind[kind]
        middle, most = cloud.latencies.quantile(kind, 0.5), cloud.latencies.quantile(kind, 0.99)
        lines.append(f"  {kind:45} {len(values):>9,} × p50 {middle:8.2f} s  p99 {most:8.2f} s")
    return "\n".join(lines) + "\n"


def _listed(counts: dict[str, float]) -> str:
    return ", ".join(f"{name} {count:,.0f}" for name, count in counts.items() if count)


if __name__ == "__main__":
    sys.exit(main())
