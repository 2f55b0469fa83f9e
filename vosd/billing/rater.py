"""Rate a call: duration and rate in, charge with its steps out. The order of operations stands in ``docs/billing.md``.

A longer call never costs less, since rates are not negative, unless it has sections without cap. ``total_at``, by which
``holds`` reserves ahead, never falls.
"""

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Final, NamedTuple

import msgspec

from vosd.base.money import EXACT, ROUNDING_MODE, ZERO, Rounding, format_amount, format_price_in_full, round_to_unit
from vosd.billing.exchange import exchanged
from vosd.billing.rates import AppliedRate, Rate, RatingPolicy, for_unanswered, hold_seconds
from vosd.billing.sections import completed, following, format_sections

Step = dict[str, str | int | bool | None]
"""One line of a breakdown, fit for JSON: money in plain decimal strings, ``step`` names the line."""

_HALF_UP: Final = Rounding.HALF_UP
_UNIT_OF_PRECISION: Final = tuple(Decimal(1).scaleb(-places) for places in range(9))

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(list[Step]).decode


class _Terms(NamedTuple):
    """Common part of the breakdowns of all calls with one rate, as JSON."""

    row: str
    """The line of the rate."""
    rounding: str
    """Text about the rounding of the fee, within its line."""


_TERMS_MAX: Final = 4_096
_TERMS: Final[dict[AppliedRate, _Terms]] = {}
"""Terms that were in use: writing them out costs more than finding them again."""


class _Additions(NamedTuple):
    """Amounts that are added to the price of seconds; together they are the raw fee."""

    paid_s: int
    """Seconds before the cycles: the first period, or the end of the last completed section."""
    price: Decimal
    """Price of these seconds and the cycles."""
    cap: Decimal
    """By how much the next section lowers the price; zero or less."""
    connection_fee: Decimal
    top_up: Decimal
    """Amount that is missing to the minimum charge."""


_Rated = tuple[_Additions | None, int, Decimal, Decimal, Decimal, Decimal, Decimal]
"""Additions, begun cycles, their raw fee, the whole raw fee, the fee, the raw tax, the tax."""


class Charge(msgspec.Struct, frozen=True):
    """Amount that one party pays for one call, and its parts."""

    hold_time_s: int
    """Answer to end in whole seconds, before free time is taken off."""
    billed_seconds: int
    """Seconds that the charge covers: the first period, whole once begun, or the completed sections; and every begun
    cycle."""
    fee: Decimal
    tax: Decimal

    @property
    def total(self) -> Decimal:
        """Return what leaves the account: fee and tax."""
        return EXACT.add(self.fee, self.tax)


def rate_call(applied: AppliedRate, duration_ms: int) -> Charge:
    """Charge a call that lasted ``duration_ms`` from answer to end."""
    if applied.candidates:
        return rate_call(charged_by(applied, duration_ms), duration_ms)
    rate, policy = applied.rate, applied.policy
    hold_time_s = hold_seconds(duration_ms, policy.hold_time_precision_ms)
    billable = hold_time_s - policy.free_time_s
    if billable <= 0:
        return Charge(hold_time_s, 0, ZERO, ZERO)
    if applied.exchange_rate is not None:
        rate = exchanged(rate, applied.exchange_rate)
    added, cycles, _, _, fee, _, tax = _rate(rate, policy, billable)
    paid_s = rate.first_duration if added is None else added.paid_s
    return Charge(hold_time_s, paid_s + cycles * rate.billing_cycle, fee, tax)


def itemise(applied: AppliedRate, duration_ms: int) -> tuple[Charge, str]:
    """Charge a call as ``rate_call`` does; return the charge and its steps, as the text of a JSON array.

    The steps are complete enough for ``recompute`` to find the charge again. Raw amounts are shown to eight places,
    prices with all their digits, and by these it computes. The text is put together here and not encoded from objects,
    because every ended call needs two; only ``_Terms`` contains text that must be escaped.
    """
    if applied.candidates:
        return _itemise_choice(applied, duration_ms)
    rate, policy = applied.rate, applied.policy
    terms = _TERMS.get(applied) or _remember(applied)
    hold_time_s = hold_seconds(duration_ms, policy.hold_time_precision_ms)
    billable = hold_time_s - policy.free_time_s
    first_period, additions, raw, amount, raw_tax, tax_amount = "", "", "0.00", "0.00", "0.00", "0.00"
    exchange_rate = applied.exchange_rate
    if billable <= 0:
        billable = cycles = 0
        charge, shown_cycles = Charge(hold_time_s, 0, ZERO, ZERO), raw
    else:
        added, cycles, raw_cycles, raw_fee, fee, tax_due, tax = _rate(rate, policy, billable)
        first = rate.first_duration if added is None else added.paid_s
        raw = shown_cycles = format_amount(raw_fee)
        if (
            exchange_rate is not None
        ):  # the lines before are in the currency of the rate, this and those behind in the account's
            _, _, _, converted, fee, tax_due, tax = _rate(exchanged(rate, exchange_rate), policy, billable)
            raw = format_amount(converted)
        charge = Charge(hold_time_s, first + cycles * rate.billing_cycle, fee, tax)
        amount = format_amount(fee)
        if first or added is not None:
            price = raw_fee if added is None else added.price
            shown_cycles, raw_first = format_amount(raw_cycles), format_amount(EXACT.subtract(price, raw_cycles))
            if first:
                name = "sections" if rate.sections else "first_period"
                first_period = f'{{"step":"{name}","seconds":{first},"raw":"{raw_first}"}},'
            if added is not None:
                additions = _addition_lines(added)
        if tax_due:
            raw_tax, tax_amount = format_amount(tax_due), format_amount(tax)
    if exchange_rate is not None:
        additions += _exchange_line(applied, raw)
    return charge, (
        f'[{terms.row},{{"step":"hold_time","precision_ms":{policy.hold_time_precision_ms},"seconds":{hold_time_s}}},'
        f'{{"step":"free_time","free_s":{policy.free_time_s},"seconds":{billable}}},{first_period}'
        f'{{"step":"cycles","cycles":{cycles},"cycle":{rate.billing_cycle},"raw":"{shown_cycles}"}},{additions}'
        f'{{"step":"fee","raw":"{raw}",{terms.rounding},"amount":"{amount}"}},'
        f'{{"step":"tax","raw":"{raw_tax}","amount":"{tax_amount}"}}]'
    )


def itemise_rest(applied: AppliedRate, duration_ms: int, paid_ms: int) -> tuple[Charge, str]:
    """Charge an answered call of which another record has charged ``paid_ms``, as of a call without answer.

    The charge is what the whole costs above that. Its steps are those of the whole, and a last one of what was paid.
    """
    charge, text = itemise(applied, duration_ms)
    unanswered = for_unanswered(applied)
    assert unanswered is not None, "it is a rate"
    paid = rate_call(unanswered, paid_ms)
    step: Step = {
        "step": "paid_before",
        "ms": paid_ms,
        "seconds": paid.billed_seconds,
        "amount": format_amount(paid.fee),
        "tax": format_amount(paid.tax),
    }
    rest = Charge(
        charge.hold_time_s,
        charge.billed_seconds - paid.billed_seconds,
        EXACT.subtract(charge.fee, paid.fee),
        EXACT.subtract(charge.tax, paid.tax),
    )
    return rest, f"{text[:-1]},{_encode(step).decode()}]"


def charged_by(applied: AppliedRate, duration_ms: int) -> AppliedRate:
    """Return the rate that prices a call of this length: of several candidates the cheapest, of equals the first.

    What was held by the least of what each may cost is enough, whichever it is in the end (ADR 58).
    """
    if not applied.candidates:
        return applied
    return min(applied.candidates, key=lambda each: rate_call(each, duration_ms).total)


def tax_percent(applied: AppliedRate) -> Decimal:
    """Return the tax rate of what a rate charges, percent."""
    return ZERO if applied.policy.tax_exempt else applied.rate.tax_rate


def _itemise_choice(applied: AppliedRate, duration_ms: int) -> tuple[Charge, str]:
    """Itemise the cheapest candidate; a line for each candidate stands before its steps."""
    charge, text = itemise(charged_by(applied, duration_ms), duration_ms)
    lines: list[Step] = [
        {
            "step": "candidate",
            "source": each.source,
            "group": each.group,
            "prefix": each.rate.prefix,
            "total": format_amount(rate_call(each, duration_ms).total),
        }
        for each in applied.candidates
    ]
    return charge, f"{_encode(lines).decode()[:-1]},{text[1:]}"


def breakdown(applied: AppliedRate, duration_ms: int) -> list[Step]:
    """Return the steps of the charge of a call as ``itemise`` writes them."""
    return _decode(itemise(applied, duration_ms)[1])


def total_at(applied: AppliedRate, seconds: int) -> Decimal:
    """Return the most that a call costs, tax included, that ends at most ``seconds`` after its answer.

    That is the charge of the longest, unless it has sections without cap, where completing one may make it cheaper.
    """
    if applied.candidates:
        return min(total_at(each, seconds) for each in applied.candidates)
    rate, policy = applied.rate, applied.policy
    billable = seconds - policy.free_time_s
    if billable <= 0:
        return ZERO
    if applied.exchange_rate is not None:
        rate = exchanged(rate, applied.exchange_rate)
    _, _, _, _, fee, _, tax = _rate(rate, policy, billable)
    if rate.sections and not policy.section_cap:
        # Between two ends of sections the price rises, so each peak is in the last second before an end.
        ends = [each.until_s for each in rate.sections if 1 < each.until_s <= billable]
        peaks = [_rate(rate, policy, until_s - 1) for until_s in ends]
        fee, tax = max([(fee, tax), *((peak[4], peak[6]) for peak in peaks)])
    return EXACT.add(fee, tax)


def longest_within(budget: Decimal, applied: AppliedRate, granted_s: int, target_s: int) -> int:
    """Return the longest duration from ``granted_s`` to ``target_s`` that ``budget`` pays for.

    ``total_at`` never falls as the duration grows, so halving the interval finds it.
    """
    if total_at(applied, target_s) <= budget:
        return target_s
    paid_s, unpaid_s = granted_s, target_s
    while unpaid_s - paid_s > 1:
        middle_s = (paid_s + unpaid_s) // 2
        if total_at(applied, middle_s) <= budget:
            paid_s = middle_s
        else:
            unpaid_s = middle_s
    return paid_s


def _rate(rate: Rate, policy: RatingPolicy, billable: int) -> _Rated:
    """Return the parts of a charge; ``billable`` is positive.

    All metered seconds are multiplied first and divided once, so that no digit is lost.
    """
    sections, cycle, price = rate.sections, rate.billing_cycle, rate.billing_rate
    first = completed(sections, billable).until_s if sections else rate.first_duration
    cycles = -((first - billable) // cycle) if billable > first else 0  # rounded up
    metered = cycles * cycle
    per = cycle if rate.per_cycle else 60
    raw_cycles = raw_fee = EXACT.divide(EXACT.multiply(price, metered), per)
    added = None
    if first and not sections:
        if rate.first_rate is None:
            raw_fee = EXACT.divide(EXACT.multiply(price, first + metered), per)
        else:
            raw_fee = EXACT.add(rate.first_rate, raw_cycles)
    if sections or rate.connection_fee or rate.minimum_charge:
        raw_fee, added = _added(rate, policy, first, raw_fee)
    fee = round_fee(raw_fee, policy)
    if not rate.tax_rate or policy.tax_exempt:
        return added, cycles, raw_cycles, raw_fee, fee, ZERO, ZERO
    raw_tax = EXACT.divide(EXACT.multiply(fee, rate.tax_rate), 100)
    return added, cycles, raw_cycles, raw_fee, fee, raw_tax, _round(raw_tax, policy)


def _added(rate: Rate, policy: RatingPolicy, paid_s: int, price: Decimal) -> tuple[Decimal, _Additions]:
    """Add to the price of first period and cycles what else a call costs; ``price`` is without its sections."""
    cap = top_up = ZERO
    if rate.sections:
        price = EXACT.add(price, completed(rate.sections, paid_s).amount)
        after = following(rate.sections, paid_s)
        if policy.section_cap and after is not None and price > after.amount:
            cap = EXACT.subtract(after.amount, price)
    raw_fee = EXACT.add(EXACT.add(price, cap), rate.connection_fee)
    if raw_fee < rate.minimum_charge:
        top_up, raw_fee = EXACT.subtract(rate.minimum_charge, raw_fee), rate.minimum_charge
    return raw_fee, _Additions(paid_s, price, cap, rate.connection_fee, top_up)


def _addition_lines(added: _Additions) -> str:
    """Return the lines of a breakdown for what was added, as JSON with a comma behind each."""
    lines = {"section_cap": added.cap, "connection_fee": added.connection_fee, "minimum_charge": added.top_up}
    return "".join(f'{{"step":"{name}","raw":"{format_amount(raw)}"}},' for name, raw in lines.items() if raw)


def _exchange_line(applied: AppliedRate, raw: str) -> str:
    """Return the line of a breakdown for the exchange, as JSON with a comma behind; ``raw`` is what it comes to."""
    rate = _plain(applied.exchange_rate or ZERO)
    return f'{{"step":"exchange","from":"{applied.currency}","to":"{applied.paid_in}","rate":"{rate}","raw":"{raw}"}},'


def round_fee(raw: Decimal, policy: RatingPolicy) -> Decimal:
    """Round a raw fee to its precision, then to its unit; the floor is for fees, not for tax."""
    fee = _round(raw, policy)
    if not fee and policy.nonzero_floor and raw > 0:
        return policy.fee_unit
    return fee


def _round(raw: Decimal, policy: RatingPolicy) -> Decimal:
    unit_of_precision = _UNIT_OF_PRECISION[policy.fee_precision]
    # An enum member is hashed in Python, so the usual mode is not looked up.
    mode = ROUND_HALF_UP if policy.rounding is _HALF_UP else ROUNDING_MODE[policy.rounding]
    amount = raw.quantize(unit_of_precision, mode, EXACT)
    if policy.fee_unit == unit_of_precision:
        return amount
    return round_to_unit(amount, policy.fee_unit, policy.rounding)


def _remember(applied: AppliedRate) -> _Terms:
    """Write out the terms of a rate, and keep them."""
    rate, policy = applied.rate, applied.policy
    row: Step = {
        "step": "rate",
        "group": applied.group,
        "version": applied.version,
        "currency": applied.currency,
        "prefix": rate.prefix,
        "billing_rate": format_price_in_full(rate.billing_rate),
        "price_per": "cycle" if rate.per_cycle else "minute",
        "billing_cycle": rate.billing_cycle,
        "first_rate": None if rate.first_rate is None else format_price_in_full(rate.first_rate),
        "first_duration": rate.first_duration,
        "tax_rate": _plain(rate.tax_rate),
    }
    if rate.sections:
        row.update(sections=format_sections(rate.sections), section_cap=policy.section_cap)
    if rate.connection_fee:
        row["connection_fee"] = format_price_in_full(rate.connection_fee)
    if rate.minimum_charge:
        row["minimum_charge"] = format_price_in_full(rate.minimum_charge)
    if policy.tax_exempt:
        row["tax_exempt"] = True
    if applied.source:
        row["source"] = applied.source
    rounding: Step = {
        "precision": policy.fee_precision,
        "unit": format_price_in_full(policy.fee_unit),
        "rounding": policy.rounding.value,
        "nonzero_floor": policy.nonzero_floor,
    }
    terms = _Terms(_encode(row).decode(), _encode(rounding).decode()[1:-1])
    if len(_TERMS) >= _TERMS_MAX:
        _TERMS.clear()
    _TERMS[applied] = terms
    return terms


def _plain(amount: Decimal) -> str:
    return format(amount, "f")


def tax_by(steps: Sequence[Step], fee: Decimal, percent: Decimal | None = None) -> Decimal:
    """Return the tax on ``fee`` by the rounding of a charge's steps, and by their tax rate where there is no other.

    Raises:
        KeyError: a step or a figure is missing, so this is not a breakdown.
    """
    by_name = {step["step"]: step for step in steps}
    terms, row = by_name["fee"], by_name["rate"]
    if percent is None:
        percent = ZERO if row.get("tax_exempt") else Decimal(str(row["tax_rate"]))
    policy = RatingPolicy(
        hold_time_precision_ms=0,
        free_time_s=0,
        fee_precision=int(str(terms["precision"])),
        fee_unit=Decimal(str(terms["unit"])),
        rounding=Rounding(terms["rounding"]),
    )
    return round_fee(EXACT.divide(EXACT.multiply(fee, percent), 100), policy)
