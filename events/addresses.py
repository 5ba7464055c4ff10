"""Which addresses agents may dial each other at."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address

_BROADCAST = IPv4Address("255.255.255.255")


def may_be_dialed(address: IPv4Address | IPv6Address, *, loopback: bool) -> bool:
    """Return whether an agent may dial this address because a peer names it.

    Never link-local (which includes the metadata service of clouds), multicast and unspecified addresses;
    the dialing host's own ones only with `loopback`, for agents that all run on one host.
    """
    if isinstance(address, IPv6Address) and (inner := address.ipv4_mapped or address.sixtofour):
        return may_be_dialed(inner, loopback=loopback)
    if address.is_loopback:
        return loopback
    return not (
        address.is_link_local or address.is_multicast or address.is_unspecified or address == _BROADCAST
    )


def dialable(endpoints: Iterable[str], *, loopback: bool) -> tuple[str, ...]:
    """Return those of `endpoints` (`host:port`) whose host may be dialed, as far as its text tells.

    What a name leads to, the dialing agent checks.
    """
    return tuple(endpoint for endpoint in endpoints if _may_name(endpoint, loopback=loopback))


def _may_name(endpoint: str, *, loopback: bool) -> bool:
    host = endpoint.rpartition(":")[0].removeprefix("[").removesuffix("]").rstrip(".").lower()
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return loopback or not (host == "localhost" or host.endswith(".localhost"))
    return may_be_dialed(address, loopback=loopback)
