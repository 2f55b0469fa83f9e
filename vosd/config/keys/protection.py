"""``sip.connections``, ``sip.shield``, ``sip.overload``: limits that protect the switch."""

from typing import Annotated

from vosd.config.reader.fields import ONE_OR_MANY, KeyProblemError, Keys, line_of_text, milliseconds, switch, whole
from vosd.net.shield import SCANNERS


class ConnectionKeys(Keys):
    """Limits of TCP and TLS connections."""

    max: Annotated[int, whole(1, 1_000_000)] = 10_000
    """Open at the same time; a tenth is left to those that the switch opens, half of which are to places of routing
    gateways, and a tenth to those that it accepts. The process needs as many open files, systemd's ``LimitNOFILE``."""
    max_per_source: Annotated[int, whole(1, 1_000_000)] = 1_000
    """Accepted from one address (of IPv6: from its /64)."""
    max_unknown: Annotated[int, whole(0, 1_000_000)] = 200
    """Accepted from all unknown addresses together: phones before they register, far ends of dialogs, scanners. Where
    all are in use, one of the network (an IPv4 /24, an IPv6 /48) with most of them is ended for a further one."""
    max_unknown_per_source: Annotated[int, whole(1, 1_000_000)] = 20
    """Accepted from one unknown address (of IPv6: from its /64)."""
    max_own_per_source: Annotated[int, whole(1, 1_000_000)] = 16
    """Opened by the switch to one address (of IPv6: to its /64), places of routing gateways not counted: peers name
    others in Contact and Route. Where all are in use a further one is refused, else an unused one ends."""
    idle_timeout: Annotated[int, milliseconds(1_000, 86_400_000)] = 3_600_000
    """Close a connection after this time without a byte in either direction. A keep-alive (RFC 5626) counts from the
    address of a gateway or a registered phone; from other addresses only messages count. A connection that the switch
    has opened to a place of no routing gateway is closed after 5 minutes without a message."""
    keepalive: Annotated[int, milliseconds(0, 3_600_000)] = 120_000
    """Send a keep-alive (RFC 5626 4.4.1, a double CRLF) on every connection with a gateway or a registered phone each
    80 to 100 % of this time, on a WebSocket of 45 s at most; 0 sends none."""
    keepalive_timeout: Annotated[int, milliseconds(100, 60_000)] = 10_000
    """A peer that has answered a keep-alive before and is silent for so long after another one is disconnected."""
    alias: Annotated[bool, switch()] = False
    """Use the connection that a gateway has opened for our requests to it, where it asks for that by ``alias`` in Via
    (RFC 5923): over TCP from that very address, over TLS if its certificate bears the name that we would demand. Our
    own requests over TLS ask for the same, which needs a restart."""
    unknown_rate: Annotated[int, whole(0, 100_000)] = 50
    """Accepted per second from all unknown addresses together, in bursts of twice as many; 0 = no limit. One network
    (an IPv4 /24, an IPv6 /48) may have half of it, or as many as one address if that is more."""
    unknown_rate_per_source: Annotated[int, whole(0, 100_000)] = 10
    """Accepted per second from one unknown address (of IPv6: from its /64), in bursts of twice as many; 0 = no
    limit."""
    tls_rate: Annotated[int, whole(0, 100_000)] = 200
    """Accepted per second over TLS and secure WebSockets from all addresses of registered phones together, in bursts of
    twice as many; 0 = no limit. Each costs a TLS handshake, a millisecond of the processor that calls wait for."""
    tls_rate_per_source: Annotated[int, whole(0, 100_000)] = 100
    """Accepted per second in the same way from one address of registered phones or of a gateway (of IPv6: from its
    /64), in bursts of twice as many; 0 = no limit."""

    def _judge(self) -> None:
        if 0 < self.keepalive < 1_000:
            raise KeyProblemError("keepalive", "0, or at least a second")


class ShieldKeys(Keys):
    """Limits per source address, applied before a message is parsed. IPv6 counts by /64. A reload changes it."""

    stranger_rate: Annotated[int, whole(0, 1_000_000)] = 50
    """Messages per second from an unknown address, those within calls not counted; 0 = no limit. Messages above the
    rate are dropped and counted."""
    stranger_burst: Annotated[int, whole(1, 1_000_000)] = 250
    """Messages that an unknown address may send at once. Raise it where many phones share one address."""
    gateway_rate: Annotated[int, whole(0, 1_000_000)] = 5_000
    """Requests per second outside calls from the address of a gateway; 0 = no limit. Requests above the rate get 503
    with Retry-After."""
    block: Annotated[int, whole(0, 86_400, "seconds")] = 30
    """For how long an unknown source is blocked that has more than 2,000 messages dropped per second, and more than
    four times `stranger_rate`; a longer message counts once for each kilobyte. 0 = never. Gateways are never
    blocked."""
    scanners: Annotated[tuple[Annotated[str, line_of_text(3, 64)], ...], ONE_OR_MANY] = SCANNERS
    """Drop requests of unknown sources whose User-Agent contains one of these; case does not matter."""


class OverloadKeys(Keys):
    """Under overload new calls are refused, so that running calls go on. A reload changes it."""

    max_lag: Annotated[int, milliseconds(0, 10_000)] = 100
    """Time that a new call may wait in the queue. When the wait has been longer for 400 ms, calls that waited longer
    get 503 with Retry-After, until the wait was below half of this for a second; 0 refuses none."""
