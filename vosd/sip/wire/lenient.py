"""Lenient reading of messages that confirm or end something and fail the strict parser.

Dropping an ACK, BYE, CANCEL, PRACK or response would keep a call billing, or lose one that was answered. So faults are
ignored as long as the transaction or dialog can be found (RFC 3261 section 8.2.2: malformed headers that are not needed
are ignored). Messages that begin something are left to the strict parser. Used only after that has failed.
"""

from typing import Final

from vosd.sip.headers.cseq import UNREAD, CSeq
from vosd.sip.headers.via import Via, branch_of
from vosd.sip.settings import Limits
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.message import Request, Response
from vosd.sip.wire.outgoing import Peer
from vosd.sip.wire.parse import fit_body, parse_message

CONFIRMING: Final = frozenset({"ACK", "BYE", "CANCEL", "PRACK"})
"""Requests that confirm or end something."""

_NEEDED: Final = {"ACK": ("to", "from", "call-id"), "BYE": ("to", "from", "call-id"), "CANCEL": ("via",),
                  "PRACK": ("to", "from", "call-id")}  # fmt: skip
"""Headers needed to find the dialog or the transaction."""
_HOPELESS: Final = frozenset({505, 513})
"""Faults of the whole message: another SIP version, too large."""


def mended(
    data: bytes, error: ParseError, read: Request | Response | None, source: Peer, limits: Limits
) -> Request | Response | None:
    """Return the message with its faults ignored; None if it begins something, or lacks a needed header.

    ``error`` is the strict parser's error; ``read`` is the message, if the error came after parsing.
    """
    message = read or error.request or error.response
    if message is None or error.status in _HOPELESS or not _confirms(message):
        return None
    if read is None:
        message = _whole(data, limits) or message
        fit_body(message)
    if isinstance(message, Response):
        return _mended_response(message, error.reason)
    # Without these headers the dialog cannot be found, and a guess could end the call of another party.
    if any(message.header(name) is None for name in _NEEDED[message.method]):
        return None
    message.settle(error.reason, via=_via_of(message, source), cseq=_cseq_of(message))
    return message


def _confirms(message: Request | Response) -> bool:
    return isinstance(message, Response) or message.method in CONFIRMING


def _whole(data: bytes, limits: Limits) -> Request | Response | None:
    """Read a message without the empty line after its headers, up to the last complete line."""
    text = data.lstrip(b"\r\n")
    if b"\r\n\r\n" in text or b"\n\n" in text:
        return None
    # The last line may be cut off in its middle (fragmentation): a cut tag would name another dialog.
    lines = text[: text.rfind(b"\n") + 1].rstrip(b"\r\n")
    try:
        return parse_message(lines + b"\r\n\r\n", limits)
    except ParseError as error:
        return error.request or error.response


def _mended_response(response: Response, fault: str) -> Response | None:
    """Return a response that identifies its transaction: by branch, and by the last word of CSeq as method."""
    if not branch_of(response.header("via") or ""):
        return None
    words = (response.header("cseq") or "").split()
    response.settle(fault, cseq=CSeq(UNREAD, words[-1] if words else ""))
    return response


def _via_of(request: Request, source: Peer) -> Via:
    """Return the topmost Via; if it cannot be read, one that sends the answer to the source."""
    try:
        return request.via
    except ParseError:
        return Via("", source.host, source.port, {}, len(request.header("via") or ""))


def _cseq_of(request: Request) -> CSeq:
    """Return the number of CSeq as far as it can be read, with the method of the request line."""
    try:
        return CSeq(request.cseq.number, request.method)
    except ParseError:
        return CSeq(UNREAD, request.method)
