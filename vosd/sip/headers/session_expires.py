"""Session-Expires and Min-SE (RFC 4028 sections 4 and 5): the interval of session refreshes, and who sends them."""

import re
from enum import Enum
from typing import Final, NamedTuple

from vosd.sip.wire.errors import Flaw, ParseError
from vosd.sip.wire.grammar import TOKEN, parameters
from vosd.sip.wire.message import Message

_SECONDS: Final = re.compile(rf"[ \t]*+(\d{{1,10}})[ \t]*+(?:;[ \t]*+{TOKEN}|\Z)", re.ASCII)
"""The number is followed by a parameter or the end."""


class Refresher(Enum):
    """Refresher of a session: the client or the server of the request that has the header."""

    UAC = "uac"
    UAS = "uas"


class SessionExpires(NamedTuple):
    """A session interval in seconds; ``refresher`` is None if left open."""

    interval_s: int
    refresher: Refresher | None = None

    def __str__(self) -> str:
        return str(self.interval_s) if self.refresher is None else f"{self.interval_s};refresher={self.refresher.value}"

    @classmethod
    def parse(cls, text: str) -> "SessionExpires":
        """Parse one value, such as ``1800;refresher=uac``."""
        match = _SECONDS.match(text)
        if not match:
            raise ParseError(400, Flaw.BAD_SESSION_EXPIRES)
        said = parameters(text[match.end(1) :])
        if "refresher" not in said:
            return cls(int(match[1]))
        try:
            return cls(int(match[1]), Refresher((said["refresher"] or "").lower()))
        except ValueError:
            raise ParseError(400, Flaw.BAD_REFRESHER) from None

    @classmethod
    def of(cls, message: Message) -> "SessionExpires | None":
        """Return the session interval of a message, or None.

        Raises:
            ParseError: 400, also for a header that occurs twice.
        """
        text = message.header("session-expires")
        if text is None:
            return None
        if message.comes_twice("session-expires"):
            raise ParseError(400, Flaw.SEVERAL_SESSION_EXPIRES)
        return cls.parse(text)


def min_se_of(message: Message) -> int:
    """Return the Min-SE of a message in seconds; 0 if it has none."""
    text = message.header("min-se")
    if text is None:
        return 0
    match = _SECONDS.match(text)
    if not match or message.comes_twice("min-se"):
        raise ParseError(400, Flaw.BAD_MIN_SE)
    return int(match[1])
