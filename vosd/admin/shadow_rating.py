"""Rate the calls of another switch with our rates, and compare with what it has charged."""

from decimal import Decimal
from enum import Enum
from typing import Final, NamedTuple

from vosd.admin.foreign_calls import BadRowError, ForeignCall, ForeignLayout
from vosd.admin.price_differences import CallName, PriceDifferences, total_of
from vosd.base.money import EXACT, ZERO
from vosd.billing.rater import Charge, charged_by, rate_call
from vosd.billing.rates import AppliedRate
from vosd.callcontrol.rates_again import RatesAgain
from vosd.catalogue.catalogue import Catalogue
from vosd.cdr.record import CUSTOMER, VENDOR
from vosd.trunks.dialect import CallerPrivacy

BAD_ROWS_SHOWN: Final = 20


class RatedSide(Enum):
    """The party whose charge the file has."""

    SELL = "sell"
    """Customers': gateways are mapping gateways and phones."""
    BUY = "buy"
    """Vendors': gateways are routing gateways."""


class CdrMap(NamedTuple):
    """A map that is read."""

    layout: ForeignLayout
    side: RatedSide
    includes_tax: bool
    strip_ours: tuple[str, ...] = ()
    """Beginnings of our numbers that the file of a vendor has not, of which the first that fits is taken off."""
    starts_at_invite: bool = False
    """Whether the start that the file has is that of the INVITE, and not that of the answer."""


class RatedRow(NamedTuple):
    """One row of the file, rated."""

    line: int
    call: ForeignCall
    account: str
    rate: AppliedRate | None
    charge: Charge | None
    difference: Decimal | None
    """Ours less theirs; None = there is nothing to compare."""


class BadRow(NamedTuple):
    """A row that could not be read."""

    line: int
    reason: str


class ShadowRating:
    """Rates rows; memory grows with accounts and prefixes, not with rows."""

    def __init__(
        self,
        catalogue: Catalogue,
        side: RatedSide,
        *,
        includes_tax: bool = False,
        compares: bool = True,
        most: int = 20,
    ) -> None:
        """``includes_tax``: their prices contain tax. ``compares``: the file has prices. ``most`` calls are listed."""
        self._catalogue, self._rates = catalogue, RatesAgain(catalogue)
        self._side, self._includes_tax, self._compares = side, includes_tax, compares
        self._role = CUSTOMER if side is RatedSide.SELL else VENDOR
        self.differences = PriceDifferences(most)
        self.rows = self.bad = self.unpaid = 0
        """``unpaid`` rows name neither account nor gateway and were not charged: test calls of our own are so."""
        self.bad_rows: list[BadRow] = []
        """The first ones."""

    def add_bad(self, line: int, error: BadRowError) -> None:
        """Note a row that could not be read."""
        self.rows += 1
        self.bad += 1
        if len(self.bad_rows) < BAD_ROWS_SHOWN:
            self.bad_rows.append(BadRow(line, str(error)))

    def add(self, line: int, call: ForeignCall) -> RatedRow:
        """Rate a row."""
        self.rows += 1
        account = call.account or self._account_of(call.gateway)
        rate = self._rate(account, call)
        if rate is None:
            known = self._catalogue.accounts.get(account)
            currency = "" if known is None else known.currency
            if not (call.price or account or call.gateway):
                self.unpaid += 1
            elif not call.price and not (account and call.duration_ms):  # one that was refused
                self.differences.free(account, self._role, currency)
            else:
                self.differences.other(account, self._role, currency, "", call.price or ZERO, None, _name(line, call))
            return RatedRow(line, call, account, None, None, None)
        rate = charged_by(rate, call.duration_ms)
        charge = rate_call(rate, call.duration_ms)
        ours = total_of(charge) if self._includes_tax or not self._compares else charge.fee
        theirs = ZERO if call.price is None and self._compares else call.price  # an empty cell is no charge
        prefix, currency = rate.rate.prefix, rate.paid_in or rate.currency
        if theirs is None or theirs == ours:
            self.differences.same(account, self._role, currency, prefix, ours)
            return RatedRow(line, call, account, rate, charge, None if theirs is None else ZERO)
        self.differences.other(account, self._role, currency, prefix, theirs, ours, _name(line, call))
        return RatedRow(line, call, account, rate, charge, EXACT.subtract(ours, theirs))

    def to_json(self, most_prefixes: int) -> dict[str, object]:
        """Return the outcome; its keys are stable. Without prices to compare, ``before`` is our own price."""
        return {
            "rows": self.rows,
            "bad_rows": self.bad,
            "first_bad_rows": [row._asdict() for row in self.bad_rows],
            "unpaid_rows": self.unpaid,
            "compares": self._compares,
            **self.differences.to_json(most_prefixes),
        }

    def _account_of(self, gateway: str) -> str:
        """Return the account of a gateway; empty = it is not configured, or has none."""
        gateways = (
            self._catalogue.mapping_gateways if self._side is RatedSide.SELL else self._catalogue.routing_gateways
        )
        found = gateways.get(gateway)
        return "" if found is None else found.account or ""

    def _rate(self, account: str, call: ForeignCall) -> AppliedRate | None:
        if self._side is RatedSide.SELL:
            return self._rates.of_customer(account, call.gateway, call.callee, call.started_at, call.caller)
        vendor = self._catalogue.routing_gateways.get(call.gateway)
        is_shown = vendor is None or vendor.dialect.shows_number[CallerPrivacy.SHOWN]
        caller = call.caller if is_shown else ""
        return self._rates.of_vendor(account, call.gateway, call.callee, call.started_at, caller)


def _name(line: int, call: ForeignCall) -> CallName:
    return CallName(line, call.started_at, call.callee)
