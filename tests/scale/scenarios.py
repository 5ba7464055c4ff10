"""What happens to the fleet: each scenario is a function, and ends when everything is normal again."""

from collections.abc import Callable

from tests.scale.fleet import SimulatedFleet

HOUR_S, DAY_S = 3600, 86_400
HOP_S = 60.0
"""Duration of a hop in the scenarios that do not say otherwise."""


def quiet_day(fleet: SimulatedFleet) -> None:
    """Agents are idle for a day; each loses its connection once."""
    cloud = fleet.cloud
    fleet.settle()
    fleet.minutes(DAY_S)
    for agent in range(fleet.agents):
        cloud.at(cloud.random.uniform(0, DAY_S - 60), _blink, fleet, agent)
    cloud.run(DAY_S)


def _blink(fleet: SimulatedFleet, agent: int) -> None:
    fleet.disconnect(range(agent, agent + 1))
    fleet.reconnect(range(agent, agent + 1))


def reconnect_storm(fleet: SimulatedFleet) -> None:
    """All agents lose their connection in the same second and connect again."""
    cloud = fleet.cloud
    fleet.settle()
    fleet.minutes(10 * 60)
    cloud.run(30)
    fleet.back_at = cloud.now
    fleet.disconnect(range(fleet.agents))
    fleet.reconnect(range(fleet.agents))
    cloud.run(10 * 60)


def broken_region(fleet: SimulatedFleet) -> None:
    """AWS does not answer for an hour; then all comes back at once.

    Each agent carries out a hop, of up to two hours. All leases have lapsed when AWS is back, and no agent
    has been heard.
    """
    cloud = fleet.cloud
    fleet.settle()
    cloud.run(30)
    for _ in range(fleet.agents):
        fleet.lapsed.append(fleet.hop_at_work(cloud.random.uniform(0, 2 * HOUR_S)))
    fleet.silent.extend(range(fleet.agents))
    cloud.is_up = False
    fleet.disconnect(range(fleet.agents), notice=False)
    cloud.run(HOUR_S)
    cloud.forget()
    cloud.is_up = True
    fleet.back_at = cloud.now
    fleet.reconnect(range(fleet.agents), attempt=5)
    fleet.minutes(HOUR_S + 20 * 60)
    cloud.run(HOUR_S + 20 * 60)


def transfers_at_once(fleet: SimulatedFleet, count: int = 200) -> None:
    """So many transfers are requested in one second."""
    cloud = fleet.cloud
    fleet.settle()
    for number in range(count):
        cloud.at(1 + number / count, fleet.request, number % fleet.agents, _other(fleet), HOP_S)
    fleet.minutes(5 * 60)
    cloud.run(5 * 60)


def hops_for_an_hour(fleet: SimulatedFleet, rate: float = 33.0) -> None:
    """Hops of a minute each are requested at a steady rate for an hour."""
    cloud = fleet.cloud
    fleet.settle()
    fleet.minutes(HOUR_S + 120)
    for number in range(round(rate * HOUR_S)):
        cloud.at(number / rate, fleet.request, number % fleet.agents, _other(fleet), HOP_S)
    cloud.run(HOUR_S + 120)


def s3_burst(fleet: SimulatedFleet, objects: int = 100_000) -> None:
    """So many objects arrive for templates within ten seconds."""
    cloud = fleet.cloud
    fleet.settle()
    batches = objects // 100
    for number in range(batches):
        when = 1 + 10 * number / batches
        cloud.at(when, fleet.arrive, _other(fleet), HOP_S, when)
    fleet.minutes(15 * 60)
    cloud.run(15 * 60)


def _other(fleet: SimulatedFleet) -> int:
    return fleet.cloud.random.randrange(fleet.agents)


SCENARIOS: dict[str, Callable[[SimulatedFleet], None]] = {
    "quiet-day": quiet_day,
    "reconnect-storm": reconnect_storm,
    "broken-region": broken_region,
    "transfers-at-once": transfers_at_once,
    "hops-for-an-hour": hops_for_an_hour,
    "s3-burst": s3_burst,
}
