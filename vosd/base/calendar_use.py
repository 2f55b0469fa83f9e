"""The times of a calendar that count for what is bound to it, where the binding names them."""

from enum import Enum


class CalendarUse(Enum):
    """The part of a calendar that counts."""

    LISTED = "listed"
    """While an entry of it fits, working or not, or on a holiday."""
    WORKING = "working"
    NOT_WORKING = "not_working"

    def holds(self, *, is_listed: bool, is_working: bool) -> bool:
        """Return whether it counts at a moment of which the calendar says this."""
        if self is CalendarUse.LISTED:
            return is_listed
        return is_working is (self is CalendarUse.WORKING)
