"""Addresses in a session description that mean something only inside its author's network (RFC 8866 5.2, 5.7).

Everything else stays as it is, byte for byte. The ports are the author's own and may be mapped to others, which
nobody can know from here: media come through where the other side answers to the source, or a relay does.
"""

import re
from typing import Final, Self

from vosd.base.host import is_private

_ADDRESS: Final = re.compile(
    rb"^((?:c=|o=\S+ \d+ \d+ |a=rtcp:\d+ )IN IP([46]) )([0-9A-Fa-f:.]{2,45})(?=[/\s]|\Z)", re.MULTILINE
)
"""Connection, origin, and where RTCP goes (RFC 3605)."""
_CANDIDATE: Final = b"\na=candidate:"


class Hidden(bytes):
    """A description as its author, who is behind NAT, wrote it.

    The same words said from another place are another description: its media are there now.
    """

    host: str
    """Where the author is seen."""

    def __new__(cls, session: bytes, host: str) -> Self:
        """Note where a description was said."""
        self = super().__new__(cls, session)
        self.host = host
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hidden) and self.host == other.host and bytes.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = bytes.__hash__

    def changed(self, session: bytes) -> "Hidden":
        """Return what has become of it, said at the same place."""
        return Hidden(session, self.host)

    def for_one_at(self, host: str) -> bytes:
        """Return it for somebody who is seen at ``host``.

        Whoever is behind the same NAT reaches its addresses as they are, and mostly no others: few routers send
        back inside what is meant for their outer address.
        """
        return bytes(self) if host == self.host else reachable_at(bytes(self), self.host)


def reachable_at(session: bytes, host: str) -> bytes:
    """Return a description whose private addresses are ``host``, where its author is seen.

    Public addresses, names, multicast and the zero address of a call on hold stay; so does an address of the other
    family, for which ``host`` cannot stand. A description with ICE candidates stays whole: ICE finds its way
    itself, and gives up where ``c=`` is no candidate (RFC 8839 section 4.2.5).
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
