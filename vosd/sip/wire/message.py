"""Received messages: the bytes, and typed access to headers (RFC 3261 section 7).

A message is immutable; messages to send are composed from scratch (``compose``).
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Final

import msgspec

from vosd.sip.headers.cseq import CSeq
from vosd.sip.headers.name_addr import NameAddr
from vosd.sip.headers.names import SPELLINGS, canonical
from vosd.sip.headers.via import Via
from vosd.sip.strictness.problems import request_problems, response_problems
from vosd.sip.wire.grammar import first_of, split_list
from vosd.sip.wire.uri import Uri


class _Index:
    """All header lines by name; built once, at the first access that needs it."""

    __slots__ = ("_elements", "fields", "values")

    def __init__(self, lines: list[str]) -> None:
        named = [line.split(":", 1) for line in lines]
        self.fields = [(canonical(name), value.strip()) for name, value in named]
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


def first_values(head: str) -> dict[str, str]:
    """Return the first value of each header by its canonical name; the head must have the usual form."""
    lines = head.split("\r\n")
    first: dict[str, str] = {}
    for line in lines[-2:0:-1]:  # from last to first, so that the first of equal names wins
        name, _, value = line.partition(": ")
        try:
            first[SPELLINGS[name]] = value
        except KeyError:
            first[canonical(name)] = value
    length = first.get("content-length")
    if length is not None and length[:1] == " ":
        first["content-length"] = length.lstrip(" ")
    return first


# The same head is asked for a few headers, one after the other.
_first_values: Final = lru_cache(maxsize=16)(first_values)


def header_in(head: str) -> Callable[[str], str | None]:
    """Return ``Message.header`` of a message of which usually no header is read."""
    return lambda name: _first_values(head).get(name)


class _ReadLater(msgspec.Struct, kw_only=True, eq=False, gc=False):
    """Parts of a message that are read when they are asked for."""

    fault: str | None = None
    """Fault that the strict parser refuses, in a message accepted by ``sip.wire.lenient``."""
    top_via: Via | None = None
    """The topmost Via as far as it was read; ``via`` reads it."""
    _cseq: CSeq | None = None
    _from: NameAddr | None = None
    _index: "_Index | None" = None
    _target: Uri | None = None
    required_types: tuple[str, ...] = ()
    """Types of the body's parts that the sender of a new INVITE requires to be passed (``sip.screening``)."""


class Message(_ReadLater, eq=False, gc=False):
    """Common part of requests and responses: what the scan has found, the header lines, and the body.

    A struct: made in a fifth of the time of another object.
    """

    raw: bytes
    _head: str
    """Start line and header lines, each with its line end; folded lines are joined."""
    _first: dict[str, str] | None
    """The first value of each header; None in a message of which usually none is read."""
    header: Callable[[str], str | None]
    """``header(name)``: the first value of a header by its canonical lower-case name, or None.

    It is the dictionary's own method for speed: a call reads some fifty headers.
    """
    body: bytes
    call_id: str
    """The Call-ID as written."""
    from_tag: str
    """The tag of From; empty if there is none."""
    to_tag: str
    """The tag of To; empty if there is none: then the request is outside any dialog."""
    sequence: int
    """The number of CSeq; ``UNREAD`` if it cannot be read."""

    def __bytes__(self) -> bytes:
        return self.raw

    @property
    def fields(self) -> Sequence[tuple[str, str]]:
        """All headers in order as (canonical lower-case name, value)."""
        return self._indexed().fields

    def values(self, name: str) -> Sequence[str]:
        """Return the value of each line of a header, in order."""
        value = self.header(name)
        if value is None:
            return []
        if self._first is None or self._index is not None or len(self._first) + 1 != self._head.count("\n"):
            return self._indexed().values[name]
        return [value]  # no header is on more than one line

    def comes_twice(self, name: str) -> bool:
        """Return whether a header occurs on more than one line."""
        if self._first is not None and len(self._first) + 1 == self._head.count("\n"):
            return False
        return len(self.values(name)) > 1

    def headers(self, name: str) -> Sequence[str]:
        """Return all values of a list header, split at commas."""
        value = self.header(name)
        if value is None:
            return []
        if self._first is None or self._index is not None or len(self._first) + 1 != self._head.count("\n"):
            return self._indexed().elements_of(name)
        if "," not in value:
            return [value] if value else []
        return [element for element in split_list(value) if element]

    @property
    def names(self) -> Iterable[str]:
        """The canonical names of all headers."""
        return self._indexed().values if self._first is None else self._first

    def listed(self) -> Iterable[tuple[str, str]]:
        """Return all headers as ``fields`` does, from what has been read already; a value may have blanks around it."""
        first = self._first
        if first is not None and len(first) + 1 == self._head.count("\n"):
            return reversed(first.items())
        return self.fields

    def _indexed(self) -> "_Index":
        if self._index is None:
            self._index = _Index(self._head.split("\r\n")[1:-1])
        return self._index

    @property
    def via(self) -> Via:
        """The topmost Via; raises ParseError."""
        if self.top_via is None:
            self.top_via = Via.parse(self.header("via") or "")
        return self.top_via

    @property
    def cseq(self) -> CSeq:
        """The CSeq; raises ParseError."""
        if self._cseq is None:
            self._cseq = CSeq.parse(self.header("cseq") or "")
        return self._cseq

    def settle(self, fault: str, *, via: Via | None = None, cseq: CSeq | None = None) -> None:
        """Note an ignored fault, and the replacements for headers that cannot be read."""
        self.fault = fault
        self.top_via = via or self.top_via
        if cseq is not None:
            self._cseq = cseq
            self.sequence = cseq.number

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
    def contact(self) -> NameAddr | None:
        """The first Contact, or None; raises ParseError."""
        value = self.header("contact")
        return None if value is None else NameAddr.parse(first_of(value))


class Request(Message, eq=False, gc=False):
    """A request; ``uri`` is the Request-URI in text."""

    method: str
    uri: str
    prefix: str = ""
    """Beginning of the keys of its transactions (RFC 3261 section 17.2.3), of a head in the usual form.

    Empty for any other head, whose grammar is not checked yet (``sip.repetitions.prefix_of``, ``sip.screening``).
    """

    @property
    def target(self) -> Uri:
        """The parsed Request-URI; raises ParseError with 400 or 416 (RFC 3261 section 8.2.2.1)."""
        if self._target is None:
            self._target = Uri.parse(self.uri)
        return self._target

    def problems(self) -> list[str]:
        """Return what a strict peer would refuse although it can be read, one sentence each."""
        return request_problems(self)

    def __repr__(self) -> str:
        return f"<{self.method} {self.uri} {self.call_id}>"


class Response(Message, eq=False, gc=False):
    """A response."""

    status: int
    reason: str
    key: str = ""
    """Key of the client transaction (RFC 3261 section 17.1.3), of a head in the usual form; else empty."""

    def problems(self) -> list[str]:
        """Return what a strict peer would refuse although it can be read, one sentence each."""
        return response_problems(self)

    def __repr__(self) -> str:
        return f"<{self.status} {self.reason} {self.call_id}>"
