"""Traced SIP messages, with secrets blanked, for display.

The daemon returns them from its message buffer; ladders and captures are made of them. How long a message is kept is
decided elsewhere.
"""

import re
from enum import Enum
from typing import Final, Self

import msgspec

from vosd.cdr.record import Attempt, CallRecord

_CREDENTIALS: Final = re.compile(
    rb"^((?:proxy-)?authorization[ \t]*:)(?:[^\n]*\n[ \t])*[^\n]*?(?=\r?$|\Z)", re.IGNORECASE | re.MULTILINE
)
"""A whole header with its folded lines."""
_KEYS: Final = re.compile(
    rb"(?<=inline:)[A-Za-z0-9+/=]+|(?<=^k=)[^\r\n]+|(?<=^a=key-mgmt:)[^\r\n]+", re.IGNORECASE | re.MULTILINE
)
"""SRTP keys in a session description: RFC 4568 section 6.1, RFC 8866 section 5.12, RFC 4567."""


class Direction(Enum):
    """Whether a message was received or sent by the switch."""

    IN = "in"
    OUT = "out"


class TracedMessage(msgspec.Struct, frozen=True):
    """One message of one call."""

    at: int
    """Time of reception or sending, in UTC milliseconds."""
    way: Direction
    leg: int
    """0 is the caller's leg, the others are the attempts in order."""
    transport: str
    local_host: str
    local_port: int
    """Port of the listener as announced to peers."""
    remote_host: str
    remote_port: int
    data: bytes
    """The whole message, with its secrets blanked."""


class TracedOutcome(msgspec.Struct, frozen=True):
    """End of a call, in the terms of its CDR."""

    end_reason: str
    hangup_source: str
    sip_code: int | None
    q850_cause: int | None
    hold_time_ms: int
    attempts: tuple[Attempt, ...]

    @classmethod
    def of_record(cls, record: CallRecord) -> Self:
        """Take it from the record of a call."""
        return cls(
            end_reason=record.end_reason,
            hangup_source=record.hangup_source,
            sip_code=record.sip_code,
            q850_cause=record.q850_cause,
            hold_time_ms=record.hold_time_ms,
            attempts=record.attempts,
        )


class TracedCall(msgspec.Struct):
    """Known facts of one call, and its messages."""

    call_id: str
    caller: str
    callee: str
    mapping_gateway: str | None
    gateways: tuple[str, ...]
    """Gateways of the attempts, in order."""
    messages: list[TracedMessage]
    outcome: TracedOutcome | None = None
    """None while the call goes on."""


def blanked(data: bytes) -> bytes:
    """Return a message with digest credentials and media keys blanked.

    Body text keeps its length, so that Content-Length stays valid.
    """
    written = data.lower()  # most messages have neither, and the patterns are a hundred times slower than this
    has_body = data.find(b"\r\n\r\n") + 4 != len(data)
    if b"authorization" not in written and not (
        has_body and (b"inline:" in written or b"\nk=" in written or b"key-mgmt:" in written)
    ):
        return data
    head, gap, body = data.partition(b"\r\n\r\n")
    if not gap:
        head, gap, body = data.partition(b"\n\n")
    head = _CREDENTIALS.sub(rb"\1 blanked", head)
    return head + gap + _KEYS.sub(lambda key: b"x" * len(key[0]), body)
