"""Figures of ports at rtpengines, by the latest answer of each: packets, the last one, and the reports of peers.

Ports of a call that is over keep theirs until the answer to its last order, which has its final figures.
"""

from collections.abc import Iterable, Mapping

import msgspec

from vosd.base.clock import Instant
from vosd.media.figures import DroppedPackets, PeerReport, PortFigures
from vosd.media.leg_media import LegFigures, LegMedia, RtpCall, added
from vosd.media.rtpengine_orders import RtpMedium, RtpPeerReports, RtpReply


class _Counted(msgspec.Struct, frozen=True, gc=False):
    """The figures of one port, and the packets of all its streams when they were asked for."""

    figures: PortFigures
    packets: int
    asked: Instant
    before: int = 0
    """Packets that came while it was at other rtpengines."""
    octets_before: int = 0
    """Octets of these packets."""


class CountedPorts:
    """The ports of legs at rtpengines, by their ids."""

    def __init__(self) -> None:
        self._ids: dict[tuple[int, int], int] = {}
        """Ids of ports by the number of their leg and the place of their medium."""
        self._counted: dict[int, _Counted] = {}
        self._ended: dict[RtpCall, dict[int, tuple[int, int]]] = {}
        """Ports of legs that are over, of calls that are not, or whose last answer is awaited: id, leg and place."""
        self._closed: dict[int, tuple[LegMedia, LegFigures | None, LegFigures]] = {}
        """Such legs by their numbers, with the figures of ports before, and of those that were closed last."""

    def __len__(self) -> int:
        """Return the number of ports that are counted."""
        return len(self._counted)

    def open(self, number: int, index: int, port_id: int, now: Instant) -> None:
        """Count the packets of a port from now on."""
        self._ids[number, index] = port_id
        self._counted[port_id] = _Counted(PortFigures(port_id), 0, now)

    def count_anew(self, port_id: int, now: Instant) -> None:
        """Go on counting at another rtpengine; silence is counted from now on."""
        counted = self._counted.get(port_id)
        if counted is not None:
            figures = msgspec.structs.replace(counted.figures, alive_mono=now.mono)
            self._counted[port_id] = _Counted(figures, 0, now, figures.packets_in, figures.octets_in)

    def count(self, reply: RtpReply, now: Instant) -> None:
        """Take the figures of a call."""
        reports = reply.peer_reports
        for tag, leg in reply.tags.items():
            for medium in leg.medias:
                port_id = self._ids.get((int(tag), medium.index - 1)) if tag.isdecimal() else None
                if port_id is not None and port_id in self._counted:
                    self._counted[port_id] = _counted_now(self._counted[port_id], medium, reports, now)

    def figures(self, port_id: int) -> PortFigures:
        """Return the figures of a port, as they were asked for last."""
        counted = self._counted.get(port_id)
        return PortFigures(port_id) if counted is None else counted.figures

    def asked_at(self, port_id: int) -> int | None:
        """Return when its figures were asked for last, on the monotonic clock; None = they never were."""
        counted = self._counted.get(port_id)
        return None if counted is None else counted.asked.mono

    def of_legs(self, numbers: Iterable[int]) -> list[int]:
        """Return the ids of the ports of some legs."""
        wanted = frozenset(numbers)
        return [port_id for (number, _), port_id in self._ids.items() if number in wanted]

    def forget_leg(self, media: LegMedia) -> None:
        """Forget the ports of a leg that is over and at no call."""
        for index, port in enumerate(media.ports):
            if port is not None and port.id < 0:
                self._ids.pop((media.number, index), None)
                self._counted.pop(port.id, None)

    def keep_leg(self, media: LegMedia, call: RtpCall, before: LegFigures | None, closed: LegFigures | None) -> None:
        """Keep the ports of a leg that is over until its call is released; those of ``closed`` are the last ones."""
        for index, port in enumerate(media.ports):
            if port is not None and port.id < 0:
                self._ended.setdefault(call, {})[port.id] = media.number, index
        if closed is not None and closed.figures.id in self._counted:
            self._closed[media.number] = media, before, closed

    def final_figures(self, number: int) -> LegFigures | None:
        """Return the figures of a leg that is over, by the latest answer; None = they are not kept any more."""
        closed = self._closed.get(number)
        if closed is None:
            return None
        _, before, last = closed
        return added(before, LegFigures(last.source, self.figures(last.figures.id), last.codecs))

    def note_final(self, call: RtpCall) -> None:
        """Give legs that are over their figures by the latest answer, for a record that is written later."""
        for number, _ in self._ended.get(call, {}).values():
            if number in self._closed:
                self._closed[number][0].ended = self.final_figures(number)

    def has_ended(self, call: RtpCall) -> bool:
        """Return whether ports of a call keep their figures although their legs are over."""
        return call in self._ended

    def release(self, call: RtpCall) -> None:
        """Forget the ports of legs that are over: the last answer about their call has come, or never will."""
        for port_id, place in self._ended.pop(call, {}).items():
            self._counted.pop(port_id, None)
            self._closed.pop(place[0], None)
            if self._ids.get(place) == port_id:
                del self._ids[place]


def _counted_now(
    before: _Counted, medium: RtpMedium, reports: Mapping[bytes, RtpPeerReports], now: Instant
) -> _Counted:
    """Return the figures of a port by what an rtpengine says of its medium.

    Its clock may be another one: its second of the last packet counts if it lies between both questions.
    """
    packets, last_s, rtp = 0, 0, None
    for stream in medium.streams:
        packets += stream.stats.packets
        last_s = max(last_s, stream.last_packet_s)
        if rtp is None and "RTP" in stream.flags:
            rtp = stream
    figures = before.figures
    if packets > before.packets:
        last_ms = 1_000 * last_s + 999
        alive_at = last_ms if before.asked.wall <= last_ms <= now.wall else now.wall
        alive_mono = max(before.asked.mono, now.mono - (now.wall - alive_at))  # the clock may have been set meanwhile
        figures = msgspec.structs.replace(figures, alive_at=alive_at, alive_mono=alive_mono, last_at=alive_at)
    if rtp is not None:
        counted, has_packets = rtp.stats, bool(rtp.stats.packets)
        figures = msgspec.structs.replace(
            figures,
            latched_host=rtp.endpoint.address if has_packets else None,
            latched_port=rtp.endpoint.port if has_packets else None,
            packets_in=before.before + counted.packets,
            first_at=figures.alive_at if has_packets and figures.first_at is None else figures.first_at,
            dropped=DroppedPackets(counted.errors),
            octets_in=before.octets_before + counted.bytes,
        )
        report = reports.get(bytes(rtp.sender)) if reports else None
        if report is not None:
            mean = report.mean
            peer = PeerReport(mean.lost_percent, report.lost, mean.jitter_ms)
            figures = msgspec.structs.replace(figures, peer=peer, round_trip_ms=mean.round_trip_us / 1_000 or None)
    return _Counted(figures, packets, now, before.before, before.octets_before)
