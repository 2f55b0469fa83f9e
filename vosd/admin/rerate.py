"""Rate the stored calls of a span again, and compare with what was booked; nothing is booked here.

With unchanged rates and parameters each charge comes out as it was, to the last digit and the last byte of its steps.
What was corrected by hand stays as it is and counts as the same, unless it is asked for (ADR 55).
"""

import hashlib
from decimal import Decimal
from typing import Final, NamedTuple

from vosd.admin.price_differences import CallName, PriceDifferences, total_of
from vosd.base.money import EXACT
from vosd.billing.free_numbers import FREE_NUMBER
from vosd.billing.rate_group import RateGroup
from vosd.billing.rater import charged_by, itemise, itemise_rest, rate_call, tax_percent
from vosd.billing.rates import AppliedRate, as_answered
from vosd.callcontrol.rates_again import RatesAgain
from vosd.catalogue.catalogue import Catalogue
from vosd.cdr.corrections import Amounts, ChargeChange
from vosd.cdr.past import PastCall
from vosd.cdr.record import AGENT, CUSTOMER, VENDOR

_DEAD_CALL: Final = '"dead_call_billing":'
"""Key that may follow the steps in the breakdown of a call whose peer vanished."""


class _Booked(NamedTuple):
    """A charge as it is booked."""

    account: str
    role: str
    level: int
    fee: Decimal
    tax: Decimal
    currency: str | None
    was_rated: bool
    """Whether the call has a row for it, which can be corrected."""


class Rerating:
    """Rates calls again; memory grows with accounts and prefixes, not with calls."""

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        account: str | None = None,
        instead: RateGroup | None = None,
        compares_steps: bool = False,
        corrects: bool = False,
        corrected_too: bool = False,
        most: int = 20,
    ) -> None:
        """``account``: only what this one pays or is paid. ``instead``: by these rates. ``most`` calls are listed.

        ``compares_steps`` needs calls with their breakdowns. ``corrects``: ``add`` returns what is to be corrected.
        ``corrected_too``: also what was corrected by hand.
        """
        self._rates = RatesAgain(catalogue, instead, account if instead is not None else None)
        self._account = account
        self._compares_steps, self._corrects = compares_steps, corrects
        self._has_deck, self._corrected_too = instead is not None, corrected_too
        self._changes: list[ChargeChange] = []
        self.differences = PriceDifferences(most)
        self.calls = 0
        """Calls that were looked at."""
        self.steps_differ = 0
        """Calls of which the charges are the same and the steps are not: a version of the rates, mostly."""
        self.uncorrected = 0
        """Charges that differ and cannot be corrected: there is no rate now, or there was none then."""
        self.corrected_by_hand = 0
        """Charges that are rated otherwise than they were corrected by hand, and stay so; they do not differ."""

    def add(self, past: PastCall) -> tuple[ChargeChange, ...]:
        """Rate a call again; return the changes of its charges, if they are wanted."""
        self._changes = []
        self._add(past)
        return tuple(self._changes)

    def _add(self, past: PastCall) -> None:
        self.calls += 1
        number, wanted = past.callee_billing, self._account
        if number is None:
            return
        steps: list[str] = []
        before = self.differences.differ
        customer, vendor, at = past.customer_account, past.vendor_account, past.started_at
        caller, in_front = self._rates.caller_of(past), past.forward_prefix or ""
        sold_by = "" if past.caller_privacy else caller
        customer_ms, vendor_ms = past.customer_ms, past.vendor_ms
        if customer is not None and customer_ms is not None and wanted in {None, customer}:
            # The pattern of a number that is free only with its routing prefix is that number.
            dialled = past.rate_prefix or "" if past.rate_group == FREE_NUMBER else ""
            gateway = past.mapping_gateway or ""
            rate = self._rates.of_customer(customer, gateway, number, at, sold_by, dialled, in_front)
            rate = as_answered(rate, past.answered_at)
            booked = _Booked(customer, CUSTOMER, 0, past.fee, past.tax, past.currency, past.rate_group is not None)
            self._compare(past, booked, rate, customer_ms, steps)
        if vendor is not None and vendor_ms is not None and wanted in {None, vendor}:
            bought_by = "" if past.caller_hidden else caller
            rate = self._rates.of_vendor(vendor, past.routing_gateway or "", number, at, bought_by)
            rate = as_answered(rate, past.vendor_answered_at)
            if rate is not None or past.vendor_rate_prefix is not None:
                was_rated = past.vendor_rate_prefix is not None
                cost = past.cost, past.cost_tax
                booked = _Booked(vendor, VENDOR, 0, *cost, past.vendor_currency, was_rated)
                self._compare(past, booked, rate, vendor_ms, steps, paid_ms=past.vendor_paid_ms)
        for agent in past.agents:
            if wanted in {None, agent.account}:
                rate = self._rates.of_agent(agent.account, number, at, sold_by, in_front)
                rate = as_answered(rate, past.answered_at)
                booked = _Booked(agent.account, AGENT, agent.level, agent.fee, agent.tax, agent.currency, True)
                self._compare(past, booked, rate, customer_ms or 0)
        if self._compares_steps and wanted is None and self.differences.differ == before:
            self.steps_differ += not _are_steps_of(past.fee_breakdown, steps)

    def _compare(
        self,
        past: PastCall,
        booked: "_Booked",
        rate: AppliedRate | None,
        duration_ms: int,
        steps: list[str] | None = None,
        *,
        paid_ms: int | None = None,
    ) -> None:
        account, role, level, fee, tax, currency, was_rated = booked
        differences = self.differences
        if rate is not None and (rate.paid_in or rate.currency) == currency:
            if paid_ms is not None:
                charge, text = itemise_rest(rate, duration_ms, paid_ms)
                if steps is not None:
                    steps.append(f'"{role}":{text}')
            elif self._compares_steps and steps is not None:
                charge, text = itemise(rate, duration_ms)
                steps.append(f'"{role}":{text}')
            else:
                charge = rate_call(rate, duration_ms)
            prefix = charged_by(rate, duration_ms).rate.prefix
            if charge.fee == fee and charge.tax == tax:
                differences.same(account, role, currency, prefix, total_of(charge))
                return
            after: Decimal | None = total_of(charge)
            amounts = Amounts(charge.fee, charge.tax, charge.billed_seconds)
            percent = tax_percent(charged_by(rate, duration_ms))
            change = ChargeChange(role, level, amounts, percent, _latest_of(past, role, level))
        else:
            after, prefix = None, (past.vendor_rate_prefix if role == VENDOR else past.rate_prefix) or ""
            change = None
        if self._stays(_latest_of(past, role, level)):
            self.corrected_by_hand += 1
            differences.same(account, role, currency or "", prefix, EXACT.add(fee, tax))
            return
        if self._corrects and was_rated and change is not None:
            self._changes.append(change)
        self.uncorrected += after is None or not was_rated
        name = CallName(past.call_id, past.started_at, past.callee_billing or "")
        differences.other(account, role, currency or "", prefix, EXACT.add(fee, tax), after, name)

    def _stays(self, latest: str) -> bool:
        """Return whether a charge was corrected by hand last, under ``latest``, and is to stay so."""
        return bool(latest) and not self._corrected_too and is_by_hand(latest, has_deck=self._has_deck)

    def to_json(self, most_prefixes: int) -> dict[str, object]:
        """Return the outcome; its keys are stable."""
        steps = {"steps_differ": self.steps_differ} if self._compares_steps else {}
        corrects = {"uncorrected": self.uncorrected} if self._corrects else {}
        by_hand = {"corrected_by_hand": self.corrected_by_hand}
        return {"calls": self.calls, **steps, **by_hand, **corrects, **self.differences.to_json(most_prefixes)}


def _latest_of(past: PastCall, role: str, level: int) -> str:
    """Return the reference of the latest correction of a charge; empty = it was not corrected."""
    return next((each.reference for each in past.corrections if (each.role, each.level) == (role, level)), "")


def _are_steps_of(breakdown: str, steps: list[str]) -> bool:
    """Return whether a stored breakdown has exactly these steps, byte for byte."""
    text = "{" + ",".join(steps)
    if not breakdown.startswith(text):
        return False
    rest = breakdown[len(text) :]
    return rest == "}" or rest.lstrip(",").startswith(_DEAD_CALL)


_OF_RUN: Final = "rerate-"
"""Begins the reference of a run of ``vosd rerate --book``: by it a correction is known as one of a run, or by hand."""
_OF_DECK: Final = "rerated-with-"
"""Begins the name of a run by other rates than those that are configured (``--with``)."""
OF_RUNS: Final = (_OF_RUN, _OF_DECK)


def digest_of(*parts: object) -> str:
    """Return a name that runs with the same calls and rates have in common, and no others."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def reference_of_run(name: str, *, has_deck: bool = False) -> str:
    """Return the reference of a run of this name; one that is a reference already stays."""
    beginning = _OF_DECK if has_deck else _OF_RUN
    return name if name.startswith(beginning) else beginning + name


def is_by_hand(reference: str, *, has_deck: bool = False) -> bool:
    """Return whether a run leaves alone what was corrected under a reference.

    A run by the configured rates leaves what another deck has priced, too: it would take that back.
    """
    return not reference.startswith(OF_RUNS if has_deck else _OF_RUN)
