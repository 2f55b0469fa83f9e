"""Callers that withhold their numbers are rated as those without one, and so by vendors that are not sent it."""

import dataclasses
from decimal import Decimal

import msgspec
import pytest
from doubles.data.builders import applied_rate, catalogue, mapping_gateway, rate_group
from doubles.killed import KilledScene
from doubles.month_of_calls import past_of
from doubles.sockets.peer import ANSWER
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, vendor_gateway
from doubles.virtual.vendor import Line, Script, refuses

from vosd.admin.bill_comparison import other_rates, sent_call
from vosd.admin.foreign_calls import ForeignLayout
from vosd.admin.rerate import Rerating
from vosd.admin.routing import explain_route
from vosd.admin.shadow_rating import CdrMap, RatedSide
from vosd.base.clock import Instant
from vosd.base.margin import LossGuard
from vosd.billing.origin_rates import CallerKind, RateOrigin
from vosd.billing.rater import rate_call
from vosd.callcontrol.replay import Replay
from vosd.callcontrol.vendor_terms import buy_rate
from vosd.clearing.calls import BilledCall
from vosd.storage.reconciliations import VendorCall
from vosd.trunks.dialect import CalleeDialect, CallerSource, IdentityHeader, Privacy, Redirects

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


def content_of(*vendors: CalleeDialect):
    customer = mapping_gateway("acme", f"{CUSTOMER.host}/32", loss_guard=LossGuard(None))
    gateways = [vendor_gateway(index, dialect=dialect) for index, dialect in enumerate(vendors)]
    return catalogue([customer, *gateways], rate_groups=groups())


def scene_of(*vendors: CalleeDialect) -> Scene:
    return Scene(content_of(*vendors), balance="1000")


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
DIALECTS = [
    CalleeDialect(),
    *TRUSTED,
    CalleeDialect(privacy=Privacy.PASS, identity=(IdentityHeader.REMOTE_PARTY,)),
    CalleeDialect(privacy=Privacy.ANONYMISE),
    CalleeDialect(privacy=Privacy.ANONYMISE, identity=(IdentityHeader.ASSERTED,)),
]


def both_of(record):
    return (record.rate_group, record.fee), record.cost


@pytest.mark.parametrize(("headers", "caller"), WITHHELD)
def test_who_withholds_a_number_is_rated_as_who_has_none(headers, caller):
    record = talked(scene_of(CalleeDialect()), *headers, caller=caller)
    word = "anonymous" if caller == "anonymous" else "withheld"
    assert (record.caller_in, record.caller_privacy, record.caller_hidden) == (CALLER, word, 1)
    assert both_of(record) == (HIDDEN, PAID_HIDDEN)


@pytest.mark.parametrize("dialect", TRUSTED)
def test_a_vendor_that_is_sent_the_withheld_number_bills_by_it(dialect):
    assert both_of(talked(scene_of(dialect), "Privacy: id")) == (HIDDEN, PAID_HOME)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("headers", "caller"), [((), CALLER), *WITHHELD])
def test_a_vendor_is_rated_by_the_number_exactly_where_its_invite_has_it(dialect, headers, caller):
    scene = scene_of(dialect)
    record = talked(scene, *headers, caller=caller)
    invite = scene.vendor.only_call.invite
    is_sent = any(CALLER in value for _, value in invite.headers)
    assert record.cost == (PAID_HOME if is_sent else PAID_HIDDEN)


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
    assert explained.rate.rate_group == "sell-hidden"
    assert [(each.routing_gateway, each.cost) for each in explained.candidates] == [
        ("vendor-0", "3.00"),
        ("vendor-1", "0.03"),
    ]


@pytest.mark.parametrize("is_anonymous", [False, True])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_explanation_knows_that_an_anonymous_from_has_no_number(dialect, is_anonymous):
    """With privacy: pass a vendor without identity sees the number in From alone."""
    scene = scene_of(dialect)
    record = talked(scene, PAI, "Privacy: id", caller="anonymous" if is_anonymous else CALLER)
    switch = scene.exchange.switch
    (only,) = explain_route(
        switch.catalogue, switch.live, gateway="acme", caller=CALLER, callee=CALLEE, at=scene.exchange.clock.now(),
        is_withheld=True, is_anonymous=is_anonymous,
    ).candidates  # fmt: skip
    assert only.cost == {PAID_HOME: "0.03", PAID_HIDDEN: "3.00"}[record.cost]


def test_an_explanation_reads_no_number_where_the_trunk_knows_from_alone():
    switch = scene_of(CalleeDialect()).exchange.switch
    trunk = switch.catalogue.mapping_gateways["acme"]
    dialect = msgspec.structs.replace(trunk.dialect, caller_from=(CallerSource.FROM,))
    trunks = {**switch.catalogue.mapping_gateways, "acme": msgspec.structs.replace(trunk, dialect=dialect)}
    catalogue = dataclasses.replace(switch.catalogue, mapping_gateways=trunks)
    for is_anonymous, caller in ((False, CALLER), (True, "anonymous")):
        found = explain_route(
            catalogue, switch.live, gateway="acme", caller=CALLER, callee=CALLEE, at=Instant(0, 0),
            is_anonymous=is_anonymous,
        )  # fmt: skip
        assert found.caller_routed == caller


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("headers", "caller"), [((), CALLER), *WITHHELD])
def test_rating_again_and_routing_again_find_the_same_rates(dialect, headers, caller):
    scene = scene_of(dialect)
    record = talked(scene, *headers, caller=caller)
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


@pytest.mark.parametrize("now", [TRUSTED[0], CalleeDialect(privacy=Privacy.ANONYMISE)])
@pytest.mark.parametrize("then", DIALECTS)
@pytest.mark.parametrize(("headers", "caller"), [((), CALLER), WITHHELD[1]])
def test_calls_are_rated_again_by_what_their_vendor_was_sent_then(then, now, headers, caller):
    record = talked(scene_of(then), *headers, caller=caller)
    again = Rerating(scene_of(now).exchange.switch.catalogue, compares_steps=True)
    again.add(past_of(record))
    assert (again.differences.differ, again.steps_differ) == (0, 0)


@pytest.mark.parametrize("is_answered", [False, True])
@pytest.mark.parametrize(("then", "now"), [(CalleeDialect(), TRUSTED[0]), (TRUSTED[0], CalleeDialect())])
def test_a_call_that_goes_on_by_other_settings_is_rated_by_what_its_vendor_was_sent(tmp_path, then, now, is_answered):
    scene = KilledScene(tmp_path, content_of(then), balance="1000")
    scene.content = content_of(now)
    scene.vendor.script = Script((Line(0, 180), Line(6_000, 200, ANSWER)))
    call = scene.caller.call(CALLEE, Intent(headers=("Privacy: id",), hang_up_after_ms=30_000))
    scene.wire.run_for(10_000 if is_answered else 2_000)
    scene.stop_and_keep()
    scene.wire.run_until(lambda: call.is_over, within_ms=200_000)
    record = scene.close()
    again = Rerating(scene.content, compares_steps=True)
    again.add(past_of(record))
    assert record.caller_hidden == (1 if then == CalleeDialect() else None)
    assert (again.calls, again.differences.differ, again.steps_differ) == (1, 0, 0)


@pytest.mark.parametrize("then", DIALECTS)
def test_a_bill_is_compared_with_rates_by_what_the_vendor_was_sent(then):
    record = talked(scene_of(then), PAI, caller="anonymous")
    call = VendorCall(*(getattr(record, name) for name in VendorCall.__struct_fields__[:-1]))
    ours = sent_call(call, CdrMap(ForeignLayout("callee", "start", "duration"), RatedSide.BUY, includes_tax=False))
    billed = BilledCall(ours.at, ours.number, 2, "", ours.duration_ms, None, ours.cost)
    as_now = next(other_rates(content_of(TRUSTED[0]), "carriers"))
    terms = as_now.terms(applied_rate("0.30"), ours, billed)
    assert terms is not None
    assert rate_call(terms.rate, terms.duration_ms).fee == record.cost


def test_calls_of_earlier_versions_are_rated_again_by_their_numbers():
    record = talked(scene_of(CalleeDialect()))
    again = Rerating(scene_of(CalleeDialect(privacy=Privacy.ANONYMISE)).exchange.switch.catalogue)
    again.add(past_of(record)._replace(caller_privacy=None, caller_hidden=None))
    assert again.differences.differ == 0


def test_a_redirect_of_a_withheld_call_that_costs_as_much_is_followed():
    scene = scene_of(CalleeDialect(redirects=Redirects.FOLLOW))
    scene.vendor.script = refuses(302, headers=(f"Contact: <sip:{CALLEE}@{VENDORS[1]}>",))
    record = talked(scene, "Privacy: id")
    assert ([each.code for each in record.attempts], record.cost) == ([302, 200], PAID_HIDDEN)
