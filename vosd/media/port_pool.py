"""Choose ports for media on one local address: pairs of an even and an odd port, or one port with rtcp-mux.

A port that was in use rests for some seconds: packets of the call before still arrive, and the next call must not get
them.
"""

from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Final

from vosd.trunks.media import PortRange

QUARANTINE_MS: Final = 5_000
"""Time for which a port rests after use: a peer that has missed the BYE sends until its own timers run out, most for
less."""

_PAIR: Final = 2
_HALVES_TRIED: Final = 16
"""Single ports that are tried before a pair is split; all of them are when no pair is left."""


class PortPool:
    """Ports of one address, for any number of ranges, which may overlap."""

    __slots__ = ("_halves", "_pairs", "_resting", "_states", "_used")

    def __init__(self) -> None:
        self._states = bytearray(0x1_0000)
        """1 for each port that is in use or rests."""
        self._pairs = bytearray(0x8000)
        """1 for each pair of which a port is in use or rests."""
        self._resting: deque[tuple[int, int]] = deque()
        """End of the rest on the monotonic clock and port, in this order; at most one entry for each port."""
        self._used: dict[PortRange, int] = {}
        """Ports in use or resting of each range that was ever asked for; ranges are few, they are configured."""
        self._halves: dict[int, None] = {}
        """Free ports whose twin is taken by a multiplexed stream: they are given to other such streams first."""

    def candidates(self, ports: PortRange, *, is_multiplexed: bool, start: int, now_ms: int) -> Iterator[int]:
        """Yield RTP ports that are free, from a random one (``start``, any number) around the range.

        The port behind it is the one of its RTCP, unless ``is_multiplexed``. None is taken before ``take`` is called;
        a candidate that another program occupies is skipped by ``rest``.
        """
        self._end_rests(now_ms)
        if ports not in self._used:
            self._used[ports] = sum(self._states[ports.first : ports.last + 1])
        if is_multiplexed:
            yield from [half for half in islice(self._halves, _HALVES_TRIED) if ports.first <= half <= ports.last]
        first, last = (ports.first + 1) // _PAIR, (ports.last + 1) // _PAIR
        if self._used[ports] < ports.size and first < last:
            middle = first + start % (last - first)
            for begin, end in ((middle, last), (first, middle)):
                pair = self._pairs.find(0, begin, end)
                while pair >= 0:
                    yield _PAIR * pair
                    pair = self._pairs.find(0, pair + 1, end)
        if is_multiplexed:
            yield from [half for half in self._halves if ports.first <= half <= ports.last]

    def take(self, port: int, *, is_multiplexed: bool) -> None:
        """Take a candidate, which was bound: the port, and that of its RTCP unless ``is_multiplexed``."""
        if not is_multiplexed:
            self._take(port)
            self._take(port + 1)
            return
        self._take(port)
        if not self._states[port ^ 1]:
            self._halves[port ^ 1] = None

    def adopt(self, rtp: int, rtcp: int | None) -> None:
        """Count ports as taken that are bound already: those of calls that go on after a restart."""
        self._take(rtp)
        if rtcp is not None:
            self._take(rtcp)

    def rest(self, rtp: int, rtcp: int | None, now_ms: int) -> None:
        """Let ports rest: after use, or because another program has one of them."""
        for port in (rtp,) if rtcp is None else (rtp, rtcp):
            self._take(port)
            self._resting.append((now_ms + QUARANTINE_MS, port))

    def used(self, ports: PortRange, now_ms: int) -> int:
        """Return the number of ports of a range that are in use or rest."""
        self._end_rests(now_ms)
        used = self._used.get(ports)
        return sum(self._states[ports.first : ports.last + 1]) if used is None else used

    def _end_rests(self, now_ms: int) -> None:
        resting = self._resting
        while resting and resting[0][0] <= now_ms:
            _, port = resting.popleft()
            self._set(port, 0)
            self._halves.pop(port ^ 1, None)
            if self._states[port ^ 1]:
                self._halves[port] = None

    def _take(self, port: int) -> None:
        self._halves.pop(port, None)
        self._set(port, 1)

    def _set(self, port: int, state: int) -> None:
        change = state - self._states[port]
        if not change:
            return
        self._states[port] = state
        self._pairs[port // _PAIR] = self._states[port] | self._states[port ^ 1]
        for ports in self._used:
            if ports.first <= port <= ports.last:
                self._used[ports] += change
