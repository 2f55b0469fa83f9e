"""Choose the source whose packets are believed: one that sends three packets in sequence from where the peer may be.

The announced port goes before another port of its host, also where that one sends: several branches of a call may be
behind one host, and the one that the caller talks to has described its media last.

Nothing here reads a clock; times are nanoseconds of a clock that never jumps. Addresses are as the kernel has them: a
tuple of host, port and, with IPv6, flow and scope.
"""

from collections.abc import Callable
from typing import Final

from vosd.base.host import plain_host
from vosd.media.rtp import SEQUENCE, is_like_fax
from vosd.media.source import MediaSource
from vosd.trunks.media import MediaTrust

PACKETS: Final = 3
"""Packets in sequence, of one SSRC, by which a source is believed."""
MOVED_NS: Final = 2_000_000_000
"""Silence of the believed source, after which another port of its address may take its place: NAT moved it."""
REPEATED_NS: Final = 500_000_000
"""Silence after which a repeated session description lets any source that it allows take the place."""
CANDIDATES_MAX: Final = 4
"""Sources that are considered at once; one that was seen in the last second gives way to the announced one only."""
HELD_MAX: Final = 100
"""Packets of a source that are kept while the switch is asked whether it may be believed; it is asked again then."""
LEFT_NS: Final = 1_000_000_000
"""Time for which the place that a peer has announced before is not believed again: packets are on their way from there,
and the peer sends from it until it has the answer to its offer."""
HOSTS_MAX: Final = 64
"""Hosts whose verdicts are kept; where there are more, they are asked about again."""
_IDLE_NS: Final = 1_000_000_000

Address = tuple[str, int] | tuple[str, int, int, int]
Arrived = tuple[bytes, int]
"""A packet, and when it arrived."""


class _Candidate:
    """A source that has sent one or two packets in sequence."""

    __slots__ = ("begun_ns", "held", "seen_ns", "sequence", "ssrc")

    def __init__(self) -> None:
        self.held: list[Arrived] = []
        """Packets that are forwarded when the source is believed: the beginning of early media is not lost."""
        self.sequence = -1
        self.ssrc = -1
        self.begun_ns = 0
        self.seen_ns = 0


class Latch:
    """Believed source of one port."""

    __slots__ = (
        "_announced", "_ask", "_candidates", "_hosts", "_is_open", "_left", "_left_until_ns", "_source", "_verdicts",
        "believed",
    )  # fmt: skip

    def __init__(self, ask: Callable[[int, str], None] | None = None) -> None:
        """``ask`` asks for a leg whether a host may be believed where sources are judged; ``judge`` has the answer."""
        self._ask = ask
        self._verdicts: dict[str, bool | None] = {}
        """Whether hosts may be believed; None = it was asked."""
        self.believed: Address | None = None
        self._source: MediaSource | None = None
        self._announced: tuple[str, int] | None = None
        self._hosts: frozenset[str] = frozenset()
        self._candidates: dict[Address, _Candidate] = {}
        self._is_open = False
        """Whether a session description was repeated since the source was believed."""
        self._left: Address | None = None
        """The source that was believed at the place of the description before, which the peer has left."""
        self._left_until_ns = 0
        """Time until which that one is not believed again; 0 = no packet has come from it."""

    def expect(self, source: MediaSource, believed: Address | None = None) -> None:
        """Note a new session description: any source that it allows may be believed.

        Where it announces the same address as before, the believed source stays until another one takes its place: a
        peer on hold sends nothing, but wants its music where it was. ``believed`` is one from before a restart.
        """
        is_same = self._source is not None and source.is_at_place_of(self._source)
        if not is_same:
            self._left = self.believed if self.believed is not None and self.believed[:2] == self._announced else None
            self._left_until_ns = 0
        self._source, self._announced = source, (plain_host(source.host), source.rtp)
        self._hosts = source.hosts()
        self._candidates.clear()
        self._verdicts.clear()
        self._is_open = is_same
        if not is_same:
            self.believed = believed if source.rtp else None

    def judge(self, host: str, *, may_send: bool) -> None:
        """Take the answer whether a host may be believed; what was held of it is taken with its next packet."""
        if host in self._verdicts:
            self._verdicts[host] = may_send

    def _verdict(self, host: str) -> bool | None:
        """Return whether a host may be believed, and ask if that is not known (None)."""
        source = self._source
        if source is None or not source.judged_for or self._ask is None:
            return True
        if host not in self._verdicts:
            if len(self._verdicts) >= HOSTS_MAX:
                self._verdicts.clear()
            self._verdicts[host] = None
            self._ask(source.judged_for, host)
        return self._verdicts[host]

    def may_be(self, address: Address) -> bool:
        """Return whether the session description allows this source."""
        source = self._source
        if source is None or not source.rtp:
            return False
        if source.trust is MediaTrust.SDP:
            return address[:2] == self._announced
        return source.trust is MediaTrust.ANY or address[0] in self._hosts

    def may_shake_hands(self, address: Address) -> bool:
        """Return whether DTLS of a source is taken: before one is believed, of any that the description allows."""
        if self.believed is not None:
            return address == self.believed
        return self.may_be(address) and self._verdict(address[0]) is True

    def is_left(self, address: Address, now_ns: int) -> bool:
        """Return whether the peer has left this source a moment ago: it is forwarded, and nothing is sent to it.

        The peer may wait for media at its new place before it sends from there, or send none at all.
        """
        if address != self._left or address[:2] == self._announced or self.believed is not None:
            return False
        if not self.may_be(address) or self._verdict(address[0]) is False:
            return False
        self._left_until_ns = self._left_until_ns or now_ns + LEFT_NS
        return now_ns < self._left_until_ns

    def is_of_peer(self, host: str) -> bool:
        """Return whether RTCP from this host is the peer's: that of the believed source, or else an announced one."""
        if self.believed is not None:
            return host == self.believed[0]
        return host in self._hosts and self._verdict(host) is True

    def is_translated(self, address: Address) -> bool:
        """Return whether a source that is allowed has another host than the announced one: that of its NAT."""
        host = address[0]
        return self._announced is not None and host in self._hosts and host != self._announced[0]

    def consider(
        self, address: Address, sequence: int, ssrc: int, data: bytes, last_ns: int, now_ns: int
    ) -> list[Arrived] | None:
        """Judge a valid packet of a source that is not believed.

        ``last_ns`` is the time of the believed one's last packet. Returns None if the packet is to be dropped, an
        empty list if it is held, and the packets of the source, this one as the last, when it is believed from now on.
        """
        if not self._is_eligible(address, last_ns, now_ns) or self._verdicts.get(address[0]) is False:
            return None
        candidate = self._candidates.get(address)
        if candidate is None:
            candidate = self._admit(address, now_ns)
            if candidate is None:
                return None
        elif ssrc == candidate.ssrc and candidate.sequence - sequence & SEQUENCE - 1 < len(candidate.held):
            return []  # a copy of a held packet: some networks deliver each packet twice
        if (sequence, ssrc) != (candidate.sequence + 1 & SEQUENCE - 1, candidate.ssrc):
            candidate.held.clear()
            candidate.begun_ns = now_ns
        candidate.held.append((data, now_ns))
        candidate.sequence, candidate.ssrc, candidate.seen_ns = sequence, ssrc, now_ns
        if len(candidate.held) < PACKETS:
            return []
        if not self._verdict(address[0]):
            return self._kept(address, candidate)
        if self.believed is not None and last_ns >= candidate.begun_ns and address[:2] != self._announced:
            del self._candidates[address]  # the believed source sends, too
            return None
        return self._believe(address, candidate.held)

    def consider_unread(self, address: Address, data: bytes, last_ns: int, now_ns: int) -> list[Arrived] | None:
        """Judge a packet that is no RTP; the announced address is believed at once: nothing in it can be compared.

        So is one behind NAT that the description does not name: a fax machine may send a single packet, and then wait.
        """
        candidate = self._candidates.get(address)
        is_sole = address[:2] == self._announced or (self.is_translated(address) and is_like_fax(data))
        if is_sole and self.believed is None and self._verdict(address[0]):
            held = [] if candidate is None else candidate.held
            return self._believe(address, [*held, (data, now_ns)])
        return self.consider(address, candidate.sequence + 1 if candidate else 0, 0, data, last_ns, now_ns)

    def _kept(self, address: Address, candidate: _Candidate) -> list[Arrived] | None:
        """Keep the packets of a source that is judged, as long as that may take."""
        if len(candidate.held) < HELD_MAX:
            return []
        del self._candidates[address]
        self._verdicts.pop(address[0], None)  # the switch has not answered: it may have been started again
        return None

    def _is_eligible(self, address: Address, last_ns: int, now_ns: int) -> bool:
        believed = self.believed
        if believed is None or address[:2] == self._announced:
            return self.may_be(address)
        silence_ns = now_ns - last_ns
        if self._is_open and silence_ns >= REPEATED_NS and self.may_be(address):
            return True
        is_moved = address[0] == believed[0] and silence_ns >= MOVED_NS
        return is_moved and self._source is not None and self._source.trust is not MediaTrust.SDP

    def _believe(self, address: Address, packets: list[Arrived]) -> list[Arrived]:
        self.believed = address
        self._is_open = False
        self._candidates.clear()
        return packets

    def _admit(self, address: Address, now_ns: int) -> _Candidate | None:
        candidates = self._candidates
        if len(candidates) >= CANDIDATES_MAX:
            oldest = min(
                (each for each in candidates if each[:2] != self._announced), key=lambda each: candidates[each].seen_ns
            )
            if now_ns - candidates[oldest].seen_ns < _IDLE_NS and address[:2] != self._announced:
                return None
            del candidates[oldest]
        candidate = candidates[address] = _Candidate()
        return candidate
