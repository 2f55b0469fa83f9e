"""Reason (RFC 3326): why a request was sent or a call failed, in the terms of another protocol.

Protocol, cause and text are read. The text is free text of a peer: it is kept for the record and never forwarded.
"""

import re
from typing import Final, NamedTuple

from vosd.sip.wire.errors import Flaw, ParseError
from vosd.sip.wire.grammar import TOKEN, parameters
from vosd.sip.wire.message import Message

Q850: Final = "Q.850"
SIP: Final = "SIP"
_MAX: Final = {Q850: 127, SIP: 699}
"""Highest causes by protocol."""
TEXT_MAX: Final = 128
"""Most characters kept of a text."""
_ESCAPED: Final = re.compile(r"\\(.)")
_PROTOCOL: Final = re.compile(rf"\s*({TOKEN})\s*(?=;|\Z)", re.ASCII)


class Reason(NamedTuple):
    """A protocol in upper case, and its cause if a number is given."""

    protocol: str
    cause: int | None

    @classmethod
    def parse(cls, text: str) -> "Reason":
        """Parse one value, such as ``Q.850;cause=16;text="Terminated"``."""
        match = _PROTOCOL.match(text)
        if not match:
            raise ParseError(400, Flaw.BAD_REASON)
        cause = parameters(text[match.end() :]).get("cause") or ""
        number = int(cause) if cause.isascii() and cause.isdigit() and len(cause) <= 3 else None
        return cls(match[1].upper(), number)


def q850_cause(message: Message) -> int | None:
    """Return the first readable Q.850 cause of a message (RFC 6432), or None."""
    if message.header("reason") is None:
        return None
    return causes(message).get(Q850)


def causes(message: Message) -> dict[str, int]:
    """Return the first readable cause of each protocol, SIP and Q.850 alone, in the order of the message."""
    found: dict[str, int] = {}
    for value in message.headers("reason"):
        try:
            protocol, cause = Reason.parse(value)
        except ParseError:
            continue  # a later value may be readable
        if cause is not None and 1 <= cause <= _MAX.get(protocol, 0):
            found.setdefault(protocol, cause)
    return found


def reason_text(message: Message) -> str | None:
    """Return the text of the first Reason that has one, Q.850 before others; None if there is none."""
    if message.header("reason") is None:
        return None
    found = ""
    for value in message.headers("reason"):
        match = _PROTOCOL.match(value)
        text = _unquoted(parameters(value[match.end() :]).get("text") or "") if match else ""
        if text and match and match[1].upper() == Q850:
            return text
        found = found or text
    return found or None


def _unquoted(text: str) -> str:
    """Return the printable part of a quoted string."""
    if text.startswith('"'):
        text = _ESCAPED.sub(r"\1", text[1:-1])
    return "".join(character for character in text if character.isprintable())[:TEXT_MAX].strip()
