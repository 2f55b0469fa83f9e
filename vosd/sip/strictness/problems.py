"""Find what a strict peer would refuse in a parsed message, in plain sentences.

Owns the rules for whole messages: the first line, which headers are required, which may occur once, which must agree.
The rules of single headers are in ``header_rules``. No call passes here.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from vosd.sip.strictness.header_rules import header_fault, is_text, request_uri_fault, shown, title
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.grammar import TOKEN
from vosd.sip.wire.uri import Uri

if TYPE_CHECKING:
    from vosd.sip.wire.message import Message, Request, Response

_TOKEN: Final = re.compile(rf"{TOKEN}\Z", re.ASCII)
_ONCE: Final = frozenset({
    "call-id", "content-disposition", "content-length", "content-type", "cseq", "date", "event", "expires", "from",
    "join", "max-forwards", "mime-version", "min-expires", "min-se", "organization", "priority", "rack", "refer-to",
    "referred-by", "replaces", "reply-to", "retry-after", "rseq", "server", "session-expires", "subject",
    "subscription-state", "timestamp", "to", "user-agent",
})  # fmt: skip
_NEEDED_IN_ALL: Final = ("via", "from", "to", "call-id", "cseq")
_NEEDED_BY_METHOD: Final = {
    "INVITE": ("contact",), "NOTIFY": ("contact", "event", "subscription-state"), "PRACK": ("rack",),
    "REFER": ("contact", "refer-to"), "SUBSCRIBE": ("contact", "event"), "UPDATE": ("contact",),
}  # fmt: skip
_NEEDED_BY_STATUS: Final = {
    401: ("www-authenticate",), 405: ("allow",), 407: ("proxy-authenticate",), 420: ("unsupported",),
    422: ("min-se",), 423: ("min-expires",), 489: ("allow-events",), 494: ("security-server",),
}  # fmt: skip
_ESTABLISHES_DIALOG: Final = frozenset({"INVITE", "REFER", "SUBSCRIBE", "UPDATE"})
_SCHEMES: Final = frozenset({"sip", "sips", "tel"})
_SIP_SCHEMES: Final = frozenset({"sip", "sips"})
_COOKIE: Final = "z9hG4bK"


def request_problems(request: "Request") -> list[str]:
    """Return what a strict peer would refuse of a request, one sentence each (RFC 3261 sections 7, 8.1.1 and 25)."""
    return [sentence for sentence in _in_request(request) if sentence]


def response_problems(response: "Response") -> list[str]:
    """Return what a strict peer would refuse of a response, one sentence each (RFC 3261 sections 7, 8.2.6 and 25)."""
    return [sentence for sentence in _in_response(response) if sentence]


def _in_request(request: "Request") -> Iterator[str | None]:
    method = request.method
    yield request_uri_fault(request.uri) or _unknown_scheme(request)
    yield from _in_any(request)
    yield from _absent(request, ("max-forwards", *_NEEDED_BY_METHOD.get(method, ())), f"{method} requests")
    yield _without_tag(request, "from", request.from_tag)
    said = _method_counted(request)
    if said is not None and said != method:
        yield f"CSeq counts {shown(said)} in a request that is {shown(method)}."
    if _branch(request) == _COOKIE:
        yield "The topmost Via has a branch that is the cookie of RFC 3261 and nothing else."
    yield from _in_contact(request)


def _unknown_scheme(request: "Request") -> str | None:
    """Return a URI scheme that most peers refuse with 416 (section 8.2.2.1), or None."""
    if request.uri.partition(":")[0].lower() in _SCHEMES:
        return None
    return f"The Request-URI has a scheme that is neither sip, sips nor tel: {shown(request.uri)}."


def _in_contact(request: "Request") -> Iterator[str]:
    contacts = request.headers("contact")
    if request.method in _ESTABLISHES_DIALOG:
        if len(contacts) > 1:
            yield f"Contact must be a single address in {request.method} requests."
        elif contacts and not _is_sip(request):
            yield f"Contact must be a SIP address in {request.method} requests, not {shown(contacts[0])}."
    if "*" in contacts and not (
        len(contacts) == 1 and request.method == "REGISTER" and request.header("expires") == "0"
    ):
        yield "Contact may be * only by itself, in REGISTER requests with Expires 0."


def _in_response(response: "Response") -> Iterator[str | None]:
    status = response.status
    if not is_text(response.reason):
        yield f"The reason phrase must be text without control characters, not {shown(response.reason)}."
    yield from _in_any(response)
    needed = _NEEDED_BY_STATUS.get(status, ())
    method = _method_counted(response)
    if method == "INVITE" and 200 <= status < 300:
        needed = (*needed, "contact")
    yield from _absent(response, needed, f"{status} responses")
    yield _without_tag(response, "from", response.from_tag)
    if status > 100:
        yield _without_tag(response, "to", response.to_tag)


def _in_any(message: "Message") -> Iterator[str | None]:
    """Check what requests and responses have in common."""
    if message.fault is not None:
        yield f"A strict reader refuses the whole message: {message.fault}."
    if _has_bare_line_feed(message.raw):
        yield "Lines must end in carriage return and line feed."
    fields = message.fields
    for name, value in dict.fromkeys(fields):
        fault = header_fault(name, value)
        if fault is not None:
            yield fault
    for name, count in Counter([name for name, _ in fields]).items():
        if not _TOKEN.match(name):
            yield f"A header's name must be a word, not {shown(name)}."
        if count > 1 and name in _ONCE:
            yield f"{title(name)} may come once and comes {count} times."
    yield from _absent(message, _NEEDED_IN_ALL, "all messages")
    if message.body:
        yield from _absent(message, ("content-type",), "messages with a body")


def _absent(message: "Message", names: tuple[str, ...], where: str) -> Iterator[str]:
    for name in names:
        if message.header(name) is None:
            yield f"{title(name)} must be there in {where}."


def _without_tag(message: "Message", name: str, tag: str) -> str | None:
    return None if tag or message.header(name) is None else f"{title(name)} must have a tag."


def _method_counted(message: "Message") -> str | None:
    """Return the method of CSeq; None if it cannot be read, which is a fault of its own."""
    try:
        return message.cseq.method
    except ParseError:
        return None


def _branch(message: "Message") -> str:
    try:
        return message.via.branch
    except ParseError:
        return ""


def _is_sip(request: "Request") -> bool:
    try:
        contact = request.contact
        return contact is not None and Uri.parse(contact.uri).scheme in _SIP_SCHEMES
    except ParseError:
        return False


def _has_bare_line_feed(raw: bytes) -> bool:
    """Return whether a line of the head ends in a bare line feed."""
    ends = [end for end in (raw.find(b"\r\n\r\n"), raw.find(b"\n\n")) if end >= 0]
    head = raw[: min(ends) + 2] if ends else raw
    return head.count(b"\n") != head.count(b"\r\n")
