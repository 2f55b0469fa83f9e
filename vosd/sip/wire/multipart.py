"""Bodies of several parts: taken apart within limits, and composed (RFC 2046 section 5.1, RFC 5621, RFC 3204).

Reading is strict where two readers might differ: a delimiter is a whole line, the last one closes the body, and neither
more parts nor more levels are opened than the limits say. A part keeps its Content headers as they were written.
"""

import re
from binascii import Error, a2b_base64, a2b_qp
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from vosd.sip.wire.errors import Flaw, ParseError
from vosd.sip.wire.grammar import TOKEN, parameters

SESSION: Final = "application/sdp"
PARTS_MAX: Final = 20
"""Most parts of a body, over all levels."""
NESTED_MAX: Final = 3
"""Levels of parts within parts that are opened."""
FIELD_MAX: Final = 512
"""Most characters of a Content header that is written again."""

MULTIPART: Final = "multipart/"
_ALTERNATIVE: Final = "multipart/alternative"
_FOLD: Final = re.compile(r"\r\n[ \t]+")
_TYPE: Final = re.compile(rf"{TOKEN}/{TOKEN}\Z")
_WRITABLE_TYPE: Final = re.compile(rf"{TOKEN}/{TOKEN}[ \t]*(?:;|\Z)")
_BEGINS_AS_SESSION: Final = re.compile(rb"v=0[ \t]*\r?\n")
_HANDLING: Final = re.compile(r";\s*handling\s*=\s*\"?(optional|required)\"?\s*(?:;|\Z)", re.IGNORECASE)
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]\Z")
_BY_REFERENCE: Final = "by-reference"
_NOT_THE_SESSION: Final = frozenset({"early-session", _BY_REFERENCE})
"""Dispositions of session descriptions that are not the offer or answer (RFC 3959, RFC 5621 section 5)."""
_MARK: Final = "vosd-"
"""Beginning of our boundaries."""


class BodyPart(NamedTuple):
    """A body, or a part of one: its content, and its Content headers as written."""

    body: bytes
    written_type: str = ""
    written_disposition: str = ""
    identifier: str = ""
    """Content-ID, by which a header such as Geolocation refers to it (RFC 5621 section 9.1)."""
    encoding: str = ""
    """Content-Transfer-Encoding."""
    content_encoding: str = ""
    parts: tuple["BodyPart", ...] | None = None
    """The parts of a body of several; None = it has none, or too many levels stand above it."""

    @property
    def kind(self) -> str:
        """The media type in lower case, without parameters; empty if unknown."""
        return kind_of(self.written_type, self.body)

    @property
    def disposition(self) -> str:
        """The disposition in lower case, without parameters; empty if none is said."""
        return self.written_disposition.partition(";")[0].strip().lower()

    @property
    def content(self) -> bytes | None:
        """The body without its transfer encoding (RFC 2045 section 6); None if it has another one, or is compressed.

        What begins as a session description has none, whatever it says: in none of them that line could stand.
        """
        if not is_identity(self.content_encoding):
            return None
        if _BEGINS_AS_SESSION.match(self.body):
            return self.body
        match self.encoding.lower():
            case "" | "7bit" | "8bit" | "binary":
                return self.body
            case "quoted-printable":
                return a2b_qp(self.body)
            case "base64":
                try:
                    return a2b_base64(self.body)
                except Error:
                    return None
        return None

    def is_required(self, *, unless_said: bool) -> bool:
        """Return whether it must be understood, by its handling parameter (RFC 3261 section 20.11).

        A part that a header refers to need not be: the reference is not followed (RFC 5621 section 5).
        """
        if self.disposition == _BY_REFERENCE:
            return False
        said = _HANDLING.search(self.written_disposition)
        return unless_said if said is None else said[1].lower() == "required"

    @property
    def session(self) -> bytes:
        """The first session description, of alternatives the last (RFC 2046 section 5.1.4); empty if it has none."""
        if self.kind == SESSION:
            return b"" if self.disposition in _NOT_THE_SESSION else self.content or b""
        found = [session for each in self.parts or () if (session := each.session)]
        return found[-1 if self.kind == _ALTERNATIVE else 0] if found else b""

    def unknown(self, *, is_required: bool) -> set[str] | None:
        """Return the types that a receiver has to know beside session descriptions, to take all of it.

        Of alternatives the one that needs fewest counts. None = a part that has to be opened cannot be. A session
        description in an encoding that is not known is required where nothing is said: without it the call is another.
        """
        kind = self.kind
        if kind == SESSION:
            is_wanted = self.disposition not in _NOT_THE_SESSION and self.is_required(unless_said=True)
            return {SESSION} if is_wanted and self.content is None else set()
        if self.parts is None:
            return None if is_required and kind.startswith(MULTIPART) else {kind} if is_required else set()
        passed_on = is_required and kind == _ALTERNATIVE
        wanted = [each.unknown(is_required=each.is_required(unless_said=passed_on)) for each in self.parts]
        if kind == _ALTERNATIVE and wanted:
            return min(wanted, key=_effort)
        return None if None in wanted else {kind for each in wanted if each is not None for kind in each}

    def those_of(self, kinds: frozenset[str]) -> Iterator["BodyPart"]:
        """Yield the parts of the given types, at any level; of alternatives the last that has one."""
        if self.parts is None:
            if self.kind in kinds:
                yield self
            return
        found = [taken for each in self.parts if (taken := tuple(each.those_of(kinds)))]
        for each in found[-1:] if self.kind == _ALTERNATIVE else found:
            yield from each


def _effort(wanted: set[str] | None) -> int:
    return PARTS_MAX + 1 if wanted is None else len(wanted)


def opened(whole: BodyPart) -> BodyPart:
    """Return a body with its parts, and their parts.

    Raises:
        ParseError: 400 for a boundary that is missing or malformed, or does not occur as it has to; too many parts.
    """
    return _opened(whole, 0, [PARTS_MAX])


def _opened(part: BodyPart, depth: int, left: list[int]) -> BodyPart:
    """Open a part; ``left`` holds the number of parts that may follow."""
    if depth > NESTED_MAX or not part.kind.startswith(MULTIPART) or part.content is None:
        return part
    return part._replace(parts=tuple([_opened(each, depth + 1, left) for each in _split(part, left)]))


def _split(whole: BodyPart, left: list[int]) -> list[BodyPart]:
    said = parameters(";" + whole.written_type.partition(";")[2])
    boundary = (said.get("boundary") or "").strip('"')
    if not _BOUNDARY.match(boundary):
        raise ParseError(400, Flaw.BAD_MULTIPART_BODY)
    delimiter = re.compile(rb"\r\n--" + re.escape(boundary.encode("ascii")) + rb"(--)?[ \t]*(?=\r\n|\Z)")
    body = b"\r\n" + whole.body
    found: list[BodyPart] = []
    begin = -1
    for each in delimiter.finditer(body):
        if begin >= 0:
            left[0] -= 1
            if left[0] < 0:
                break
            found.append(_part(body[begin : each.start()]))
        begin = each.end()
        if each[1] is not None:
            if not found:
                break
            return found
    raise ParseError(400, Flaw.BAD_MULTIPART_BODY)


def _part(data: bytes) -> BodyPart:
    """Read a part: the end of its delimiter's line, headers, which there may be none of, an empty line, content."""
    head, _, body = data.partition(b"\r\n\r\n")
    lines = _FOLD.sub(" ", head.decode("utf-8", "surrogateescape")).split("\r\n")[1:]
    fields = dict(map(_field, lines))
    get = fields.get
    return BodyPart(
        body,
        get("content-type", ""),
        get("content-disposition", ""),
        get("content-id", ""),
        get("content-transfer-encoding", ""),
        get("content-encoding", ""),
    )


def _field(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip().lower(), value.strip()


def is_identity(encoding: str) -> bool:
    """Return whether a Content-Encoding changes nothing."""
    return encoding.lower() in {"", "identity"}


def kind_of(said: str, body: bytes) -> str:
    """Return a media type in lower case and without parameters; a body that begins as a session description is one."""
    kind = "/".join(map(str.strip, said.partition(";")[0].lower().split("/")))
    return SESSION if not _TYPE.match(kind) and _BEGINS_AS_SESSION.match(body) else kind


# -- writing --------------------------------------------------------------------------------------------------------


def is_writable(part: BodyPart) -> bool:
    """Return whether a part can be written again: its type is one, and no header of it could end a line."""
    fields = (part.written_type, part.written_disposition, part.identifier, part.encoding, part.content_encoding)
    return bool(_WRITABLE_TYPE.match(part.written_type)) and all(
        len(each) <= FIELD_MAX and each.isprintable() for each in fields
    )


def composed(parts: Sequence[BodyPart]) -> tuple[str, bytes]:
    """Return the Content header lines and the body of a message with these parts; every one ``is_writable``.

    One alone is the body itself, unless it has an encoding: SIP has a transfer encoding only in parts.
    """
    if len(parts) == 1 and not (parts[0].encoding or parts[0].content_encoding):
        return _lines(parts[0]), parts[0].body
    boundary = _free_boundary(parts)
    mark = f"--{boundary}".encode()
    pieces = [mark + b"\r\n" + _lines(each).encode() + b"\r\n" + each.body + b"\r\n" for each in parts]
    return (
        f'MIME-Version: 1.0\r\nContent-Type: multipart/mixed;boundary="{boundary}"\r\n',
        b"".join(pieces) + mark + b"--\r\n",
    )


def _lines(part: BodyPart) -> str:
    fields = {
        "Content-Type": part.written_type,
        "Content-Disposition": part.written_disposition,
        "Content-ID": part.identifier,
        "Content-Transfer-Encoding": part.encoding,
        "Content-Encoding": part.content_encoding,
    }
    return "".join([f"{name}: {value}\r\n" for name, value in fields.items() if value])


def _free_boundary(parts: Sequence[BodyPart]) -> str:
    """Return a boundary that occurs in no part: a digest of all of them."""
    seed = b"".join([each.body for each in parts])
    while True:
        boundary = _MARK + sha256(seed).hexdigest()[:24]
        if not any(boundary.encode() in each.body for each in parts):
            return boundary
        seed = boundary.encode() + seed
