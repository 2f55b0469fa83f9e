"""Rules for numbers in calls: what vendors are sent, what the record has, and what is refused."""

import pytest
from doubles.data.builders import catalogue, mapping_gateway, phone
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, vendor_gateway
from doubles.virtual.vendor import answers, refuses

from vosd.admin.routing import explain_route
from vosd.routing.pools import EmptyPool, NumberPool, PoolMode
from vosd.sip.wire.parse import parse_message
from vosd.trunks.dialect import CalleeDialect, IdentityHeader, Passing
from vosd.trunks.number_rules import IncomingNumbers, LengthRange, OutgoingNumbers

BERLIN = NumberPool("berlin", ("49301", "49302", "49303"))
EMPTY = NumberPool("empty", ())
CLOSED = NumberPool("closed", (), when_empty=EmptyPool.REFUSE)


def scene_with(incoming=None, *outgoing, dialect=None, **content):
    """A switch with a customer's rules, and a vendor for each of the vendors' rules."""
    vendors = [
        vendor_gateway(
            index, prefixes=("44", "33"), numbers=numbers, allow_unrated=True, dialect=dialect or CalleeDialect()
        )
        for index, numbers in enumerate(outgoing or (None,))
    ]
    made = catalogue(
        [mapping_gateway("acme", f"{CUSTOMER.host}/32", numbers=incoming), *vendors],
        number_pools=[BERLIN, EMPTY, CLOSED],
        **content,
    )
    scene = Scene(made)
    for vendor in scene.vendors:
        vendor.script = answers(100)
    return scene


def invites(scene):
    """Return the INVITEs to vendors, each once."""
    messages = [parse_message(packet.data) for packet in scene.wire.packets if packet.target in VENDORS]
    return [each for each in messages if getattr(each, "method", "") == "INVITE"]


def called(scene, callee=CALLEE, caller="12025550100", **intent):
    """Make a call, end it where it is answered, and return its record."""
    call = scene.settled_call(Intent(caller=caller, **intent), callee=callee)
    if call.final == 200:
        scene.wire.run_for(1_000)
        call.hang_up()
    scene.wire.run_until(lambda: call.is_over)
    return scene.exchange.sink.records[-1]


def numbers_sent(scene):
    """Return the called and the calling number of each INVITE."""
    return [tuple(uri.split(":")[1].split("@")[0] for uri in (each.uri, each.from_.uri)) for each in invites(scene)]


def test_the_rewritten_number_is_rated_and_routed_and_the_record_keeps_the_dialled_one():
    scene = scene_with(IncomingNumbers(callee_rewrite=(("00", ""), ("0", "49"))))
    record = called(scene, "00" + CALLEE)
    assert (record.end_reason, record.callee_in) == ("Normal", "00" + CALLEE)
    assert (record.callee_billing, record.callee_out, record.rate_prefix) == (CALLEE, CALLEE, "44")
    assert numbers_sent(scene) == [(CALLEE, "12025550100")]


@pytest.mark.parametrize(
    ("rules", "callee", "caller", "is_refused"),
    [
        (IncomingNumbers(callee_deny=("4477*",)), "447700900001", "1", True),
        (IncomingNumbers(callee_deny=("4477*",)), CALLEE, "1", False),
        (IncomingNumbers(callee_deny=("list:bad",)), "442079460001", "1", True),
        (IncomingNumbers(callee_deny=("list:bad",)), CALLEE, "1", False),
        (IncomingNumbers(callee_allow=("44*",), callee_deny=("list:bad",)), "442079460001", "1", True),
        (IncomingNumbers(callee_allow=("33*",)), CALLEE, "1", True),
        (IncomingNumbers(callee_allow=("33*", "list:bad")), "442079460001", "1", False),
        (IncomingNumbers(caller_deny=("4477*",)), CALLEE, "+447700900001", True),
        (IncomingNumbers(caller_deny=("anonymous",)), CALLEE, "anonymous", True),
        (IncomingNumbers(caller_allow=("list:bad",)), CALLEE, "442079460001", False),
        (IncomingNumbers(caller_allow=("list:bad",)), CALLEE, "442079460002", True),
        (IncomingNumbers(callee_length=LengthRange(7, 11)), CALLEE, "1", True),
        (IncomingNumbers(callee_length=LengthRange(7, 12)), "+" + CALLEE, "1", False),
        (IncomingNumbers(callee_length=LengthRange(13, 15)), CALLEE, "1", True),
        # Lists see the number as it was dialled, rewriting comes behind them.
        (IncomingNumbers(callee_deny=("44*",), callee_rewrite=(("00", ""),)), "00" + CALLEE, "1", False),
        (IncomingNumbers(callee_deny=("00*",), callee_rewrite=(("00", ""),)), "00" + CALLEE, "1", True),
        (IncomingNumbers(callee_rewrite=((CALLEE, ""),)), CALLEE, "1", True),
        (IncomingNumbers(caller_pool="closed"), CALLEE, "1", True),
    ],
)  # fmt: skip
def test_lists_and_lengths_refuse_calls(rules, callee, caller, is_refused):
    scene = scene_with(rules, number_lists={"bad": ["442079460001"]})
    record = called(scene, callee, caller)
    expected = ("Number Not Allowed", 403) if is_refused else ("Normal", 200)
    assert (record.end_reason, record.sip_code) == expected
    assert len(invites(scene)) == (not is_refused)
    assert scene.exchange.leftovers() == {}


def test_the_refusal_says_which_list_and_number_it_was():
    scene = scene_with(IncomingNumbers(caller_deny=("list:bad",)), number_lists={"bad": ["4477*"]})
    found = explain_route(
        scene.exchange.switch.catalogue, scene.exchange.switch.live, gateway="acme", caller="447700", callee=CALLEE,
        at=scene.exchange.clock.now(),
    )  # fmt: skip
    assert found.detail == "acme: calling number 447700 is denied by list:bad"


def test_a_pool_gives_each_call_its_next_number_also_after_a_reload():
    scene = scene_with(IncomingNumbers(caller_pool="berlin"))
    records = [called(scene) for _ in range(2)]
    scene.exchange.swap_catalogue(scene.exchange.switch.catalogue)
    records += [called(scene) for _ in range(2)]
    assert [record.caller_out for record in records] == ["49301", "49302", "49303", "49301"]
    assert {record.caller_in for record in records} == {"12025550100"}
    assert [caller for _, caller in numbers_sent(scene)] == ["49301", "49302", "49303", "49301"]


def test_an_explanation_takes_no_turn_of_a_pool():
    scene = scene_with(IncomingNumbers(caller_pool="berlin"), *[OutgoingNumbers(caller_pool="berlin")] * 2)
    for _ in range(3):
        found = explain_route(
            scene.exchange.switch.catalogue, scene.exchange.switch.live, gateway="acme", caller="1", callee=CALLEE,
            at=scene.exchange.clock.now(),
        )  # fmt: skip
        assert (found.caller_routed, [each.caller_out for each in found.candidates]) == ("49301", ["49302", "49303"])


@pytest.mark.parametrize(
    ("rules", "caller", "shown"),
    [
        (IncomingNumbers(caller_rewrite=(("0", "49"),)), "030123", "4930123"),
        (IncomingNumbers(caller_rewrite=(("*", "49"),)), "anonymous", "anonymous"),
        (IncomingNumbers(caller_rewrite=(("anonymous", "49301"),)), "anonymous", "49301"),
        (IncomingNumbers(caller_rewrite=(("~.*", "49301"),)), "030123", "49301"),
        (IncomingNumbers(caller_rewrite=(("0", "49"),), caller_pool="berlin"), "030123", "49301"),
        (IncomingNumbers(caller_rewrite=(("0", "49"),), caller_pool="empty"), "030123", "4930123"),
        (IncomingNumbers(caller_pool="empty"), "030123", "030123"),
        (IncomingNumbers(caller_drop=True), "030123", ""),
        (IncomingNumbers(caller_drop=True, caller_pool="berlin"), "030123", ""),
    ],
)
def test_how_the_calling_number_is_changed(rules, caller, shown):
    scene = scene_with(rules)
    record = called(scene, caller=caller)
    assert (record.caller_in, record.caller_out) == (caller, shown)
    # Who withholds his number stays anonymous, whatever number is given to him for vendors that are told it.
    assert [each for _, each in numbers_sent(scene)] == ["anonymous" if caller == "anonymous" else shown or "anonymous"]


def test_a_dropped_caller_has_no_name_and_no_identity_either():
    dialect = CalleeDialect(identity=(IdentityHeader.ASSERTED, IdentityHeader.REMOTE_PARTY), display_name=Passing.PASS)
    scene = scene_with(IncomingNumbers(caller_drop=True), None, dialect=dialect)
    called(scene, caller="030123", display="Alice")
    sent = scene.bytes_to(VENDORS[0])
    assert b"Alice" not in sent
    assert b"030123" not in sent
    assert b"P-Asserted-Identity" not in sent


def test_each_gateway_is_sent_numbers_of_its_own():
    scene = scene_with(
        IncomingNumbers(callee_rewrite=(("00", ""),)),
        OutgoingNumbers(callee_rewrite=(("44", "0"),), tech_prefix="7001#", caller_pool="berlin"),
        OutgoingNumbers(caller_rewrite=(("*", "+"),)),
        OutgoingNumbers(caller_pool="berlin"),
    )
    scene.vendors[0].script = scene.vendors[1].script = refuses(503)
    record = called(scene, "00442079460000", "12025550100")
    assert numbers_sent(scene) == [
        ("7001%2302079460000", "49301"), ("442079460000", "+12025550100"), ("442079460000", "49302"),
    ]  # fmt: skip
    assert (record.callee_billing, record.callee_out, record.caller_out) == (CALLEE, CALLEE, "49302")
    assert [attempt.code for attempt in record.attempts] == [503, 503, 200]


def test_rules_of_a_gateway_that_would_leave_no_number_leave_it_as_it_is():
    scene = scene_with(None, OutgoingNumbers(callee_rewrite=((CALLEE, ""),)))
    assert called(scene).callee_out == CALLEE


def test_a_gateway_that_is_not_tried_takes_no_number_of_its_pool():
    pool = OutgoingNumbers(caller_pool="berlin")
    scene = scene_with(None, pool, pool)
    assert [called(scene).caller_out for _ in range(4)] == ["49301", "49302", "49303", "49301"]


@pytest.mark.parametrize(
    ("rules", "caller", "why"),
    [
        (OutgoingNumbers(caller_deny=("1202*",)), "12025550100", "calling number 12025550100 is denied by 1202*"),
        (OutgoingNumbers(caller_allow=("49*",)), "+1202", "calling number 1202 is not among the allowed ones"),
        (OutgoingNumbers(caller_allow=("49*",)), "", "calling number anonymous is not among the allowed ones"),
        (OutgoingNumbers(caller_pool="closed"), "12025550100", "pool closed is empty"),
    ],
)  # fmt: skip
def test_a_gateway_is_left_out_for_callers_that_it_does_not_take(rules, caller, why):
    scene = scene_with(None, rules, None)
    found = explain_route(
        scene.exchange.switch.catalogue, scene.exchange.switch.live, gateway="acme", caller=caller, callee=CALLEE,
        at=scene.exchange.clock.now(),
    )  # fmt: skip
    assert [each.reason for each in found.left] == [f"caller: {why}"]
    assert called(scene, caller=caller or "anonymous").routing_gateway == "vendor-1"


def test_the_caller_condition_is_about_the_number_behind_the_rewriting_of_the_customer():
    scene = scene_with(IncomingNumbers(caller_rewrite=(("0", "49"),)), OutgoingNumbers(caller_allow=("49*",)))
    assert called(scene, caller="030123").routing_gateway == "vendor-0"


def test_a_random_pool_and_random_digits_use_the_entropy_of_the_switch():
    pool = NumberPool("any", tuple(f"4930{index}" for index in range(10)), PoolMode.RANDOM)
    vendor = vendor_gateway(0, numbers=OutgoingNumbers(caller_rewrite=(("*", "49171????"),)))
    rules = IncomingNumbers(caller_pool="any")
    scene = Scene(
        catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32", numbers=rules), vendor], number_pools=[pool])
    )
    drawn = iter(range(1_000))
    scene.exchange.switch.live.entropy = lambda: bytes([next(drawn)])
    scene.vendor.script = answers(0)
    assert [called(scene).caller_out for _ in range(2)] == ["49171123449300", "49171678949305"]


def test_calls_of_phones_have_the_same_rules():
    numbers = IncomingNumbers(callee_rewrite=(("0", "44"),), callee_deny=("09*",), caller_pool="berlin")
    scene = Scene(catalogue([vendor_gateway(0)], phones=[phone("1001", numbers=numbers)], number_pools=[BERLIN]))
    scene.vendor.script = answers(0)
    telephone = scene.exchange.telephone("1001", CUSTOMER)
    call = telephone.call("02079460000")
    scene.wire.run_until(lambda: call.final is not None)
    assert call.final == 200
    assert numbers_sent(scene) == [(CALLEE, "49301")]
