"""Attempts whose answer is not wanted: given up, refused, or won by another phone behind the vendor; it bills each."""

from typing import TYPE_CHECKING

import msgspec

from vosd.base.clock import Instant
from vosd.cdr.record import LATE_ANSWER, Attempt
from vosd.routing.pipeline import RouteChoice
from vosd.sip.events import UnwantedAnswer

if TYPE_CHECKING:
    from vosd.b2bua.call_port import CallPort


def lasted_ms(began: Instant, now: Instant) -> int:
    """Return the duration of an attempt; never negative, since the message that ended it may have arrived before."""
    return max(0, now.came.mono - began.mono)


def released(gateway: str, began: Instant, pdd_ms: int | None, reason: str, now: Instant) -> Attempt:
    """Return the row of an answer that was hung up at once."""
    return Attempt(gateway, 200, lasted_ms(began, now), pdd_ms, reason)


class GivenUp(msgspec.Struct):
    """Data of an attempt that a phone answers in vain: the vendor charges for that answer."""

    call: "CallPort"
    gateway: str
    choice: RouteChoice | None
    """None = its price is not known after a restart: an earlier version has written it, or its gateway is gone."""
    sip_call_id: str
    address: str
    started_at: Instant
    pdd_ms: int | None
    tag: str
    """Our tag in its INVITE."""
    fork: str = ""
    """Tag of a phone that has answered beside the one that has the call; empty = the attempt was given up."""

    def keep(self) -> None:
        """Remember it until the end of its call: it was refused, and another fork of its INVITE may answer."""
        call = self.call
        call.refused = (*call.refused, self)
        call.endpoint.dialogs.refused[self.tag] = self

    def unwanted_answer(self, event: UnwantedAnswer) -> None:
        """Record the late answer of the gateway."""
        row = released(self.gateway, self.started_at, self.pdd_ms, LATE_ANSWER, event.at)
        self.call.unwanted_answer(row, event.at, self)
