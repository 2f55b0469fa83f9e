"""Settings of the session timer of one trunk (RFC 4028)."""

from enum import Enum
from typing import Final

import msgspec

TTL_MAX_S: Final = 86_400
"""Longest session interval that can be configured, or that is accepted from a peer."""

PEERS_REFRESH_S: Final = 32
"""Time allowed for a peer's refresh, which it sends at half of the interval: 64·T1."""


class Probe(Enum):
    """A way to check a peer without session timers."""

    NONE = "none"
    OPTIONS = "options"
    """OPTIONS within the dialog: a peer that has ended the call answers 481."""
    REFRESH = "refresh"
    """UPDATE or re-INVITE with the unchanged session."""


class SessionTimerSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """Session timer of a leg; all times in seconds. A call copies it when it is admitted."""

    ttl_s: int = 600
    """SS_SIP_SESSION_TTL: the session interval that we request."""
    segment: int = 2
    """SS_SIP_SESSION_UPDATE_SEGMENT: number of parts of an interval; a refresh is sent after each."""
    min_se_s: int = 90
    """SS_SIP_SESSION_MIN_SE: smallest interval that a peer may request."""
    early_hangup_s: int = 0
    """SS_SIP_SESSION_TIMEOUT_EARLY_HANGUP: how long before its end an unrefreshed session is ended."""
    no_timer_limit_s: int = 7_200
    """SS_SIP_NO_TIMER_REINVITE_INTERVAL: longest call with a peer without session timer; 0 = no such limit."""
    probe: Probe = Probe.NONE
    enabled: bool = True
    """False: no session timer is offered or accepted."""

    @property
    def effective_ttl_s(self) -> int:
        """The interval that we request: at least the smallest that we accept."""
        return max(self.ttl_s, self.min_se_s)

    def refresh_after_s(self, interval_s: int) -> int:
        """Return after how many seconds a session of that interval is refreshed: one part, rounded down."""
        return max(1, interval_s // self.segment)

    def margin_s(self, interval_s: int, *, by_us: bool) -> int:
        """Return how long before its end a session is ended: the margin, reduced so that a refresh is tried first.

        A peer refreshes at half of the interval (RFC 4028 section 10), and its refresh may take 64·T1 to arrive.
        """
        if by_us:
            latest = interval_s - self.refresh_after_s(interval_s)
        else:
            latest = max(0, interval_s - interval_s // 2 - PEERS_REFRESH_S)
        return min(self.early_hangup_s, latest)
