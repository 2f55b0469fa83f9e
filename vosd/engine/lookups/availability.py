"""Whether a server that is asked answers at all: one that does not is left alone for a while.

Without this each call would wait for the time limit while the server is down. Questions of one customer alone
say nothing about those of others: its numbers may be ones that the server fails at.
"""

from typing import Final

from vosd.base.clock import Instant
from vosd.obs.events import GONE, Event, log as _log

FAILURES: Final = 5
"""So many questions in a row without an answer let the server rest."""
REST_MS: Final = 5_000
"""For how long it is not asked then; one more failure afterwards begins the next rest."""


class Availability:
    """Availability of one server, as far as it is known."""

    def __init__(self, service: str) -> None:
        """``service`` is what the log calls it."""
        self._service = service
        self._failures = 0
        self._failed_first = ""
        """Customer with the first of these failures."""
        self._is_of_one = True
        """Whether all of them were of that customer."""
        self._rests_until = 0
        """Monotonic milliseconds; until then it is not asked for that customer, or for none if they were of several."""
        self.failed_total = 0
        """Questions without an answer since the start."""

    def rests(self, mono_ms: int, customer: str = "") -> bool:
        """Return whether the server is not to be asked now for a customer."""
        return mono_ms < self._rests_until and (not self._is_of_one or customer == self._failed_first)

    def failed(self, why: str, now: Instant, customer: str = "") -> None:
        """Note a question for a customer without a usable answer."""
        self.failed_total += 1
        if not self._failures:
            self._failed_first, self._is_of_one = customer, True
        self._is_of_one = self._is_of_one and customer == self._failed_first
        self._failures += 1
        if self._failures >= FAILURES:
            self._rests_until = now.mono + REST_MS
        if self._failures == FAILURES:
            _log.warning(Event.LOOKUP_SERVICE_DOWN, service=self._service, why=why)

    def refused(self) -> None:
        """Note that the server refuses a number: the numbers of one customer must not let it rest for all."""
        self.failed_total += 1

    def answered(self) -> None:
        """Note a usable answer."""
        if self._failures >= FAILURES:
            _log.info(Event.LOOKUP_SERVICE_UP, service=self._service)
        self._failures = self._rests_until = 0

    def begin_anew(self) -> None:
        """Forget the failures: another server is asked from now on, or none."""
        if self._failures >= FAILURES:
            _log.info(Event.LOOKUP_SERVICE_UP, service=self._service, why=GONE)
        self._failures = self._rests_until = 0
