"""Alarms: from keys to the settings of the engine."""

from typing import Final

from vosd.config.assembly.conversion import Conversion, require_all_used
from vosd.config.keys.alarms import AlarmKeys
from vosd.engine.settings import AlarmSettings

_LEVELS: Final = ("critical", "warning", "info", "off")
_ALARMS: Final = Conversion(AlarmKeys, AlarmSettings, by_hand=dict.fromkeys(_LEVELS, "levels"))
require_all_used(AlarmKeys, _ALARMS)


def alarm_settings(keys: AlarmKeys) -> AlarmSettings:
    """Return the limits and levels of alarms, and who receives them."""
    return _ALARMS(keys, levels=keys.levels)
