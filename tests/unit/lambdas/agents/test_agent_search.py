"""Agents are found by how their names begin, at the same cost among many as among few."""

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.support.agent_table import write_agents
from tests.support.dynamodb_reads import reads_counted
from tests.support.fakes import an_agent


@pytest.fixture
def add(here):
    """Return a function that adds agents of these names."""

    def write(*names: str) -> None:
        write_agents(map(an_agent, names))

    return write


@pytest.fixture
def reads() -> Iterator[Counter]:
    with reads_counted() as counted:
        yield counted


def names(here, **query) -> list[str]:
    answer = here.get("/agents", **query)
    assert answer.status == 200, answer.body
    return [agent["agent_id"] for agent in answer.body["agents"]]


def test_a_search_finds_names_that_begin_so(here, add):
    add("a", "web", "web-1", "web-2", "web2", "wec", "x", "0")
    assert names(here, search="web") == ["web", "web-1", "web-2", "web2"]
    assert names(here, search="web-") == ["web-1", "web-2"]
    assert names(here, search="y") == []
    assert names(here, search="") == names(here) == ["0", "a", "web", "web-1", "web-2", "web2", "wec", "x"]
    assert here.get("/agents", search="Web 1").status == 400


def test_its_pages_have_every_name_once(here, add):
    add("a", "b", *(f"web-{number}" for number in range(7)), "web", "web1", "webs")
    for search in ("", "web", "web-"):
        found, after = [], {}
        while True:
            page = here.get("/agents", search=search, limit="2", **after).body
            found += [agent["agent_id"] for agent in page["agents"]]
            if not page["next"]:
                break
            after = {"after": page["next"]}
        assert found == names(here, search=search)
    assert names(here, search="web", after="webs") == []
    assert names(here, search="a", after="x") == [], "a cursor of another search"


def test_a_search_reads_as_much_among_many_as_among_few(here, add, reads):
    add(*(f"web-{number}" for number in range(5)))

    def cost() -> dict[str, int]:
        reads.clear()
        assert len(names(here, search="web-")) == 5
        return dict(reads)

    cost()  # the first request reads the policies, too
    few = cost()
    add(*(f"db-{number}" for number in range(150)), *(f"x-{number}" for number in range(150)))
    assert cost() == few
