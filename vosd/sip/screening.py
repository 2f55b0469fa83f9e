"""What any request from outside a dialog must pass before a call is thought of (RFC 3261 section 8.2)."""

from collections.abc import Collection
from typing import Final, NamedTuple

from vosd.sip.errors import ParseError
from vosd.sip.headers.via import Via
from vosd.sip.message import Request

ALLOW: Final = "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS\r\n"
ACCEPT: Final = "Accept: application/sdp\r\n"
ALLOWED: Final = frozenset({"INVITE", "ACK", "CANCEL", "BYE", "OPTIONS"})
SUPPORTED: Final[frozenset[str]] = frozenset()
"""Option tags that a peer may require of us; the extensions come with their capabilities."""


class Objection(NamedTuple):
    """The failure to answer with, and the header lines that explain it."""

    status: int
    headers: str = ""


def objection(request: Request) -> Objection | None:
    """Return what forbids a request, or None; the order is the RFC's: method, headers, content.

    Raises:
        ParseError: a header that is needed cannot be read.
    """
    if request.method not in ALLOWED and not (request.method == "UPDATE" and request.to_tag):
        return Objection(405, ALLOW)
    if not request.call_id.isascii():
        raise ParseError(400, "Bad Call-ID", request)
    if not (request.from_.uri and request.to.uri):
        raise ParseError(400, "Bad Address", request)
    if not request.from_tag:
        raise ParseError(400, "Missing From Tag", request)
    required = [tag for tag in request.headers("require") if tag.lower() not in SUPPORTED]
    if required:
        return Objection(420, f"Unsupported: {', '.join(required)}\r\n")
    if request.method == "INVITE" and request.body:
        kind = (request.header("content-type") or "").partition(";")[0].strip().lower()
        if kind != "application/sdp":
            return Objection(415, ACCEPT)
        if (request.header("content-encoding") or "identity").lower() != "identity":
            return Objection(415, "Accept-Encoding: identity\r\n")
    return None


def hops_left(request: Request) -> int:
    """Return what Max-Forwards our own request may carry: one less, 69 where none was given, below 0 at the end.

    Raises:
        ParseError: 400.
    """
    value = request.header("max-forwards")
    if value is None:
        return 69
    if not (value.isascii() and value.isdigit() and len(value) <= 3):
        raise ParseError(400, "Bad Max-Forwards", request)
    return min(int(value), 70) - 1


def has_looped(request: Request, mark: str, ours: Collection[str]) -> bool:
    """Say whether a request of ours has come back to us (RFC 3261 section 16.3 item 4).

    Every branch of ours begins with ``mark``. Under the topmost Via our address alone tells it, ``ours`` as
    ``host:port``; the topmost may be a customer's who has our private address behind a translation of his own.

    Raises:
        ParseError: the topmost Via cannot be read.
    """
    if request.via.branch.startswith(mark):
        return True
    vias = request.headers("via")
    return len(vias) > 1 and any(_sent_by(via) in ours for via in vias[1:])


def _sent_by(value: str) -> str:
    try:
        via = Via.parse(value)
    except ParseError:
        return ""  # we write none that cannot be read
    return f"{via.host}:{via.port or 5060}"
