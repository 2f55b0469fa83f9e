"""Attempts given up: kept until the INVITE transaction is over, to record a late answer."""

from typing import TYPE_CHECKING, NamedTuple

from vosd.base.clock import Instant
from vosd.cdr.record import Attempt
from vosd.sip.events import UnwantedAnswer

if TYPE_CHECKING:
    from vosd.b2bua.call_port import CallPort


def lasted_ms(began: Instant, now: Instant) -> int:
    """Return the duration of an attempt; never negative, since the message that ended it may have arrived before."""
    return max(0, now.came.mono - began.mono)


class GivenUp(NamedTuple):
    """Data of an attempt that was given up: the vendor may charge for a late answer."""

    call: "CallPort"
    gateway: str
    started_at: Instant
    pdd_ms: int | None

    def unwanted_answer(self, event: UnwantedAnswer) -> None:
        """Record the late answer of the gateway."""
        self.call.unwanted_answer(self.row("Late Answer", event.at), event.at)

    def row(self, reason: str, now: Instant) -> Attempt:
        """Return the row of an answer that was hung up at once."""
        return Attempt(self.gateway, 200, lasted_ms(self.started_at, now), self.pdd_ms, reason)
