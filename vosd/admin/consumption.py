"""Consumption of accounts: of one its calls today and this month without tax, of many what they were charged today."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple
from zoneinfo import ZoneInfo

from vosd.base.money import ZERO, format_amount
from vosd.billing.accounts import Account, AccountType
from vosd.cdr.record import AGENT, CUSTOMER, VENDOR
from vosd.storage.traffic_sums import TrafficQuery
from vosd.traffic.counted import SLOT_MS, TrafficKind
from vosd.traffic.spans import Grouping, ReportSpan, begin_of

if TYPE_CHECKING:
    from vosd.storage.consumption import SqlConsumption
    from vosd.storage.stores import SqlStores

_AS_CUSTOMER: Final = (CUSTOMER, AGENT)
_AS_VENDOR: Final = (VENDOR,)
_CHARGES: Final = ("fee", "tax")
_OF_ACCOUNTS: Final = (
    TrafficQuery(TrafficKind.CALL, ("customer_account", "currency"), _CHARGES),
    TrafficQuery(TrafficKind.AGENT, ("party", "currency"), _CHARGES),
)
_NAMED_AT_MOST: Final = 10_000
"""Accounts times spans that a query names, half of what SQLite takes; for more it adds up those of all accounts."""


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


async def charged_today(stores: "SqlStores", accounts: Iterable[Account], now: int) -> Mapping[str, str]:
    """Return what each account was charged since midnight of its zone, with tax, as text; ``now`` is UTC ms.

    These are calls by their beginning, as corrected, from the sums of reports. Vendors are charged nothing and are left
    out.

    Raises:
        StoreUnavailable: try again.
    """
    begins: dict[str, int] = {}
    currencies: dict[str, str] = {}
    for account in accounts:
        if account.type is not AccountType.CLEARING:
            midnight = begin_of(Grouping.DAY, now, ZoneInfo(account.timezone))
            begins[account.id], currencies[account.id] = midnight // SLOT_MS * SLOT_MS, account.currency
    if not begins:
        return {}
    # The time between the midnights of two zones counts for several, and is added up once.
    borders = [*sorted({*begins.values()}), (now // SLOT_MS + 1) * SLOT_MS]
    spans = [ReportSpan(since, until, "") for since, until in pairwise(borders)]
    queries: Sequence[TrafficQuery] = _OF_ACCOUNTS
    if len(begins) * len(spans) <= _NAMED_AT_MOST:
        queries = [each._replace(where=((each.by[:1], begins.keys()),)) for each in _OF_ACCOUNTS]
    read = await stores.traffic_sums.rows(spans, queries)
    sums: dict[tuple[str | int, ...], Decimal] = defaultdict(Decimal)
    for row in (each for rows in read.rows for each in rows):
        begun = begins.get(str(row.by[0]))
        if begun is not None and begun <= spans[row.span].since:
            sums[row.by] += sum(row.sums, ZERO)
    return {name: format_amount(sums[name, currency]) for name, currency in currencies.items()}
