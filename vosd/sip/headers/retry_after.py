"""Retry-After (RFC 3261 section 20.33): for how long whoever sent it wants to be left alone."""

import re
from typing import Final

from vosd.sip.wire.message import Message

_SECONDS: Final = re.compile(r"\s*(\d{1,10})\s*(?=[(;]|\Z)", re.ASCII)
"""A comment in parentheses and parameters may follow; ``duration`` says how long the peer will then be there."""


def retry_after_s(message: Message) -> int | None:
    """Return the seconds that a message asks for; None where it asks for none, or not readably."""
    match = _SECONDS.match(message.header("retry-after") or "")
    return int(match[1]) if match else None
