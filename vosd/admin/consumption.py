"""Cost of the calls of an account today and this month, without tax."""

from typing import TYPE_CHECKING, Final, NamedTuple
from zoneinfo import ZoneInfo

from vosd.base.money import format_amount
from vosd.billing.accounts import Account, AccountType
from vosd.cdr.record import AGENT, CUSTOMER, VENDOR
from vosd.traffic.spans import Grouping, begin_of

if TYPE_CHECKING:
    from vosd.storage.consumption import SqlConsumption

_AS_CUSTOMER: Final = (CUSTOMER, AGENT)
_AS_VENDOR: Final = (VENDOR,)


class ConsumedAmounts(NamedTuple):
    """Fees of calls that have ended and are booked; money as text, without tax."""

    today: str
    month: str


def roles_of(account: Account) -> tuple[str, ...]:
    """Return the roles in which calls count as consumption of an account: of a vendor those that it has carried."""
    return _AS_VENDOR if account.type is AccountType.CLEARING else _AS_CUSTOMER


async def consumption_of(consumption: "SqlConsumption", account: Account, now: int) -> ConsumedAmounts:
    """Return what the calls of an account have cost since the beginning of its day and month; ``now`` is UTC ms.

    Raises:
        DroppedPeriod: calls of then were dropped.
        StoreUnavailable: try again.
    """
    zone = ZoneInfo(account.timezone)
    roles, until = roles_of(account), now + 1
    sums = [
        await consumption.consumed(account.id, roles, begin_of(grouping, now, zone), until)
        for grouping in (Grouping.DAY, Grouping.MONTH)
    ]
    today, month = map(format_amount, sums)
    return ConsumedAmounts(today, month)
