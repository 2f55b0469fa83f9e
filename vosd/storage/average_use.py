"""Cost of the calls of accounts on the days that are added up for reports: calls that were dropped count, too."""

from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, func, or_, select

from vosd.base.money import ZERO
from vosd.storage import schema
from vosd.storage.among import among
from vosd.storage.database import SqlStore
from vosd.storage.sums import money_sum
from vosd.traffic.counted import KIND_NUMBERS, SLOTS_OF_DAY, TrafficKind

_sums: Final = schema.traffic_day.c
_key: Final = schema.traffic_key.c


class UseOfDays(NamedTuple):
    """Cost of the calls of an account with tax, and the first quarter of the first day that has any, since 1970."""

    cost: Decimal
    since: int


class SqlAverageUse(SqlStore):
    """Reads the sums of whole days of UTC."""

    async def added_up(self) -> int:
        """Return the quarter since 1970 before which days are added up; 0 = none is."""
        counter = schema.counter.c
        found = await self._database.value(select(counter.value).where(counter.name == schema.TRAFFIC_DAYS))
        return found or 0

    async def used(
        self, currencies: Mapping[str, str], vendors: Collection[str], end: int, days: int
    ) -> Mapping[str, UseOfDays]:
        """Return what accounts have used on so many days before a quarter, those without calls left out.

        ``currencies`` are those of the accounts, and other money does not count; ``vendors`` are those among them that
        are paid for calls, and pay for none.
        """
        agents = _query(TrafficKind.AGENT, _key.party, _key.currency, (_sums.fee, _sums.tax))
        customers = _query(TrafficKind.CALL, _key.customer_account, _key.currency, (_sums.fee, _sums.tax))
        paid = _query(TrafficKind.CALL, _key.vendor_account, _key.vendor_currency, (_sums.cost, _sums.cost_tax))
        found: dict[str, UseOfDays] = {}
        others = currencies.keys() - set(vendors)
        for query, name, names in (
            (agents, _key.party, others),
            (customers, _key.customer_account, others),
            (paid, _key.vendor_account, vendors),
        ):
            if not names:
                continue
            of_days = query.where(_sums.slot >= end - days * SLOTS_OF_DAY, _sums.slot < end, among(name, names))
            for row in await self._database.rows(of_days, unhurried=True):
                if row.currency == currencies[row.name]:
                    before = found.get(row.name, UseOfDays(ZERO, row.since))
                    found[row.name] = UseOfDays(before.cost + row.net + row.tax, min(before.since, row.since))
        return found


def _query(
    kind: TrafficKind, name: ColumnElement[str], currency: ColumnElement[str], amounts: tuple[Any, Any]
) -> Select[Any]:
    net, tax = map(money_sum, amounts)
    columns: tuple[ColumnElement[Any], ...] = (
        name.label("name"),
        currency.label("currency"),
        net.label("net"),
        tax.label("tax"),
        func.min(_sums.slot).label("since"),
    )
    joined = schema.traffic_day.join(schema.traffic_key, _key.id == _sums.key_id)
    has_cost = or_(*(each != ZERO for each in amounts))
    wanted = and_(_sums.kind == KIND_NUMBERS[kind.value], has_cost)
    return select(*columns).select_from(joined).where(wanted).group_by(name, currency)
