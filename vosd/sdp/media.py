"""Media of a session description, and their rewriting for a relay of media (RFC 8866, RFC 3264, RFC 3605, RFC 5761).

A description that a relay cannot use has a fault with a name. Lines that are not rewritten stay byte for byte.
"""

import re
from collections.abc import Callable, Sequence
from enum import Enum
from functools import lru_cache
from ipaddress import ip_address
from typing import Final, NamedTuple
from zlib import crc32

import msgspec

from vosd.base.host import UNSPECIFIED
from vosd.sdp.codec import OTHER_NAMES, static_name

MAX_BYTES: Final = 16 * 1024
MAX_USED: Final = 8
"""Most media that are used: each takes four ports of a relay, a conference has six, and to ring costs nothing."""
MAX_MEDIA: Final = 20
"""Most media with those that are not used any more, which a call keeps to its end (RFC 3264 section 8)."""
_MEDIUM: Final = b"\nm="
_IDS: Final = re.compile(rb"v=0\r\no=(\S+ +\S+ +\S+)(?= +IN +IP[46] +\S)")
"""Beginning of nearly all descriptions, with user, session and version of the origin."""
_PORTS: Final = re.compile(rb"(\nm=(?:audio|video|image) )([1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}) ")
_ORIGIN_LINE: Final = re.compile(rb"^o=[^\r\n]*", re.MULTILINE)
_NAME_LINE: Final = re.compile(rb"^s=[^\r\n]*", re.MULTILINE)
_ORIGIN: Final = re.compile(rb"o=(\S+(?:[ \t]+\S+){2,}?)[ \t]+IN[ \t]+IP[46][ \t]+\S.*", re.IGNORECASE)
"""Origin line with an address behind user, session and version; some telephones have blanks in the user."""
_UNUSUAL: Final = re.compile(
    rb"\nm=(?![a-z][a-z\d-]* (?:0|[1-9]\d*(?:/\d+)?) (?:udptl|[A-Z][A-Z\d/-]*)(?: [!-~]+)* *\r?(?:\n|\Z))([^\n]*)"
)
"""``m=`` line that is not in the usual form."""
_PORT: Final = re.compile(rb"^(m=\S+[ \t]+)\d+(?:/\d+)?")
takes_media: Final = re.compile(rb"^m=(?![ \t]*\S+[ \t]+0+[/ \t\r\n])", re.MULTILINE).search
"""Finds a medium that is not rejected, however it is written; None = there is none. No function: each call asks it."""
_CONNECTION: Final = re.compile(rb"^c=[^\r\n]*", re.MULTILINE)
lines_of: Final[Callable[[bytes], list[bytes]]] = re.compile(rb"[^\n]*\n|[^\n]+").findall
"""Returns lines with their ends; a carriage return alone ends none."""
parted: Final = re.compile(rb"(?=^m=)", re.MULTILINE).split
"""Returns the lines above all media, which may be none, and those of each medium, byte for byte."""
_DIRECTIONS: Final = frozenset({b"a=sendrecv", b"a=sendonly", b"a=recvonly", b"a=inactive"})
_STATIC_CLOCKS: Final = {
    6: 16_000, 10: 44_100, 11: 44_100, 14: 90_000, 16: 11_025, 17: 22_050, 25: 90_000, 26: 90_000, 28: 90_000,
    31: 90_000, 32: 90_000, 33: 90_000, 34: 90_000,
}  # fmt: skip
"""Clocks of payload types with a fixed meaning that are not 8000 (RFC 3551 section 6)."""
_ICE: Final = (
    b"a=candidate:", b"a=remote-candidates:", b"a=end-of-candidates", b"a=ice-", b"a=group:bundle", b"a=bundle-only",
    b"a=source-filter:", b"a=alt:", b"a=altc:", b"a=rtcp-mux-only",
)  # fmt: skip
"""Lines that lead past the relay (RFC 8839, RFC 4570, RFC 6947), or want one port for several media (RFC 9143).

Or they want no port for RTCP (RFC 8858): an offer that is relayed has one.

Names of attributes have one case (RFC 8866 section 5), but some readers take others for the same: they are compared in
lower case.
"""
_KEY_LINE: Final = re.compile(rb"a=(?:acap:\d+ +)?(?:crypto|fingerprint|ice-ufrag):")
_KEYS: Final = re.compile(b"^" + _KEY_LINE.pattern + rb"[^\r\n]*", re.MULTILINE)
"""Lines by which an author receives media: they do not arrive by others (RFC 4568, RFC 8122, RFC 8839, RFC 5939)."""
_RTCP: Final = b"a=rtcp:"
"""A line of one medium (RFC 3605), which says nothing above all media."""
_NAMING: Final = (b"i=", b"u=", b"e=", b"p=", b"a=tool:")
"""Lines in which an author writes about itself; a relay hides who it is as it hides where it is."""
_HIDDEN: Final = (*_ICE, *_NAMING)
_REMOVED: Final = (*_HIDDEN, _RTCP)
_RTCP_BEGINS: Final = b"\n" + _RTCP
_PLACE: Final = re.compile(rb"\n(?:c=|a=rtcp:|a=rtcp-mux|" + b"|".join(map(re.escape, _HIDDEN)) + rb")", re.IGNORECASE)
"""Beginning of a line that names a place of a medium beside its ``m=`` line, or is removed."""
_RTCP_LINE: Final = re.compile(rb"^a=rtcp:([^\n]*)\n?", re.MULTILINE)
_AT_HAND: Final = 16
"""Descriptions that are remembered as a whole, for as long as they are on their way. No other call has the same ones,
and to forget one that was read long ago costs half of what reading does: its memory is in no cache any more."""
_REMEMBERED_BYTES: Final = 1_024
"""Longest description, or lines of a medium, that are remembered."""
_NEXT_PORT: Final = b"\na=rtcp:%d"
"""Place of the port of RTCP in a form."""
_PERCENT: Final = ord("%")
_ANY_IDS: Final = b"- 1 1"
_ANY_PORT: Final = 9
_OF_PAYLOAD: Final = re.compile(rb"a=(?:rtpmap|fmtp|rtcp-fb):(\d+)[ \t]")
_MAX_NAME: Final = 32
"""Characters of an encoding name; no registered one is so long."""
_MIN_CLOCK: Final = 1_000
"""Least clock of a payload type that is registered; others are no clock, least of all 0."""
_EVENTS: Final = "telephone-event"
_FLASH: Final = 16
_EVENT_LIST: Final = re.compile(
    rb"^a=fmtp:(\d{1,3}) +(\d{1,3}(?:-\d{1,3})?(?:,\d{1,3}(?:-\d{1,3})?)*)[ \t]*\r*$", re.MULTILINE
)
"""Payload type and events; without such a line a receiver has those of keys (RFC 4733 section 2.4.1)."""
_EVENT_PAYLOADS: Final = (101, *range(96, 128))
"""Payload types for events, in the order in which they are tried: 101 is usual."""
_MEDIA_OF_RELAY: Final = frozenset({"audio", "video", "image"})
"""Media of a relayed call that are relayed or rejected; others, as messages over TCP, go between their parties."""
ALWAYS_KEPT: Final = frozenset({"telephone-event", "cn"})
"""Payloads that go with every codec: key presses (RFC 4733) and comfort noise (RFC 3389)."""


class SessionFault(Enum):
    """Why a description cannot be relayed."""

    TOO_LONG = f"longer than {MAX_BYTES} bytes"
    TOO_MANY_MEDIA = f"more than {MAX_USED} media"
    TOO_MANY_LINES = f"more than {MAX_MEDIA} media with those that are not used"
    NO_CONNECTION = "a medium without an address (c=)"
    NO_ADDRESS = "an address (c=) that is no IP address"
    BAD_PORT = "a port that is not 0 to 65535"
    NO_FORMATS = "a medium without formats"
    NOT_RELAYABLE = "no medium that a relay can carry"
    NO_MEDIA = "an answer without a medium"
    UNREAD = "a form that the rtpengine does not read"
    NO_KEY = "encrypted media without a key that the rtpengine takes"


class BadSession(ValueError):  # noqa: N818 - describes the session
    """A description that cannot be relayed; the fault says why."""

    def __init__(self, fault: SessionFault) -> None:
        super().__init__(fault.value)
        self.fault: Final = fault


class Medium(msgspec.Struct, frozen=True, gc=False):
    """One medium of a description: its address, ports, direction and formats, as its author receives it."""

    kind: str
    """``audio``, ``video``, ``image`` or another word of the ``m=`` line."""
    transport: str
    host: str
    """IP address; the zero address for a medium on hold; may be empty where the port is 0."""
    port: int
    """0: the medium is rejected, or not used any more."""
    rtcp_host: str
    rtcp_port: int
    """0 where the port of RTP leaves none."""
    is_multiplexed: bool
    """The author can receive RTCP on the port of RTP."""
    direction: str
    """``sendrecv``, ``sendonly``, ``recvonly`` or ``inactive``, as the author sees it."""
    payloads: tuple[int, ...]
    """RTP payload types in the order of preference; empty for other transports."""
    clocks: tuple[int, ...]
    """Clock rate of each payload type; 8000 where it is not known."""
    codecs: tuple[str, ...]
    """Encoding name of each payload type; the number itself where it is not known."""
    has_fingerprint: bool = False
    """The author agrees on keys by DTLS (RFC 5763), whatever the transport is called (RFC 8643), or offers to do so in
    place of plain media (RFC 5939)."""
    is_relayable: bool = True
    """It is RTP or T.38 over UDP; a relay cannot carry other media."""

    @property
    def is_refused(self) -> bool:
        """Whether it is used, and is rejected in a relayed call: its media would pass the relay by."""
        return self.port > 0 and self.kind in _MEDIA_OF_RELAY and not self.is_relayable

    @property
    def is_held(self) -> bool:
        """Whether the author receives nothing: by the direction or by the zero address."""
        return self.direction in {"sendonly", "inactive"} or self.host in UNSPECIFIED

    def only_sends_to(self, other: "Medium") -> bool:
        """Return whether the author sends alone and the other side listens alone (RFC 3264 section 6.1): no hold."""
        return (self.direction, other.direction) == ("sendonly", "recvonly") and self.host not in UNSPECIFIED


class Place(msgspec.Struct, frozen=True, gc=False):
    """Address and ports at which a relay receives one medium."""

    host: str
    rtp: int
    rtcp: int | None
    """None: RTCP comes to the port of RTP (RFC 5761)."""


# A description is read when it is judged, when it is decided about, and when it is rewritten.
@lru_cache(maxsize=_AT_HAND)
def media_of(session: bytes) -> tuple[Medium, ...]:
    """Return the media of a description in their order, rejected ones with port 0.

    Raises:
        BadSession: a medium that is used cannot be relayed, or the description is too large.
    """
    cut = _cut(session)
    if cut is None:
        return _media_of(session)
    media: list[Medium] = []
    for each, port in zip(_read(cut[2], len(cut[1])), cut[1], strict=True):
        media.append(msgspec.structs.replace(each, port=port, rtcp_port=port + 1))
    return tuple(media)


@lru_cache(maxsize=_AT_HAND)
def _cut(session: bytes) -> tuple[bytes, Sequence[int], bytes] | None:
    """Return what differs between calls of a party, the ids of the origin and the ports of media, and a form for it.

    None for a description that is not in the usual form, that names another port of RTCP than the next one, or that is
    of no use to another call.
    """
    ids = _IDS.match(session) if _may_recur(session) else None
    if ids is None or _PERCENT in session:
        return None
    parts = _PORTS.split(session)
    ports = [*map(int, parts[2::3])]
    if not 0 < len(ports) <= MAX_USED or len(ports) != session.count(_MEDIUM):
        return None
    parts[2::3] = [b"%d "] * len(ports)
    parts[0] = b"v=0\r\no=%b" + parts[0][ids.end() :]
    if session.find(_RTCP_BEGINS) >= 0:  # ``in`` raises and drops an error first: bytes are no number
        before, named, after = parts[-1].partition(b"%b%d" % (_RTCP_BEGINS, ports[0] + 1))
        if not named or len(ports) > 1 or session.count(_RTCP_BEGINS) > 1 or after[:1].isdigit():
            return None
        parts[-1] = before + _NEXT_PORT + after
    return ids[1], ports, b"".join(parts)


def _filled(form: bytes, ids: bytes, ports: Sequence[int]) -> bytes:
    """Return the description that was cut into these."""
    return form % ((ids, *ports) if form.find(_NEXT_PORT) < 0 else (ids, ports[0], ports[0] + 1))


@lru_cache(maxsize=512)
def _read(form: bytes, media: int) -> Sequence[Medium]:
    return _media_of(_filled(form, _ANY_IDS, [_ANY_PORT] * media))


def _media_of(session: bytes) -> tuple[Medium, ...]:
    """Return the media of a description of any form."""
    if len(session) > MAX_BYTES:
        raise BadSession(SessionFault.TOO_LONG)
    above, *media = _parts(session)
    if len(media) > MAX_MEDIA:
        raise BadSession(SessionFault.TOO_MANY_LINES)
    common = _common(above)
    described = tuple([_medium(part, common) for part in media])
    if len(media) > MAX_USED and sum(each.port > 0 for each in described) > MAX_USED:
        raise BadSession(SessionFault.TOO_MANY_MEDIA)
    return described


def sends_elsewhere(session: bytes, before: bytes) -> bool:
    """Return whether media go to another place by a description than by the one before, by a key or number of its own.

    A medium that either of the two rejects has no media; one that is held by the zero address has no place.

    Raises:
        BadSession: as ``media_of``.
    """
    above, *parts = _parts(session)
    above_before, *parts_before = _parts(before)
    for medium, known, part, part_before in zip(media_of(session), media_of(before), parts, parts_before, strict=False):
        if not (medium.port and known.port):
            continue
        is_same_place = medium.host in UNSPECIFIED or (medium.host, medium.port) == (known.host, known.port)
        formats, formats_before = (
            {(payload, codec.lower()) for payload, codec in zip(each.payloads, each.codecs, strict=True)}
            for each in (medium, known)
        )
        keys, keys_before = (set(_KEYS.findall(lines)) for lines in (above + part, above_before + part_before))
        if not (is_same_place and formats <= formats_before and keys <= keys_before):
            return True
    return False


def takes_less(answer: bytes, before: bytes, offered: bytes) -> bool:
    """Return whether an answer holds, or rejects, a medium; neither its author's description before nor the offer did.

    Raises:
        BadSession: as ``media_of``.
    """
    return any(
        medium.is_held and not (known.is_held or proposed.is_held) and not medium.only_sends_to(proposed)
        if medium.port
        else known.port and proposed.port
        for medium, known, proposed in zip(media_of(answer), media_of(before), media_of(offered), strict=False)
    )


@lru_cache(maxsize=256)
def _parts(session: bytes) -> Sequence[bytes]:
    """Return the lines above all media, which may be none, and those of each medium in the usual form."""
    above, *media = (b"\n" + in_usual_form(session)).split(_MEDIUM)
    if not media:
        return [session]
    parts = [b"m=%b\n" % part for part in media]
    parts[-1] = parts[-1][:-1]
    return [above[1:] + b"\n" if above else b"", *parts]


def in_usual_form(session: bytes) -> bytes:
    """Return a description whose ``m=`` lines have single spaces, and the case of the registered names.

    Those names are compared without case (RFC 5234 section 2.3), and blanks in a row are read as one by most peers: a
    line in another form means the same to them, and has to mean the same here.
    """
    if session[:2] == b"m=":
        return _UNUSUAL.sub(_usual_line, b"\n" + session)[1:]
    return session if _UNUSUAL.search(session) is None else _UNUSUAL.sub(_usual_line, session)


def _usual_line(line: re.Match[bytes]) -> bytes:
    words: list[bytes] = [*line[1].split(), b"", b"", b""]
    kind, port, transport, *formats = words
    number, slash, count = port.partition(b"/")
    if number.isdigit():
        number = number.lstrip(b"0") or b"0"
        port = number + slash + count if number != b"0" else number
    transport = b"udptl" if transport.upper() == b"UDPTL" else transport.upper()
    written = b" ".join(filter(None, (kind.lower(), port, transport, *formats)))
    return b"\nm=" + written + (b"\r" if line[0].endswith(b"\r") else b"")


def relayable(session: bytes) -> bytes:
    """Return a description without the audio, video and fax that no relay can carry: as media that are rejected.

    Raises:
        BadSession: as ``media_of``, or nothing else is used.
    """
    described = media_of(session)
    for each in described:
        if each.is_refused:
            break
    else:
        return session
    if all(each.is_refused or not each.port for each in described):
        raise BadSession(SessionFault.NOT_RELAYABLE)
    above, *media = _parts(session)
    return above + b"".join(
        rejected(part) if each.is_refused else part for part, each in zip(media, described, strict=True)
    )


def relayed(
    session: bytes, places: Sequence[Place | None], origin: str | None = None, *, keeps_user: bool = False
) -> bytes:
    """Return a description whose media are received at the places of a relay, one for each medium.

    A medium without a place stays as it is, but for the addresses of one that is rejected. ``origin`` is the address of
    the origin line, and of a description without any place; None = that of the first place. A medium on hold by the
    zero address stays so. RTCP is announced where it is not on the next port; it is multiplexed if the place says so,
    whatever the author offered. ICE and bundling are removed: they lead past the relay, or to one port for several
    media. So is what the author writes about itself; ``keeps_user``: but for the user of the origin line.

    Raises:
        ValueError: there are not as many places as media.
    """
    cut = _cut(session)
    if cut is None or len(cut[1]) != len(places):
        return _relayed(session, places, origin, keeps_user=keeps_user)
    hosts, ports = [], []
    for each in places:
        if each is None or each.rtcp != each.rtp + 1:
            return _relayed(session, places, origin, keeps_user=keeps_user)
        hosts.append(each.host)
        ports.append(each.rtp)
    form = _placed(cut[2], tuple(hosts), origin)
    if form is None:
        return _relayed(session, places, origin, keeps_user=keeps_user)
    return _filled(form, cut[0] if keeps_user else b"- " + cut[0].partition(b" ")[2], ports)


@lru_cache(maxsize=512)
def _placed(form: bytes, hosts: tuple[str, ...], origin: str | None) -> bytes | None:
    """Return the form of a relayed description; None where it has none."""
    session = _filled(form, _ANY_IDS, [_ANY_PORT] * len(hosts))
    places = [Place(host, _ANY_PORT, _ANY_PORT + 1) for host in hosts]
    cut = _cut(_relayed(session, places, origin, keeps_user=True))
    return None if cut is None else cut[2]


def _relayed(session: bytes, places: Sequence[Place | None], origin: str | None, *, keeps_user: bool) -> bytes:
    """Return a relayed description of any form."""
    first = next(filter(None, places), None)
    host = origin if first is None else first.host
    if host is None:
        return session
    above, *media = _parts(session)
    common = _connection_of(_without_origin(above))
    # The address for all media stays if one that is not relayed needs it; then relayed media get one of their own.
    announced = host if common else None
    if None in places:
        for part, place in zip(media, places, strict=True):
            if place is None and _uses_common_address(part):
                announced = None
    written = [_head(above, origin or host, announced, keeps_user=keeps_user)]
    for part, place in zip(media, places, strict=True):
        written.append(_without_place(part, host) if place is None else _medium_at(part, place, common, announced))
    return b"".join(written)


def audio_place(described: Sequence[Medium]) -> int:
    """Return the place of the first audio medium that is used; 0 where none is."""
    for place, each in enumerate(described):
        if each.kind == "audio" and each.port:
            return place
    return 0


def with_codecs(session: bytes, wanted: Sequence[str]) -> bytes | None:
    """Return a description with the wanted audio codecs alone, in that order; None if it has none of them.

    Key presses and comfort noise are kept behind them. Other media, and descriptions without audio, stay as they are;
    an audio medium without a wanted codec is rejected if another one has some.
    """
    order = [name.lower() for name in wanted]
    above, *media = _parts(session)
    written, had_audio, has_audio = [above], False, False
    for part in media:
        if not part.startswith(b"m=audio ") or (medium := _formats(part)) is None:
            written.append(part)
            continue
        had_audio = True
        kept = _chosen(*medium, order)
        has_audio = has_audio or bool(kept)
        written.append(_limited(part, kept) if kept else rejected(part))
    if had_audio and not has_audio:
        return None
    return b"".join(written)


def with_events(session: bytes, payload: int | None, *, has_flash: bool = False) -> bytes:
    """Return a description whose first audio medium has telephone events (RFC 4733), as this payload type if free.

    None = any type that is free. One that has events, or no audio, stays as it is. ``has_flash``: with the flash, too.
    """
    above, *media = _parts(session)
    for index, part in enumerate(media):
        if not part.startswith(b"m=audio ") or (formats := _formats(part)) is None:
            continue
        payloads, maps = {int(each) for each in formats[0]}, formats[1]
        if any(name.lower() == _EVENTS for name, _ in maps.values()):
            return session
        clock = next((maps.get(each) or static_map(each) for each in map(int, formats[0])), ("", 8_000))[1]
        wanted = _EVENT_PAYLOADS if payload is None else (payload, *_EVENT_PAYLOADS)
        free = next((each for each in wanted if each not in payloads), None)
        if free is None:
            return session
        media[index] = _with_map(part, free, clock, _FLASH if has_flash else _FLASH - 1)
        return b"".join((above, *media))
    return session


def names_flash(session: bytes) -> bool:
    """Return whether the first audio medium that is used names the flash among its telephone events (RFC 4733)."""
    for part in _parts(session)[1:]:
        if part.startswith(b"m=audio ") and (formats := _formats(part)) is not None:
            events = {payload for payload, (name, _) in formats[1].items() if name.lower() == _EVENTS}
            return any(int(each[1]) in events and _lists(each[2], _FLASH) for each in _EVENT_LIST.finditer(part))
    return False


def _lists(listed: bytes, event: int) -> bool:
    """Return whether a list of events and their ranges has an event."""
    ranges = (each.partition(b"-") for each in listed.split(b","))
    return any(int(first) <= event <= int(last or first) for first, _, last in ranges)


def _with_map(part: bytes, payload: int, clock: int, last: int) -> bytes:
    first, *rest = lines_of(part)
    first = ended(first)
    end = end_of(first)
    lines = [b"%b %d%b" % (first.rstrip(), payload, end), *rest]
    lines[-1] = ended(lines[-1], end)
    text = b"a=rtpmap:%d telephone-event/%d%ba=fmtp:%d 0-%d%b"
    return b"".join(lines) + text % (payload, clock, end, payload, last, end)


class _Level(NamedTuple):
    """Lines of the session or of one medium that matter here; a medium inherits what it does not say."""

    connection: bytes
    """First ``c=`` line; empty if there is none."""
    direction: str
    """Empty if there is none."""
    rtcp: bytes
    """Value of ``a=rtcp``; empty if there is none."""
    is_multiplexed: bool
    has_fingerprint: bool
    maps: dict[int, tuple[str, int]]
    """Encoding name and clock by payload type."""

    @classmethod
    def of(cls, part: bytes) -> "_Level":
        connection, direction, rtcp, is_multiplexed, has_fingerprint = b"", "", b"", False, False
        maps: dict[int, tuple[str, int]] = {}
        for line in part.split(b"\n"):
            if line.startswith(b"a="):
                if line.startswith(b"a=rtpmap:"):
                    if (named := _map(line)) is not None:
                        maps[named[0]] = named[1:]
                elif line.startswith(b"a=rtcp:"):
                    rtcp = rtcp or line[7:].strip()
                elif (value := line.rstrip()) in _DIRECTIONS:
                    direction = value[2:].decode()
                elif value == b"a=rtcp-mux":
                    is_multiplexed = True
                elif line.startswith((b"a=fingerprint:", b"a=acap:")):
                    has_fingerprint = has_fingerprint or b"fingerprint:" in line
            elif line.startswith(b"c=") and not connection:
                connection = line.rstrip()
        return cls(connection, direction, rtcp, is_multiplexed, has_fingerprint, maps)


def _without_origin(above: bytes) -> bytes:
    """Return the lines above all media without that of the origin: then they are those of other calls, too."""
    start = above.find(b"\no=")
    end = above.find(b"\n", start + 1)
    return above if start < 0 or end < 0 else above[:start] + above[end:]


def _common(above: bytes) -> _Level:
    """Return what the lines above all media say; most have a ``c=`` line and no attributes."""
    lines = _without_origin(above)
    return _common_level(lines) if _may_recur(lines) else _common_level.__wrapped__(lines)


def _may_recur(lines: bytes) -> bool:
    """Return whether other calls may have the same lines: short ones, without keys, which are of one call alone."""
    return len(lines) <= _REMEMBERED_BYTES and _KEY_LINE.search(lines) is None


@lru_cache(maxsize=256)
def _common_level(lines: bytes) -> _Level:
    return _Level.of(lines) if b"a=" in lines else _Level(_connection_of(lines).rstrip(), "", b"", False, False, {})


def _connection_of(lines: bytes) -> bytes:
    """Return the ``c=`` line for all media; empty if there is none."""
    found = _CONNECTION.search(lines)
    return b"" if found is None else found[0]


# The lines of different calls are the same few.
@lru_cache(maxsize=256)
def _map(line: bytes) -> tuple[int, str, int] | None:
    """Return payload type, encoding name and clock of an ``rtpmap`` line; None where it has no payload type."""
    payload, _, encoding = line[9:].strip().partition(b" ")
    if not _is_number(payload, 127):
        return None
    name, _, rest = encoding.strip().decode("utf-8", "replace").partition("/")
    clock = rest.partition("/")[0]
    is_clock = clock.isdecimal() and clock.isascii() and len(clock) < 8 and int(clock) >= _MIN_CLOCK
    return int(payload), OTHER_NAMES.get(name.lower(), name[:_MAX_NAME]), int(clock) if is_clock else 8_000


def _is_number(text: bytes, most: int) -> bool:
    return text.isdigit() and len(text) <= 5 and int(text) <= most


def _medium(part: bytes, common: _Level) -> Medium:
    first, _, lines = part.partition(b"\n")
    words = first[2:].split()
    if len(words) < 2 or not _is_number(number := words[1].partition(b"/")[0], 65_535):
        raise BadSession(SessionFault.BAD_PORT)
    rtcp = b""
    if b"a=rtcp:" in lines and (found := _RTCP_LINE.search(lines)) is not None:  # it names a port of this call
        lines, rtcp = lines[: found.start()] + lines[found.end() :], found[1].strip()
    find = _form if _may_recur(lines) else _form.__wrapped__
    form = find(words[0], tuple(words[2:]), lines)
    port, own = int(number), form.level
    connection = own.connection or common.connection
    host = _host(connection) if port or connection else ""
    if port and not form.has_formats:
        raise BadSession(SessionFault.NO_FORMATS)
    rtcp_host, rtcp_port = _rtcp(rtcp or own.rtcp, host, port)
    return Medium(
        form.kind, form.transport, host, port, rtcp_host, rtcp_port, own.is_multiplexed,
        own.direction or common.direction or "sendrecv", form.payloads, form.clocks, form.codecs,
        own.has_fingerprint or common.has_fingerprint, form.is_relayable,
    )  # fmt: skip


class _Form(NamedTuple):
    """Words and lines of a medium beside its ports: mostly the same in all calls of a party."""

    kind: str
    transport: str
    is_relayable: bool
    has_formats: bool
    payloads: tuple[int, ...]
    clocks: tuple[int, ...]
    codecs: tuple[str, ...]
    level: _Level


@lru_cache(maxsize=1_024)
def _form(kind: bytes, rest: tuple[bytes, ...], lines: bytes) -> _Form:
    """Return what is said by an ``m=`` line, from its transport on, and the lines below it."""
    transport, level = b"".join(rest[:1]), _Level.of(lines)
    is_rtp = b"RTP/" in transport
    payloads = _payloads(rest[1:]) if is_rtp else ()
    maps = [level.maps.get(each) or static_map(each) for each in payloads]
    return _Form(
        kind.decode("utf-8", "replace"), transport.decode("utf-8", "replace"),
        transport.startswith((b"RTP/", b"UDP/")) or transport in {b"udptl", b"UDPTL"},
        bool(payloads if is_rtp else rest[1:]), payloads,
        tuple(clock for _, clock in maps), tuple(name for name, _ in maps), level,
    )  # fmt: skip


@lru_cache(maxsize=128)
def static_map(payload: int) -> tuple[str, int]:
    """Return encoding name and clock of a payload type that a description does not explain."""
    return static_name(payload) or str(payload), _STATIC_CLOCKS.get(payload, 8_000)


def _payloads(formats: Sequence[bytes]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(int(each) for each in formats if _is_number(each, 127)))


@lru_cache(maxsize=1_024)
def _host(connection: bytes) -> str:
    """Return the address of a ``c=`` line, without the scope of multicast."""
    if not connection:
        raise BadSession(SessionFault.NO_CONNECTION)
    words = connection[2:].split()
    host = _address(words[1], words[2].partition(b"/")[0]) if len(words) == 3 and words[0] == b"IN" else None
    if host is None:
        raise BadSession(SessionFault.NO_ADDRESS)
    return host


@lru_cache(maxsize=1_024)
def _address(kind: bytes, text: bytes) -> str | None:
    """Return an address in canonical form; None if it is none of its family."""
    try:
        address = ip_address(text.decode())
    except ValueError:
        return None
    is_plain = _PERCENT not in text
    return str(address) if is_plain and kind == b"IP%d" % address.version else None


def _rtcp(value: bytes, host: str, port: int) -> tuple[str, int]:
    """Return where RTCP is received (RFC 3605); a value that is none is as good as no line."""
    words = value.split()
    if words and _is_number(words[0], 65_535) and int(words[0]):
        own = _address(words[2], words[3]) if len(words) == 4 and words[1] == b"IN" else None
        if own is not None or len(words) == 1:
            return own or host, int(words[0])
    return host, port + 1 if 0 < port < 65_535 else 0


def _uses_common_address(part: bytes) -> bool:
    """Return whether a medium is used and has no address of its own."""
    words = part.partition(b"\n")[0].split()
    return words[1:2] != [b"0"] and b"\nc=" not in part


def _head(above: bytes, origin: str, announced: str | None, *, keeps_user: bool) -> bytes:
    """Return the lines above all media for a description with relayed media; ``announced`` None = ``c=`` stays."""
    written = _ORIGIN_LINE.sub(lambda line: _origin_at(line[0], origin, keeps_user=keeps_user), above)
    return _lines_at(_NAME_LINE.sub(b"s=-", written), announced)


def _origin_at(line: bytes, host: str, *, keeps_user: bool) -> bytes:
    """Return an origin line with another address; one that cannot be read gets ids that change with it."""
    found = _ORIGIN.fullmatch(line)
    ids = b"- 1 %d" % crc32(line) if found is None else found[1] if keeps_user else _without_user(found[1])
    return b"o=%b %b" % (ids, _named(host))


def _without_user(ids: bytes) -> bytes:
    """Return user, session and version without the user.

    One of several words leaves a session of its own: such a line is not made the successor of the one before in its
    dialog (``continued``), and must not become the same as another one.
    """
    *user, session, version = ids.split()
    return b"- %b %b" % (session if len(user) == 1 else b"%d" % crc32(b" ".join([*user, session])), version)


def _lines_at(lines: bytes, announced: str | None) -> bytes:
    """Return lines above all media with another address."""
    return b"".join(
        [
            line if announced is None or line[:2] != b"c=" else _connection_like(line, announced)
            for line in lines_of(lines)
            if not line.lower().startswith(_REMOVED)
        ]
    )


def _without_place(part: bytes, host: str) -> bytes:
    """Return a medium that is not relayed; one that is rejected needs no address, and has none of its author."""
    if part.partition(b"\n")[0].split()[1:2] != [b"0"]:
        return part
    return b"".join(
        _connection_like(line, host) if line.startswith(b"c=") else line
        for line in lines_of(part)
        if not line.lower().startswith(_REMOVED)
    )


def _medium_at(part: bytes, place: Place, common: bytes, announced: str | None) -> bytes:
    """Return a medium that is received at a place.

    ``common`` is the author's connection line for all media, ``announced`` the address of a relay that has replaced it.
    """
    if place.rtcp == place.rtp + 1 and place.host == announced and b"\n" in part and _PLACE.search(part) is None:
        return _with_port(part, place.rtp)
    has_connection = b"\nc=" in part
    first, *rest = lines_of(part)
    first = ended(first)
    end = end_of(first)
    lines = [_with_port(first, place.rtp)]
    if not has_connection and place.host != announced:
        rest.insert(0, _connection_like(common.rstrip() + end, place.host))
    rtcp = b"" if b"RTP/" not in first else b"a=rtcp-mux" if place.rtcp is None else b"a=rtcp:%d" % place.rtcp
    is_connected = False
    for line in rest:
        if line.startswith(b"c="):
            if not is_connected:
                lines.append(_connection_like(line, place.host))
            is_connected = True
        elif (named := line.lower().rstrip()).startswith(b"a=rtcp:") or named == b"a=rtcp-mux":
            if rtcp and named[:7] == rtcp[:7]:
                lines.append(rtcp + line[len(line.rstrip()) :])
                rtcp = b""
        elif not named.startswith(_HIDDEN):
            lines.append(line)
    if rtcp and place.rtcp != place.rtp + 1:
        lines[-1] = ended(lines[-1], end)
        lines.append(rtcp + end)
    return b"".join(lines)


def _connection_like(line: bytes, host: str) -> bytes:
    """Return a connection line with another address, and with the same end; one that holds stays on hold."""
    words = line.split()
    if words[-1:] and words[-1] in {b"0.0.0.0", b"::"}:
        host = "::" if ":" in host else "0.0.0.0"
    return b"c=" + _named(host) + line[len(line.rstrip()) :]


@lru_cache(maxsize=256)
def _named(host: str) -> bytes:
    return b"IN IP%d %b" % (6 if ":" in host else 4, host.encode())


def end_of(line: bytes) -> bytes:
    """Return what ends a line; blanks before that belong to its text."""
    return line[len(line.rstrip(b"\r\n")) :]


def ended(text: bytes, end: bytes = b"\r\n") -> bytes:
    """Return text whose last line has its end: a description may be cut before its last CRLF, or within it."""
    return text if text.endswith(b"\n") else text.removesuffix(b"\r") + end


def _formats(part: bytes) -> tuple[list[bytes], dict[int, tuple[str, int]]] | None:
    """Return the payload types of a medium, each once, and their names; None where it is rejected or no RTP.

    A line has room for twenty thousand, and what is compared with each other takes the square of that.
    """
    words = part.partition(b"\n")[0].split()
    if len(words) < 4 or words[1] == b"0" or b"RTP/" not in words[2]:
        return None
    return [each for each in dict.fromkeys(words[3:]) if _is_number(each, 127)], _Level.of(part).maps


def _chosen(payloads: list[bytes], maps: dict[int, tuple[str, int]], order: Sequence[str]) -> list[bytes]:
    """Return the payload types of the wanted codecs in their order, then those that go with every codec."""
    named = [(each, (maps.get(int(each)) or static_map(int(each)))[0].lower()) for each in payloads]
    kept = [payload for wanted in dict.fromkeys(order) for payload, name in named if name == wanted]
    return [*kept, *(payload for payload, name in named if name in ALWAYS_KEPT and payload not in kept)] if kept else []


def _limited(part: bytes, kept: list[bytes]) -> bytes:
    """Return a medium with those payload types alone."""
    first, *rest = lines_of(part)
    if first.split()[3:] == kept:
        return part
    head = b" ".join([*first.split()[:3], *kept]) + first[len(first.rstrip()) :]
    return head + b"".join(line for line in rest if (found := _OF_PAYLOAD.match(line)) is None or found[1] in kept)


def rejected(part: bytes) -> bytes:
    """Return a medium with the port 0, as its reader may not use it."""
    return _with_port(part, 0)


def _with_port(part: bytes, port: int) -> bytes:
    """Return a medium with another port; a template of ``re.sub`` would be parsed for each."""
    found = _PORT.match(part)
    return part if found is None else b"%b%d%b" % (found[1], port, part[found.end() :])
