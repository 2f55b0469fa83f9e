"""What any request from outside a dialog must pass before a call is thought of (RFC 3261 section 8.2)."""

import re
from collections.abc import Collection
from functools import lru_cache
from typing import Final, NamedTuple

from vosd.sip.headers.via import Via
from vosd.sip.wire.body import SESSION, objects_to
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.grammar import QUOTED, TOKEN
from vosd.sip.wire.message import Request

ALLOW: Final = "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, REFER\r\n"
"""The same in every message; without REGISTER, which only some may send: those know it."""
ACCEPT: Final = "Accept: application/sdp, multipart/mixed\r\n"
ALLOWED: Final = frozenset({"INVITE", "ACK", "CANCEL", "BYE", "OPTIONS"})
ALLOWED_IN_DIALOG: Final = frozenset({"INFO", "UPDATE", "PRACK", "REFER"})
_ALLOW_EVENTS: Final = "Allow-Events: refer\r\n"
EVENTS: Final = frozenset({"SUBSCRIBE", "PUBLISH"})
"""Methods of event packages (RFC 6665, RFC 3903), of which there are none to subscribe to."""
SUPPORTED: Final = frozenset({"100rel", "replaces", "timer"})
"""Option tags that a peer may require of us (RFC 3262, RFC 3891, RFC 4028)."""
SUPPORTED_HEADER: Final = "Supported: 100rel, replaces, timer\r\n"
SUPPORTED_WITHOUT_TIMER: Final = "Supported: 100rel, replaces\r\n"
"""The same on a trunk whose session timers are switched off."""
REGISTRAR_SUPPORTED: Final = SUPPORTED | {"path"}
"""The same of a REGISTER (RFC 3327)."""
CAPABILITIES: Final = f"{ALLOW}{ACCEPT}Accept-Encoding: identity\r\nAccept-Language: en\r\n{SUPPORTED_HEADER}"
"""What an OPTIONS is told, within a call or not (section 11.2)."""
EXPLAINED: Final = {405: ALLOW, 406: ACCEPT, 415: ACCEPT}
"""Statuses of a peer that mean to the other side what they mean here, with the line that each must have."""

_WITH_SESSION: Final = frozenset({"INVITE", "UPDATE", "PRACK"})
_SESSION_TYPES: Final = frozenset({"application/sdp", "application/*", "*/*"})
_GAP: Final = re.compile(r";\s*+(?:[;,]|\Z)")
_PLAIN_TARGET: Final = re.compile(r"sip:[A-Za-z0-9+]*+@?[A-Za-z0-9.\-]++(?::\d++)?\Z", re.ASCII)
_QUOTED: Final = re.compile(QUOTED)
_WORD: Final = re.compile(rf"{TOKEN}\Z", re.ASCII)


class Objection(NamedTuple):
    """The failure to answer with, and the header lines that explain it."""

    status: int
    headers: str = ""


def objection(request: Request) -> Objection | None:
    """Return what forbids a request, or None; the order is the RFC's: grammar, method, headers, content.

    Raises:
        ParseError: a header that is needed cannot be read.
    """
    _check_grammar(request)
    method = request.method
    if method not in ALLOWED and not (method in ALLOWED_IN_DIALOG if request.to_tag else method == "REGISTER"):
        return _unwanted(request)
    if not (request.call_id.isascii() and request.call_id.isprintable()):
        raise ParseError(400, "Bad Call-ID", request)
    if not (request.from_.uri and request.to.uri):
        raise ParseError(400, "Bad Address", request)
    if not request.from_tag:
        raise ParseError(400, "Missing From Tag", request)
    supported = REGISTRAR_SUPPORTED if method == "REGISTER" else SUPPORTED
    required = [tag for tag in request.headers("require") if tag.lower() not in supported]
    if required:
        if not all(map(_WORD.match, required)):
            raise ParseError(400, "Bad Require", request)  # what is no word cannot be named in Unsupported
        return Objection(420, f"Unsupported: {', '.join(required)}\r\n")
    if method == "INVITE" and request.header("accept") is not None and not _takes_session(request):
        return Objection(406, ACCEPT)
    return objection_to_body(request) if request.body else None


def objection_to_body(request: Request) -> Objection | None:
    """Return what forbids the body of a request that may change a session, or None.

    Raises:
        ParseError: it is of several parts and cannot be taken apart.
    """
    if not request.body or request.method not in _WITH_SESSION:
        return None
    if request.header("content-type") != SESSION and objects_to(request):
        return Objection(415, ACCEPT)
    if (request.header("content-encoding") or "identity").lower() != "identity":
        return Objection(415, "Accept-Encoding: identity\r\n")
    return None


def _check_grammar(request: Request) -> None:
    """Refuse what RFC 4475 section 3.1.2 wants refused where a liberal reader would get by.

    Raises:
        ParseError: 400; 416 for a scheme that is not ours.
    """
    # Within a dialog nobody reads the Request-URI, so a look is enough where it is as usual.
    if not (request.to_tag and _PLAIN_TARGET.match(request.uri)) and request.target.headers:
        raise ParseError(400, "Headers in the Request-URI", request)
    if _has_gap(request.header("via") or ""):
        raise ParseError(400, "Empty Parameter in Via", request)
    contact = request.header("contact")
    flaw = None if contact is None else _flaw_of_contact(contact)
    if flaw is not None:
        raise ParseError(400, flaw, request)


# Peers say the same Contact in every call of a trunk.
@lru_cache(maxsize=1024)
def _flaw_of_contact(contact: str) -> str | None:
    if _has_gap(contact):
        return "Empty Parameter in Contact"
    return "Contact Without Angle Brackets" if "?" in contact and "<" not in contact else None


def _has_gap(value: str) -> bool:
    """Say whether a parameter is missing where a semicolon announces one."""
    if not (";;" in value or "; " in value or ";," in value or ";\t" in value or value[-1:] == ";"):
        return False
    if not _GAP.search(value):
        return False
    return '"' not in value or bool(_GAP.search(_QUOTED.sub("", value)))


def _takes_session(request: Request) -> bool:
    """Say whether Accept lets the response hold a session description (section 20.1)."""
    return any(kind.partition(";")[0].strip().lower() in _SESSION_TYPES for kind in request.headers("accept"))


def _unwanted(request: Request) -> Objection:
    """Refuse a method: 489 for event packages, 481 for a notification nobody subscribed to (RFC 6665 4.1.3)."""
    if request.method in EVENTS:
        return Objection(489, _ALLOW_EVENTS)
    if request.method == "REFER":
        return Objection(403)  # outside a call there is nobody to transfer
    if request.method == "NOTIFY" or request.method in ALLOWED_IN_DIALOG:
        return Objection(489, _ALLOW_EVENTS) if request.to_tag else Objection(481)
    return Objection(405, ALLOW)


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
    below = request.headers("via")[1:]
    if not below:
        return False
    hosts = {sent_by.rpartition(":")[0] for sent_by in ours}
    return any(_sent_by(via) in ours for via in below if any(host in via for host in hosts))


def _sent_by(value: str) -> str:
    try:
        via = Via.parse(value)
    except ParseError:
        return ""  # we write none that cannot be read
    return f"{via.host}:{via.port or 5060}"
