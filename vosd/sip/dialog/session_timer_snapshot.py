"""A session timer as data."""

import msgspec

from vosd.base.clock import Instant
from vosd.base.session_timer import SessionTimerSettings
from vosd.sip.dialog.session_timer import SessionTimer
from vosd.sip.dialog.session_wish import Agreed


class SessionTimerSnapshot(msgspec.Struct, frozen=True, omit_defaults=True):
    """The timer of one dialog, with the terms that the call copied when it was admitted."""

    settings: SessionTimerSettings
    agreed: Agreed | None = None
    refreshed_at: Instant | None = None
    floor_s: int = 0
    offered_s: int = 0

    @classmethod
    def of(cls, timer: SessionTimer) -> "SessionTimerSnapshot":
        """Describe a timer."""
        return cls(timer.settings, timer.agreed, timer.refreshed_at, timer._floor_s, timer._offered_s)

    def restored(self) -> SessionTimer:
        """Return the timer."""
        return SessionTimer(self.settings, self.agreed, self.refreshed_at, self.floor_s, self.offered_s)
