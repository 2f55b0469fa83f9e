"""The calls of one account that ended in a span, in MySQL and SQLite, for totals that two switches compare."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from sqlalchemy import case, null, select

from vosd.billing.rates import PRECISION_MS, hold_seconds
from vosd.cdr.ports import StoreUnavailable
from vosd.cdr.record import AGENT, VENDOR
from vosd.clearing.bilateral import PREFIX_DIGITS, PartnerCall, PartnerDirection
from vosd.clearing.calls import comparable, comparable_beginning
from vosd.storage import schema
from vosd.storage.database import SqlStore
from vosd.storage.long_calls import LONG_MS
from vosd.storage.reconciliations import PAID_REST, with_paid
from vosd.storage.unrecorded_calls import UnrecordedCall, long_unrecorded_calls, unrecorded_calls

CALLS_MAX: Final = 500_000

_cdr: Final = schema.cdr.c
_long: Final = schema.long_call.c
_sent: Final = _cdr.vendor_answered_at.is_not(None) | ((_cdr.cost != 0) & ~PAID_REST.exists())
"""Calls of which the partner has one: a late answer has what the CDR of its call has charged (ADR 213)."""

_vendor_alone_answered: Final = case((_cdr.answered_at.is_(None), _cdr.vendor_answered_at))
"""The answer of the partner to a call whose caller was not answered."""


class TooManyPartnerCallsError(StoreUnavailable):
    """The span has more calls than are added up at once."""


class SqlEndedCalls(SqlStore):
    """Reads the calls of a partner."""

    async def of(self, account: str, since: int, until: int) -> Sequence[PartnerCall]:
        """Return the answered calls of an account that ended in a span, by both directions; UTC milliseconds.

        They are read from the database itself: the partner would take calls that a replica lacks for missing ones.

        Raises:
            TooManyCallsError: ask for a shorter span.
        """
        sent = (_cdr.vendor_account == account) & _sent
        received = (_cdr.customer_account == account) & (_cdr.answered_at.is_not(None) | (_cdr.fee != 0))
        columns = {
            PartnerDirection.SENT: (
                sent,
                _vendor_alone_answered,
                _cdr.routing_gateway,
                _cdr.callee_out,
                with_paid("cost"),
                with_paid("cost_tax"),
            ),
            PartnerDirection.RECEIVED: (received, null(), _cdr.mapping_gateway, _cdr.callee_in, _cdr.fee, _cdr.tax),
        }
        found: list[PartnerCall] = []
        for direction, (own, *values) in columns.items():
            base = select(_cdr.ended_at, _cdr.hold_time_s, *values).where(own)
            recent = base.where(_cdr.started_at >= since - LONG_MS, _cdr.started_at < until)
            recent = recent.where(_cdr.ended_at >= since, _cdr.ended_at < until).limit(CALLS_MAX)
            # Calls that began before are found by their ends (``long_calls``).
            long = base.join(schema.long_call, _long.call_id == _cdr.call_id).where(_cdr.started_at < since - LONG_MS)
            long = long.where(_long.ended_at >= since, _long.ended_at < until).limit(CALLS_MAX)
            async with self._database.reading() as connection:
                rows = [row for query in (recent, long) for row in await connection.execute(query)]
            if len(rows) >= CALLS_MAX:
                raise TooManyPartnerCallsError(f"account {account} has more than {CALLS_MAX:,} calls in this time")
            found += [_with_cdr(direction, *row) for row in rows]
        async with self._database.reading() as connection:
            began = since - LONG_MS, until
            unrecorded = [
                *await unrecorded_calls(connection, account, since, until, began, CALLS_MAX),
                *await long_unrecorded_calls(connection, account, since, until, since - LONG_MS),
            ]
        if len(unrecorded) >= CALLS_MAX:
            raise TooManyPartnerCallsError(f"account {account} has more than {CALLS_MAX:,} calls in this time")
        return [*found, *(_without_cdr(each) for each in unrecorded if each.role != AGENT)]


def _without_cdr(call: UnrecordedCall) -> PartnerCall:
    """Return a call without CDR: its gateway is not known, and of its number what the prefix of the rate says."""
    direction = PartnerDirection.SENT if call.role == VENDOR else PartnerDirection.RECEIVED
    prefix = comparable_beginning(call.prefix)[:PREFIX_DIGITS]
    return PartnerCall(direction, call.ended_at, "", prefix, call.hold_time_s, call.fee + call.tax)


def _with_cdr(
    direction: PartnerDirection,
    ended_at: int,
    seconds: int,
    vendor_alone_answered_at: int | None,
    gateway: str | None,
    number: str | None,
    amount: Decimal,
    tax: Decimal,
) -> PartnerCall:
    if vendor_alone_answered_at is not None:  # the CDR has no hold time then, the partner's has one
        seconds = hold_seconds(max(0, ended_at - vendor_alone_answered_at), PRECISION_MS)
    prefix = comparable(number or "")[:PREFIX_DIGITS]
    return PartnerCall(direction, ended_at, gateway or "", prefix, seconds, amount + tax)
