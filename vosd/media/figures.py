"""Figures of one media port: packets, loss, jitter, and the report of the peer."""

import msgspec


class PeerReport(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Latest report of a peer about the stream that it receives (RFC 3550 section 6.4.2)."""

    lost_percent: float
    """In the time since its report before."""
    lost: int
    """Since the beginning."""
    jitter_ms: float


class DroppedPackets(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Packets that were received and not forwarded, by reason."""

    unknown: int = 0
    """From a source that is not the believed one."""
    broken: int = 0
    """No RTP or RTCP."""
    payload: int = 0
    """A payload type that was not agreed."""
    excess: int = 0
    """Above the limit of packets a second."""
    kernel: int = 0
    """Dropped by the kernel: from a source that is not the believed one, or while the worker was late."""

    def plus(self, other: "DroppedPackets") -> "DroppedPackets":
        """Return the sums."""
        return DroppedPackets(
            self.unknown + other.unknown,
            self.broken + other.broken,
            self.payload + other.payload,
            self.excess + other.excess,
            self.kernel + other.kernel,
        )


class PortFigures(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Media of one leg at one port since it was opened. Times are in milliseconds, moments in UTC since the epoch."""

    id: int
    latched_host: str | None = None
    """Address of the believed source; None = no source was believed."""
    latched_port: int | None = None
    payload: int | None = None
    """Payload type of the most packets."""
    packets_in: int = 0
    """RTP packets that were accepted."""
    packets_out: int = 0
    """RTP packets that were sent."""
    unsent: int = 0
    """RTP packets that the kernel refused to send."""
    expected: int = 0
    """RTP packets that the peer sent, as far as sequence numbers tell."""
    lost: int = 0
    jitter_ms: float = 0.0
    """Mean of the interarrival jitter."""
    jitter_max_ms: float = 0.0
    first_at: int | None = None
    """Moment of the first RTP packet."""
    last_at: int | None = None
    """Moment of the last RTP packet."""
    alive_at: int | None = None
    """Moment of the last RTP or RTCP packet: the proof that the peer lives."""
    alive_mono: int | None = None
    """That moment on the monotonic clock, which all processes of the machine share."""
    dropped: DroppedPackets = DroppedPackets()
    peer: PeerReport | None = None
    round_trip_ms: float | None = None
    forwarded: int = 0
    """RTP packets of those accepted that the kernel has forwarded by itself."""
    octets_in: int = 0
    """Octets of the accepted RTP packets, with their headers; 0 = they were not counted."""

    @property
    def latched(self) -> tuple[str, int] | None:
        """Address and port of the believed source."""
        return (self.latched_host, self.latched_port) if self.latched_host and self.latched_port else None

    @property
    def lost_percent(self) -> float:
        """Share of packets that were lost, with one decimal."""
        return round(100 * self.lost / self.expected, 1) if self.expected else 0.0

    @property
    def foreign(self) -> int:
        """Packets that were dropped, whatever the reason."""
        dropped = self.dropped
        return dropped.unknown + dropped.broken + dropped.payload + dropped.excess + dropped.kernel

    def plus(self, later: "PortFigures") -> "PortFigures":
        """Return the figures of both: a port that another worker or engine has taken over counts from zero."""
        packets = self.packets_in + later.packets_in
        measured = self.expected + later.expected  # an rtpengine measures neither loss nor jitter
        jitter_sum = self.jitter_ms * self.expected + later.jitter_ms * later.expected
        return PortFigures(
            id=self.id,
            latched_host=later.latched_host or self.latched_host,
            latched_port=later.latched_port or self.latched_port,
            payload=later.payload if later.packets_in > self.packets_in else self.payload,
            packets_in=packets,
            packets_out=self.packets_out + later.packets_out,
            unsent=self.unsent + later.unsent,
            expected=self.expected + later.expected,
            lost=self.lost + later.lost,
            jitter_ms=jitter_sum / measured if measured else 0.0,
            jitter_max_ms=max(self.jitter_max_ms, later.jitter_max_ms),
            first_at=later.first_at if self.first_at is None else self.first_at,
            last_at=self.last_at if later.last_at is None else later.last_at,
            alive_at=self.alive_at if later.alive_at is None else later.alive_at,
            alive_mono=self.alive_mono if later.alive_mono is None else later.alive_mono,
            dropped=self.dropped.plus(later.dropped),
            peer=later.peer or self.peer,
            round_trip_ms=self.round_trip_ms if later.round_trip_ms is None else later.round_trip_ms,
            forwarded=self.forwarded + later.forwarded,
            octets_in=self.octets_in + later.octets_in,
        )
