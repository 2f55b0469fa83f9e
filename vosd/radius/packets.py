"""RADIUS packets: requests as bytes, and replies that are verified before anything of them is used.

``pyrad`` encodes and decodes (ADR 169). Randomness (identifier, authenticator) is an argument. A packet is 4,096 bytes
at most (RFC 2865 section 3).
"""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from pyrad.packet import AcctPacket, AuthPacket, Packet, PacketError

from vosd.base.errors import VosError
from vosd.radius.dictionary import DICTIONARY

PACKET_MAX: Final = 4_096
"""Longest packet in bytes, in both directions (RFC 2865 section 3)."""
TEXT_MAX: Final = 253
"""Longest value of an attribute in bytes."""
VENDOR_TEXT_MAX: Final = 247
"""Longest value of an attribute of a vendor (RFC 2865 section 5.26)."""
AUTHENTICATOR_BYTES: Final = 16
_HEADER_BYTES: Final = 20
_MESSAGE_AUTHENTICATOR: Final = 80

Value = str | int | bytes
Attributes = Sequence[tuple[str, Value]]
"""Attributes by the names of the dictionary; one may occur several times."""


class RadiusCode(IntEnum):
    """Kinds of packets."""

    ACCESS_REQUEST = 1
    ACCESS_ACCEPT = 2
    ACCESS_REJECT = 3
    ACCOUNTING_REQUEST = 4
    ACCOUNTING_RESPONSE = 5
    ACCESS_CHALLENGE = 11


REPLIES: Final[Mapping[RadiusCode, frozenset[int]]] = {
    RadiusCode.ACCESS_REQUEST: frozenset(
        {RadiusCode.ACCESS_ACCEPT, RadiusCode.ACCESS_REJECT, RadiusCode.ACCESS_CHALLENGE}
    ),
    RadiusCode.ACCOUNTING_REQUEST: frozenset({RadiusCode.ACCOUNTING_RESPONSE}),
}
"""Replies that each kind of request may get."""


class BadReplyError(VosError):
    """The packet is no reply to the request, or its sender does not have the secret; the message says why."""


class RadiusReply(NamedTuple):
    """A verified reply."""

    code: RadiusCode
    attributes: Mapping[str, tuple[Value, ...]]
    """By name; attributes that are not in the dictionary, or have a malformed value, are left out."""

    def text(self, name: str) -> str:
        """Return the first value of a text; empty without one."""
        value = next(iter(self.attributes.get(name, ())), "")
        return value if isinstance(value, str) else ""

    def number(self, name: str) -> int | None:
        """Return the first value of a number; None without one."""
        value = next(iter(self.attributes.get(name, ())), None)
        return value if isinstance(value, int) else None


class RadiusRequest:
    """A request that was encoded: every transmission of it has the same bytes (RFC 2865 section 2.5)."""

    __slots__ = ("_packet", "_wants_proof", "code", "data", "identifier")

    def __init__(
        self,
        code: RadiusCode,
        identifier: int,
        secret: bytes,
        attributes: Attributes,
        authenticator: bytes,
        *,
        wants_proof: bool,
    ) -> None:
        """Encode a request.

        An Access-Request has a Message-Authenticator in front (CVE-2024-3596). ``authenticator`` is random; that of an
        Accounting-Request is computed instead. ``wants_proof``: a reply to an Access-Request needs one, too.
        """
        self.code = code
        self.identifier = identifier
        self._wants_proof = wants_proof and code is RadiusCode.ACCESS_REQUEST
        packet: Packet
        if code is RadiusCode.ACCESS_REQUEST:
            packet = AuthPacket(id=identifier, secret=secret, authenticator=authenticator, dict=DICTIONARY)
            packet.add_message_authenticator()
        else:
            packet = AcctPacket(id=identifier, secret=secret, dict=DICTIONARY)
        for name, value in attributes:
            packet.AddAttribute(name, _fitting(name, value))
        self.data: bytes = packet.RequestPacket()
        self._packet = packet

    def reply(self, data: bytes) -> RadiusReply:
        """Verify and read a reply.

        Raises:
            BadReplyError: it is none to this request, malformed, or not from a server with the secret.
        """
        _check_lengths(data)
        if data[1] != self.identifier:
            raise BadReplyError("another identifier")
        if data[0] not in REPLIES[self.code]:
            raise BadReplyError(f"code {data[0]} is no reply to {self.code.name}")
        try:
            reply = self._packet.CreateReply(packet=data)
            is_proven = self._packet.VerifyReply(reply, enforce_ma=self._wants_proof)
        except PacketError as error:
            raise BadReplyError(str(error)) from error
        if not is_proven:
            what = "" if _MESSAGE_AUTHENTICATOR in _types(data) else ", and it has no Message-Authenticator"
            raise BadReplyError(f"its authenticator is wrong: another secret?{what}")
        return RadiusReply(RadiusCode(reply.code), _read(reply))


def _fitting(name: str, value: Value) -> Value:
    """Return a value that fits into an attribute: a text of a peer may be long, and not UTF-8."""
    if isinstance(value, bytes):
        return f"0x{value.hex()}"  # pyrad takes bytes such as b"0x41" for digits
    if isinstance(value, int):
        return value
    longest = VENDOR_TEXT_MAX if DICTIONARY.attributes[name].vendor else TEXT_MAX
    return value.encode("utf-8", "replace")[:longest].decode("utf-8", "ignore")


def _check_lengths(data: bytes) -> None:
    """Raise BadReplyError unless the packet and each attribute end where they say (RFC 2865 sections 3 and 5)."""
    if not _HEADER_BYTES <= len(data) <= PACKET_MAX:
        raise BadReplyError(f"a packet of {len(data)} bytes")
    length = int.from_bytes(data[2:4], "big")
    if not _HEADER_BYTES <= length <= len(data):
        raise BadReplyError(f"length {length} in a packet of {len(data)} bytes")
    at = _HEADER_BYTES
    while at < length:
        size = data[at + 1] if at + 1 < length else 0
        if size < 2 or at + size > length:
            raise BadReplyError("an attribute that does not end where it says")
        if data[at] == _MESSAGE_AUTHENTICATOR and size != 2 + AUTHENTICATOR_BYTES:
            raise BadReplyError("a Message-Authenticator of another length")
        at += size


def _types(data: bytes) -> set[int]:
    """Return the types of the attributes of a well-formed packet."""
    found, at = set(), _HEADER_BYTES
    while at < int.from_bytes(data[2:4], "big"):
        found.add(data[at])
        at += data[at + 1]
    return found


def _read(reply: Packet) -> dict[str, tuple[Value, ...]]:
    found: dict[str, tuple[Value, ...]] = {}
    names = reply.keys()  # decoded, which those of an iteration are not
    for name in names:
        if isinstance(name, str):
            try:
                found[name] = tuple(reply[name])
            except (ValueError, PacketError):  # a value of another size than its type has
                continue
    return found
