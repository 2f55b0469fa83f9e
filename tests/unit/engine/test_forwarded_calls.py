"""Forwarded calls with prices of their own (SERVER_BILLING_FORWARD_PREFIX): by which number each party pays."""

from decimal import Decimal

import pytest
from doubles.data.builders import account, applied_rate, catalogue, mapping_gateway, rate_group
from doubles.month_of_calls import past_of
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway

from vosd.admin.deck_margin import Margin
from vosd.admin.rerate import Rerating
from vosd.admin.routing import explain_route, idle_state
from vosd.base.clock import Instant
from vosd.base.money import format_amount
from vosd.billing.origin_rates import RateOrigin
from vosd.routing.special_numbers import SpecialNumbers

DIVERTED = ("Diversion: <sip:493012345@192.0.2.10>;reason=no-answer",)
SELL = rate_group("sell", applied_rate("0.60"), applied_rate("1.20", prefix="9944"), applied_rate("6.00", prefix="995"))
AGENTS = rate_group("agents", applied_rate("0.54"), applied_rate("1.08", prefix="99"))
BUY = rate_group("buy", applied_rate("0.30"), applied_rate("9.00", prefix="99"), applied_rate("0.30", prefix="7"))


def content(forward_prefix="99", **numbers):
    accounts = [
        account("acme", agent="top", overdraft_limit=None),
        account("top", rate_group="agents", overdraft_limit=None),
    ]
    return catalogue(
        [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0, prefixes=("",))],
        rate_groups=[SELL, AGENTS, BUY],
        accounts=accounts,
        special_numbers=SpecialNumbers(forward_prefix=forward_prefix, **numbers),
    )


def record_of(made, callee=CALLEE, headers=DIVERTED, caller="12025550100"):
    scene = Scene(made, balance="100")
    scene.whole_call(Intent(caller=caller, headers=headers, hang_up_after_ms=60_000), callee=callee)
    scene.wire.run_for(10)
    return scene.close()


def prices(record):
    agents = sum(row.fee for row in record.charges if row.role == "agent")
    return record.forward_prefix, record.rate_prefix, *map(format_amount, (record.fee, agents, record.cost))


def test_a_forwarded_call_is_sold_behind_the_prefix_and_bought_as_it_is():
    record = record_of(content())
    assert prices(record) == ("99", "9944", "1.20", "1.08", "0.30")
    assert (record.callee_in, record.callee_billing, record.callee_out) == (CALLEE, CALLEE, CALLEE)


@pytest.mark.parametrize(("prefix", "headers"), [("", DIVERTED), ("99", ())])
def test_without_the_parameter_or_a_diversion_it_costs_what_others_do(prefix, headers):
    assert prices(record_of(content(prefix), headers=headers)) == (None, "44", "0.60", "0.54", "0.30")


def test_a_number_that_has_lost_its_plus_sign_is_found_behind_the_prefix():
    assert prices(record_of(content(), f"+{CALLEE}")) == ("99", "9944", "1.20", "1.08", "0.30")


@pytest.mark.parametrize(
    ("numbers", "rate_prefix"), [({"free": (CALLEE,)}, CALLEE), ({"emergency": frozenset({CALLEE})}, "44")]
)
def test_free_and_emergency_numbers_are_never_sold_behind_it(numbers, rate_prefix):
    record = record_of(content(**numbers))
    assert (record.forward_prefix, record.rate_prefix) == (None, rate_prefix)


def test_a_forwarded_call_without_a_price_of_its_own_is_refused():
    made = content()
    record = record_of(made, "790012345")
    assert (record.end_reason, record.sip_code, record.forward_prefix) == ("No Matching Rate", 403, "99")

    def explained(is_forwarded):
        where = {"gateway": "acme", "caller": "1000", "callee": CALLEE, "at": Instant(0, 1_790_000_000_000)}
        explanation = explain_route(made, idle_state(made, None), **where, is_forwarded=is_forwarded)
        return explanation.rate.rate_prefix, [level.rate_prefix for level in explanation.agents]

    assert explained(is_forwarded=True) == ("9944", ["99"])
    assert explained(is_forwarded=False) == ("44", ["44"])


STATES = (
    RateOrigin("intrastate", "intra", areas=(("1205", "1251"),)),
    RateOrigin("interstate", "inter", prefixes=("1",)),
)


def by_jurisdiction(name, price):
    group = rate_group(name, applied_rate(price, prefix="1"), applied_rate(price, prefix="991"))
    group.origins = STATES
    return group


def jurisdictions(forward_prefix="99"):
    accounts = [
        account("acme", agent="top", overdraft_limit=None),
        account("top", rate_group="agents", overdraft_limit=None),
    ]
    each = [
        rate_group(name, applied_rate(price, prefix="1"), applied_rate(price, prefix="991"))
        for name, price in (("intra", "0.06"), ("inter", "0.02"))
    ]
    return catalogue(
        [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0, prefixes=("",), allow_unrated=True)],
        rate_groups=[by_jurisdiction("sell", "0.90"), by_jurisdiction("agents", "0.80"), *each],
        accounts=accounts,
        special_numbers=SpecialNumbers(forward_prefix=forward_prefix),
    )


@pytest.mark.parametrize(("callee", "group"), [("12515551234", "intra"), ("19075551234", "inter")])
@pytest.mark.parametrize("headers", [(), DIVERTED], ids=["called", "forwarded"])
def test_the_areas_of_the_two_numbers_are_compared_without_the_prefix(headers, callee, group):
    record = record_of(jurisdictions(), callee, headers, "12055551234")
    assert record.rate_prefix == ("991" if headers else "1")
    assert {row.role: row.rate_group for row in record.charges if row.rate_group} == {"customer": group, "agent": group}
    for prefix in ("99", "", "1"):
        again = Rerating(jurisdictions(prefix), compares_steps=True)
        again.add(past_of(record))
        assert (again.differences.differ, again.steps_differ) == (0, 0)


def test_digits_of_the_number_are_not_taken_for_the_prefix_where_the_call_is_not_forwarded():
    record = record_of(jurisdictions("1"), "12515551234", (), "12055551234")
    assert (record.forward_prefix, record.rate_group) == (None, "intra")


def test_rating_again_asks_the_record_and_not_what_the_parameter_is_by_now():
    past = past_of(record_of(content()))
    for prefix in ("99", "", "88"):
        again = Rerating(content(prefix), compares_steps=True)
        again.add(past)
        assert (again.differences.differ, again.steps_differ) == (0, 0)
    margin = Margin([AGENTS], [AGENTS], now=past.started_at, then=past.started_at, days=1)
    margin.add(past)
    assert Decimal(margin.report().fee_before) == Decimal("1.08")
