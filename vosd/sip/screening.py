"""Checks on every request before it is processed (RFC 3261 section 8.2)."""

import re
from collections.abc import Collection
from functools import lru_cache
from typing import Final, NamedTuple

from vosd.sip.headers.via import branch_of
from vosd.sip.wire.body import SESSION, is_encoded, unknown_types
from vosd.sip.wire.errors import Flaw, ParseError
from vosd.sip.wire.grammar import QUOTED, TOKEN
from vosd.sip.wire.message import Request

ALLOW: Final = "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, REFER\r\n"
"""Sent in every message; without REGISTER, which only some peers may send."""
ACCEPT: Final = "Accept: application/sdp, multipart/mixed, multipart/alternative, multipart/related\r\n"
ACCEPT_ENCODING: Final = "Accept-Encoding: identity\r\n"
ALLOWED: Final = frozenset({"INVITE", "ACK", "CANCEL", "BYE", "OPTIONS"})
ALLOWED_IN_DIALOG: Final = frozenset({"INFO", "UPDATE", "PRACK", "REFER"})
_ALLOW_EVENTS: Final = "Allow-Events: refer\r\n"
EVENTS: Final = frozenset({"SUBSCRIBE", "PUBLISH"})
"""Methods of event packages (RFC 6665, RFC 3903); none is supported."""
SUPPORTED: Final = frozenset({"100rel", "norefersub", "replaces", "timer"})
"""Option tags that a peer may require of us (RFC 3262, RFC 4488, RFC 3891, RFC 4028)."""
SUPPORTED_HEADER: Final = "Supported: 100rel, replaces, timer\r\n"
SUPPORTED_WITHOUT_TIMER: Final = "Supported: 100rel, replaces\r\n"
"""Header line for a trunk with session timers switched off."""
REGISTRAR_SUPPORTED: Final = SUPPORTED | {"path"}
"""Option tags that a REGISTER may require (RFC 3327)."""
CAPABILITIES: Final = f"{ALLOW}{ACCEPT}{ACCEPT_ENCODING}Accept-Language: en\r\n{SUPPORTED_HEADER}"
"""Header lines of the response to OPTIONS, within a call or not (section 11.2)."""
EXPLAINED: Final = {405: ALLOW, 406: ACCEPT, 415: ACCEPT}
"""Statuses that are forwarded with the same meaning, and the header line that each must have."""

_WITH_SESSION: Final = frozenset({"INVITE", "UPDATE", "PRACK"})
_SESSION_TYPES: Final = frozenset({"application/sdp", "application/*", "*/*"})
_GAP: Final = re.compile(r";\s*+(?:[;,]|\Z)")
_PLAIN_TARGET: Final = re.compile(r"sip:[A-Za-z0-9+]*+@?[A-Za-z0-9.\-]++(?::\d++)?\Z", re.ASCII)
_QUOTED: Final = re.compile(QUOTED)
_WORD: Final = re.compile(rf"{TOKEN}\Z", re.ASCII)


_SIPS: Final = "sips:"


class Objection(NamedTuple):
    """Failure status, and the header lines that explain it."""

    status: int
    headers: str = ""


def objection(request: Request, passed: frozenset[str] = frozenset(), *, is_relayed: bool = False) -> Objection | None:
    """Return the objection to a request, or None; checked in the RFC's order: grammar, method, headers, content.

    ``passed`` are the types of bodies that some trunk is sent; ``is_relayed``: its method goes on to another party.

    Raises:
        ParseError: a required header cannot be read.
    """
    header, method = request.header, request.method
    is_usual = bool(request.prefix)  # the scan has found all of the grammar in order, except that of Contact
    if not is_usual:
        _check_first_lines(request)
    contact = header("contact")
    flaw = None if contact is None else _flaw_of_contact(contact)
    if flaw is not None:
        raise ParseError(400, flaw, request)
    if method not in ALLOWED and not (
        is_relayed or (method in ALLOWED_IN_DIALOG if request.to_tag else method == "REGISTER")
    ):
        return _unwanted(request)
    if not is_usual:
        _check_ends(request)
    if header("require") is not None:
        supported = REGISTRAR_SUPPORTED if method == "REGISTER" else SUPPORTED
        required = [tag for tag in request.headers("require") if tag.lower() not in supported]
        if required:
            if not all(map(_WORD.match, required)):
                raise ParseError(400, Flaw.BAD_REQUIRE, request)  # only a token can be repeated in Unsupported
            return Objection(420, f"Unsupported: {', '.join(required)}\r\n")
    if method == "INVITE" and header("accept") is not None and not _takes_session(request):
        return Objection(406, ACCEPT)
    if not request.body or (header("content-type") == SESSION and header("content-encoding") is None):
        return None
    return objection_to_body(request, passed)


def objection_to_body(request: Request, passed: frozenset[str]) -> Objection | None:
    """Return the objection to the body of a request that may change a session, or None.

    Types that are required, and among those that are ``passed``, are noted in the INVITE of a new call: only gateways
    that are sent them may be tried. Those of a re-INVITE or UPDATE are noted, too: the rule of the other side decides.

    Raises:
        ParseError: it is multipart and cannot be split.
    """
    if not request.body or request.method not in _WITH_SESSION:
        return None
    is_first = request.method == "INVITE" and not request.to_tag
    known = passed if is_first else frozenset[str]()
    if is_encoded(request):
        return Objection(415, accepting(known))
    required = unknown_types(request) if request.header("content-type") != SESSION else None
    if required:
        if SESSION in required or (not required <= known and (is_first or request.method == "PRACK")):
            return Objection(415, accepting(known))
        request.required_types = tuple(sorted(required))
    return None


def accepting(types: Collection[str]) -> str:
    """Return the lines that say which bodies are taken, by type and by encoding."""
    return f"{ACCEPT[:-2]}{''.join([f', {each}' for each in sorted(types)])}\r\n{ACCEPT_ENCODING}"


def claims_tls(request: Request) -> bool:
    """Return whether a new INVITE or REGISTER says by ``sips:`` that it comes over TLS (RFC 3261 section 26.2.2).

    So does a REGISTER by its Contact, unless a proxy on the way speaks TLS to the phone (Path).
    """
    if request.uri[:5].lower() == _SIPS:
        return request.method in {"INVITE", "REGISTER"}
    if request.method != "REGISTER" or request.header("path") is not None:
        return False
    return any(_SIPS in contact.lower() for contact in request.values("contact"))


def _check_first_lines(request: Request) -> None:
    """Refuse a request line or Via that RFC 4475 section 3.1.2 wants refused although a liberal parser could read it.

    Raises:
        ParseError: 400; 416 for an unsupported URI scheme.
    """
    # The Request-URI within a dialog is not used, so a usual one is not parsed.
    if not (request.to_tag and _PLAIN_TARGET.match(request.uri)) and request.target.headers:
        raise ParseError(400, Flaw.HEADERS_IN_THE_REQUEST_URI, request)
    if _has_gap(request.header("via") or ""):
        raise ParseError(400, Flaw.EMPTY_PARAMETER_IN_VIA, request)


def _check_ends(request: Request) -> None:
    """Check Call-ID and the two ends of the request.

    Raises:
        ParseError: 400.
    """
    if not (request.call_id.isascii() and request.call_id.isprintable()):
        raise ParseError(400, Flaw.BAD_CALL_ID, request)
    if not (request.from_.uri and request.to.uri):
        raise ParseError(400, Flaw.BAD_ADDRESS, request)
    if not request.from_tag:
        raise ParseError(400, Flaw.MISSING_FROM_TAG, request)


# The peers of a trunk send the same Contact in every call.
@lru_cache(maxsize=1024)
def _flaw_of_contact(contact: str) -> Flaw | None:
    if _has_gap(contact):
        return Flaw.EMPTY_PARAMETER_IN_CONTACT
    return Flaw.CONTACT_WITHOUT_ANGLE_BRACKETS if "?" in contact and "<" not in contact else None


def _has_gap(value: str) -> bool:
    """Return whether a semicolon is followed by no parameter."""
    if not (";;" in value or "; " in value or ";," in value or ";\t" in value or value[-1:] == ";"):
        return False
    if not _GAP.search(value):
        return False
    return '"' not in value or bool(_GAP.search(_QUOTED.sub("", value)))


def _takes_session(request: Request) -> bool:
    """Return whether Accept permits a session description in the response (section 20.1)."""
    return any(kind.partition(";")[0].strip().lower() in _SESSION_TYPES for kind in request.headers("accept"))


def _unwanted(request: Request) -> Objection:
    """Refuse a method: 489 for event packages, 481 for a NOTIFY without subscription (RFC 6665 section 4.1.3)."""
    if request.method in EVENTS:
        return Objection(489, _ALLOW_EVENTS)
    if request.method == "REFER":
        return Objection(403)  # outside a call there is nothing to transfer
    if request.method == "NOTIFY" or request.method in ALLOWED_IN_DIALOG:
        return Objection(489, _ALLOW_EVENTS) if request.to_tag else Objection(481)
    return Objection(405, ALLOW)


def hops_left(request: Request) -> int:
    """Return the Max-Forwards for our own request: one less, 69 where none was given, negative when used up.

    Raises:
        ParseError: 400.
    """
    value = request.header("max-forwards")
    if value is None:
        return 69
    if not (value.isascii() and value.isdigit() and len(value) <= 3):
        raise ParseError(400, Flaw.BAD_MAX_FORWARDS, request)
    return min(int(value), 70) - 1


def own_branch(request: Request, mark: str) -> str:
    """Return our branch in a request of ours that has come back to us (RFC 3261 section 16.3 item 4), else nothing.

    Every branch of ours begins with ``mark``. Addresses say nothing: machines behind a customer's proxy may have our
    private ones.

    Raises:
        ParseError: the topmost Via has a branch of ours and cannot be read.
    """
    vias = request.header("via") or ""
    if mark in vias and (request.prefix or request.via.branch).startswith(mark):
        return request.via.branch
    if "," not in vias and not request.comes_twice("via"):
        return ""
    branches = (branch_of(via) for via in request.headers("via")[1:] if mark in via)
    return next((branch for branch in branches if branch.startswith(mark)), "")
