"""Operational overrides and calls: the next call follows them, a running one goes on."""

from decimal import Decimal

from doubles.data.builders import account, override
from doubles.virtual.scene import VENDORS, Scene, usual_catalogue
from doubles.virtual.vendor import Line, Script, answers, refuses

from vosd.catalogue.overrides import Setting, Target
from vosd.trunks.gateways import Address

FIRST = override(Target.ROUTING, "vendor-0", memo="no audio")


def dial(scene: Scene):
    call = scene.settled_call()
    scene.wire.run_for(1_000)
    return call


def hang_up(scene: Scene, *calls) -> None:
    for call in calls:
        call.hang_up()
    scene.wire.run_for(1_000)


def test_a_blocked_gateway_gets_no_new_call_and_its_running_call_goes_on():
    scene = Scene()
    running, there = scene.talk(script=answers())
    scene.exchange.override(FIRST)
    scene.vendors[1].script = answers()
    moved = dial(scene)
    assert moved.final == 200
    assert [len(vendor.calls) for vendor in scene.vendors[:2]] == [1, 1]
    assert not there.is_over
    hang_up(scene, running, moved)
    assert [record.end_reason for record in scene.exchange.sink.records] == ["Normal", "Normal"]
    scene.exchange.override()
    back = dial(scene)
    assert len(scene.vendors[0].calls) == 2
    hang_up(scene, back)
    assert scene.exchange.leftovers() == {}


def test_a_block_counts_for_a_call_that_looks_for_its_next_gateway():
    scene = Scene()
    scene.vendors[0].script = refuses(503, after_ms=2_000)
    call = scene.begun_call(after_ms=500)
    scene.exchange.override(override(Target.ROUTING, "vendor-1"))
    scene.wire.run_until(lambda: call.final is not None)
    assert call.final == 503
    assert len(scene.vendors[1].calls) == 0
    scene.close()


def test_a_block_counts_for_the_other_addresses_of_a_gateway_as_well():
    addresses = tuple(Address(*each) for each in VENDORS[:2])
    scene = Scene(usual_catalogue(vendors=1, terms={"addresses": addresses}))
    scene.vendors[0].script = refuses(503, after_ms=2_000)
    call = scene.begun_call(after_ms=500)
    scene.exchange.override(FIRST)
    scene.wire.run_until(lambda: call.final is not None)
    assert call.final == 503
    assert len(scene.vendors[1].calls) == 0
    scene.close()


def test_with_every_gateway_blocked_no_route_is_available():
    scene = Scene()
    scene.exchange.override(FIRST, override(Target.ROUTING, "vendor-1"))
    assert dial(scene).final == 503
    assert scene.close().end_reason == "No Available Route"


def test_calls_of_a_blocked_mapping_gateway_are_refused():
    scene = Scene()
    running, _ = scene.talk(script=answers())
    scene.exchange.override(override(Target.MAPPING, "acme"))
    assert dial(scene).final == 403
    assert scene.exchange.record.end_reason == "Account Disabled"
    assert not running.is_over
    hang_up(scene, running)
    assert scene.exchange.leftovers() == {}


def test_calls_of_a_blocked_account_are_refused_and_running_ones_are_paid_on():
    scene = Scene()
    running, _ = scene.talk(script=answers())
    scene.exchange.override(override(Target.ACCOUNT, "acme"))
    assert dial(scene).final == 403
    assert scene.exchange.record.end_reason == "Account Disabled"
    scene.wire.run_for(200_000)
    assert not running.is_over, "its hold was extended"
    hang_up(scene, running)
    assert scene.exchange.leftovers() == {}


def test_the_gateways_of_a_blocked_vendor_account_are_left_out():
    scene = Scene()
    scene.exchange.override(override(Target.ACCOUNT, "carriers"))
    assert dial(scene).final == 503
    assert scene.close().end_reason == "No Available Route"


def test_a_lower_limit_refuses_calls_and_ends_none():
    scene = Scene(usual_catalogue(vendors=1))
    one, two = (scene.talk(script=answers())[0] for _ in range(2))
    scene.exchange.override(override(Target.ROUTING, "vendor-0", Setting.MAX_CONCURRENT, "1"))
    assert dial(scene).final == 503
    hang_up(scene, one)
    assert dial(scene).final == 503
    hang_up(scene, two)
    last = dial(scene)
    assert last.final == 200
    hang_up(scene, last)
    assert scene.exchange.leftovers() == {}


def test_a_limit_of_a_mapping_gateway_is_overridden():
    scene = Scene(usual_catalogue(customer={"max_concurrent": 1}))
    one = scene.talk(script=answers())[0]
    assert dial(scene).final == 503
    scene.exchange.override(override(Target.MAPPING, "acme", Setting.MAX_CONCURRENT, "2"))
    two = dial(scene)
    assert two.final == 200
    hang_up(scene, one, two)
    assert scene.exchange.leftovers() == {}


def test_a_priority_is_overridden():
    scene = Scene()
    for vendor in scene.vendors:
        vendor.script = answers()
    scene.exchange.override(override(Target.ROUTING, "vendor-0", Setting.PRIORITY, "50"))
    call = dial(scene)
    assert [len(vendor.calls) for vendor in scene.vendors[:2]] == [0, 1]
    hang_up(scene, call)
    scene.close()


def test_an_overdraft_limit_moves_the_credit_at_once_and_no_hold_is_lost():
    scene = Scene(balance="1")
    running, _ = scene.talk(script=answers())
    credit = scene.exchange.credits["acme"]
    reserved = credit.reserved
    assert dial(scene).final == 402
    scene.exchange.override(override(Target.ACCOUNT, "acme", Setting.OVERDRAFT_LIMIT, "10"))
    assert credit.reserved == reserved
    more = dial(scene)
    assert more.final == 200
    scene.exchange.override()
    assert credit.available < 0
    assert not running.is_over
    assert not more.is_over
    hang_up(scene, running, more)
    assert scene.exchange.leftovers() == {}
    assert (credit.reserved, credit.limit) == (0, 0)


def test_a_block_survives_a_reload_and_what_is_gone_stays_blocked_when_it_returns():
    scene = Scene()
    for vendor in scene.vendors:
        vendor.script = Script((Line(0, 200, answers().lines[-1].body),))
    scene.exchange.override(FIRST)
    scene.exchange.swap_catalogue(usual_catalogue(vendors=1))
    assert dial(scene).final == 503
    scene.exchange.swap_catalogue(usual_catalogue(vendors=2))
    call = dial(scene)
    assert [len(vendor.calls) for vendor in scene.vendors[:2]] == [0, 1]
    hang_up(scene, call)
    assert scene.exchange.leftovers() == {}


def test_an_account_that_is_low_by_its_overridden_limit_is_not_reported_again_by_a_reload():
    scene = Scene(balance="1")
    reported = scene.exchange.credits["acme"].lows = []
    scene.exchange.override(override(Target.ACCOUNT, "acme", Setting.OVERDRAFT_LIMIT, "2"))
    for limit in ("20", "30"):
        acme = account("acme", overdraft_limit=Decimal(limit), balance_low=Decimal(10))
        scene.exchange.swap_catalogue(usual_catalogue(accounts=[acme]))
    assert len(reported) == 1
    assert scene.exchange.credits["acme"].is_low
    assert scene.exchange.leftovers() == {}
