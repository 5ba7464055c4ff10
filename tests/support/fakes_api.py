"""A fake Crosshaul API and Cognito on a loopback port, with answers made from the wire models."""

import base64
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import BaseModel

import events
from events import audit, policies, requests, rollouts, updates, views
from events.base import Message
from events.policies import Effect
from events.states import HopState, TransferState
from tests.support.fakes import a_person
from tests.support.fakes_cognito import POOL_ID, FakeCognito

M = TypeVar("M", bound=Message)
NOW = datetime(2026, 11, 24, 1, 30, tzinfo=UTC)
TRANSFER = "k3v9q0d7m2x8c5n1b6za"


def sample(model: type[M], **changes: Any) -> M:
    """Return the model's sample from events/samples with some fields changed."""
    room = model.__module__.rpartition(".")[2]
    path = Path(events.__file__).parent / "samples" / room / f"{model.__name__}.json"
    return model.model_validate(json.loads(path.read_text()) | changes)


def transfer_view(state: TransferState, share: float = 0.5, **changes: Any) -> views.TransferView:
    """Return the sample transfer and its one hop in this state, with this share of its bytes done."""
    whole = sample(views.TransferView)
    progress = whole.progress.model_copy(update={"bytes_done": int(share * 2**30), "bytes_total": 2**30})
    hop_state = HopState(state.replace("partially_", ""))
    problem = whole.hops[0].problem if hop_state is HopState.FAILED else None
    update = {"state": hop_state, "progress": progress, "problem": problem, "failures": ()}
    hop = whole.hops[0].model_copy(update=update | changes.pop("hop", {}))
    return whole.model_copy(update={"state": state, "progress": progress, "hops": (hop,)} | changes)


def problem(status: int, detail: str, advice: str = "") -> views.ProblemDetails:
    return views.ProblemDetails(
        type="urn:crosshaul:problem:some-kind", title="Some", status=status, detail=detail, advice=advice
    )


def id_token(serial: int, ends_in: float, groups: list[str]) -> str:
    claims = {"exp": int(time.time() + ends_in), "cognito:groups": groups, "jti": str(serial)}
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{body}.c2ln"


class FakeApi:
    """The fake API. A test may change what it holds at any time; `asked` records every request."""

    def __init__(self, port: int) -> None:
        self.cognito = f"http://127.0.0.1:{port}"
        self.url = f"{self.cognito}/local"
        self.console_config: dict[str, str] | None = None
        """What the console publishes at /console/config.json."""
        self.people = FakeCognito(self.issue)
        self.token_life = 3600.0
        self.tokens: set[str] = set()
        self.agents = [sample(views.AgentView)]
        self.log = sample(views.AgentLogView)
        self.rollouts = [sample(rollouts.RolloutView)]
        self.updates = [sample(updates.UpdateDetails)]
        self.entries = [sample(views.ListingView)]
        self.objects = [sample(views.BucketListingView)]
        self.older_entries: list[views.TimelineEntry] = []
        """Entries of a timeline before those of the transfer's view, oldest first."""
        self.stories: dict[str, list[views.TransferView]] = {}
        """Views of a transfer by id, one per request; the last one is repeated."""
        self.first_page_is_empty = False
        self.manifests: dict[str, str] = {}
        """URL of the manifest by hop id."""
        self.missing: tuple[str, ...] = ()
        self.templates: dict[str, views.TemplateView] = {}
        self.policy_outcome: Effect = "allowed"
        self.audit = [sample(audit.AuditRecord)]
        self.live_url: str | None = None
        self.watched: tuple[str, ...] = ()
        self.problems: list[views.ProblemDetails] = []
        """Problems that answer the next requests."""
        self.cost_sums = [sample(views.CostSum)]
        self.other_costs: views.CostSum | None = None
        self.hang_ups = 0
        self.routes = list(ROUTES)
        """Number of the next requests that are disconnected without an answer."""
        self.asked: list[tuple[str, str, Any, dict[str, str]]] = []
        """Requests: (method, path with query, body, headers in lowercase)."""

    def issue(self, ends_in: float | None = None) -> str:
        token = id_token(len(self.tokens), self.token_life if ends_in is None else ends_in, ["operator"])
        self.tokens.add(token)
        return token

    def named(self, method: str, path: str) -> list[tuple[str, str, Any, dict[str, str]]]:
        return [one for one in self.asked if one[0] == method and urlsplit(one[1]).path == path]

    # The API

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        for verb, pattern, handle in self.routes:
            if verb == method and (found := re.fullmatch(pattern, path)):
                return handle(self, query, body, *map(unquote, found.groups()))
        return 404, problem(404, f"no route {method} {path}")

    def health(self, query: dict[str, str], body: Any) -> tuple[int, Any]:
        sign_in = {
            "region": "eu-central-1",
            "user_pool_id": POOL_ID,
            "client_id": "client",
            "endpoint": self.cognito,
        }
        return 200, {"status": "ok", "stage": "local", "version": "0.1.0", "wire": 1, "sign_in": sign_in}

    def costs(self, query: dict[str, str], body: Any) -> tuple[int, Any]:
        fields = {"month": query.get("month", f"{NOW:%Y-%m}"), "by": query["by"]}
        return 200, sample(views.CostsView, **fields, sums=self.cost_sums, others=self.other_costs)

    def list_agents(self, query: dict[str, str], body: Any) -> tuple[int, Any]:
        beginning, limit = query.get("search", ""), int(query.get("limit", 50))
        found = [agent for agent in self.agents if agent.agent_id.startswith(beginning)]
        return 200, views.AgentsView(agents=tuple(found[:limit]))

    def show_fleet(self, query: dict[str, str], body: Any) -> tuple[int, Any]:
        beginning, limit = query.get("search", ""), int(query.get("limit", 50))
        found = [agent for agent in self.agents if agent.agent_id.startswith(beginning)]
        if "status" in query:
            found = [agent for agent in found if agent.status == query["status"]]
        counted = Counter(agent.status.value for agent in self.agents)
        counts = {status: counted[status] for status in ("online", "late", "offline")}
        return 200, views.FleetView(
            counts=views.AgentCounts(**counts, attention=0),
            newest_version="0.1.0",
            agents=tuple(map(_in_short, found[:limit])),
            next=found[limit - 1].agent_id if len(found) > limit else None,
        )

    def one_agent(self, query: dict[str, str], body: Any, name: str) -> tuple[int, Any]:
        found = [agent for agent in self.agents if agent.agent_id == name]
        return (200, found[0]) if found else (404, sample(views.ProblemDetails))

    def rotate(self, query: dict[str, str], body: Any, name: str) -> tuple[int, Any]:
        status, found = self.one_agent(query, body, name)
        if status != 200:
            return status, found
        self.agents = [found.model_copy(update={"rotation_wanted_at": NOW})]
        return 202, self.agents[0]

    def drain(self, query: dict[str, str], body: Any, name: str) -> tuple[int, Any]:
        wanted = dict(requests.DrainRequest.model_validate(body))
        return self._drained(name, views.Drain(by=a_person("ana"), at=NOW, **wanted))

    def read_log(self, query: dict[str, str], body: Any, name: str) -> tuple[int, Any]:
        status, found = self.one_agent(query, body, name)
        if status != 200:
            return status, found
        wanted = requests.LogRequest.model_validate(body)
        return 200, self.log.model_copy(update={"lines": self.log.lines[-wanted.lines :]})

    def end_drain(self, query: dict[str, str], body: Any, name: str) -> tuple[int, Any]:
        return self._drained(name, None)

    def _drained(self, name: str, drain: views.Drain | None) -> tuple[int, Any]:
        status, found = self.one_agent({}, None, name)
        if status != 200:
            return status, found
        self.agents = [found.model_copy(update={"drain": drain})]
        return 200, self.agents[0]

    def enroll(self, query: dict[str, str], body: Any) -> tuple[int, Any]:
        request = requests.EnrollmentRequest.model_validate(body)
        return 201, sample(views.EnrollmentView, agent_id=request.agent_id)

    def start_rollout(self, query: dict[str, str], body: Any) -> tuple[int, Any]:
        request = rollouts.RolloutRequest.model_validate(body)
        return 201, sample(rollouts.StartedRolloutView, name=request.name, count=request.count)

    def list_rollouts(self, query: dict[str, str], body: Any) -> tuple[int, Any]:
        return 200, rollouts.RolloutsView(rollouts=tuple(self.rollouts))

    def start_update(self, query: dict[str, str], body: Any) -> tuple[int, Any]:
        request = updates.UpdateRequest.model_validate(body)
        return 201, sample(updates.UpdateDetails, version=request.version or "0.2.0")

    def list_updates(self, query: dict[str, str], body: Any) -> tuple[int, Any]:
        shown = tuple(updates.UpdateView.model_validate(one.model_dump()) for one in self.updates)
        return 200, updates.UpdatesView(updates=shown)

    def show_update(self, query: dict[str, str], body: Any, name: str) -> tuple[int, Any]:
        found = [one for one in self.updates if one.update_id == name]
        return (200, found[0]) if found else (404, problem(404, f"There is no update {name}."))

    def cancel_update(self, query: dict[str, str], body: Any, name: str) -> tuple[int, Any]:
        return 200, self.updates[0].model_copy(update={"state": "cancelled"})

    def end_rollout(self, query: dict[str, str], body: Any, name: str) -> tuple[int, Any]:
        found = [one for one in self.rollouts if one.rollout_id == name]
        if not found:
            return 404, problem(404, f"no roll-out {name}")
        self.rollouts = [
            found[0].model_copy(update={"state": "ended", "ended_at": NOW, "ended_by": a_person("ana")})
        ]
        return 200, self.rollouts[0]

    def remove_agent(self, query: dict[str, str], body: Any, name: str) -> tuple[int, Any]:
        self.agents = [agent for agent in self.agents if agent.agent_id != name]
        return 204, None

    def browse(self, query: dict[str, str], body: Any, name: str) -> tuple[int, Any]:
        after = requests.BrowseRequest.model_validate(body).after
        numbers = [None, *(page.next for page in self.entries)]
        return 200, self.entries[numbers.index(after)]

    def browse_bucket(self, query: dict[str, str], body: Any, name: str) -> tuple[int, Any]:
        after = requests.BucketBrowseRequest.model_validate(body).after
        numbers = [None, *(page.next for page in self.objects)]
        return 200, self.objects[numbers.index(after)]

    def request_transfer(self, query: dict[str, str], body: Any) -> tuple[int, Any]:
        requests.TransferRequest.model_validate(body)
        return 202, self._look(TRANSFER)

    def list_transfers(self, query: dict[str, str], body: Any) -> tuple[int, Any]:
        if self.first_page_is_empty and "after" not in query:
            return 200, views.TransfersView(transfers=(), next="0")
        found = [story[0] for story in self.stories.values()]
        first = int(query.get("after", 0))
        page = found[first : first + int(query["limit"])]
        end = first + len(page)
        return 200, views.TransfersView(transfers=tuple(page), next=str(end) if end < len(found) else None)

    def count_transfers(self, query: dict[str, str], body: Any) -> tuple[int, Any]:
        return 200, views.TransferCount(count=len(self.stories), complete=True)

    def one_transfer(self, query: dict[str, str], body: Any, name: str) -> tuple[int, Any]:
        return (200, self._look(name)) if name in self.stories else (404, problem(404, f"no transfer {name}"))

    def timeline(self, query: dict[str, str], body: Any, name: str) -> tuple[int, Any]:
        """Return what is older than a cursor: the number of older entries."""
        older = self.older_entries[: int(query["after"])]
        following = str(len(older) - 2) if older[2:] else None
        return 200, views.TimelineView(entries=tuple(older[-2:]), next=following)

    def manifest(self, query: dict[str, str], body: Any, name: str) -> tuple[int, Any]:
        hops = [sample(views.HopManifest, hop_id=hop, url=url) for hop, url in self.manifests.items()]
        return 200, sample(views.ManifestView, transfer_id=name, hops=hops, missing=self.missing)

    def _look(self, name: str) -> views.TransferView:
        story = self.stories[name]
        return story.pop(0) if len(story) > 1 else story[0]

    def steer(self, query: dict[str, str], body: Any, name: str, verb: str) -> tuple[int, Any]:
        return 202, self.stories[name][0]

    def live(self, query: dict[str, str], body: Any) -> tuple[int, Any]:
        if self.live_url is None:
            return 503, problem(503, "no live connection here")
        topics = (f"crosshaul/local/agents/+/live/{query['transfer_id']}/+",)
        return 200, sample(views.LiveView, url=self.live_url, topics=topics)

    def watch(self, query: dict[str, str], body: Any) -> tuple[int, Any]:
        self.watched += requests.WatchRequest.model_validate(body).transfers
        return 204, None

    def list_templates(self, query: dict[str, str], body: Any) -> tuple[int, Any]:
        return 200, views.TemplatesView(templates=tuple(self.templates.values()))

    def one_template(self, query: dict[str, str], body: Any, name: str) -> tuple[int, Any]:
        known = self.templates.get(name)
        return (200, known) if known else (404, problem(404, f"no template is called {name}"))

    def create_template(self, query: dict[str, str], body: Any) -> tuple[int, Any]:
        return 201, self._keep(body, 1)

    def replace_template(self, query: dict[str, str], body: Any, name: str) -> tuple[int, Any]:
        return 200, self._keep(body, self.templates[name].version + 1)

    def remove_template(self, query: dict[str, str], body: Any, name: str) -> tuple[int, Any]:
        del self.templates[name]
        return 204, None

    def list_policies(self, query: dict[str, str], body: Any) -> tuple[int, Any]:
        return 200, sample(policies.PoliciesView)

    def one_policy(self, query: dict[str, str], body: Any, name: str) -> tuple[int, Any]:
        return 200, sample(policies.PolicyDetails, policy_id=name)

    def put_policy(self, query: dict[str, str], body: Any, name: str) -> tuple[int, Any]:
        asked = policies.PolicyRequest.model_validate(body)
        return 200, sample(policies.PolicyDetails, policy_id=name, text=asked.text, why=asked.why)

    def remove_policy(self, query: dict[str, str], body: Any, name: str) -> tuple[int, Any]:
        return 204, None

    def test_policies(self, query: dict[str, str], body: Any) -> tuple[int, Any]:
        policies.PolicyTest.model_validate(body)
        return 200, sample(policies.PolicyTestView, outcome=self.policy_outcome)

    def dry_run_policy(self, query: dict[str, str], body: Any, name: str) -> tuple[int, Any]:
        policies.DryRunRequest.model_validate(body)
        return 200, sample(policies.DryRunView)

    def list_audit(self, query: dict[str, str], body: Any) -> tuple[int, Any]:
        return 200, audit.AuditView(records=tuple(self.audit))

    def audit_chain(self, query: dict[str, str], body: Any, day: str) -> tuple[int, Any]:
        link = sample(audit.AuditLink)
        return 200, audit.AuditChainView(links=(link,) if link.day == day else ())

    def audit_seals(self, query: dict[str, str], body: Any) -> tuple[int, Any]:
        return 200, sample(audit.AuditSealsView)

    def _keep(self, body: Any, version: int) -> views.TemplateView:
        asked = dict(requests.TemplateRequest.model_validate(body))
        named = {
            "template_id": asked.pop("name"),
            "version": version,
            "owner": a_person("ana"),
            "warnings": (),
        }
        view = sample(views.TemplateView).model_copy(update=asked | named)
        self.templates[view.template_id] = view
        return view


_ONE = "([^/]+)"
ROUTES: list[tuple[str, str, Callable[..., tuple[int, Any]]]] = [
    ("GET", "/health", FakeApi.health),
    ("GET", "/agents", FakeApi.list_agents),
    ("GET", "/costs", FakeApi.costs),
    ("GET", "/fleet", FakeApi.show_fleet),
    ("POST", "/agents/enrollments", FakeApi.enroll),
    ("GET", "/rollouts", FakeApi.list_rollouts),
    ("POST", "/rollouts", FakeApi.start_rollout),
    ("POST", f"/rollouts/{_ONE}/end", FakeApi.end_rollout),
    ("GET", "/updates", FakeApi.list_updates),
    ("POST", "/updates", FakeApi.start_update),
    ("GET", f"/updates/{_ONE}", FakeApi.show_update),
    ("POST", f"/updates/{_ONE}/cancel", FakeApi.cancel_update),
    ("GET", f"/agents/{_ONE}", FakeApi.one_agent),
    ("POST", f"/agents/{_ONE}/rotate", FakeApi.rotate),
    ("POST", f"/agents/{_ONE}/log", FakeApi.read_log),
    ("PUT", f"/agents/{_ONE}/drain", FakeApi.drain),
    ("DELETE", f"/agents/{_ONE}/drain", FakeApi.end_drain),
    ("DELETE", f"/agents/{_ONE}", FakeApi.remove_agent),
    ("POST", f"/agents/{_ONE}/browse", FakeApi.browse),
    ("GET", "/buckets", lambda *_: (200, sample(views.BucketsView))),
    ("POST", f"/buckets/{_ONE}/browse", FakeApi.browse_bucket),
    ("POST", "/transfers", FakeApi.request_transfer),
    ("GET", "/transfers", FakeApi.list_transfers),
    ("GET", "/transfers/count", FakeApi.count_transfers),
    ("GET", f"/transfers/{_ONE}", FakeApi.one_transfer),
    ("GET", f"/transfers/{_ONE}/manifest", FakeApi.manifest),
    ("GET", f"/transfers/{_ONE}/timeline", FakeApi.timeline),
    ("POST", f"/transfers/{_ONE}/(cancel|pause|resume|retry|acknowledgment|approval|decline)", FakeApi.steer),
    ("GET", "/live", FakeApi.live),
    ("POST", "/live/watches", FakeApi.watch),
    ("GET", "/templates", FakeApi.list_templates),
    ("POST", "/templates", FakeApi.create_template),
    ("GET", f"/templates/{_ONE}", FakeApi.one_template),
    ("PUT", f"/templates/{_ONE}", FakeApi.replace_template),
    ("DELETE", f"/templates/{_ONE}", FakeApi.remove_template),
    ("GET", "/policies", FakeApi.list_policies),
    ("GET", f"/policies/{_ONE}", FakeApi.one_policy),
    ("PUT", f"/policies/{_ONE}", FakeApi.put_policy),
    ("DELETE", f"/policies/{_ONE}", FakeApi.remove_policy),
    ("GET", "/audit", FakeApi.list_audit),
    ("GET", "/audit/seals", FakeApi.audit_seals),
    ("GET", f"/audit/chain/{_ONE}", FakeApi.audit_chain),
    ("POST", "/policies/test", FakeApi.test_policies),
    ("POST", f"/policies/{_ONE}/dry-run", FakeApi.dry_run_policy),
]


def _in_short(agent: views.AgentView) -> views.AgentSummary:
    """Return an agent as lists show it."""
    fields = agent.model_dump(exclude={"roots", "capabilities"})
    is_online = agent.status == "online"
    missing = [root.path for root in agent.roots if root.free is None]
    shares = [root.free * 100 // root.size for root in agent.roots if root.free is not None and root.size]
    in_short = {
        "roots": len(agent.roots),
        "free_percent": min(shares, default=None),
        "remotes": agent.capabilities.remotes,
        "last_heartbeat": None if is_online else agent.last_heartbeat,
        "warnings": [{"kind": "root_missing", "path": path} for path in missing if is_online],
    }
    return views.AgentSummary.model_validate({**fields, **in_short})


CRITERIA = {
    "status", "attention", "search", "agent", "source", "destination", "template", "by", "since", "until",
}  # fmt: skip
QUERIES = {
    "/costs": {"month", "by"},
    "/agents": {"limit", "after", "search"},
    "/fleet": {"limit", "after", "search", "status", "tag", "attention", "outdated", "names"},
    "/rollouts": {"limit", "after"},
    "/updates": {"limit", "after"},
    "/templates": {"limit", "after"},
    "/transfers": {"limit", "after", "sort", *CRITERIA},
    "/transfers/count": CRITERIA,
    "/live": {"transfer_id"},
    "/audit": {"limit", "after", "person", "agent", "transfer_id", "since", "until"},
}


class _ApiHandler(BaseHTTPRequestHandler):
    fake: FakeApi

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or b"null")
        if target := self.headers.get("X-Amz-Target"):
            return self._answer(*self.fake.people.answer(target.rpartition(".")[2], body))
        if self.path == "/console/config.json" and self.fake.console_config is not None:
            return self._answer(200, self.fake.console_config)
        if self.path.startswith("/console/"):  # the console answers every other path with its page
            return self._answer(200, "<!doctype html>")
        path = self.path.removeprefix("/local")
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.fake.asked.append((self.command, path, body, headers))
        if self.fake.hang_ups:
            self.fake.hang_ups -= 1
            self.close_connection = True
            return None
        return self._answer(*self._decide(path, body))

    def _decide(self, path: str, body: Any) -> tuple[int, Any]:
        parts = urlsplit(path)
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if parts.path != "/health" and token not in self.fake.tokens:
            return 401, {"message": "Unauthorized"}
        if self.fake.problems:
            refusal = self.fake.problems.pop(0)
            return refusal.status, refusal
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        paged = "/chain/" in parts.path or parts.path.endswith("/timeline")
        known = QUERIES.get(parts.path, {"limit", "after"} if paged else set())
        unknown = set(query) - known
        if unknown and self.command == "GET":
            return 400, problem(400, f"{parts.path} takes no {unknown}")
        return self.fake.answer(self.command, parts.path, query, body)

    def _answer(self, status: int, value: Any) -> None:
        said = value.model_dump_json() if isinstance(value, BaseModel) else json.dumps(value)
        if isinstance(value, str):  # for example a proxy's page
            said = value
        raw = b"" if value is None else said.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815  (the standard library's names)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Log nothing: stderr belongs to the command under test."""


@contextmanager
def fake_api() -> Iterator[FakeApi]:
    """Yield a fake API on a free loopback port."""
    handler = type("Handler", (_ApiHandler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    handler.fake = FakeApi(server.server_port)  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield handler.fake  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
