"""Something that the switch depends on: the log says once that it is away, and once that it is back."""

from typing import Final

import structlog

from vosd.obs.events import BACK, Event

REASONS_MAX: Final = 8
"""Reasons of one outage that are logged: an error's text may differ each time."""

_log = structlog.get_logger()


class Outage:
    """Whether it is away, as far as one part of the switch has found; ``facts`` stand in both lines."""

    def __init__(self, away: Event, *, is_error: bool = False, **facts: object) -> None:
        """``away`` is an event that has its opposite in ``BACK``; an error does not go by itself."""
        self._away: Final = away
        self._is_error = is_error
        self._facts = facts
        self._reasons: set[str] = set()

    @property
    def goes_on(self) -> bool:
        """Whether it is away now."""
        return bool(self._reasons)

    def found(self, why: object, **facts: object) -> None:
        """Warn that it is away, unless that was said and for the same reason."""
        reason = str(why)
        if reason not in self._reasons and len(self._reasons) < REASONS_MAX:
            self._reasons.add(reason)
            tell = _log.error if self._is_error else _log.warning
            tell(self._away.value, **self._facts, error=reason, **facts)

    def over(self, **facts: object) -> None:
        """Say that it is back, where it was away."""
        if self._reasons:
            self._reasons.clear()
            _log.info(BACK[self._away].value, **self._facts, **facts)
