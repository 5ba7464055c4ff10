"""The API about itself, and the way to what is told live."""

from events.base import WIRE
from events.views import Health, LiveView, SignIn
from lambdas import wiring
from lambdas.api.queries import LiveQuery
from lambdas.api.routing import Resource
from lambdas.domain.authorization import READ

system = Resource("system")


@system.get("/health", may=None)
def health() -> Health:
    """Is it there, and where do people sign in?"""
    here = wiring.settings()
    sign_in = SignIn(
        region=here.region,
        user_pool_id=here.user_pool_id,
        client_id=here.sign_in_client_id,
        endpoint=here.sign_in_endpoint or None,
    )
    return Health(status="ok", stage=here.stage, version=here.version, wire=WIRE, sign_in=sign_in)


@system.get("/live", may=READ)
def live(query: LiveQuery) -> LiveView:
    """Where to listen for progress or news: an MQTT 5 WebSocket address, good for some minutes."""
    live = wiring.live_urls()
    return live.changes() if query.what == "news" else live.progress(query.transfer_id)
