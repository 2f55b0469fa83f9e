"""Orders to an rtpengine, and its replies (protocol "ng", as JSON but for contents of files).

Session descriptions are bytes: they are written as Latin-1, so that what comes back is byte for byte what rtpengine has
left as it was.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Final, Protocol

import msgspec
from msgspec import UNSET, UnsetType

from vosd.base.host import UNSPECIFIED
from vosd.base.undecodable import UNDECODABLE
from vosd.media.bencode import bencoded, texts_of
from vosd.media.termination import MediaForm
from vosd.sdp.family import families_of_ice
from vosd.sdp.media import BadSession, Place, media_of
from vosd.sdp.security import LASTING, Protection, has_unread_keys
from vosd.trunks.media import MediaTrust, RtpEngine

WITHIN_MS: Final = 1_000
"""Time in which an order is sent, with all repeats, to all rtpengines that are asked."""
OK: Final = "ok"
LOAD_LIMIT: Final = "load limit"
_OUT_OF_PORTS: Final = "Ran out of ports"
_UNREAD: Final = frozenset({"Failed to parse SDP", "Incomplete SDP specification", "Error rewriting SDP"})
"""Errors of descriptions, such as one with a payload type above 127 (seen with 10.5.3)."""
_UNNAMED: Final = "no such tag"
_NO_MEDIA: Final = b"v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
BEHIND_COOKIE: Final = b" "
_PLACES: Final = re.compile(r"\n(?:c=IN IP[46] (\S+)|m=\S+ (\d+) |a=rtcp(?::(\d+)|-mux(?=\r?(?:\n|\Z))))")
"""Lines of a description that name a place; its first one does not."""
_ENCRYPTED: Final = re.compile(r"\nm=\S+ (?!0 )\S+ \S*/SAVP")
"""``m=`` line of encrypted media that are not rejected."""
_CANDIDATE: Final = "\na=candidate:"
_HOST_OF, _PORT_OF = attrgetter("host"), attrgetter("rtp")

_TURNING: Final = ("strict source",)
_ALWAYS: Final = (*_TURNING, "port latching")
"""Drop packets from other sources than the known one; keep the port of a leg whatever is negotiated anew."""
_AS_ANNOUNCED: Final = "endpoint-learning-off"
_BY_RANK: Final = "endpoint-learning-heuristic"
"""Learn the source for 3 s: of several the one that is most like the announced address."""
_FIRST: Final = "endpoint-learning-immediate"
PASSING: Final = "passthrough"
"""Forward packets and handshakes as they are.

Else 10.5.3 makes DTLS with both parties by its own certificate, though each is sent the fingerprint of the other, and
drops packets of a suite that it does not know.
"""
READING: Final = "no-passthrough"
"""Forward packets as they are no more, which 10.5.3 would do with all that a leg is connected to later.

By this flag it takes no part in ICE, whose orders go without it. The answer to an offer with the other flag cannot have
it: keys of that offer are forgotten.
"""
_SUPPORTS: Final = (LOAD_LIMIT,)
"""Without it, one that is full says that the order was wrong (``--max-sessions``, ``--max-load``, ``--max-cpu``)."""
_OF_ONE_LEG: Final = ("directional",)
"""Without it, versions from 12.4 on block all legs of a call, whichever leg is named; earlier ones ignore it."""
_NO_KEYS: Final = ("off",)
_GOOD_KEYS: Final = (
    "pad",
    *(f"no-{name}_HMAC_SHA1_{bits}" for name in ("NULL", "F8_128", "AES_192_CM") for bits in (80, 32)),
)
"""Offer no suites without encryption, and none that are not in use."""
_NO_DTLS: Final = "off"
_WAITING: Final = "passive"
_LITE: Final = {(True, True): "both", (True, False): "backward", (False, True): "forward"}
_FROM_SIP: Final = "SIP source address"
"""Expect media from the address that SIP comes from, whatever the description says."""


class RtpOrder(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="command", gc=False):
    """An order; ``call`` names the call at the rtpengine, of ours alone."""

    call: str | UnsetType = msgspec.field(default=UNSET, name="call-id")


class RtpSession(RtpOrder, frozen=True, kw_only=True):
    """A session description of a leg on its way to another one; tags name the legs."""

    sdp: str
    author: str = msgspec.field(name="from-tag")
    reader: str = msgspec.field(name="to-tag")
    branch: str | UnsetType = msgspec.field(default=UNSET, name="via-branch")
    """The tag of the reader of an offer that makes its leg, and of the answer.

    Versions that give it to a leg with its answer alone find that leg by it, else they take the leg that was offered
    media last (seen with 12.5 and 26.3).
    """
    flags: tuple[str, ...]
    seen_at: tuple[str, str] | UnsetType = msgspec.field(default=UNSET, name="received from")
    family: str | UnsetType = msgspec.field(default=UNSET, name="address family")
    ice: str = msgspec.field(name="ICE")
    replace: tuple[str, ...]
    rtcp_mux: tuple[str, ...] = msgspec.field(name="rtcp-mux")
    transport: str | UnsetType = msgspec.field(default=UNSET, name="transport protocol")
    dtls: str | UnsetType = msgspec.field(default=UNSET, name="DTLS")
    dtls_of_author: str | UnsetType = msgspec.field(default=UNSET, name="DTLS-reverse")
    digest: str | UnsetType = msgspec.field(default=UNSET, name="DTLS-fingerprint")
    """Hash function of the fingerprint that the reader of an offer is sent from this one on."""
    sdes: tuple[str, ...] | UnsetType = msgspec.field(default=UNSET, name="SDES")
    opportunistic: tuple[str, ...] | UnsetType = msgspec.field(default=UNSET, name="OSRTP")
    ice_lite: str | UnsetType = msgspec.field(default=UNSET, name="ICE-lite")
    tos: int = msgspec.field(name="TOS")
    supports: tuple[str, ...]


class RtpOffer(RtpSession, frozen=True, kw_only=True, tag="offer"):
    """An offer."""


class RtpAnswer(RtpSession, frozen=True, kw_only=True, tag="answer"):
    """The answer to an offer, with the tags of the offer."""


class RtpAnswerInAnyFamily(RtpAnswer, frozen=True, kw_only=True, tag="answer"):
    """An answer for a reader that has named no address of the family of its ports: it may take the other one, too."""


class RtpDelete(RtpOrder, frozen=True, kw_only=True, tag="delete"):
    """End a call at once, or one leg of it and with that a call of two; the reply has figures if it names a leg."""

    leg: str | UnsetType = msgspec.field(default=UNSET, name="from-tag")
    delay_s: int = msgspec.field(name="delete delay")
    """For how long it stays; 0 = it is gone at once."""


class RtpBlock(RtpOrder, frozen=True, kw_only=True, omit_defaults=False, tag="block media"):
    """Forward nothing that comes to the port of a leg."""

    leg: str = msgspec.field(name="from-tag")
    flags: tuple[str, ...] = _OF_ONE_LEG


class RtpUnblock(RtpOrder, frozen=True, kw_only=True, omit_defaults=False, tag="unblock media"):
    """Forward what comes to the port of a leg."""

    leg: str = msgspec.field(name="from-tag")
    flags: tuple[str, ...] = _OF_ONE_LEG


class RtpPlay(RtpOrder, frozen=True, kw_only=True, tag="play media"):
    """Play a file to the peer of a leg, in a codec that it takes; it must be a file of the rtpengine's machine."""

    leg: str = msgspec.field(name="from-tag")
    file: str
    times: int = msgspec.field(name="repeat-times")


class RtpPlayContent(RtpOrder, frozen=True, kw_only=True, tag="play media"):
    """Play the content of a file to the peer of a leg, in a codec that it takes; it goes in bencode."""

    leg: str = msgspec.field(name="from-tag")
    content: bytes = msgspec.field(name="blob")
    times: int = msgspec.field(name="repeat-times")


class RtpStopPlaying(RtpOrder, frozen=True, kw_only=True, tag="stop media"):
    """Play nothing to the peer of a leg."""

    leg: str = msgspec.field(name="from-tag")


class RtpQuery(RtpOrder, frozen=True, kw_only=True, tag="query"):
    """Return the figures of a call."""


class RtpList(RtpOrder, frozen=True, kw_only=True, tag="list"):
    """Return the names of calls, at most ``limit``: a reply has to fit in a datagram."""

    limit: int


class RtpStatistics(RtpOrder, frozen=True, kw_only=True, tag="statistics"):
    """Return how long the program runs: a sign of life, and whether it was started anew."""


def answer_kind(described: str, reader_host: str) -> type[RtpAnswer]:
    """Return the kind of an answer: a reader on hold, or behind NAT, may have ``described`` no usable address."""
    return RtpAnswer if described and (":" in described) is (":" in reader_host) else RtpAnswerInAnyFamily


def session_order(
    kind: type[RtpOffer] | type[RtpAnswer],
    call: str,
    session: bytes,
    author: str,
    reader: str,
    *,
    trust: MediaTrust = MediaTrust.LEARN,
    seen_at: str | None = None,
    reader_host: str | None = None,
    tos: int = 0,
    form: MediaForm | None = None,
    goes_on_passing: bool = False,
    is_new: bool = True,
    turns: bool = False,
) -> RtpOffer | RtpAnswer:
    """Return the order that has a description rewritten.

    ``is_new``: an offer makes the leg of its reader. ``turns``: its reader gets a port of another address family.

    ``form`` is what encryption and ICE become; None = they pass, but for ICE, which is removed.
    ``goes_on_passing``: packets are forwarded as they are, although the rtpengine knows the keys.
    Parties whose keys it does not know agree on one port for RTP and RTCP themselves: by DTLS they make keys for each.

    ``author`` and ``reader`` are the legs of the offer, also for its answer. ``seen_at`` is the address that SIP of the
    description's author comes from, if it is behind NAT: media are expected from there. ``reader_host`` is an address
    of the family in which media are announced to the receiver of the description.

    Learning is open to anyone for 3 seconds: it is used for authors behind NAT alone, whose port cannot be known.
    """
    if trust is MediaTrust.ANY:
        learning: tuple[str, ...] = (_FIRST,)
    elif trust is MediaTrust.SDP or seen_at is None or (form is not None and form.author_ice):
        learning = (_AS_ANNOUNCED,)
    else:
        learning = (_BY_RANK, _FROM_SIP)
    has_keys = form is None and (b"a=fingerprint:" in session or b"a=crypto:" in session)  # a function costs each call
    is_opaque = goes_on_passing or (has_keys and has_unread_keys(session))
    passing = (PASSING,) if is_opaque else (READING,) if has_keys and kind is RtpOffer else ()
    order = kind(
        call=call,
        sdp=session.decode("latin-1"),
        author=author,
        reader=reader,
        branch=reader if is_new or kind is not RtpOffer else UNSET,
        flags=(*(_TURNING if turns else _ALWAYS), *learning, *passing),
        seen_at=(_family(seen_at), seen_at) if seen_at is not None and _FROM_SIP in learning else UNSET,
        family=UNSET if reader_host is None else _family(reader_host),
        ice="remove",
        replace=("origin",),
        rtcp_mux=() if is_opaque else ("demux",),
        tos=tos,
        supports=_SUPPORTS,
    )
    return order if form is None else _in_form(order, form)


def naming_order(call: str, author: str, reader: str) -> RtpOffer | RtpAnswer:
    """Return an answer without media to the offer of an author: it names the leg of the reader.

    It is for versions that know a leg from an answer on alone: behind the reader's own answer these change nothing by
    it, where 10.5.3 ends one direction of the media.
    """
    return session_order(RtpAnswer, call, _NO_MEDIA, author, reader)


def _in_form(order: RtpOffer | RtpAnswer, form: MediaForm) -> RtpOffer | RtpAnswer:
    """Return an order that terminates encryption and ICE.

    rtpengine waits for handshakes and checks: only the peer knows when the way to it is open. An offer has a port for
    RTCP beside rtcp-mux, for telephones that have none of that (RFC 5761 section 5.1.3).
    """
    is_offer = isinstance(order, RtpOffer)
    sdes = _NO_KEYS if form.protection is Protection.DTLS and is_offer else _GOOD_KEYS
    lite = _LITE.get((form.author_ice, form.reader_ice)) if is_offer else None
    return msgspec.structs.replace(
        order,
        sdp=_with_lasting_dtls(order.sdp),
        flags=order.flags if form.author_ice or form.reader_ice else (*order.flags, READING),
        ice="force" if form.reader_ice else "remove",
        rtcp_mux=("offer", "accept") if form.is_multiplexed else order.rtcp_mux,
        transport=UNSET if form.transport is None else form.transport,
        dtls=_NO_DTLS if form.protection is Protection.SDES else _WAITING,
        dtls_of_author=_WAITING,
        sdes=sdes,
        opportunistic=_opportunistic(order, form),
        ice_lite=UNSET if lite is None else lite,
    )


def _opportunistic(order: RtpOffer | RtpAnswer, form: MediaForm) -> tuple[str, ...] | UnsetType:
    """Return which keys beside plain media (RFC 8643) are offered, or taken from the offer though the answer is plain.

    An encrypted answer needs none. rtpengine 12.5 would leave the rejected plain media out that were offered beside
    encrypted ones.
    """
    if isinstance(order, RtpOffer):
        return ("offer",) if form.is_opportunistic else UNSET
    return UNSET if _ENCRYPTED.search(order.sdp) else ("accept",)


def _with_lasting_dtls(session: str) -> str:
    """Return a description by which a restart of ICE leaves DTLS as it is, where it does not name its DTLS itself.

    rtpengine from 11.3 on would close it and wait for another handshake, which no browser makes for a restart of ICE.
    """
    if "\na=fingerprint:" not in session or "\na=tls-id:" in session:
        return session
    return session.replace("\nm=", f"\n{LASTING}\r\nm=", 1)


def _family(host: str) -> str:
    return "IP6" if ":" in host else "IP4"


class RtpStreamFigures(msgspec.Struct, frozen=True, gc=False):
    """Packets of one stream that came in."""

    packets: int = 0
    bytes: int = 0
    errors: int = 0


class RtpEndpoint(msgspec.Struct, frozen=True, gc=False):
    """An address and a port."""

    address: str = ""
    port: int = 0


class RtpStream(msgspec.Struct, frozen=True, gc=False):
    """One port of a leg."""

    local_host: str = msgspec.field(default="", name="local address")
    local_port: int = msgspec.field(default=0, name="local port")
    endpoint: RtpEndpoint = RtpEndpoint()
    """The peer: as announced, or as learned."""
    last_packet_s: int = msgspec.field(default=0, name="last packet")
    """Unix seconds; the moment of its creation while no packet came."""
    flags: tuple[str, ...] = ()
    stats: RtpStreamFigures = RtpStreamFigures()
    sender: msgspec.Raw = msgspec.field(default=msgspec.Raw(b""), name="SSRC")
    """SSRC of the peer; read by itself, as some versions leave it out or write it otherwise."""


class RtpMedium(msgspec.Struct, frozen=True, gc=False):
    """One medium of a leg."""

    index: int = 0
    """From 1."""
    streams: tuple[RtpStream, ...] = ()


class RtpPeerFigures(msgspec.Struct, frozen=True, gc=False):
    """Means of the reports of a peer about the stream that it receives."""

    round_trip_us: float = msgspec.field(default=0, name="round-trip time leg")
    """Between the rtpengine and the peer."""
    jitter_ms: float = msgspec.field(default=0, name="jitter")
    lost_percent: float = msgspec.field(default=0, name="packet loss")
    samples: int = 0


class RtpPeerReports(msgspec.Struct, frozen=True, gc=False):
    """The reports of a peer (RTCP)."""

    lost: int = msgspec.field(default=0, name="cumulative loss")
    mean: RtpPeerFigures = msgspec.field(default=RtpPeerFigures(), name="average MOS")


class RtpLeg(msgspec.Struct, frozen=True, gc=False):
    """One leg of a call."""

    medias: tuple[RtpMedium, ...] = ()


class _Totals(msgspec.Struct, frozen=True, gc=False):
    uptime: str | int | float = ""


class _InterfacePorts(msgspec.Struct, frozen=True, gc=False):
    used: int = 0
    all: int = msgspec.field(default=0, name="totals")


class _Interface(msgspec.Struct, frozen=True, gc=False):
    ports: _InterfacePorts = _InterfacePorts()


class _Statistics(msgspec.Struct, frozen=True, gc=False):
    totals: _Totals = msgspec.field(default=_Totals(), name="totalstatistics")
    interfaces: msgspec.Raw = msgspec.Raw(b"[]")
    """Read by itself: an rtpengine that writes it otherwise works all the same."""


class RtpReply(msgspec.Struct, frozen=True, gc=False):
    """A reply of an rtpengine."""

    result: str
    error: str = msgspec.field(default="", name="error-reason")
    sdp: str = ""
    calls: tuple[str, ...] = ()
    tags: dict[str, RtpLeg] = {}
    """Legs of a call by tag."""
    senders: msgspec.Raw = msgspec.field(default=msgspec.Raw(b"{}"), name="SSRC")
    """Read by itself, as ``RtpStream.sender``."""
    statistics: _Statistics = _Statistics()

    @property
    def is_full(self) -> bool:
        """Whether it takes no more calls; another one may."""
        return self.result == LOAD_LIMIT or _OUT_OF_PORTS in self.error

    @property
    def is_about_session(self) -> bool:
        """Whether it does not read the description of the order; another one would not, either."""
        return self.error in _UNREAD

    @property
    def is_about_name(self) -> bool:
        """Whether it does not know the leg by its tag: versions from 12.4 on learn that from an answer alone."""
        return _UNNAMED in self.error

    @property
    def session(self) -> bytes:
        """The rewritten description."""
        return self.sdp.encode("latin-1", "replace")

    @property
    def places(self) -> Sequence[Place | None]:
        """Ports of the rewritten description, of each medium; None = it is refused. Empty where an address is missing.

        Nothing else is read of what an rtpengine has written.
        """
        above: str = ""
        media: list[Place] = []
        for host, port, rtcp in _PLACES.findall(self.sdp):
            if port:
                media.append(Place(above, int(port), int(port) + 1))
            elif not media:
                above = host or above
            elif host:
                media[-1] = msgspec.structs.replace(media[-1], host=host)
            elif not rtcp:
                media[-1] = msgspec.structs.replace(media[-1], rtcp=None)
            elif media[-1].rtcp not in {None, int(rtcp)}:
                media[-1] = msgspec.structs.replace(media[-1], rtcp=int(rtcp))
        if not all(map(_HOST_OF, media)):
            return ()
        return media if all(map(_PORT_OF, media)) else [each if each.rtp else None for each in media]

    @property
    def peer_reports(self) -> Mapping[bytes, RtpPeerReports]:
        """Reports of peers with figures in them, by the SSRC of who has sent them as ``RtpStream.sender`` has it."""
        try:
            reports = _decode_reports(self.senders)
        except UNDECODABLE:
            return {}
        return {sender.encode(): each for sender, each in reports.items() if each.mean.samples}

    @property
    def uptime_s(self) -> int | None:
        """Seconds since its start; None where the reply does not say."""
        text = str(self.statistics.totals.uptime).partition(".")[0]
        return int(text) if text.isdecimal() and text.isascii() else None

    @property
    def ports_used_percent(self) -> float | None:
        """Percentage of the ports in use, at the interface with the most; None where the reply does not say."""
        try:
            interfaces = _decode_interfaces(self.statistics.interfaces)
        except UNDECODABLE:
            return None
        shares = [100 * each.ports.used / each.ports.all for each in interfaces if each.ports.all > 0]
        return max(shares, default=None)


def missing_family(order: RtpOrder, reply: RtpReply) -> str:
    """Return the address family that an rtpengine was asked for ports of and has none of; empty = there is none.

    Without an ``interface`` of that family it gives ports of the other one, and says so in its own log alone. A medium
    on hold has no family, one that is not relayed has that of its author, and an address above all media says nothing
    where each has its own (RFC 8866 section 5.7). With ICE its candidates count, which are of each family that it has.
    """
    if not reply.sdp or not isinstance(order, RtpSession) or order.family is UNSET:
        return ""
    name, family, other = ("IPv6", 6, "IP4") if order.family == "IP6" else ("IPv4", 4, "IP6")
    if _CANDIDATE in reply.sdp:
        return "" if family in families_of_ice(reply.session) else name
    if other not in reply.sdp:  # it names no address of that family; most are not read for this
        return ""
    try:
        media = media_of(reply.session)
    except BadSession:
        return ""
    hosts = [each.host for each in media if each.port and each.is_relayable and each.host not in UNSPECIFIED]
    if not hosts or order.family in map(_family, hosts):
        return ""
    return name


class EngineAnswer(msgspec.Struct, frozen=True, gc=False):
    """The reply of an rtpengine, and which one has replied."""

    engine: str
    reply: RtpReply


Done = Callable[[EngineAnswer | None], None]
"""Receiver of an answer; None = none came in time, or no rtpengine works, or all are full."""


class MediaEngines(Protocol):
    """The pool of rtpengines. Nothing waits."""

    def connect(self, lost: Callable[[str], None], is_live: Callable[[str, str], bool]) -> None:
        """Set the receiver of rtpengines that are lost, and what says which calls go on (``RtpEnginePool``)."""

    def begin(self) -> None:
        """Ping all of them from now on."""

    def replace(self, engines: Sequence[RtpEngine]) -> None:
        """Use these from now on."""

    @property
    def is_usable(self) -> bool:
        """Whether any rtpengine works."""

    def ports_used(self) -> Sequence[tuple[str, float]]:
        """Return which percentage of the ports of each rtpengine is in use that works and says so."""

    def ask(self, order: RtpOrder, done: Done, *, engine: str | None = None) -> bytes:
        """Send an order, and return its name for ``cancel``; empty if there is none to ask.

        ``engine`` is the one that has the call; None = the order makes the call: an rtpengine is chosen by weight, and
        the next one gets the order if it is silent or full. ``done`` is called once, later, or at once if there is none
        to ask.
        """

    def cancel(self, cookie: bytes) -> None:
        """Wait for an answer no more; a call that the order has made is ended."""

    def forget(self, engine: str, call: str, leg: str = "", done: Done | None = None) -> None:
        """End a call at an rtpengine, now or as soon as it can be reached.

        ``leg`` is one of its two: the answer for ``done`` has the final figures of both then. It is None where the
        rtpengine does not answer in time.
        """


def datagram_of(cookie: bytes, order: RtpOrder) -> bytes:
    """Return the datagram of an order."""
    if isinstance(order, RtpPlayContent):
        return cookie + BEHIND_COOKIE + bencoded(msgspec.to_builtins(order, builtin_types=(bytes,)))
    return cookie + BEHIND_COOKIE + msgspec.json.encode(order)


def reply_of(content: bytes) -> RtpReply | None:
    """Return a reply, which stands behind the cookie of its order, and is written as that; None where there is none."""
    if content.startswith(b"d"):
        texts = texts_of(content)
        return RtpReply(texts["result"], texts.get("error-reason", "")) if "result" in texts else None
    try:
        return _decode(content)
    except UNDECODABLE:
        return None


_decode: Final = msgspec.json.Decoder(RtpReply, strict=False).decode
_decode_reports: Final = msgspec.json.Decoder(dict[str, RtpPeerReports], strict=False).decode
_decode_interfaces: Final = msgspec.json.Decoder(tuple[_Interface, ...], strict=False).decode
