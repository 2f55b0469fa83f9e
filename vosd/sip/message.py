"""Messages as they came: the bytes, and typed access to what is asked for (RFC 3261 section 7).

A message is read once and never changed; what the switch sends is composed anew (``compose``).
"""

from vosd.sip.grammar import split_list
from vosd.sip.headers.cseq import CSeq
from vosd.sip.headers.name_addr import NameAddr, tag_of
from vosd.sip.headers.via import Via


class Message:
    """What requests and responses share.

    ``fields`` holds every header in order as (canonical lower-case name, value); compact names are expanded.
    """

    __slots__ = ("_contact", "_cseq", "_first", "_from", "_via", "body", "fields", "raw")

    def __init__(self, raw: bytes, fields: list[tuple[str, str]], first: dict[str, str], body: bytes) -> None:
        self.raw = raw
        self.fields = fields
        self._first = first
        self.body = body
        self._via: Via | None = None
        self._cseq: CSeq | None = None
        self._from: NameAddr | None = None
        self._contact: NameAddr | None = None

    def __bytes__(self) -> bytes:
        return self.raw

    def header(self, name: str) -> str | None:
        """Return the first value of a header by its canonical lower-case name."""
        return self._first.get(name)

    def headers(self, name: str) -> list[str]:
        """Return all values of a header that may be a list, commas taken apart."""
        if name not in self._first:
            return []
        return [item for key, value in self.fields if key == name for item in split_list(value) if item]

    @property
    def call_id(self) -> str:
        """The Call-ID as written."""
        return self._first.get("call-id", "")

    @property
    def via(self) -> Via:
        """The topmost Via; raises ParseError."""
        if self._via is None:
            self._via = Via.parse(self._first.get("via", ""))
        return self._via

    @property
    def cseq(self) -> CSeq:
        """The CSeq; raises ParseError."""
        if self._cseq is None:
            self._cseq = CSeq.parse(self._first.get("cseq", ""))
        return self._cseq

    @property
    def from_(self) -> NameAddr:
        """From; raises ParseError."""
        if self._from is None:
            self._from = NameAddr.parse(self._first.get("from", ""))
        return self._from

    @property
    def to(self) -> NameAddr:
        """To; raises ParseError."""
        return NameAddr.parse(self._first.get("to", ""))

    @property
    def from_tag(self) -> str:
        """The tag of From, empty when there is none."""
        return tag_of(self._first.get("from", ""))

    @property
    def to_tag(self) -> str:
        """The tag of To, empty when there is none: then the request is outside any dialog."""
        return tag_of(self._first.get("to", ""))

    @property
    def contact(self) -> NameAddr | None:
        """The first Contact, or None; raises ParseError."""
        value = self._first.get("contact")
        if self._contact is None and value is not None:
            self._contact = NameAddr.parse(split_list(value)[0])
        return self._contact


class Request(Message):
    """A request; ``uri`` is the Request-URI in text, read when it is needed."""

    __slots__ = ("method", "uri")

    def __init__(
        self,
        raw: bytes,
        fields: list[tuple[str, str]],
        first: dict[str, str],
        body: bytes,
        method: str,
        uri: str,
    ) -> None:
        super().__init__(raw, fields, first, body)
        self.method = method
        self.uri = uri

    def __repr__(self) -> str:
        return f"<{self.method} {self.uri} {self.call_id}>"


class Response(Message):
    """A response."""

    __slots__ = ("reason", "status")

    def __init__(
        self,
        raw: bytes,
        fields: list[tuple[str, str]],
        first: dict[str, str],
        body: bytes,
        status: int,
        reason: str,
    ) -> None:
        super().__init__(raw, fields, first, body)
        self.status = status
        self.reason = reason

    def __repr__(self) -> str:
        return f"<{self.status} {self.reason} {self.call_id}>"
