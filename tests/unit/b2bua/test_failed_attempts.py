"""Attempts that fail: refusals, silence, endless ringing; which gateway is tried next, and what the caller is sent."""

import pytest
import structlog
from doubles.data.builders import catalogue, mapping_gateway, routing_gateway
from doubles.sockets.peer import ANSWER
from doubles.successor import replace_node
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, usual_catalogue, vendor_gateway
from doubles.virtual.vendor import RINGS, SILENT, TRIES, Line, Script, answers, refuses

from vosd.callcontrol.verdicts import verdicts_in
from vosd.trunks.gateways import Address as GatewayAddress


def attempts_of(record):
    return [(attempt.gateway, attempt.code, attempt.reason) for attempt in record.attempts]


def end_of(record):
    return record.end_reason, record.hangup_source, record.sip_code


# -- the vendor refuses -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vendors_code", "callers_code", "reason", "q850"),
    [
        (486, 486, "Busy", 17),
        (600, 600, "Busy", 17),
        (603, 603, "Rejected", 21),
        (403, 403, "Rejected", 21),
        (404, 404, "Not Found", 1),
        (410, 410, "Not Found", 1),
        (604, 604, "Not Found", 1),
        (480, 480, "Unavailable", 18),
        (488, 488, "Unavailable", 65),
        (503, 503, "Unavailable", 41),
        (302, 480, "Unavailable", 18),
        (401, 503, "Unavailable", 41),
        (402, 503, "Unavailable", 41),
        (407, 503, "Unavailable", 41),
        (699, 699, "Unavailable", 41),
    ],
)
def test_a_refusal_is_passed_on_by_the_map(vendors_code, callers_code, reason, q850):
    """Nothing of a redirection or a challenge reaches the caller."""
    scene = Scene(usual_catalogue(vendors=1))
    secrets = ("Contact: <sip:elsewhere@203.0.113.99>", 'WWW-Authenticate: Digest realm="vendor", nonce="x"')
    call = scene.whole_call(script=refuses(vendors_code, headers=(*secrets, "Retry-After: 99")))
    record = scene.close()
    assert call.final == callers_code
    assert call.refusal["Reason"] == f'Q.850;cause={q850};text="{reason}"'
    assert end_of(record) == (reason, "callee", callers_code)
    assert record.q850_cause == q850
    assert attempts_of(record) == [("vendor-0", vendors_code, reason)]
    told = scene.bytes_to(CUSTOMER)
    for secret in (b"elsewhere", b"203.0.113.", b"realm", b"Authenticate", b"Retry-After"):
        assert secret not in told


@pytest.mark.parametrize("code", [401, 402, 403, 404, 407, 408, 428, 436, 437, 438, 480, 488, 500, 503, 599])
def test_codes_after_which_the_next_gateway_is_tried(scene, code):
    call = scene.whole_call(Intent(hang_up_after_ms=1_000), script=refuses(code, after_ms=300))
    record = scene.close()
    assert call.statuses == [180, 200]
    assert [(attempt.gateway, attempt.code, attempt.ms) for attempt in record.attempts] == [
        ("vendor-0", code, 302),
        ("vendor-1", 200, 1_002),
    ]
    assert (record.routing_gateway, record.destination_address) == ("vendor-1", str(VENDORS[1]))
    assert len(scene.vendor.only_call.acks) == 1


@pytest.mark.parametrize(
    ("limit", "script"), [({"max_cps": 1}, answers(0)), ({}, refuses(503, headers=("Retry-After: 2",)))]
)
def test_the_next_gateway_is_judged_by_the_moment_at_which_its_turn_comes(limit, script):
    """It was full, or asked for a rest, a second after the INVITE came: not any more when the first has been silent."""
    known = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0, max_concurrent=1)]
    scene = Scene(catalogue([*known, vendor_gateway(1, **limit)]))
    scene.vendor.script, scene.vendors[1].script = SILENT, script
    waiting = scene.begun_call(after_ms=1_000)
    scene.whole_call(Intent(hang_up_after_ms=10))
    scene.vendors[1].script = answers(0)
    scene.wire.run_until(lambda: waiting.final is not None)
    assert waiting.final == 200


def test_a_gateway_that_was_full_at_a_restart_takes_the_call_when_its_turn_comes():
    """The gateways that remain are described then: the call in its place ends before the first has been silent."""
    known = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0, max_concurrent=1)]
    scene = Scene(catalogue([*known, vendor_gateway(1, max_concurrent=1)]))
    scene.vendor.script, scene.vendors[1].script = SILENT, answers(0)
    waiting = scene.caller.call(CALLEE)
    other = scene.begun_call(Intent(hang_up_after_ms=2_000), after_ms=1_000)
    replace_node(scene)
    scene.wire.run_until(lambda: waiting.final is not None)
    assert (other.is_over, waiting.final) == (True, 200)


@pytest.mark.parametrize("code", [302, 400, 410, 484, 486, 600, 603, 604])
def test_codes_after_which_no_other_gateway_is_tried(scene, code):
    scene.whole_call(script=refuses(code))
    assert len(scene.close().attempts) == 1
    assert scene.vendors[1].calls == []


def test_all_gateways_refuse_and_the_most_telling_reason_wins(scene):
    scene.vendor.script = refuses(404)
    scene.vendors[1].script = refuses(503)
    scene.whole_call()
    record = scene.close()
    assert end_of(record) == ("Not Found", "callee", 404)
    assert [attempt.code for attempt in record.attempts] == [404, 503]


# -- silence and endless ringing ----------------------------------------------------------------------------------


def test_a_silent_gateway_is_left_after_its_response_timeout(scene):
    scene.whole_call(Intent(hang_up_after_ms=1_000), script=SILENT)
    record = scene.close()
    assert [(attempt.code, attempt.reason) for attempt in record.attempts] == [(0, "No Answer"), (200, "Answered")]
    assert 5_000 <= record.attempts[0].ms <= 5_010
    assert scene.vendor.received("CANCEL") == []


def two_addresses(**terms) -> Scene:
    addresses = tuple(GatewayAddress(*VENDORS[index]) for index in (0, 1))
    gateway = routing_gateway("vendor-0", "44", addresses=addresses, account="carriers", **terms)
    return Scene(catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), gateway]))


def test_a_silent_address_of_a_gateway_is_followed_by_its_next():
    scene = two_addresses()
    scene.vendors[0].script = SILENT
    scene.whole_call(Intent(hang_up_after_ms=1_000))
    record = scene.close()
    assert [(attempt.gateway, attempt.code) for attempt in record.attempts] == [("vendor-0", 0), ("vendor-0", 200)]
    assert record.destination_address == str(VENDORS[1])


def test_calls_are_spread_over_the_addresses_of_a_gateway_and_the_others_follow_a_failure():
    scene = two_addresses(spread=True)
    for _ in range(3):
        scene.whole_call(Intent(hang_up_after_ms=100))
    scene.vendors[1].script = refuses(503)
    scene.whole_call(Intent(hang_up_after_ms=100))
    records = scene.exchange.sink.records
    assert [record.destination_address for record in records] == [str(VENDORS[each]) for each in (0, 1, 0, 0)]
    assert [attempt.code for attempt in records[-1].attempts] == [503, 200]


def test_a_gateway_that_refused_is_not_asked_again_at_its_other_address():
    scene = two_addresses()
    scene.vendors[0].script = refuses(500)
    scene.whole_call()
    record = scene.close()
    assert [(attempt.gateway, attempt.code) for attempt in record.attempts] == [("vendor-0", 500)]
    assert scene.vendors[1].calls == []


def test_only_silent_gateways_give_408(scene):
    for vendor in scene.vendors:
        vendor.script = SILENT
    call = scene.whole_call()
    record = scene.close()
    assert end_of(record) == ("No Answer", "switch", 408)
    assert call.refusal["Reason"] == 'Q.850;cause=102;text="No Answer"'


def test_a_gateway_that_tries_without_ringing_is_left_after_its_ring_timeout(scene):
    scene.whole_call(Intent(hang_up_after_ms=1_000), script=TRIES)
    record = scene.close()
    assert [attempt.code for attempt in record.attempts] == [0]  # 60 s later no new attempt may begin
    assert end_of(record) == ("No Answer", "switch", 480)
    assert scene.vendor.only_call.is_cancelled


@pytest.mark.parametrize(("after_ringing", "gateways"), [(False, ["vendor-0"]), (True, ["vendor-0", "vendor-1"])])
def test_ring_timeout_after_ringing_ends_the_call_unless_the_gateway_says_otherwise(after_ringing, gateways):
    terms = {"ring_timeout_ms": 10_000, "failover_after_ringing": after_ringing}
    scene = Scene(usual_catalogue(terms=terms))
    scene.vendor.script = RINGS
    scene.vendors[1].script = refuses(503)
    scene.whole_call()
    record = scene.close()
    assert [attempt.gateway for attempt in record.attempts] == gateways
    assert end_of(record) == ("No Answer", "switch", 480)
    assert record.attempts[0].pdd_ms == 2
    assert scene.vendor.only_call.is_cancelled


def reason(cause):
    return f'Reason: Q.850;cause={cause};text="said by the vendor"'


@pytest.mark.parametrize(
    ("terms", "code", "cause", "gateways"),
    [
        ({"failover_causes": frozenset({34})}, 486, 34, 2),
        ({"failover_causes": frozenset({34})}, 486, 17, 1),
        ({"stop_causes": frozenset({1})}, 503, 1, 1),
        ({"stop_causes": frozenset({1})}, 503, 41, 2),
    ],
)
def test_the_cause_of_a_refusal_can_decide_whether_the_next_gateway_is_tried(terms, code, cause, gateways):
    scene = Scene(usual_catalogue(terms=terms))
    scene.vendor.script = refuses(code, headers=(reason(cause),))
    scene.vendors[1].script = refuses(404)
    scene.whole_call()
    assert len(scene.close().attempts) == gateways


def test_a_cause_that_stops_also_spares_the_other_addresses_of_the_gateway():
    scene = two_addresses(stop_causes=frozenset({1}))
    scene.vendors[0].script = refuses(503, headers=(reason(1),))
    scene.whole_call()
    assert [attempt.code for attempt in scene.close().attempts] == [503]
    assert scene.vendors[1].calls == []


@pytest.mark.parametrize(("stops", "gateways"), [(False, 2), (True, 1)])
@pytest.mark.parametrize("body", [ANSWER, ""])
def test_early_media_can_end_the_search(stops, gateways, body):
    """A 183 without session is no early media."""
    scene = Scene(usual_catalogue(terms={"stop_after_early_media": stops}))
    scene.vendor.script = Script((Line(100, 183, body), Line(2_000, 503)))
    scene.vendors[1].script = refuses(404)
    scene.whole_call()
    assert len(scene.close().attempts) == (gateways if body else 2)


@pytest.mark.parametrize(("stops", "gateways"), [(False, 2), (True, 1)])
def test_ringing_can_end_the_search(stops, gateways):
    scene = Scene(usual_catalogue(terms={"stop_after_ringing": stops}))
    scene.vendor.script = Script((Line(100, 180), Line(2_000, 503)))
    scene.vendors[1].script = refuses(404)
    scene.whole_call()
    assert len(scene.close().attempts) == gateways


def test_a_late_answer_of_a_silent_gateway_is_acknowledged_and_hung_up(scene):
    scene.whole_call(Intent(hang_up_after_ms=10_000), script=Script((Line(7_000, 200, ANSWER),)))
    there = scene.vendor.only_call
    assert (len(there.acks), there.is_over) == (1, True)
    assert scene.close().routing_gateway == "vendor-1"


def test_at_most_ten_attempts_are_made(scene):
    content = usual_catalogue(vendors=3, max_attempts=2)
    scene = Scene(content)
    for vendor in scene.vendors:
        vendor.script = refuses(503)
    scene.whole_call()
    record = scene.close()
    assert len(record.attempts) == 2
    assert scene.vendors[2].calls == []
    assert "the call had made as many attempts as it may: 2" in record.verdicts


def test_of_a_gateway_that_was_tried_no_further_address_is_named_as_one_not_come_to():
    both = tuple(GatewayAddress(each.host, each.port) for each in VENDORS[:2])
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0, addresses=both), vendor_gateway(2)]
    scene = Scene(catalogue(trunks, max_attempts=1))
    scene.vendor.script = refuses(503)
    scene.whole_call()
    assert [each.routing_gateway for each in verdicts_in(scene.close().verdicts).left] == ["vendor-2"]


def test_a_gateway_that_a_call_does_not_come_to_keeps_its_turn():
    content = usual_catalogue(vendors=3, terms={"priority": 1}, max_attempts=1)
    scene = Scene(content)
    for vendor in scene.vendors:
        vendor.script = refuses(480)
    for _ in range(6):
        scene.whole_call()
    assert [len(vendor.calls) for vendor in scene.vendors] == [2, 2, 2]


def test_no_attempt_begins_later_than_30_s_after_the_invite():
    scene = Scene(usual_catalogue(vendors=3, terms={"response_timeout_ms": 15_500}))
    for vendor in scene.vendors:
        vendor.script = SILENT
    scene.whole_call()
    record = scene.close()
    assert [attempt.gateway for attempt in record.attempts] == ["vendor-0", "vendor-1"]
    assert end_of(record) == ("No Answer", "switch", 408)
    assert "30 s had passed since the INVITE" in record.verdicts


def test_a_call_that_is_described_goes_on_to_the_gateways_that_it_has_not_come_to():
    scene = Scene(usual_catalogue(vendors=3))
    scene.vendor.script, scene.vendors[1].script = refuses(503, 1_000), refuses(503)
    call = scene.begun_call(Intent(hang_up_after_ms=10), after_ms=500)
    (live,) = scene.exchange.switch.calls()
    assert [[each.gateway.name for each in live.call.search.hunt.remaining()] for _ in range(2)] == [
        ["vendor-1", "vendor-2"]
    ] * 2
    scene.wire.run_until(lambda: call.is_over)
    assert [each.gateway for each in scene.close().attempts] == ["vendor-0", "vendor-1", "vendor-2"]


def refusals(lines):
    found = [line for line in lines if line["event"] == "account_refused"]
    return [(line["log_level"], line["gateway"], line["code"]) for line in found]


def test_vendors_that_ask_for_credentials_or_money_are_logged_once_a_minute(scene):
    scene.vendor.script, scene.vendors[1].script = refuses(407), refuses(402)
    with structlog.testing.capture_logs() as lines:
        for _ in range(2):
            scene.whole_call()
    assert refusals(lines) == [("warning", "vendor-0", 407), ("warning", "vendor-1", 402)]


def test_such_a_vendor_is_named_when_the_next_one_answers_and_not_again_at_the_end(scene):
    scene.vendor.script, scene.vendors[1].script = refuses(401), answers()
    with structlog.testing.capture_logs() as lines:
        call = scene.begun_call(Intent(hang_up_after_ms=120_000), after_ms=10_000)
        assert refusals(lines) == [("warning", "vendor-0", 401)]
        scene.wire.run_until(lambda: call.is_over)
    assert len(refusals(lines)) == 1
