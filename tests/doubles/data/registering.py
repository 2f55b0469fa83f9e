"""REGISTER requests, as bytes and as read: for tests of the registrar without a phone."""

from collections.abc import Iterable
from typing import Final

from vosd.sip.wire.message import Request
from vosd.sip.wire.parse import parse_message

AOR: Final = "sip:1001@vosd.test"


def register_bytes(
    *contacts: str,
    expires: int | str | None = None,
    cseq: int = 1,
    call_id: str = "reg@phone",
    headers: Iterable[str] = (),
    aor: str = AOR,
    via: str = "192.0.2.10:5060",
    branch: str = "",
) -> bytes:
    """Write a REGISTER; each contact is a whole element of Contact, ``headers`` are lines without their end."""
    lines = [
        f"REGISTER sip:{aor.rpartition('@')[2]} SIP/2.0",
        f"Via: SIP/2.0/UDP {via};rport;branch=z9hG4bK{branch or f'{call_id}-{cseq}'.replace('@', '.')}",
        "Max-Forwards: 70",
        f"From: <{aor}>;tag=reg",
        f"To: <{aor}>",
        f"Call-ID: {call_id}",
        f"CSeq: {cseq} REGISTER",
        *(f"Contact: {contact}" for contact in contacts),
        *([] if expires is None else [f"Expires: {expires}"]),
        *headers,
        "Content-Length: 0",
    ]
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("utf-8", "surrogateescape")


def register_request(*contacts: str, **parts: object) -> Request:
    """Read what ``register_bytes`` writes."""
    message = parse_message(register_bytes(*contacts, **parts))  # type: ignore[arg-type]
    assert isinstance(message, Request), f"not a request: {message!r}"
    return message
