"""Ways in which a report reaches its server."""

from typing import Protocol

from vosd.base.clock import Clock
from vosd.base.secret import Secret
from vosd.engine.poster import Poster, signed
from vosd.engine.reports.report import CallReport


class Courier(Protocol):
    """Delivers one report after the other."""

    async def deliver(self, report: CallReport) -> int:
        """Send a report, and return the status of the answer, in the terms of HTTP.

        Raises:
            UndeliveredError: there was no answer in time, or one that asks to try again.
        """

    def hang_up(self) -> None:
        """Close what was kept open for the next report."""


class HttpCourier:
    """Posts reports to an HTTP server."""

    def __init__(self, poster: Poster, secret: Secret | None, clock: Clock) -> None:
        """``secret`` signs the reports; None = they are not signed."""
        self._poster = poster
        self._secret = secret
        self._clock = clock

    async def deliver(self, report: CallReport) -> int:
        """Post a report."""
        return await self._poster.post(report.body, signed(report.body, self._secret, self._clock.now().wall))

    def hang_up(self) -> None:
        """Close the connection."""
        self._poster.hang_up()
