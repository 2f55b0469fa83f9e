"""RAck (RFC 3262 section 7.2): the reliable provisional response that a PRACK acknowledges."""

import re
from typing import Final, NamedTuple

from vosd.sip.wire.errors import Flaw, ParseError
from vosd.sip.wire.message import Request

_RACK: Final = re.compile(r"(\d{1,10})\s+(\d{1,10})\s+INVITE\Z", re.ASCII)


class Rack(NamedTuple):
    """A reliable provisional response: its RSeq, and the CSeq of the INVITE."""

    response: int
    invite: int

    @classmethod
    def of(cls, request: Request) -> "Rack":
        """Read the RAck of a PRACK."""
        rack = cls.in_(request)
        if rack is None:
            raise ParseError(400, Flaw.BAD_RACK, request)
        return rack

    @classmethod
    def in_(cls, request: Request) -> "Rack | None":
        """Read the RAck of a PRACK; None if it cannot be read."""
        match = _RACK.match(request.header("rack") or "")
        return None if match is None else cls(int(match[1]), int(match[2]))
