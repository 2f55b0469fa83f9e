"""End reasons of calls: text in the CDR, SIP status for the caller, Q.850 cause.

Texts and statuses are explained in docs/operations.md; the Q.850 causes follow RFC 3398 section 8.2.6.1 where it names
the status, else the nearest class of Q.850.
"""

from enum import Enum
from typing import Final


class HangupSource(Enum):
    """Side that ended a call: a cancelled call the caller, a failure status the callee, a refusal the switch."""

    text: str
    """The name in a CDR."""

    CALLER = "caller"
    CALLEE = "callee"
    SWITCH = "switch"

    def __init__(self, text: str) -> None:
        self.text = text


class EndReason(Enum):
    """Text of ``end_reason`` in a CDR, with the caller's SIP status and the Q.850 cause."""

    text: str
    sip_status: int | None
    q850_cause: int

    def __new__(cls, text: str, sip_status: int | None, q850_cause: int) -> "EndReason":
        """Make the text the member's value, so that ``EndReason("Busy")`` reads a CDR back."""
        member = object.__new__(cls)
        member._value_ = text
        member.text = text
        member.sip_status = sip_status
        member.q850_cause = q850_cause
        return member

    NORMAL = ("Normal", None, 16)
    CANCELLED = ("Cancelled", 487, 16)
    BUSY = ("Busy", 486, 17)
    NO_ANSWER = ("No Answer", 480, 19)
    REJECTED = ("Rejected", 603, 21)
    NOT_FOUND = ("Not Found", 404, 1)
    UNAVAILABLE = ("Unavailable", 503, 41)
    UNREACHABLE = ("Unreachable", 503, 38)
    UNKNOWN_SOURCE = ("Unknown Source", 403, 21)
    AUTHENTICATION_FAILED = ("Authentication Failed", 401, 21)
    NO_MATCHING_RATE = ("No Matching Rate", 403, 21)
    RATE_TYPE_NOT_ALLOWED = ("Rate Type Not Allowed", 403, 21)
    INSUFFICIENT_BALANCE = ("Insufficient Balance", 402, 21)
    BALANCE_EXHAUSTED = ("Balance Exhausted", None, 31)
    ACCOUNT_EXPIRED = ("Account Expired", 403, 21)
    ACCOUNT_DISABLED = ("Account Disabled", 403, 21)
    ACCOUNT_CAPACITY = ("Account Capacity", 503, 42)
    NO_AVAILABLE_ROUTE = ("No Available Route", 503, 3)
    GATEWAY_CAPACITY = ("Gateway Capacity", 503, 42)
    GATEWAY_RATE_LIMIT = ("Gateway Rate Limit", 503, 42)
    NUMBER_NOT_ALLOWED = ("Number Not Allowed", 403, 21)
    GEOFENCE_BLOCKED = ("Geofence Blocked", 403, 21)
    USER_AGENT_NOT_ALLOWED = ("User Agent Not Allowed", 403, 21)
    IDENTITY_INVALID = ("Identity Invalid", 438, 21)
    LOOP = ("Loop", 482, 25)
    SESSION_INTERVAL_TOO_SMALL = ("Session Interval Too Small", 422, 127)
    NO_COMMON_CODEC = ("No Common Codec", 488, 65)
    NO_MEDIA_PORT = ("No Media Port", 503, 47)
    NO_ACK = ("No ACK", None, 102)
    SESSION_TIMEOUT = ("Session Timeout", None, 102)
    MAXIMUM_DURATION = ("Maximum Duration", None, 31)
    NO_MEDIA = ("No Media", None, 41)
    ADMINISTRATIVE = ("Administrative", None, 31)
    OVERLOAD = ("Overload", 503, 42)
    SHUTDOWN = ("Shutdown", 503, 41)
    LOST = ("Lost", None, 41)


_Q850_OF_STATUS: Final = {
    400: 41, 401: 21, 402: 21, 403: 21, 404: 1, 405: 63, 406: 79, 407: 21, 408: 102, 410: 22, 413: 127,
    414: 127, 415: 79, 416: 127, 420: 127, 421: 127, 423: 127, 480: 18, 481: 41, 482: 25, 483: 25, 484: 28,
    485: 1, 486: 17, 487: 16, 488: 65, 500: 41, 501: 79, 502: 38, 503: 41, 504: 102, 505: 127, 513: 127,
    600: 17, 603: 21, 604: 1, 606: 65, 607: 21, 608: 21,
}  # fmt: skip


def q850_of_status(status: int) -> int:
    """Return the Q.850 cause for a SIP failure status (RFC 3398 section 8.2.6.1; 607 and 608 as 603)."""
    return _Q850_OF_STATUS.get(status, 127 if status < 500 else 41)


def q850_of_refusal(reason: EndReason, status: int) -> int:
    """Return the Q.850 cause of a call that the switch refuses, on the wire and in its record.

    ``Unavailable`` has the cause of the status that is sent: it is all that the status says.
    """
    return q850_of_status(status) if reason is EndReason.UNAVAILABLE else reason.q850_cause
