"""From, To and Contact: display name, address and parameters (RFC 3261 section 20.10)."""

import re
from typing import Final

import msgspec

from vosd.sip.wire.errors import Flaw, ParseError
from vosd.sip.wire.grammar import parameters

_NAME_ADDR: Final = re.compile(r'("(?:[^"\\]|\\.)*+"\s*+|[^<"]*+)<([^>]*+)>\s*+((?:;.*)?)\Z', re.DOTALL)
_ADDR_SPEC: Final = re.compile(r"([^<>\";\s]++)\s*+((?:;.*)?)\Z", re.DOTALL)
_TAG: Final = re.compile(r";\s*+tag\s*+=\s*+([^\s;,\"]+)", re.IGNORECASE)


class NameAddr(msgspec.Struct, frozen=True, gc=False):
    """A display name as written (with quotes), a URI as text, and the header's own parameters."""

    display: str
    uri: str
    params: str

    @classmethod
    def parse(cls, text: str) -> "NameAddr":
        """Parse ``"name" <uri>;params`` or ``uri;params``, where the parameters belong to the header."""
        match = _NAME_ADDR.match(text)
        if match:
            return cls(match[1].rstrip(), match[2].strip(), match[3])
        match = _ADDR_SPEC.match(text)
        if not match:
            raise ParseError(400, Flaw.BAD_ADDRESS)
        return cls("", match[1], match[2])

    @property
    def tag(self) -> str:
        """The tag; empty if there is none."""
        if '"' in self.params:  # quoted text is no parameter
            return self.param("tag") or ""
        match = _TAG.search(self.params)
        return match[1] if match else ""

    def param(self, name: str) -> str | None:
        """Return one of the header's parameters, or None."""
        return parameters(self.params).get(name)


def tag_of(text: str) -> str:
    """Return the tag of a From or To value, usually without parsing its address; empty if there is none."""
    # The header's parameters follow the last ">", unless that one is inside a quoted parameter.
    start = text.rfind(">") + 1 or text.find(";")
    if start < 0:
        return ""
    params = text[start:]
    if params[:5] == ";tag=" and params[5:].isalnum():
        return params[5:]
    if '"' in params:
        try:
            return NameAddr.parse(text).tag
        except ParseError:
            return ""
    match = _TAG.search(params)
    return match[1] if match else ""
