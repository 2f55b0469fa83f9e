"""Media ports of the switch: chosen and bound here, served by worker processes (ADR 148).

Called from the event loop, and never waits. The sockets stay open here as well: a worker that dies loses none, the next
one goes on with them, and packets that arrive meanwhile wait in them. Figures are read from memory that both share.
"""

import asyncio
import errno
import resource
from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import count
from pathlib import Path
from time import monotonic_ns
from typing import Final

import msgspec
from msgspec.structs import replace

from vosd.base.clock import Instant
from vosd.base.host import UNSPECIFIED, bracketed, plain_host
from vosd.media.figures import PortFigures
from vosd.media.port_pool import PortPool
from vosd.media.sounds import EncodedSound
from vosd.media.source import MediaSource, RelayPort
from vosd.obs.events import Event, log as _log
from vosd.obs.log import LogLimiter
from vosd.relay.link import WorkerLink
from vosd.relay.protocol import (
    ClosePort,
    ConnectPorts,
    ExpectSource,
    JudgeSource,
    OffloadFailed,
    OffloadStreams,
    OpenPort,
    PlayRingBack,
    PlaySound,
    PortListed,
    PortOrder,
    PressKey,
    RecordingStopped,
    RecordPorts,
    ReportKeys,
    SourceFound,
    SpareRanges,
    StopPlaying,
    WarnPeer,
    WidenSource,
)
from vosd.relay.routes import HAS_POLICIES
from vosd.relay.shared_sounds import SharedSounds
from vosd.relay.sockets import PlainSocket, address_towards, bound_sockets, received_socket
from vosd.relay.source_filter import drops_of
from vosd.relay.worker_process import is_served
from vosd.trunks.media import MediaTrust, PortRange

TRIES: Final = 256
"""Ports that are tried for one leg, each from a new place: programs may occupy many in a row."""
LOOK_S: Final = 1.0
"""Interval at which it is seen that workers have had a turn."""
_LISTING_S: Final = 5.0
_IDS_PER_MS: Final = 1_024
_SOCKETS: Final = "media-{}.sock"
_NO_CIRCLE: Final[frozenset[int]] = frozenset()
_PAIR_ORDERS: Final = 13
"""Most orders by which a worker is given two ports (``Relay._give``) and their connection."""


class _ServedPort(msgspec.Struct, eq=False):
    """One port, with all that a worker has to know of it."""

    port: RelayPort
    tos: int
    sockets: list[PlainSocket]
    link: WorkerLink
    record: int
    source: MediaSource | None = None
    beside: RelayPort | None = None
    """The port of ours that the source is: its call has come back to the switch; None = it is none."""
    circle: frozenset[int] = _NO_CIRCLE
    """Ports over which its packets would go round; none = they would not."""
    left: tuple[str, int] | None = None
    """Address that was believed when a description named another place: the next worker sends nothing there, though
    the worker before has died without the description, and without a packet of the peer from its new place."""
    other: int | None = None
    recording: Path | None = None
    """File into which it is recorded."""
    keys: tuple[bool, bool, bool] = (False, False, False)
    """Whether keys of the peer are reported, taken, and read from tones, too."""
    playing: PlaySound | None = None
    """Sound that its peer is played."""
    ringing: tuple[PlayRingBack, int] | None = None
    """Ring-back that its peer is played, and packets that had come to be forwarded to it when that was ordered."""

    def figures(self) -> PortFigures:
        figures = self.link.records.figures(self.record, self.port.id)
        if figures.alive_mono is None and not figures.foreign:
            return figures  # no packet was taken or dropped: the kernel had none to drop
        drops = sum(map(drops_of, self.sockets))
        return replace(figures, dropped=replace(figures.dropped, kernel=drops)) if drops else figures

    def close(self) -> None:
        for sock in self.sockets:
            sock.close()


def has_left_workers(directory: Path) -> bool:
    """Return whether the sockets of workers are there: those of a run before that had calls with ports."""
    try:
        return any(directory.glob(_SOCKETS.format("*")))
    except PermissionError:  # a start says so when it claims the directory
        return False


class Relay:
    """Media ports on all addresses; a ``MediaRelay``."""

    def __init__(
        self, directory: Path, workers: int, entropy: Callable[[], bytes], *, are_offloaded: bool = False
    ) -> None:
        """``directory`` is for the sockets of the workers; ``entropy`` returns new random bytes.

        ``are_offloaded``: the kernel forwards streams that only pass, where it can.
        """
        self._directory = directory
        self._workers = workers
        self._are_offloaded = are_offloaded
        self._is_offload_missing = False
        """Whether the log says already that the kernel forwards no streams."""
        self._entropy = entropy
        self.links: Final[list[WorkerLink]] = []
        """The workers, in the order of their numbers."""
        self._loads: dict[WorkerLink, int] = {}
        self._ports: dict[int, _ServedPort] = {}
        self._pools: dict[str, PortPool] = {}
        self._places: dict[tuple[str, int], _ServedPort] = {}
        """Open ports by their addresses."""
        self._hosts: dict[str, dict[str, None]] = {}
        """Our addresses by themselves, by those that are announced for them, and by those that workers list after a
        restart."""
        self._circles: dict[int, set[int]] = {}
        """Ports that get nothing from a port of ours, as packets would go round, by each port of that way."""
        self._spared: dict[tuple[str, PortRange], None] = {}
        self.key_pressed: Callable[[int, str, int], None] = _ignore
        """Gets the port, the key and its duration in milliseconds (``report_keys``)."""
        self.source_found: Callable[[RelayPort, int, str], None] = _not_judged
        """Gets a port, the number of its leg, and an address that its media come from (``MediaSource.judged_for``)."""
        self.recording_failed: Callable[[int], None] = _not_noted
        """Gets a port that is not recorded after all: no file could be begun."""
        self.sound_failed: Callable[[int], None] = _not_noted
        """Gets a port whose peer is not played its sound after all."""
        self._log_limiter = LogLimiter()
        self._sounds = SharedSounds()
        self._newest_id = 0
        self._looking: asyncio.TimerHandle | None = None
        self._ending: list[asyncio.Task[None]] = []
        """Workers that end since they have no port any more."""

    # ---- life ----

    async def start(self) -> None:
        """Start the workers; those that a switch before has left go on, and their ports are in ``ports``.

        Raises:
            OSError: a worker cannot be started.
        """
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # each port takes one descriptor or two
        paths = [self._directory / _SOCKETS.format(number) for number in range(1, self._workers + 1)]
        left = sorted(set(self._directory.glob(_SOCKETS.format("*"))) - set(paths))
        for path in (*paths, *(each for each in left if is_served(each))):
            self._begin_link(len(self.links), path)
        for number, link in enumerate(tuple(self.links)):
            await self._take_over(link)
            if link.is_outdated and number < self._workers:
                await self._succeed(number, link)
        self._looking = asyncio.get_running_loop().call_later(LOOK_S, self._look)

    def _begin_link(self, number: int, path: Path) -> WorkerLink:
        """Connect to the worker at a path, or start one there.

        Raises:
            OSError: it cannot be started.
        """
        link = WorkerLink(
            path,
            self._pressed,
            self._adopt,
            self._give_again,
            self._recording_stopped,
            self._sound_missing,
            self._not_offloaded,
            self._found,
        )
        self.links.insert(number, link)
        self._loads[link] = 0
        link.open()
        return link

    async def _take_over(self, link: WorkerLink) -> None:
        """Adopt the ports of a worker, and give it the orders that hold for all of them."""
        try:
            async with asyncio.timeout(_LISTING_S):
                await link.listed.wait()
        except TimeoutError:
            link.replace()
        await link.ports_freed()
        self._order_spared(link)
        if not (link.is_outdated and self._are_offloaded):  # one that lacks the right would report it
            link.order(OffloadStreams(self._are_offloaded))

    async def _succeed(self, number: int, link: WorkerLink) -> None:
        """Start a worker for new calls in the place of one, which ends with its last port."""
        _log.info("media_worker_outdated", pid=link.pid, ports=self._loads[link])
        path = link.path
        self.links.remove(link)
        if self._loads[link]:
            places = map(self._directory.joinpath, map(_SOCKETS.format, count(self._workers + 1)))
            link.move(next(place for place in places if not place.exists()))
            self.links.append(link)
        else:
            del self._loads[link]
            await link.stop(keep=False)
        await self._take_over(self._begin_link(number, path))

    async def stop(self, *, keep: bool) -> None:
        """Leave the workers to the next switch if ``keep``, else end them."""
        if self._looking is not None:
            self._looking.cancel()
        await asyncio.gather(*self._ending, *(link.stop(keep=keep) for link in self.links))
        for served in self._ports.values():
            served.close()
        self._ports.clear()
        self.links.clear()
        self._sounds.close()

    # ---- ports ----

    @property
    def ports(self) -> Mapping[int, RelayPort]:
        """All open ports, by id."""
        return {number: served.port for number, served in self._ports.items()}

    def used_percent(self, ports: PortRange, now: Instant) -> float:
        """Return which percentage of a range is in use or rests after use, at the address with the most."""
        return 100 * max((pool.used(ports, now.mono) for pool in self._pools.values()), default=0) / ports.size

    def spare(self, ranges: Iterable[tuple[str, PortRange]]) -> None:
        """Send nothing to these addresses and ports either, from now on."""
        before = len(self._spared)
        self._spared.update(dict.fromkeys(ranges))
        if len(self._spared) > before:
            for link in self.links:
                self._order_spared(link)

    def announce(self, host: str, announced: str) -> None:
        """Know the ports at an address by the one that is announced for it, too.

        Those at all addresses are known by the one that reaches them from this one: a worker that a switch before has
        left lists it as their source.
        """
        self._hosts.setdefault(announced, {})[host] = None
        self._hosts.setdefault(address_towards(host), {})["::" if ":" in host else "0.0.0.0"] = None

    def open(self, host: str, ports: PortRange, *, is_multiplexed: bool, tos: int, now: Instant) -> RelayPort | None:
        """Open a port of a range, with one for RTCP unless ``is_multiplexed``; None if none is to be had.

        ``tos`` marks its packets.
        """
        pool, link = self._pools.get(host) or self._pool(host), self._freest_link()
        record = link.records.take()
        if record is None:
            return None
        for _ in range(TRIES):
            start = int.from_bytes(self._entropy(), "big")
            rtp = pool.take(ports, is_multiplexed=is_multiplexed, start=start, now_ms=now.mono)
            if rtp is None:
                break
            port = RelayPort(self._next_id(now), host, rtp, None if is_multiplexed else rtp + 1)
            try:
                sockets = bound_sockets(host, (rtp,) if port.rtcp is None else (rtp, port.rtcp))
            except OSError as error:
                pool.rest(rtp, port.rtcp, now.mono)
                self._log_unusable(host, error)
                break
            if sockets is not None:
                self._serve(port, tos, sockets, link, record)
                return port
            pool.set_aside(rtp, port.rtcp, now.mono)
        link.records.give_back(record)
        return None

    def is_open(self, port: RelayPort) -> bool:
        """Return whether a port is served: also one of an earlier process, whose worker goes on."""
        return port.id in self._ports

    def has_source(self, port: RelayPort) -> bool:
        """Return whether a port is served, and takes media from a source.

        One of an earlier process may have none: orders wait some milliseconds, and end with the switch.
        """
        served = self._ports.get(port.id)
        return served is not None and served.source is not None

    def partner(self, port: RelayPort) -> int | None:
        """Return the id of the port with which one is connected; None = with none."""
        served = self._ports.get(port.id)
        return None if served is None else served.other

    def reopen(self, port: RelayPort, *, tos: int) -> bool:
        """Go on with a port of an earlier process, opened again if its worker has ended, too; False = it is lost."""
        if self.is_open(port):
            return True
        link = self._freest_link()
        record = link.records.take()
        if record is None:
            return False
        try:
            sockets = bound_sockets(port.host, (port.rtp,) if port.rtcp is None else (port.rtp, port.rtcp))
        except OSError as error:
            self._log_unusable(port.host, error)
            sockets = None
        if sockets is None:
            link.records.give_back(record)
            return False
        self._serve(port, tos, sockets, link, record)
        self._pool(port.host).adopt(port.rtp, port.rtcp)
        self._newest_id = max(self._newest_id, port.id)
        return True

    def retain(self, ids: Collection[int], now: Instant) -> int:
        """Close all ports but these: those of calls that go on after a restart; return how many were closed."""
        for served in self._ports.values():
            self._note_circle(served, self._beside(served)[1])
        others = [served.port for number, served in self._ports.items() if number not in ids]
        for port in others:
            self.close(port, now)
        return len(others)

    def expect(self, port: RelayPort, source: MediaSource) -> None:
        """Take media from the source of a new session description from now on."""
        served = self._ports.get(port.id)
        if served is not None:
            if served.source is not None and not source.is_at_place_of(served.source):
                served.left = served.figures().latched
            served.source = source
            self._expect(served, may_wait=self._is_one_sided(served))
            if self._circles:
                self._look_at_circles(served)

    def widen(self, port: RelayPort, source: MediaSource) -> None:
        """Take more payload types from a source that is as it was else."""
        served = self._ports.get(port.id)
        if served is not None:
            served.source = source
            served.link.order(WidenSource(port.id, _seen_from_here(served)), may_wait=self._is_one_sided(served))

    def judge(self, port: RelayPort, host: str, *, may_send: bool) -> None:
        """Take media from a host that ``source_found`` has named, or drop them."""
        self._order(port, JudgeSource(port.id, host, may_send))

    def connect(self, one: RelayPort, other: RelayPort) -> None:
        """Send by one port what comes in at the other, both ways; earlier connections of both end."""
        first, second = self._ports.get(one.id), self._ports.get(other.id)
        if first is None or second is None or first is second or first.other == other.id:
            return
        for each in (first, second):
            if each.other is not None:
                self._part(each)
        if first.link is not second.link:
            moved, link = (second, first.link) if first.link.is_receiving() else (first, second.link)
            if not self._is_moved(moved, link):
                return
        first.other, second.other = other.id, one.id
        first.link.order(ConnectPorts(one.id, other.id), may_wait=first.source is None or second.source is None)
        for each in (first, second):
            if each.source is not None and each.beside is not self._beside(each)[0]:
                self._expect(each)  # packets would go round now, or do so no more
        if self._circles:
            self._look_at_circles(first, second)

    def report_keys(
        self, port: RelayPort, *, are_reported: bool, are_taken: bool = False, in_tones: bool = False
    ) -> None:
        """Report keys that the peer sends in its media; ``are_taken`` = they are not forwarded.

        ``in_tones``: also those that it sends as tones in G.711, unless it sends telephone events.
        """
        served = self._ports.get(port.id)
        keys = (are_reported, are_taken, in_tones)
        if served is not None and served.keys != keys:
            served.keys = keys
            served.link.order(ReportKeys(port.id, *keys))

    def press(self, port: RelayPort, key: str, duration_ms: int, *, as_tone: bool = False) -> None:
        """Send a key to the peer: as a telephone event, or as a tone of G.711."""
        self._order(port, PressKey(port.id, key, duration_ms, as_tone))

    def play_ring_back(self, port: RelayPort, delay_ms: int, payload: int) -> None:
        """Play ring-back to the peer after a pause, until media are forwarded to it (``MediaRelay``)."""
        served = self._ports.get(port.id)
        if served is not None:
            ring_back = PlayRingBack(port.id, delay_ms, payload)
            served.ringing = ring_back, self._packets_for(served)
            served.link.order(ring_back)

    def warn(self, port: RelayPort, payload: int, sounds: Mapping[int, EncodedSound]) -> bool:
        """Warn the peer of the end of its call by a tone (``MediaRelay``); False = its worker cannot."""
        served = self._ports.get(port.id)
        if served is None or not served.link.warns:
            return False
        ready = [(number, each.digest, each.codec) for number, each in sounds.items() if self.load_sound(port, each)]
        served.link.order(WarnPeer(port.id, payload, tuple(ready)))
        return True

    def load_sound(self, port: RelayPort, sound: EncodedSound) -> bool:
        """Have a sound ready to be played from a port; False = there is no memory for it."""
        served = self._ports.get(port.id)
        if served is None:
            return False
        try:
            self._sounds.make_ready(sound, served.link)
        except OSError as error:
            self._log_sound(port.id, str(error))
            return False
        return True

    def play(self, port: RelayPort, sound: EncodedSound, payload: int, times: int = 0) -> bool:
        """Play a sound to the peer, so often or without end, in place of what is forwarded to it.

        Returns False where that is not possible.
        """
        served = self._ports.get(port.id)
        if served is None or not self.load_sound(port, sound):
            return False
        served.ringing = None
        served.playing = PlaySound(
            port.id, sound.digest, payload, sound.codec.packet_bytes, sound.codec.packet_ms, times
        )
        served.link.order(served.playing)
        return True

    def retain_sounds(self, digests: Collection[str]) -> None:
        """Give the memory of all sounds back but these."""
        self._sounds.retain(digests)

    def stop_playing(self, port: RelayPort) -> None:
        """Play nothing to the peer."""
        served = self._ports.get(port.id)
        if served is not None:
            served.playing = served.ringing = None
            served.link.order(StopPlaying(port.id))

    def record(self, one: RelayPort, other: RelayPort, path: Path) -> bool:
        """Record what two connected ports forward, into a file that only the switch's user may read.

        The worker opens it, or goes on with it. Returns False where the ports are not connected.
        """
        first, second = self._ports.get(one.id), self._ports.get(other.id)
        if first is None or second is None or first.other != other.id:
            return False
        path = path.absolute()  # the next switch may begin elsewhere
        if first.recording == second.recording == path:
            return True
        first.recording = second.recording = path
        first.link.order(RecordPorts((one.id, other.id), str(path)))
        return True

    def record_no_more(self, port: RelayPort) -> None:
        """Record nothing any more that is forwarded to the peer of a port."""
        served = self._ports.get(port.id)
        if served is not None and served.recording is not None:
            served.recording = None
            served.link.order(RecordPorts((port.id,), ""))

    def figures(self, port: RelayPort) -> PortFigures:
        """Return the figures of an open port, at most one turn of its worker old."""
        served = self._ports.get(port.id)
        return served.figures() if served is not None else PortFigures(port.id)

    def last_packet(self, port: RelayPort) -> int | None:
        """Return when the last packet came to a port, on the monotonic clock; None = none has."""
        served = self._ports.get(port.id)
        return None if served is None else served.link.records.last_packet_ms(served.record, port.id)

    def receiving_since(self, port: RelayPort) -> int:
        """Return from when on packets to a port were received; a later moment than now while its worker is away."""
        served = self._ports.get(port.id)
        return 0 if served is None else served.link.receiving_since_ms()

    def close(self, port: RelayPort, now: Instant) -> PortFigures:
        """Close a port and return its last figures; it is not opened again for some seconds."""
        served = self._ports.pop(port.id, None)
        if served is None:
            return PortFigures(port.id)
        del self._places[port.host, port.rtp]
        if served.circle:
            self._note_circle(served, _NO_CIRCLE)
        figures = served.figures()
        if served.other is not None:
            self._part(served)
        self._loads[served.link] -= 1
        served.link.close(ClosePort(port.id), served.sockets)
        served.link.records.give_back(served.record)
        self._pools[port.host].rest(port.rtp, port.rtcp, now.mono)
        if self._circles:
            self._look_at_circles(served)
            self._circles.pop(port.id, None)
        return figures

    # ---- workers ----

    def _order_spared(self, link: WorkerLink) -> None:
        if self._spared:
            link.order(SpareRanges(tuple(self._spared)))

    def _pool(self, host: str) -> PortPool:
        pool = self._pools.get(host)
        if pool is None:
            pool = self._pools[host] = PortPool()
            self._hosts.setdefault(host, {})[host] = None
        return pool

    def _next_id(self, now: Instant) -> int:
        """Return a number above all before it, also those of earlier runs."""
        self._newest_id = max(self._newest_id + 1, now.wall * _IDS_PER_MS)
        return self._newest_id

    def _freest_link(self) -> WorkerLink:
        """Return the worker that serves the fewest ports, of those that take packets if any does."""
        if self._workers == 1:
            return self.links[0]
        return min(self.links[: self._workers], key=lambda link: (not link.is_receiving(), self._loads[link]))

    def _serve(self, port: RelayPort, tos: int, sockets: list[PlainSocket], link: WorkerLink, record: int) -> None:
        """Let a worker serve a port that is bound."""
        self._ports[port.id] = self._places[port.host, port.rtp] = _ServedPort(port, tos, sockets, link, record)
        self._loads[link] += 1
        link.records.begin(record, None)
        link.order(OpenPort(port, tos, record), map(PlainSocket.fileno, sockets), may_wait=True)

    def _expect(self, served: _ServedPort, believed: tuple[str, int] | None = None, *, may_wait: bool = False) -> None:
        """Order a worker to take media from the source of a port."""
        served.beside, circle = self._beside(served)
        if circle or served.circle:
            self._note_circle(served, circle)
        order = ExpectSource(served.port.id, _seen_from_here(served), believed, served.beside is not None)
        served.link.order(order, may_wait=may_wait)

    def _look_at_circles(self, *changed: _ServedPort) -> None:
        """Let ports take media from their sources where packets went round over one of these, and do so no more."""
        for number in {each for one in changed for each in self._circles.get(one.port.id, ())}:
            served = self._ports[number]
            if circle := self._beside(served)[1]:
                self._note_circle(served, circle)
            else:
                self._expect(served)

    def _note_circle(self, served: _ServedPort, way: frozenset[int]) -> None:
        """Note the ports over which the packets to a port would go round; none = they would not."""
        for each in served.circle:
            self._circles.get(each, set()).discard(served.port.id)  # that one may be closed
        served.circle = way
        for each in way:
            self._circles.setdefault(each, set()).add(served.port.id)

    def _beside(self, served: _ServedPort) -> tuple[RelayPort | None, frozenset[int]]:
        """Return the port of ours that the source of a port is, or the ports over which packets from it would go round.

        So they would where the call of that port, or one that it leads to in the same way, leads back to this one.
        """
        found = each = self._own_source(served)
        if found is None:
            return None, _NO_CIRCLE
        passed = {served.port.id} if served.other is None else {served.port.id, served.other}
        while each is not None:
            if each.port.id in passed:
                return None, frozenset(passed)
            partner = None if each.other is None else self._ports.get(each.other)
            if partner is None:
                break
            passed.update((each.port.id, partner.port.id))
            each = self._own_source(partner)
        return found.port, _NO_CIRCLE

    def _own_source(self, served: _ServedPort) -> _ServedPort | None:
        """Return the open port of ours that the source of a port is; None = it is none, or one of the other family."""
        source = served.source
        if source is None:
            return None
        for each in self._hosts.get(plain_host(source.host), ()):
            found = self._places.get((each, source.rtp))
            if found is not None and (":" in each) is (":" in served.port.host):
                return found
        return None

    def _is_one_sided(self, served: _ServedPort) -> bool:
        """Return whether nothing is forwarded to a port, nor from it: the other side has not described its media."""
        other = self._ports.get(served.other) if served.other is not None else None
        return other is None or other.source is None

    def _is_moved(self, served: _ServedPort, link: WorkerLink) -> bool:
        """Let another worker serve a port: both ports of a connection are served by one."""
        record = link.records.take()
        if record is None:
            return False
        before = served.figures()
        self._loads[served.link] -= 1
        served.link.order(ClosePort(served.port.id))
        served.link.records.give_back(served.record)
        served.link, served.record = link, record
        self._loads[link] += 1
        self._give(served, before)
        return True

    def _order(self, port: RelayPort, order: PortOrder) -> None:
        served = self._ports.get(port.id)
        if served is not None:
            served.link.order(order)

    def _part(self, served: _ServedPort) -> None:
        other = self._ports.get(served.other) if served.other is not None else None
        if other is not None:
            other.other = None
        served.other = None

    def _give(self, served: _ServedPort, before: PortFigures) -> None:
        """Give a worker a port that another one has served."""
        served.link.records.begin(served.record, before)
        order = OpenPort(served.port, served.tos, served.record, had_worker=True)
        served.link.order(order, map(PlainSocket.fileno, served.sockets))
        if served.source is not None:
            believed = None if before.latched == served.left else before.latched
            self._expect(served, believed)
        if served.keys[0]:
            served.link.order(ReportKeys(served.port.id, *served.keys))
        if served.recording is not None:
            served.link.order(RecordPorts((served.port.id,), str(served.recording)))
        if served.ringing is not None and self._packets_for(served) == served.ringing[1]:
            served.link.order(served.ringing[0])
        if served.playing is None:
            return
        if self._sounds.is_known(served.playing.digest, served.link):
            served.link.order(served.playing)
        else:
            self._sound_missing(served.port.id, "it was given up")

    def _packets_for(self, served: _ServedPort) -> int:
        """Return how many packets have come to be forwarded to the peer of a port."""
        other = None if served.other is None else self._ports.get(served.other)
        return 0 if other is None else other.figures().packets_in

    def _give_again(self, link: WorkerLink) -> None:
        """Give a worker all ports of the one that has died."""
        self._sounds.died(link)
        self._order_spared(link)
        link.order(OffloadStreams(self._are_offloaded))
        given = [served for served in self._ports.values() if served.link is link]
        given.sort(key=_place_in_pairs)
        for served in given:
            is_second = served.other is not None and served.other < served.port.id
            if not is_second:
                # Between two messages the worker reads its ports: packets that wait at one alone would go nowhere.
                link.keep_together(_PAIR_ORDERS)
            self._give(served, served.figures())
            if is_second and served.other is not None:
                link.order(ConnectPorts(served.port.id, served.other))

    def _pressed(self, port: int, key: str, duration_ms: int) -> None:
        if port in self._ports:
            self.key_pressed(port, key, duration_ms)

    def _found(self, report: SourceFound) -> None:
        served = self._ports.get(report.id)
        if served is not None:
            self.source_found(served.port, report.leg, report.host)

    def _recording_stopped(self, report: RecordingStopped) -> None:
        served, file = self._ports.get(report.id), report.file
        if served is not None and served.recording is not None:
            file, served.recording = str(served.recording), None
        if not file:
            return
        if not report.has_begun:
            if self._log_limiter.admits("begin", monotonic_ns() // 1_000_000):
                _log.warning(Event.RECORDING_NOT_BEGUN, file=file, error=report.error)
            self.recording_failed(report.id)
        elif self._log_limiter.admits("stop", monotonic_ns() // 1_000_000):
            _log.warning(Event.RECORDING_STOPPED, file=file, error=report.error)

    def _sound_missing(self, port: int, error: str = "its worker has no memory for it") -> None:
        served = self._ports.get(port)
        if served is not None:
            served.playing = None
            self._log_sound(port, error)
            asyncio.get_running_loop().call_soon(self._report_silence, port)  # this may be within an act of its call

    def _report_silence(self, port: int) -> None:
        served = self._ports.get(port)
        if served is not None and served.playing is None:
            self.sound_failed(port)

    def _log_unusable(self, host: str, error: OSError) -> None:
        if self._log_limiter.admits(host, monotonic_ns() // 1_000_000):
            _log.error("media_address_unusable", address=host, error=str(error))

    def _log_sound(self, port: int, error: str) -> None:
        if self._log_limiter.admits("sound", monotonic_ns() // 1_000_000):
            served = self._ports[port].port
            _log.error(Event.SOUND_NOT_PLAYED, port=f"{bracketed(served.host)}:{served.rtp}", error=error)

    def _not_offloaded(self, report: OffloadFailed) -> None:
        if not self._is_offload_missing:
            self._is_offload_missing = True
            _log.info("media_offload_unavailable", error=report.error, remedy=_remedy(report.number))

    def _adopt(self, link: WorkerLink, listed: PortListed, descriptors: list[int]) -> None:
        """Take over a port that a worker serves for a switch before."""
        port = listed.port
        sockets = [received_socket(port.host, each) for each in descriptors]
        served = _ServedPort(port, listed.tos, sockets, link, listed.record)
        self._ports[port.id] = self._places[port.host, port.rtp] = served
        served.source, served.other = listed.source, listed.other
        served.recording = None if listed.recording is None else Path(listed.recording)
        served.playing = listed.playing
        link.records.keep(listed.record)
        self._loads[link] += 1
        self._newest_id = max(self._newest_id, port.id)
        self._pool(port.host).adopt(port.rtp, port.rtcp)

    def _look(self) -> None:
        """End workers that have had no turn, and start others; end those for no new calls with their last port."""
        for link in self.links:
            if link.is_stuck():
                link.replace()
        for link in [each for each in self.links[self._workers :] if not self._loads[each]]:
            self.links.remove(link)
            del self._loads[link]
            self._sounds.died(link)
            self._ending.append(asyncio.create_task(link.stop(keep=False)))
        self._looking = asyncio.get_running_loop().call_later(LOOK_S, self._look)


def _seen_from_here(served: _ServedPort) -> MediaSource:
    """Return the source of a port for its worker: a port of ours has the address that it is bound to, and no other.

    One that is bound to all addresses has the one that the kernel gives its packets to the port.
    """
    source, beside = served.source, served.beside
    assert source is not None, "there is nothing to take media from"
    if beside is None:
        return source
    host = address_towards(served.port.host) if beside.host in UNSPECIFIED else beside.host
    place = {"host": host, "rtp": beside.rtp, "rtcp_host": host, "rtcp": beside.rtcp}
    return replace(source, **place, trust=MediaTrust.SDP, judged_for=0)


def _place_in_pairs(served: _ServedPort) -> tuple[int, int]:
    """Return the place of a port in an order in which those that are connected follow each other, by their ids."""
    own = served.port.id
    return own if served.other is None else min(own, served.other), own


def _remedy(number: int) -> str:
    """Return what an operator can do about an error."""
    if number in {errno.EPERM, errno.EACCES}:
        return "the service needs CAP_NET_ADMIN (docs/media.md), or media.offload: off"
    if number == HAS_POLICIES:
        return "none: forwarded packets would leave unencrypted (docs/media.md); media.offload: off"
    if number == errno.EAFNOSUPPORT:
        return "the service needs sockets of AF_NETLINK (docs/media.md), or media.offload: off"
    return "the kernel needs nftables with netdev and fwd (docs/media.md), or media.offload: off"


def _not_noted(_port: int) -> None:
    """Note nowhere that a port is not recorded, or its peer not played a sound."""


def _not_judged(_port: RelayPort, _leg: int, _host: str) -> None:
    """Leave a source as it is, not believed: the switch is not ready yet, and is asked again."""


def _ignore(_port: int, _key: str, _duration_ms: int) -> None:
    """Take keys that no call waits for."""
