"""A port of the relay: one leg's address for one medium, who may send to it, and what came.

A relay (``vosd.relay``) implements ``MediaRelay``; who uses it decides whose ports are connected.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from vosd.trunks.media import MediaTrust, PortRange


class RelayPort(msgspec.Struct, frozen=True, array_like=True):
    """A port that is open at the relay."""

    id: int
    """Unique over restarts."""
    host: str
    """The address that it is bound to."""
    rtp: int
    rtcp: int | None
    """None = RTCP comes to the same port (RFC 5761)."""


class MediaSource(msgspec.Struct, frozen=True, array_like=True):
    """The media of a leg as its session description announces them."""

    host: str
    rtp: int
    """0 = the medium is refused."""
    rtcp_host: str
    rtcp: int | None
    """None = multiplexed."""
    sip_host: str
    """The address that its SIP comes from."""
    trust: MediaTrust
    payloads: tuple[int, ...]
    """Payload types that were agreed; empty = any, as for fax."""
    clocks: tuple[int, ...]
    """Clock rates of ``payloads``, in Hz."""


class PeerReport(msgspec.Struct, frozen=True):
    """The latest RTCP report of the peer about what it receives from us."""

    lost_percent: float
    jitter_ms: float
    round_trip_ms: float | None


class PortFigures(msgspec.Struct, frozen=True):
    """Figures of a port: packets in from its peer, and out to it; times are UTC milliseconds, None = no packet came."""

    latched: str | None = None
    """``host:port`` that media are taken from."""
    payload: int | None = None
    """The payload type seen most."""
    packets_in: int = 0
    packets_out: int = 0
    lost_percent: float = 0.0
    jitter_ms: float = 0.0
    jitter_max_ms: float = 0.0
    first_at: int | None = None
    last_at: int | None = None
    """The last packet of RTP or RTCP that was accepted."""
    foreign: int = 0
    """Packets that were dropped: of other sources, broken, of other payload types, or too many."""
    report: PeerReport | None = None


class MediaRelay(Protocol):
    """The ports of a relay. Nothing waits: what the workers do of it follows."""

    def open(self, host: str, ports: PortRange, *, is_multiplexed: bool, tos: int, now_ms: int) -> RelayPort | None:
        """Open a port at this address; ``now_ms`` is of the monotonic clock. None = none is free."""
        ...

    def expect(self, port: RelayPort, source: MediaSource) -> None:
        """Take media from this source from now on."""
        ...

    def connect(self, one: RelayPort, other: RelayPort) -> None:
        """Send by one port what comes in at the other, both ways, in place of what they were connected with."""
        ...

    def figures(self, port: RelayPort) -> PortFigures:
        """Return the figures of an open port, at most 20 ms old."""
        ...

    def close(self, port: RelayPort, now_ms: int) -> PortFigures:
        """Close a port and return its last figures; it is not opened again for some seconds."""
        ...

    def adopt(self, ports: Sequence[RelayPort]) -> None:
        """Go on with ports of an earlier process, and close all others that are open."""
        ...
