"""Base class of our exceptions, and the value for expected refusals.

A refusal (no route, no credit, full) is a returned value; a malformed message is an error with a SIP status; any other
exception is a bug.
"""

import re
from typing import Any, Final, NamedTuple

from vosd.base.cause import EndReason

_WORDS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class VosError(Exception):
    """Base class of all errors that vosd raises on purpose; the message says what to do about it."""

    code: str = "error"
    """Stable name by which programs tell errors apart: ``unknown_account`` of ``UnknownAccountError``."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "code" not in cls.__dict__:
            cls.code = _WORDS.sub("_", cls.__name__.removesuffix("Error")).lower()


class Refusal(NamedTuple):
    """Refusal of a call, with the answer for its caller.

    ``detail`` is for the log and ``explain``: which object, which limit, which figure.
    """

    reason: EndReason
    status: int
    detail: str = ""
