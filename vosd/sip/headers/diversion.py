"""Diversion (RFC 5806): the parties that forwarded a call before it came here; the older of two headers for that.

Only number, reason, counter and privacy are read; the header is written with our own host, so that nothing else of the
originating network is disclosed.
"""

import re
from typing import Final, NamedTuple

from vosd.sip.headers.name_addr import NameAddr
from vosd.sip.wire.grammar import parameters
from vosd.sip.wire.uri import Uri

_REASONS: Final = frozenset(
    {
        "unknown", "user-busy", "no-answer", "unavailable", "unconditional", "time-of-day", "do-not-disturb",
        "deflection", "follow-me", "out-of-service", "away",
    }
)  # fmt: skip
_PRIVACIES: Final = frozenset({"full", "name", "uri", "off"})
_COUNTER: Final = re.compile(r"\d{1,3}\Z", re.ASCII)


class Diversion(NamedTuple):
    """One diversion."""

    number: str
    """The diverting number, percent-decoded; empty if the URI has none."""
    reason: str
    """A value of RFC 5806 section 10; ``unknown`` for any other."""
    counter: str
    """Number of diversions that this entry stands for, in digits; empty if not given."""
    privacy: str
    """``full``, ``name``, ``uri`` or ``off``; empty if not given."""

    @classmethod
    def parse(cls, text: str) -> "Diversion":
        """Parse one value.

        Raises:
            ParseError: 400 or 416.
        """
        address = NameAddr.parse(text)
        said = parameters(address.params)
        reason = _word(said.get("reason"))
        counter = said.get("counter") or ""
        privacy = _word(said.get("privacy"))
        return cls(
            Uri.parse(address.uri).user,
            reason if reason in _REASONS else "unknown",
            counter if _COUNTER.match(counter) else "",
            privacy if privacy in _PRIVACIES else "",
        )

    @property
    def is_withheld(self) -> bool:
        """Return whether the number is for trusted peers only."""
        return self.privacy in {"full", "uri"}

    def render(self, uri: str) -> str:
        """Return the header value with the given URI for the number."""
        counter = f";counter={self.counter}" if self.counter else ""
        privacy = f";privacy={self.privacy}" if self.privacy else ""
        return f"<{uri}>;reason={self.reason}{counter}{privacy}"


def _word(value: str | None) -> str:
    """Return a parameter that may be a token or a quoted string."""
    return (value or "").strip('"').lower()
