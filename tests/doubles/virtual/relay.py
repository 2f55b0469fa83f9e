"""A relay of media on virtual time: as strict as the real one, with packets that tests let parties send."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import msgspec

from vosd.base.clock import Instant
from vosd.media.figures import PortFigures
from vosd.media.g711 import PAYLOADS
from vosd.media.port_pool import QUARANTINE_MS
from vosd.media.sounds import EncodedSound
from vosd.media.source import MediaSource, RelayPort
from vosd.trunks.media import PortRange


@dataclass
class OpenPort:
    """One port of the relay."""

    port: RelayPort
    tos: int
    figures: PortFigures
    source: MediaSource | None = None
    other: RelayPort | None = None
    keys: tuple[bool, bool] = (False, False)
    """Whether keys of the peer are reported, and taken."""
    reads_tones: bool = False
    """Whether tones are keys, too."""
    playing: tuple[EncodedSound, int, int] | None = None
    """Sound that the peer is played, its payload type, and how often; 0 = without end."""
    rings_after_ms: int | None = None
    """Pause before the ring-back that is played to the peer; None = none is."""
    rings_as: str | None = None
    """Codec of the ring-back that was played last; None = none was."""
    verdicts: dict[str, bool] = field(default_factory=dict)
    """Whether media of hosts are taken that were judged."""
    recording: Path | None = None
    """File into which it is recorded."""
    warnings: list[int] = field(default_factory=list)
    """Payload types by which the peer was warned of the end of its call; negative = of what is forwarded alone."""
    sent_keys: list[tuple[str, int, bool]] = field(default_factory=list)
    """Keys that the peer was sent, with their duration, and whether as tones."""


class VirtualRelay:
    """``MediaRelay`` without sockets; ``free`` limits how many ports may be open at once."""

    def __init__(self, free: int = 1_000) -> None:
        self.open_ports: dict[int, OpenPort] = {}
        self.free = free
        self.key_pressed: Callable[[int, str, int], None] = lambda *_: None
        self.source_found: Callable[[RelayPort, int, str], None] = lambda *_: None
        self.recording_failed: Callable[[int], None] = lambda _: None
        self.sound_failed: Callable[[int], None] = lambda _: None
        self.has_memory = True
        """Whether there is memory for sounds."""
        self.can_warn = True
        """Whether its workers are of a release that warns."""
        self.opened = 0
        self._resting: dict[tuple[str, int], int] = {}
        """End of the rest of closed ports on the monotonic clock, by address."""
        self.recordings: list[Path] = []
        self.receiving_since_ms = 0
        self.spared: set[tuple[str, PortRange]] = set()
        self.announced: dict[str, str] = {}

    def spare(self, ranges: Iterable[tuple[str, PortRange]]) -> None:
        """Note our own addresses and ports (``MediaRelay``)."""
        self.spared.update(ranges)

    def announce(self, host: str, announced: str) -> None:
        """Note that peers are told another address of ours (``MediaRelay``)."""
        self.announced[announced] = host

    def open(self, host: str, ports: PortRange, *, is_multiplexed: bool, tos: int, now: Instant) -> RelayPort | None:
        """Open a port (``MediaRelay``)."""
        if len(self.open_ports) >= self.free:
            return None
        taken = {each.port.rtp for each in self.open_ports.values() if each.port.host == host}
        taken |= {rtp for (at, rtp), until in self._resting.items() if at == host and until > now.mono}
        first = ports.first + 2 * (self.opened + 1)
        pairs = chain(range(first, ports.last, 2), range(ports.first, ports.last, 2))
        rtp = next((each for each in pairs if each not in taken), None)
        if rtp is None:
            return None
        self.opened += 1
        port = RelayPort(self.opened, host, rtp, None if is_multiplexed else rtp + 1)
        self.open_ports[port.id] = OpenPort(port, tos, PortFigures(port.id))
        return port

    def hear(self, now: Instant) -> None:
        """Let a packet come to all ports."""
        for port in self.open_ports.values():
            port.figures = msgspec.structs.replace(port.figures, alive_at=now.wall, alive_mono=now.mono)

    def is_open(self, port: RelayPort) -> bool:
        """Return whether a port is open (``MediaRelay``)."""
        return port.id in self.open_ports

    def has_source(self, port: RelayPort) -> bool:
        """Return whether a port is open, with a source (``MediaRelay``)."""
        return port.id in self.open_ports and self.open_ports[port.id].source is not None

    def partner(self, port: RelayPort) -> int | None:
        """Return the id of the connected port (``MediaRelay``)."""
        opened = self.open_ports.get(port.id)
        return None if opened is None or opened.other is None else opened.other.id

    def reopen(self, port: RelayPort, *, tos: int) -> bool:
        """Go on with a port (``MediaRelay``)."""
        self.open_ports.setdefault(port.id, OpenPort(port, tos, PortFigures(port.id)))
        return True

    def retain(self, ids: Collection[int], now: Instant) -> int:
        """Close the others (``MediaRelay``)."""
        others = [each.port for each in self.open_ports.values() if each.port.id not in ids]
        for port in others:
            self.close(port, now)
        return len(others)

    def used_percent(self, ports: PortRange, now: Instant) -> float:
        """Return how many of those that may be open are (``MediaRelay``)."""
        return 100 * len(self.open_ports) / self.free if self.free else 0.0  # as where other programs have them all

    def expect(self, port: RelayPort, source: MediaSource) -> None:
        """Note the source of a port (``MediaRelay``)."""
        assert len(source.payloads) == len(source.clocks) == len(source.codecs)
        assert len({*source.payloads}) == len(source.payloads)
        self.open_ports[port.id].source = source

    def widen(self, port: RelayPort, source: MediaSource) -> None:
        """Note more payload types of a source (``MediaRelay``)."""
        before = self.open_ports[port.id].source
        assert before is not None
        assert before.taken() == source.taken()
        self.open_ports[port.id].source = source

    def judge(self, port: RelayPort, host: str, *, may_send: bool) -> None:
        """Note a verdict about a source (``MediaRelay``)."""
        if port.id not in self.open_ports:
            return  # a verdict may come late
        self.open_ports[port.id].verdicts[host] = may_send

    def connect(self, one: RelayPort, other: RelayPort) -> None:
        """Connect two ports, in place of what they were connected with (``MediaRelay``)."""
        assert one.id != other.id
        for port in (one, other):
            self._part(self.open_ports[port.id])
        self.open_ports[one.id].other, self.open_ports[other.id].other = other, one

    def report_keys(
        self, port: RelayPort, *, are_reported: bool, are_taken: bool = False, in_tones: bool = False
    ) -> None:
        """Note whose keys are reported (``MediaRelay``)."""
        self.open_ports[port.id].keys = (are_reported, are_taken)
        self.open_ports[port.id].reads_tones = in_tones

    def press(self, port: RelayPort, key: str, duration_ms: int, *, as_tone: bool = False) -> None:
        """Note a key that is sent (``MediaRelay``)."""
        self.open_ports[port.id].sent_keys.append((key, duration_ms, as_tone))

    def play_ring_back(self, port: RelayPort, delay_ms: int, payload: int) -> None:
        """Note ring-back (``MediaRelay``)."""
        opened = self.open_ports[port.id]
        assert opened.source is not None
        assert payload in opened.source.taken()[0]
        opened.rings_after_ms, opened.rings_as = delay_ms, PAYLOADS[payload]

    def warn(self, port: RelayPort, payload: int, sounds: Mapping[int, EncodedSound]) -> bool:
        """Note that the peer is warned of the end of its call (``MediaRelay``)."""
        opened = self.open_ports[port.id]
        assert opened.source is not None
        taken, _, codecs = opened.source.taken()
        assert payload < 0 or payload in set(taken) & (PAYLOADS.keys() | sounds.keys())
        for number, sound in sounds.items():
            assert dict(zip(taken, codecs, strict=True))[number].lower() == sound.codec.name.lower()
        if self.can_warn:
            opened.warnings.append(payload)
        return self.can_warn

    def load_sound(self, port: RelayPort, sound: EncodedSound) -> bool:
        """Return whether there is memory for a sound (``MediaRelay``)."""
        assert port.id in self.open_ports
        return self.has_memory

    def play(self, port: RelayPort, sound: EncodedSound, payload: int, times: int = 0) -> bool:
        """Note a sound (``MediaRelay``)."""
        opened = self.open_ports[port.id]
        assert opened.source is not None
        assert sound.codec.name in opened.source.codecs
        assert payload in opened.source.payloads
        if not self.has_memory:
            return False
        opened.playing, opened.rings_after_ms = (sound, payload, times), None
        return True

    def retain_sounds(self, digests: Collection[str]) -> None:
        """Do nothing: nothing is shared (``MediaRelay``)."""

    def stop_playing(self, port: RelayPort) -> None:
        """Note that ring-back or a sound ends (``MediaRelay``)."""
        self.open_ports[port.id].rings_after_ms = self.open_ports[port.id].playing = None

    def record(self, one: RelayPort, other: RelayPort, path: Path) -> bool:
        """Note a recording, once for two ports (``MediaRelay``)."""
        pair = self.open_ports[one.id], self.open_ports[other.id]
        assert pair[0].other == other
        if any(each.recording != path for each in pair):
            self.recordings.append(path)
        for each in pair:
            each.recording = path
        return True

    def record_no_more(self, port: RelayPort) -> None:
        """Note the end of a recording (``MediaRelay``)."""
        self.open_ports[port.id].recording = None

    def figures(self, port: RelayPort) -> PortFigures:
        """Return the figures of an open port (``MediaRelay``)."""
        return self.open_ports[port.id].figures

    def last_packet(self, port: RelayPort) -> int | None:
        """Return what the figures say (``MediaRelay``)."""
        return self.figures(port).alive_mono

    def receiving_since(self, port: RelayPort) -> int:
        """Return what a test has set (``MediaRelay``)."""
        assert port.id in self.open_ports
        return self.receiving_since_ms

    def close(self, port: RelayPort, now: Instant) -> PortFigures:
        """Close a port, which must be open (``MediaRelay``)."""
        closed = self.open_ports.pop(port.id)
        self._resting[port.host, port.rtp] = now.mono + QUARANTINE_MS
        self._part(closed)
        return closed.figures

    def _part(self, opened: OpenPort) -> None:
        if opened.other is not None and opened.other.id in self.open_ports:
            self.open_ports[opened.other.id].other = None
        opened.other = None

    # -- what tests do ------------------------------------------------------------------------------------------

    def at(self, rtp: int) -> OpenPort:
        """Return the port with this number."""
        (found,) = (each for each in self.open_ports.values() if each.port.rtp == rtp)
        return found
