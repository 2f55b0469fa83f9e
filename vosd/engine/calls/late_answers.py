"""Cost of an answer in vain: of an attempt that was given up, or of a second phone. The vendor bills it all the same.

The call of the caller has, or will have, a record of its own, perhaps by another vendor. So the attempt leaves a second
one, which names the call and belongs to no customer.
"""

from copy import copy
from typing import Final, NamedTuple

from msgspec.structs import replace

from vosd.b2bua.stamps import Arrival, Ending, Journey
from vosd.base.cause import EndReason, HangupSource
from vosd.base.clock import Instant
from vosd.callcontrol.bookkeeping import answered_late, draft
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.vendor_terms import buy_rate
from vosd.cdr.record import FORKED, Attempt, CallRecord
from vosd.routing.pipeline import RouteChoice

_REASON: Final = EndReason.CANCELLED


class Tried(NamedTuple):
    """The attempt that was answered."""

    choice: RouteChoice | None
    """None = its price is not known."""
    sip_call_id: str
    address: str
    started_at: Instant


def cost_of_late_answer(
    node: str,
    call_id: str,
    arrival: Arrival,
    call_request: CallRequest,
    tried: Tried,
    row: Attempt,
    now: Instant,
    *,
    charged_from_invite: bool,
    paid_ms: int | None,
) -> CallRecord | None:
    """Return the record of a late answer, under a new ``call_id``; None = the vendor charges nothing for it.

    ``paid_ms`` are milliseconds of the attempt that the record of the call has charged.
    """
    choice = tried.choice
    rate = buy_rate(choice)
    if choice is None or rate is None or call_request.leaves_no_cdr:
        return None
    journey = Journey(attempts=[row])
    journey.note_attempt(choice, tried.sip_call_id, tried.address)
    why = "another phone answered first" if row.reason == FORKED else "answered after it was given up"
    text = f"{why}, in call {arrival.call_id}"
    ending = Ending(_REASON, HangupSource.SWITCH, now.came, None, _REASON.q850_cause, text=text)
    began = replace(arrival, call_id=call_id, at=tried.started_at)
    unsold = copy(call_request)
    unsold.account = unsold.rate = None
    unsold.left = []
    record = draft(node, began, unsold, journey, ending, has_verdicts=False)
    invited = tried.started_at.mono if charged_from_invite else None
    return answered_late(record, rate, ending, invited_mono=invited, earns=choice.gateway.earns, paid_ms=paid_ms)
