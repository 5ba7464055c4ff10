"""Routes of the API itself: health, and the address of live updates."""

from events.base import WIRE
from events.views import Health, LiveView, SignIn
from lambdas import adapters
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


@system.get("/live", action=READ)
def live(query: LiveQuery) -> LiveView:
    """Return a signed MQTT 5 WebSocket URL for live progress or change notices, valid for 5 minutes."""
    live = adapters.live_urls()
    return live.changes_url() if query.topic == "changes" else live.progress_url(query.transfer_id)
