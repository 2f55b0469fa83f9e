"""Session timers of a trunk: its own keys, and the parameters where it has none (REQ_SIP_ROUTING_OPS section 2)."""

from typing import Annotated

from vosd.base.session_timer import TTL_MAX_S, Probe, SessionTimerSettings
from vosd.config.keys.model import Keys
from vosd.config.keys.parameters import ParameterKeys
from vosd.config.reader.fields import choice, divisor, switch, whole


class SessionTimerKeys(Keys):
    """Session timers (RFC 4028) with this trunk, where they differ from the parameters."""

    enabled: Annotated[bool, switch()] = True
    """``no`` neither offers nor agrees to session timers; the trunk then counts as one that has none."""
    ttl: Annotated[int | None, whole(60, TTL_MAX_S, "seconds")] = None
    """Session interval that we ask for. Default: SS_SIP_SESSION_TTL."""
    segment: Annotated[int | None, divisor()] = None
    """Into how many parts refreshes divide an interval. Default: SS_SIP_SESSION_UPDATE_SEGMENT."""
    min_se: Annotated[int | None, whole(90, 3_600, "seconds")] = None
    """The smallest session interval that it may ask for, else 422. Default: SS_SIP_SESSION_MIN_SE."""
    early_hangup: Annotated[int | None, whole(0, 3_600, "seconds")] = None
    """How long before its end a session is given up. Default: SS_SIP_SESSION_TIMEOUT_EARLY_HANGUP."""
    no_timer_limit: Annotated[int | None, whole(0, TTL_MAX_S, "seconds")] = None
    """Longest call with it where it has no session timer; 0 = none. Default: SS_SIP_NO_TIMER_REINVITE_INTERVAL."""
    probe: Annotated[Probe, choice(Probe)] = Probe.NONE
    """What it is sent within a call, where it has no session timer, as often as a refresh would be due.

    A trunk that answers 481 ends the call at once, one that answers nothing for a whole interval at its end.
    """


def session_timer_settings(keys: SessionTimerKeys, parameters: ParameterKeys) -> SessionTimerSettings:
    """Return the terms of a trunk's legs."""

    def own(value: int | None, otherwise: int) -> int:
        return otherwise if value is None else value

    return SessionTimerSettings(
        ttl_s=own(keys.ttl, parameters.session_ttl),
        segment=own(keys.segment, parameters.session_segment),
        min_se_s=own(keys.min_se, parameters.session_min_se),
        early_hangup_s=own(keys.early_hangup, parameters.session_early_hangup),
        no_timer_limit_s=own(keys.no_timer_limit, parameters.no_timer_limit),
        probe=keys.probe,
        enabled=keys.enabled,
    )
