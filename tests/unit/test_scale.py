"""The simulation of a fleet counts what the real handlers count, and bends where AWS would."""

from collections import Counter
from itertools import pairwise

import pytest

from tests.scale import ceilings
from tests.scale.bill import dollars
from tests.scale.calibration import Step, chained_for_real, profiles, transfers_for_real
from tests.scale.cloud import SimulatedCloud, TokenBucket
from tests.scale.fleet import SimulatedFleet, chained
from tests.scale.lists import LISTS, PAGE_SIZE, costs
from tests.scale.metering import size_of
from tests.scale.scenarios import SCENARIOS, transfers_at_once


@pytest.fixture(scope="module")
def measured():
    return profiles()


def fleet_of(agents: int, measured, seed: int = 1) -> SimulatedFleet:
    return SimulatedFleet(SimulatedCloud(seed), measured, agents)


def counted(steps: list[Step]) -> Counter[str]:
    """Return units and calls of real handlers' steps."""
    counts: Counter[str] = Counter()
    for step in steps:
        counts[f"calls of {step.function}"] += 1
        for call in step.calls:
            counts["signatures"] += call.operation == "Sign"
            counts["publishes"] += call.operation == "Publish"
            for use in call.uses:
                counts[f"{use.place} ({'writes' if use.writes else 'reads'})"] += use.units
    return counts


def all_units(counts: dict[str, float]) -> dict[str, float]:
    """Return units by table or index, without policies, which a warm function reads again at times."""
    return {name: units for name, units in counts.items() if "-table" in name and "policies" not in name}


def test_the_model_counts_as_the_handlers_do(measured):
    """Four transfers among four agents, for real and in the model: the same calls and units, within 3 %.

    The model makes one link of the audit's chain of several records, and invokes the function of the stream
    for several entries, as AWS does.
    """
    real = counted(transfers_for_real(pairs=2, transfers=4))
    fleet = fleet_of(4, measured)
    fleet.connect_silently()
    for number in range(4):
        # A checkpoint is due after ten seconds: one hop has one of them.
        fleet.cloud.at(40 * number, fleet.request, number % 2, 2 + number % 2, 15.0)
    fleet.cloud.run()
    assert fleet.unfinished == 0
    assert all_units(fleet.cloud.units()) == pytest.approx(all_units(real), rel=0.03)
    for name in ("signatures", "publishes"):
        assert fleet.cloud.bill[name] == real[name]
    for function in ("Api", "OnReport"):
        assert fleet.cloud.bill[f"calls of {function}"] == real[f"calls of {function}"]


def test_a_batch_of_audit_records_costs_what_the_chain_pays(measured):
    """Pointers for each record, and one link for all: as the handler makes it, within 5 %."""
    real, model = counted([chained_for_real(12)]), counted([chained(measured.steps["audit"][0], 12)])
    for kind in ("audit-table (writes)", "audit-table (reads)"):
        assert model[kind] == pytest.approx(real[kind], rel=0.05)


def test_the_same_seed_gives_the_same_result(measured):
    fleets = [fleet_of(50, measured, seed) for seed in (7, 7, 8)]
    for fleet in fleets:
        transfers_at_once(fleet, 40)
    bills = [dollars(fleet.cloud, 0) for fleet in fleets]
    latencies = [fleet.cloud.latencies.by_kind for fleet in fleets]
    assert bills[0] == bills[1]
    assert latencies[0] == latencies[1]
    assert latencies[0] != latencies[2]


@pytest.mark.parametrize("name", sorted(set(SCENARIOS) - {"quiet-day", "hops-for-an-hour"}))
def test_small_fleets_come_to_rest(measured, name):
    """Whatever happens to twenty agents, everything is done at the end, and nothing was given up."""
    fleet = fleet_of(20, measured)
    SCENARIOS[name](fleet)
    assert not fleet.cloud.dead
    assert all(fleet.connected)
    assert not fleet.lapsed
    assert not fleet.silent


def test_a_rate_beyond_a_partition_is_throttled(measured):
    """Half as many again as a partition takes: a third of the calls is refused, and nothing is free."""
    bucket, passed = TokenBucket(1_000), 0
    for number in range(30_000):
        if bucket.has_room(number / 1_500):
            bucket.take(1)
            passed += 1
    assert passed == pytest.approx(20_000 + 1_000, rel=0.01)  # twenty seconds, and the burst of one


def test_a_storm_bends_at_the_quotas_and_passes(measured):
    """2,000 agents connect again at once: no more a second than IoT Core takes, but all of them."""
    fleet = fleet_of(2_000, measured)
    SCENARIOS["reconnect-storm"](fleet)
    assert all(fleet.connected)
    assert fleet.cloud.throttled["IoT Core: connects"] > 0
    assert not [place for place in fleet.cloud.throttled if "by_group" in place], "IoT Core bends first"
    heard = fleet.cloud.latencies.by_kind["connection lost → Hello applied"]
    assert len(heard) == 2_000
    seconds = 2_000 / ceilings.SUBSCRIPTIONS.most
    assert max(heard) > seconds


def test_ten_thousand_silent_agents_and_lapsed_hops_are_handled_within_two_minutes(measured):
    """After an outage of an hour: the figures are the model's, the work is the handlers'."""
    fleet = fleet_of(10_000, measured)
    fleet.lapsed = [fleet.new_hop(number, number + 1) for number in range(9_990)]
    fleet.silent = list(range(9_990))
    fleet.minutes(60)
    fleet.cloud.run(120)
    assert not fleet.lapsed
    assert not fleet.silent
    for effect in ("lapsed → queued again", "silent → marked"):
        seconds = fleet.cloud.latencies.by_kind[effect]
        assert len(seconds) == 9_990
        assert max(seconds) <= 120


def test_costs_grow_with_the_fleet_and_no_faster(measured):
    """An idle hour at 10, 100 and 1,000 agents: what an agent costs is the same."""
    costs = []
    for agents in (10, 100, 1_000):
        fleet = fleet_of(agents, measured)
        fleet.settle()
        fleet.cloud.run(3_600)
        fleet.cloud.bill["cold starts"] = 0
        costs.append(sum(dollars(fleet.cloud, 60 * agents).values()) / agents)
    for smaller, larger in pairwise(costs):
        assert larger == pytest.approx(smaller, rel=0.1)
    assert costs[-1] * 24 * 30 <= 0.030, "all in: units, messages, minutes of connection, functions, logs"


def test_sizes_are_those_of_dynamodb():
    """Names count, text by its bytes, a number by half its digits."""
    assert size_of({"a": {"S": "x" * 10}, "bb": {"N": "1234"}, "c": {"BOOL": True}}) == 11 + 5 + 2
    assert size_of({"l": {"L": [{"S": "ü"}]}, "m": {"M": {"k": {"NULL": True}}}}) == 1 + 3 + 3 + 1 + 3 + 3
    assert size_of(None) == 0


def test_a_page_of_transfers_costs_the_same_among_twice_as_many():
    """Of any question that a person may ask; the figures of docs/scale.md are made in the same way."""
    few, many = costs(500), costs(1000)
    for name in LISTS:
        assert few[name].found == many[name].found > 0, name
        assert few[name].calls == many[name].calls, name
        assert few[name].units == pytest.approx(many[name].units, abs=0.5), name
    assert few["newest"].found == PAGE_SIZE
    assert max(cost.units for cost in many.values()) <= 60
