"""Session descriptions in bodies: bare, or as one part of several (RFC 5621, RFC 2046 section 5.1).

Only the session description is used. Other parts, such as the location of the caller (RFC 6442), are left out.
"""

import re
from typing import Final, NamedTuple

from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.flaws import Flaw
from vosd.sip.wire.grammar import TOKEN, parameters
from vosd.sip.wire.message import Message

SESSION: Final = "application/sdp"
PARTS_MAX: Final = 20
NESTED_MAX: Final = 3
"""Levels of parts within parts that are opened."""

_MULTIPART: Final = "multipart/"
_ALTERNATIVE: Final = "multipart/alternative"
_LOCATION: Final = "application/pidf+xml"
_FOLD: Final = re.compile(r"\r\n[ \t]+")
_TYPE: Final = re.compile(rf"{TOKEN}[ \t]*/[ \t]*{TOKEN}\Z")
_BEGINS_AS_SESSION: Final = re.compile(rb"v=0[ \t]*\r?\n")
_HANDLING: Final = re.compile(r";\s*handling\s*=\s*\"?(optional|required)\"?\s*(?:;|\Z)", re.IGNORECASE)
_BY_REFERENCE: Final = "by-reference"
_NOT_THE_SESSION: Final = frozenset({"early-session", _BY_REFERENCE})
"""Dispositions of session descriptions that are not the offer or answer (RFC 3959, RFC 5621 section 5)."""


class _Part(NamedTuple):
    """A body, or a part of one: its Content-Type and Content-Disposition as written, and its content."""

    written_type: str
    written_disposition: str
    body: bytes

    @property
    def kind(self) -> str:
        """The media type, as ``media_type`` returns it."""
        return _type_of(self.written_type, self.body)

    @property
    def disposition(self) -> str:
        return self.written_disposition.partition(";")[0].strip().lower()

    def is_required(self, *, unless_said: bool) -> bool:
        """Return whether it must be understood, by its handling parameter (RFC 3261 section 20.11).

        A part that a header refers to need not be: the reference is not followed (RFC 5621 section 5).
        """
        if self.disposition == _BY_REFERENCE:
            return False
        said = _HANDLING.search(self.written_disposition)
        return unless_said if said is None else said[1].lower() == "required"


def media_type(message: Message) -> str:
    """Return the media type of a body in lower case and without parameters; empty if unknown.

    Without a usable Content-Type, a body that begins as a session description is one.
    """
    return _type_of(message.header("content-type") or "", message.body)


def session_of(message: Message) -> bytes:
    """Return the session description that a message carries; empty if there is none.

    Parts of another type are left out; a body of another type carries none.
    """
    if not message.body or message.header("content-type") == SESSION:
        return message.body
    kind = media_type(message)
    if kind == SESSION:
        return message.body
    if not kind.startswith(_MULTIPART):
        return b""
    try:
        return _session_in(_whole(message), 0)
    except ParseError:
        return b""


def objects_to(message: Message) -> bool:
    """Return whether a body must be refused with 415: an unsupported type that its sender marked as required.

    A body that is not multipart is required where nothing is said, as the RFC has it, except a location. A part of
    several is not: senders of locations leave the handling out, and their calls must not fail.

    Raises:
        ParseError: 400 for a multipart body that cannot be split.
    """
    if not message.body:
        return False
    whole = _whole(message)
    kind = whole.kind
    is_single = not kind.startswith(_MULTIPART) and kind != _LOCATION
    return _is_refused(whole, 0, is_required=whole.is_required(unless_said=is_single))


def _whole(message: Message) -> _Part:
    return _Part(message.header("content-type") or "", message.header("content-disposition") or "", message.body)


def _session_in(part: _Part, depth: int) -> bytes:
    """Return the first session description of a part, of alternatives the last (RFC 2046 section 5.1.4)."""
    kind = part.kind
    if kind == SESSION:
        return b"" if part.disposition in _NOT_THE_SESSION else part.body
    if not kind.startswith(_MULTIPART) or depth > NESTED_MAX:
        return b""
    found = [session for each in _parts(part) if (session := _session_in(each, depth + 1))]
    return found[-1 if kind == _ALTERNATIVE else 0] if found else b""


def _is_refused(part: _Part, depth: int, *, is_required: bool) -> bool:
    """Return whether a part, or one within it, is required and not understood; of alternatives one is enough."""
    kind = part.kind
    if kind == SESSION:
        return False
    if not kind.startswith(_MULTIPART) or depth > NESTED_MAX:
        return is_required
    passed_on = is_required and kind == _ALTERNATIVE
    verdicts = [
        _is_refused(each, depth + 1, is_required=each.is_required(unless_said=passed_on)) for each in _parts(part)
    ]
    return all(verdicts) if kind == _ALTERNATIVE else any(verdicts)


def _parts(whole: _Part) -> list[_Part]:
    """Return the parts of a multipart body.

    Raises:
        ParseError: 400 for a boundary that is missing, or does not occur in the body.
    """
    said = parameters(";" + whole.written_type.partition(";")[2])
    boundary = (said.get("boundary") or "").strip('"')
    if not boundary:
        raise ParseError(400, Flaw.BAD_MULTIPART_BODY)
    mark = b"--" + boundary.encode("utf-8", "surrogateescape")
    pieces = (b"\r\n" + whole.body).split(b"\r\n" + mark, PARTS_MAX + 1)
    if len(pieces) < 2:
        raise ParseError(400, Flaw.BAD_MULTIPART_BODY)
    found: list[_Part] = []
    for piece in pieces[1:]:
        if piece.startswith(b"--"):
            return found
        # The rest of the boundary's line ends where the part's headers begin; there may be none.
        head, _, body = piece.partition(b"\r\n\r\n")
        lines = _FOLD.sub(" ", head.decode("utf-8", "surrogateescape")).split("\r\n")[1:]
        fields = dict(map(_field, lines))
        found.append(_Part(fields.get("content-type", ""), fields.get("content-disposition", ""), body))
    raise ParseError(400, Flaw.BAD_MULTIPART_BODY)


def _type_of(said: str, body: bytes) -> str:
    kind = said.partition(";")[0].strip().lower()
    return SESSION if not _TYPE.match(kind) and _BEGINS_AS_SESSION.match(body) else kind


def _field(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip().lower(), value.strip()
