"""SIP and tel URIs as far as a switch needs them (RFC 3261 section 19.1, RFC 3966)."""

import re
from typing import Final, NamedTuple

from vosd.base.number import EMERGENCY_SERVICE
from vosd.sip.wire.errors import Flaw, ParseError
from vosd.sip.wire.grammar import HOST, PORT, parameters

DEFAULT_PORTS: Final = {"udp": 5060, "tcp": 5060, "tls": 5061, "ws": 80, "wss": 443}
"""Port by transport, if a URI or a Via gives none (section 19.1.2, RFC 7118 section 5.3)."""
ADDRESSABLE: Final = ("udp", "tcp", "tls")
"""Transports by which we reach peers at their addresses, preferred first."""
SECURE: Final = frozenset({"tls", "wss"})
WEBSOCKETS: Final = frozenset({"ws", "wss"})
"""Transports by which peers reach us, and we open no connection: an answer takes that of its request."""

_SIP: Final = re.compile(
    rf"(sips?):(?:([^@\s\udc80-\udcff]*)@)?({HOST})(?::(\d{{1,5}}))?(;[^?\s]*)?(\?\S*)?\Z", re.IGNORECASE | re.ASCII
)
"""A user part may hold any text except invalid UTF-8 (surrogates here), which identifies no user."""
_PLAIN: Final = re.compile(rf"sip:(?:([\w+*#.\-]++)@)?({HOST})(?::({PORT}))?\Z", re.ASCII)
"""Form of nearly every URI in a request line, From or To: nothing in it is escaped."""
_TEL: Final = re.compile(r"tel:([^;\s\udc80-\udcff]+)(;\S*)?\Z", re.IGNORECASE)
_EMERGENCY: Final = re.compile(
    rf"{EMERGENCY_SERVICE}(?:\.[a-z0-9](?:[a-z0-9\-]*[a-z0-9])?)*\Z", re.IGNORECASE | re.ASCII
)
_ESCAPED: Final = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")


class Uri(NamedTuple):
    """A parsed URI; ``user`` is percent-decoded and without its own parameters or password."""

    scheme: str
    user: str
    host: str
    port: int | None
    params: str
    headers: str = ""
    """The part after the question mark, as written: headers of a request made from this URI (section 19.1.1)."""

    @classmethod
    def parse(cls, text: str) -> "Uri":
        """Parse a ``sip:``, ``sips:`` or ``tel:`` URI, or the URN of an emergency service, which is its own user part.

        Raises:
            ParseError: 416 for another scheme, 400 for an invalid URI.
        """
        match = _PLAIN.match(text)
        if match:
            user, host, port = match.groups()
            return cls("sip", user or "", host, int(port) if port else None, "")
        match = _SIP.match(text)
        if match:
            scheme, userinfo, host, port, params, headers = match.groups()
            number = int(port) if port else None
            if number is not None and not 0 < number < 65_536:
                raise ParseError(400, Flaw.BAD_PORT_IN_URI)
            user = (userinfo or "").partition(":")[0].partition(";")[0]
            user = unescape(user) if "%" in user else user
            return cls(scheme.lower(), user, host, number, params or "", headers or "")
        match = _TEL.match(text)
        if match:
            return cls("tel", unescape(match[1]), "", None, match[2] or "")
        if _EMERGENCY.match(text):
            return cls("urn", text.lower(), "", None, "")
        if _SCHEME.match(text) and not text.lower().startswith(("sip:", "sips:", "tel:")):
            raise ParseError(416, Flaw.UNSUPPORTED_URI_SCHEME)
        raise ParseError(400, Flaw.BAD_URI)

    def param(self, name: str) -> str | None:
        """Return a URI parameter's value in lower case, or None."""
        value = parameters(self.params).get(name)
        return value.lower() if value else None


def user_part(text: str) -> str:
    """Return the user part of a URI as ``Uri.parse`` finds it; raises ParseError as that does."""
    match = _PLAIN.match(text)
    return Uri.parse(text).user if match is None else match[1] or ""


def for_request_line(text: str) -> str:
    """Return a URI as a request line may have it (section 19.1.1): without headers, and without an empty user part.

    A question mark in the user part stays.
    """
    match = _SIP.match(text)
    if match is None:
        return text
    if match[6]:
        text = text[: match.start(6)]
    return text.replace("@", "", 1) if match[2] == "" else text


def with_user(text: str, user: str) -> str:
    """Return a SIP URI with another user part, which must be escaped."""
    scheme, _, rest = text.partition(":")
    return f"{scheme}:{user}@{rest.rpartition('@')[2]}"


_DECISIVE: Final = frozenset({"user", "ttl", "method", "maddr"})
"""Parameters that must match even if only one of two URIs has them (section 19.1.4)."""


def are_equivalent(one: Uri, other: Uri) -> bool:
    """Return whether two SIP URIs are equivalent (section 19.1.4).

    Most parameters that only one of them has are ignored, so equivalence is not transitive.
    """
    if one[:4] != other[:4] and not (
        one.scheme == other.scheme
        and one.user == other.user
        and one.host.lower() == other.host.lower()
        and one.port == other.port
    ):
        return False
    if one.params == other.params and one.headers == other.headers:
        return True
    ours, theirs = parameters(one.params.lower()), parameters(other.params.lower())
    if any(ours[name] != theirs[name] for name in ours.keys() & theirs.keys()):
        return False
    if _DECISIVE & (ours.keys() ^ theirs.keys()):
        return False
    return sorted(one.headers[1:].lower().split("&")) == sorted(other.headers[1:].lower().split("&"))


def unescape(text: str) -> str:
    """Decode percent-encoding (section 19.1.2); invalid UTF-8 becomes replacement characters."""
    return _ESCAPED.sub(_decoded, text) if "%" in text else text


def _decoded(escaped: re.Match[str]) -> str:
    return bytes.fromhex(escaped[0].replace("%", "")).decode("utf-8", "replace")
