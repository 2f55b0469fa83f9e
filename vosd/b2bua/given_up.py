"""An attempt that the call no longer waits for, kept until its INVITE transaction is over."""

from typing import TYPE_CHECKING, NamedTuple

from vosd.base.clock import Instant
from vosd.cdr.record import Attempt
from vosd.sip.events import UnwantedAnswer

if TYPE_CHECKING:
    from vosd.b2bua.call import Call


def lasted_ms(began: Instant, now: Instant) -> int:
    """Return for how long an attempt went on until what ended it came: that may have waited since before it began."""
    return max(0, now.came.mono - began.mono)


class GivenUp(NamedTuple):
    """What is kept of an attempt that was given up: if its gateway answers all the same, that may cost money."""

    call: "Call"
    gateway: str
    started_at: Instant
    pdd_ms: int | None

    def unwanted_answer(self, event: UnwantedAnswer) -> None:
        """Record that the gateway answered although it was given up."""
        self.call.unwanted_answer(self.row("Late Answer", event.at), event.at)

    def row(self, reason: str, now: Instant) -> Attempt:
        """Return the row of an answer that was hung up at once."""
        return Attempt(self.gateway, 200, lasted_ms(self.started_at, now), self.pdd_ms, reason)
