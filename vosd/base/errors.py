"""The root of our exceptions, and the refusal that the business expects.

A refusal (no route, no credit, full) is a value that is returned; a malformed message is an error that knows
its SIP status; an exception of any other kind is our own bug.
"""

from typing import NamedTuple

from vosd.base.cause import EndReason


class VosError(Exception):
    """Anything vosd raises on purpose; the message says what to do about it."""


class Refusal(NamedTuple):
    """A call that will not be carried, and what its caller is told (INTERFACES section 6).

    ``detail`` is for the log and ``explain``: which object, which limit, which figure.
    """

    reason: EndReason
    status: int
    detail: str = ""
