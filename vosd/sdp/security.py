"""Encryption and ICE in session descriptions, and descriptions of an end point that terminates both.

SDES carries keys in the description (RFC 4568), DTLS a fingerprint of the certificate that negotiates them (RFC 5764).
"""

import re
from collections.abc import Sequence
from enum import Enum
from itertools import zip_longest
from typing import Final

from vosd.sdp.media import BadSession, SessionFault, end_of, ended, lines_of, media_of, parted, rejected

_CRYPTO: Final = re.compile(
    rb"^a=crypto:\d{1,9} (\S+) inline:([A-Za-z0-9+/]+)(={0,2})"
    rb"(?:\|(?:2\^0?([1-9]\d?)|0{0,9}[1-9]\d{0,13}))?(?:\|\d{1,9}:(\d{1,3}))?((?: [^\r\n]*)?)\r*$",
    re.MULTILINE,
)
"""A line that rtpengine reads: suite, key, its padding, lifetime as a power of 2, length of the MKI, parameters."""
_NAMED_KEY: Final = re.compile(rb"(a=crypto:\d{1,9}) (\S+) ")
_MKI_BYTES: Final = re.compile(rb"\|[^|:\r\n]*:(\d{1,20})")
_DIGEST_BYTES: Final = {1: 20, 224: 28, 256: 32, 384: 48, 512: 64}
"""Lengths of the digests that count, of the family SHA (RFC 8122 section 5)."""
_FINGERPRINT: Final = re.compile(
    b"^a=fingerprint:sha-(?:%b)[ \\t]*\\r*$"
    % b"|".join(b"%d [0-9a-f]{2}(?::[0-9a-f]{2}){%d}" % (name, size - 1) for name, size in _DIGEST_BYTES.items()),
    re.MULTILINE | re.IGNORECASE,
)
"""A line that rtpengine reads: it leaves others out, and agrees on no keys."""
_OPEN_ROLE: Final = b"a=setup:actpass"
_CHOSEN_ROLE: Final = re.compile(rb"^a=setup:(?:active|passive)", re.MULTILINE)
_CANDIDATE: Final = re.compile(rb"^a=ice-ufrag:", re.MULTILINE)
_NOWHERE: Final = re.compile(rb"^c=IN IP4 0\.0\.0\.0(?=[ \t]*\r*$)", re.MULTILINE)
_MID: Final = re.compile(rb"^a=mid:([!-~]{1,64})\r*$", re.MULTILINE)
_OF_THE_WEB: Final = re.compile(rb"a=(?:mid:|msid|ssrc|group:|extmap|rtcp-fb:|rtcp-rsize|rtcp-mux-only)")
"""Lines that only browsers and their like understand, among them feedback, which AVP and SAVP have not."""
_KEYS: Final = re.compile(rb"a=(?:crypto:|fingerprint:|setup:|tls-id:|key-mgmt:|connection:)|k=")
"""Lines about keys, each of one hop."""
_OF_DTLS: Final = re.compile(rb"a=(?:fingerprint:|setup:|tls-id:)")
LASTING: Final = "a=tls-id:vosd-keeps-the-association"
"""Says to rtpengine that an author's DTLS is the one of before (RFC 8842 section 4); the other side is not sent it."""
_OF_HOP: Final = re.compile(
    rb"(?!%s)a=(?:crypto:|fingerprint:|setup:|tls-id:|ice-|candidate:(?!(?:\S+ ){5}0 )|end-of-candidates)"
    % LASTING.encode()
)
"""Lines about keys and ICE that the terminating end point says of itself; rtpengine 26.3 has candidates with port 0."""
_ALTERNATIVES: Final = re.compile(rb"^a=(?:[at]cap|[apl]cfg):[^\n]*\n?", re.MULTILINE)
"""Lines by which an answer may choose another transport and keys than those that are offered (RFC 5939, RFC 6871)."""
_DIFFERENT_PARAMETERS: Final = re.compile(rb"UNENCRYPTED_(?!SRTCP\b)|UNAUTHENTICATED_", re.IGNORECASE)
"""Parameters without which media are not protected; RTCP in clear, as PBXs of Avaya offer it, says nothing of them."""
SUITES: Final = {
    "AEAD_AES_256_GCM": 59,
    "AEAD_AES_128_GCM": 38,
    "AES_256_CM_HMAC_SHA1_80": 62,
    "AES_256_CM_HMAC_SHA1_32": 62,
    "AES_CM_128_HMAC_SHA1_80": 40,
    "AES_CM_128_HMAC_SHA1_32": 40,
}
"""Suites that count as encryption, with the length of key and salt in base64; there are some with the NULL cipher."""
_READ_SUITES: Final = frozenset(
    [*SUITES, *(f"{name}_HMAC_SHA1_{bits}" for name in ("AES_192_CM", "F8_128", "NULL") for bits in (80, 32))]
)
"""Suites that an rtpengine knows; FreeSWITCH prefers ``AEAD_AES_256_GCM_8``, which is none of them."""
_LIFETIME_MAX: Final = 48
_MKI_BYTES_MAX: Final = 128
_WEB_TRANSPORT: Final = b"UDP/TLS/RTP/SAVPF"


class Protection(Enum):
    """Encryption of the media of one side."""

    NONE = "none"
    SDES = "sdes"
    DTLS = "dtls"


def protection_of(session: bytes) -> Protection:
    """Return how the RTP of a description is encrypted; NONE if any of it is not, or if there is none.

    Keys beside the transport RTP/AVP offer encryption, too (RFC 8643).
    """
    if not has_keys(session):
        return Protection.NONE
    try:
        kinds = [kind for kind in _kinds(session) if kind]
    except BadSession:
        return Protection.NONE
    return Protection.NONE if not kinds or Protection.NONE in kinds else kinds[0]


def is_unprotected(session: bytes, offered: bytes = b"") -> bool:
    """Return whether a description has media that are not encrypted, as fax, or cannot be understood.

    ``offered`` is what its author was given latest: an answer by DTLS to keys of SDES agrees on nothing.
    """
    try:
        kinds = _kinds(session)
    except BadSession:
        return True
    is_sdes = b"a=crypto:" in offered and b"a=fingerprint:" not in offered
    return Protection.NONE in kinds or (
        is_sdes and Protection.DTLS in kinds and _CHOSEN_ROLE.search(session) is not None
    )


def expect_keys(session: bytes) -> None:
    """Expect a medium with a key that an rtpengine takes, or one that is plain: it would answer others without a key.

    Raises:
        BadSession: there is none, or the description cannot be relayed.
    """
    used = [each for each in zip(media_of(session), _kinds(session), strict=True) if each[0].port]
    if used and all(kind is Protection.NONE and "SAVP" in medium.transport for medium, kind in used):
        raise BadSession(SessionFault.NO_KEY)


def is_unprotectable(session: bytes) -> bool:
    """Return whether a description has media that no encryption of RTP protects, as fax."""
    try:
        return any(each.port and "RTP/" not in each.transport for each in media_of(session))
    except BadSession:
        return True


def transport_of(session: bytes) -> str | None:
    """Return the transport of the first medium of RTP; None = there is none."""
    try:
        return next((each.transport for each in media_of(session) if each.port and each.payloads), None)
    except BadSession:
        return None


def without_plain_twins(session: bytes) -> bytes:
    """Return a description whose plain media at the port of encrypted ones are rejected.

    Their author leaves the choice to the reader: FreeSWITCH offers ``RTP/SAVP`` and ``RTP/AVP`` at one port.
    """
    if not has_keys(session):
        return session
    try:
        places = [(each.kind, each.host, each.port) for each in media_of(session)]
        kinds = _kinds(session)
    except BadSession:
        return session
    encrypted = {place for place, kind in zip(places, kinds, strict=True) if kind not in {None, Protection.NONE}}
    above, *parts = parted(session)
    return above + b"".join(
        rejected(part) if kind is Protection.NONE and place in encrypted else part
        for part, place, kind in zip(parts, places, kinds, strict=True)
    )


def _kinds(session: bytes) -> list[Protection | None]:
    """Return the encryption of each medium, None where it is not used; raises ``BadSession``."""
    described = media_of(session)
    above, *parts = parted(session)
    kinds: list[Protection | None] = []
    for part, medium in zip(parts, described, strict=True):
        if not medium.port:
            kinds.append(None)
        elif "RTP/" in medium.transport and "TLS/" not in medium.transport and _usable_keys(part):
            kinds.append(Protection.SDES)
        elif "SAVP" in medium.transport and (_FINGERPRINT.search(part) or _FINGERPRINT.search(above)):
            kinds.append(Protection.DTLS)
        else:
            kinds.append(Protection.NONE)
    return kinds


def has_keys(session: bytes) -> bool:
    """Return whether a description takes part in an agreement about keys, or leaves that to its reader (RFC 5939)."""
    return b"a=crypto:" in session or b"a=fingerprint:" in session or b"a=pcfg:" in session


def has_unread_keys(session: bytes) -> bool:
    """Return whether the author may agree on keys that an rtpengine between it and its peer does not know.

    It has none of those that DTLS makes, nor of suites that it does not know.
    """
    return b"a=fingerprint:" in session or any(map(_is_unread, lines_of(session)))


def has_read_keys(session: bytes) -> bool:
    """Return whether an answer agrees on keys that an rtpengine knows."""
    return has_keys(session) and not has_unread_keys(session)


def without_unread_keys(session: bytes) -> bytes:
    """Return a description without the keys that an rtpengine between its author and the peer does not know."""
    return b"".join(line for line in lines_of(session) if not (_OF_DTLS.match(line) or _is_unread(line)))


def with_read_keys(session: bytes, *, are_in_use: bool) -> bytes:
    """Return an offer without the keys that an rtpengine does not know, where its peer may choose others.

    Unless others are in use, nothing is left out beside DTLS: it may begin before the answer has come.
    """
    if b"a=fingerprint:" in session and not are_in_use:
        return session
    read = without_unread_keys(session)
    return read if b"a=crypto:" in read else session


def _is_unread(line: bytes) -> bool:
    if not line.startswith(b"a=crypto:"):
        return False
    found = _CRYPTO.match(line)
    return found is None or found[1].decode("latin-1") not in _READ_SUITES


def has_ice(session: bytes) -> bool:
    """Return whether a description has ICE (RFC 8839)."""
    return _CANDIDATE.search(session) is not None


def without_alternatives(session: bytes) -> bytes:
    """Return a description whose reader can choose no other transport and keys than the ``m=`` lines have (RFC 5939).

    An rtpengine does not read them: it would take encrypted packets for plain ones.
    """
    return _ALTERNATIVES.sub(b"", session)


def reachable_by_ice(session: bytes, host: str) -> bytes:
    """Return a description with ICE whose media have an address: without one, by RFC 8840, they are not on hold."""
    if not has_ice(session) or b" 0.0.0.0" not in session:
        return session
    return _NOWHERE.sub(b"c=IN IP%d %b" % (6 if ":" in host else 4, host.encode()), session)


def with_usable_keys(session: bytes) -> bytes:
    """Return a description without keys of suites that do not encrypt, and without those that cannot be read."""
    if b"a=crypto:" not in session:
        return session
    return b"".join(line for line in lines_of(session) if not line.startswith(b"a=crypto:") or _usable_keys(line))


def with_chosen_keys(session: bytes, other: bytes) -> bytes:
    """Return an offer as the answer to a later offer of its reader, by the keys that both have.

    ``other``: that offer, or the answer of before. Of each medium one key is left (RFC 4568 section 5.1.3), by the tag
    there, and one role in the handshake (RFC 5763 section 5), where a side that leaves it open keeps the active one.
    """
    if b"a=crypto:" not in session and _OPEN_ROLE not in session:
        return session
    above, *media = parted(session)
    _, *described = parted(other)
    written = [above]
    for part, theirs in zip_longest(media, described[: len(media)], fillvalue=b""):
        lines = lines_of(part)
        keys = [line for line in lines if line.startswith(b"a=crypto:")]
        chosen = _chosen_key(keys, [found for line in lines_of(theirs) if (found := _NAMED_KEY.match(line))])
        role = b"a=setup:active" if b"a=setup:passive" in theirs else b"a=setup:passive"
        for line in lines:
            if line.startswith(_OPEN_ROLE):
                written.append(line.replace(_OPEN_ROLE, role))
            elif not keys or line not in keys:
                written.append(line)
            elif line is keys[0]:
                written.append(chosen)
    return b"".join(written)


def _chosen_key(keys: Sequence[bytes], named: Sequence[re.Match[bytes]]) -> bytes:
    """Return the key of ours for one that the other side names: by tag and suite, else by the suite; else the first."""
    for each in named:
        for line in keys:
            if line.startswith(each[0]):
                return line
    for each in named:
        for line in keys:
            _tag, suite, rest = line.split(b" ", 2)
            if suite == each[2]:
                return b" ".join([each[1], suite, rest])
    return keys[0] if keys else b""


def with_bounded_mki(session: bytes) -> bytes:
    """Return a description without keys whose MKI is longer than allowed (RFC 4568 section 6.1).

    An rtpengine of version 10.5 aborts where one of 256 bytes is agreed.
    """
    if session.find(b"a=crypto:") < 0:
        return session
    return b"".join(line for line in lines_of(session) if not _has_long_mki(line))


def mids_of(session: bytes) -> list[bytes]:
    """Return the identification of each medium (RFC 5888), empty where there is none."""
    _, *parts = parted(session)
    return [b"" if (found := _MID.search(part)) is None else found[1] for part in parts]


def terminated(session: bytes, given: bytes, mids: Sequence[bytes]) -> bytes:
    """Return an author's description with the transports, keys and ICE of an end point that terminates them.

    ``given`` is the description of the end point, with as many media. ``mids`` are those that the reader has named its
    media by: an answer repeats them (RFC 9143 section 7.3).

    Raises:
        ValueError: they have not as many media.
    """
    above, *media = parted(session)
    given_above, *given_media = parted(given)
    is_web = _WEB_TRANSPORT in given
    written = [_without(above, is_web=is_web), *_own(given_above)]
    for index, (part, own) in enumerate(zip(media, given_media, strict=True)):
        first, *rest = lines_of(_without(part, is_web=is_web))
        end = end_of(ended(first))
        words, transport = first.split(), own.split(maxsplit=3)[2:3]
        lines = [b" ".join([*words[:2], *transport, *words[3:]]) + end, *rest]
        lines[-1] = ended(lines[-1], end)
        if is_web:
            mid = mids[index] if index < len(mids) and mids[index] else b"%d" % index
            lines = [line for line in lines if not line.startswith(b"a=mid:")]
            lines.append(b"a=mid:" + mid + end)
        if words[1] != b"0":
            lines += _own(own)
        written.append(b"".join(lines))
    return b"".join(written)


def _usable_keys(part: bytes) -> bool:
    """Return whether there is a key that rtpengine takes (RFC 4568 section 6.1): else it would send unencrypted."""
    for suite, key, padding, lifetime, mki_bytes, parameters in _CRYPTO.findall(part):
        is_whole = len(key) == SUITES.get(suite.decode("ascii", "replace").upper())
        is_padded = not padding or (len(key) + len(padding)) % 4 == 0
        is_bounded = int(lifetime or 0) <= _LIFETIME_MAX and 1 <= int(mki_bytes or 1) <= _MKI_BYTES_MAX
        if is_whole and is_padded and is_bounded and not _DIFFERENT_PARAMETERS.search(parameters):
            return True
    return False


def _has_long_mki(line: bytes) -> bool:
    if not line.startswith(b"a=crypto:"):
        return False
    return any(int(each) > _MKI_BYTES_MAX for each in _MKI_BYTES.findall(line))


def _without(part: bytes, *, is_web: bool) -> bytes:
    """Return lines without keys, and without those of browsers where the reader is none."""
    return b"".join(
        line for line in lines_of(part) if not _KEYS.match(line) and (is_web or not _OF_THE_WEB.match(line))
    )


def _own(part: bytes) -> list[bytes]:
    return [line for line in lines_of(part) if _OF_HOP.match(line)]
