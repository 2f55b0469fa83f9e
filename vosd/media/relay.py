"""A relay as the switch uses it: ports of legs, who may send to them, which two are connected."""

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Protocol

from vosd.base.clock import Instant
from vosd.media.figures import PortFigures
from vosd.media.sounds import EncodedSound
from vosd.media.source import MediaSource, RelayPort
from vosd.trunks.media import PortRange


class MediaRelay(Protocol):
    """The ports of a relay. Nothing waits: what the workers do of it follows."""

    def spare(self, ranges: Iterable[tuple[str, PortRange]]) -> None:
        """Send nothing to these addresses and ports either, from now on: they are our own.

        Left out are open ports of calls that have come back to the switch, so that media reach their other side.
        """

    def announce(self, host: str, announced: str) -> None:
        """Know the ports at an address by the one that is announced for it, too."""

    def open(self, host: str, ports: PortRange, *, is_multiplexed: bool, tos: int, now: Instant) -> RelayPort | None:
        """Open a port at this address, with one for RTCP unless ``is_multiplexed``; None = none is free."""

    def is_open(self, port: RelayPort) -> bool:
        """Return whether a port is served: also one of an earlier process, whose worker goes on."""

    def has_source(self, port: RelayPort) -> bool:
        """Return whether a port is served, and takes media from a source."""

    def partner(self, port: RelayPort) -> int | None:
        """Return the id of the port with which one is connected; None = with none."""

    def reopen(self, port: RelayPort, *, tos: int) -> bool:
        """Go on with a port of an earlier process; False = it is lost."""

    def retain(self, ids: Collection[int], now: Instant) -> int:
        """Close all ports but these, those of calls that go on after a restart; return how many were closed."""

    def used_percent(self, ports: PortRange, now: Instant) -> float:
        """Return which percentage of a range is in use or rests after use, at the address with the most."""

    def expect(self, port: RelayPort, source: MediaSource) -> None:
        """Take media from this source from now on."""

    def widen(self, port: RelayPort, source: MediaSource) -> None:
        """Take more payload types from a source that is as it was else: what sends to it may go on."""

    source_found: Callable[[RelayPort, int, str], None]
    """Gets a port, the number of its leg, and an address that its media come from (``MediaSource.judged_for``)."""

    def judge(self, port: RelayPort, host: str, *, may_send: bool) -> None:
        """Take media from a host that ``source_found`` has named, or drop them."""

    def connect(self, one: RelayPort, other: RelayPort) -> None:
        """Send by one port what comes in at the other, both ways, in place of what they were connected with."""

    key_pressed: Callable[[int, str, int], None]
    """Gets the port, the key and its duration in milliseconds (``report_keys``)."""

    def report_keys(
        self, port: RelayPort, *, are_reported: bool, are_taken: bool = False, in_tones: bool = False
    ) -> None:
        """Report keys that the peer sends in its media; ``are_taken`` = they are not forwarded.

        ``in_tones``: also those that it sends as tones in G.711, unless it sends telephone events.
        """

    def press(self, port: RelayPort, key: str, duration_ms: int, *, as_tone: bool = False) -> None:
        """Send a key to the peer: as a telephone event, or as a tone of G.711."""

    def play_ring_back(self, port: RelayPort, delay_ms: int, payload: int) -> None:
        """Play ring-back to the peer after a pause, as a payload type of G.711, until media are forwarded to it."""

    def warn(self, port: RelayPort, payload: int, sounds: Mapping[int, EncodedSound]) -> bool:
        """Warn the peer of the end of its call by a tone in what is forwarded to it; False = it cannot be.

        The tone is one of ``sounds``, by their payload types, or beeps in G.711. Where nothing is forwarded the peer
        gets packets with it, of type ``payload``, unless that is negative.
        """

    def load_sound(self, port: RelayPort, sound: EncodedSound) -> bool:
        """Have a sound ready to be played from a port; False = there is no memory for it."""

    def play(self, port: RelayPort, sound: EncodedSound, payload: int, times: int = 0) -> bool:
        """Play a sound to the peer, so often or without end, in place of what is forwarded to it; False = it cannot."""

    def retain_sounds(self, digests: Collection[str]) -> None:
        """Give the memory of all sounds back but these."""

    def stop_playing(self, port: RelayPort) -> None:
        """Play nothing to the peer."""

    def record(self, one: RelayPort, other: RelayPort, path: Path) -> bool:
        """Record what two connected ports forward into a capture file; False where they are not connected.

        A file that exists is gone on with.
        """

    def record_no_more(self, port: RelayPort) -> None:
        """Record nothing any more that is forwarded to the peer of a port."""

    recording_failed: Callable[[int], None]
    """Gets a port that is not recorded after all: no file could be begun."""

    sound_failed: Callable[[int], None]
    """Gets a port whose peer is not played its sound after all: its worker has no memory for it."""

    def figures(self, port: RelayPort) -> PortFigures:
        """Return the figures of an open port, at most 20 ms old."""

    def last_packet(self, port: RelayPort) -> int | None:
        """Return when the last packet came to a port, in milliseconds of the monotonic clock; None = none has."""

    def receiving_since(self, port: RelayPort) -> int:
        """Return from when on packets to a port were received, in milliseconds of the monotonic clock.

        0 = since it was opened; a later moment than now while none are, because the worker has ended.
        """

    def close(self, port: RelayPort, now: Instant) -> PortFigures:
        """Close a port and return its last figures; it is not opened again for some seconds."""
