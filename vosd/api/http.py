"""Requests and answers of HTTP, within limits; a flaw of a request is an error with its status."""

import asyncio
import gzip
import json
import re
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping, MutableMapping
from contextlib import aclosing
from decimal import Decimal
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes
from urllib.request import parse_http_list

import msgspec

if TYPE_CHECKING:
    from vosd.admin.office.principal import Principal

BODY_BYTES_MAX: Final = 1_048_576
UNKNOWN_BODY_BYTES_MAX: Final = 16_384
"""Longest body of a sender that has proven nothing yet: one of 1 MiB may take a second to read."""
DEPTH_MAX: Final = 32
"""Levels of objects and lists in a body; definitions need fewer than ten."""
PART_S: Final = 30
"""Longest time between two parts of a body."""
COMPRESSED_FROM: Final = 1_024
"""Shorter answers are not compressed."""
JSON: Final = "application/json"
EVENT_STREAM: Final = "text/event-stream"
SENDER: Final = "vosd.sender"
"""Key of a scope: facts about the sender for the access log, once it is known."""

_PLACE: Final = re.compile(r"\(byte (\d+)\)")
"""Place in a body, as the parser says it."""
_HALF: Final = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u)")
"""The first half of a character that is written as two, without the second."""
_NOTHING_SAID: Final = {b"", b"{}", b"null"}
_WEIGHT: Final = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?", re.ASCII)
_ALWAYS: Final = (
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Referrer-Policy", "no-referrer"),
)
"""Headers of every answer that does not bring its own."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


def preferred(accept: str, forms: Iterable[str], plain: str = JSON) -> str:
    """Return the form that the header Accept weighs most, the first of equal ones; empty = ``plain`` (RFC 9110 12.5.1).

    A form has to be named. It weighs more than ``plain`` where that is named, too, and not less than a range with it.
    """
    weights: dict[str, float] = {}
    for each in accept.lower().split(","):
        name, *terms = (part.strip() for part in each.split(";"))
        given = next((term[2:] for term in terms if term.startswith("q=")), "1")
        weights[name] = float(given) if _WEIGHT.fullmatch(given) else 1.0
    best = max(forms, key=lambda form: weights.get(form, 0.0), default="")
    weight = weights.get(best, 0.0)
    range_weight = weights.get("application/*", weights.get("*/*", 0.0)) if plain and plain not in weights else 0.0
    return best if weight > weights.get(plain, 0.0) and weight >= range_weight else ""


class RequestError(Exception):
    """The request cannot be taken as it is; the rest is what the client reads."""

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        detail: str,
        *,
        field: str | None = None,
        remedy: str | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.field = field
        self.remedy = remedy
        self.headers = headers


class CutOffError(Exception):
    """An answer whose head was sent cannot be sent whole: its connection is closed, by which the client sees it."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer: its content at once, or as a stream."""

    status: int = HTTPStatus.OK
    content: bytes = b""
    packed: bytes = b""
    """The content compressed, where many get it; empty = it is compressed when it is sent."""
    stream: AsyncGenerator[bytes, None] | None = None
    is_live: bool = False
    """Whether each part of the stream is sent as it comes: it is not compressed, which would hold parts back."""
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    watch: Callable[[], Awaitable[None]] | None = None
    """Runs beside the stream, and raises when its client may have no more of it."""
    ended: Callable[[], None] | None = None
    """Called when it was sent, or cannot be."""


class HttpRequest:
    """A request, its body unread; paths and queries are UTF-8."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        """Raise RequestError where path or query are not UTF-8, or a parameter is given twice."""
        self._receive = receive
        self._scope = scope
        # HEAD is a GET whose content is not sent (RFC 9110, 9.3.2): ``send_answer`` leaves it out.
        self.method: str = "GET" if scope["method"] == "HEAD" else scope["method"]
        self.headers: dict[str, str] = {}
        for name, value in scope["headers"]:
            text = value.decode("latin-1")
            key = name.decode("latin-1")
            self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text
        client = scope.get("client")
        self.source: str = client[0] if client else ""
        self.path: list[str] = [_text(part, "the path") for part in scope["raw_path"].split(b"/")[1:]]
        self.query = _query(scope["query_string"])
        self.target: bytes = scope["raw_path"] + b"?" + scope["query_string"]
        self.content = b""
        """The body, once it was read."""
        self.is_carried_out = False
        """Whether a change that it orders was begun."""
        self.sender: Principal | None = None
        """The principal that sends it; None = it is not known yet."""

    def preferences(self) -> dict[str, str]:
        """Return how the client would like its answer, names in small letters; the first of a name holds (RFC 7240)."""
        wanted: dict[str, str] = {}
        for each in parse_http_list(self.headers.get("prefer", "")):
            name, _, value = each.partition(";")[0].partition("=")
            wanted.setdefault(name.strip().lower(), value.strip().strip('"'))
        return wanted

    async def says_something(self) -> bool:
        """Return whether it has a body with content; many clients send ``{}`` where none is wanted.

        Raises:
            RequestError: the body is too long.
        """
        if "transfer-encoding" not in self.headers and self.headers.get("content-length", "0") == "0":
            return False
        content = b"".join([part async for part in self.parts(UNKNOWN_BODY_BYTES_MAX)])
        return b"".join(content.split()) not in _NOTHING_SAID

    def name_sender(self, **facts: str | None) -> None:
        """Say who sends the request, for the access log; None = does not apply."""
        self._scope[SENDER] = {name: value for name, value in facts.items() if value is not None}

    async def parts(self, bytes_max: int) -> AsyncIterator[bytes]:
        """Yield the body; raises RequestError above so many bytes, or where no further part comes in time."""
        size, announced = 0, self.headers.get("content-length", "0")
        is_large = announced.isdecimal() and int(announced[:18]) > bytes_max
        while not is_large:
            try:
                async with asyncio.timeout(PART_S):
                    message = await self._receive()
            except TimeoutError as error:
                said = f"no part of the body has come for {PART_S} s"
                raise RequestError(HTTPStatus.REQUEST_TIMEOUT, "too_slow", said) from error
            if message["type"] == "http.disconnect":
                raise ConnectionResetError
            part = message.get("body", b"")
            size += len(part)
            is_large = size > bytes_max
            if not is_large:
                yield part
                if not message.get("more_body", False):
                    return
        raise RequestError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "body_too_large",
            f"a body has at most {bytes_max} bytes",
            headers=(("Connection", "close"),),
        )

    async def unless_gone(self, answering: Awaitable[Answer]) -> Answer:
        """Return an answer that takes long, to a request without a body; end it when the client has gone meanwhile.

        Raises:
            ConnectionResetError: the client has gone.
        """
        making, gone = asyncio.ensure_future(answering), asyncio.ensure_future(_gone(self._receive))
        try:
            await asyncio.wait({making, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not making.done():
                raise ConnectionResetError
            return making.result()
        finally:
            for task in (making, gone):
                task.cancel()
            await asyncio.gather(making, gone, return_exceptions=True)

    async def document(self, *content_types: str, bytes_max: int = BODY_BYTES_MAX) -> Any:
        """Return the JSON of the body; ``content_types`` are accepted beside JSON.

        Numbers with a point are ``Decimal``: one of a definition may be an amount.

        Raises:
            RequestError: it is none.
        """
        given = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if given not in {JSON, *content_types}:
            raise RequestError(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                "content_type",
                f"the content type is {given or 'missing'}",
                remedy=f"send {JSON}",
            )
        self.content = b"".join([part async for part in self.parts(bytes_max)])
        return document_of(self.content)


def document_of(content: bytes) -> Any:
    """Return the JSON of a body; numbers with a point are ``Decimal``. Raises RequestError: it is none."""
    try:
        msgspec.json.decode(content)  # refuses what json takes: numbers out of range, NaN, text that is no UTF-8
        document = json.loads(content, object_pairs_hook=_named_once, parse_float=Decimal)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _no_json(content, error) from error
    except RecursionError as error:
        raise _too_deep() from error
    level = [document]
    for _ in range(DEPTH_MAX):
        level = [inner for each in level for inner in _inside(each)]
    if any(isinstance(each, dict | list) for each in level):  # readers of definitions call themselves at each level
        raise _too_deep()
    return document


def _no_json(content: bytes, error: Exception) -> RequestError:
    """Return the refusal of a body that no parser takes, without the words of the parser."""
    place = _PLACE.search(str(error))
    status, code = HTTPStatus.BAD_REQUEST, "bad_json"
    if not content.strip():
        return RequestError(status, code, "the body is empty", remedy="send a JSON object")
    if isinstance(error, UnicodeDecodeError):
        return RequestError(status, code, "the body is no JSON: its text is not UTF-8", remedy="save it as UTF-8")
    if isinstance(error, msgspec.ValidationError):
        said = "the body is no JSON: a number in it is too great"
        return RequestError(status, code, said, remedy="write a smaller number")
    if place is None and content.rstrip()[-1:] in b'}]"' and (half := _HALF.search(content)):
        said = f"the body is no JSON: `{half[0].decode()}` in it is half of a character"
        return RequestError(status, code, said, remedy="write its other half behind it, or leave it out")
    if place is None:
        said = "the body is no JSON: it ends too early"
        return RequestError(status, code, said, remedy="close each bracket and quote, and send the whole body")
    before = content[: int(place[1])]
    line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
    said = f"the body is no JSON: line {line} is wrong at byte {column}"
    remedy = "look there and just before it: names and texts stand in double quotes, and commas only between values"
    return RequestError(status, code, said, remedy=remedy)


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _too_deep() -> RequestError:
    said = f"the body has more than {DEPTH_MAX} levels of objects and lists"
    return RequestError(HTTPStatus.BAD_REQUEST, "bad_json", said)


def _named_once(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for name, value in fields:
        if name in named:
            raise RequestError(HTTPStatus.BAD_REQUEST, "field_repeated", f"`{name}` is given twice", field=name)
        named[name] = value
    return named


def _text(quoted: bytes, what: str) -> str:
    try:
        text = unquote_to_bytes(quoted).decode()
    except UnicodeDecodeError as error:
        raise RequestError(HTTPStatus.BAD_REQUEST, "bad_text", f"{what} is not UTF-8") from error
    if not text.isprintable():
        raise RequestError(HTTPStatus.BAD_REQUEST, "bad_text", f"{what} has control characters")
    return text


def _query(text: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in filter(None, text.split(b"&")):
        quoted_name, _, quoted = (part.replace(b"+", b" ") for part in _halves(pair))
        name = _text(quoted_name, "the query")
        value = _text(_LINE_ENDS.sub(b" ", quoted) if name in _PARAGRAPHS else quoted, "the query")
        if name in found:
            raise RequestError(HTTPStatus.BAD_REQUEST, "parameter_repeated", f"`{name}` is given twice", field=name)
        found[name] = value
    return found


_PARAGRAPHS: Final = frozenset({"error_description"})
"""Parameters whose text is by others, and may have lines, as those of Entra ID do."""
_LINE_ENDS: Final = re.compile(rb"(?:%0[ad])+", re.IGNORECASE)


def _halves(pair: bytes) -> tuple[bytes, bytes, bytes]:
    name, equals, value = pair.partition(b"=")
    return name, equals, value


async def send_answer(
    send: Send, receive: Receive, answer: Answer, asked: Mapping[str, str], *, method: str = "GET"
) -> None:
    """Send an answer, compressed where the client takes that; a stream ends when the client has gone.

    The answer to a HEAD is that to a GET without its content; a stream is not begun. Raises what keeps a stream from
    its end, and what ``answer.watch`` raises meanwhile.
    """
    is_head = method == "HEAD"
    packs = "gzip" in asked.get("accept-encoding", "") and (
        not answer.is_live if answer.stream is not None else len(answer.content) >= COMPRESSED_FROM
    )
    named = {name for name, _ in answer.headers}
    headers = [*(each for each in _ALWAYS if each[0] not in named), *answer.headers]
    if answer.content or answer.stream is not None:
        headers.append(("Content-Type", answer.content_type))
    if packs:
        headers += [("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")]
    if answer.stream is None:
        content = (answer.packed or compressed(answer.content)) if packs else answer.content
        if answer.status != HTTPStatus.NO_CONTENT:
            headers.append(("Content-Length", str(len(content))))
        await send(_start(answer.status, headers))
        await send({"type": "http.response.body", "body": b"" if is_head else content})
        return
    await send(_start(answer.status, headers))
    if is_head:
        await answer.stream.aclose()
        await send({"type": "http.response.body", "body": b""})
        return
    sending = asyncio.ensure_future(_send_parts(send, answer.stream, zlib.compressobj(1, wbits=31) if packs else None))
    tasks = {sending, asyncio.ensure_future(_gone(receive))}
    if answer.watch is not None:
        tasks.add(asyncio.ensure_future(answer.watch()))
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def compressed(content: bytes) -> bytes:
    """Return content as it is sent to clients that take it so."""
    return gzip.compress(content, compresslevel=1, mtime=0)


async def _send_parts(send: Send, parts: AsyncGenerator[bytes, None], packer: Any) -> None:
    async with aclosing(parts):
        async for part in parts:
            body = packer.compress(part) if packer else part
            await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body", "body": packer.flush() if packer else b""})


async def _gone(receive: Receive) -> None:
    """Return when the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _start(status: int, headers: list[tuple[str, str]]) -> dict[str, Any]:
    encoded = [(name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers]
    return {"type": "http.response.start", "status": status, "headers": encoded}
