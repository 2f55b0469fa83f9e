"""Streams of media ports that the kernel forwards in place of the worker (ADR 179).

A stream is handed to the kernel when its source has been believed for a second and its packets are only forwarded. It
comes back for a sample of its quality, when its peer is silent or sends something else, and before each order about
one of its ports. Packets that the kernel has counted become those of the port.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from vosd.base.host import UNSPECIFIED, plain_host
from vosd.relay.media_port import BUDGET, ForwardedStream, MediaPort
from vosd.relay.routes import KernelRoutes, Route
from vosd.relay.stream_table import ABANDONED_MS, MAPS, KernelStream, StreamTable, kernel_stream
from vosd.relay.translations import Translations

FORWARDED_NS: Final = 28_000_000_000
"""Longest time for which the kernel forwards a stream without a sample."""
FORWARDED_FIRST_NS: Final = 2_000_000_000
"""The first such time, doubled up to the longest: a short call is measured as well."""
SAMPLED_NS: Final = 2_000_000_000
"""Length of a sample after the longest time."""
SAMPLED_BRIEFLY_NS: Final = 200_000_000
"""Length of the samples before, which show the loss alone."""
COUNTED_NS: Final = 1_000_000_000
"""Interval at which packets are counted."""
SETTLED_NS: Final = 100_000_000
"""Time after which no packet in the socket is one from before the kernel forwards."""
PAUSE_MAX_NS: Final = 32_000_000_000
"""Longest pause before the kernel is tried again with a stream of which packets reach the worker, or are translated."""
MOST_PACKETS: Final = 2 * BUDGET * 5 // 4
"""Packets of a stream a second above which the worker forwards it, which drops what is too much."""
ABANDONED_NS: Final = ABANDONED_MS * 1_000_000
"""Time after which a stream has ended by itself, as the worker stood still."""
ROUTES_NS: Final = 1_000_000_000
"""Shortest interval at which the routes of all streams are asked for, 0.1 ms each: where a machine learns those of the
internet, some change all the time."""
HANDED_AT_ONCE: Final = 100
"""Streams that are handed over in one turn, or would be but for translated addresses."""


class Offload:
    """All streams of a worker that the kernel forwards."""

    def __init__(self) -> None:
        """Make the table.

        Raises:
            OSError: the rights are missing, or a part of nftables.
        """
        self._routes = KernelRoutes()
        try:
            self._table = StreamTable()
        except OSError:
            self._routes.close()
            raise
        self._translations = Translations(self._table.questions)
        self._streams: dict[bytes, ForwardedStream] = {}
        self._leaving: dict[bytes, ForwardedStream] = {}
        """Streams that were taken back, and that the kernel forwards until another program is done."""
        self._has_new_routes = False
        self._routes_ns = 0
        """Time before which their routes are not asked for again."""
        self._found: dict[tuple[str, str, int, tuple[int, ...]], Route | None] = {}
        """Routes that were asked for in this look, by hosts, TOS and kind of ports."""
        self._count_ns = 0
        """Time at which packets are counted next."""
        self._counted_ns = 0
        """Time at which they were asked for."""
        self._uncounted: list[str] = []
        """Maps that are still to be counted; the first one is being counted."""

    def handlers(self) -> dict[int, Callable[[int], None]]:
        """Return what is to be called with the time when descriptors can be read; it raises OSError."""
        return {self._routes.descriptor: self._read_changes, self._table.descriptor: self._read_counts}

    def look(self, ports: Iterable[MediaPort], now_ns: int) -> None:
        """Take back what is due, hand over what may be, and ask for counts; to be called in even intervals.

        Raises:
            OSError: the table is not as it was made, or this machine has policies of IPsec.
        """
        self._routes.expect_no_policies()
        self._found.clear()
        self._settle(now_ns)
        if not self._table.is_waiting:
            self._change(ports, now_ns)
        if (self._streams or self._leaving) and not self._uncounted and now_ns >= self._count_ns:
            self._count_ns = now_ns + COUNTED_NS
            self._uncounted = list(MAPS)
            self._ask_for_counts(now_ns)

    def _change(self, ports: Iterable[MediaPort], now_ns: int) -> None:
        if self._has_new_routes and now_ns >= self._routes_ns:
            self._has_new_routes, self._routes_ns = False, now_ns + ROUTES_NS
            self._take_back([each for each in self._streams.values() if self._has_moved(each)], now_ns, 0)
        self._sample(now_ns)
        if not self._table.is_waiting:
            self._hand_over(ports, now_ns)

    def take_back(self, ports: Iterable[MediaPort], now_ns: int) -> None:
        """Let the worker forward the streams from and to ports from now on.

        Where another program changes the tables of this machine, the kernel forwards them until that one is done.

        Raises:
            OSError: the table is not as it was made.
        """
        found = (port.kernel.stream for one in ports for port in (one, one.other) if port is not None)
        self._take_back(self._with_all_ended((each for each in found if each is not None), now_ns), now_ns, 0)

    def left_over(self, port: MediaPort, now_ns: int) -> None:
        """Take back the stream of a port of which a packet came that the kernel has not forwarded.

        It waits longer each time where the kernel forwards hardly anything. Raises OSError.
        """
        forwarded, kernel = port.kernel.stream, port.kernel
        if forwarded is None or now_ns - forwarded.begun_ns < SETTLED_NS:
            return
        is_short = now_ns - forwarded.begun_ns < SAMPLED_NS
        kernel.pause_ns = min(2 * kernel.pause_ns, PAUSE_MAX_NS) if is_short and kernel.pause_ns else SAMPLED_NS
        self._take_back(self._with_all_ended([forwarded], now_ns), now_ns, kernel.pause_ns)

    def close(self, now_ns: int) -> None:
        """Let the worker forward everything, and remove the table."""
        try:
            with suppress(OSError):
                self._take_back(list(self._streams.values()), now_ns, 0)
        finally:
            self._table.close()
            self._routes.close()
        for each in self._streams.values():
            each.port.return_stream(now_ns, are_all_counted=False)

    # ---- handing over ----

    def _hand_over(self, ports: Iterable[MediaPort], now_ns: int) -> None:
        chosen: list[ForwardedStream] = []
        asked = 0
        for port in ports:
            if port.kernel.stream is None and port.is_filtered and now_ns >= port.kernel.after_ns:
                stream = self._stream_of(port)
                if stream is None:
                    port.kernel.after_ns = now_ns + SAMPLED_NS
                elif stream.key not in self._streams:
                    assert port.other is not None
                    if self._is_translated(port):  # as long as it flows
                        port.kernel.after_ns = now_ns + PAUSE_MAX_NS
                    else:
                        chosen.append(ForwardedStream(port, port.other, stream, now_ns))
                    asked += 1
                    if asked == HANDED_AT_ONCE:
                        break
        self._table.add([each.stream for each in chosen])
        for each in chosen:
            self._streams[each.stream.key] = each
            each.port.forward_by_kernel(each)

    def _stream_of(self, port: MediaPort) -> KernelStream | None:
        """Return the stream that a port receives, as the kernel would forward it; None = it cannot, or must not."""
        other, seen = port.other, port.plain_stream()
        if seen is None or other is None:
            return None
        peer, target = port.latch.believed, other.sender.target
        assert peer is not None
        assert target is not None
        own, sender = (plain_host(port.port.host), port.port.rtp), (plain_host(other.port.host), other.port.rtp)
        if (":" in own[0]) is not (":" in sender[0]):
            return None  # IPv4 on one side and IPv6 on the other
        near, far = (plain_host(peer[0]), peer[1]), (plain_host(target[0]), target[1])
        back, onward = self._route(own, near, port.tos), self._route(sender, far, other.tos)
        if back is None or onward is None or not self._is_hooked(back):
            return None
        return kernel_stream(near, _at(own, back), seen, _at(sender, onward), far, other.tos, (back, onward))

    def _is_translated(self, port: MediaPort) -> bool:
        """Return whether this machine gives packets of a stream other addresses, which the kernel's would not have."""
        sender = port.other
        assert sender is not None
        target = sender.sender.target
        assert target is not None
        own, far = (plain_host(sender.port.host), sender.port.rtp), (plain_host(target[0]), target[1])
        onward = self._route(own, far, sender.tos)
        return onward is not None and self._translations.has(_at(own, onward), far)

    def _route(self, own: tuple[str, int], peer: tuple[str, int], tos: int) -> Route | None:
        """Return a route; many streams go between two hosts, mostly by one."""
        key = own[0], peer[0], tos, self._routes.kind_of(own[1], peer[1])
        if key not in self._found:
            self._found[key] = self._routes.find(own, peer, tos)
        return self._found[key]

    def _is_hooked(self, way: Route) -> bool:
        """Let the table see the packets of the device by which a peer is reached."""
        name = self._routes.name_of(way.device)
        if name is None:
            return False
        try:
            self._table.hook(way.device, name)
        except OSError:  # it has gone meanwhile, or is of a kind that cannot be hooked
            return False
        return True

    def _has_moved(self, forwarded: ForwardedStream) -> bool:
        """Return whether the routes of a stream are others by now."""
        return self._stream_of(forwarded.port) != forwarded.stream

    # ---- counting and taking back ----

    def _sample(self, now_ns: int) -> None:
        """Take back streams that the kernel has forwarded for long enough."""
        brief: list[ForwardedStream] = []
        whole: list[ForwardedStream] = []
        for each in self._streams.values():
            kernel = each.port.kernel
            spell_ns = kernel.spell_ns or FORWARDED_FIRST_NS
            if now_ns - each.begun_ns >= spell_ns:
                (whole if spell_ns >= FORWARDED_NS else brief).append(each)
                kernel.spell_ns = min(2 * spell_ns, FORWARDED_NS)
        self._take_back(brief, now_ns, SAMPLED_BRIEFLY_NS)
        self._take_back(whole, now_ns, SAMPLED_NS)

    def _with_all_ended(self, streams: Iterable[ForwardedStream], now_ns: int) -> list[ForwardedStream]:
        """Return streams, and if one has ended by itself all that have: one by one each costs the kernel 10 ms."""
        chosen = dict.fromkeys(streams)
        ended_ns = now_ns - ABANDONED_NS
        if any(each.begun_ns <= ended_ns for each in chosen):
            chosen.update(dict.fromkeys(each for each in self._streams.values() if each.begun_ns <= ended_ns))
        return list(chosen)

    def _take_back(self, streams: list[ForwardedStream], now_ns: int, pause_ns: int) -> None:
        if not streams:
            return
        counts = self._table.remove([each.stream for each in streams])
        for each in streams:
            del self._streams[each.stream.key]
            self._note_count(each, counts.get(each.stream.key, each.counted), now_ns)
            each.port.return_stream(now_ns + pause_ns, are_all_counted=each.stream.key in counts)
            if each.stream.key not in counts and self._table.is_waiting:
                self._leaving[each.stream.key] = each

    def _settle(self, now_ns: int) -> None:
        """Note what the kernel says of changes that had to wait."""
        for key, packets in self._table.settled().items():
            self._note_leaving(key, packets, now_ns)
        if not self._table.is_waiting:
            self._leaving.clear()

    def _note_leaving(self, key: bytes, packets: int, now_ns: int) -> None:
        leaving = self._leaving.get(key)
        new = 0 if leaving is None else packets - leaving.counted
        if leaving is not None and new > 0 and not leaving.port.is_closed:
            leaving.counted = packets
            leaving.port.note_forwarded_still(new, now_ns)
            if not leaving.receiver.is_closed:
                leaving.receiver.sender.note_forwarded(new)

    def _note_count(self, forwarded: ForwardedStream, packets: int, now_ns: int) -> None:
        new = packets - forwarded.counted
        if new > 0:
            forwarded.counted = packets
            forwarded.port.note_forwarded(new, now_ns)
            forwarded.receiver.sender.note_forwarded(new)

    def _read_changes(self, _now_ns: int) -> None:
        self._has_new_routes = True
        self._table.forget(self._routes.read_changes())

    def _ask_for_counts(self, now_ns: int) -> None:
        self._counted_ns = now_ns
        self._table.ask_for_counts(self._uncounted[0])

    def _read_counts(self, now_ns: int) -> None:
        """Note some of the counts; take back streams of which there are too many packets."""
        found, is_over = self._table.read_counts()
        excess: list[ForwardedStream] = []
        for key, packets in found:
            forwarded = self._streams.get(key)
            if forwarded is not None:
                if packets - forwarded.counted > MOST_PACKETS:
                    excess.append(forwarded)
                self._note_count(forwarded, packets, self._counted_ns)
            else:
                self._note_leaving(key, packets, self._counted_ns)
        self._take_back(excess, now_ns, PAUSE_MAX_NS)
        if is_over:
            del self._uncounted[0]
            if self._uncounted:
                self._ask_for_counts(now_ns)


def _at(own: tuple[str, int], way: Route) -> tuple[str, int]:
    """Return where packets to a peer leave from: a port of all addresses has the one of its route.

    Packets of the peer may come to another one: they reach the worker.
    """
    host, port = own
    return (way.own or host if host in UNSPECIFIED else host), port
