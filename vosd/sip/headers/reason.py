"""Reason (RFC 3326): why a request was sent or a call failed, as another protocol would say it.

Read are protocol, cause and text. The text is a peer's prose: it is kept for the record, and never passed on.
"""

import re
from typing import Final, NamedTuple

from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.grammar import TOKEN, parameters
from vosd.sip.wire.message import Message

Q850: Final = "Q.850"
_Q850_MAX: Final = 127
TEXT_MAX: Final = 128
"""Characters of a text that are kept."""
_ESCAPED: Final = re.compile(r"\\(.)")
_PROTOCOL: Final = re.compile(rf"\s*({TOKEN})\s*(?=;|\Z)", re.ASCII)


class Reason(NamedTuple):
    """A protocol in upper case, and its cause where a number is given."""

    protocol: str
    cause: int | None

    @classmethod
    def parse(cls, text: str) -> "Reason":
        """Read one value, such as ``Q.850;cause=16;text="Terminated"``.

        Raises:
            ParseError: 400.
        """
        match = _PROTOCOL.match(text)
        if not match:
            raise ParseError(400, "Bad Reason")
        cause = parameters(text[match.end() :]).get("cause") or ""
        number = int(cause) if cause.isascii() and cause.isdigit() and len(cause) <= 3 else None
        return cls(match[1].upper(), number)


def q850_cause(message: Message) -> int | None:
    """Return the first Q.850 cause that a message gives (RFC 6432); None where it gives none that can be read."""
    if message.header("reason") is None:
        return None
    for value in message.headers("reason"):
        try:
            protocol, cause = Reason.parse(value)
        except ParseError:
            continue  # a value that cannot be read says nothing, and the next one may
        if protocol == Q850 and cause is not None and cause <= _Q850_MAX:
            return cause
    return None


def reason_text(message: Message) -> str | None:
    """Return the text of the first Reason that has one, Q.850 before others; None where there is none."""
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
    """Return what stands between quotes, as far as it can be printed."""
    if text.startswith('"'):
        text = _ESCAPED.sub(r"\1", text[1:-1])
    return "".join(character for character in text if character.isprintable())[:TEXT_MAX].strip()
