"""The HTTP client: names under .localhost, and problems of any shape."""

import ssl

import httpx
import pytest

from agent.cloud.http import ApiProblem, client, raise_for_problem
from events import views
from tests.support.fakes_api import FakeApi, sample


@pytest.mark.parametrize("host", ["abc.execute-api.localhost", "localhost", "127.0.0.1"])
def test_names_under_localhost_are_this_machine_and_keep_their_host_header(api: FakeApi, host: str) -> None:
    address = api.url.replace("127.0.0.1", host)
    with client(address) as http:
        response = http.get("health")
    assert response.is_success
    ((_, path, _, headers),) = api.asked
    assert path == "/health"
    assert headers["host"] == httpx.URL(address).netloc.decode()
    assert headers["user-agent"].startswith("crosshaul/")
    assert str(response.request.url) == f"{address}/health"


def test_this_machine_is_never_asked_through_a_proxy(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    with client(api.url) as http:
        assert http.get("health").is_success


def test_the_authorities_are_read_once_however_many_requests_a_program_sends(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    with client(api.url) as http:
        assert http.get("health").is_success
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", pytest.fail)
    for address in (api.url, "https://api.example"):
        with client(address) as http:
            assert str(http.base_url).rstrip("/") == address


def raised(status: int, body: str, **headers: str) -> ApiProblem:
    with pytest.raises(ApiProblem) as caught:
        raise_for_problem(httpx.Response(status, text=body, headers=headers))
    return caught.value


def test_a_success_is_no_problem() -> None:
    raise_for_problem(httpx.Response(204))


def test_a_problem_keeps_its_words() -> None:
    details = sample(views.ProblemDetails)
    error = raised(404, details.model_dump_json())
    assert error.details == details
    assert (error.problem.code, error.problem.advice) == ("agent-unknown", details.advice)
    assert not error.problem.retryable


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"message": "Missing Authentication Token"}', "Missing Authentication Token"),
        ('{"Message": "Limit"}', "Limit"),
        ("<html>", "Service Unavailable"),
        ("[]", "Service Unavailable"),
        ("[" * 100_000, "Service Unavailable"),
    ],
)
def test_others_words_become_a_problem_too(body: str, words: str) -> None:
    error = raised(503, body, **{"Retry-After": "7"})
    assert (error.status, error.details.detail, error.retry_after) == (503, words, 7.0)
    assert (error.problem.code, error.problem.retryable) == ("api-refused", True)
