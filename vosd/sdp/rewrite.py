"""Replace addresses that are valid only inside their author's network (RFC 8866 sections 5.2 and 5.7).

Everything else stays unchanged, byte for byte. The NAT may map the ports to others, which cannot be known here: media
work if the other side answers to the source, or through a relay.
"""

import re
from typing import Final, Self

from vosd.base.host import is_private

_ADDRESS: Final = re.compile(
    rb"^((?:c=|o=\S+ \d+ \d+ |a=rtcp:\d+ )IN IP([46]) )([0-9A-Fa-f:.]{2,45})(?=[/\s]|\Z)", re.MULTILINE
)
"""Connection, origin, and destination of RTCP (RFC 3605)."""
_CANDIDATE: Final = b"\na=candidate:"


BY_SWITCH: Final = -1
"""In place of the number of a leg: the switch has written the description, with places of its own."""


class Authored(bytes):
    """A description that names its author: the leg whose media it describes."""

    author: int
    """Number of the leg; 0 = media are not handled, so that it need not be known."""
    is_repeated: bool = False
    """Whether its reader has it already: the author may have said something else since, which was refused."""

    def __new__(cls, session: bytes, author: int = 0) -> Self:
        """Combine a description with the number of its author."""
        self = super().__new__(cls, session)
        self.author = author
        return self

    def changed(self, session: bytes) -> "Authored":
        """Return a changed description of the same author."""
        return Authored(session, self.author)


class Hidden(Authored):
    """A description of an author behind NAT, as received.

    The same text received from another address is a different description: its media are there.
    """

    host: str
    """Address at which the author is seen."""

    def __new__(cls, session: bytes, host: str, author: int = 0) -> Self:
        """Combine a description with the address and the number of its author."""
        self = super().__new__(cls, session, author)
        self.host = host
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hidden) and self.host == other.host and bytes.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = bytes.__hash__

    def changed(self, session: bytes) -> "Hidden":
        """Return a changed description of the same author."""
        return Hidden(session, self.host, self.author)

    def for_one_at(self, host: str) -> bytes:
        """Return the description for a peer seen at ``host``.

        A peer behind the same NAT reaches its private addresses, and usually not the public one: few routers send
        packets for their outer address back inside.
        """
        return bytes(self) if host == self.host else reachable_at(bytes(self), self.host)


def reachable_at(session: bytes, host: str) -> bytes:
    """Return a description with ``host``, where its author is seen, in place of private addresses.

    Public addresses, names, multicast and the zero address of hold are kept; so is an address of another family than
    ``host``. A description with ICE candidates is not changed: ICE finds a path itself, and fails if ``c=`` is no
    candidate (RFC 8839 section 4.2.5).
    """
    if _CANDIDATE in session:
        return session
    family = b"6" if ":" in host else b"4"
    address = host.encode()

    def replaced(match: re.Match[bytes]) -> bytes:
        if match[2] != family or not is_private(match[3].decode()):
            return match[0]
        return match[1] + address

    return _ADDRESS.sub(replaced, session)
