"""Ports of legs at the relay of the switch: opened with their first description, and gone on with after a restart.

Nothing is sent to them but what another call has for them, which has come back to the switch: packets would go round.
"""

from collections.abc import Callable, Mapping, Sequence, Set
from typing import Final, NamedTuple

from vosd.base.clock import Instant
from vosd.media.leg_media import LegMedia
from vosd.media.relay import MediaRelay
from vosd.media.source import RelayPort
from vosd.obs.events import Event, log as _log
from vosd.obs.log import LogLimiter
from vosd.sip.flows import Listener
from vosd.trunks.media import MediaAddress, MediaParameters, PortRange

_ROOM_PERCENT: Final = 90.0
"""A range of which less is in use has room again."""
_SETTLED_MS: Final = 60_000
"""A range that is not full has ports again when no call has failed to get one for so long."""


def _of_none(_ranges: Set[PortRange]) -> Set[PortRange]:
    """Return that no trunk has a range of its own."""
    return frozenset()


class _Exhaustion(NamedTuple):
    """A range that has had no port for some call."""

    is_full: bool
    """Whether nearly all ports are in use by calls; else other programs have them, or an address has none of a kind."""
    failed_at: int
    """Time at which a call has found no port last, monotonic milliseconds."""


class LegPorts:
    """Ports of legs at the relay."""

    def __init__(
        self,
        relay: MediaRelay,
        listeners: Sequence[Listener],
        addresses: Sequence[Sequence[MediaAddress]],
        parameters: MediaParameters,
    ) -> None:
        """``addresses`` are those of the relay for each listener; without any it has the address of the listener."""
        self.relay = relay
        self._listeners = listeners
        self._addresses = addresses
        self._parameters = parameters
        self._exhausted: dict[PortRange, _Exhaustion] = {}
        """Ranges in which a call has found no port, until they have some again."""
        self._log_limiter = LogLimiter()
        self._spared: set[tuple[MediaAddress, PortRange]] = set()
        """Addresses and ranges of ports to which nothing is sent, because they are ours."""
        self._ranges: dict[PortRange, None] = {}
        """Ranges that trunks of calls name, by the present configuration."""
        self._outside: dict[MediaAddress, PortRange] = {}
        """Ports of calls of an earlier process that are in none of the ranges of now, as one range for each address."""
        self._apart: list[LegMedia] = []
        """Legs of an earlier process whose ports were opened again, or whose worker has not received all orders."""
        self._spare_own()

    def adopt(
        self, parameters: MediaParameters, of_trunks: Callable[[Set[PortRange]], Set[PortRange]] = _of_none
    ) -> None:
        """Open ports of other ranges from now on, and watch those no more that the configuration does not have.

        ``of_trunks`` returns those of some ranges that trunks have. It is asked once, for it looks at all trunks.
        """
        self._parameters = parameters
        settled = {ports for ports, each in self._exhausted.items() if not each.is_full}
        watched = settled | self._ranges.keys()
        kept = of_trunks(watched) if watched else watched
        self._ranges = {ports: None for ports in self._ranges if ports in kept}
        for ports in settled - kept - {parameters.ports}:
            self._note_room(ports)
        self._spare_own()

    def _spare_own(self) -> None:
        """Let the relay send nothing to ports of ours, by the address that they have and by the announced one."""
        self.relay.spare(
            (each.host, PortRange(each.port, each.port)) for each in self._listeners if each.transport == "udp"
        )
        hosts = {MediaAddress(each.host, each.host) for each in self._listeners}
        hosts.update(each for addresses in self._addresses for each in addresses)
        for address in hosts:
            self._spare(address, self._parameters.ports)
            self._spare(address, self._parameters.ivr_ports)

    def _spare(self, address: MediaAddress, ports: PortRange) -> None:
        if (address, ports) not in self._spared:
            self._spared.add((address, ports))
            self.relay.spare(((address.bind, ports), (address.announced, ports)))
            self.relay.announce(address.bind, address.announced)

    def open(
        self, media: LegMedia, index: int, address: MediaAddress, now: Instant, *, is_multiplexed: bool = False
    ) -> RelayPort | None:
        """Open a port for a medium of a leg; None = none is free."""
        ports = media.settings.ports or self._parameters.ports
        if (address, ports) not in self._spared:
            self._spare(address, ports)
        if media.settings.ports is not None:
            self._ranges[ports] = None
        tos = media.settings.marked(self._parameters.traffic_class)
        port = self.relay.open(address.bind, ports, is_multiplexed=is_multiplexed, tos=tos, now=now)
        if port is None:
            is_full = self.relay.used_percent(ports, now) >= _ROOM_PERCENT
            self._exhausted[ports] = _Exhaustion(is_full, now.mono)
            if self._log_limiter.admits(str(ports), now.mono):
                _log.error(Event.RTP_PORT_EXHAUSTED, ports=str(ports))
            return None
        media.note_port(index, port)
        if media.sources and media.source(index) is not None:  # it had another port: silence counts from this one
            media.watched_from = now.mono
        # A range that was full has room when enough of it is free. Any other may have ports at one address and none at
        # another one, where calls would raise and clear the alarm in turns.
        exhaustion = self._exhausted.get(ports) if self._exhausted else None
        if exhaustion is not None and not exhaustion.is_full and now.mono - exhaustion.failed_at >= _SETTLED_MS:
            self._note_room(ports)
        return port

    def _note_room(self, ports: PortRange) -> None:
        del self._exhausted[ports]
        self._log_limiter.forget(str(ports))  # it may be exhausted again within its period
        if not self._exhausted:
            _log.info(Event.RTP_PORTS_FREE)

    def resume(self, media: LegMedia, index: int, port: RelayPort, announced: str) -> bool:
        """Go on with a port of an earlier process, which peers were sent by an address; False = it is lost."""
        if not self.relay.reopen(port, tos=media.settings.marked(self._parameters.traffic_class)):
            return False
        address, ports = MediaAddress(port.host, announced), media.settings.ports or self._parameters.ports
        if ports.first <= port.rtp <= ports.last:
            self._spare(address, ports)
            if media.settings.ports is not None:
                self._ranges[ports] = None
        else:  # the configuration has changed
            before = self._outside.get(address, PortRange(port.rtp, port.rtp))
            self._outside[address] = PortRange(min(before.first, port.rtp), max(before.last, port.rtcp or port.rtp))
        source = media.source(index)
        if source is not None and not self.relay.has_source(port):
            self.relay.expect(port, source)
        if self.relay.partner(port) is None:
            self._apart.append(media)
        return True

    def resumed(self) -> list[LegMedia]:
        """Return the legs with ports that are not connected: all calls were resumed; some may be over since."""
        for address, ports in self._outside.items():
            self._spare(address, ports)
        self._outside.clear()
        apart, self._apart = self._apart, []
        return apart

    def used_percents(self, now: Instant) -> Mapping[PortRange, float]:
        """Return which percentage of the ports of each range is in use, at the address with the most.

        Ranges are both of the installation, and those of trunks that have had a call.

        Asked for in even intervals: a range that was full has room again by then, or has not.
        """
        for ports in [ports for ports, each in self._exhausted.items() if each.is_full]:
            if self.relay.used_percent(ports, now) < _ROOM_PERCENT:
                self._note_room(ports)
        ranges = (self._parameters.ports, self._parameters.ivr_ports, *self._ranges)
        return {ports: self.relay.used_percent(ports, now) for ports in ranges}
