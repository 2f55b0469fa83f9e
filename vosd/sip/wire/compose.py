"""Compose messages from scratch: only the fields named here are taken over from received messages.

Text that was percent-decoded is escaped again before it is put into a header, so that text of one side cannot end a
header for the other.
"""

import re
from ipaddress import ip_address
from typing import Final
from urllib.parse import quote

from vosd.base.nat import Nat
from vosd.sip.headers.via import Via
from vosd.sip.wire.message import Request
from vosd.sip.wire.outgoing import Datagram, InviteParts, Peer, ProvenAck, ResponseStem
from vosd.sip.wire.status import STATUS_LINES, status_line
from vosd.sip.wire.uri import DEFAULT_PORTS

_PLAIN_USER: Final = re.compile(r"[A-Za-z0-9+*.!~'()_\-]*\Z", re.ASCII)
_USER_SAFE: Final = "+*.!~'()_-&=$,"
_RPORT: Final = re.compile(r";\s*rport\s*(=\s*\d*)?(?=[;\s]|\Z)", re.IGNORECASE)
_TIMESTAMP: Final = re.compile(r"\d+(?:\.\d*)?(?:[ \t]+\d*(?:\.\d*)?)?\Z", re.ASCII)
_PROOFS: Final = ("Authorization: ", "Proxy-Authorization: ")
_RECEIVED: Final = re.compile(r";\s*received\s*(=[^;]*)?(?=;|\Z)", re.IGNORECASE)


def escape_user(user: str) -> str:
    """Escape a user part for a URI (RFC 3261 section 25.1, ``user``)."""
    if _PLAIN_USER.match(user):
        return user
    return quote(user.encode("utf-8", "surrogateescape"), safe=_USER_SAFE)


def encode(text: str) -> bytes:
    """Encode a header block; invalid UTF-8 is sent as it was received."""
    return text.encode("utf-8", "surrogateescape")


def response_stem(request: Request, source: Peer, *, reliable: bool = False) -> ResponseStem:
    """Collect the fields of the responses to ``request``, with ``received`` and ``rport`` filled in (RFC 3581).

    Over a ``reliable`` transport the response takes the connection of the request (section 18.2.2).

    Raises:
        ParseError: the topmost Via cannot be read.
    """
    via = request.top_via or request.via
    value = request.header("via") or ""
    top, rest = value[: via.length], value[via.length :]
    port = source.port if reliable else via.port or 5060
    params = via.params
    if "rport" in params:
        port = source.port
        if not request.prefix or params["rport"] is not None:  # it may be in capitals, with blanks, or have a value
            top = _RPORT.sub(f";rport={port}", top, count=1)
        elif ";rport;" in top:
            top = top.replace(";rport;", f";rport={port};", 1)
        else:
            top = f"{top}={port}"
    if "rport" in params or via.host.strip("[]") != source.host:
        if "received" in params:  # only the receiver may say so (section 18.2.1)
            top = _RECEIVED.sub("", top)
        top = f"{top};received={source.host}"
    below = ""
    for text in request.values("via")[1:]:
        below += f"Via: {text}\r\n"
    header = request.header
    from_, to, call_id, cseq, stamp = (
        header("from"), header("to"), header("call-id"), header("cseq"), header("timestamp")
    )  # fmt: skip
    if from_ is None or to is None or call_id is None or cseq is None:
        to_line = _line("To", to)
        up_to_tag = f"Via: {top}{rest}\r\n{below}{_line('From', from_)}{to_line[:-2]}"
        after_tag = f"{to_line[-2:]}{_line('Call-ID', call_id)}{_line('CSeq', cseq)}"
    else:
        up_to_tag = f"Via: {top}{rest}\r\n{below}From: {from_}\r\nTo: {to}"
        after_tag = f"\r\nCall-ID: {call_id}\r\nCSeq: {cseq}\r\n"
    return ResponseStem(
        up_to_tag.encode("utf-8", "surrogateescape"),
        after_tag.encode("utf-8", "surrogateescape"),
        source if port == source.port else Peer(source.flow, source.host, port),
        to is None or bool(request.to_tag),
        cseq or "",
        _listening(via, source) if reliable else None,
        f"Timestamp: {stamp}\r\n".encode() if stamp is not None and _TIMESTAMP.match(stamp) else b"",
    )


def named_by_maddr(via: Via, source: Peer) -> Peer | None:
    """Return the ``maddr`` destination of a Via's responses: an address of the source's family, else None (18.2.2)."""
    host = (via.params.get("maddr") or "").strip("[]")
    try:
        address = ip_address(host)
    except ValueError:
        return None
    if (":" in host) is not (":" in source.host) or "%" in host or address.is_multicast or address.is_unspecified:
        return None
    return Peer(source.flow, host, via.port or 5060)


def _listening(via: Via, source: Peer) -> Peer:
    """Return where the sender of a request accepts connections; where we have opened this one, it is its source."""
    port = via.port or DEFAULT_PORTS.get(via.transport.lower(), 5060)
    return source if port == source.port else source._replace(port=port)


def _line(name: str, value: str | None) -> str:
    """Format a header line; empty for a header that a malformed request does not have."""
    return "" if value is None else f"{name}: {value}\r\n"


def response(
    stem: ResponseStem, status: int, to_tag: str, headers: str, body: bytes = b"", line: bytes | None = None
) -> bytes:
    """Compose a response; ``headers`` are whole lines, ``to_tag`` is added where the request had none.

    ``line`` is the status line where the phrase is not that of the status.
    """
    return b"%b%b%b%b%b%bContent-Length: %d\r\n\r\n%b" % (
        line or STATUS_LINES.get(status) or status_line(status),
        stem.up_to_tag,
        b";tag=" + to_tag.encode() if to_tag and not stem.tagged else b"",
        stem.after_tag,
        stem.timestamp if status == 100 else b"",
        headers.encode("utf-8", "surrogateescape"),
        len(body),
        body,
    )


def invite(parts: InviteParts, max_forwards: int, headers: str, body: bytes) -> bytes:
    """Compose the INVITE of a new call leg; ``headers`` hold Contact and the body's Content-Type."""
    head = (
        f"INVITE {parts.uri} SIP/2.0\r\nVia: {parts.via}\r\nMax-Forwards: {max_forwards}\r\n"
        f"{parts.route}From: {parts.from_}\r\nTo: {parts.to}\r\nCall-ID: {parts.call_id}\r\n"
        f"CSeq: {parts.sequence} INVITE\r\n{parts.credentials}{headers}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("utf-8", "surrogateescape") + body


def cancel(parts: InviteParts, headers: str) -> bytes:
    """Compose the CANCEL of an INVITE (RFC 3261 section 9.1)."""
    return encode(
        f"CANCEL {parts.uri} SIP/2.0\r\nVia: {parts.via}\r\nMax-Forwards: 70\r\n{parts.route}From: {parts.from_}\r\n"
        f"To: {parts.to}\r\nCall-ID: {parts.call_id}\r\nCSeq: {parts.sequence} CANCEL\r\n{headers}"
        "Content-Length: 0\r\n\r\n"
    )


def ack_of_failure(parts: InviteParts, to: str) -> bytes:
    """Compose the ACK of a final response other than 2xx (RFC 3261 section 17.1.1.3)."""
    return encode(
        f"ACK {parts.uri} SIP/2.0\r\nVia: {parts.via}\r\nMax-Forwards: 70\r\n{parts.route}From: {parts.from_}\r\n"
        f"To: {to}\r\nCall-ID: {parts.call_id}\r\nCSeq: {parts.sequence} ACK\r\nContent-Length: 0\r\n\r\n"
    )


def parts_acknowledged(ack: Datagram) -> InviteParts:
    """Recover the parts of an INVITE from our ACK: nothing else is kept of an answered one.

    ``to`` has the tag of the acknowledged answer; ``via`` is empty, since nothing more is sent on it.
    """
    request_line, *lines = ack.data.decode("utf-8", "surrogateescape").split("\r\n")
    lines = lines[: lines.index("")]
    said = dict(line.split(": ", 1) for line in lines)
    return InviteParts(
        uri=request_line.removeprefix("ACK ").removesuffix(" SIP/2.0"),
        via="",
        from_=said["From"],
        to=said["To"],
        call_id=said["Call-ID"],
        sequence=int(said["CSeq"].removesuffix(" ACK")),
        peer=ack.peer,
        answers=ack.answers if isinstance(ack, ProvenAck) else None,
        credentials="".join(f"{line}\r\n" for line in lines if line.startswith(_PROOFS)),
        server_name=ack.server_name if isinstance(ack, ProvenAck) else "",
        nat=Nat.AUTO,  # the configured value is not in the ACK
    )
