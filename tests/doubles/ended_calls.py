"""Records of ended calls as call control makes them: rated, charged, posted."""

import msgspec

from doubles.data.records import answered_call
from vosd.b2bua.stamps import Ending
from vosd.base.cause import EndReason, HangupSource
from vosd.base.clock import Instant
from vosd.billing.parties import Party
from vosd.billing.rates import AppliedRate
from vosd.callcontrol.bookkeeping import conclude
from vosd.callcontrol.open_call import OpenCall
from vosd.cdr.record import CallRecord

_ANSWERED = 4_000


def open_call(
    index: int, sell: AppliedRate | None, buy: AppliedRate | None, agents: tuple[Party, ...] = ()
) -> OpenCall:
    """Return the answered call with this number as the journal has it."""
    record = answered_call(index, fee_breakdown="{}", charges=(), postings=())
    fresh = msgspec.structs.replace(
        record,
        ended_at=record.answered_at,
        rate_group=sell.group if sell else None,
        rate_prefix=sell.rate.prefix if sell else None,
        currency=(sell.paid_in or sell.currency) if sell else "USD",
        vendor_currency=(buy.paid_in or buy.currency) if buy else None,
        end_reason="Lost",
    )
    return OpenCall(fresh, sell, buy, _ANSWERED, _ANSWERED, agents=agents)


def ended_call(
    index: int,
    sell: AppliedRate | None,
    buy: AppliedRate | None,
    agents: tuple[Party, ...] = (),
    *,
    held_ms: int = 61_500,
    recorded: bool = True,
) -> CallRecord:
    """Return the record of a call that the caller ended after ``held_ms``."""
    ending = Ending(EndReason.NORMAL, HangupSource.CALLER, Instant(_ANSWERED + held_ms, 0), 200, 16)
    return conclude(open_call(index, sell, buy, agents), ending, "PCMU", "PCMU", recorded=recorded)
