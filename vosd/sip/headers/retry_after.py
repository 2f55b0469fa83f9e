"""Retry-After (RFC 3261 section 20.33): for how long the sender asks for no further requests."""

import re
from typing import Final

from vosd.sip.wire.message import Message

_SECONDS: Final = re.compile(r"\s*(\d{1,10})\s*(?=[(;]|\Z)", re.ASCII)
"""A comment in parentheses and parameters may follow; ``duration`` is how long the peer will then be available."""


def retry_after_s(message: Message) -> int | None:
    """Return the seconds that a message asks for; None if there are none or they cannot be read."""
    match = _SECONDS.match(message.header("retry-after") or "")
    return int(match[1]) if match else None
