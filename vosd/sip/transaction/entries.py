"""Rest of a finished transaction: a mark, or the message to send again."""

from enum import Enum, auto
from typing import Final

import msgspec

from vosd.sip.headers.rack import Rack
from vosd.sip.wire.outgoing import Datagram, InviteParts


class Mark(Enum):
    """An entry without a message to send again."""

    ABSORB = auto()
    """Retransmissions are absorbed."""
    ACCEPTED = auto()
    """An INVITE answered with 2xx: retransmissions are absorbed, its ACK belongs to the dialog (RFC 6026).

    Written down beside the tag of that dialog, which other versions do not know.
    """
    CLOSED_DIALOG = auto()
    """A dialog that we have ended: a BYE that crossed ours is answered 200."""
    CLOSED_BEHIND_NAT = auto()
    """One with a peer behind NAT. Written down as ``CLOSED_DIALOG``, which other versions know."""


ABSORB: Final = Mark.ABSORB
CLOSED_DIALOG: Final = Mark.CLOSED_DIALOG
CLOSED_BEHIND_NAT: Final = Mark.CLOSED_BEHIND_NAT
"""The members as globals, which are read in a tenth of the time of a member."""


class ClosedEarly(msgspec.Struct, frozen=True, gc=False):
    """A dialog that we have ended before the PRACK of a reliable response, which is answered 200 (RFC 3262 3)."""

    overtaken: Rack
    is_behind_nat: bool
    """Whether the peer is behind NAT; not written down."""


class Unacknowledged(msgspec.Struct, frozen=True, gc=False):
    """An INVITE of ours with a 2xx whose ACK waits for the caller's answer; other forks may send a 2xx meanwhile."""

    parts: InviteParts
    to_tag: str
    """The tag of the 2xx that was accepted."""


Entry = Datagram | Mark | ClosedEarly | Unacknowledged | str
"""Text is our tag of a dialog: its INVITE was answered with 2xx, as ``ACCEPTED``, and may come again."""
