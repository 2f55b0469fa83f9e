"""Received messages: the bytes, and typed access to headers (RFC 3261 section 7).

A message is immutable; messages to send are composed from scratch (``compose``).
"""

from collections.abc import Callable, Sequence

from vosd.sip.headers.cseq import CSeq
from vosd.sip.headers.name_addr import NameAddr, tag_of
from vosd.sip.headers.names import CANONICAL
from vosd.sip.headers.via import Via
from vosd.sip.wire.grammar import first_of, split_list
from vosd.sip.wire.strictness import request_problems, response_problems
from vosd.sip.wire.uri import Uri


class _Index:
    """All header lines by name; built once, at the first access that needs it."""

    __slots__ = ("_elements", "fields", "values")

    def __init__(self, lines: list[str]) -> None:
        named = [line.split(":", 1) for line in lines]
        self.fields = [(CANONICAL[name], value.strip()) for name, value in named]
        self.values: dict[str, list[str]] = {}
        for name, value in self.fields:
            self.values.setdefault(name, []).append(value)
        self._elements: dict[str, list[str]] = {}

    def elements_of(self, name: str) -> list[str]:
        elements = self._elements.get(name)
        if elements is None:
            elements = [element for value in self.values[name] for element in split_list(value) if element]
            self._elements[name] = elements
        return elements


class Message:
    """Common part of requests and responses: the header lines, and the first value of each name."""

    __slots__ = (
        "_contact",
        "_cseq",
        "_first",
        "_from",
        "_from_tag",
        "_index",
        "_lines",
        "_to_tag",
        "_via",
        "body",
        "fault",
        "header",
        "raw",
    )

    def __init__(self, raw: bytes, lines: list[str], first: dict[str, str], body: bytes) -> None:
        self.raw = raw
        self._lines = lines
        self._first = first
        self.body = body
        self.fault: str | None = None
        """Fault that the strict parser refuses, in a message accepted by ``sip.wire.lenient``."""
        self.header: Callable[[str], str | None] = first.get
        """``header(name)``: the first value of a header by its canonical lower-case name, or None.

        It is the dictionary's own method for speed: a call reads some fifty headers.
        """
        self._via: Via | None = None
        self._cseq: CSeq | None = None
        self._from: NameAddr | None = None
        self._from_tag: str | None = None
        self._to_tag: str | None = None
        self._contact: NameAddr | None = None
        self._index: _Index | None = None

    def __bytes__(self) -> bytes:
        return self.raw

    @property
    def fields(self) -> Sequence[tuple[str, str]]:
        """All headers in order as (canonical lower-case name, value)."""
        return self._indexed().fields

    def values(self, name: str) -> Sequence[str]:
        """Return the value of each line of a header, in order."""
        if name not in self._first:
            return []
        if len(self._first) == len(self._lines):  # no name comes twice
            return [self._first[name]]
        return self._indexed().values[name]

    def comes_twice(self, name: str) -> bool:
        """Return whether a header occurs on more than one line."""
        return len(self._first) != len(self._lines) and len(self.values(name)) > 1

    def headers(self, name: str) -> Sequence[str]:
        """Return all values of a list header, split at commas."""
        if name not in self._first:
            return []
        if len(self._first) == len(self._lines):
            return [element for element in split_list(self._first[name]) if element]
        return self._indexed().elements_of(name)

    def _indexed(self) -> "_Index":
        if self._index is None:
            self._index = _Index(self._lines)
        return self._index

    @property
    def call_id(self) -> str:
        """The Call-ID as written."""
        return self._first.get("call-id", "")

    @property
    def via(self) -> Via:
        """The topmost Via; raises ParseError."""
        if self._via is None:
            self._via = Via.parse(self.header("via") or "")
        return self._via

    @property
    def cseq(self) -> CSeq:
        """The CSeq; raises ParseError."""
        if self._cseq is None:
            self._cseq = CSeq.parse(self.header("cseq") or "")
        return self._cseq

    def settle(self, fault: str, *, via: Via | None = None, cseq: CSeq | None = None) -> None:
        """Note an ignored fault, and the replacements for headers that cannot be read."""
        self.fault = fault
        self._via = via or self._via
        self._cseq = cseq or self._cseq

    @property
    def from_(self) -> NameAddr:
        """From; raises ParseError."""
        if self._from is None:
            self._from = NameAddr.parse(self.header("from") or "")
        return self._from

    @property
    def to(self) -> NameAddr:
        """To; raises ParseError."""
        return NameAddr.parse(self.header("to") or "")

    @property
    def from_tag(self) -> str:
        """The tag of From; empty if there is none."""
        if self._from_tag is None:
            self._from_tag = tag_of(self.header("from") or "")
        return self._from_tag

    @property
    def to_tag(self) -> str:
        """The tag of To; empty if there is none: then the request is outside any dialog."""
        if self._to_tag is None:
            self._to_tag = tag_of(self.header("to") or "")
        return self._to_tag

    @property
    def contact(self) -> NameAddr | None:
        """The first Contact, or None; raises ParseError."""
        value = self.header("contact")
        if self._contact is None and value is not None:
            self._contact = NameAddr.parse(first_of(value))
        return self._contact


class Request(Message):
    """A request; ``uri`` is the Request-URI in text."""

    __slots__ = ("_target", "method", "uri")

    def __init__(
        self,
        raw: bytes,
        lines: list[str],
        first: dict[str, str],
        body: bytes,
        method: str,
        uri: str,
    ) -> None:
        super().__init__(raw, lines, first, body)
        self.method = method
        self.uri = uri
        self._target: Uri | None = None

    @property
    def target(self) -> Uri:
        """The parsed Request-URI; raises ParseError with 400 or 416 (RFC 3261 section 8.2.2.1)."""
        if self._target is None:
            self._target = Uri.parse(self.uri)
        return self._target

    def problems(self) -> list[str]:
        """Return what a strict peer would refuse, one sentence each; empty for a valid request."""
        return request_problems(self)

    def __repr__(self) -> str:
        return f"<{self.method} {self.uri} {self.call_id}>"


class Response(Message):
    """A response."""

    __slots__ = ("reason", "status")

    def __init__(
        self,
        raw: bytes,
        lines: list[str],
        first: dict[str, str],
        body: bytes,
        status: int,
        reason: str,
    ) -> None:
        super().__init__(raw, lines, first, body)
        self.status = status
        self.reason = reason

    def problems(self) -> list[str]:
        """Return what a strict peer would refuse, one sentence each; empty for a valid response."""
        return response_problems(self)

    def __repr__(self) -> str:
        return f"<{self.status} {self.reason} {self.call_id}>"
