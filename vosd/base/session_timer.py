"""What an operator says of session timers on one trunk (RFC 4028, REQ_SIP_ROUTING_OPS section 2)."""

from enum import Enum
from typing import Final

import msgspec

TTL_MAX_S: Final = 86_400
"""The longest session interval that is configured, or agreed to where a peer wants a longer one than ours."""

PEERS_REFRESH_S: Final = 32
"""What the refresh of a peer, due at half of the interval, gets to arrive: 64·T1."""


class Probe(Enum):
    """How a peer without session timers is looked after."""

    NONE = "none"
    OPTIONS = "options"
    """OPTIONS within the dialog: who does not know it says 481."""
    REFRESH = "refresh"
    """UPDATE or re-INVITE with the very session that stands."""


class SessionTimerSettings(msgspec.Struct, frozen=True):
    """The terms of a leg; all times in seconds. A call copies them when it is admitted."""

    ttl_s: int = 600
    """SS_SIP_SESSION_TTL: the session interval that we ask for."""
    segment: int = 2
    """SS_SIP_SESSION_UPDATE_SEGMENT: into how many parts refreshes divide an interval."""
    min_se_s: int = 90
    """SS_SIP_SESSION_MIN_SE: the smallest interval that a peer may ask for."""
    early_hangup_s: int = 0
    """SS_SIP_SESSION_TIMEOUT_EARLY_HANGUP: how long before its end an unrefreshed session is given up."""
    no_timer_limit_s: int = 7_200
    """SS_SIP_NO_TIMER_REINVITE_INTERVAL: the longest call with a peer that has no session timer; 0 = no such limit."""
    probe: Probe = Probe.NONE
    enabled: bool = True
    """False: no session timer is offered or agreed to."""

    @property
    def effective_ttl_s(self) -> int:
        """The interval that we ask for: never below what we would take ourselves (TMR-08)."""
        return max(self.ttl_s, self.min_se_s)

    @property
    def limit_without_timer_s(self) -> int | None:
        """How long a peer without session timer may talk; None = as long as anybody (TMR-09)."""
        return self.no_timer_limit_s or None

    def refresh_after_s(self, interval_s: int) -> int:
        """Return when a session of that interval is to be refreshed: its part, rounded down (TMR-04)."""
        return max(1, interval_s // self.segment)

    def margin_s(self, interval_s: int, *, by_us: bool) -> int:
        """Return how long before its end a session is given up: the margin, cut so that a refresh is tried first.

        A peer refreshes at half of the interval (RFC 4028 section 10), and its refresh may take 64·T1 to arrive.
        """
        if by_us:
            latest = interval_s - self.refresh_after_s(interval_s)
        else:
            latest = max(0, interval_s - interval_s // 2 - PEERS_REFRESH_S)
        return min(self.early_hangup_s, latest)
