"""Income and cost of the calls of a time, without tax: sums of their charges, by currency.

What a call brings is paid by the highest account above it: its last agent, or the customer where there is none. So what
agents charge among themselves counts once. Calls without CDR are not in it.
"""

from typing import Any, Final

from sqlalchemy import and_, case, func, select

from vosd.base.money import ZERO
from vosd.cdr.record import VENDOR
from vosd.cdr.retention import LONGEST_CALL_MS
from vosd.storage import schema
from vosd.storage.database import Database
from vosd.storage.dropped import check_there, dropped_before
from vosd.storage.ledger_values import Profit
from vosd.storage.sums import money_sum

_cdr: Final = schema.cdr.c
_charge: Final = schema.cdr_charge.c
_elsewhere: Final = case(
    (and_(_cdr.cost != ZERO, _cdr.vendor_currency != _charge.currency), _cdr.vendor_currency)
).label("elsewhere")
"""Currency of the cost of a call, where it is another one than that of what the call brings."""


async def profit_of(database: Database, since: int, until: int) -> list[Profit]:
    """Return the sums of the calls that ended from ``since`` to before ``until`` (UTC milliseconds), by currency.

    Raises:
        DroppedPeriod: calls of then were dropped.
    """
    above = schema.cdr_charge.alias()
    is_higher = and_(above.c.call_id == _charge.call_id, above.c.role != VENDOR, above.c.level > _charge.level)
    is_highest = ~select(above.c.call_id).where(is_higher).correlate(schema.cdr_charge).exists()
    async with database.reading(unhurried=True) as connection:
        check_there((await dropped_before(connection)).calls, since - LONGEST_CALL_MS, "calls")
        highest = _sums(since, until).where(_charge.role != VENDOR, is_highest)
        income = (await connection.execute(highest.add_columns(_elsewhere).group_by(_elsewhere))).all()
        cost = (await connection.execute(_sums(since, until).where(_charge.role == VENDOR))).all()
    found = {row.currency: Profit(row.currency, 0, ZERO, row.total or ZERO) for row in cost}
    for row in income:
        before = found.get(row.currency, Profit(row.currency, 0, ZERO, ZERO))
        found[row.currency] = before._replace(
            calls=before.calls + row.calls, income=before.income + (row.total or ZERO)
        )
    for row in income:
        for name in {row.currency, row.elsewhere} if row.elsewhere is not None else ():
            found[name] = found[name]._replace(in_two=found[name].in_two + row.calls)
    return [found[name] for name in sorted(found, key=lambda name: name or "")]


def _sums(since: int, until: int) -> Any:
    columns = select(_charge.currency, func.count().label("calls"), money_sum(_charge.fee).label("total")).join(
        schema.cdr, _cdr.call_id == _charge.call_id
    )
    of_time = _cdr.ended_at >= since, _cdr.ended_at < until
    began = _cdr.started_at >= since - LONGEST_CALL_MS, _cdr.started_at < until
    return columns.where(*of_time, *began).group_by(_charge.currency)
