"""Two rtpengines on virtual time: they give ports as real ones do, and are silent or lost where a test wants it."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, count, permutations

import msgspec
from msgspec import UNSET

from vosd.base.clock import Clock
from vosd.base.host import UNSPECIFIED
from vosd.media.rtpengine_orders import (
    OK,
    WITHIN_MS,
    Done,
    EngineAnswer,
    RtpAnswer,
    RtpBlock,
    RtpDelete,
    RtpEndpoint,
    RtpLeg,
    RtpMedium,
    RtpOffer,
    RtpOrder,
    RtpPeerReports,
    RtpPlay,
    RtpPlayContent,
    RtpQuery,
    RtpReply,
    RtpSession,
    RtpStopPlaying,
    RtpStream,
    RtpStreamFigures,
    RtpUnblock,
)
from vosd.rtpengine.pool import PING_MS
from vosd.sdp.family import families_of_ice
from vosd.sdp.media import Place, media_of, relayed
from vosd.sdp.ordered import IN_ORDER
from vosd.trunks.media import RtpEngine

NAMES = ("one", "two")
HOSTS = {"one": "198.51.100.1", "two": "198.51.100.2"}

HOSTS_6 = {"one": "2001:db8:1::1", "two": "2001:db8:1::2"}


def key_in(session: str) -> str:
    """Return the first key in a description; empty = it has none."""
    return session.partition(" inline:")[2][:40]


def with_candidates(hosts: Iterable[str], ports: Sequence[int]) -> bytes:
    """Return the lines of ICE of the last medium: a candidate for each address, whatever the family of the order."""
    lines = [
        f"a=candidate:{index} 1 UDP {2_130_706_431 - index} {host} {ports[-1]} typ host"
        for index, host in enumerate(sorted(hosts), 1)
    ]
    return "".join(f"{line}\r\n" for line in ("a=ice-ufrag:engi", "a=ice-pwd:engineengineengineengin", *lines)).encode()


class VirtualRtpEngines:
    """``MediaEngines`` without sockets; answers come after ``after_ms``."""

    def __init__(self, after_ms: int = 5) -> None:
        self.after_ms = after_ms
        self.later: Callable[[int, Callable[[], None]], object]
        """Set by the exchange: does something after so many milliseconds."""
        self.clock: Clock
        """Set by the exchange."""
        self.up = dict.fromkeys(NAMES, True)
        self.is_silent = False
        self.calls: dict[tuple[str, str], dict[str, list[int]]] = {}
        """Ports of each leg by its tag, of each call at each rtpengine."""
        self.blocked: set[tuple[str, str, str]] = set()
        """Legs whose media are blocked: rtpengine, call, tag."""
        self.playing: dict[tuple[str, str], tuple[str | bytes, int]] = {}
        """Files or their contents, and how often, by call and tag of the leg that hears them; no file has an end."""
        self.names_late = False
        """Whether a leg is known by its tag from its own description on alone, as in versions from 12.4 on."""
        self.leaves_offerers = True
        """Whether an offer leaves its author connected with others, as in versions from 13.1 on."""
        self._connected: dict[tuple[str, str], set[frozenset[str]]] = {}
        """Pairs of legs between which media are forwarded, of each call at each rtpengine."""
        self._named: set[tuple[str, str, str]] = set()
        self.cannot_play = False
        self.missing: set[str] = set()
        """Files that are not on their machines."""
        self.packets: dict[int, int] = {}
        """Packets that came to a port, as far as a test says so."""
        self.last_packet_s: dict[int, int] = {}
        self.reports: dict[int, RtpPeerReports] = {}
        """Reports of the peer of a port, whose SSRC is the number of the port."""
        self.orders: list[RtpOrder] = []
        """All that were given, in that order."""
        self.sessions: list[RtpSession] = []
        self.forgotten: list[tuple[str, str]] = []
        self.withdrawn = 0
        self.transports: dict[tuple[str, str], str] = {}
        """Transport of each leg of a call."""
        self.gives_keys = True
        self.given: dict[tuple[str, str], str] = {}
        """Key that each leg of a call is sent by, which it keeps."""
        self.taken: dict[tuple[str, str], str] = {}
        """Key that each leg of a call sends by, as far as it was told."""
        self._digests: dict[tuple[str, str], str] = {}
        """Hash function of the fingerprint that each leg of a call is sent: that of the first order."""
        self.ignored: list[str] = []
        """Tags of legs whose addresses were of another family than their ports, as real ones ignore them."""
        self._hosts: dict[tuple[str, str], str] = {}
        """Host of the ports of each leg of a call."""
        self._tags: dict[tuple[str, str], set[str]] = {}
        """Tags of all legs of a call at an rtpengine, also of those that have no port."""
        self._ports = count(40_000, 2)
        self._cookies = count(1)
        self._open: dict[bytes, tuple[str, Done, str]] = {}
        """Orders that are not answered: by which one, who waits, and the call that the order has made, if it has."""
        self._lost: Callable[[str], None] = lambda _engine: None
        self._is_live: Callable[[str, str], bool] = lambda _engine, _call: False

    @property
    def is_usable(self) -> bool:
        """Whether any works (``MediaEngines``)."""
        return any(self.up.values())

    def ports_used(self) -> Sequence[tuple[str, float]]:
        """Return nothing: no test asks these (``MediaEngines``)."""
        return ()

    def connect(self, lost: Callable[[str], None], is_live: Callable[[str, str], bool]) -> None:
        """Note who is told of a loss, and who knows which calls go on (``MediaEngines``)."""
        self._lost, self._is_live = lost, is_live

    def begin(self) -> None:
        """Ping nothing (``MediaEngines``)."""

    def replace(self, engines: Sequence[RtpEngine]) -> None:
        """Keep these two (``MediaEngines``)."""

    def ask(self, order: RtpOrder, done: Done, *, engine: str | None = None) -> bytes:
        """Answer later, as the pool does (``MediaEngines``)."""
        chosen = next((name for name in NAMES if self.up[name]), None) if engine is None else engine
        if chosen is None or not self.up[chosen]:
            done(None)
            return b""
        cookie = b"c%d" % next(self._cookies)
        made = order.call if engine is None and isinstance(order.call, str) else ""
        self._open[cookie] = (chosen, done, made)
        reply = None if self.is_silent else EngineAnswer(chosen, self._reply(chosen, order))

        def answer() -> None:
            if self._open.pop(cookie, None) is not None:
                done(reply)

        self.later(WITHIN_MS if reply is None else self.after_ms, answer)
        return cookie

    def cancel(self, cookie: bytes) -> None:
        """Answer it no more, and end the call that it has made with the next ping (``MediaEngines``)."""
        self.withdrawn += 1
        engine, _, call = self._open.pop(cookie, ("", None, ""))

        def end() -> None:
            if not self._is_live(engine, call):
                self.forget(engine, call)

        if call:
            self.later(PING_MS, end)

    def forget(self, engine: str, call: str, leg: str = "", done: Done | None = None) -> None:
        """End a call (``MediaEngines``)."""
        if not self.up[engine]:
            if done is not None:
                done(None)
            return
        reply = self.ended(engine, RtpDelete(call=call, leg=leg or UNSET, delay_s=0))
        if done is not None:
            answer = None if self.is_silent else EngineAnswer(engine, reply)
            self.later(WITHIN_MS if answer is None else self.after_ms, lambda: done(answer))

    def ended(self, engine: str, order: RtpDelete) -> RtpReply:
        """End a call; the reply has its figures if the order names a leg, which has to be one of two then.

        That of a call which is not there has none, and is no error.
        """
        assert isinstance(order.call, str)
        legs = self.calls.pop((engine, order.call), None)
        if legs is None:
            return RtpReply(OK)
        self.orders.append(order)
        self.playing = {leg: played for leg, played in self.playing.items() if leg[0] != order.call}
        self.forgotten.append((engine, order.call))
        if not isinstance(order.leg, str):
            self._tags.pop((engine, order.call), None)
            return RtpReply(OK)
        tags = self._tags.pop((engine, order.call))
        assert order.leg in tags
        assert len(tags) == 2, "an rtpengine would end one leg of several"
        return self._figures(legs)

    def _figures(self, legs: Mapping[str, Sequence[int]]) -> RtpReply:
        senders = msgspec.json.encode({str(port): each for port, each in self.reports.items()})
        return RtpReply(OK, tags={tag: self._leg(ports) for tag, ports in legs.items()}, senders=msgspec.Raw(senders))

    # -- what tests do ------------------------------------------------------------------------------------------

    def understands(self, mine: str, theirs: str) -> bool:
        """Return whether the keys in both descriptions of a party are those of its leg; it has none, or both."""
        port = media_of(theirs.encode())[0].port
        (leg,) = [(call, tag) for (_, call), legs in self.calls.items() for tag, own in legs.items() if port in own]
        sends, receives = key_in(mine), key_in(theirs)
        return sends == self.taken.get(leg, "") and receives == (self.given[leg] if sends else "")

    def heard(self) -> set[tuple[str, str]]:
        """Return pairs of tags: one whose media are forwarded, and one that they are sent to."""
        return {
            (speaker, listener)
            for call, pairs in self._connected.items()
            for speaker, listener in chain.from_iterable(map(permutations, pairs))
            if call in self.calls and (*call, speaker) not in self.blocked
        }

    def lose(self, engine: str) -> None:
        """Let one vanish with its calls."""
        self.up[engine] = False
        gone = {name for where, name in self.calls if where == engine}
        self.playing = {leg: played for leg, played in self.playing.items() if leg[0] not in gone}
        self.calls = {call: legs for call, legs in self.calls.items() if call[0] != engine}
        self._digests = {leg: digest for leg, digest in self._digests.items() if leg[0] not in gone}
        self._tags = {call: tags for call, tags in self._tags.items() if call[0] != engine}
        for cookie, (asked, done, _) in list(self._open.items()):
            if asked == engine:
                del self._open[cookie]
                done(None)
        self._lost(engine)

    def _reply(self, engine: str, order: RtpOrder) -> RtpReply:
        assert isinstance(order.call, str)
        self.orders.append(order)
        if isinstance(order, RtpQuery):
            legs = self.calls.get((engine, order.call))
            return RtpReply("error", error="Unknown call-id") if legs is None else self._figures(legs)
        if isinstance(order, RtpBlock | RtpUnblock):
            if (engine, order.call) not in self.calls:
                return RtpReply("error", error="Unknown call-id")
            assert "directional" in order.flags, "12.4 would block all legs of the call"
            if self.names_late and (engine, order.call, order.leg) not in self._named:
                return RtpReply("error", error="From-tag given, but no such tag exists")
            act = self.blocked.add if isinstance(order, RtpBlock) else self.blocked.discard
            act((engine, order.call, order.leg))
            return RtpReply(OK)
        if isinstance(order, RtpPlay | RtpPlayContent | RtpStopPlaying):
            if (engine, order.call) not in self.calls or self._refuses(order):
                self.playing.pop((order.call, order.leg), None)
                return RtpReply("error", error="Failed to start media playback from file")
            if isinstance(order, RtpStopPlaying):
                self.playing.pop((order.call, order.leg), None)
            else:
                played = order.file if isinstance(order, RtpPlay) else order.content
                self.playing[order.call, order.leg] = (played, order.times)
            return RtpReply(OK)
        assert isinstance(order, RtpOffer | RtpAnswer)
        if IN_ORDER.match(order.sdp.encode("latin-1")) is None:
            return RtpReply("error", error="Failed to parse SDP")
        if isinstance(order, RtpAnswer):
            assert (engine, order.call) in self.calls, "an answer belongs to an offer"
        assert order.author != order.reader
        if isinstance(order, RtpAnswer) or order.reader not in self._tags.get((engine, order.call), set()):
            assert order.branch == order.reader, "a leg of several that ring is found by it"
        self._named.add((engine, order.call, order.author if isinstance(order, RtpOffer) else order.reader))
        if "\nm=" not in order.sdp:
            return RtpReply(OK)
        self.sessions.append(order)
        self._connect(engine, order)
        self._tags.setdefault((engine, order.call), set()).update((order.author, order.reader))
        reader = order.reader if isinstance(order, RtpOffer) else order.author
        session = order.sdp.encode("latin-1")
        ports = self.calls.setdefault((engine, order.call), {}).setdefault(reader, [])
        media = media_of(session)
        ports.extend(next(self._ports) for _ in range(len(media) - len(ports)))
        host = (HOSTS_6 if order.family == "IP6" else HOSTS)[engine]
        before = self._hosts.get((order.call, reader))
        if (
            "port latching" in order.flags
            and isinstance(order, RtpOffer)
            and before in {HOSTS[engine], HOSTS_6[engine]}
        ):
            host = before
        self._hosts[order.call, reader] = host
        author = order.author if isinstance(order, RtpOffer) else order.reader
        own = self._hosts.get((order.call, author), "")
        is_other = own and media and media[0].host not in UNSPECIFIED and (":" in own) is not (":" in media[0].host)
        if is_other and not families_of_ice(session):
            self.ignored.append(author)
        places = [Place(host, port, port + 1) if each.port else None for each, port in zip(media, ports, strict=False)]
        written = self._written(order, relayed(session, places, keeps_user=True))
        if order.ice == "force":
            written += with_candidates({HOSTS[engine], HOSTS_6[engine]}, ports)
        return RtpReply(OK, sdp=written.decode("latin-1"))

    def _connect(self, engine: str, order: RtpOffer | RtpAnswer) -> None:
        """Forward media between two legs, and no more between either and a third one."""
        assert isinstance(order.call, str)
        pair = frozenset((order.author, order.reader))
        left = {order.reader} if self.leaves_offerers and isinstance(order, RtpOffer) else pair
        before = self._connected.get((engine, order.call), set())
        self._connected[engine, order.call] = {each for each in before if not each & left} | {pair}

    def _refuses(self, order: RtpPlay | RtpPlayContent | RtpStopPlaying) -> bool:
        return self.cannot_play or (isinstance(order, RtpPlay) and order.file in self.missing)

    def _written(self, order: RtpOffer | RtpAnswer, session: bytes) -> bytes:
        """Return a description with the transport of the reader of an offer, or that of its own, and with keys."""
        if not media_of(session):
            return session
        assert isinstance(order.call, str)
        author, reader = (order.author, order.reader)[:: 1 if isinstance(order, RtpOffer) else -1]
        self.taken[order.call, author] = key_in(order.sdp)
        if isinstance(order, RtpOffer):
            self.transports[order.call, order.author] = media_of(order.sdp.encode("latin-1"))[0].transport
            if not isinstance(order.transport, str):
                return session
            transport = self.transports[order.call, order.reader] = order.transport
        else:
            transport = self.transports.get((order.call, order.author), "")
            if not transport or not isinstance(order.dtls, str):
                return session
        keys = (b"a=crypto:", b"a=fingerprint:", b"a=setup:")
        lines = [line for line in session.split(b"\r\n") if line and not line.startswith(keys)]
        lines = [re.sub(rb"^(m=\S+ \d+) \S+", rb"\1 " + transport.encode(), line) for line in lines]
        if transport.startswith("UDP/TLS") and self.gives_keys:
            digest = self._digests.setdefault((order.call, reader), order.digest or "SHA-256").lower()
            octets = int(digest.rpartition("-")[2]) // 8 or 20  # SHA-1
            lines += [f"a=fingerprint:{digest} {':'.join(['EE'] * octets)}".encode(), b"a=setup:actpass"]
        elif "SAVP" in transport and self.gives_keys:
            key = self.given.setdefault((order.call, reader), f"key{len(self.given):037d}")
            lines.append(b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + key.encode())
            if isinstance(order, RtpOffer):
                lines.append(b"a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:" + key.encode())
        return b"\r\n".join((*lines, b""))

    def _leg(self, ports: Sequence[int]) -> RtpLeg:
        return RtpLeg(tuple(RtpMedium(index, (self._stream(port),)) for index, port in enumerate(ports, start=1)))

    def _stream(self, port: int) -> RtpStream:
        packets = self.packets.get(port, 0)
        figures = RtpStreamFigures(packets=packets, bytes=172 * packets)
        return RtpStream(
            local_port=port, endpoint=RtpEndpoint("192.0.2.99", 9), last_packet_s=self.last_packet_s.get(port, 0),
            flags=("RTP",), stats=figures, sender=msgspec.Raw(str(port).encode()),
        )  # fmt: skip
