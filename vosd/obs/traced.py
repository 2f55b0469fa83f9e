"""SIP messages as they were seen on sockets of ours, fit to be shown: their secrets are blanked.

What the daemon hands out of its ring, and what ladders and captures are made of. Refuses to know how long a message
is kept.
"""

import re
from enum import Enum
from typing import Any, Final, Self

import msgspec

from vosd.cdr.record import Attempt

_CREDENTIALS: Final = re.compile(
    rb"^((?:proxy-)?authorization[ \t]*:)(?:[^\n]*\n[ \t])*[^\n]*?(?=\r?$|\Z)", re.IGNORECASE | re.MULTILINE
)
"""A whole header, continuation lines and all."""
_KEYS: Final = re.compile(
    rb"(?<=inline:)[A-Za-z0-9+/=]+|(?<=^k=)[^\r\n]+|(?<=^a=key-mgmt:)[^\r\n]+", re.IGNORECASE | re.MULTILINE
)
"""Of SRTP in a session description: RFC 4568 section 6.1, RFC 8866 section 5.12, RFC 4567."""
_KEY_MARKS: Final = (b"inline:", b"\nk=", b"key-mgmt:")


class Direction(Enum):
    """Whether a message was received or sent by the switch."""

    IN = "in"
    OUT = "out"


class TracedMessage(msgspec.Struct, frozen=True):
    """One message of one call."""

    at: int
    """UTC milliseconds at which it came, or at which we sent it."""
    way: Direction
    leg: int
    """0 is the caller's, the others are the attempts in their order."""
    transport: str
    local_host: str
    local_port: int
    """Of the listener, as peers are told of it."""
    remote_host: str
    remote_port: int
    data: bytes
    """The whole message, with blanks where its secrets were."""


class Outcome(msgspec.Struct, frozen=True):
    """How a call ended, in the words of its CDR (INTERFACES section 5)."""

    end_reason: str
    hangup_source: str
    sip_code: int | None
    q850_cause: int | None
    hold_time_ms: int
    attempts: tuple[Attempt, ...]

    @classmethod
    def of_cdr(cls, cdr: dict[str, Any]) -> Self:
        """Take it from the ``--json`` object of a call."""
        return msgspec.convert(cdr, cls)


class TracedCall(msgspec.Struct):
    """What is known of one call and its messages."""

    call_id: str
    caller: str
    callee: str
    mapping_gateway: str | None
    gateways: tuple[str, ...]
    """Of the attempts, in order."""
    messages: list[TracedMessage]
    outcome: Outcome | None = None
    """None while the call goes on."""


def blanked(data: bytes) -> bytes:
    """Return a message without digest credentials and without the keys of its media.

    What stands in the body keeps its length, so that Content-Length still holds.
    """
    written = data.lower()  # most messages have neither, and the expressions are a hundred times slower than this
    has_credentials, has_keys = b"authorization" in written, any(mark in written for mark in _KEY_MARKS)
    if not (has_credentials or has_keys):
        return data
    head, gap, body = data.partition(b"\r\n\r\n")
    if not gap:
        head, gap, body = data.partition(b"\n\n")
    head = _CREDENTIALS.sub(rb"\1 blanked", head)
    return head + gap + _KEYS.sub(lambda key: b"x" * len(key[0]), body)
