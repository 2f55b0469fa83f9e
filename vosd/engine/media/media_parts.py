"""Parts of the media of a switch, which the door, the calls and their moves to other ports share."""

from collections.abc import Callable, Mapping, Sequence

from vosd.b2bua.leg import Leg
from vosd.base.clock import Instant
from vosd.engine.media.announcements import SoundsForCallers
from vosd.engine.media.end_warning import EngineWarnings
from vosd.engine.media.key_conversion import KeyConversion
from vosd.engine.media.leg_ports import LegPorts
from vosd.engine.media.losses import MediaLosses
from vosd.engine.media.music import HoldMusic
from vosd.engine.media.numbered_legs import NumberedLegs
from vosd.engine.media.ports_at_engines import PortsAtEngines
from vosd.engine.media.recordings import CallRecordings
from vosd.engine.media.rtpengine_calls import RtpEngineCalls
from vosd.engine.media.sounds_at_rtpengine import SoundsAtRtpEngines
from vosd.media.leg_media import LegFigures, LegMedia, added
from vosd.media.relay import MediaRelay
from vosd.media.sounds import Sound
from vosd.media.source import RelayPort
from vosd.sip.flows import Listener
from vosd.trunks.gateways import RoutingGateway
from vosd.trunks.media import MediaAddress, MediaFallback, MediaParameters


class MediaParts:
    """Parts of the media of a switch: engines, legs with their ports, sounds, keys, and parameters."""

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
        self.relay = relay
        self.rtpengines = rtpengines
        self.relays = relay is not None or rtpengines is not None
        """Whether there is anything that relays media; else codecs are limited alone."""
        self.takes_calls = self.relays
        """Whether it relays new calls; else those of a run before that had an engine, until they end."""
        self.listeners = listeners
        self.addresses = addresses
        """Addresses of the relay for each listener."""
        self.parameters = parameters
        self.began_ms = now.mono
        self.legs = NumberedLegs(now)
        self.leg_ports = None if relay is None else LegPorts(relay, listeners, addresses, parameters)
        """Ports at the relay; None = there is none."""
        self.at_engines = PortsAtEngines(relay, rtpengines)
        """Facts of open ports, at the relay or at an rtpengine."""
        self.keys = KeyConversion(relay)
        engine_sounds = None if rtpengines is None else SoundsAtRtpEngines(rtpengines)
        self.callers_sounds = SoundsForCallers(relay, listeners, addresses, engine_sounds)
        """Announcements."""
        self.music = HoldMusic(relay, self.legs.by_number, rtpengines)
        self.engine_warnings = None if rtpengines is None else EngineWarnings(rtpengines, self.music, self.legs)
        """Warnings of the ends of calls; None = there is no such engine."""
        self.losses = MediaLosses()
        """Lost packets of routing gateways, for their alarm."""
        self.customer_losses = MediaLosses()
        """Lost packets of mapping gateways, for theirs."""
        self.recordings: CallRecordings | None = None
        """Records calls; None = the relay has no directory for that."""
        self.recorded_share: Callable[[RoutingGateway], int] = _none_recorded
        """Returns the percent of calls to a gateway or phone that are recorded for its account."""

    @property
    def falls_back(self) -> bool:
        """Whether the relay takes calls while no rtpengine works."""
        return self.relay is not None and self.parameters.fallback is MediaFallback.RELAY

    def close_ports(self, media: LegMedia, now: Instant) -> None:
        """Close the ports of a leg, and end its sounds; keep its figures."""
        if media.announcement is not None:
            self.callers_sounds.end(media, now)
        if media.music is not None:
            self.music.left_by(media, now)
        closed: LegFigures | None = None
        for index, port in enumerate(media.ports):
            figures = None if port is None else self.at_engines.close(port, now)
            if figures is not None and (closed is None or index == media.audio):
                source = media.sources[index] if index < len(media.sources) else None
                closed = LegFigures(source, figures, media.codecs_before)
        before = media.ended
        media.ended = closed if before is None else added(before, closed)
        if self.rtpengines is not None:  # it may have no later figures at once
            self.rtpengines.leg_over(media, before, closed)
        media.ports = ()

    def leave_port(self, media: LegMedia, index: int, port: RelayPort, now: Instant) -> None:
        """Close a port of the relay that a leg has another one for now; music and recording go on at that one."""
        if index == media.audio:
            if media.music is not None:
                self.music.over(media, now)
            self.keys.leave(port)
            if self.recordings is not None:
                self.recordings.moved(media, port)
        figures = self.at_engines.close(port, now)
        if figures is not None and index == media.audio:
            media.ended = added(media.ended, LegFigures(media.source(index), figures, media.codecs_before))

    def note_lost(self, leg: Leg, media: LegMedia, expected: int, lost: int, now: Instant) -> None:
        """Count packets that a gateway or customer should have sent, and the lost ones of them, for their alarms."""
        gateway = None if leg.route_choice is None else leg.route_choice.gateway
        if gateway is not None and not gateway.is_phone:
            self.losses.note(gateway.name, expected, lost, now.mono)
        elif media.customer:
            self.customer_losses.note(media.customer, expected, lost, now.mono)

    def figures_of(self, media: LegMedia) -> LegFigures | None:
        """Return the figures of a leg, with those of ports that it had before."""
        port = media.audio_port
        figures = None if port is None else self.at_engines.figures(port)
        return added(
            media.ended, None if figures is None else LegFigures(media.audio_source, figures, media.codecs_before)
        )

    def adopt(self, parameters: MediaParameters, sounds: Mapping[str, Sound]) -> None:
        """Put other parameters and sounds in force."""
        self.parameters = parameters
        self.use_sounds(sounds)
        if self.leg_ports is not None:
            self.leg_ports.adopt(parameters)
        if self.rtpengines is not None:
            self.rtpengines.engines.replace(parameters.rtpengines)

    def use_sounds(self, sounds: Mapping[str, Sound]) -> None:
        """Play these sounds from now on."""
        self.callers_sounds.adopt(sounds)
        self.music.sounds = sounds


def _none_recorded(_gateway: RoutingGateway) -> int:
    return 0
