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

_PAIR: Final = 2
_HALVES_TRIED: Final = 16
"""Single ports that are tried before a pair is split; all of them are when no pair is left."""


class PortPool:
    """Ports of one address, for any number of ranges, which may overlap."""

    __slots__ = ("_halves", "_pairs", "_resting", "_states")

    def __init__(self) -> None:
        self._states = bytearray(0x1_0000)
        """1 for each port that is in use or rests."""
        self._pairs = bytearray(0x8000)
        """1 for each pair of which a port is in use or rests."""
        self._resting: deque[tuple[int, int, int | None]] = deque()
        """End of the rest on the monotonic clock, and ports of RTP and RTCP, in this order; a port is in one entry."""
        self._halves: dict[int, None] = {}
        """Free ports whose twin is taken by a multiplexed stream: they are given to other such streams first."""

    def candidate(self, ports: PortRange, *, is_multiplexed: bool, start: int, now_ms: int) -> int | None:
        """Return an RTP port that is free: the first one from a random one (``start``, any number) around the range.

        The port behind it is the one of its RTCP, unless ``is_multiplexed``. It is not taken before ``take`` is called;
        one that another program occupies is to ``rest``, and is not returned again then.
        """
        if self._resting and self._resting[0][0] <= now_ms:
            self._end_rests(now_ms)
        half = self._half(ports, _HALVES_TRIED) if is_multiplexed and self._halves else None
        if half is not None:
            return half
        first, last = (ports.first + 1) // _PAIR, (ports.last + 1) // _PAIR
        if first < last:
            middle = first + start % (last - first)
            pair = self._pairs.find(0, middle, last)
            if pair < 0:
                pair = self._pairs.find(0, first, middle)
            if pair >= 0:
                return _PAIR * pair
        return self._half(ports, len(self._halves)) if is_multiplexed else None

    def _half(self, ports: PortRange, tried: int) -> int | None:
        return next((half for half in islice(self._halves, tried) if ports.first <= half <= ports.last), None)

    def take(self, port: int, *, is_multiplexed: bool) -> None:
        """Take a candidate, which was bound: the port, and that of its RTCP unless ``is_multiplexed``."""
        if not is_multiplexed:  # both of a pair are free: neither is a half
            self._states[port] = self._states[port + 1] = self._pairs[port // _PAIR] = 1
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
        if not self._states[rtp] or (rtcp is not None and not self._states[rtcp]):
            self.adopt(rtp, rtcp)
        self._resting.append((now_ms + QUARANTINE_MS, rtp, rtcp))

    def used(self, ports: PortRange, now_ms: int) -> int:
        """Return the number of ports of a range that are in use or rest."""
        self._end_rests(now_ms)
        return self._states.count(1, ports.first, ports.last + 1)

    def _end_rests(self, now_ms: int) -> None:
        resting = self._resting
        while resting and resting[0][0] <= now_ms:
            _, rtp, rtcp = resting.popleft()
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
