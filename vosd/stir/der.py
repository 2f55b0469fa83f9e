"""Elements of DER (X.690), as far as extensions of signers' certificates are made of them."""

from collections.abc import Iterator
from typing import Final

SEQUENCE: Final = 0x30
IA5: Final = 0x16
UTF8: Final = 0x0C
INTEGER: Final = 0x02


def only(der: bytes, tag: int) -> bytes:
    """Return the content of the only element, which must have the tag; raises ValueError or IndexError."""
    (found, content), *others = elements(der)
    if found != tag or others:
        raise ValueError("another element is expected")
    return content


def elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and content of the elements that stand one behind the other; raises ValueError or IndexError."""
    at = 0
    while at < len(der):
        tag, length, at = der[at], der[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            if not 1 <= size <= 3:
                raise ValueError("no length of DER")
            length, at = int.from_bytes(der[at : at + size]), at + size
        if at + length > len(der):
            raise ValueError("an element is cut off")
        yield tag, der[at : at + length]
        at += length
