"""Whatever rates may price a call: what was held for it is enough, and its record computes again."""

from decimal import Decimal

from doubles.data.builders import rating_policy
from doubles.recomputed import recompute
from hypothesis import given, strategies as st

from vosd.billing.holds import AccountCredit, AccountHold
from vosd.billing.rate_choice import RateCandidate, RateChoice, RateSelection, RateSource
from vosd.billing.rate_group import RateGroup
from vosd.billing.rate_rows import RateRows
from vosd.billing.rater import breakdown, rate_call, total_at
from vosd.billing.rates import Rate

prices = st.decimals(0, 5, places=4)


@st.composite
def rated(draw: st.DrawFn) -> RateGroup:
    first = draw(st.sampled_from((0, 6, 30, 60)))
    rate = Rate(
        "44",
        draw(prices),
        draw(st.sampled_from((1, 6, 60))),
        first_rate=draw(prices) if first else None,
        first_duration=first,
        tax_rate=draw(st.sampled_from((Decimal(0), Decimal(10)))),
    )
    policy = rating_policy(free_time_s=draw(st.sampled_from((0, 5))), fee_precision=draw(st.sampled_from((2, 6))))
    name = draw(st.text("abc", min_size=1, max_size=3))
    return RateGroup(name, "USD", policy, RateRows([rate], name), name)


@given(st.lists(rated(), min_size=2, max_size=4), st.lists(st.integers(1, 200), min_size=1, max_size=5))
def test_no_call_costs_more_than_was_held_whichever_rate_prices_it(groups, extensions):
    candidates = [RateCandidate(source, each) for source, each in zip(RateSource, groups, strict=False)]
    applied = RateChoice(candidates, RateSelection.CHEAPEST, 60).find("442012", 0)
    credit = AccountCredit("acme", limit=None)
    hold = credit.hold(applied, 60, 10_000)
    assert isinstance(hold, AccountHold)
    for seconds in extensions:
        credit.grant(hold, hold.granted_s + seconds, hold.granted_s)
        for duration_s in (0, 1, hold.granted_s // 2, hold.granted_s):
            charge = rate_call(applied, 1000 * duration_s)
            assert charge.total <= hold.amount
            each_alone = [rate_call(each, 1000 * duration_s).total for each in applied.candidates]
            assert charge.total == min(each_alone)
            assert total_at(applied, duration_s) == charge.total
            assert recompute(breakdown(applied, 1_000 * charge.hold_time_s)) == charge
