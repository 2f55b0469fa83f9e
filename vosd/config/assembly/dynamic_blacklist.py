"""Limits of callers: from keys to the struct that calls are counted by."""

from typing import Final

from vosd.config.assembly.conversion import Conversion, require_all_used
from vosd.config.keys.dynamic_blacklist import DynamicBlacklistKeys
from vosd.trunks.caller_limits import CallerLimits

_LIMITS: Final = Conversion(DynamicBlacklistKeys, CallerLimits)
require_all_used(DynamicBlacklistKeys, _LIMITS)


def caller_limits(keys: DynamicBlacklistKeys) -> CallerLimits | None:
    """Return the limits; None where the file has none."""
    return _LIMITS(keys) if keys.is_given else None
