"""How long a call waits for a gateway, how many it tries and until when, and what it leaves there."""

import json
from decimal import Decimal

import pytest
import structlog
from doubles.data.builders import account, catalogue, mapping_gateway, routing_gateway
from doubles.sockets.peer import ANSWER
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, usual_catalogue, vendor_gateway
from doubles.virtual.vendor import RINGS, SILENT, TRIES, Line, Script, answers, refuses

from vosd.b2bua import attempt
from vosd.billing.accounts import AccountType
from vosd.billing.spending import SpendAction, Spending, SpendLimit, SpendPeriod
from vosd.trunks.dialect import CalleeDialect, Redirects
from vosd.trunks.gateways import Address as GatewayAddress
from vosd.trunks.groups import GatewayGroup
from vosd.trunks.scope import LimitScope

IMPATIENT = {"progress_timeout_ms": 6_000}
TRUNK = mapping_gateway("acme", f"{CUSTOMER.host}/32")


def lengths_of(record):
    """Return the whole seconds that each attempt took: timers are coarser than the clock."""
    return [attempt.ms // 1_000 for attempt in record.attempts]


def call_through(scene, **intent):
    call = scene.whole_call(Intent(**intent))
    scene.wire.run_for(10)
    return call


# -- a gateway that says 100 and nothing more -----------------------------------------------------------------------


@pytest.mark.parametrize("status", [100, 199])
def test_a_gateway_that_only_sends_100_is_left_for_the_next_after_its_progress_timeout(status):
    scene = Scene(usual_catalogue(terms=IMPATIENT))
    scene.vendor.script = Script((Line(0, status),))
    call_through(scene, hang_up_after_ms=5_000)
    assert scene.vendor.only_call.is_cancelled
    record = scene.close()
    assert (record.end_reason, record.routing_gateway) == ("Normal", "vendor-1")
    assert [each.gateway for each in record.attempts] == ["vendor-0", "vendor-1"]
    assert 6_000 < record.pdd_ms < 6_030


def test_a_gateway_after_which_no_other_is_tried_is_waited_for_and_no_other_is_kept_free():
    """Early media in a response that is no 18x: the gateway has not rung, but ``stop_after_early_media`` holds."""
    scene = Scene(usual_catalogue(terms=IMPATIENT | {"stop_after_early_media": True}))
    scene.vendor.script = Script((Line(0, 100), Line(10, 199, ANSWER)))
    call_through(scene)
    record = scene.close()
    assert ([each.gateway for each in record.attempts], lengths_of(record)) == (["vendor-0"], [60])
    assert scene.exchange.switch.live.occupancy.active(LimitScope.ROUTING, "vendor-1") == 0


def test_without_another_gateway_to_try_a_100_is_waited_upon_until_the_ring_timeout():
    scene = Scene(usual_catalogue(vendors=1, terms=IMPATIENT))
    scene.vendor.script = Script((Line(0, 100), Line(40_000, 200, ANSWER)))
    call_through(scene, hang_up_after_ms=1_000)
    record = scene.close()
    assert (record.end_reason, [each.code for each in record.attempts]) == ("Normal", [200])


def test_a_gateway_that_says_100_is_kept_while_the_next_has_no_room():
    gateways = [vendor_gateway(0, **IMPATIENT), vendor_gateway(1, max_concurrent=1)]
    scene = Scene(catalogue([TRUNK, *gateways]))
    first = scene.begun_call(Intent(hang_up_after_ms=60_000), script=TRIES)
    scene.wire.run_until(lambda: first.final == 200)  # takes the only place at the second vendor
    scene.vendor.script = Script((Line(0, 100), Line(10_000, 180), Line(15_000, 200, ANSWER)))
    second = scene.caller.call(CALLEE, Intent(hang_up_after_ms=1_000))
    scene.wire.run_until(lambda: first.is_over and second.is_over)
    ended = {record.sip_call_id_in: record for record in scene.exchange.sink.records}
    assert [each.gateway for each in ended[second.call_id].attempts] == ["vendor-0"]
    assert scene.exchange.leftovers() == {}


def carriers(**terms):
    return account("carriers", type=AccountType.CLEARING, rate_group="buy", overdraft_limit=None, **terms)


@pytest.mark.parametrize(
    "limited",
    [
        {"accounts": [carriers(max_concurrent=1)]},
        {"groups": [GatewayGroup("both", frozenset({"vendor-0", "vendor-1"}), 1)]},
    ],
    ids=["account", "group"],
)
def test_the_only_place_of_two_gateways_is_passed_on_to_the_next(limited):
    """The first sends 100 alone, and would be waited for until its ``ring_timeout``."""
    gateways = [vendor_gateway(index, **IMPATIENT) for index in range(2)]
    scene = Scene(catalogue([TRUNK, *gateways], **limited))
    scene.vendor.script = TRIES
    call_through(scene, hang_up_after_ms=1_000)
    record = scene.close()
    assert [(each.gateway, each.code) for each in record.attempts] == [("vendor-0", 0), ("vendor-1", 200)]
    assert lengths_of(record)[0] == 6
    assert record.verdicts is None or "capacity" not in record.verdicts


def test_the_only_place_of_a_gateway_is_passed_on_to_its_next_host():
    addresses = tuple(GatewayAddress(*VENDORS[index]) for index in (0, 1))
    terms = {"addresses": addresses, "max_concurrent": 1, "account": "carriers", **IMPATIENT}
    scene = Scene(catalogue([TRUNK, routing_gateway("vendor-0", "44", **terms)]))
    scene.vendor.script = TRIES
    call_through(scene, hang_up_after_ms=1_000)
    record = scene.close()
    assert ([each.code for each in record.attempts], lengths_of(record)[0]) == ([0, 200], 6)


def occupied_at(scene, begin_ms, end_ms):
    """Let another call have the place of the second vendor meanwhile."""
    occupancy = scene.exchange.switch.live.occupancy
    scene.wire.run_for(begin_ms)
    assert occupancy.take(LimitScope.ROUTING, "vendor-1", None, None, scene.exchange.clock.now().mono) is None
    scene.wire.run_for(end_ms - begin_ms)
    occupancy.release(LimitScope.ROUTING, "vendor-1")


@pytest.mark.parametrize(("limit", "until_ms"), [({"max_concurrent": 1}, 7_000), ({"max_cps": 1}, 5_500)])
def test_a_gateway_without_room_when_another_might_be_left_for_it_is_asked_again_when_that_one_has_failed(
    limit, until_ms
):
    gateways = [vendor_gateway(0, **IMPATIENT), vendor_gateway(1, **limit)]
    scene = Scene(catalogue([TRUNK, *gateways]))
    call = scene.begun_call(Intent(hang_up_after_ms=1_000), script=Script((Line(0, 100), Line(8_000, 503))))
    occupied_at(scene, 5_400, until_ms)
    record = scene.end_of(call)
    assert [(each.gateway, each.code) for each in record.attempts] == [("vendor-0", 503), ("vendor-1", 200)]
    assert record.verdicts is None or "vendor-1" not in record.verdicts.partition('"left"')[2]


def test_a_gateway_that_still_has_no_room_then_is_left_out_and_the_record_says_so_once():
    gateways = [vendor_gateway(0, **IMPATIENT), vendor_gateway(1, max_concurrent=1)]
    scene = Scene(catalogue([TRUNK, *gateways]))
    call = scene.begun_call(script=Script((Line(0, 100), Line(8_000, 503))))
    occupied_at(scene, 5_400, 9_000)
    assert call.final == 503
    record = scene.close()
    assert [each.gateway for each in record.attempts] == ["vendor-0"]
    left = json.loads(record.verdicts)["left"]
    assert left == [{"routing_gateway": "vendor-1", "reason": "capacity: it had as many calls as it may have"}]


def test_a_vendor_without_funds_meanwhile_is_asked_again_too():
    carrier = account("carrier-1", type=AccountType.CLEARING, rate_group="buy", overdraft_limit=Decimal(0))
    gateways = [vendor_gateway(0, **IMPATIENT), vendor_gateway(1, account="carrier-1")]
    scene = Scene(catalogue([TRUNK, *gateways], accounts=[carriers(), carrier]))
    scene.vendor.script = Script((Line(0, 100), Line(8_000, 503)))
    call = scene.begun_call(Intent(hang_up_after_ms=1_000), after_ms=7_000)
    scene.exchange.credits["carrier-1"].committed(Decimal(1), 2)
    assert [(each.gateway, each.code) for each in scene.end_of(call).attempts] == [("vendor-0", 503), ("vendor-1", 200)]


@pytest.mark.parametrize("is_paid_alike", [False, True])
def test_a_gateway_that_says_100_is_kept_while_the_vendor_of_the_next_may_spend_no_more(is_paid_alike):
    limits = (SpendLimit(SpendPeriod.HOUR, Decimal(5), SpendAction.BLOCK),)
    carrier = account(
        "carrier-1", type=AccountType.CLEARING, rate_group="buy", overdraft_limit=Decimal(9), spend_limits=limits
    )
    first = {"account": "carrier-1"} if is_paid_alike else {}
    gateways = [vendor_gateway(0, **IMPATIENT, **first), vendor_gateway(1, account="carrier-1")]
    scene = Scene(catalogue([TRUNK, *gateways], accounts=[carriers(), carrier]))
    credit = scene.exchange.credits["carrier-1"]
    credit.spending = Spending(limits, "UTC", scene.exchange.clock.now().wall)
    scene.vendor.script = Script((Line(0, 100), Line(9_000, 180), Line(10_000, 200, ANSWER)))
    call = scene.begun_call(Intent(hang_up_after_ms=1_000), after_ms=5_000)
    credit.spending.ended(Decimal(5))  # other calls
    assert [(each.gateway, each.code) for each in scene.end_of(call).attempts] == [("vendor-0", 200)]


def test_a_gateway_behind_one_without_room_is_tried_at_once_and_that_one_is_left_out():
    gateways = [vendor_gateway(0, **IMPATIENT), vendor_gateway(1, max_concurrent=1), vendor_gateway(2)]
    scene = Scene(catalogue([TRUNK, *gateways]))
    scene.vendor.script = TRIES
    scene.vendors[2].script = refuses(503)
    call = scene.caller.call(CALLEE)
    occupied_at(scene, 5_400, 6_200)
    scene.wire.run_until(lambda: call.final is not None)
    record = scene.close()
    assert [(each.gateway, each.code) for each in record.attempts] == [("vendor-0", 0), ("vendor-2", 503)]
    assert [each["routing_gateway"] for each in json.loads(record.verdicts)["left"]] == ["vendor-1"]


def test_contacts_of_a_3xx_come_before_a_gateway_that_was_asked_already():
    """The second vendor had no room when the first might have been left for it."""
    dialect = CalleeDialect(redirects=Redirects.FOLLOW)
    gateways = [vendor_gateway(0, dialect=dialect, **IMPATIENT), vendor_gateway(1, max_concurrent=1)]
    scene = Scene(catalogue([TRUNK, *gateways]))
    there = f"Contact: <sip:{CALLEE}@{VENDORS[2].host}:{VENDORS[2].port}>"
    scene.vendor.script = Script((Line(0, 100), Line(8_000, 302, headers=(there,))))
    scene.vendors[2].script = refuses(503)
    call = scene.caller.call(CALLEE, Intent(hang_up_after_ms=1_000))
    occupied_at(scene, 5_400, 7_000)
    record = scene.end_of(call)
    assert [(each.gateway, each.code) for each in record.attempts] == [
        ("vendor-0", 302), ("vendor-0", 503), ("vendor-1", 200),
    ]  # fmt: skip


def test_a_gateway_that_rings_is_waited_for_until_its_ring_timeout_whatever_its_progress_timeout():
    scene = Scene(usual_catalogue(terms=IMPATIENT))
    scene.vendor.script = Script((Line(0, 100), Line(5_900, 183, ANSWER), Line(50_000, 200, ANSWER)))
    call_through(scene, hang_up_after_ms=1_000)
    record = scene.close()
    assert [(each.gateway, each.code) for each in record.attempts] == [("vendor-0", 200)]


@pytest.mark.parametrize("status", [100, 199])
def test_a_100_that_is_repeated_prolongs_nothing(status):
    scene = Scene(usual_catalogue(terms=IMPATIENT))
    scene.vendor.script = Script(tuple(Line(1_000 * second, status) for second in range(60)))
    call_through(scene, hang_up_after_ms=1_000)
    assert lengths_of(scene.close())[0] == 6


# -- how many, and until when ---------------------------------------------------------------------------------------


def hosts(count):
    """Make a trunk with so many addresses, all of them the first vendor's."""
    host = VENDORS[0].host
    return tuple(GatewayAddress(host, VENDORS[0].port, uri=f"sip:{number}@{host}") for number in range(count))


def test_a_call_tries_ten_gateways_and_no_more():
    gateways = [
        routing_gateway(
            f"vendor-{index:02}", "44", addresses=(GatewayAddress(*VENDORS[0]),), priority=index + 1, account="carriers"
        )
        for index in range(12)
    ]
    scene = Scene(catalogue([TRUNK, *gateways]))
    scene.vendor.script = refuses(500)
    call = call_through(scene)
    record = scene.close()
    assert [each.gateway for each in record.attempts] == [f"vendor-{index:02}" for index in range(10)]
    assert (call.final, record.end_reason) == (500, "Unavailable")


def test_a_gateway_that_says_100_as_the_tenth_is_waited_for_to_the_end():
    gateway = routing_gateway(
        "vendor-0", "44", addresses=hosts(12), account="carriers", progress_timeout_ms=1_000, ring_timeout_ms=20_000
    )
    scene = Scene(catalogue([TRUNK, gateway]))
    scene.vendor.script = TRIES
    call_through(scene)
    record = scene.close()
    assert lengths_of(record) == [1] * 9 + [20]


def test_no_attempt_begins_later_than_30_s_after_the_invite_came():
    gateway = routing_gateway(
        "vendor-0", "44", addresses=hosts(12), account="carriers", response_timeout_ms=7_000
    )  # attempts begin after 0, 7, 14, 21 and 28 s
    scene = Scene(catalogue([TRUNK, gateway]))
    scene.vendor.script = SILENT
    call = call_through(scene)
    record = scene.close()
    assert lengths_of(record) == [7] * 5
    assert (call.final, record.end_reason) == (408, "No Answer")


# -- one host of several --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codes", [None, frozenset({480})])
def test_503_of_one_host_is_followed_by_the_next_host_of_the_gateway(codes):
    """RFC 3263 section 4.3; ``failover_codes`` is about the next gateway."""
    addresses = tuple(GatewayAddress(*VENDORS[index]) for index in (0, 1))
    gateway = routing_gateway("vendor-0", "44", addresses=addresses, account="carriers", failover_codes=codes)
    scene = Scene(catalogue([TRUNK, gateway, vendor_gateway(2)]))
    scene.vendor.script, scene.vendors[1].script = refuses(503), answers()
    call_through(scene, hang_up_after_ms=1_000)
    record = scene.close()
    assert [(each.gateway, each.code) for each in record.attempts] == [("vendor-0", 503), ("vendor-0", 200)]
    assert scene.vendors[2].calls == []


def test_503_of_the_last_host_ends_the_call_where_it_is_no_failover_code():
    addresses = tuple(GatewayAddress(*VENDORS[index]) for index in (0, 1))
    gateway = routing_gateway("vendor-0", "44", addresses=addresses, account="carriers", failover_codes=frozenset())
    scene = Scene(catalogue([TRUNK, gateway, vendor_gateway(2)]))
    scene.vendor.script = scene.vendors[1].script = refuses(503)
    assert call_through(scene).final == 503
    assert [(each.gateway, each.code) for each in scene.close().attempts] == [("vendor-0", 503)] * 2


# -- what is left at a gateway --------------------------------------------------------------------------------------


def test_a_cancel_has_the_reason_for_the_vendor(scene):
    """RFC 3326."""
    scene.vendor.script = RINGS
    call_through(scene, cancel_after_ms=2_000)
    [cancel] = scene.vendor.received("CANCEL")
    assert cancel["Reason"] == 'Q.850;cause=16;text="Cancelled"'
    scene.close()


def test_a_cancel_after_a_ring_timeout_has_its_reason_too():
    scene = Scene(usual_catalogue(terms={"ring_timeout_ms": 10_000}))
    scene.vendor.script = RINGS
    call_through(scene)
    [cancel] = scene.vendor.received("CANCEL")
    assert cancel["Reason"] == 'Q.850;cause=19;text="No Answer"'
    scene.close()


def test_an_internal_error_while_starting_an_attempt_releases_its_slot(scene, monkeypatch):
    class MistakeError(Exception):
        pass

    def fails(*_args, **_terms):
        raise MistakeError

    with monkeypatch.context() as patch, structlog.testing.capture_logs():
        patch.setattr(attempt, "written", fails)
        scene.whole_call()
    assert scene.close().end_reason == "Lost"
