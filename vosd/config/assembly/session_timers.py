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
    early_hangup, limit = keys.early_hangup, keys.no_timer_limit
    return _SETTINGS(
        keys,
        ttl_s=parameters.session_ttl if keys.ttl is None else keys.ttl,
        segment=parameters.session_segment if keys.segment is None else keys.segment,
        min_se_s=parameters.session_min_se if keys.min_se is None else keys.min_se,
        early_hangup_s=parameters.session_early_hangup if early_hangup is None else early_hangup,
        no_timer_limit_s=parameters.no_timer_limit if limit is None else limit,
    )
