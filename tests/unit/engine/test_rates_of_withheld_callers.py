"""Callers that withhold their numbers are rated as those without one, and so by vendors that are not sent it."""

from decimal import Decimal

import pytest
from doubles.data.builders import applied_rate, catalogue, mapping_gateway, rate_group
from doubles.month_of_calls import past_of
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, vendor_gateway
from doubles.virtual.vendor import refuses

from vosd.admin.rerate import Rerating
from vosd.admin.routing import explain_route
from vosd.base.margin import LossGuard
from vosd.billing.origin_rates import CallerKind, RateOrigin
from vosd.callcontrol.replay import Replay
from vosd.callcontrol.vendor_terms import buy_rate
from vosd.trunks.dialect import CalleeDialect, IdentityHeader, Privacy, Redirects

CALLER = "+12025550100"
PAI = f"P-Asserted-Identity: <sip:{CALLER}@acme.example>"
HOME, HIDDEN = ("sell-home", Decimal("0.06")), ("sell-hidden", Decimal("6.00"))
PAID_HOME, PAID_HIDDEN = Decimal("0.03"), Decimal("3.00")


def groups():
    found = []
    for name, plain, home, hidden in (("sell", "0.60", "0.06", "6.00"), ("buy", "0.30", "0.03", "3.00")):
        group = rate_group(name, applied_rate(plain))
        group.origins = (
            RateOrigin("home", f"{name}-home", prefixes=("1",)),
            RateOrigin("hidden", f"{name}-hidden", callers=(CallerKind.MISSING, CallerKind.INVALID)),
        )
        found += [
            group,
            rate_group(f"{name}-home", applied_rate(home)),
            rate_group(f"{name}-hidden", applied_rate(hidden)),
        ]
    return found


def scene_of(*vendors: CalleeDialect) -> Scene:
    customer = mapping_gateway("acme", f"{CUSTOMER.host}/32", loss_guard=LossGuard(None))
    gateways = [vendor_gateway(index, dialect=dialect) for index, dialect in enumerate(vendors)]
    return Scene(catalogue([customer, *gateways], rate_groups=groups()), balance="1000")


def talked(scene: Scene, *headers: str, caller: str = CALLER):
    """Let a call last a minute and return its record."""
    call = scene.caller.call(CALLEE, Intent(headers=headers, caller=caller, hang_up_after_ms=59_500))
    scene.wire.run_until(lambda: call.is_over, within_ms=200_000)
    return scene.close()


WITHHELD = [(("Privacy: id",), CALLER), ((PAI,), "anonymous"), (("Privacy: user", PAI), CALLER)]
TRUSTED = [
    CalleeDialect(identity=(IdentityHeader.ASSERTED,)),
    CalleeDialect(privacy=Privacy.PASS),
    CalleeDialect(privacy=Privacy.STRIP),
]


def both_of(record):
    return (record.rate_group, record.fee), record.cost


@pytest.mark.parametrize(("headers", "caller"), WITHHELD)
def test_who_withholds_a_number_is_rated_as_who_has_none(headers, caller):
    record = talked(scene_of(CalleeDialect()), *headers, caller=caller)
    assert (record.caller_in, record.caller_privacy) == (CALLER, "withheld")
    assert both_of(record) == (HIDDEN, PAID_HIDDEN)


@pytest.mark.parametrize("dialect", TRUSTED)
def test_a_vendor_that_is_sent_the_withheld_number_bills_by_it(dialect):
    assert both_of(talked(scene_of(dialect), "Privacy: id")) == (HIDDEN, PAID_HOME)


def test_a_vendor_that_never_sees_numbers_bills_all_callers_as_such_without():
    record = talked(scene_of(CalleeDialect(privacy=Privacy.ANONYMISE)))
    assert both_of(record) == (HOME, PAID_HIDDEN)
    assert record.caller_privacy is None


def test_who_shows_a_number_is_rated_by_it():
    assert both_of(talked(scene_of(CalleeDialect()))) == (HOME, PAID_HOME)


def test_an_explanation_has_the_rate_by_which_each_vendor_would_bill():
    scene = scene_of(CalleeDialect(), TRUSTED[0])
    switch = scene.exchange.switch
    explained = explain_route(
        switch.catalogue, switch.live, gateway="acme", caller=CALLER, callee=CALLEE, at=scene.exchange.clock.now(),
        is_withheld=True,
    )  # fmt: skip
    assert explained.rate is not None
    assert explained.rate.group == "sell-hidden"
    assert [(each.routing_gateway, each.cost) for each in explained.candidates] == [
        ("vendor-0", "3.00"),
        ("vendor-1", "0.03"),
    ]


@pytest.mark.parametrize("dialect", [CalleeDialect(), *TRUSTED, CalleeDialect(privacy=Privacy.ANONYMISE)])
@pytest.mark.parametrize("headers", [(), ("Privacy: id",)])
def test_rating_again_and_routing_again_find_the_same_rates(dialect, headers):
    scene = scene_of(dialect)
    record = talked(scene, *headers)
    again = Rerating(scene.exchange.switch.catalogue, compares_steps=True)
    again.add(past_of(record))
    assert (again.differences.differ, again.steps_differ) == (0, 0)
    replayed = Replay(scene.exchange.switch.catalogue, scene.exchange.switch.live).route(past_of(record))
    assert replayed.rate is not None
    assert replayed.choice is not None
    buys = buy_rate(replayed.choice)
    assert buys is not None
    (paid_by,) = [each.rate_group for each in record.charges if each.role == "vendor"]
    assert (replayed.rate.group, buys.group) == (record.rate_group, paid_by)


def test_a_redirect_of_a_withheld_call_that_costs_as_much_is_followed():
    scene = scene_of(CalleeDialect(redirects=Redirects.FOLLOW))
    scene.vendor.script = refuses(302, headers=(f"Contact: <sip:{CALLEE}@{VENDORS[1]}>",))
    record = talked(scene, "Privacy: id")
    assert ([each.code for each in record.attempts], record.cost) == ([302, 200], PAID_HIDDEN)
