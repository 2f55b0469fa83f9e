"""Rate the stored calls of a span again, and compare with what was booked; nothing is booked here.

With unchanged rates and parameters each charge comes out as it was, to the last digit and the last byte of its steps.
"""

from decimal import Decimal
from typing import Final

from vosd.admin.price_differences import CallName, PriceDifferences, total_of
from vosd.base.money import EXACT
from vosd.billing.ports import Rates
from vosd.billing.rater import itemise, rate_call
from vosd.billing.rates import AppliedRate
from vosd.callcontrol.admission import FREE_NUMBER
from vosd.callcontrol.rates_again import RatesAgain
from vosd.catalogue.catalogue import Catalogue
from vosd.cdr.past import PastCall
from vosd.cdr.record import AGENT, CUSTOMER, VENDOR

_DEAD_CALL: Final = '"dead_call_billing":'
"""What may follow the steps in the breakdown of a call whose peer vanished."""


class Rerating:
    """Rates calls again; memory grows with accounts and prefixes, not with calls."""

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        account: str | None = None,
        instead: Rates | None = None,
        compares_steps: bool = False,
        most: int = 20,
    ) -> None:
        """``account``: only what this one pays or is paid. ``instead``: by these rates. ``most`` calls are listed.

        ``compares_steps`` needs calls with their breakdowns.
        """
        self._rates = RatesAgain(catalogue, instead, account if instead is not None else None)
        self._account = account
        self._compares_steps = compares_steps
        self.differences = PriceDifferences(most)
        self.calls = 0
        """Calls that were looked at."""
        self.steps_differ = 0
        """Calls of which the charges are the same and the steps are not: a version of the rates, mostly."""

    def add(self, past: PastCall) -> None:
        """Rate a call again."""
        self.calls += 1
        number, wanted = past.callee_billing, self._account
        if number is None:
            return
        steps: list[str] = []
        before = self.differences.differ
        customer, vendor, at = past.customer_account, past.vendor_account, past.started_at
        if customer is not None and past.answered_at is not None and wanted in {None, customer}:
            # The pattern of a number that is free only with its routing prefix is that number.
            dialled = past.rate_prefix or "" if past.rate_group == FREE_NUMBER else ""
            gateway = past.mapping_gateway or ""
            rate = self._rates.of_customer(customer, gateway, number, at, past.caller_in, dialled)
            self._compare(past, customer, CUSTOMER, past.fee, past.tax, past.currency, rate, past.hold_time_ms, steps)
        vendor_ms = past.vendor_ms
        if vendor is not None and vendor_ms is not None and wanted in {None, vendor}:
            rate = self._rates.of_vendor(vendor, past.routing_gateway or "", number, at)
            if rate is not None or past.vendor_rate_prefix is not None:
                currency = past.vendor_currency
                self._compare(past, vendor, VENDOR, past.cost, past.cost_tax, currency, rate, vendor_ms, steps)
        for agent in past.agents:
            if wanted in {None, agent.account}:
                rate = self._rates.of_agent(agent.account, number, at, past.caller_in)
                self._compare(past, agent.account, AGENT, agent.fee, agent.tax, agent.currency, rate, past.hold_time_ms)
        if self._compares_steps and wanted is None and self.differences.differ == before:
            self.steps_differ += not _are_steps_of(past.fee_breakdown, steps)

    def _compare(
        self,
        past: PastCall,
        account: str,
        role: str,
        fee: Decimal,
        tax: Decimal,
        currency: str | None,
        rate: AppliedRate | None,
        duration_ms: int,
        steps: list[str] | None = None,
    ) -> None:
        differences = self.differences
        if rate is not None and rate.currency == currency:
            if self._compares_steps and steps is not None:
                charge, text = itemise(rate, duration_ms)
                steps.append(f'"{role}":{text}')
            else:
                charge = rate_call(rate, duration_ms)
            prefix = rate.rate.prefix
            if charge.fee == fee and charge.tax == tax:
                differences.same(account, role, currency, prefix, total_of(charge))
                return
            after: Decimal | None = total_of(charge)
        else:
            after, prefix = None, (past.vendor_rate_prefix if role == VENDOR else past.rate_prefix) or ""
        name = CallName(past.call_id, past.started_at, past.callee_billing or "")
        differences.other(account, role, currency or "", prefix, EXACT.add(fee, tax), after, name)

    def to_json(self, most_prefixes: int) -> dict[str, object]:
        """Return the outcome; its keys are stable."""
        steps = {"steps_differ": self.steps_differ} if self._compares_steps else {}
        return {"calls": self.calls, **steps, **self.differences.to_json(most_prefixes)}


def _are_steps_of(breakdown: str, steps: list[str]) -> bool:
    """Return whether a stored breakdown has exactly these steps, byte for byte."""
    text = "{" + ",".join(steps)
    if not breakdown.startswith(text):
        return False
    rest = breakdown[len(text) :]
    return rest == "}" or rest.lstrip(",").startswith(_DEAD_CALL)
