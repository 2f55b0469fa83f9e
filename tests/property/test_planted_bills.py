"""Faults planted in a vendor's file: all are found in their class with their money, and none is invented."""

from collections import Counter
from decimal import Decimal
from random import Random
from typing import Final

import msgspec
from doubles.data.builders import applied_rate, rating_policy
from hypothesis import given, settings, strategies as st

from vosd.admin.bill_comparison import BillComparison, read_chunk
from vosd.admin.foreign_calls import ForeignLayout
from vosd.admin.shadow_rating import CdrMap, RatedSide
from vosd.admin.sorted_calls import SortedCalls
from vosd.base.money import Rounding
from vosd.billing.rater import itemise, rate_call
from vosd.billing.rates import AppliedRate
from vosd.clearing.calls import BillClass, BilledCall, SentCall
from vosd.clearing.explanations import Judge
from vosd.clearing.matching import Matcher
from vosd.clearing.time_shift import TimeShift

CALLS: Final = 400
FAULTS: Final = 40
SPAN_MS: Final = 3_600_000
RATE: Final = applied_rate("0.0123", 6)
BREAKDOWN: Final = f'{{"vendor":{itemise(RATE, 60_000)[1]}}}'
NUMBERS: Final = [f"4420{each:05d}" for each in range(90)]
Book = tuple[list[SentCall], list[BilledCall], Counter[BillClass], dict[int, BillClass]]
ROUNDED: Final = msgspec.structs.replace(RATE, policy=rating_policy(fee_precision=4, rounding=Rounding.UP))


def billed(call: SentCall, line: int, rate: AppliedRate = RATE, extra_ms: int = 0, jitter_ms: int = 0) -> BilledCall:
    ms = call.duration_ms + extra_ms
    return BilledCall(call.at + jitter_ms, call.number, line, call.caller, ms, None, rate_call(rate, ms).fee)


def sent(index: int, random: Random) -> SentCall:
    """Return a call whose seconds tell each fault from the others, and its price from a rounded one."""
    ms = 1_000 * (60 * random.randrange(10) + random.choice((13, 25, 41))) + random.randrange(40)
    charge = rate_call(RATE, ms)
    return SentCall(
        at=random.randrange(SPAN_MS),
        number=random.choice(NUMBERS),
        call_id=str(index),
        caller=random.choice(("4930", "4931", "")),
        duration_ms=ms,
        from_invite_ms=ms + random.randrange(3_000, 9_000),
        billed_seconds=charge.billed_seconds,
        cost=charge.fee,
        prefix="44",
        gateway="carrier",
        started_at=0,
        rated_number="44",
    )


def planted(random: Random) -> Book:
    """Return both books, how many calls of each class there are, and the class of each line of the file."""
    ours = [sent(index, random) for index in range(CALLS)]
    ours.sort(key=lambda call: call.at)
    theirs: list[BilledCall] = []
    made, lines = Counter[BillClass](), dict[int, BillClass]()
    faults = dict.fromkeys(random.sample(range(CALLS), FAULTS))
    for line, call in enumerate(ours):
        kind = random.choice(list(BillClass)[1:]) if line in faults else BillClass.MATCHED
        jitter = random.randrange(-700, 700)
        row = billed(call, line, jitter_ms=jitter)
        if kind is BillClass.MISSING_THERE:
            made[kind] += 1
            continue
        if kind is BillClass.MISSING_HERE:
            theirs.append(row)
            lines[line] = BillClass.MATCHED
            made[BillClass.MATCHED] += 1
            row = msgspec.structs.replace(row, number=f"4499{line:05d}", line=CALLS + line)
        elif kind is BillClass.DURATION_DIFFERS:
            row = billed(call, line, extra_ms=37_000, jitter_ms=jitter)
        elif kind is BillClass.UNIT_DIFFERS:
            row = billed(call, line, applied_rate("0.0123", 60), jitter_ms=jitter)
        elif kind is BillClass.RATE_DIFFERS:
            row = billed(call, line, applied_rate("0.0251", 6), jitter_ms=jitter)
        elif kind is BillClass.ROUNDING_DIFFERS:
            row = billed(call, line, ROUNDED, jitter_ms=jitter)
            kind = kind if row.price != call.cost else BillClass.MATCHED
        theirs.append(row)
        lines[row.line] = kind
        made[kind] += 1
    theirs.sort(key=lambda call: call.at)
    return ours, theirs, made, lines


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32))
def test_all_planted_faults_are_found_and_none_is_invented(seed: int) -> None:
    ours, theirs, made, lines = planted(Random(seed))
    with SortedCalls(BilledCall) as lacking:
        comparison = BillComparison(Judge(2_000), 0, SPAN_MS + 1_000, TimeShift(3_000, 2_000), lacking)
        for pair in Matcher(3_000, 2_000).pairs(ours, theirs):
            comparison.add(pair)
        comparison.judge({call.call_id: BREAKDOWN for call in ours})
        for _ in comparison.add_unrecorded(
            [], CdrMap(ForeignLayout("", "", ""), RatedSide.BUY, includes_tax=False), 0, 3_000
        ):
            pass
        comparison.close()
    found = Counter[BillClass]()
    for sheet in comparison.sums.sheets():
        found[sheet.result] += sheet.calls
    assert found == made
    rows = [row for chunk in comparison.chunks for row in read_chunk(chunk)]
    assert {row.line: row.result for row in rows if row.line is not None} == {
        line: kind for line, kind in lines.items() if kind is not BillClass.MATCHED
    }
    assert comparison.sums.totals == (
        sum((call.cost for call in ours), Decimal(0)),
        sum((call.price or Decimal(0) for call in theirs), Decimal(0)),
    )
