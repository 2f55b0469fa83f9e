"""Times of retransmission, by kind of message (RFC 3261 section 17, RFC 3262)."""

from typing import Final

import msgspec


class RetransmissionPace(msgspec.Struct, frozen=True):
    """Times at which a message is retransmitted."""

    has_ceiling: bool
    """Whether the interval doubles up to T2 only."""
    is_listed: bool = False
    """Whether it follows the operator's list of retransmissions, where there is one."""
    is_end_to_end: bool = False
    """Whether it is retransmitted over a reliable transport too: the next hop may use UDP."""


OF_INVITE: Final = RetransmissionPace(has_ceiling=False, is_listed=True)
"""Timer A."""
OF_REQUEST: Final = RetransmissionPace(has_ceiling=True, is_listed=True)
"""Timer E."""
OF_FAILURE: Final = RetransmissionPace(has_ceiling=True)
"""Timer G: a final response to an INVITE other than 2xx."""
OF_SUCCESS: Final = RetransmissionPace(has_ceiling=True, is_end_to_end=True)
"""A 2xx (RFC 3261 section 13.3.1.4)."""
OF_PROVISIONAL: Final = RetransmissionPace(has_ceiling=False, is_end_to_end=True)
"""A reliable provisional response (RFC 3262 section 3)."""
