"""What a new deck changes of the margin on stored calls."""

from decimal import Decimal

from doubles.data.builders import rating_policy

from vosd.admin.deck_margin import Margin
from vosd.billing.derived_rates import Derivation, DerivedTable
from vosd.billing.rate_group import RateGroup
from vosd.billing.rate_rows import RateRows
from vosd.billing.rates import Rate
from vosd.cdr.past import PastAgent, PastCall

NOW = 1_790_000_000_000


def deck(connection_fee: str = "0", **prices: str) -> RateGroup:
    added = {"connection_fee": Decimal(connection_fee)}
    rates = [
        Rate(prefix=name.removeprefix("p"), billing_rate=Decimal(price), billing_cycle=60, **added)
        for name, price in prices.items()
    ]
    return RateGroup("deck", "USD", rating_policy(), RateRows(rates, "v1"), "v1")


def call(number: str | None = "441", seconds: int = 61, **more: object) -> PastCall:
    values = dict.fromkeys(PastCall._fields) | {
        "call_id": "1", "started_at": NOW, "ended_at": NOW + seconds * 1_000, "hold_time_ms": seconds * 1_000,
        "answered_at": NOW, "vendor_answered_at": NOW, "callee_billing": number, "fee_breakdown": "", "tried": (),
        "agents": (),
    } | more  # fmt: skip
    return PastCall(**values)


def report(before: RateGroup, after: RateGroup, *calls: PastCall) -> tuple[object, ...]:
    margin = Margin([before], [after], now=NOW, then=NOW, days=7)
    for each in calls:
        margin.add(each)
    found = margin.report()
    return (
        found.calls, found.refused, found.fee_before, found.fee_after, found.cost_before, found.cost_after,
        found.change,
    )  # fmt: skip


def test_a_dearer_sell_deck_raises_the_margin():
    sold = call(rate_group="deck")
    assert report(deck(p44="0.10"), deck(p44="0.15"), sold, sold) == (2, 0, "0.40", "0.60", "0.00", "0.00", "0.20")


def test_a_dearer_buy_deck_lowers_the_margin():
    bought = call(rate_group="other", vendor_rate_group="deck")
    assert report(deck(p44="0.10"), deck(p44="0.15"), bought) == (1, 0, "0.00", "0.00", "0.20", "0.30", "-0.10")


def test_a_forwarded_call_is_sold_behind_the_forward_prefix_and_bought_by_its_number():
    forwarded = call(rate_group="deck", vendor_rate_group="deck", forward_prefix="9")
    decks = deck(p944="0.50", p44="0.10"), deck(p944="0.60", p44="0.15")
    assert report(*decks, forwarded) == (1, 0, "1.00", "1.20", "0.20", "0.30", "0.10")


def test_a_late_answer_costs_what_its_call_has_not_paid_for_the_attempt():
    """Both records together are the price of the whole, which has one connection fee."""
    ringing = call(answered_at=None, vendor_answered_at=None, vendor_billing_base_ms=121_000, vendor_rate_group="deck")
    late = call(answered_at=None, vendor_billing_base_ms=241_000, vendor_paid_ms=121_000, vendor_rate_group="deck")
    before, after = deck("1", p44="0.10"), deck("2", p44="0.20")
    assert report(before, after, ringing)[4:6] == ("0.30", "0.60")
    assert report(before, after, late)[4:6] == ("1.20", "2.40")
    assert report(before, after, ringing, late)[4:6] == ("1.50", "3.00")


def test_a_call_that_is_charged_from_its_invite_has_no_connection_fee_without_an_answer():
    charged = {
        "rate_group": "deck",
        "vendor_rate_group": "deck",
        "vendor_billing_base_ms": 61_000,
        "billing_base_ms": 61_000,
    }
    decks = deck("0.50", p44="0.10"), deck("0.75", p44="0.15")
    rang = call(**charged, answered_at=None, vendor_answered_at=None)
    assert report(*decks, rang) == (1, 0, "0.20", "0.30", "0.20", "0.30", "0.00")
    too_late = call(**charged, answered_at=None)
    assert report(*decks, too_late) == (1, 0, "0.20", "0.30", "0.70", "1.05", "-0.25")


def test_a_call_without_a_rate_in_the_new_deck_would_be_refused():
    assert report(deck(p44="0.10"), deck(p49="0.15"), call(rate_group="deck")) == (
        1, 1, "0.20", "0.00", "0.00", "0.00", "-0.20",
    )  # fmt: skip


def test_with_agents_the_fee_is_what_the_last_of_them_pays():
    """The customer's fee is its agent's: a deck of customers below agents changes no margin of the carrier."""
    fee = Decimal("0.20"), Decimal(0), "USD"
    agents = (PastAgent("reseller", 1, *fee, "resellers"), PastAgent("wholesaler", 2, *fee, "deck"))
    sold = call(rate_group="customers", agents=agents)
    assert report(deck(p44="0.10"), deck(p44="0.15"), sold) == (1, 0, "0.20", "0.30", "0.00", "0.00", "0.10")
    below = call(rate_group="deck", agents=agents[:1])
    assert report(deck(p44="0.10"), deck(p44="0.15"), below) == (1, 0, *["0.00"] * 5)
    assert report(deck(p44="0.10"), deck(p49="0.15"), below) == (1, 1, *["0.00"] * 5)


def test_groups_that_are_derived_from_the_deck_are_rated_as_it_makes_them():
    """A customer below an agent by the deck, the agent by a group that is derived from it, the vendor by the deck."""
    deck_before, deck_after = deck(p44="0.10"), deck(p44="0.15")
    before, after = (derived(each, "0.50") for each in (deck_before, deck_after))
    agents = (PastAgent("reseller", 1, Decimal("0.30"), Decimal(0), "USD", "resale"),)
    margin = Margin([deck_before, before], [deck_after, after], now=NOW, then=NOW, days=7)
    margin.add(call(rate_group="deck", vendor_rate_group="deck", agents=agents))
    found = margin.report()
    assert (found.calls, found.fee_before, found.fee_after) == (1, "0.30", "0.45")
    assert (found.cost_before, found.cost_after, found.change) == ("0.20", "0.30", "0.05")


def derived(base: RateGroup, more: str) -> RateGroup:
    """Return the group of half as much again."""
    own = RateRows([], "v1")
    table = DerivedTable(base.table, Derivation(factor=1 + Decimal(more)), own, "v1")
    return RateGroup("resale", "USD", rating_policy(), table, "v1")


def test_other_calls_do_not_count():
    calls = [
        call(rate_group="other"),
        call(rate_group="other", vendor_rate_group="other"),
        call(rate_group="other", vendor_rate_group="deck", vendor_answered_at=None),
        call(None, rate_group="deck"),
        call(rate_group="deck", answered_at=None),
    ]
    assert report(deck(p44="0.10"), deck(p44="0.15"), *calls) == (0, 0, *["0.00"] * 5)
