"""Parse bytes to a message (RFC 3261 section 7): start line, header lines and body.

Header values stay text until they are accessed; bytes that are not UTF-8 become surrogates.
"""

import re
from typing import Final, NamedTuple, NoReturn

from vosd.sip.headers.cseq import COMMON_METHODS, UNREAD, CSeq
from vosd.sip.headers.name_addr import tag_of
from vosd.sip.headers.names import SPELLINGS, MalformedNameError, canonical
from vosd.sip.headers.via import Via
from vosd.sip.settings import Limits
from vosd.sip.wire.errors import Flaw, ParseError
from vosd.sip.wire.grammar import TOKEN, parameters
from vosd.sip.wire.message import Request, Response, first_values, header_in
from vosd.sip.wire.usual import USUAL_REQUEST, USUAL_RESPONSE

_FOLD: Final = re.compile(r"\r?\n[ \t]+")
_VERSION: Final = re.compile(r"SIP/(\d+\.\d+)\Z", re.IGNORECASE)
_METHOD: Final = re.compile(rf"{TOKEN}\Z", re.ASCII)
_ONCE: Final = {
    "call-id": Flaw.MORE_THAN_ONE_CALL_ID,
    "content-length": Flaw.MORE_THAN_ONE_CONTENT_LENGTH,
    "cseq": Flaw.MORE_THAN_ONE_CSEQ,
    "from": Flaw.MORE_THAN_ONE_FROM,
    "max-forwards": Flaw.MORE_THAN_ONE_MAX_FORWARDS,
    "to": Flaw.MORE_THAN_ONE_TO,
}
_REQUIRED: Final = {
    "via": Flaw.MISSING_VIA,
    "from": Flaw.MISSING_FROM,
    "to": Flaw.MISSING_TO,
    "call-id": Flaw.MISSING_CALL_ID,
    "cseq": Flaw.MISSING_CSEQ,
}
_LIMITS: Final = Limits()
HEADERS_MAX: Final = 16_384
"""Most characters of all header fields together, unless one alone may have more: answers repeat a part of them, and are
kept for 32 s. An INVITE with ten signed identities has half of it.
"""


class _StartLineFlaw(NamedTuple):
    """Fault of a request line, and the status for it."""

    status: int
    reason: Flaw


_OTHER_VERSION: Final = _StartLineFlaw(505, Flaw.VERSION_NOT_SUPPORTED)
_BLANKS_AT_END: Final = _StartLineFlaw(400, Flaw.BLANKS_AT_THE_END_OF_THE_REQUEST_LINE)


def parse_message(data: bytes, limits: Limits = _LIMITS) -> Request | Response:
    """Parse one datagram: by one scan where its head has the usual form, else rule by rule.

    Raises:
        ParseError: with the status for the response, or 0 where none may be sent.
    """
    end = data.find(b"\r\n\r\n") + 2
    if 2 <= end <= limits.max_line_chars and len(data) <= limits.max_message_bytes:
        head = data[:end].decode("utf-8", "surrogateescape")
        # A line has at least five characters here, so that most heads need no count.
        if end <= 5 * limits.max_headers or head.count("\n") <= limits.max_headers:
            message = (_scan_response if data[:4] == b"SIP/" else _scan_request)(data, head, end + 2)
            if message is not None:
                return message
    return read_by_rules(data, limits)


def _scan_request(data: bytes, head: str, body_start: int) -> Request | None:
    """Return a request whose head has the usual form; None if the rules must judge it."""
    found = USUAL_REQUEST.match(head)
    if found is None:
        return None
    (method, uri, via, transport, host, port, before, branch, behind, from_tag, to, to_tag, call_id, sequence, counted,
     length, _) = found.groups()  # fmt: skip
    if counted != method or via is None or from_tag is None or to is None or call_id is None:
        return None
    body = data[body_start:]
    if length is not None and len(body) != (size := int(length)):
        if len(body) < size:
            return None
        body = body[:size]
    extra = before + behind
    params: dict[str, str | None] = {"branch": branch}
    if extra == ";rport":
        params["rport"] = None
    elif extra:
        params = parameters(f"{before};branch={branch}{behind}")
    first = None if method == "ACK" else first_values(head)
    return Request(
        data,
        head,
        first,
        header_in(head) if first is None else first.get,
        body,
        call_id,
        from_tag,
        to_tag or "",
        int(sequence),
        method,
        uri,
        f"{branch} {host}:{port} ",
        top_via=Via(transport, host, int(port) if port else None, params, len(via)),
    )


def _scan_response(data: bytes, head: str, body_start: int) -> Response | None:
    """Return a response whose head has the usual form; None if the rules must judge it."""
    found = USUAL_RESPONSE.match(head)
    if found is None:
        return None
    status, reason, branch, from_tag, to, to_tag, call_id, sequence, counted, length, _ = found.groups()
    if counted is None or branch is None or from_tag is None or to is None or call_id is None:
        return None
    body = data[body_start:]
    if length is not None and len(body) != (size := int(length)):
        if len(body) < size:
            return None
        body = body[:size]
    first = first_values(head) if counted == "INVITE" and status != "100" else None
    return Response(
        data,
        head,
        first,
        header_in(head) if first is None else first.get,
        body,
        call_id,
        from_tag,
        to_tag or "",
        int(sequence),
        int(status),
        reason.strip() if reason else "",
        f"{branch} {counted}",
    )


def read_by_rules(data: bytes, limits: Limits) -> Request | Response:
    """Parse one datagram rule by rule: the general parser, which judges every fault.

    Raises:
        ParseError: with the status for the response, or 0 where none may be sent.
    """
    if len(data) > limits.max_message_bytes:
        _refuse_oversized(data, limits)
    text = data.lstrip(b"\r\n")  # RFC 3261 section 7.5: empty lines before the start line are no fault
    if not text:
        raise ParseError(0, Flaw.EMPTY_DATAGRAM)
    head_end = text.find(b"\r\n\r\n")
    body_start = head_end + 4
    if head_end < 0:
        # Some devices end lines with a bare LF; RFC 3261 section 7 requires CRLF.
        head_end = text.find(b"\n\n")
        body_start = head_end + 2
    torn = head_end < 0
    lines, line_fault = _split_lines((text if torn else text[:head_end]).decode("utf-8", "surrogateescape"))
    start_line = lines.pop(0)
    kind = _read_start_line(start_line)
    lines, first, fault = _read_headers(lines, limits)
    body = b"" if torn else text[body_start:]
    head = "\r\n".join([start_line, *lines, ""])
    from_tag, to_tag = tag_of(first.get("from", "")), tag_of(first.get("to", ""))
    known = first.get, body, first.get("call-id", ""), from_tag, to_tag, _sequence_in(first.get("cseq", ""))
    message: Request | Response
    if isinstance(kind, int):
        message = Response(data, head, first, *known, kind, start_line[12:].strip())
    else:
        message = Request(data, head, first, *known, kind[0], kind[1])
        if kind[2] is not None:
            raise ParseError(kind[2].status, kind[2].reason, message)
    if torn:
        fault = Flaw.MESSAGE_ENDS_INSIDE_THE_HEADERS
    fault = line_fault or fault or _missing(first) or fit_body(message)
    if fault:
        _refuse(message, fault)
    return message


def _sequence_in(cseq: str) -> int:
    try:
        return CSeq.parse(cseq).number
    except ParseError:
        return UNREAD


def _split_lines(head: str) -> tuple[list[str], Flaw | None]:
    """Return the lines, folded ones joined (section 7.3.1), and the fault of their line ends, if any.

    Bare line feeds count as line ends. A bare carriage return is a fault: in text that we send back, some parser might
    take it for the end of a header.
    """
    if "\n " in head or "\n\t" in head:
        head = _FOLD.sub(" ", head)
    lines = head.split("\r\n")
    ends = len(lines) - 1
    if head.count("\n") == ends == head.count("\r"):
        return lines, None
    head = head.replace("\r\n", "\n")
    line_fault = Flaw.BARE_CARRIAGE_RETURN if "\r" in head else None
    return head.replace("\r", " ").split("\n"), line_fault


def _read_start_line(line: str) -> int | tuple[str, str, _StartLineFlaw | None]:
    """Return a response's status, or a request's method, its URI and its fault, if any."""
    method, _, rest = line.partition(" ")
    if method in COMMON_METHODS and rest[-8:] == " SIP/2.0":
        return method, rest[:-8], None
    if line[:8].upper() == "SIP/2.0 ":
        status = line[8:11]
        if status.isascii() and status.isdigit() and "100" <= status < "700" and line[11:12] in ("", " "):
            return int(status)
        raise ParseError(0, Flaw.BAD_STATUS_LINE)
    whole = line.rstrip(" \t")
    uri, _, written = whole[len(method) + 1 :].rpartition(" ")
    version = _VERSION.match(written)
    if not uri or not version or not _METHOD.match(method):
        raise ParseError(0, Flaw.NOT_SIP)
    if version[1] != "2.0":
        return method, uri, _OTHER_VERSION
    return method, uri, _BLANKS_AT_END if whole != line else None


def _read_headers(lines: list[str], limits: Limits) -> tuple[list[str], dict[str, str], Flaw | None]:
    """Return the header lines, the first value of each name as written, and their fault, if any."""
    if len(lines) > limits.max_headers or sum(map(len, lines)) > limits.max_line_chars:
        lines, fault = _within(lines, limits)
    else:
        fault = None
    try:
        first = _first_of(lines)
    except ValueError:
        lines = [line for line in lines if _is_header(line)]
        first = _first_of(lines)
        fault = fault or Flaw.MALFORMED_HEADER
    if len(first) != len(lines):
        fault = fault or _repeated(lines)
    return lines, first, fault


def _first_of(lines: list[str]) -> dict[str, str]:
    """Return the first value of each header by its canonical name; raises ValueError for a line that is no header."""
    first: dict[str, str] = {}
    for line in reversed(lines):  # so that the first of equal names wins
        name, value = line.split(":", 1)
        first[SPELLINGS.get(name) or canonical(name)] = value.strip()
    return first


def _within(lines: list[str], limits: Limits) -> tuple[list[str], Flaw | None]:
    """Remove what exceeds a limit, and return the fault."""
    fault = Flaw.TOO_MANY_HEADERS if len(lines) > limits.max_headers else None
    kept = [line for line in lines[: limits.max_headers] if len(line) <= limits.max_line_chars]
    if len(kept) < min(len(lines), limits.max_headers):
        fault = fault or Flaw.HEADER_TOO_LONG
    if sum(map(len, kept)) > max(HEADERS_MAX, limits.max_line_chars):
        fault = fault or Flaw.HEADERS_TOO_LONG
    return kept, fault


def _is_header(line: str) -> bool:
    name, colon, _ = line.partition(":")
    try:
        return bool(colon and canonical(name))
    except MalformedNameError:
        return False


def _repeated(lines: list[str]) -> Flaw | None:
    """Return a header that occurs more than once and must not."""
    names = [canonical(line.partition(":")[0]) for line in lines]
    return next((flaw for name, flaw in _ONCE.items() if names.count(name) > 1), None)


def _missing(first: dict[str, str]) -> Flaw | None:
    for name, flaw in _REQUIRED.items():
        if name not in first:
            return flaw
    return None


def fit_body(message: Request | Response) -> Flaw | None:
    """Cut the body to its Content-Length; return the fault where that is impossible (RFC 3261 section 18.3)."""
    length = message.header("content-length")
    if length is None:
        return None
    if not (length.isascii() and length.isdigit() and len(length) < 10):
        return Flaw.BAD_CONTENT_LENGTH
    body, wanted = message.body, int(length)
    if wanted > len(body):
        return Flaw.CONTENT_LENGTH_LARGER_THAN_THE_MESSAGE
    if wanted < len(body):
        message.body = body[:wanted]
    return None


def _refuse(message: Request | Response, fault: Flaw) -> NoReturn:
    if isinstance(message, Response):
        raise ParseError(0, fault, response=message)
    raise ParseError(400, fault, message)


def _refuse_oversized(data: bytes, limits: Limits) -> NoReturn:
    """Refuse with 513, parsing only as much of the message as is allowed."""
    try:
        start = parse_message(data[: limits.max_message_bytes // 2], limits)
    except ParseError as error:
        request = error.request
    else:
        request = start if isinstance(start, Request) else None
    raise ParseError(513 if request else 0, Flaw.MESSAGE_TOO_LARGE, request)
