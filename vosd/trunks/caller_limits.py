"""Limits of what one caller of a customer may do before the dynamic blacklist takes its number."""

import msgspec


class CallerLimits(msgspec.Struct, frozen=True):
    """The limits; None = none."""

    enabled: bool = True
    """False exempts the callers of a gateway from the limits of the installation."""
    concurrent_limit: int | None = None
    """Calls at the same time."""
    frequency_limit: int | None = None
    """Calls within the window."""
    no_answer_limit: int | None = None
    """Calls that ended without an answer within the window."""
    target_limit: int | None = None
    """Calls to one called number within the window."""
    window_s: int = 60
    expire_s: int = 3_600
    """For how long a number stays on the list."""
