"""The media of a switch: their parts, put together."""

from collections.abc import Sequence

from vosd.base.clock import Instant
from vosd.engine.media.keeper import MediaKeeper
from vosd.engine.media.media_parts import MediaParts
from vosd.engine.media.moves import MovedCalls
from vosd.engine.media.relayed_calls import RelayedCalls
from vosd.engine.media.relayed_sessions import RelayedSessions
from vosd.engine.media.rtpengine_calls import RtpEngineCalls
from vosd.media.relay import MediaRelay
from vosd.sip.flows import Listener
from vosd.trunks.media import MediaAddress, MediaParameters


class SwitchMedia:
    """The doorkeeper of media, the calls whose media it has relayed, and their moves to other ports."""

    def __init__(
        self,
        relay: MediaRelay | None,
        listeners: Sequence[Listener],
        addresses: Sequence[Sequence[MediaAddress]],
        parameters: MediaParameters,
        now: Instant,
        rtpengines: RtpEngineCalls | None = None,
    ) -> None:
        """``addresses`` are those of the relay for each listener; without any it has the address of the listener.

        ``rtpengines`` relay in place of ``relay``, which is for calls without any that works; None = there is no such
        engine. ``now`` is the start of the process.
        """
        self.parts = MediaParts(relay, listeners, addresses, parameters, now, rtpengines)
        self.sessions = RelayedSessions(self.parts)
        self.keeper = MediaKeeper(self.parts, self.sessions)
        """Changes messages at the doors of legs."""
        self.moves = MovedCalls(self.parts)
        self.calls = RelayedCalls(self.parts, self.sessions, self.moves)

    def used_percent(self, now: Instant) -> float:
        """Return which percentage of the ports of the installation is in use, at the address with the most."""
        return 0.0 if self.parts.leg_ports is None else self.parts.leg_ports.used_percent(now)

    def counted(self) -> tuple[int, int]:
        """Return the number of legs that have not ended, and of open ports."""
        medias = self.parts.legs.all_media()
        return len(medias), sum(len(media.open_ports()) for media in medias)
