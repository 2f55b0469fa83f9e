"""Vendors at which calls fail in a row: later calls go past them until one call shows that they are well."""

from decimal import Decimal

import pytest
import structlog
from doubles.data.builders import catalogue, mapping_gateway, routing_gateway
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import ANSWER, OFFER
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, usual_catalogue, vendor_gateway
from doubles.virtual.vendor import RINGS, SILENT, TRIES, Line, Script, answers, refuses

from vosd.routing.breaker import REFUSALS, REST_MAX_MS, REST_MS, SILENCES, BreakerPlace
from vosd.trunks.dialect import CalleeDialect, Redirects
from vosd.trunks.gateways import Address as GatewayAddress

RESPONSE_MS = 2_000
MUTE = {"response_timeout_ms": RESPONSE_MS, "progress_timeout_ms": 3_000}
TRUNK = mapping_gateway("acme", f"{CUSTOMER.host}/32")


def call_through(scene, **intent):
    """Make a call, wait for its end, and return the gateways that it tried with its post-dial delay."""
    scene.whole_call(Intent(hang_up_after_ms=10, **intent))
    record = scene.exchange.sink.records[-1]
    return [each.gateway for each in record.attempts], record.pdd_ms


def events(lines):
    return [(line["event"], line["address"]) for line in lines if line["event"].startswith("gateway_")]


def test_of_24_calls_to_a_mute_vendor_the_first_three_wait_and_the_rest_go_straight_to_the_next():
    scene = Scene(usual_catalogue(terms=MUTE))
    scene.vendor.script, scene.vendors[1].script = SILENT, answers(0)
    with structlog.testing.capture_logs() as lines:
        tried = [call_through(scene) for _ in range(24)]
    assert [gateways for gateways, _ in tried] == [["vendor-0", "vendor-1"]] * SILENCES + [["vendor-1"]] * 21
    assert all(pdd_ms >= RESPONSE_MS for _, pdd_ms in tried[:SILENCES])
    assert all(pdd_ms < 20 for _, pdd_ms in tried[SILENCES:])
    assert events(lines) == [("gateway_resting", "203.0.113.1:5060")]
    scene.expect_nothing_left()


def test_after_its_rest_one_call_is_let_through_and_the_vendor_is_well_when_that_rings():
    scene = Scene(usual_catalogue(terms=MUTE))
    scene.vendor.script, scene.vendors[1].script = SILENT, answers(0)
    for _ in range(SILENCES):
        call_through(scene)
    scene.vendor.script = RINGS
    scene.wire.run_for(REST_MS)
    with structlog.testing.capture_logs() as lines:
        probing = scene.caller.call(CALLEE, Intent(cancel_after_ms=30_000))
        scene.whole_call(Intent(hang_up_after_ms=10))
    assert scene.exchange.sink.records[-1].attempts[0].gateway == "vendor-1"  # it did not wait for the other
    assert events(lines) == [("gateway_well", "203.0.113.1:5060")]
    scene.vendor.script = answers(0)
    assert call_through(scene)[0] == ["vendor-0"]
    scene.wire.run_until(lambda: probing.is_over)


def test_a_probing_call_that_is_cancelled_lets_the_next_one_through():
    """Else who calls and cancels every 15 s keeps a vendor resting that is well."""
    scene = Scene(usual_catalogue(terms=MUTE))
    scene.vendor.script, scene.vendors[1].script = SILENT, answers(0)
    for _ in range(SILENCES):
        call_through(scene)
    scene.vendor.script = TRIES
    scene.wire.run_for(REST_MS)
    scene.whole_call(Intent(cancel_after_ms=100))
    scene.vendor.script = answers(0)
    assert call_through(scene)[0] == ["vendor-0"]


def test_a_vendor_that_is_still_mute_after_its_rest_costs_one_call_its_wait():
    scene = Scene(usual_catalogue(terms=MUTE))
    scene.vendor.script, scene.vendors[1].script = SILENT, answers(0)
    for _ in range(SILENCES):
        call_through(scene)
    scene.wire.run_for(REST_MS)
    assert [call_through(scene)[0] for _ in range(3)] == [["vendor-0", "vendor-1"], ["vendor-1"], ["vendor-1"]]
    scene.wire.run_for(REST_MS)  # the second rest is longer
    assert call_through(scene)[0] == ["vendor-1"]
    scene.wire.run_for(REST_MS)
    assert call_through(scene)[0] == ["vendor-0", "vendor-1"]


def test_a_vendor_that_only_sends_100_rests_too():
    scene = Scene(usual_catalogue(terms=MUTE))
    scene.vendor.script, scene.vendors[1].script = TRIES, answers(0)
    tried = [call_through(scene)[0] for _ in range(SILENCES + 1)]
    assert tried == [["vendor-0", "vendor-1"]] * SILENCES + [["vendor-1"]]


@pytest.mark.parametrize(
    ("cancel_after_ms", "rests"), [(RESPONSE_MS // 2 - 100, False), (RESPONSE_MS // 2 + 100, True)]
)
def test_callers_who_give_up_before_the_time_to_respond_is_over_let_a_mute_vendor_be_found(cancel_after_ms, rests):
    scene = Scene(usual_catalogue(terms=MUTE))
    scene.vendor.script, scene.vendors[1].script = SILENT, answers(0)
    for _ in range(SILENCES):
        call = scene.caller.call(CALLEE, Intent(cancel_after_ms=cancel_after_ms))
        scene.wire.run_until(lambda: call.is_over)  # noqa: B023
    assert call_through(scene)[0] == (["vendor-1"] if rests else ["vendor-0", "vendor-1"])
    scene.expect_nothing_left()


def test_the_only_vendor_is_tried_although_it_rests():
    scene = Scene(usual_catalogue(vendors=1, terms=MUTE))
    scene.vendor.script = SILENT
    for _ in range(SILENCES):
        call_through(scene)
    scene.vendor.script = answers(0)
    assert call_through(scene)[0] == ["vendor-0"]
    assert scene.exchange.sink.records[-1].end_reason == "Normal"


def test_a_busy_number_is_no_failure_of_the_vendor():
    scene = Scene(usual_catalogue(terms=MUTE))
    scene.vendor.script = refuses(486)
    assert [call_through(scene)[0] for _ in range(30)] == [["vendor-0"]] * 30


def test_calls_go_to_the_well_host_of_a_gateway_while_the_other_rests():
    """RFC 3263 section 4.3; without it every call that begins at the mute host would wait."""
    addresses = tuple(GatewayAddress(*VENDORS[index]) for index in (0, 1))
    gateway = routing_gateway("vendor-0", "44", addresses=addresses, account="carriers", **MUTE)
    scene = Scene(catalogue([TRUNK, gateway, vendor_gateway(2)]))
    scene.vendor.script, scene.vendors[1].script = SILENT, answers(0)
    for _ in range(SILENCES):
        call_through(scene)
    assert [call_through(scene)[0] for _ in range(3)] == [["vendor-0"]] * 3
    assert len(scene.vendor.calls) == SILENCES
    assert scene.vendors[2].calls == []


def test_a_retry_after_of_one_host_does_not_affect_the_others_of_its_gateway():
    addresses = tuple(GatewayAddress(*VENDORS[index]) for index in (0, 1))
    gateway = routing_gateway("vendor-0", "44", addresses=addresses, account="carriers")
    scene = Scene(catalogue([TRUNK, gateway]))
    scene.vendor.script = refuses(503, headers=("Retry-After: 60",))
    scene.vendors[1].script = answers(0)
    assert [call_through(scene)[0] for _ in range(3)] == [["vendor-0"] * 2, ["vendor-0"], ["vendor-0"]]
    assert len(scene.vendor.calls) == 1
    scene.wire.run_for(60_000)
    call_through(scene)
    assert len(scene.vendor.calls) == 2


ASKS = refuses(503, headers=("Retry-After: 60",))


@pytest.mark.parametrize(
    ("second", "invited"),
    [
        (refuses(503), [(1, 1, 1)] + [(0, 1, 1)] * 3),
        (SILENT, [(1, 1, 1)] + [(0, 1, 1)] * 2 + [(0, 0, 1)]),
        (ASKS, [(1, 1, 1)] + [(0, 0, 1)] * 3),
    ],
    ids=["the other refuses", "the other is silent", "both ask"],
)
@pytest.mark.parametrize("third", [answers(0), refuses(503)], ids=["answered", "refused"])
def test_a_host_that_has_asked_for_a_rest_gets_no_call_whatever_the_others_answer(second, third, invited):
    addresses = tuple(GatewayAddress(*VENDORS[index]) for index in (0, 1))
    gateway = routing_gateway("vendor-0", "44", addresses=addresses, account="carriers", **MUTE)
    scene = Scene(catalogue([TRUNK, gateway, vendor_gateway(2)]))
    for vendor, script in zip(scene.vendors, (ASKS, second, third), strict=True):
        vendor.script = script
    for expected in invited:
        before = [len(vendor.calls) for vendor in scene.vendors]
        call_through(scene)
        assert tuple(len(vendor.calls) - old for vendor, old in zip(scene.vendors, before, strict=True)) == expected


def test_a_gateway_all_of_whose_hosts_have_asked_for_a_rest_is_left_out_though_there_is_no_other():
    """As one with a single address: nothing else is open, and the vendors have said for how long."""
    addresses = tuple(GatewayAddress(*VENDORS[index]) for index in (0, 1))
    scene = Scene(catalogue([TRUNK, routing_gateway("vendor-0", account="carriers", addresses=addresses)]))
    scene.vendor.script = scene.vendors[1].script = ASKS
    call_through(scene)
    call = scene.whole_call()
    record = scene.exchange.sink.records[-1]
    assert (call.final, record.end_reason, record.attempts) == (503, "No Available Route", ())
    assert [len(vendor.calls) for vendor in scene.vendors[:2]] == [1, 1]
    scene.wire.run_for(60_000)
    scene.vendor.script = answers(0)
    assert call_through(scene)[0] == ["vendor-0"]
    assert len(scene.vendor.calls) == 2


def test_an_address_that_asks_for_a_rest_while_a_call_is_on_its_way_to_it_gets_no_invite_of_that_call():
    addresses = tuple(GatewayAddress(*VENDORS[index]) for index in (0, 1))
    gateway = routing_gateway("vendor-0", "44", addresses=addresses, account="carriers", **MUTE)
    scene = Scene(catalogue([TRUNK, gateway, vendor_gateway(2)]))
    scene.vendor.script, scene.vendors[1].script, scene.vendors[2].script = SILENT, ASKS, answers(0)
    waiting = scene.caller.call(CALLEE, Intent(hang_up_after_ms=10))  # until the first address has not answered in time
    place = BreakerPlace("vendor-0", *VENDORS[1])
    scene.exchange.switch.live.breakers.ask_for_rest(place, 60_000, scene.exchange.clock.now().mono)
    scene.wire.run_until(lambda: waiting.is_over)
    assert waiting.final == 200
    assert [len(vendor.calls) for vendor in scene.vendors[:3]] == [1, 0, 1]


def test_a_call_is_not_cancelled_for_an_address_that_has_asked_for_a_rest_meanwhile():
    """As with two gateways of one address each: nothing else could be tried, so the call stays where it is."""
    addresses = tuple(GatewayAddress(*VENDORS[index]) for index in (0, 1))
    gateway = routing_gateway("vendor-0", "44", addresses=addresses, account="carriers", progress_timeout_ms=3_000)
    scene = Scene(catalogue([TRUNK, gateway]))
    scene.vendor.script, scene.vendors[1].script = Script((Line(0, 100), Line(6_000, 200, ANSWER))), answers(0)
    call = scene.begun_call(Intent(hang_up_after_ms=10), after_ms=1_000)
    place = BreakerPlace("vendor-0", *VENDORS[1])
    scene.exchange.switch.live.breakers.ask_for_rest(place, 60_000, scene.exchange.clock.now().mono)
    scene.wire.run_until(lambda: call.is_over)
    assert call.final == 200
    assert [len(vendor.calls) for vendor in scene.vendors[:2]] == [1, 0]


def two_hosts(delay_ms):
    """Return a scene with a gateway of two addresses, the second of which answers; packets take so long."""
    addresses = tuple(GatewayAddress(*VENDORS[index]) for index in (0, 1))
    gateway = routing_gateway("vendor-0", "44", addresses=addresses, account="carriers")
    scene = Scene(catalogue([TRUNK, gateway]))
    scene.wire.delays = lambda _packet: (delay_ms,)
    scene.vendors[1].script = answers(0)
    return scene


def seconds_of_invites(scene, until_s):
    """Make a call each second; return the seconds at which an INVITE came to the first address."""
    came, begin = [], scene.exchange.clock.now().mono
    for _ in range(until_s):
        second = round((scene.exchange.clock.now().mono - begin) / 1_000)
        before = len(scene.vendor.calls)
        scene.caller.call(CALLEE, Intent(hang_up_after_ms=10))
        scene.wire.run_for(1_000)
        came += [second] * (len(scene.vendor.calls) - before)
    return came


@pytest.mark.parametrize(
    ("delay_ms", "invited_s"), [(0, [0, 120, 240]), (5, [0, 121, 242])], ids=["within a millisecond", "later"]
)
def test_an_address_that_asks_for_a_rest_again_gets_all_of_it(delay_ms, invited_s):
    scene = two_hosts(delay_ms)
    scene.vendor.script = refuses(503, headers=("Retry-After: 120",))
    assert seconds_of_invites(scene, 250) == invited_s


def test_a_place_of_a_3xx_that_asks_for_a_rest_gets_it_and_the_vendor_that_named_it_does_not():
    """A vendor that redirects would lose its calls to all places, a redirect server those of all telephones."""
    first = vendor_gateway(0, dialect=CalleeDialect(redirects=Redirects.FOLLOW))
    scene = Scene(catalogue([TRUNK, first, vendor_gateway(2)]))
    scene.vendor.script = refuses(302, headers=(f"Contact: <sip:{CALLEE}@{VENDORS[1]}>",))
    scene.vendors[1].script, scene.vendors[2].script = refuses(503, headers=("Retry-After: 120",)), answers(0)
    with structlog.testing.capture_logs() as lines:
        assert call_through(scene)[0] == ["vendor-0", "vendor-0", "vendor-2"]
        assert call_through(scene)[0] == ["vendor-0", "vendor-2"]
    assert events(lines) == [("gateway_resting", str(VENDORS[1]))]
    assert len(scene.vendors[1].calls) == 1
    scene.wire.run_for(121_000)
    scene.vendors[1].script = answers(0)
    assert call_through(scene)[0] == ["vendor-0", "vendor-0"]


def test_a_place_that_is_named_no_more_is_no_alarm_once_its_rest_is_over_and_the_vendor_takes_calls():
    """Only a call there would end it otherwise, and a vendor may send no further one to the place."""
    first = vendor_gateway(0, dialect=CalleeDialect(redirects=Redirects.FOLLOW))
    scene = Scene(catalogue([TRUNK, first, vendor_gateway(2)]))
    scene.vendors[1].script, scene.vendors[2].script = refuses(503, headers=("Retry-After: 120",)), answers(0)
    with structlog.testing.capture_logs() as lines:
        scene.vendor.script = refuses(302, headers=(f"Contact: <sip:{CALLEE}@{VENDORS[1]}>",))
        assert call_through(scene)[0] == ["vendor-0", "vendor-0", "vendor-2"]
        scene.vendor.script = answers(0)
        assert call_through(scene)[0] == ["vendor-0"]
        assert events(lines) == [("gateway_resting", str(VENDORS[1]))]
        scene.wire.run_for(121_000)
        assert call_through(scene)[0] == ["vendor-0"]
    assert events(lines) == [("gateway_resting", str(VENDORS[1])), ("gateway_well", str(VENDORS[1]))]
    assert scene.exchange.switch.live.breakers.resting == {}


def named_in_turn(scene, *rests):
    """Have vendor-0 name places that ask for so many seconds of rest each, a call for each: vendors 1 and 2."""
    for number, rest_s in enumerate(rests, 1):
        scene.vendor.script = refuses(302, headers=(f"Contact: <sip:{CALLEE}@{VENDORS[number]}>",))
        scene.vendors[number].script = refuses(503, headers=(f"Retry-After: {rest_s}",))
        call_through(scene)


def test_a_place_of_a_3xx_that_asks_for_a_short_rest_is_no_alarm_until_a_longer_one_ends():
    first = vendor_gateway(0, dialect=CalleeDialect(redirects=Redirects.FOLLOW))
    scene = Scene(catalogue([TRUNK, first]))
    with structlog.testing.capture_logs() as lines:
        named_in_turn(scene, 300, 30)
        scene.wire.run_for(31_000)
        scene.vendor.script = answers(0)
        assert call_through(scene)[0] == ["vendor-0"]
    resting = [("gateway_resting", str(VENDORS[1])), ("gateway_resting", str(VENDORS[2]))]
    assert events(lines) == [*resting, ("gateway_well", str(VENDORS[2]))]


@pytest.mark.parametrize("script", [SILENT, TRIES], ids=["silent for all", "100 to one customer"])
def test_a_mute_place_of_a_3xx_that_is_named_no_more_is_no_alarm_for_ever(script):
    """It rests for twice as long each time that it fails behind a rest: so it is remembered for a while."""
    first = vendor_gateway(0, dialect=CalleeDialect(redirects=Redirects.FOLLOW), **MUTE)
    scene = Scene(catalogue([TRUNK, first]))
    scene.vendors[1].script = script
    with structlog.testing.capture_logs() as lines:
        scene.vendor.script = refuses(302, headers=(f"Contact: <sip:{CALLEE}@{VENDORS[1]}>",))
        for _ in range(SILENCES):
            call_through(scene)
        scene.vendor.script = answers(0)
        scene.wire.run_for(REST_MAX_MS)
        call_through(scene)
        assert events(lines) == [("gateway_resting", str(VENDORS[1]))]
        scene.wire.run_for(REST_MS)
        call_through(scene)
    assert events(lines) == [("gateway_resting", str(VENDORS[1])), ("gateway_well", str(VENDORS[1]))]
    assert scene.exchange.switch.live.breakers.resting == {}


@pytest.mark.parametrize(
    ("redirects", "tried"),
    [(Redirects.FOLLOW, ["vendor-0", "vendor-2"]), (Redirects.REFUSE, ["vendor-0"])],
    ids=["followed", "not followed any more"],
)
def test_a_reload_does_not_shorten_the_rest_of_a_place_that_a_3xx_has_named(redirects, tried):
    """No gateway has the place among its addresses, and a reload forgets what happened at addresses of no gateway."""
    first = vendor_gateway(0, dialect=CalleeDialect(redirects=Redirects.FOLLOW))
    scene = Scene(catalogue([TRUNK, first, vendor_gateway(2)]))
    scene.vendors[2].script = answers(0)
    named_in_turn(scene, 120)
    then = vendor_gateway(0, dialect=CalleeDialect(redirects=redirects))
    with structlog.testing.capture_logs() as lines:
        scene.exchange.swap_catalogue(catalogue([TRUNK, then, vendor_gateway(2)]))
        assert call_through(scene)[0] == tried
    assert len(scene.vendors[1].calls) == 1
    assert [name for name, _ in events(lines)] == ([] if redirects is Redirects.FOLLOW else ["gateway_well"])


@pytest.mark.parametrize(
    ("second", "then", "status"),
    [(None, None, 503), (VENDORS[2], refuses(404), 404), (VENDORS[2], RINGS, 480), (None, refuses(480), 480)],
    ids=["paused alone", "another one refuses", "another one rings", "not paused"],
)
def test_a_vendor_that_names_a_paused_place_alone_is_as_unavailable_as_a_paused_vendor(second, then, status):
    """A PBX with two providers goes to the other one after 503, and takes 480 for a callee that does not answer."""
    first = vendor_gateway(0, dialect=CalleeDialect(redirects=Redirects.FOLLOW), ring_timeout_ms=5_000)
    scene = Scene(catalogue([TRUNK, first]))
    named_in_turn(scene, 120)
    places = [VENDORS[1]] if second is None else [VENDORS[1], second]
    if second is not None:
        scene.vendors[2].script = then
    elif then is not None:
        scene.wire.run_for(121_000)
        scene.vendors[1].script = then
    contacts = tuple(f"Contact: <sip:{CALLEE}@{place}>;q=0.{9 - index}" for index, place in enumerate(places))
    scene.vendor.script = refuses(302, headers=contacts)
    assert scene.whole_call(Intent()).final == status


def test_an_earlier_call_that_rings_does_not_end_the_rest_that_an_address_asked_for():
    scene = two_hosts(1)
    earlier = scene.begun_call(script=Script((Line(0, 100), Line(3_000, 200, ANSWER))), after_ms=1_000)
    scene.vendor.script = refuses(503, headers=("Retry-After: 120",))
    assert seconds_of_invites(scene, 125) == [0, 121]
    assert earlier.final == 200
    assert len(scene.vendor.calls) == 3
    earlier.hang_up()


LARGE = OFFER + "a=x-filler:" + 100 * "0123456789" + "\r\n"
OTHER = Endpoint("198.51.100.20", 5060)


@pytest.mark.parametrize(
    ("script", "times", "offer"),
    [(TRIES, SILENCES, OFFER), (refuses(503), REFUSALS, OFFER), (SILENT, SILENCES, LARGE)],
    ids=["numbers that never ring", "numbers that are refused", "sessions that get lost on the way"],
)
def test_failed_calls_of_one_customer_do_not_rest_the_vendor_for_others(script, times, offer):
    """They would cost him nothing, and take the cheapest vendor from all others."""
    trunks = [TRUNK, mapping_gateway("other", f"{OTHER.host}/32")]
    scene = Scene(catalogue([*trunks, vendor_gateway(0, **MUTE), vendor_gateway(1, **MUTE)]))
    scene.exchange.credits["other"].committed(Decimal(100), 2)
    other = scene.exchange.caller(OTHER)
    scene.vendor.script, scene.vendors[1].script = script, answers(0)
    intent = Intent(hang_up_after_ms=10, offer=offer)
    with structlog.testing.capture_logs() as lines:
        calls = [other.call(CALLEE, intent) for _ in range(times)]
        scene.wire.run_until(lambda: all(call.is_over for call in calls))
    assert [line["customer"] for line in lines if line["event"] == "gateway_resting"] == ["other"]
    scene.vendor.script = answers(0)
    assert call_through(scene)[0] == ["vendor-0"], "for this one it is well"
    late = other.call(CALLEE, intent)
    scene.wire.run_until(lambda: late.is_over)
    assert [each.gateway for each in scene.exchange.sink.records[-1].attempts] == ["vendor-1"], "for the other it rests"
    scene.expect_nothing_left()


def test_calls_of_several_payers_that_fail_let_the_vendor_rest_for_all():
    trunks = [TRUNK, mapping_gateway("other", f"{OTHER.host}/32")]
    scene = Scene(catalogue([*trunks, vendor_gateway(0, **MUTE), vendor_gateway(1, **MUTE)]))
    scene.exchange.credits["other"].committed(Decimal(100), 2)
    other = scene.exchange.caller(OTHER)
    scene.vendor.script, scene.vendors[1].script = TRIES, answers(0)
    with structlog.testing.capture_logs() as lines:
        for caller in (scene.caller, other, scene.caller):
            call = caller.call(CALLEE, Intent(hang_up_after_ms=10))
            scene.wire.run_until(lambda: call.is_over)  # noqa: B023
    assert [line.get("customer") for line in lines if line["event"] == "gateway_resting"] == [None]
    call = other.call(CALLEE, Intent(hang_up_after_ms=10))
    scene.wire.run_until(lambda: call.is_over)
    assert [each.gateway for each in scene.exchange.sink.records[-1].attempts] == ["vendor-1"]


def test_a_vendor_with_one_address_that_asks_for_a_rest_is_in_the_log_until_a_call_succeeds_there():
    scene = Scene(usual_catalogue())
    scene.vendor.script, scene.vendors[1].script = refuses(503, headers=("Retry-After: 60",)), answers(0)
    address = "203.0.113.1:5060"
    with structlog.testing.capture_logs() as lines:
        assert call_through(scene)[0] == ["vendor-0", "vendor-1"]
        assert call_through(scene)[0] == ["vendor-1"]
    assert events(lines) == [("gateway_resting", address)]
    assert [line["rest_s"] for line in lines if line["event"] == "gateway_resting"] == [60]
    with structlog.testing.capture_logs() as lines:
        scene.wire.run_for(61_000)
        assert call_through(scene)[0] == ["vendor-0", "vendor-1"]  # it asks once more, which is no news
        scene.wire.run_for(61_000)
    assert events(lines) == []
    for well in (answers(0), refuses(404)):
        scene.vendor.script = well
        with structlog.testing.capture_logs() as lines:
            call_through(scene)
            call_through(scene)
        assert events(lines) == [("gateway_well", address)]
        scene.vendor.script = refuses(503, headers=("Retry-After: 60",))
        call_through(scene)
        scene.wire.run_for(61_000)
