"""CSeq (RFC 3261 section 20.16): the order of requests within a dialog."""

import re
from typing import Final, NamedTuple

from vosd.sip.errors import ParseError
from vosd.sip.grammar import TOKEN

_CSEQ: Final = re.compile(rf"(\d{{1,10}})\s+({TOKEN})\Z", re.ASCII)


class CSeq(NamedTuple):
    """A sequence number below 2^31 and the method it counts."""

    number: int
    method: str

    @classmethod
    def parse(cls, text: str) -> "CSeq":
        """Read ``4711 INVITE``.

        Raises:
            ParseError: 400.
        """
        match = _CSEQ.match(text)
        if not match:
            raise ParseError(400, "Bad CSeq")
        number = int(match[1])
        if number >= 1 << 31:
            raise ParseError(400, "CSeq Out of Range")
        return cls(number, match[2])
