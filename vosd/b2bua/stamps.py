"""Facts of a call for its CDR: who, when, which gateways, and how it ended."""

from typing import Final, NamedTuple

import msgspec

from vosd.b2bua.settings import DeadCallBilling
from vosd.base.cause import EndReason, HangupSource
from vosd.base.clock import Instant
from vosd.cdr.record import Attempt
from vosd.routing.pipeline import RouteChoice

ATTEMPTS_MAX: Final = 50
"""Most attempt rows of one call, including late answers."""


_TEXT_MAX: Final = 128
"""Most characters of a text of a peer that are kept."""


def kept_text(received: str) -> str:
    """Return what is kept of a text of a peer, such as its product; bytes that are not UTF-8 are replaced."""
    return received[:_TEXT_MAX].encode("utf-8", "replace").decode("utf-8", "replace")


class Arrival(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The INVITE as received, in the terms of a CDR."""

    call_id: str
    caller_in: str
    callee_in: str
    sip_call_id_in: str
    source_address: str
    at: Instant
    caller_user_agent: str | None = None


class DeadCall(NamedTuple):
    """Billing of a call whose peer vanished, the time of detection, and the last proof of life."""

    billing: DeadCallBilling
    noticed_at: Instant
    proof: Instant


class Ending(msgspec.Struct, frozen=True):
    """Why and when a call ended; ``sip_code`` is the final code that the caller got."""

    reason: EndReason
    source: HangupSource
    at: Instant
    sip_code: int | None
    q850_cause: int
    dead_call: DeadCall | None = None
    text: str | None = None
    """Text of the Reason from the side that ended it."""
    vendor_mono: int | None = None
    """Time at which the vendor hung up, or its money was used up (monotonic, ms), if that was before our 200 to the
    caller; None = at the end."""


class Announced(msgspec.Struct, frozen=True):
    """The end of a call that is announced to its caller, as it was when the announcement began."""

    until_ms: int
    """End of the announcement on the monotonic clock."""
    reason: EndReason
    status: int
    """Final code for the caller, before the map of its trunk."""
    cause: int | None
    source: HangupSource
    at: Instant
    """The end of the call in its record."""
    text: str | None = None
    """Text of the Reason from the side that refused it."""


class GatewayPlaying(msgspec.Struct, frozen=True):
    """The sound of a routing gateway that is an announcement, played to the caller."""

    until_ms: int
    """End of the sound on the monotonic clock."""
    began_at: Instant


class JourneyFacts(msgspec.Struct):
    """Facts of a call that a snapshot keeps unchanged."""

    ringing_at: Instant | None = None
    vendor_answered_at: Instant | None = None
    """When the gateway's 200 arrived: the vendor charges from then on."""
    answered_at: Instant | None = None
    """When our 200 was sent: the customer is charged from then on."""
    acknowledged_at: Instant | None = None
    """When the caller's ACK arrived: both legs are established."""
    progress_at: Instant | None = None
    """First 18x or 200 forwarded to the caller."""
    codec: str | None = None
    """Codec of the answer on the caller's leg."""
    vendor_codec: str | None = None
    """Codec of the answer on the vendor's leg."""
    reason_text: str | None = None
    """Text of the Reason in the last refusal, CANCEL or BYE of a peer."""
    destination_address: str | None = None
    """Address of the latest attempt."""
    invited_at: Instant | None = None
    """When the first INVITE went to a gateway, if the call is charged from then on; None = from its answer."""
    callee_user_agent: str | None = None
    """Product of the peer of the latest attempt, by its latest response."""
    attestation: str | None = None
    """Attestation in our signature of the latest attempt; None = we have not signed it."""
    announced: Announced | None = None
    """The end that was announced to the caller; None = none was."""
    playing: GatewayPlaying | None = None
    """The latest sound of a gateway; in state ``ANNOUNCING`` without ``announced`` it lasts. None = there was none."""
    vendor_invited_at: Instant | None = None
    """When the INVITE of the latest attempt went out, likewise: its vendor charges from then on."""
    vendor_left_at: Instant | None = None
    """Instant at which the vendor that is paid was given up, while no INVITE has been sent since: its charge ends then.
    None = it ends with the call (``SS_STARTBILLINGTIME`` 1)."""
    foremost_call_id: str = ""
    """Call-ID of the foremost one of several attempts, or of that which was answered; empty = the latest one."""
    rung_together: tuple[tuple[str, str], ...] = ()
    """Call-IDs and gateways of attempts beside which others were in progress."""
    forks: tuple[str, ...] = ()
    """Tags of the phones that have a row because they answered beside the one that has the call."""
    recording: str = ""
    """File of the recording that a leg which has ended was in, as early media of an attempt; empty = none was."""


LatestAttempt = tuple[RouteChoice | None, str, str | None, str | None]
"""Route, Call-ID, address and product of the latest attempt; no route: there was none."""
NO_ATTEMPT: Final[LatestAttempt] = (None, "", None, None)


class Journey(JourneyFacts):
    """History of a call so far, for its record."""

    attempts: list[Attempt] = []
    choice: RouteChoice | None = None
    """Route of the latest attempt: the one that answered, once the call is answered."""
    sip_call_ids_out: list[str] = []
    """Call-IDs of every attempt, in order."""

    def note_attempt(self, choice: RouteChoice, sip_call_id: str, address: str) -> None:
        """Record an attempt."""
        self.choice = choice
        self.sip_call_ids_out.append(sip_call_id)
        self.destination_address = address
        self.foremost_call_id = ""
        self.callee_user_agent = None

    def note_together(self, sip_call_id: str, gateway: str) -> None:
        """Record one of several attempts that are in progress together; the first is the foremost."""
        self.foremost_call_id = self.foremost_call_id or sip_call_id
        self.rung_together = (*self.rung_together, (sip_call_id, gateway))

    def note_foremost(self, choice: RouteChoice, sip_call_id: str, address: str, product: str | None) -> None:
        """Record which of several attempts is the foremost."""
        self.callee_user_agent = product
        self.choice, self.foremost_call_id, self.destination_address = choice, sip_call_id, address

    def note_not_sent(self, before: LatestAttempt) -> None:
        """Record that the latest attempt was not sent, and that this one was the latest before it."""
        self.choice, self.foremost_call_id, self.destination_address, self.callee_user_agent = before

    def charged_from(self, now: Instant) -> None:
        """Record the INVITE of an attempt: its vendor charges from then on, the customer is charged from the first."""
        self.invited_at = self.invited_at or now
        self.vendor_invited_at, self.vendor_left_at = now, None

    def vendor_left(self, now: Instant) -> None:
        """Record that an attempt which is charged is over; the INVITE of the next one waits to be sent."""
        self.vendor_left_at = self.vendor_left_at or now.came

    def late_answer(self, row: Attempt, fork: str) -> None:
        """Record an unwanted answer; their number is limited, so that a gateway cannot fill the database.

        ``fork`` is as in ``GivenUp``: such a phone may repeat its answer to the process behind a kill.
        """
        if len(self.attempts) < ATTEMPTS_MAX and fork not in self.forks:
            self.attempts.append(row)
            if fork:
                self.forks = (*self.forks, fork)

    def note_ringing(self, now: Instant) -> None:
        """Record a 18x; the first counts."""
        self.ringing_at = self.ringing_at or now
        self.progress_at = self.progress_at or now

    def answered(self, attempt: Attempt, codec: str | None, vendor_codec: str | None, now: Instant) -> None:
        """Record the winning answer."""
        self.attempts.append(attempt)
        self.vendor_answered_at = now
        self.codec, self.vendor_codec = codec, vendor_codec

    def acknowledged(self, now: Instant) -> None:
        """Record the caller's first ACK; one that waited longer than our 200 counts as sent with it."""
        if self.acknowledged_at is None and self.answered_at is not None:
            self.acknowledged_at = now if now.mono > self.answered_at.mono else self.answered_at

    def answer_not_sent(self, why: str, fault: str | None = None) -> None:
        """Record that the winning answer was not forwarded to the caller, and any fault of its description."""
        if self.progress_at is self.answered_at:
            self.progress_at = None
        self.answered_at = None
        self.attempts[-1] = msgspec.structs.replace(self.attempts[-1], reason=why, media_fault=fault)

    def ended_at(self, at: Instant, arrival: Arrival) -> Instant:
        """Return the end of a call: when its last message arrived, but not before an earlier event of the call."""
        came = at.came if at.waited_ms else at
        earlier = self.answered_at or self.vendor_answered_at or self.ringing_at or arrival.at
        return came if came.mono > earlier.mono else earlier
