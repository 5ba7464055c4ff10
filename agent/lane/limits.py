"""How long the two ends of a lane wait, and how much they allow."""

from dataclasses import dataclass

from agent.backoff import Backoff


@dataclass(frozen=True)
class LaneLimits:
    """The limits of one agent's lane, for all its hops. Times are in seconds."""

    dial_timeout_s: float = 5.0
    """To connect and shake hands with one address; also the time after which a hop that has reached no
    address fails."""
    head_start_s: float = 0.25
    """That the way which worked last time has for itself, as RFC 8305 has between two addresses."""
    redial_backoff: Backoff = Backoff(first_s=1.0, max_s=30.0)
    """Between two attempts of a source to dial its destination. The first delay applies as long as the
    destination answers but has not started this hop; delays grow while it cannot be reached."""
    max_dialing_threads: int = 256
    """Threads that dial the destinations of all served hops. Addresses come from peers, 16 from each."""

    accept_backoff_s: float = 0.2
    """Without accepting connections when the process has run out of descriptors."""
    hello_timeout_s: float = 2.0
    """From the connection to the end of the ClientHello."""
    handshake_timeout_s: float = 10.0
    """From the ClientHello to the end of the handshake."""
    upgrade_timeout_s: float = 10.0
    """Between the handshake and the end of the upgrade request of a source that dialed."""
    max_pending: int = 256
    """Connections that are not authenticated yet. Strangers must not use up the process's descriptors and
    threads."""
    max_pending_per_address: int = 64
    """Of these, from one IPv4 address, or one IPv6 network of 64 bits."""
    max_connections_per_hop: int = 64
    """Connections of one hop that is served."""
    max_idle_inbound: int = 64
    """Connections that the source of one hop dialed and that wait to be used."""

    long_round_trip_s: float = 0.02
    """To the source and back, from which on a line counts as long: about 2,000 km."""

    read_timeout_s: float = 120.0
    """That a source may be silent within an answer; its disk may be slow."""
    idle_timeout_s: float = 120.0
    """That a destination may be silent between requests and within one."""
    send_timeout_s: float = 3600.0
    """In which a peer must accept some of the data sent to it. A bandwidth limit can make it wait for
    long."""
    silence_timeout_s: float = 30.0
    """Without any sign of life from the peer's system after which a connection is given up, where it owes
    one: the line is cut, or a NAT has forgotten it. A slow line, or a peer that reads slowly, shows life."""

    keepalive_interval_s: float = 10.0
    """Of silence in an incremental listing after which a keepalive is sent: the peer treats longer silence as
    a broken connection."""
    upstream_timeout_s: float = 60.0
    """That the other hop of a chain may be paused or waiting for its next attempt before the incremental
    listing of its files ends."""

    relay_answer_timeout_s: float = 30.0
    """For the handshake and the first request of a relayed connection: the source polls for new
    connections."""
