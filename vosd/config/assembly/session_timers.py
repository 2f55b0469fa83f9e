"""Session timers of a trunk or phone: its own keys over the parameters."""

from typing import Final

from vosd.base.session_timer import SessionTimerSettings
from vosd.config.assembly.conversion import full_conversion
from vosd.config.keys.parameters import ParameterKeys
from vosd.config.keys.session_timers import SessionTimerKeys

_SETTINGS: Final = full_conversion(
    SessionTimerKeys,
    SessionTimerSettings,
    by_hand={
        "ttl": "ttl_s",
        "segment": "segment",
        "min_se": "min_se_s",
        "early_hangup": "early_hangup_s",
        "no_timer_limit": "no_timer_limit_s",
    },
    is_shared=True,
)


def session_timer_settings(keys: SessionTimerKeys, parameters: ParameterKeys) -> SessionTimerSettings:
    """Return the session timer of a trunk's legs."""

    def own(value: int | None, otherwise: int) -> int:
        return otherwise if value is None else value

    return _SETTINGS(
        keys,
        ttl_s=own(keys.ttl, parameters.session_ttl),
        segment=own(keys.segment, parameters.session_segment),
        min_se_s=own(keys.min_se, parameters.session_min_se),
        early_hangup_s=own(keys.early_hangup, parameters.session_early_hangup),
        no_timer_limit_s=own(keys.no_timer_limit, parameters.no_timer_limit),
    )
