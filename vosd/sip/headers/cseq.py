"""CSeq (RFC 3261 section 20.16): the order of requests within a dialog."""

import re
from typing import Final, NamedTuple

from vosd.sip.wire.errors import Flaw, ParseError
from vosd.sip.wire.grammar import TOKEN

_CSEQ: Final = re.compile(rf"(\d{{1,10}})\s+({TOKEN})\Z", re.ASCII)
COMMON_METHODS: Final = frozenset(("INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER", "UPDATE", "PRACK", "INFO"))
"""Methods whose characters need no check."""
UNREAD: Final = -1
"""Number of a CSeq that cannot be read, in a message accepted by ``sip.wire.lenient``."""


class CSeq(NamedTuple):
    """A sequence number below 2^31 and the method it counts."""

    number: int
    method: str

    @classmethod
    def parse(cls, text: str) -> "CSeq":
        """Parse ``4711 INVITE``."""
        digits, _, method = text.partition(" ")
        if method not in COMMON_METHODS or not (digits.isascii() and digits.isdigit() and len(digits) <= 10):
            match = _CSEQ.match(text)
            if not match:
                raise ParseError(400, Flaw.BAD_CSEQ)
            digits, method = match[1], match[2]
        number = int(digits)
        if number >= 1 << 31:
            raise ParseError(400, Flaw.CSEQ_OUT_OF_RANGE)
        return cls(number, method)
