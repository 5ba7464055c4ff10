"""A proxy in awscrt's terms."""

from awscrt import http

from agent.cloud.proxy import Proxy


def proxy_options(proxy: Proxy | None) -> http.HttpProxyOptions | None:
    """Return the options of a tunnel through a proxy; None if there is no proxy."""
    if proxy is None:
        return None
    kinds = http.HttpProxyAuthenticationType
    return http.HttpProxyOptions(
        proxy.host,
        proxy.port,
        auth_type=kinds.Nothing if proxy.user is None else kinds.Basic,
        auth_username=proxy.user,
        auth_password=None if proxy.user is None else proxy.password,
        connection_type=http.HttpProxyConnectionType.Tunneling,
    )
