"""Parts of the media of a switch, which the door, the calls and their moves to other ports share."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from typing import Final

from vosd.b2bua.leg import Leg
from vosd.base.clock import Instant
from vosd.engine.media.announcements import SoundsForCallers
from vosd.engine.media.end_warning import EngineWarnings
from vosd.engine.media.key_conversion import KeyConversion
from vosd.engine.media.leg_ports import LegPorts
from vosd.engine.media.music import HoldMusic
from vosd.engine.media.numbered_legs import NumberedLegs
from vosd.engine.media.recordings import CallRecordings
from vosd.engine.media.rtpengine_calls import RtpEngineCalls
from vosd.engine.media.sounds_at_rtpengine import SoundsAtRtpEngines
from vosd.media.figures import PortFigures
from vosd.media.leg_media import LegFigures, LegMedia, added
from vosd.media.relay import MediaRelay
from vosd.media.sounds import Sound
from vosd.media.source import RelayPort
from vosd.sip.flows import Listener
from vosd.trunks.gateways import RoutingGateway
from vosd.trunks.media import MediaAddress, MediaFallback, MediaParameters, PortRange

SLICE_MS: Final = 300_000
SLICES: Final = 6
PACKETS_MIN: Final = 3_000
"""Fewer packets, a minute of audio, say nothing about a gateway."""
GATEWAYS_MAX: Final = 5_000
"""Most gateways and phones that are remembered; those without packets of the last half hour make room for others."""


class MediaLosses:
    """Packets that gateways have sent, and those of them that were lost, by slices of five minutes."""

    def __init__(self) -> None:
        self._slices: dict[str, deque[tuple[int, int, int]]] = {}
        """Number of the slice, packets, lost ones; the latest last."""
        self._forgot_in = -1
        """Slice in which old gateways were looked for last."""

    def note(self, gateway: str, expected: int, lost: int, mono_ms: int) -> None:
        """Note packets of a leg of a gateway that has ended, and the lost ones of them."""
        if not expected:
            return
        slices, number = self._slices.get(gateway), mono_ms // SLICE_MS
        if slices is None:
            if len(self._slices) >= GATEWAYS_MAX and self._forgot_in != number:
                self._forgot_in = number
                self._slices = {name: each for name, each in self._slices.items() if each[-1][0] > number - SLICES}
            if len(self._slices) >= GATEWAYS_MAX:
                return
            slices = self._slices[gateway] = deque(maxlen=SLICES)
        if slices and slices[-1][0] == number:
            _, before, lost_before = slices.pop()
            expected, lost = expected + before, lost + lost_before
        slices.append((number, expected, lost))

    def percents(self, mono_ms: int) -> Iterator[tuple[str, float | None]]:
        """Yield the percentage of each gateway; None where that says nothing."""
        oldest = mono_ms // SLICE_MS - SLICES + 1
        for gateway, slices in self._slices.items():
            recent = [each for each in slices if each[0] >= oldest]
            expected = sum(each[1] for each in recent)
            lost = sum(each[2] for each in recent)
            yield gateway, 100 * lost / expected if expected >= PACKETS_MIN else None


class PortsAtEngines:
    """Ports of both engines: those of rtpengines have ids below 0."""

    def __init__(self, relay: MediaRelay | None, rtpengines: RtpEngineCalls | None) -> None:
        self._relay = relay
        self._rtpengines = rtpengines

    def close(self, port: RelayPort, now: Instant) -> PortFigures | None:
        """Close a port; return its last figures."""
        if port.id < 0:
            return None if self._rtpengines is None else self._rtpengines.close(port)
        return None if self._relay is None else self._relay.close(port, now)

    def figures(self, port: RelayPort) -> PortFigures | None:
        """Return the figures of an open port; None = its engine is not there any more."""
        if port.id < 0:
            return None if self._rtpengines is None else self._rtpengines.figures(port)
        return None if self._relay is None else self._relay.figures(port)

    def last_packet(self, port: RelayPort) -> int | None:
        """Return when the last packet came to a port, on the monotonic clock; None = none has."""
        if port.id < 0:
            return None if self._rtpengines is None else self._rtpengines.figures(port).alive_mono
        return None if self._relay is None else self._relay.last_packet(port)

    def receiving_since(self, port: RelayPort) -> int:
        """Return when the port began to receive; one of a lost rtpengine as if that were the moment of the loss.

        So the silence of an rtpengine ends no call that moves to another one, and one that finds none ends at last.
        """
        if port.id < 0:
            return 0 if self._rtpengines is None else self._rtpengines.lost_at(port) or 0
        return 0 if self._relay is None else self._relay.receiving_since(port)


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

    def adopt(
        self,
        parameters: MediaParameters,
        sounds: Mapping[str, Sound],
        of_trunks: Callable[[Set[PortRange]], Set[PortRange]],
    ) -> None:
        """Put other parameters and sounds in force; ``of_trunks`` returns the ranges of ports that trunks have."""
        self.parameters = parameters
        self.use_sounds(sounds)
        if self.leg_ports is not None:
            self.leg_ports.adopt(parameters, of_trunks)
        if self.rtpengines is not None:
            self.rtpengines.engines.replace(parameters.rtpengines)

    def use_sounds(self, sounds: Mapping[str, Sound]) -> None:
        """Play these sounds from now on."""
        self.callers_sounds.adopt(sounds)
        self.music.sounds = sounds


def _none_recorded(_gateway: RoutingGateway) -> int:
    return 0
