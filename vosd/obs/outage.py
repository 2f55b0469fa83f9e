"""Log the outage of a dependency once, and its return once."""

from typing import Final

from vosd.obs.events import BACK, Event, log as _log

REASONS_MAX: Final = 8
"""Most reasons logged for one outage: an error's text may differ each time."""


class Outage:
    """State of a dependency as seen by one part of the switch; ``facts`` are in both lines."""

    def __init__(self, away: Event, *, is_error: bool = False, **facts: object) -> None:
        """``away`` is an event with an opposite in ``BACK``; an error needs an operator to repair it."""
        self._away: Final = away
        self._is_error = is_error
        self._facts = facts
        self._reasons: set[str] = set()

    @property
    def goes_on(self) -> bool:
        """Whether the outage lasts."""
        return bool(self._reasons)

    def resume(self) -> None:
        """Go on with an outage that an earlier process has logged."""
        self._reasons.add("")

    def found(self, why: object, **facts: object) -> None:
        """Log the outage, unless it was logged for the same reason."""
        reason = str(why)
        if reason not in self._reasons and len(self._reasons) < REASONS_MAX:
            self._reasons.add(reason)
            log = _log.error if self._is_error else _log.warning
            log(self._away.value, **self._facts, error=reason, **facts)

    def over(self, **facts: object) -> None:
        """Log the end of the outage, if there was one."""
        if self._reasons:
            self._reasons.clear()
            _log.info(BACK[self._away].value, **self._facts, **facts)


def outage_of(away: Event, receiver: str | None) -> Outage:
    """Return the outage of a receiver of reports; None = the only one of its kind, which has no name."""
    return Outage(away) if receiver is None else Outage(away, receiver=receiver)
