"""The media of a switch: their parts, put together."""

from collections.abc import Mapping, Sequence

from vosd.base.clock import Instant
from vosd.engine.counting import Counting
from vosd.engine.media.keeper import MediaKeeper
from vosd.engine.media.media_parts import MediaParts
from vosd.engine.media.moves import MovedCalls
from vosd.engine.media.relayed_calls import RelayedCalls
from vosd.engine.media.relayed_sessions import RelayedSessions
from vosd.engine.media.sessions_at_rtpengines import SessionsAtRtpEngines
from vosd.obs.figures import Figure
from vosd.trunks.media import PortRange


class SwitchMedia:
    """The doorkeeper of media, the calls whose media it has relayed, and their moves to other ports."""

    def __init__(self, parts: MediaParts) -> None:
        self.parts = parts
        self.sessions = RelayedSessions(parts)
        at_rtpengines = None
        if parts.rtpengines is not None:
            at_rtpengines = SessionsAtRtpEngines(parts, parts.rtpengines, self.sessions)
        self.moves = MovedCalls(parts)
        self.keeper = MediaKeeper(parts, self.sessions, at_rtpengines, self.moves)
        """Changes messages at the doors of legs."""
        self.calls = RelayedCalls(parts, self.sessions, at_rtpengines, self.moves)

    def used_percents(self, now: Instant) -> Mapping[PortRange, float]:
        """Return which percentage of the ports of each range of the relay is in use (``LegPorts.used_percents``)."""
        return {} if self.parts.leg_ports is None else self.parts.leg_ports.used_percents(now)

    def rtpengine_ports_used(self) -> Sequence[tuple[str, float]]:
        """Return which percentage of the ports of each rtpengine is in use that works and says so."""
        return () if self.parts.rtpengines is None else self.parts.rtpengines.engines.ports_used()

    def counted(self) -> tuple[int, int]:
        """Return the number of legs that have not ended, and of open ports."""
        medias = self.parts.legs.all_media()
        return len(medias), sum(len(media.open_ports()) for media in medias)


class MediaFigures(Counting):
    """Counts the legs and ports of media; a switch that relays none has none."""

    def __init__(self, media: SwitchMedia | None) -> None:
        self._media = media

    def census(self) -> Mapping[Figure, int]:
        """Count legs and open ports."""
        legs, ports = (0, 0) if self._media is None else self._media.counted()
        return {Figure.MEDIA_LEGS: legs, Figure.MEDIA_PORTS: ports}
