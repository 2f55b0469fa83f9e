"""Protected gateways: behind all others, or as soon as none of the others has shown anything for their time."""

import pytest
from doubles.data.builders import catalogue, mapping_gateway
from doubles.sockets.loopback import Endpoint
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, vendor_gateway
from doubles.virtual.vendor import ANSWER, RINGS, SILENT, TRIES, Line, Script, answers, refuses

from vosd.routing.breaker import BreakerPlace
from vosd.routing.pools import NumberPool
from vosd.routing.special_numbers import SpecialNumbers
from vosd.trunks.number_rules import OutgoingNumbers
from vosd.trunks.scope import LimitScope

SHORT = Intent(hang_up_after_ms=20_000)


def stage(*protects, special_numbers=None, **terms):
    """Return a scene whose vendors are protected by so many ms; None = not."""
    gateways = [vendor_gateway(index, protect_ms=each, **terms) for index, each in enumerate(protects)]
    parameters = {} if special_numbers is None else {"special_numbers": special_numbers}
    return Scene(catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), *gateways], **parameters))


def call(scene, *scripts):
    for vendor, script in zip(scene.vendors, scripts, strict=False):
        vendor.script = script
    scene.whole_call(SHORT)
    return scene.close()


def tried(record):
    return [(attempt.gateway.removeprefix("vendor-"), attempt.code) for attempt in record.attempts]


def test_a_protected_gateway_comes_behind_all_others():
    record = call(stage(10_000, None, None), answers(), refuses(503), refuses(404))
    assert tried(record) == [("1", 503), ("2", 404), ("0", 200)]


@pytest.mark.parametrize(("silence", "cancelled"), [(SILENT, False), (TRIES, True)])
def test_it_takes_over_from_a_gateway_that_has_shown_nothing_for_its_time(silence, cancelled):
    """Also from one that has sent 100; the other ordinary gateways wait."""
    scene = stage(None, None, 3_000)
    record = call(scene, silence, answers(), answers())
    assert tried(record) == [("0", 0), ("2", 200)]
    assert 3_000 <= record.attempts[0].ms <= 3_010
    assert record.routing_gateway == "vendor-2"
    assert bool(scene.vendor.received("CANCEL")) is cancelled
    assert scene.vendors[1].calls == []


@pytest.mark.parametrize("progress_timeout_ms", [None, 6_000])
@pytest.mark.parametrize("emergency", [(), (CALLEE,)], ids=["usual", "emergency"])
def test_so_it_does_while_too_many_of_its_calls_are_short(emergency, progress_timeout_ms):
    numbers = SpecialNumbers(emergency=frozenset(emergency))
    scene = stage(None, 3_000, special_numbers=numbers, progress_timeout_ms=progress_timeout_ms)
    scene.exchange.switch.live.false_answers.resting["vendor-1"] = "short calls"
    record = call(scene, TRIES, answers())
    assert tried(record) == [("0", 0), ("1", 200)]
    assert 3_000 <= record.attempts[0].ms <= 3_010


@pytest.mark.parametrize(("others", "attempts"), [
    ((), [("0", 0), ("1", 200)]),
    ((None,), [("0", 0), ("2", 200)]),
])  # fmt: skip
def test_one_at_rest_joins_early_when_no_better_one_remains(others, attempts):
    """The calls are usual ones, for which only gateways in doubt and at rest are there."""
    scene = stage(None, 3_000, *others, progress_timeout_ms=6_000)
    live, now_ms = scene.exchange.switch.live, scene.exchange.clock.now().mono
    live.false_answers.resting.update({"vendor-0": "short calls", "vendor-2": "short calls"})
    for _ in range(3):
        live.breakers.failed(BreakerPlace("vendor-1", *VENDORS[1]), is_silent=True, began_ms=now_ms, mono_ms=now_ms)
    record = call(scene, TRIES, answers(), answers())
    assert tried(record) == attempts


def test_its_time_counts_from_the_arrival_of_the_call():
    record = call(stage(None, None, 3_000), refuses(503, after_ms=2_000), SILENT, answers())
    assert tried(record) == [("0", 503), ("1", 0), ("2", 200)]
    assert record.attempts[1].ms < 1_010


def test_once_a_gateway_rings_its_time_does_not_count():
    scene = stage(None, 3_000)
    assert tried(call(scene, answers(after_ms=9_000), answers())) == [("0", 200)]
    assert scene.vendors[1].calls == []


def test_also_the_time_of_a_gateway_that_has_rung_and_then_refused_does_not_count():
    rang = Script((Line(0, 180), Line(4_000, 503)))
    assert tried(call(stage(None, None, 3_000), rang, refuses(503), answers())) == [("0", 503), ("1", 503), ("2", 200)]


def test_when_it_fails_the_others_go_on():
    record = call(stage(None, None, 3_000), SILENT, answers(), refuses(503))
    assert tried(record) == [("0", 0), ("2", 503), ("1", 200)]


def test_a_second_one_joins_when_the_first_has_shown_nothing_either():
    record = call(stage(None, 2_000, 4_000), SILENT, TRIES, answers())
    assert tried(record) == [("0", 0), ("1", 0), ("2", 200)]
    assert [attempt.ms // 1_000 for attempt in record.attempts[:2]] == [2, 2]


def test_without_room_on_it_the_attempt_goes_on_to_its_own_end():
    """The second call finds the protected gateway full when its time comes, and no more when the attempt is over."""
    scene = stage(None, None, 3_000, response_timeout_ms=8_000, max_concurrent=1)
    for vendor, script in zip(scene.vendors, (SILENT, answers(after_ms=10), answers(after_ms=10)), strict=False):
        vendor.script = script
    first = scene.begun_call(Intent(hang_up_after_ms=6_000), after_ms=3_500)
    assert first.statuses[-1] == 200
    second = scene.caller.call(CALLEE, SHORT)
    scene.wire.run_until(lambda: first.is_over and second.is_over)
    one, two = scene.exchange.sink.records
    assert (tried(one), tried(two)) == ([("0", 0), ("2", 200)], [("0", 0), ("2", 200)])
    assert (one.attempts[0].ms // 1_000, two.attempts[0].ms // 1_000) == (3, 8)


def test_a_gateway_without_room_when_a_protected_one_joins_is_asked_again_in_its_turn():
    """It took another call less than a second before that, and has room long before its turn."""
    gateways = [vendor_gateway(0), vendor_gateway(1, protect_ms=3_000), vendor_gateway(2, max_cps=1)]
    scene = Scene(catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), *gateways]))
    scripts = SILENT, Script((Line(0, 100), Line(4_000, 503))), answers()
    for vendor, script in zip(scene.vendors, scripts, strict=True):
        vendor.script = script
    made = scene.begun_call(SHORT, after_ms=2_700)
    occupancy = scene.exchange.switch.live.occupancy
    occupancy.take(LimitScope.ROUTING, "vendor-2", None, None, scene.exchange.clock.now().mono)
    occupancy.release(LimitScope.ROUTING, "vendor-2")
    scene.wire.run_until(lambda: made.is_over)
    assert tried(scene.close()) == [("0", 0), ("1", 503), ("2", 200)]


def test_attempts_that_were_cut_short_do_not_let_their_vendor_rest():
    scene = stage(None, 1_000)
    for _ in range(5):
        scene.vendors[0].script, scene.vendors[1].script = TRIES, answers(after_ms=10)
        scene.whole_call(Intent(hang_up_after_ms=100))
    assert {tuple(tried(record)) for record in scene.exchange.sink.records} == {(("0", 0), ("1", 200))}


def test_a_caller_that_hangs_up_meanwhile_is_no_trouble():
    scene = stage(None, 3_000)
    scene.whole_call(Intent(cancel_after_ms=2_000), script=SILENT)
    assert tried(scene.close()) == [("0", 0)]


def test_the_last_gateway_may_ring_as_long_as_any():
    scene = stage(3_000, ring_timeout_ms=20_000)
    assert tried(call(scene, RINGS)) == [("0", 0)]
    assert scene.vendor.only_call.is_cancelled


POOLED = OutgoingNumbers(caller_pool="p")


def pooled(*protects, numbers=POOLED, **parameters):
    """Return a scene whose second vendor shows numbers of a pool, from 441 on."""
    gateways = [
        vendor_gateway(index, protect_ms=each, numbers=numbers if index == 1 else None)
        for index, each in enumerate(protects)
    ]
    trunk = mapping_gateway("acme", f"{CUSTOMER.host}/32")
    return Scene(catalogue([trunk, *gateways], number_pools=[NumberPool("p", ("441", "442", "443"))], **parameters))


def shown(scene, *scripts):
    for vendor, script in zip(scene.vendors, scripts, strict=False):
        vendor.script = script
    scene.whole_call(SHORT)
    record = scene.exchange.sink.records[-1]
    return record.routing_gateway.removeprefix("vendor-"), record.caller_out


def test_a_gateway_that_is_found_before_its_turn_and_not_tried_uses_no_number_of_its_pool():
    scene = pooled(None, None, 3_000)
    for _ in range(2):
        assert shown(scene, TRIES, answers(), answers()) == ("2", "12025550100")
        assert scene.vendors[1].calls == []
    for number in ("441", "442", "443", "441"):
        assert shown(scene, refuses(503), answers(), answers()) == ("1", number)


def test_one_that_is_tried_after_all_shows_the_next_number_of_its_pool():
    scene = pooled(None, None, 3_000)
    assert shown(scene, TRIES, answers(), refuses(503)) == ("1", "441")
    assert scene.vendors[1].calls[-1].invite["From"].startswith("<sip:441@")
    assert shown(scene, TRIES, answers(), refuses(503)) == ("1", "442")
    scene = pooled(None, 3_000)
    assert [shown(scene, TRIES, answers()) for _ in range(2)] == [("1", "441"), ("1", "442")]


def test_one_with_rules_and_no_pool_shows_the_number_that_they_write():
    scene = pooled(None, 3_000, numbers=OutgoingNumbers(caller_rewrite=(("1", "44"),)))
    assert shown(scene, TRIES, answers()) == ("1", "442025550100")


@pytest.mark.parametrize(
    ("protects", "scripts"),
    [((None, None, 3_000), (TRIES, answers(), refuses(503))), ((None, 3_000), (TRIES, answers()))],
    ids=["beside a protected gateway", "protected"],
)
def test_one_that_is_tried_after_all_shows_the_caller_of_an_emergency_call(protects, scripts):
    scene = pooled(*protects, special_numbers=SpecialNumbers(emergency=frozenset({CALLEE})))
    assert shown(scene, *scripts) == ("1", "12025550100")
    assert scene.vendors[1].only_call.invite["From"].startswith("<sip:12025550100@")


def emergency(*protects, denying, **terms):
    """Return a scene that calls an emergency number; the vendors of these indexes deny its first digits."""
    gateways = [
        vendor_gateway(index, protect_ms=each, denied_prefixes=(CALLEE[:2],) if index in denying else (), **terms)
        for index, each in enumerate(protects)
    ]
    numbers = SpecialNumbers(emergency=frozenset({CALLEE}))
    return Scene(catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), *gateways], special_numbers=numbers))


@pytest.mark.parametrize("silence", [SILENT, TRIES])
@pytest.mark.parametrize("other", [None, 3_000, 5_000])
def test_with_one_that_denies_a_prefix_of_an_emergency_number_the_others_join_in_front_of_it(silence, other):
    record = call(emergency(None, 3_000, other, denying={1}), silence, answers(), refuses(503))
    assert tried(record) == [("0", 0), ("2", 503), ("1", 200)]
    assert 3_000 <= record.attempts[0].ms <= 3_010


@pytest.mark.parametrize("denying", [{1}, {0, 1}, {1, 2}])
def test_it_joins_when_its_time_has_come_where_no_gateway_remains_that_denies_nothing(denying):
    scene = emergency(None, 3_000, *([None] if 2 in denying else []), denying=denying)
    record = call(scene, TRIES, answers(), answers())
    assert tried(record) == [("0", 0), ("1", 200)]
    assert 3_000 <= record.attempts[0].ms <= 3_010


@pytest.mark.parametrize(("free_after_ms", "expected"), [(2_500, ["0", "2"]), (3_500, ["0", "1"])])
def test_one_without_room_when_it_joins_is_asked_again_when_the_one_that_denies_a_prefix_joins(free_after_ms, expected):
    scene = emergency(None, 3_000, 2_000, denying={1}, max_concurrent=1)
    for vendor, script in zip(scene.vendors, (TRIES, answers(), answers()), strict=True):
        vendor.script = script
    occupancy = scene.exchange.switch.live.occupancy
    occupancy.take(LimitScope.ROUTING, "vendor-2", None, None, scene.exchange.clock.now().mono)
    made = scene.begun_call(SHORT, after_ms=free_after_ms)
    occupancy.release(LimitScope.ROUTING, "vendor-2")
    scene.wire.run_until(lambda: made.is_over)
    assert [gateway for gateway, _ in tried(scene.close())] == expected


SLOW = Script((Line(0, 100), Line(2_500, 180), Line(3_000, 200, ANSWER)))


@pytest.mark.parametrize(
    ("protects", "is_full", "scripts", "expected"),
    [
        ((None, 3_000, 4_000, None), True, (refuses(503), SLOW), [("0", 0), ("3", 200)]),
        ((None, 3_000, 4_000, 5_000), False, (refuses(503), SLOW), [("0", 0), ("2", 503), ("3", 200)]),
        ((None, 3_000, 4_000, None, 9_000), True, (answers(), SLOW, answers()), [("0", 0), ("3", 200)]),
        ((None, 3_000, None, None, 5_000), False, (TRIES, answers(), answers()), [("0", 0), ("2", 0), ("4", 200)]),
    ],
    ids=["without room", "refused", "too early", "its time has come"],
)
def test_when_the_one_that_denies_a_prefix_waits_only_one_whose_time_has_come_takes_over(
    protects, is_full, scripts, expected, monkeypatch
):
    """The one that denied a prefix took over, and the call was lost that the vendor in progress would have answered."""
    further = Endpoint("203.0.113.4", 5_060), Endpoint("203.0.113.5", 5_060)
    monkeypatch.setattr("doubles.virtual.scene.VENDORS", (*VENDORS, *further))
    scene = emergency(*protects, denying={1}, max_concurrent=1)
    occupancy = scene.exchange.switch.live.occupancy
    if is_full:
        occupancy.take(LimitScope.ROUTING, "vendor-2", None, None, scene.exchange.clock.now().mono)
    for vendor, script in zip(scene.vendors, (SILENT, refuses(503), *scripts), strict=False):
        vendor.script = script
    scene.whole_call(SHORT)
    if is_full:
        occupancy.release(LimitScope.ROUTING, "vendor-2")
    record = scene.close()
    assert tried(record) == expected
    assert 3_000 <= record.attempts[0].ms <= 3_010
