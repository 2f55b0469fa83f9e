"""Session descriptions in bodies: bare, or as one part of several (RFC 5621, RFC 2046 section 5.1)."""

import re
from typing import Final

from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.flaws import Flaw
from vosd.sip.wire.grammar import TOKEN, parameters
from vosd.sip.wire.message import Message

SESSION: Final = "application/sdp"
MULTIPART: Final = "multipart/mixed"
PARTS_MAX: Final = 20

_FOLD: Final = re.compile(r"\r\n[ \t]+")
_TYPE: Final = re.compile(rf"{TOKEN}[ \t]*/[ \t]*{TOKEN}\Z")
_BEGINS_AS_SESSION: Final = re.compile(rb"v=0[ \t]*\r?\n")
_OPTIONAL: Final = re.compile(r";\s*handling\s*=\s*(?:optional|\"optional\")\s*(?:;|\Z)", re.IGNORECASE)


def media_type(message: Message) -> str:
    """Return the media type of a body in lower case and without parameters; empty if unknown.

    Without a usable Content-Type, a body that begins as a session description is one.
    """
    return _type_of(message.header("content-type") or "", message.body)


def session_of(message: Message) -> bytes:
    """Return the session description that a message carries; empty if there is none.

    Optional parts of another type are skipped; a body of another type carries none.
    """
    if not message.body:
        return b""
    if message.header("content-type") == SESSION:
        return message.body
    kind = media_type(message)
    if kind == SESSION:
        return message.body
    if kind != MULTIPART:
        return b""
    try:
        return next((body for kind, _, body in _parts(message) if kind == SESSION), b"")
    except ParseError:
        return b""


def objects_to(message: Message) -> bool:
    """Return whether a body must be refused with 415: an unsupported type that its sender marked as required."""
    if not message.body:
        return False
    kind = media_type(message)
    if kind == MULTIPART:
        return any(kind != SESSION and insists for kind, insists, _ in _parts(message))
    if kind == SESSION:
        return False
    return _insists(message.header("content-disposition") or "")


def _parts(message: Message) -> list[tuple[str, bool, bytes]]:
    """Return type, whether it must be understood, and content of each part.

    Raises:
        ParseError: 400 for a boundary that is missing, or does not occur in the body.
    """
    said = parameters(";" + (message.header("content-type") or "").partition(";")[2])
    boundary = (said.get("boundary") or "").strip('"')
    if not boundary:
        raise ParseError(400, Flaw.BAD_MULTIPART_BODY)
    mark = b"--" + boundary.encode("utf-8", "surrogateescape")
    pieces = (b"\r\n" + message.body).split(b"\r\n" + mark, PARTS_MAX + 1)
    if len(pieces) < 2:
        raise ParseError(400, Flaw.BAD_MULTIPART_BODY)
    found: list[tuple[str, bool, bytes]] = []
    for piece in pieces[1:]:
        if piece.startswith(b"--"):
            return found
        # The rest of the boundary's line ends where the part's headers begin; there may be none.
        head, _, body = piece.partition(b"\r\n\r\n")
        lines = _FOLD.sub(" ", head.decode("utf-8", "surrogateescape")).split("\r\n")[1:]
        fields = dict(map(_field, lines))
        kind = _type_of(fields.get("content-type", ""), body) or "text/plain"
        found.append((kind, _insists(fields.get("content-disposition", "")), body))
    raise ParseError(400, Flaw.BAD_MULTIPART_BODY)


def _type_of(said: str, body: bytes) -> str:
    kind = said.partition(";")[0].strip().lower()
    return SESSION if not _TYPE.match(kind) and _BEGINS_AS_SESSION.match(body) else kind


def _field(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip().lower(), value.strip()


def _insists(disposition: str) -> bool:
    """Return whether a part must be understood: the default is yes (RFC 3261 section 20.11)."""
    return not _OPTIONAL.search(disposition)
