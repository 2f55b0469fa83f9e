"""Say why a vendor's price of a call differs: the terms that would give it are tried and named (docs/books.md).

Each explanation changes one term of the rate by which the call was booked: its rounding, the seconds, the unit, the
beginning of the billing, or the whole rate. The first that gives the price and the billed seconds of the vendor holds.
"""

from collections.abc import Callable, Iterator, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Final, NamedTuple

from msgspec.structs import replace

from vosd.base.money import EXACT, ZERO, Rounding, unit_of
from vosd.billing.exchange import exchanged
from vosd.billing.rater import Charge, charged_by, rate_call
from vosd.billing.rates import AppliedRate, Rate
from vosd.clearing.calls import BillClass, BilledCall, SentCall

FRUITLESS_MAX: Final = 200
"""Calls of a prefix that nothing explains, after which only explanations of earlier calls are tried."""
KNOWN_MAX: Final = 20
"""Explanations of earlier calls of a prefix that are tried first."""
_UNITS: Final = ((0, 60), (0, 1), (30, 6), (0, 6), (0, 30), (60, 1), (60, 6), (30, 1), (0, 10), (0, 15), (0, 20))
"""First period and cycle in seconds, the usual ones first: a call may fit several."""
_PLACES: Final = 8
_MINUTE: Final = Decimal(60)
_HUNDRED: Final = Decimal(100)


class PriceTerms(NamedTuple):
    """A rate and a length by which a call may have been billed."""

    rate: AppliedRate
    duration_ms: int


class PriceExplanation(NamedTuple):
    """A difference of terms that may explain a price."""

    result: BillClass
    text: str
    terms: Callable[[AppliedRate, SentCall, BilledCall], PriceTerms | None]
    """Returns the terms of the vendor if this holds; None = it does not apply to the call."""


class RowVerdict(NamedTuple):
    """Class of a call and its explanation, empty where there is none."""

    result: BillClass
    explanation: str = ""
    amount: Decimal | None = None
    """Price by the terms that explain the call, where the file says none; None = nothing explains it."""


MATCHED: Final = RowVerdict(BillClass.MATCHED)


class Judge:
    """Compares matched calls; it remembers what has explained earlier calls of a prefix, and tries that first."""

    def __init__(
        self, duration_tolerance_ms: int, *, includes_tax: bool = False, others: Sequence[PriceExplanation] = ()
    ) -> None:
        """``includes_tax``: the prices of the vendor contain tax. ``others``: explanations by further rates."""
        self.duration_tolerance_ms: Final = duration_tolerance_ms
        self._includes_tax = includes_tax
        lengths, nearly = _of_lengths(duration_tolerance_ms)
        self._explanations = (*_ROUNDINGS, *lengths, *_SECONDS, *_units(), *nearly, *others)
        self._uncorrected = PriceExplanation(
            BillClass.RATE_DIFFERS, "our price before it was corrected", self._uncorrected_terms
        )
        self._known: dict[str, list[PriceExplanation]] = {}
        self._fruitless: dict[str, int] = {}

    def is_equal(self, ours: SentCall, theirs: BilledCall) -> bool:
        """Return whether length, billed seconds and price agree, as far as the vendor's file says them.

        Its length may be the billed one, where either of the others says that this is ours.
        """
        if theirs.price not in {None, ours.cost} or theirs.billed_seconds not in {None, ours.billed_seconds}:
            return False
        is_billed_as_ours = theirs.price is not None or theirs.billed_seconds is not None
        return self._is_as_long(ours, theirs) or (
            is_billed_as_ours and theirs.duration_ms == 1_000 * ours.billed_seconds
        )

    def verdict(self, ours: SentCall, theirs: BilledCall, rate: AppliedRate | None) -> RowVerdict:
        """Return class and explanation of a pair that differs; ``rate`` is that of our cost, None = it is unknown."""
        if rate is not None and not rate.rate.locked:
            rate = charged_by(rate, ours.duration_ms)
            known = self._known.setdefault(ours.prefix, [])
            if self._first((self._uncorrected,), rate, ours, theirs):
                return RowVerdict(self._uncorrected.result, self._uncorrected.text)
            found = self._first(known, rate, ours, theirs)
            if found is None and self._fruitless.get(ours.prefix, 0) < FRUITLESS_MAX:
                found = self._first((*self._explanations, *self._implied(rate, ours, theirs)), rate, ours, theirs)
                if found is None:
                    self._fruitless[ours.prefix] = self._fruitless.get(ours.prefix, 0) + 1
            if found is not None:
                if found in known:
                    known.remove(found)
                known.insert(0, found)  # a call may fit several: the one of the call before is the likeliest
                del known[KNOWN_MAX:]
                return RowVerdict(found.result, found.text, self._price(found, rate, ours, theirs))
        if not self._is_as_long(ours, theirs):
            return RowVerdict(BillClass.DURATION_DIFFERS)
        if theirs.billed_seconds not in {None, ours.billed_seconds}:
            return RowVerdict(BillClass.UNIT_DIFFERS)
        return RowVerdict(BillClass.RATE_DIFFERS)

    def _is_as_long(self, ours: SentCall, theirs: BilledCall) -> bool:
        return abs(ours.duration_ms - theirs.duration_ms) <= self.duration_tolerance_ms

    def _first(
        self, explanations: Sequence[PriceExplanation], rate: AppliedRate, ours: SentCall, theirs: BilledCall
    ) -> PriceExplanation | None:
        billed = theirs.billed_seconds
        for each in explanations:
            terms = each.terms(rate, ours, theirs)
            if terms is None:
                continue
            charge = rate_call(terms.rate, terms.duration_ms)
            if theirs.price is not None and theirs.price != self._amount(charge):
                continue
            if billed is not None and billed != charge.billed_seconds:
                continue
            if self._explains_length(each, charge, ours, theirs):
                return each
        return None

    def _uncorrected_terms(self, rate: AppliedRate, ours: SentCall, theirs: BilledCall) -> PriceTerms | None:
        """Return the terms by which a call was rated where its cost is another one: that was corrected since."""
        if theirs.price is None or self._amount(rate_call(rate, ours.duration_ms)) == ours.cost:
            return None
        return PriceTerms(rate, ours.duration_ms)

    def _explains_length(self, each: PriceExplanation, charge: Charge, ours: SentCall, theirs: BilledCall) -> bool:
        """Return whether a length that differs is explained, too: by itself, or as the billed seconds."""
        if each.result is BillClass.DURATION_DIFFERS or self._is_as_long(ours, theirs):
            return True
        return theirs.duration_ms == 1_000 * charge.billed_seconds

    def _price(self, found: PriceExplanation, rate: AppliedRate, ours: SentCall, theirs: BilledCall) -> Decimal | None:
        """Return the price by an explanation of a call whose price the file does not say."""
        terms = found.terms(rate, ours, theirs) if theirs.price is None else None
        return None if terms is None else self._amount(rate_call(terms.rate, terms.duration_ms))

    def _amount(self, charge: Charge) -> Decimal:
        return charge.total if self._includes_tax else charge.fee

    def _implied(self, rate: AppliedRate, ours: SentCall, theirs: BilledCall) -> Iterator[PriceExplanation]:
        """Yield the price of a minute that gives the vendor's price, with as few decimals as do."""
        seconds = theirs.billed_seconds or ours.billed_seconds
        if not theirs.price or theirs.price < 0 or not seconds or rate.rate.sections:
            return
        fee = theirs.price
        if self._includes_tax and not rate.policy.tax_exempt:
            fee = EXACT.divide(EXACT.multiply(fee, _HUNDRED), EXACT.add(_HUNDRED, rate.rate.tax_rate))
        own = _in_currency_of_account(rate)
        fee = max(EXACT.subtract(fee, own.connection_fee), ZERO)
        beyond_s = seconds - own.first_duration
        if own.first_rate is not None and beyond_s > 0 and fee >= own.first_rate:
            yield from _prices(EXACT.subtract(fee, own.first_rate), beyond_s, keeps_first=True)
        yield from _prices(fee, seconds, keeps_first=False)


def _in_currency_of_account(rate: AppliedRate) -> Rate:
    return rate.rate if rate.exchange_rate is None else exchanged(rate.rate, rate.exchange_rate)


def _prices(fee: Decimal, seconds: int, *, keeps_first: bool) -> Iterator[PriceExplanation]:
    """Yield the prices of a minute by which ``seconds`` may cost ``fee``, those of fewer decimals first."""
    exact = EXACT.divide(EXACT.multiply(fee, _MINUTE), Decimal(seconds))
    for places in range(1, _PLACES + 1):
        yield _of_price(exact.quantize(unit_of(places), ROUND_HALF_UP, EXACT), keeps_first=keeps_first)


def _of_price(price: Decimal, *, keeps_first: bool) -> PriceExplanation:
    def terms(rate: AppliedRate, ours: SentCall, _theirs: BilledCall) -> PriceTerms:
        own = _in_currency_of_account(rate)
        first_rate = own.first_rate if keeps_first else None
        flat = replace(own, billing_rate=price, per_cycle=False, first_rate=first_rate)
        return PriceTerms(replace(rate, rate=flat, exchange_rate=None), ours.duration_ms)

    return PriceExplanation(BillClass.RATE_DIFFERS, f"price of {price.normalize():f} a minute", terms)


def _of_rounding(places: int, rounding: Rounding) -> PriceExplanation:
    unit = unit_of(places)

    def terms(rate: AppliedRate, ours: SentCall, theirs: BilledCall) -> PriceTerms | None:
        price = theirs.price
        if price is None or abs(price - ours.cost) > 2 * max(unit, rate.policy.fee_unit) or price % unit:
            return None
        policy = replace(rate.policy, fee_precision=places, fee_unit=unit, rounding=rounding, nonzero_floor=False)
        return PriceTerms(replace(rate, policy=policy), ours.duration_ms)

    words = {Rounding.HALF_UP: "half up", Rounding.UP: "up", Rounding.DOWN: "down"}
    return PriceExplanation(BillClass.ROUNDING_DIFFERS, f"{places} decimals, rounded {words[rounding]}", terms)


_ROUNDINGS: Final = tuple(_of_rounding(places, how) for places in reversed(range(_PLACES + 1)) for how in Rounding)


def _of_seconds(threshold_ms: int, text: str) -> PriceExplanation:
    def terms(rate: AppliedRate, ours: SentCall, _theirs: BilledCall) -> PriceTerms:
        policy = replace(rate.policy, hold_time_precision_ms=threshold_ms)
        return PriceTerms(replace(rate, policy=policy), ours.duration_ms)

    return PriceExplanation(BillClass.ROUNDING_DIFFERS, text, terms)


_SECONDS: Final = (
    _of_seconds(0, "a begun second is a whole one"),
    _of_seconds(500, "half a second is a whole one"),
    _of_seconds(1_000, "a begun second is none"),
)


def _of_lengths(tolerance_ms: int) -> tuple[tuple[PriceExplanation, ...], tuple[PriceExplanation, ...]]:
    """Return the explanations by the vendor's own length and by the beginning of the billing.

    Those behind are of clocks that differ by a second or two: they fit by chance, so units of billing come before them.
    """

    def from_invite(rate: AppliedRate, ours: SentCall, theirs: BilledCall) -> PriceTerms | None:
        rings = ours.from_invite_ms - ours.duration_ms > tolerance_ms
        if not rings or abs(theirs.duration_ms - ours.from_invite_ms) > tolerance_ms:
            return None
        return PriceTerms(rate, theirs.duration_ms)

    def ringing_billed(late_ms: int) -> PriceExplanation:
        def terms(rate: AppliedRate, ours: SentCall, theirs: BilledCall) -> PriceTerms | None:
            rings = ours.from_invite_ms - ours.duration_ms > tolerance_ms
            is_as_long = abs(theirs.duration_ms - ours.duration_ms) <= tolerance_ms
            if not rings or not is_as_long or theirs.billed_seconds is None:
                return None
            return PriceTerms(rate, ours.from_invite_ms + late_ms)

        return PriceExplanation(BillClass.DURATION_DIFFERS, "billed from the INVITE", terms)

    def theirs_by_our_terms(rate: AppliedRate, ours: SentCall, theirs: BilledCall) -> PriceTerms | None:
        if theirs.duration_ms == ours.duration_ms or _is_unit_of(ours, theirs):
            return None
        return PriceTerms(rate, theirs.duration_ms)

    def _is_unit_of(ours: SentCall, theirs: BilledCall) -> bool:
        """Return whether the vendor's length is ours in whole units of half a minute or a minute: billed seconds."""
        is_as_long = abs(theirs.duration_ms - ours.duration_ms) <= tolerance_ms
        return not is_as_long and any(
            theirs.duration_ms == -(-ours.duration_ms // unit) * unit for unit in (60_000, 30_000)
        )

    exact = (
        PriceExplanation(BillClass.DURATION_DIFFERS, "billed from the INVITE", from_invite),
        PriceExplanation(BillClass.DURATION_DIFFERS, "their duration", theirs_by_our_terms),
        ringing_billed(0),
    )
    return exact, tuple(ringing_billed(late_ms) for late_ms in (-1_000, 1_000, -2_000, 2_000))


def _of_unit(first_s: int, cycle_s: int) -> PriceExplanation:
    def terms(rate: AppliedRate, ours: SentCall, _theirs: BilledCall) -> PriceTerms | None:
        own = rate.rate
        if own.sections or (own.billing_cycle, own.first_duration) == (cycle_s, first_s):
            return None
        minute = own.billing_rate
        if own.per_cycle:
            minute = EXACT.divide(EXACT.multiply(minute, _MINUTE), Decimal(own.billing_cycle))
        other = replace(
            own, billing_rate=minute, per_cycle=False, billing_cycle=cycle_s, first_duration=first_s, first_rate=None
        )
        return PriceTerms(replace(rate, rate=other), ours.duration_ms)

    text = f"{first_s}/{cycle_s}" if first_s else f"{cycle_s}"
    return PriceExplanation(BillClass.UNIT_DIFFERS, f"their unit is {text} s", terms)


def _units() -> tuple[PriceExplanation, ...]:
    """Return the explanations by another unit: of our length, then of the vendor's where that differs a little."""
    plain = tuple(_of_unit(first, cycle) for first, cycle in _UNITS)
    return (*plain, *(_of_their_length(each) for each in plain))


def _of_their_length(plain: PriceExplanation) -> PriceExplanation:
    def terms(rate: AppliedRate, ours: SentCall, theirs: BilledCall) -> PriceTerms | None:
        found = None if theirs.duration_ms == ours.duration_ms else plain.terms(rate, ours, theirs)
        return None if found is None else found._replace(duration_ms=theirs.duration_ms)

    return plain._replace(terms=terms)
