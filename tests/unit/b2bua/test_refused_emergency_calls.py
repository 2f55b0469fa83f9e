"""Calls to emergency numbers that are refused leave a CDR, however early and whatever the parameters say."""

import pytest
from doubles.data.builders import account, applied_rate, catalogue, mapping_gateway, rate_group
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import ANSWER
from doubles.virtual.customer import Intent
from doubles.virtual.exchange import SWITCH
from doubles.virtual.probe import SDP, request
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, usual_catalogue, vendor_gateway
from doubles.virtual.vendor import Line, Script, answers, refuses

from vosd.admin.why import why
from vosd.cdr.record import CallRecord
from vosd.routing.breaker import BreakerPlace
from vosd.routing.pools import EmptyPool, NumberPool
from vosd.routing.special_numbers import SpecialNumbers
from vosd.trunks.gateways import Address as GatewayAddress
from vosd.trunks.number_format import CallerFormat
from vosd.trunks.number_rules import IncomingNumbers, LengthRange, OutgoingNumbers

REQUIRED = (
    b"--x\r\nContent-Type: application/sdp\r\n\r\n" + SDP + b"\r\n--x\r\nContent-Type: application/secret\r\n"
    b"Content-Disposition: signal;handling=required\r\n\r\n?\r\n--x--"
)
PARTS = "Content-Type: multipart/mixed;boundary=x\r\n"
REFUSED = {
    "a part that is required": ({"headers": PARTS, "body": REQUIRED}, 415),
    "parts that cannot be split": ({"headers": PARTS, "body": b"?"}, 400),
    "an extension": ({"headers": "Require: foo\r\n"}, 420),
    "Accept": ({"headers": "Accept: text/plain\r\n"}, 406),
    "a line without colon": ({"headers": "no colon\r\n"}, 400),
    "Max-Forwards": ({"headers": "Max-Forwards: many\r\n", "without": "Max-Forwards: 70\r\n"}, 400),
}


def received(scene: Scene, number: str, changes: dict) -> int:
    changes = dict(changes)
    without = changes.pop("without", "").encode()
    data = request(**{"uri": f"sip:{number}@192.0.2.1", "body": SDP, **changes})
    scene.wire.send(CUSTOMER, SWITCH, data.replace(without, b"") if without else data)
    scene.wire.run_for(100)
    [status] = {packet.data[8:11] for packet in scene.wire.packets if packet.target == CUSTOMER}
    return int(status)


@pytest.mark.parametrize(("changes", "status"), REFUSED.values(), ids=REFUSED.keys())
def test_an_emergency_call_that_is_refused_before_its_trunk_is_known_leaves_a_record(changes, status):
    scene = Scene()
    assert received(scene, "112", changes) == status
    [record] = scene.exchange.sink.records
    assert (record.mapping_gateway, record.customer_account, record.callee_in) == ("acme", "acme", "112")
    assert (record.callee_billing, record.sip_code, record.end_reason) == ("112", status, "Unavailable")
    assert (record.hangup_source, record.recorded, record.fee) == ("switch", True, 0)
    assert why(record)["refusal"]


def test_the_record_says_why():
    scene = Scene()
    received(scene, "911", REFUSED["a part that is required"][0])
    assert why(scene.record)["refusal"] == (
        "415 Unsupported Media Type: Accept: application/sdp, multipart/mixed, multipart/alternative, multipart/related"
        "; Accept-Encoding: identity"
    )
    other = Scene()
    received(other, "911", REFUSED["parts that cannot be split"][0])
    assert why(other.record)["refusal"] == "400 Bad Multipart Body"


def test_which_numbers_are_emergency_numbers_is_configured_and_the_tech_prefix_does_not_count():
    numbers = SpecialNumbers(emergency=frozenset({"15"}))
    acme = mapping_gateway("acme", f"{CUSTOMER.host}/32", tech_prefix="99#")
    for number, records in (("99#15", 1), ("99#112", 0), ("15", 0)):
        scene = Scene(catalogue([acme, vendor_gateway(0)], special_numbers=numbers))
        scene.wire.send(
            CUSTOMER, SWITCH, request(uri=f"sip:{number.replace('#', '%23')}@192.0.2.1", headers="Require: foo\r\n")
        )
        scene.wire.run_for(100)
        assert len(scene.exchange.sink.records) == records


@pytest.mark.parametrize(("changes", "status"), REFUSED.values(), ids=REFUSED.keys())
def test_another_number_leaves_none(changes, status):
    scene = Scene()
    assert received(scene, CALLEE, changes) == status
    assert scene.exchange.sink.records == []


def test_a_repeated_invite_leaves_one_record():
    scene = Scene()
    for _ in range(2):
        assert received(scene, "112", REFUSED["a part that is required"][0]) == 415
    assert len(scene.exchange.sink.records) == 1


def test_an_unknown_source_leaves_no_record():
    scene = Scene()
    scene.wire.send(
        Endpoint("198.51.100.99", 5060), SWITCH, request(uri="sip:112@192.0.2.1", headers="Require: foo\r\n")
    )
    scene.wire.run_for(100)
    assert scene.exchange.sink.records == []


def test_without_records_of_calls_of_no_second_a_refused_emergency_call_still_leaves_one():
    """SERVER_BILLING_RECORD_ZERO_HOLD_TIME=0."""
    scene = Scene(usual_catalogue(record_zero_hold_time=False))
    scene.whole_call(callee="112")
    assert scene.record.recorded
    numbers = SpecialNumbers(emergency=frozenset({CALLEE}))
    scene = Scene(usual_catalogue(vendors=1, record_zero_hold_time=False, special_numbers=numbers))
    scene.whole_call(script=refuses(486))
    assert scene.close().recorded


def test_an_emergency_call_with_a_location_reaches_the_vendor_with_the_session_alone():
    """RFC 6442 section 4.1, as phones write it: no handling is said of the location."""
    located = (
        b"--x\r\nContent-Type: application/sdp\r\n\r\n" + SDP + b"\r\n--x\r\nContent-Type: application/pidf+xml\r\n"
        b"Content-ID: <place@example.org>\r\n\r\n<presence/>\r\n--x--"
    )
    scene = Scene()
    headers = PARTS + "Geolocation: <cid:place@example.org>\r\nGeolocation-Routing: no\r\n"
    scene.wire.send(CUSTOMER, SWITCH, request(uri=f"sip:{CALLEE}@192.0.2.1", headers=headers, body=located))
    scene.wire.run_for(100)
    sent = scene.bytes_to(VENDORS[0])
    assert sent.startswith(b"INVITE ")
    assert b"\r\nContent-Type: application/sdp\r\n" in sent
    assert b"\r\n\r\n" + SDP in sent
    assert b"eolocation" not in sent
    assert b"presence" not in sent


def record_of(
    number: str,
    caller: str = "1000",
    *,
    numbers: IncomingNumbers | None = None,
    wanted: OutgoingNumbers | None = None,
    kept_from: tuple[str, ...] = (),
    digits: int = 0,
    lists: dict[str, list[str]] | None = None,
    **section: tuple,
) -> CallRecord:
    """Return the record of a call to a vendor who takes all numbers, and has rules of its own perhaps."""
    anything = [rate_group(name, applied_rate("0.60", prefix="*")) for name in ("sell", "buy")]
    trunks = [
        mapping_gateway("acme", f"{CUSTOMER.host}/32", numbers=numbers),
        vendor_gateway(0, prefixes=("*",), numbers=wanted, denied_prefixes=kept_from),
    ]
    pools = [NumberPool("dry", (), when_empty=EmptyPool.REFUSE), NumberPool("full", ("442000000001", "442000000002"))]
    payer = account("acme", overdraft_limit=None, **section)
    special = SpecialNumbers(digits)
    scene = Scene(
        catalogue(
            trunks, accounts=[payer], rate_groups=anything, number_pools=pools, number_lists=lists or {},
            special_numbers=special,
        )
    )  # fmt: skip
    scene.whole_call(Intent(caller=caller, hang_up_after_ms=1_000), callee=number)
    return scene.close()


def called(number: str, **rules: object) -> str:
    """Return the end reason of such a call."""
    return record_of(number, **rules).end_reason


RULES = {
    "length": {"callee_length": LengthRange(7, 15)},
    "allowed numbers": {"callee_allow": ("44*",)},
    "denied callers": {"caller_deny": ("10*",)},
    "allowed callers": {"caller_allow": ("44*",)},
    "no number to show": {"caller_pool": "dry"},
}


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES.keys())
def test_rules_that_say_which_calls_are_plausible_do_not_refuse_emergency_calls(rules):
    assert called("112", numbers=IncomingNumbers(**rules)) == "Normal"
    assert called("113", numbers=IncomingNumbers(**rules)) == "Number Not Allowed"
    rewritten = IncomingNumbers(**rules, callee_rewrite=(("0", ""),))
    assert called("0112", numbers=rewritten) == "Normal"
    assert called("0113", numbers=rewritten) == "Number Not Allowed"
    assert called("1%201%202", numbers=IncomingNumbers(**rules)) == "Normal"


def test_a_list_that_denies_the_number_itself_stands():
    denied = IncomingNumbers(callee_deny=("112",), callee_allow=("44*",), callee_length=LengthRange(7, 15))
    assert called("112", numbers=denied) == "Number Not Allowed"
    assert called("110", numbers=denied) == "Normal"


@pytest.mark.parametrize("pattern", ["112", "0112", "123112"])
def test_a_list_denies_an_emergency_number_as_it_was_received(pattern):
    denied = IncomingNumbers(callee_deny=(pattern,), callee_rewrite=(("0", ""),))
    for number in ("112", "0112", "123112"):
        assert called(number, numbers=denied, digits=3) == ("Number Not Allowed" if number == pattern else "Normal")


@pytest.mark.parametrize(
    ("pattern", "is_allowed"),
    [
        ("112", False), ("112*", False), ("list:whole", False), ("list:whole prefix", False), ("1*", True),
        ("11*", True), ("*", True), ("list:begin", True),
    ],
)  # fmt: skip
def test_the_prefix_of_a_country_denies_no_emergency_number(pattern, is_allowed):
    lists = {"whole": ["112"], "whole prefix": ["112*"], "begin": ["1*", "1120"]}
    denied = IncomingNumbers(callee_deny=(pattern,))
    assert called("112", numbers=denied, lists=lists) == ("Normal" if is_allowed else "Number Not Allowed")


VENDOR_RULES = {
    "form": {"caller_format": CallerFormat()},
    "form with another number": {"caller_format": CallerFormat(replacement="442000000000")},
    "no number to show": {"caller_pool": "dry"},
    "numbers to show": {"caller_pool": "full"},
    "form and numbers to show": {"caller_pool": "full", "caller_format": CallerFormat(replacement="442000000000")},
}


@pytest.mark.parametrize("rules", VENDOR_RULES.values(), ids=VENDOR_RULES.keys())
def test_a_vendor_is_sent_emergency_calls_of_any_caller_with_the_number_that_it_has(rules):
    record = record_of("112", caller="7001", wanted=OutgoingNumbers(**rules))
    assert (record.end_reason, record.caller_out) == ("Normal", "7001")
    record = record_of("113", caller="7001", wanted=OutgoingNumbers(**rules))
    assert (record.end_reason, record.caller_out) != ("Normal", "7001")


def test_a_pool_of_the_customer_leaves_emergency_calls_the_number_of_the_caller():
    pooled = IncomingNumbers(caller_pool="full", callee_rewrite=(("0", ""),))
    for number, shown in (("112", "7001"), ("0112", "7001"), ("113", "442000000001"), ("0113", "442000000001")):
        record = record_of(number, caller="7001", numbers=pooled)
        assert (record.end_reason, record.caller_out) == ("Normal", shown)


def test_rewriting_of_the_calling_number_is_for_emergency_calls_too():
    rewritten = {"caller_rewrite": (("7", "44207946"),), "caller_pool": "full"}
    assert record_of("112", caller="7001", wanted=OutgoingNumbers(**rewritten)).caller_out == "44207946001"
    assert record_of("112", caller="7001", numbers=IncomingNumbers(**rewritten)).caller_out == "44207946001"
    assert record_of("112", caller="7001", numbers=IncomingNumbers(caller_drop=True)).caller_out == ""


def test_a_vendor_that_does_not_take_the_caller_is_left_out_of_emergency_calls_too():
    assert called("112", caller="7001", wanted=OutgoingNumbers(caller_deny=("7001",))) == "No Available Route"


@pytest.mark.parametrize("hosts", [1, 2])
def test_a_vendor_that_has_asked_for_a_pause_gets_emergency_calls_all_the_same(hosts):
    """RFC 3261 section 21.5.4 asks to send it nothing: for these calls there may be no other."""
    anything = [rate_group(name, applied_rate("0.60", prefix="*")) for name in ("sell", "buy")]
    addresses = tuple(GatewayAddress(each.host, each.port) for each in VENDORS[:hosts])
    vendor = vendor_gateway(0, prefixes=("*",), addresses=addresses)
    scene = Scene(catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor], rate_groups=anything))
    for each in scene.vendors[:hosts]:
        each.script = refuses(503, headers=("Retry-After: 60",))
    reasons = []
    for number in ("442071", "442071", "112"):
        call = scene.whole_call(Intent(hang_up_after_ms=1_000), callee=number)
        reasons.append(call.final)
        if number != "112":
            for each in scene.vendors[:hosts]:
                each.script = answers(0)
    assert reasons == [503, 503, 200]
    assert [len(each.calls) for each in scene.vendors[:hosts]] == [2, 1][:hosts]
    scene.wire.run_for(70_000)
    assert [record.end_reason for record in scene.exchange.sink.all_records] == [
        "Unavailable",
        "No Available Route",
        "Normal",
    ]


def paused_vendors(*terms: dict) -> Scene:
    """Return a scene with vendors for all numbers.

    Those with ``rests`` have asked for a pause, those with ``doubted`` have too many short calls.
    """
    anything = [rate_group(name, applied_rate("0.60", prefix="*")) for name in ("sell", "buy")]
    vendors = [
        vendor_gateway(index, prefixes=("*",), **{key: each[key] for key in each if key not in {"rests", "doubted"}})
        for index, each in enumerate(terms)
    ]
    scene = Scene(catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), *vendors], rate_groups=anything))
    live = scene.exchange.switch.live
    for index, each in enumerate(terms):
        if each.get("rests"):
            live.rests.begin(f"vendor-{index}", 60, scene.exchange.clock.now().mono)
        if each.get("doubted"):
            live.false_answers.resting[f"vendor-{index}"] = "short calls"
    return scene


@pytest.mark.parametrize("first", [{}, {"doubted": True}], ids=["a good one", "one in doubt"])
@pytest.mark.parametrize(
    "later",
    [{}, {"protect_ms": 3_000}, {"doubted": True}],
    ids=["by its progress", "by protection", "for one in doubt as well"],
)
def test_no_vendor_that_may_still_ring_is_given_up_for_one_that_has_asked_for_a_pause(first, later):
    scene = paused_vendors({"progress_timeout_ms": 6_000, **first}, {"rests": True, **later})
    scene.vendors[0].script = Script((Line(0, 100), Line(9_000, 180), Line(9_500, 200, ANSWER)))
    scene.vendors[1].script = refuses(503, headers=("Retry-After: 60",))
    scene.whole_call(Intent(hang_up_after_ms=1_000), callee="112")
    assert [(each.gateway, each.code) for each in scene.close().attempts] == [("vendor-0", 200)]


def test_no_vendor_is_given_up_for_its_address_that_has_asked_for_a_pause_meanwhile():
    addresses = tuple(GatewayAddress(each.host, each.port) for each in VENDORS[:2])
    scene = paused_vendors({"addresses": addresses, "progress_timeout_ms": 6_000})
    scene.vendors[0].script = Script((Line(0, 100), Line(9_000, 180), Line(9_500, 200, ANSWER)))
    scene.vendors[1].script = refuses(503, headers=("Retry-After: 60",))
    call = scene.begun_call(Intent(hang_up_after_ms=1_000), callee="112", after_ms=1_000)
    place, now_ms = BreakerPlace("vendor-0", *VENDORS[1]), scene.exchange.clock.now().mono
    scene.exchange.switch.live.breakers.ask_for_rest(place, 60_000, now_ms)
    assert [(each.gateway, each.code) for each in scene.end_of(call).attempts] == [("vendor-0", 200)]


def test_a_vendor_that_has_asked_for_a_pause_is_given_up_for_another_one_that_has():
    scene = paused_vendors({"progress_timeout_ms": 6_000, "rests": True}, {"rests": True})
    scene.vendors[0].script, scene.vendors[1].script = Script((Line(0, 100),)), answers(0)
    scene.whole_call(Intent(hang_up_after_ms=1_000), callee="112")
    assert [(each.gateway, each.code) for each in scene.close().attempts] == [("vendor-0", 0), ("vendor-1", 200)]


@pytest.mark.parametrize("number", ["442071", "112"])
def test_a_vendor_is_given_up_for_one_that_is_in_doubt_alone(number):
    scene = paused_vendors({"progress_timeout_ms": 6_000}, {"rests": number == "112"}, {"doubted": True})
    scene.vendors[0].script, scene.vendors[2].script = Script((Line(0, 100),)), answers(0)
    scene.vendors[1].script = refuses(503)
    scene.whole_call(Intent(hang_up_after_ms=1_000), callee=number)
    tried = [(each.gateway, each.code) for each in scene.close().attempts]
    assert tried == [("vendor-0", 0), *([] if number == "112" else [("vendor-1", 503)]), ("vendor-2", 200)]


@pytest.mark.parametrize("protect_ms", [None, 0])
def test_a_vendor_that_has_asked_for_a_pause_comes_behind_all_others_also_where_one_has_refused(protect_ms):
    scene = paused_vendors({}, {"rests": True, "protect_ms": protect_ms}, {})
    for vendor in scene.vendors[:3]:
        vendor.script = refuses(503)
    scene.whole_call(callee="112")
    assert [each.gateway for each in scene.close().attempts] == ["vendor-0", "vendor-2", "vendor-1"]


def test_an_address_that_has_asked_for_a_pause_gets_no_emergency_call_while_another_of_its_gateway_is_open():
    """It would take one of the attempts from the vendors behind it."""
    first, second, third = (GatewayAddress(each.host, each.port) for each in VENDORS[:3])
    scene = paused_vendors({"addresses": (first, second)}, {"addresses": (third,)})
    scene.vendors[0].script, scene.vendors[1].script = refuses(503, headers=("Retry-After: 60",)), refuses(503)
    for number in ("442071", "112"):
        call = scene.whole_call(Intent(hang_up_after_ms=1_000), callee=number)
        assert call.final == 200
    assert [len(each.calls) for each in scene.vendors[:3]] == [1, 2, 2]


@pytest.mark.parametrize(("denied", "number", "reason"), [
    ("1", "112", "Normal"), ("11", "112", "Normal"), ("1", "113", "No Available Route"),
    ("112", "112", "No Available Route"),
])  # fmt: skip
def test_the_prefix_of_a_country_keeps_no_emergency_call_from_the_only_vendor(denied, number, reason):
    assert called(number, kept_from=(denied,)) == reason


@pytest.mark.parametrize(
    ("section", "is_allowed"),
    [
        ({"allowed_prefixes": ("44", "49")}, True),
        ({"allowed_prefixes": ("44",), "denied_prefixes": ("*",)}, True),
        ({"denied_prefixes": ("*",)}, True),
        ({"denied_prefixes": ("112",)}, False),
        ({"allowed_prefixes": ("44", "112"), "denied_prefixes": ("112",)}, False),
        ({"allowed_prefixes": ("44",), "denied_prefixes": ("11", "91")}, True),
        ({"denied_prefixes": ("1", "9")}, True),
    ],
)
def test_an_emergency_number_needs_no_allowed_prefix_of_a_number_section(section, is_allowed):
    assert called("44", **section) == ("Number Not Allowed" if section == {"denied_prefixes": ("*",)} else "Normal")
    assert called("112", **section) == ("Normal" if is_allowed else "Number Not Allowed")
    assert called("9112", digits=1, **section) == ("Normal" if is_allowed else "Number Not Allowed")
