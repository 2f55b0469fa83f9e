"""Reason (RFC 3326): why a request was sent or a call failed, as another protocol would say it.

Read are protocol and cause. The text is a peer's prose and stays with whoever received it.
"""

import re
from typing import Final, NamedTuple

from vosd.sip.errors import ParseError
from vosd.sip.grammar import TOKEN, parameters
from vosd.sip.message import Message

Q850: Final = "Q.850"
_Q850_MAX: Final = 127
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
