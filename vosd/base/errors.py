"""Base class of our exceptions, and the value for expected refusals.

A refusal (no route, no credit, full) is a returned value; a malformed message is an error with a SIP status; any other
exception is a bug.
"""

from typing import NamedTuple

from vosd.base.cause import EndReason


class VosError(Exception):
    """Base class of all errors that vosd raises on purpose; the message says what to do about it."""


class Refusal(NamedTuple):
    """Refusal of a call, with the answer for its caller.

    ``detail`` is for the log and ``explain``: which object, which limit, which figure.
    """

    reason: EndReason
    status: int
    detail: str = ""
