"""``session_timer`` of trunks and phones, where it differs from the parameters (RFC 4028)."""

from typing import Annotated

from vosd.base.session_timer import TTL_MAX_S, Probe
from vosd.config.reader.fields import Keys, choice, switch, whole
from vosd.config.reader.vos3000 import divisor


class SessionTimerKeys(Keys):
    """Session timers (RFC 4028) with this trunk, where they differ from the parameters."""

    enabled: Annotated[bool, switch()] = True
    """``no`` neither offers nor accepts session timers; the trunk then counts as one without."""
    ttl: Annotated[int | None, whole(60, TTL_MAX_S, "seconds")] = None
    """Session interval that we request. Default: SS_SIP_SESSION_TTL."""
    segment: Annotated[int | None, divisor()] = None
    """The session interval divided by this is the interval of refreshes. Default: SS_SIP_SESSION_UPDATE_SEGMENT."""
    min_se: Annotated[int | None, whole(90, 3_600, "seconds")] = None
    """The smallest session interval that it may request, else 422. Default: SS_SIP_SESSION_MIN_SE."""
    early_hangup: Annotated[int | None, whole(0, 3_600, "seconds")] = None
    """Time before its expiry at which an unrefreshed session is ended. Default: SS_SIP_SESSION_TIMEOUT_EARLY_HANGUP."""
    no_timer_limit: Annotated[int | None, whole(0, TTL_MAX_S, "seconds")] = None
    """Longest call without session timer; 0 = no limit. Default: SS_SIP_NO_TIMER_REINVITE_INTERVAL."""
    probe: Annotated[Probe, choice(Probe)] = Probe.NONE
    """Request that is sent within a call without session timer, as often as a refresh would be due. An answer of 481
    ends the call at once; no answer ends it after a whole session interval.
    """
