"""Routes of the API itself: health, and live updates: their address, and who is watching."""

from events.base import WIRE
from events.requests import WatchRequest
from events.views import Health, LiveView, SignIn
from lambdas import adapters, wiring
from lambdas.api.queries import LiveQuery
from lambdas.api.routing import RouteGroup
from lambdas.domain.authorization import READ

system = RouteGroup("system")


@system.get("/health", action=None)
def health() -> Health:
    """Report that the API is up, its version, and where people sign in."""
    settings = adapters.settings()
    sign_in = SignIn(
        region=settings.region,
        user_pool_id=settings.user_pool_id,
        client_id=settings.sign_in_client_id,
        endpoint=settings.sign_in_endpoint or None,
    )
    return Health(status="ok", stage=settings.stage, version=settings.version, wire=WIRE, sign_in=sign_in)


@system.post("/live/watches", action=READ, status=204, max_body=4096)
def watch(body: WatchRequest) -> None:
    """Have agents publish live progress of these transfers for 90 s.

    While a page shows them, it asks again every 30 s. Otherwise agents report progress every 10 s.
    """
    wiring.live_watches().watch(body.transfers)


@system.get("/live", action=READ)
def live(query: LiveQuery) -> LiveView:
    """Return a signed MQTT 5 WebSocket URL for live progress or change notices, valid for 5 minutes."""
    live = adapters.live_urls()
    return live.changes_url() if query.topic == "changes" else live.progress_url(query.transfer_id)
