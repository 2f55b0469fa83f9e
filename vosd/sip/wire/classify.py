"""Classify a message by its first bytes: enough to choose its queue before it is parsed.

The classification may be wrong for unusual spellings (a CANCEL of an RFC 2543 peer), which then wait in a lower queue.
It never takes a new request for one within a dialog: it stops at the end of the headers and joins folded lines, as the
parser does.
"""

import re
from enum import Enum, auto
from typing import Final

from vosd.sip.headers.via import branch_of


class MessageKind(Enum):
    """Kind of a received message."""

    RESPONSE = auto()
    WITHIN = auto()
    """A request within a dialog or transaction: it has a To tag, or its method implies it."""
    CALL = auto()
    """An INVITE that asks for a new call."""
    OTHER = auto()
    """Any other request from outside a dialog: REGISTER, OPTIONS."""
    KEEP_ALIVE = auto()
    """Empty lines or one or two bytes, as phones send to keep a NAT binding open (RFC 5626 section 3.5.1)."""
    JUNK = auto()
    """Not SIP."""


class Rank(Enum):
    """Priority of a message."""

    RUNNING = auto()
    """It belongs to a running call."""
    CALL = auto()
    """A new call of a known source."""
    OTHER = auto()
    """Another new request of a known source, such as a phone's REGISTER."""
    UNKNOWN = auto()
    """A request of an unknown source."""


_BY_LEAD: Final = {
    b"SIP/": MessageKind.RESPONSE,
    b"ACK ": MessageKind.WITHIN,
    b"BYE ": MessageKind.WITHIN,
    b"CANC": MessageKind.WITHIN,
    b"PRAC": MessageKind.WITHIN,
    b"UPDA": MessageKind.WITHIN,
    b"INFO": MessageKind.WITHIN,
    b"INVI": MessageKind.CALL,
    b"REGI": MessageKind.OTHER,
    b"OPTI": MessageKind.OTHER,
    b"REFE": MessageKind.OTHER,
    b"NOTI": MessageKind.OTHER,
    b"SUBS": MessageKind.OTHER,
    b"MESS": MessageKind.OTHER,
    b"PUBL": MessageKind.OTHER,
}
_KEEP_ALIVE_BYTES: Final = 4
_HEAD_BYTES: Final = 8_192
"""Bytes searched for a header."""
_VIA_BYTES: Final = 512
"""Bytes of a Via searched for its branch: a message with a longer one is served as if it belonged to no call."""
_STATUS: Final = slice(8, 9)
"""Place of the first digit of the status."""
_FOLD: Final = re.compile(rb"\r?\n[ \t]+")
_TO: Final = re.compile(rb"\n[Tt][Oo]?[ \t]*+:([^\r\n]*+)")
_FROM: Final = re.compile(rb"\n[Ff](?:[Rr][Oo][Mm])?[ \t]*+:([^\r\n]*+)")
_PLAIN_TO: Final = re.compile(rb"[^\r\n\"<>]*+<[^\r\n\"<>]*+>(?:;tag=([\w.\-~]+))?\r\n(?![ \t])")
"""Form of nearly every To."""
_CALL_ID: Final = re.compile(rb"\n(?:[Cc][Aa][Ll][Ll]-[Ii][Dd]|[Ii])[ \t]*+:([^\r\n]*+)")
_TAG: Final = re.compile(rb";[ \t]*+tag[ \t]*+=[ \t]*+([^\s;,]++)", re.IGNORECASE)
_PLAIN_ANSWER: Final = re.compile(rb"SIP/2[^\r\n,;]*+(?:;(?!branch=)[^\r\n,;]*+)*;branch=([\w.\-]++)[;\r]")
"""Form of nearly every Via of ours as it comes back."""
_PLAIN_SEQUENCE: Final = re.compile(rb"\d++ ([A-Z]++)\r")
_METHOD: Final = re.compile(rb"\n[Cc][Ss][Ee][Qq][ \t]*+:[ \t]*+\d++[ \t]++([^\s]++)")
_VIA: Final = re.compile(rb"\n[Vv](?:[Ii][Aa])?[ \t]*+:[ \t]*+([^\r\n]*+)")
_REQUEST_LINE: Final = re.compile(rb"[!-~]{1,4096}+ [^\r\n]{1,4096} SIP/\d", re.IGNORECASE)

NEVER_LIMITED: Final = frozenset((b"SIP/", b"ACK ", b"BYE ", b"CANC", b"PRAC"))
"""First bytes of responses and of the requests without which a call is not set up or does not end."""


def classify(data: bytes) -> MessageKind:
    """Return the kind of one message."""
    kind = _BY_LEAD.get(data[:4])
    if kind is None:
        return _odd(data)
    if (kind is MessageKind.CALL or kind is MessageKind.OTHER) and to_tag(data):
        return MessageKind.WITHIN
    return kind


def to_tag(data: bytes) -> bytes:
    """Return the tag of To, one of the header's own parameters, without quotes; empty if none is found."""
    end = data.find(b"\r\n\r\n")
    at = data.find(b"\nTo: ", 0, end) if end >= 0 else -1
    plain = _PLAIN_TO.match(data, at + 5) if at >= 0 else None
    if plain is not None:
        return plain[1] or b""
    # The slow path sees the headers as the parser does: folded lines joined, and nothing of the body.
    return _tag_in(_TO.search(_head(data)))


def own_tag(kind: MessageKind, data: bytes) -> str:
    """Return the tag that is ours in a message of a dialog: that of From in a response, of To in a request."""
    tag = _tag_in(_FROM.search(_head(data))) if kind is MessageKind.RESPONSE else to_tag(data)
    return tag.decode("utf-8", "surrogateescape")


def call_and_peer(kind: MessageKind, data: bytes) -> tuple[str, str]:
    """Return the Call-ID and the tag of the peer in a message of a dialog; each is empty where none is found."""
    head = _head(data)
    call_id = _CALL_ID.search(head)
    tag = _tag_in((_TO if kind is MessageKind.RESPONSE else _FROM).search(head))
    found = b"" if call_id is None else call_id[1].strip(b" \t")
    return found.decode("utf-8", "surrogateescape"), tag.decode("utf-8", "surrogateescape")


def _tag_in(line: re.Match[bytes] | None) -> bytes:
    """Return the tag of a To or From without quotes; empty if none is found."""
    if line is None:
        return b""
    text = line[1]
    start = text.rfind(b">") + 1 or text.find(b";")
    if start < 0 or text.find(b'"', start) >= 0:
        return b""
    found = _TAG.search(text, start)
    return b"" if found is None else found[1]


def answered(data: bytes) -> str:
    """Return the key of the client transaction that a response names; empty if none is found."""
    end = max(data.find(b"\r\n\r\n"), 0)
    at = data.find(b"\nVia: ", 0, end)
    plain = _PLAIN_ANSWER.match(data, at + 6, at + 6 + _VIA_BYTES) if at >= 0 else None
    if plain is not None:
        at = data.find(b"\nCSeq: ", plain.end(), end)
        sequence = _PLAIN_SEQUENCE.match(data, at + 7) if at >= 0 else None
        if sequence is not None:
            return f"{plain[1].decode()} {sequence[1].decode()}"
    branch = branch_of(top_via(data))
    method = _METHOD.search(_head(data)) if branch else None
    return "" if method is None else f"{branch} {method[1].decode('utf-8', 'surrogateescape')}"


def is_awaited(response: bytes) -> bool:
    """Return whether the sender of a response waits for what follows it: it is the final one to an INVITE."""
    method = _METHOD.search(_head(response))
    return method is not None and method[1] == b"INVITE" and response[_STATUS] != b"1"


def top_via(data: bytes) -> str:
    """Return the beginning of the first Via line's value, which holds its branch; empty if none is found."""
    line = _VIA.search(_head(data))
    return "" if line is None else line[1][:_VIA_BYTES].decode("utf-8", "surrogateescape")


def _head(data: bytes) -> bytes:
    """Return the headers, unfolded as the parser does it, as far as they are searched."""
    text = data[:_HEAD_BYTES].lstrip(b"\r\n")
    end = text.find(b"\r\n\r\n")
    if end < 0:
        end = text.find(b"\n\n")
    text = text if end < 0 else text[:end]
    # Most messages have no folded line, and to look for two bytes is much faster than to look for the pattern; ``in``
    # would raise and drop an error first.
    return _FOLD.sub(b" ", text) if text.find(b"\n ") >= 0 or text.find(b"\n\t") >= 0 else text


def _odd(data: bytes) -> MessageKind:
    """Classify a message with an unusual start; empty lines before a message are valid (RFC 3261 section 7.5)."""
    text = data.lstrip(b"\r\n") if data[:1] in b"\r\n" else data
    if len(text) <= _KEEP_ALIVE_BYTES:
        return MessageKind.KEEP_ALIVE
    if text is not data:
        kind = _BY_LEAD.get(text[:4])
        if kind is not None:
            return MessageKind.WITHIN if to_tag(text) else kind
    if text[:8].upper() == b"SIP/2.0 ":
        return MessageKind.RESPONSE
    if _REQUEST_LINE.match(text) is None:
        return MessageKind.JUNK
    return MessageKind.WITHIN if to_tag(text) else MessageKind.OTHER
