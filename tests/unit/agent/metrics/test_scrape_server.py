"""A scraper gets the metrics; one that hangs, floods or talks nonsense costs the agent next to nothing."""

import asyncio
import socket
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from agent.metrics.families import gauge
from agent.metrics.openmetrics import CONTENT_TYPE, text
from agent.metrics.scrape_server import ScrapeLimits, ScrapeServer
from tests.support.openmetrics import parse
from tests.support.waiting import HANG_TIMEOUT_S, until

EXPOSITION = text([gauge("crosshaul_connected", "Whether.", 1)])
GET = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n"


class Scraped:
    """A server that serves, and counts how often it had to collect."""

    def __init__(self, limits: ScrapeLimits) -> None:
        self.collected = 0
        self.server = ScrapeServer(("127.0.0.1", 0), self.render, limits)

    def render(self) -> str:
        self.collected += 1
        return EXPOSITION

    async def connect(self):
        return await asyncio.open_connection("127.0.0.1", self.server.port)

    async def ask(self, request: bytes = GET) -> tuple[str, dict[str, str], str]:
        """Return status line, headers and body of the answer."""
        reader, writer = await self.connect()
        writer.write(request)
        head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
        writer.close()
        status, *lines = head.split("\r\n")
        return status, dict(line.split(": ", 1) for line in lines), body


PATIENT = ScrapeLimits(accept_interval_s=0.0, client_timeout_s=HANG_TIMEOUT_S)
"""For a busy machine, on which an answer may take longer than a scraper waits."""


@asynccontextmanager
async def scraped(limits: ScrapeLimits = PATIENT):
    found = Scraped(limits)
    task = asyncio.create_task(found.server.serve())
    try:
        await until(lambda: found.server.port or task.done())
        yield found
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_prometheus_scrapes_the_agent():
    async with scraped() as found:
        status, headers, body = await found.ask()
    assert status == "HTTP/1.1 200 OK"
    assert headers["Content-Type"] == CONTENT_TYPE
    assert int(headers["Content-Length"]) == len(body)
    assert parse(body)["crosshaul_connected"].type == "gauge"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 404 Not Found"),
        (b"GET /metrics/../../etc/passwd HTTP/1.1\r\n\r\n", "HTTP/1.1 404 Not Found"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 405 Method Not Allowed"),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", "HTTP/1.1 400 Bad Request"),
        (b"GET /metrics\r\n\r\n", "HTTP/1.1 400 Bad Request"),
    ],
)
async def test_whoever_asks_for_something_else_is_told_so(request_bytes, status):
    async with scraped() as found:
        assert (await found.ask(request_bytes))[0] == status
        assert (await found.ask())[0] == "HTTP/1.1 200 OK"


async def test_a_request_without_an_end_is_cut_off():
    async with scraped(replace(PATIENT, max_request_bytes=4096)) as found:
        assert (await found.ask(b"GET /metrics HTTP/1.1\r\n".ljust(4096, b"x")))[0].endswith("Bad Request")


async def test_scrapers_that_hang_are_given_up_and_the_next_one_is_answered():
    limits = ScrapeLimits(clients=2, client_timeout_s=0.05, accept_interval_s=0.0)
    async with scraped(limits) as found:
        hanging = [await found.connect() for _ in range(4)]
        async with asyncio.timeout(HANG_TIMEOUT_S):
            while (await found.ask())[0] != "HTTP/1.1 200 OK":
                pass  # on a busy machine, this one may have been too slow as well
        for _, writer in hanging:
            writer.close()


async def test_few_scrapers_are_answered_at_a_time():
    def answered() -> int:
        running = [task.get_coro() for task in asyncio.all_tasks()]
        return sum(getattr(one, "__qualname__", "") == "ScrapeServer._answer" for one in running)

    async with scraped(replace(PATIENT, clients=2)) as found:
        hanging = [await found.connect() for _ in range(6)]
        await until(lambda: answered() >= 2)
        for _ in range(100):  # turns of the loop: enough to take all of them
            await asyncio.sleep(0)
            assert answered() == 2, "the others wait in the system's queue"
        for _, writer in hanging:
            writer.close()


async def test_a_flood_of_scrapes_collects_the_metrics_once():
    async with scraped(replace(PATIENT, fresh_s=3600)) as found:
        answers = await asyncio.gather(*(found.ask() for _ in range(50)))
    assert {status for status, _, _ in answers} == {"HTTP/1.1 200 OK"}
    assert found.collected == 1


async def test_a_port_that_another_program_has_is_named():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
            await ScrapeServer(("127.0.0.1", port), lambda: EXPOSITION).serve()
