"""What a call leaves behind: who, when, which gateways, and how it ended."""

from typing import Final, NamedTuple

import msgspec

from vosd.b2bua.settings import DeadCallBilling
from vosd.base.cause import EndReason, HangupSource
from vosd.base.clock import Instant
from vosd.cdr.record import Attempt
from vosd.routing.pipeline import RouteChoice

ATTEMPTS_MAX: Final = 50
"""Rows of one call, answers that came too late included."""


class Arrival(NamedTuple):
    """The INVITE as it came, in the words of a CDR."""

    call_id: str
    caller_in: str
    callee_in: str
    sip_call_id_in: str
    source_address: str
    at: Instant


class DeadCall(NamedTuple):
    """How a call is billed whose peer vanished, and when that was noticed."""

    billing: DeadCallBilling
    noticed_at: Instant


class Ending(NamedTuple):
    """Why and when a call ended; ``sip_code`` is the final code as the caller saw it."""

    reason: EndReason
    source: HangupSource
    at: Instant
    sip_code: int | None
    q850_cause: int
    dead_call: DeadCall | None = None
    text: str | None = None
    """What the side that ended it said in its Reason."""


class Journey(msgspec.Struct):
    """What happened to a call so far; grows while it lives."""

    ringing_at: Instant | None = None
    vendor_answered_at: Instant | None = None
    """When the winning 200 came: from then on the vendor bills."""
    answered_at: Instant | None = None
    """When the caller was sent ours: from then on he is billed."""
    acknowledged_at: Instant | None = None
    """When his ACK came: the call is up on both sides."""
    progress_at: Instant | None = None
    """First 18x or 200 passed on to the caller."""
    codec: str | None = None
    reason_text: str | None = None
    """The text of the Reason in the latest refusal, CANCEL or BYE of a peer."""
    attempts: list[Attempt] = []
    choice: RouteChoice | None = None
    """The gateway of the latest attempt: the winner's, once the call is answered."""
    sip_call_ids_out: list[str] = []
    """Of every attempt, in order."""

    @property
    def sip_call_id_out(self) -> str | None:
        """The Call-ID of the latest attempt; None while there is none."""
        return self.sip_call_ids_out[-1] if self.sip_call_ids_out else None

    def tries(self, choice: RouteChoice, sip_call_id: str, address: str) -> None:
        """Note that a gateway is asked."""
        self.choice = choice
        self.sip_call_ids_out.append(sip_call_id)
        self.destination_address = address

    def strays(self, row: Attempt) -> None:
        """Note an answer that nobody waited for; a gateway that answers again and again does not fill the database."""
        if len(self.attempts) < ATTEMPTS_MAX:
            self.attempts.append(row)

    def rings(self, now: Instant) -> None:
        """Note a 18x; the first counts."""
        self.ringing_at = self.ringing_at or now
        self.progress_at = self.progress_at or now

    def answered(self, attempt: Attempt, codec: str | None, now: Instant) -> None:
        """Note the answer that wins."""
        self.attempts.append(attempt)
        self.vendor_answered_at = now
        self.codec = codec

    def acknowledged(self, now: Instant) -> None:
        """Note the caller's first ACK; one that has waited longer than our 200 is as old as that."""
        if self.acknowledged_at is None and self.answered_at is not None:
            self.acknowledged_at = max(now, self.answered_at)

    def disowns_answer(self) -> None:
        """Note that the answer that won could not be written down, so that the caller was never told of it."""
        if self.progress_at is self.answered_at:
            self.progress_at = None
        self.answered_at = None
        self.attempts[-1] = msgspec.structs.replace(self.attempts[-1], reason="Not Written Down")

    def ends(self, at: Instant, arrival: Arrival) -> Instant:
        """Return when a call ended: when that came, but never before what was heard first of two that had waited."""
        return max(at.came, self.answered_at or self.vendor_answered_at or self.ringing_at or arrival.at)

    destination_address: str | None = None
