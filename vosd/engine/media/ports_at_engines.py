"""Ports of legs at the relay of the switch or at an rtpengine: what is known of each, wherever it is."""

from vosd.base.clock import Instant
from vosd.engine.media.rtpengine_calls import RtpEngineCalls
from vosd.media.figures import PortFigures
from vosd.media.relay import MediaRelay
from vosd.media.source import RelayPort


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
