"""Choose ports for media on one local address: pairs of an even and an odd port, or one port with rtcp-mux.

A port that was in use rests for some seconds: packets of the call before still arrive, and the next call must not get
them.
"""

from collections import deque
from itertools import islice
from typing import Final

from vosd.trunks.media import PortRange

QUARANTINE_MS: Final = 5_000
"""Time for which a port rests after use: a peer that has missed the BYE sends until its own timers run out, most for
less."""
OCCUPIED_MS: Final = 60_000
"""Time for which a port is not tried again that another program has: most keep theirs for as long as they run."""

_PAIR: Final = 2
_HALVES_TRIED: Final = 16
"""Single ports that are tried before a pair is split; all of them are when no pair is left."""


class PortPool:
    """Ports of one address, for any number of ranges, which may overlap."""

    __slots__ = ("_halves", "_occupied", "_pairs", "_resting", "_states")

    def __init__(self) -> None:
        self._states = bytearray(0x1_0000)
        """1 for each port that is in use or rests."""
        self._pairs = bytearray(0x8000)
        """1 for each pair of which a port is in use or rests."""
        self._resting: deque[tuple[int, int, int | None]] = deque()
        """End of the rest on the monotonic clock, and ports of RTP and RTCP, in this order; a port is in one entry."""
        self._occupied: deque[tuple[int, int, int | None]] = deque()
        """Ports that other programs have, in the same form."""
        self._halves: dict[int, None] = {}
        """Free ports whose twin is taken by a multiplexed stream: they are given to other such streams first."""

    def take(self, ports: PortRange, *, is_multiplexed: bool, start: int, now_ms: int) -> int | None:
        """Take an RTP port that is free: the first one from a random one (``start``, any number) around the range.

        The port behind it is the one of its RTCP, unless ``is_multiplexed``. ``set_aside`` one that cannot be bound.
        """
        for rests in (self._resting, self._occupied):
            if rests and rests[0][0] <= now_ms:
                self._end_rests(now_ms)
        if is_multiplexed and self._halves and (half := self._taken_half(ports, _HALVES_TRIED)) is not None:
            return half
        first, last = (ports.first + 1) // _PAIR, (ports.last + 1) // _PAIR
        if first < last:
            middle = first + start % (last - first)
            pair = self._pairs.find(0, middle, last)
            if pair < 0:
                pair = self._pairs.find(0, first, middle)
            if pair >= 0:
                port = _PAIR * pair
                self._states[port] = self._pairs[pair] = 1
                if is_multiplexed:
                    self._halves[port + 1] = None
                else:
                    self._states[port + 1] = 1
                return port
        return self._taken_half(ports, len(self._halves)) if is_multiplexed else None

    def _taken_half(self, ports: PortRange, tried: int) -> int | None:
        """Take a port of a pair whose other one is taken by a multiplexed stream."""
        half = next((half for half in islice(self._halves, tried) if ports.first <= half <= ports.last), None)
        if half is not None:
            self._take(half)
        return half

    def adopt(self, rtp: int, rtcp: int | None) -> None:
        """Count ports as taken that are bound already: those of calls that go on after a restart."""
        self._take(rtp)
        if rtcp is not None:
            self._take(rtcp)

    def rest(self, rtp: int, rtcp: int | None, now_ms: int) -> None:
        """Let ports rest after use."""
        self._resting.append((now_ms + QUARANTINE_MS, rtp, rtcp))

    def set_aside(self, rtp: int, rtcp: int | None, now_ms: int) -> None:
        """Let ports rest for long that were taken, one of which another program has."""
        self._occupied.append((now_ms + OCCUPIED_MS, rtp, rtcp))

    def used(self, ports: PortRange, now_ms: int) -> int:
        """Return the number of ports of a range that are in use or rest."""
        self._end_rests(now_ms)
        return self._states.count(1, ports.first, ports.last + 1)

    def _end_rests(self, now_ms: int) -> None:
        for rests in (self._resting, self._occupied):
            while rests and rests[0][0] <= now_ms:
                _, rtp, rtcp = rests.popleft()
                if rtcp == rtp ^ 1:
                    self._states[rtp] = self._states[rtcp] = self._pairs[rtp // _PAIR] = 0
                    continue
                self._free(rtp)
                if rtcp is not None:
                    self._free(rtcp)

    def _take(self, port: int) -> None:
        self._halves.pop(port, None)
        self._states[port] = self._pairs[port // _PAIR] = 1

    def _free(self, port: int) -> None:
        self._states[port] = 0
        self._halves.pop(port ^ 1, None)
        if self._states[port ^ 1]:
            self._halves[port] = None
        else:
            self._pairs[port // _PAIR] = 0
