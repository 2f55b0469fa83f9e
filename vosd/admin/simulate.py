"""Simulate other routes for the calls of a span: by vendor, gateway, destination and currency.

"Before" is what the records say, "after" is what a catalogue makes of the same calls. A call that would go elsewhere
is taken to be answered as it was, and to last as long; one that comes to no gateway but those that have failed it is
not answered. Fees, costs and margins are in one currency, by the exchange
rates of each call; what no rate converts is counted and left out of them.
"""

import re
from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple, TypeVar

from vosd.admin.routing import idle_state
from vosd.base.cause import EndReason
from vosd.base.money import EXACT, ZERO, format_amount
from vosd.billing.accounts import AccountType
from vosd.billing.rater import rate_call
from vosd.billing.rates import AppliedRate, as_answered
from vosd.callcontrol.replay import Replay
from vosd.callcontrol.vendor_terms import buy_rate
from vosd.catalogue.catalogue import Catalogue
from vosd.cdr.past import PastCall
from vosd.cdr.record import LATE_ANSWER

GROUPS_MAX: Final = 100_000
"""Destinations with sums of their own; the calls to all others are counted together."""
OTHERS: Final = "(others)"

_MINUTE_MS: Final = 60_000
_TENTH: Final = Decimal("0.1")
_JUDGED: Final = frozenset(
    {
        EndReason.NO_AVAILABLE_ROUTE.text, EndReason.NO_MATCHING_RATE.text, EndReason.NUMBER_NOT_ALLOWED.text,
        EndReason.RATE_TYPE_NOT_ALLOWED.text, EndReason.ACCOUNT_DISABLED.text, EndReason.ACCOUNT_EXPIRED.text,
    }
)  # fmt: skip
"""Refusals that a simulation decides again; others are due to live state, money, or the caller and its address."""

_LIVE: Final = re.compile(
    r"caller in dynamic blacklist: |(account|agent|mapping gateway) .*?(is|may not call .*?:) (blocked|closed) by "
)
"""Beginning of the reason for which live state refuses a call: the dynamic blacklist, or an override.

Those of overrides are written by ``Admission.check_open`` and ``callcontrol.payers``.
"""
_OF_MONEY: Final = frozenset({"currencies", "unconverted", "fee", "cost", "margin", "loss", "loss_calls"})
"""Fields of an answer that are about money."""

Key = TypeVar("Key", bound=Hashable)


class SimulatedCall(NamedTuple):
    """One call, as it was or as it would be: who carries it, and what is charged for it without tax."""

    gateway: str | None
    """None = it is refused."""
    vendor: str
    """The vendor's account; empty = it has none, as a phone."""
    fee: Decimal
    """The fee of the last agent, else of the customer: what agents charge among themselves is theirs."""
    currency: str
    cost: Decimal
    vendor_currency: str
    prefix: str
    """Prefix of the customer's rate."""
    area: str
    refusal: str
    """The end reason of a call that is refused."""
    is_failed: bool = False
    """Every gateway that it comes to has failed it: it is not answered."""


class CallSums:
    """Sums of some calls."""

    __slots__ = ("answered", "calls", "cost", "fee", "losses", "lost", "ms")

    def __init__(self) -> None:
        self.calls = self.answered = self.losses = self.ms = 0
        self.fee = self.cost = self.lost = ZERO

    def add(self, talk_ms: int | None, fee: Decimal, cost: Decimal) -> None:
        """Add a call; ``talk_ms`` are the milliseconds from its answer, None = it was not answered."""
        self.calls += 1
        if talk_ms is not None:
            self.answered += 1
            self.ms += talk_ms
        self.fee = EXACT.add(self.fee, fee)
        self.cost = EXACT.add(self.cost, cost)
        if cost > fee:
            self.losses += 1
            self.lost = EXACT.add(self.lost, EXACT.subtract(cost, fee))

    @property
    def margin(self) -> Decimal:
        """Return the fees less the costs."""
        return EXACT.subtract(self.fee, self.cost)

    def counts(self) -> dict[str, object]:
        """Return calls, answered calls and minutes for JSON."""
        minutes = EXACT.divide(Decimal(self.ms), Decimal(_MINUTE_MS)).quantize(_TENTH, context=EXACT)
        return {"calls": self.calls, "answered": self.answered, "minutes": format(minutes, "f")}

    def money(self) -> dict[str, object]:
        """Return fees, costs and margin for JSON."""
        amounts = {"fee": self.fee, "cost": self.cost, "margin": self.margin}
        return {name: format_amount(amount) for name, amount in amounts.items()}

    def below_cost(self) -> dict[str, object]:
        """Return the calls that cost more than they brought, and by how much, for JSON."""
        return {"loss_calls": self.losses, "loss": format_amount(self.lost)}


class ComparedSums:
    """Sums of some calls before and after."""

    __slots__ = ("after", "before", "changed")

    def __init__(self) -> None:
        self.before, self.after = CallSums(), CallSums()
        self.changed = 0
        """Calls that would go through another gateway, or to none."""


class Simulation:
    """Collects the calls of a span; its memory grows with gateways and destinations, not with calls."""

    def __init__(self, catalogue: Catalogue, currency: str | None = None) -> None:
        """``currency`` is that of fees, costs and margins; None = that of most customers."""
        idle = idle_state(catalogue, None)
        self._replay = Replay(catalogue, idle)
        self._quality = idle.quality
        self._exchange = catalogue.currencies
        payers = (each for each in catalogue.accounts.values() if each.type is AccountType.DIRECT)
        used = Counter(account.currency for account in payers)
        self.currency = currency or min(used, key=lambda code: (-used[code], code), default="")
        self._unconverted: Counter[str] = Counter()
        """Fees and costs that no exchange rate converts, by their currency."""
        self._vendors: dict[tuple[str, str], ComparedSums] = {}
        """By account and currency."""
        self._gateways: dict[tuple[str, str], ComparedSums] = {}
        """By name and currency of its vendor."""
        self._destinations: dict[tuple[str, str], ComparedSums] = {}
        """By prefix and area of the customer's rate."""
        self._margins: dict[tuple[str, str], ComparedSums] = {}
        """By area of the customer's rate, or its prefix where it has none, and the vendor's account."""
        self._refused: tuple[Counter[str], Counter[str]] = Counter(), Counter()
        """Calls without route by reason, before and after."""
        self._left_out: Counter[str] = Counter()
        self.all = ComparedSums()
        self.seen = self.unasked = 0

    def add(self, past: PastCall) -> None:
        """Route a call again, and add what it was and what it would be."""
        self.seen += 1
        if past.customer_account is None and past.routing_gateway is not None and past.mapping_gateway is not None:
            # The cost of an answer in vain: the call has a record of its own.
            self._left_out[LATE_ANSWER] += 1
            return
        if past.mapping_gateway is None or (past.routing_gateway is None and not _is_judged(past)):
            self._left_out[past.end_reason] += 1
            return
        before, after = _as_it_was(past), self._as_it_would_be(past)
        is_changed = before.gateway != after.gateway
        self.all.changed += is_changed
        self._add(before, past.vendor_talk_ms, is_changed=is_changed, is_before=True)
        self._add(after, None if after.is_failed else past.vendor_talk_ms, is_changed=is_changed, is_before=False)
        destination = after if after.prefix else before
        key = destination.prefix, destination.area
        if key not in self._destinations and len(self._destinations) >= GROUPS_MAX:
            key = OTHERS, ""
        compared = _at(self._destinations, key)
        compared.changed += is_changed
        for whole, part, each in ((self.all.before, compared.before, before), (self.all.after, compared.after, after)):
            if each.gateway is None:
                part.add(None, ZERO, ZERO)
                continue
            fee = self._converted(each.fee, each.currency, past.started_at)
            cost = self._converted(each.cost, each.vendor_currency, past.started_at)
            of_vendor = self._of_area_and_vendor(each)
            for sums in (whole, part, of_vendor.before if each is before else of_vendor.after):
                sums.add(None if each.is_failed else past.talk_ms, fee, cost)
        if past.talk_ms is not None and after.prefix and not after.is_failed:
            # The order of the calls is that of the span, newest first, so all are taken to be of one moment.
            self._quality.talked(after.gateway or OTHERS, after.prefix, past.talk_ms, 0, after.prefix)

    def _of_area_and_vendor(self, outcome: SimulatedCall) -> ComparedSums:
        key = outcome.area or outcome.prefix, outcome.vendor
        if key not in self._margins and len(self._margins) >= GROUPS_MAX:
            key = OTHERS, ""
        return _at(self._margins, key)

    def _converted(self, amount: Decimal, currency: str, wall_ms: int) -> Decimal:
        """Return an amount in the currency of the simulation; without exchange rate it is counted, and zero.

        A sum needs no rate that someone has agreed on: that of the other direction will do.
        """
        if not amount or currency == self.currency:
            return amount
        rate = self._exchange.rate(currency, self.currency, wall_ms)
        if rate is not None:
            return EXACT.multiply(amount, rate)
        inverse = self._exchange.rate(self.currency, currency, wall_ms)
        if inverse is None:
            self._unconverted[currency] += 1
            return ZERO
        return EXACT.divide(amount, inverse)

    def _as_it_would_be(self, past: PastCall) -> SimulatedCall:
        replayed = self._replay.route(past)
        self.unasked += replayed.is_unasked
        rate, sold, choice, refusal = replayed.rate, replayed.sold, replayed.choice, replayed.refusal
        buys = buy_rate(choice)
        is_failed = replayed.is_failed and past.answered_at is not None
        is_carried = choice is not None and not is_failed
        return SimulatedCall(
            choice.gateway.name if choice is not None else None,
            (choice.gateway.account or "") if choice is not None else "",
            _fee(sold, past.customer_ms, past.answered_at) if is_carried else ZERO,
            (sold.paid_in or sold.currency) if sold is not None else past.currency or "",
            _fee(buys, past.vendor_ms, past.vendor_answered_at) if is_carried else ZERO,
            (buys.paid_in or buys.currency) if buys is not None else "",
            rate.rate.prefix if rate is not None else "",
            rate.rate.area if rate is not None else "",
            refusal.reason.text if refusal is not None else "",
            is_failed,
        )

    def _add(self, outcome: SimulatedCall, vendor_talk_ms: int | None, *, is_changed: bool, is_before: bool) -> None:
        """Add one outcome of a call to the sums of its vendor and gateway, in the currency of the vendor."""
        if outcome.gateway is None:
            self._refused[not is_before][outcome.refusal] += 1
            return
        places = (
            _at(self._vendors, (outcome.vendor, outcome.vendor_currency)),
            _at(self._gateways, (outcome.gateway, outcome.vendor_currency)),
        )
        for compared in places:
            (compared.before if is_before else compared.after).add(vendor_talk_ms, ZERO, outcome.cost)
            compared.changed += is_changed

    def to_json(self, most: int, *, with_money: bool = True) -> dict[str, object]:
        """Return what would change; its keys are stable. ``most`` destinations are listed.

        Without money there are no fees, costs, margins and losses, and they decide neither which rows are listed nor
        their order.
        """
        weight: Callable[[ComparedSums], Decimal | int] = _difference if with_money else _moved
        changed = [
            (key, each)
            for key, each in self._destinations.items()
            if each.changed or (with_money and _money_differs(each))
        ]
        changed.sort(key=lambda item: (-weight(item[1]), -item[1].changed, item[0]))
        before, after = self.all.before, self.all.after
        reasons = sorted({*self._refused[0], *self._refused[1]})
        document: dict[str, object] = {
            "calls": self.all.before.calls + self._refused[0].total(),
            "changed": self.all.changed,
            "left_out": _named(self._left_out),
            "unasked": self.unasked,
            "before": self._side(before, 0),
            "after": self._side(after, 1),
            "currencies": [{"currency": self.currency or None, "before": before.money(), "after": after.money()}],
            "unconverted": [
                {"currency": currency, "amounts": count} for currency, count in sorted(self._unconverted.items())
            ],
            "vendors": [_row("vendor", key, each) for key, each in sorted(self._vendors.items())],
            "gateways": [_row("routing_gateway", key, each) for key, each in sorted(self._gateways.items())],
            "margins": [
                _margin_row(*key, self.currency, each)
                for key, each in sorted(self._margins.items(), key=lambda item: (-weight(item[1]), item[0]))[:most]
            ],
            "margins_in_all": len(self._margins),
            "without_route": [
                {"reason": reason, "before": self._refused[0][reason], "after": self._refused[1][reason]}
                for reason in reasons
            ],
            "destinations": [_destination(*key, self.currency, each) for key, each in changed[:most]],
            "destinations_changed": len(changed),
        }
        shown: dict[str, object] = document if with_money else _without_money(document)
        return shown

    def _side(self, sums: CallSums, place: int) -> dict[str, object]:
        without = self._refused[place].total()
        return {**sums.counts(), "without_route": without, "loss_calls": sums.losses}


def _is_judged(past: PastCall) -> bool:
    """Return whether a refusal is decided again: live state gives some of the reasons that the configuration gives."""
    return past.end_reason in _JUDGED and not _LIVE.match(past.refusal)


def _fee(rate: AppliedRate | None, duration_ms: int | None, answered_at: int | None) -> Decimal:
    """Return what a call costs by a rate; nothing where it has no rate or is not charged."""
    if rate is None or duration_ms is None:
        return ZERO
    return rate_call(as_answered(rate, answered_at), duration_ms).fee


def _as_it_was(past: PastCall) -> SimulatedCall:
    sold = past.agents[-1] if past.agents else past
    return SimulatedCall(
        past.routing_gateway,
        past.vendor_account or "",
        sold.fee,
        sold.currency or past.currency or "",
        past.cost,
        past.vendor_currency or "",
        past.rate_prefix or "",
        past.rate_area or "",
        past.end_reason,
    )


def _at(compared: dict[Key, ComparedSums], key: Key) -> ComparedSums:
    found = compared.get(key)
    if found is None:
        found = compared[key] = ComparedSums()
    return found


def _money_differs(compared: ComparedSums) -> bool:
    return compared.before.fee != compared.after.fee or compared.before.cost != compared.after.cost


def _moved(compared: ComparedSums) -> int:
    return abs(compared.after.calls - compared.before.calls)


def _without_money(document: Any) -> Any:
    """Return a document for JSON without what its fields say of money."""
    if isinstance(document, dict):
        return {name: _without_money(value) for name, value in document.items() if name not in _OF_MONEY}
    return [*map(_without_money, document)] if isinstance(document, list) else document


def _difference(compared: ComparedSums) -> Decimal:
    return abs(EXACT.subtract(compared.after.margin, compared.before.margin))


def _named(counts: Mapping[str, int]) -> list[dict[str, object]]:
    return [{"reason": reason, "calls": calls} for reason, calls in sorted(counts.items())]


def _row(kind: str, key: tuple[str, str], compared: ComparedSums) -> dict[str, object]:
    sides = (("before", compared.before), ("after", compared.after))
    return {
        kind: key[0] or None,
        "currency": key[1] or None,
        **{name: {**sums.counts(), "cost": format_amount(sums.cost)} for name, sums in sides},
    }


def _margin_row(area: str, vendor: str, currency: str, compared: ComparedSums) -> dict[str, object]:
    sides = (("before", compared.before), ("after", compared.after))
    return {
        "area": area or None,
        "vendor": vendor or None,
        "currency": currency or None,
        **{name: {**sums.counts(), **sums.money(), **sums.below_cost()} for name, sums in sides},
    }


def _destination(prefix: str, area: str, currency: str, compared: ComparedSums) -> dict[str, object]:
    return {
        "prefix": prefix or None,
        "area": area or None,
        "currency": currency or None,
        "changed": compared.changed,
        "before": {**compared.before.counts(), **compared.before.money()},
        "after": {**compared.after.counts(), **compared.after.money()},
    }
