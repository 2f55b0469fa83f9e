"""Retention: from keys to the settings of the engine."""

from typing import Final

from vosd.config.assembly.conversion import Conversion, require_all_used
from vosd.config.keys.retention import RetentionKeys
from vosd.engine.settings import RetentionSettings

_RETENTION: Final = Conversion(RetentionKeys, RetentionSettings, by_hand={"at": "at_s", "timezone": "zone"})
require_all_used(RetentionKeys, _RETENTION)


def retention_settings(keys: RetentionKeys) -> RetentionSettings:
    """Return how long records are kept."""
    return _RETENTION(keys, at_s=keys.at, zone=keys.timezone)
