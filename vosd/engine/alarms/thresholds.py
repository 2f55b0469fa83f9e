"""Limits of measured values, with hysteresis: an event is logged when a limit is passed, another one when it is over.

Pure but for the log line.
"""

from typing import Final

import structlog

from vosd.obs.events import BACK, GONE, Event

_log = structlog.get_logger()


class Threshold:
    """One limit, for one value or for one of each subject."""

    def __init__(self, raised: Event, *, is_floor: bool = False) -> None:
        """``raised`` has an opposite in ``BACK``; ``is_floor``: values below the limit are bad, not those above it."""
        self._raised: Final = raised
        self._is_floor = is_floor
        self._bad: dict[str, dict[str, object]] = {}
        """Facts of the subjects whose value is bad."""

    def judge(
        self, value: float | None, limit: float, margin_percent: int, *, subject: str = "", **facts: object
    ) -> None:
        """Compare a value with its limit; a limit of 0, or no value, is never bad.

        A bad value is good again once it is better than the limit by ``margin_percent`` of it. ``facts`` name the
        subject in both lines.
        """
        is_known = subject in self._bad
        if value is None or not limit:
            is_bad = False
        else:
            margin = limit * margin_percent / 100 if is_known else 0
            is_bad = value < limit + margin if self._is_floor else value >= limit - margin
        if is_bad and not is_known:
            self._bad[subject] = facts
            _log.warning(self._raised.value, **facts, value=None if value is None else round(value, 1), limit=limit)
        elif is_known and not is_bad:
            del self._bad[subject]
            shown = {} if value is None else {"value": round(value, 1)}
            _log.info(BACK[self._raised].value, **facts, **shown)

    def keep(self, subjects: frozenset[str]) -> None:
        """End the state of all other subjects: they are gone."""
        for subject in [each for each in self._bad if each not in subjects]:
            _log.info(BACK[self._raised].value, **self._bad.pop(subject), why=GONE)
