"""Diversion (RFC 5806): who sent a call on before it came here, as the older of two headers says it.

A diversion is read for what may go on, number, reason, counter and privacy, and written with a host of ours: nothing
else of the network that it comes from gets out.
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
    """The number that diverted; percent-decoded, empty where the URI names none."""
    reason: str
    """One of RFC 5806 section 10; ``unknown`` for any other."""
    counter: str
    """How many diversions this one stands for, in digits; empty where it is not said."""
    privacy: str
    """``full``, ``name``, ``uri`` or ``off``; empty where it is not said."""

    @classmethod
    def parse(cls, text: str) -> "Diversion":
        """Read one value.

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
        """Whether the number is for trusted peers only."""
        return self.privacy in {"full", "uri"}

    def render(self, uri: str) -> str:
        """Write the value with the URI that stands for the number."""
        counter = f";counter={self.counter}" if self.counter else ""
        privacy = f";privacy={self.privacy}" if self.privacy else ""
        return f"<{uri}>;reason={self.reason}{counter}{privacy}"


def _word(value: str | None) -> str:
    """Return a parameter that may be a token or stand in quotes."""
    return (value or "").strip('"').lower()
