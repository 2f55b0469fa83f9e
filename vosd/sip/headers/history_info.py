"""History-Info (RFC 7044): the targets of a call before it came here; the newer of two headers for that.

Only number, cause, index and privacy are read; the header is written with our own host, so that nothing else of the
originating network is disclosed.
"""

import re
from typing import Final, NamedTuple
from urllib.parse import unquote

from vosd.sip.headers.name_addr import NameAddr
from vosd.sip.headers.privacy import WITHHOLDS_HISTORY, wishes
from vosd.sip.headers.reason import Q850, Reason
from vosd.sip.wire.errors import Flaw, ParseError
from vosd.sip.wire.grammar import parameters
from vosd.sip.wire.uri import Uri

_INDEX: Final = re.compile(r"\d{1,4}(\.\d{1,4}){0,15}\Z", re.ASCII)
_TARGETS: Final = ("rc", "mp", "np")
"""Parameters that say how the target was found; each names the index of the entry it was found from (section 5.2)."""
_CAUSE: Final = re.compile(r"[3-6]\d\d\Z", re.ASCII)
_PROTOCOLS: Final = frozenset({"SIP", Q850})


class HistoryEntry(NamedTuple):
    """One target that was tried."""

    number: str
    """Percent-decoded; empty if the URI has none."""
    place: str
    """The index, such as ``1.2``."""
    found: tuple[tuple[str, str], ...]
    """Way in which the target was found: ``rc``, ``mp`` or ``np``, and the index of the entry it was found from."""
    cause: int | None
    """The URI's ``cause`` parameter (RFC 4458)."""
    reason: Reason | None
    """Why the target did not take the call."""
    is_withheld: bool
    """Whether the entry is for trusted peers only."""

    @classmethod
    def parse(cls, text: str) -> "HistoryEntry":
        """Parse one value.

        Raises:
            ParseError: 400 or 416.
        """
        address = NameAddr.parse(text)
        uri = Uri.parse(address.uri)
        said = parameters(address.params)
        place = said.get("index") or ""
        if not _INDEX.match(place):
            raise ParseError(400, Flaw.HISTORY_INFO_WITHOUT_INDEX)
        cause = uri.param("cause") or ""
        headers = _headers_in(address.uri)
        return cls(
            uri.user,
            place,
            tuple((name, origin) for name in _TARGETS if _INDEX.match(origin := said.get(name) or "")),
            int(cause) if _CAUSE.match(cause) else None,
            _reason_in(headers.get("reason", "")),
            not WITHHOLDS_HISTORY.isdisjoint(wishes(headers.get("privacy", ""))),
        )

    def render(self, uri: str) -> str:
        """Return the header value with the given URI for the number, including ``is_withheld``."""
        cause = f";cause={self.cause}" if self.cause is not None else ""
        headers = []
        if self.reason is not None:
            headers.append(f"Reason={self.reason.protocol}%3Bcause%3D{self.reason.cause}")
        if self.is_withheld:
            headers.append("Privacy=history")
        found = "".join(f";{name}={origin}" for name, origin in self.found)
        return f"<{uri}{cause}{'?' if headers else ''}{'&'.join(headers)}>;index={self.place}{found}"


def _headers_in(uri: str) -> dict[str, str]:
    """Return the headers after the question mark of a URI, by lower-case name (RFC 3261 section 19.1.1)."""
    pairs = (header.partition("=") for header in uri.partition("?")[2].split("&"))
    return {name.lower(): unquote(value) for name, _, value in pairs}


def _reason_in(text: str) -> Reason | None:
    try:
        reason = Reason.parse(text)
    except ParseError:
        return None
    return reason if reason.protocol in _PROTOCOLS and reason.cause is not None else None
