"""A telephone transfers a call that it was called by, on its own account (ADR 180)."""

import dataclasses
from decimal import Decimal

import pytest
from doubles.data.builders import account, catalogue, credentials, mapping_gateway, phone
from doubles.desk_scene import (
    DESK,
    MATE,
    TARGET,
    are_connected,
    assert_no_faults,
    attended,
    blind,
    called,
    dialled,
    notified,
    office,
    registered,
    transferring,
)
from doubles.keypad_scene import KEYS, passed_on, press
from doubles.sockets.loopback import Endpoint
from doubles.virtual.customer import Intent
from doubles.virtual.exchange import SWITCH
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, vendor_gateway
from doubles.virtual.vendor import RINGS, answers, refuses

from vosd.base.cause import EndReason
from vosd.trunks.dialect import CallerDialect, TransferDisplay, Transfers
from vosd.trunks.dids import Did
from vosd.trunks.gateways import CallerNumbers
from vosd.trunks.number_rules import IncomingNumbers


@pytest.fixture
def scene():
    scene = Scene(office())
    yield scene
    assert_no_faults(scene)


def records(scene: Scene):
    """Return the records of the incoming call, and of that to the target."""
    incoming = [each for each in scene.exchange.sink.records if each.mapping_gateway == "acme"]
    (first,), (second,) = incoming, [each for each in scene.exchange.sink.records if each not in incoming]
    return first, second


@pytest.mark.parametrize("ends", ["caller", "target", "switch"])
def test_a_caller_is_connected_with_the_target_and_each_call_is_paid_by_its_own_account(scene, ends):
    call, at_desk, mate = transferring(scene, after_ms=10_000)
    assert at_desk.got["REFER"] == [202]
    assert notified(at_desk) == ["100 Trying", "180 Ringing", "200 OK"]
    (target,) = mate.calls
    assert at_desk.is_over
    assert not call.is_over
    assert are_connected(call, target)
    if ends == "switch":
        scene.exchange.end_all(EndReason.ADMINISTRATIVE)
    else:
        (call if ends == "caller" else target).hang_up()
    scene.wire.run_until(lambda: call.is_over and target.is_over)
    scene.expect_nothing_left()
    first, second = records(scene)
    assert (first.customer_account, first.routing_gateway, first.callee_in) == ("acme", DESK, DESK)
    assert (second.customer_account, second.mapping_gateway, second.callee_in) == ("office", DESK, MATE)
    assert second.sip_call_id_in == first.sip_call_id_out
    assert first.answered_at < second.answered_at
    assert first.ended_at == second.ended_at
    assert first.hangup_source == {"caller": "caller", "target": "callee", "switch": "switch"}[ends]
    assert first.hold_time_ms == first.ended_at - first.answered_at
    for record in (first, second):
        assert scene.exchange.statement(record.customer_account) == -(record.fee + record.tax) < 0
        assert scene.exchange.credits[record.customer_account].reserved == 0


def test_the_target_may_be_outside_and_its_vendor_is_paid(scene):
    desk, _ = registered(scene)
    call, at_desk = called(scene, desk)
    blind(at_desk, TARGET)
    scene.wire.run_for(5_000)
    (target,) = scene.vendor.calls
    assert are_connected(call, target)
    scene.expect_nothing_left(call)
    assert records(scene)[1].vendor_account == "carriers"


@pytest.mark.parametrize("is_first", [True, False])
def test_the_phone_connects_its_caller_with_one_that_it_has_called(scene, is_first):
    desk, mate = registered(scene)
    call, at_desk = called(scene, desk)
    own = dialled(scene, desk)
    attended(at_desk, own) if is_first else attended(own, at_desk)
    scene.wire.run_for(3_000)
    (target,) = mate.calls
    assert notified(at_desk if is_first else own) == ["200 OK"]
    assert (at_desk.is_over, own.is_over, call.is_over, target.is_over) == (True, True, False, False)
    assert are_connected(call, target)
    (call if is_first else target).hang_up()
    scene.wire.run_until(lambda: call.is_over and target.is_over)
    scene.expect_nothing_left()
    first, second = records(scene)
    assert first.ended_at == second.ended_at
    assert (first.customer_account, second.customer_account) == ("acme", "office")


@pytest.mark.parametrize("first_ends", [True, False])
def test_the_phone_connects_two_callers(scene, first_ends):
    desk, _ = registered(scene)
    one, at_desk = called(scene, desk)
    other, also_at_desk = called(scene, desk)
    attended(at_desk, also_at_desk)
    scene.wire.run_for(3_000)
    assert are_connected(one, other)
    assert (at_desk.is_over, also_at_desk.is_over) == (True, True)
    (one if first_ends else other).hang_up()
    scene.wire.run_until(lambda: one.is_over and other.is_over)
    scene.expect_nothing_left()
    assert {record.customer_account for record in scene.exchange.sink.records} == {"acme"}


def test_two_that_were_connected_may_put_each_other_on_hold(scene):
    call, _, mate = transferring(scene)
    (target,) = mate.calls
    for one, other in ((call, target), (target, call)):
        scene.propose(one, "a=sendonly")
        assert "a=recvonly" in one.theirs
        assert "a=sendonly" in other.theirs
        scene.propose(one, "a=sendrecv")
        assert are_connected(one, other)
    press(scene, call, "5*0")
    assert passed_on(target) == "5*0"
    scene.expect_nothing_left(call)


@pytest.mark.parametrize("script", [refuses(486), refuses(404), RINGS])
def test_the_phone_has_its_caller_back_where_the_target_is_not_to_be_had(scene, script):
    call, at_desk, mate = transferring(scene, script, 35_000)
    assert notified(at_desk)[-1][0] == "4"
    assert (call.is_over, at_desk.is_over) == (False, False)
    scene.propose(call, "a=sendonly")
    assert at_desk.agrees_with(call)
    mate.script = answers()
    blind(at_desk, MATE)
    scene.wire.run_for(3_000)
    assert (at_desk.is_over, call.is_over, mate.calls[-1].is_over) == (True, False, False)
    scene.expect_nothing_left(call)


@pytest.mark.parametrize("is_answered", [True, False])
def test_a_phone_that_hangs_up_before_the_target_answers_leaves_the_caller_to_it(scene, is_answered):
    call, at_desk, _ = transferring(scene, answers(2_000) if is_answered else refuses(486, after_ms=2_000), 500)
    scene.hang_up(at_desk, wait_ms=500)
    call.propose("a=sendonly")  # no other side can take it now
    press(scene, call, "5")
    scene.wire.run_for(5_000)
    assert call.is_over is not is_answered
    if is_answered:
        call.hang_up()
    scene.expect_nothing_left()
    first, second = records(scene)
    assert first.hangup_source == ("caller" if is_answered else "callee")
    assert (first.end_reason, second.end_reason) == ("Normal", "Normal" if is_answered else "Busy")


@pytest.mark.parametrize("has_left", [True, False])
def test_a_caller_that_hangs_up_takes_the_ringing_target_with_it(scene, has_left):
    call, at_desk, mate = transferring(scene, RINGS, 1_000)
    if has_left:
        scene.hang_up(at_desk, wait_ms=500)
    scene.hang_up(call, wait_ms=3_000)
    assert mate.calls[0].is_over
    assert at_desk.is_over
    assert notified(at_desk)[2:] == ([] if has_left else ["487 Request Terminated"])
    scene.expect_nothing_left()
    assert sorted(record.end_reason for record in scene.exchange.sink.records) == ["Cancelled", "Normal"]


def test_the_phone_is_notified_before_its_bye_where_the_switch_ends_the_call(scene):
    desk, mate = registered(scene)
    mate.script = RINGS
    _, at_desk = called(scene, desk)
    blind(at_desk, MATE)
    scene.wire.run_for(1_000)
    scene.exchange.end_all(EndReason.ADMINISTRATIVE)
    scene.wire.run_for(1_000)
    sent = [each.data for each in scene.wire.packets if each.target == desk.address]
    (notify,) = [index for index, data in enumerate(sent) if b"\r\n\r\nSIP/2.0 487 " in data]
    (bye,) = [index for index, data in enumerate(sent) if data.startswith(b"BYE ")]
    assert notify < bye
    scene.expect_nothing_left()


def test_the_place_of_the_phone_is_free_once_it_has_left(scene):
    """Two calls at once: the receptionist has one for the caller and one for the target, and then one for the next."""
    scene = Scene(office(desk={"max_concurrent": 2}))
    desk, _ = registered(scene)
    call, at_desk = called(scene, desk)
    blind(at_desk, MATE)
    scene.wire.run_for(3_000)
    following, _ = called(scene, desk)
    assert following.final == 200
    third = scene.settled_call(Intent(), callee=DESK)
    assert third.final == 486
    scene.expect_nothing_left(call, following)


def test_a_phone_without_room_for_another_call_transfers_nothing(scene):
    scene = Scene(office(desk={"max_concurrent": 1}))
    call, at_desk, mate = transferring(scene, after_ms=1_000)
    (status,) = at_desk.got["REFER"]
    assert status >= 400
    assert (mate.calls, call.is_over) == ([], False)
    scene.expect_nothing_left(call)


@pytest.mark.parametrize(
    "terms",
    [
        {"dialect": CallerDialect(transfers=Transfers.REFUSE, transfer_keys=KEYS)},
        {"desk": {"dialect": CallerDialect(transfers=Transfers.REFUSE)}},
    ],
)
def test_a_phone_that_may_not_transfer_gets_403_and_its_keys_go_to_the_caller(terms):
    scene = Scene(office(**terms))
    desk, _ = registered(scene)
    call, at_desk = called(scene, desk)
    blind(at_desk, MATE)
    press(scene, at_desk, f"*1{MATE}#")
    assert at_desk.got["REFER"] == [403]
    assert passed_on(call) == f"*1{MATE}#"
    scene.expect_nothing_left(call)


def test_money_of_the_phones_account_limits_the_call_to_the_target(scene):
    """The account has no money: the transfer is refused, and the incoming call is not concerned."""
    scene = Scene(office(accounts=[account("office")]))
    call, at_desk, mate = transferring(scene)
    assert (at_desk.got["REFER"], mate.calls, call.is_over) == ([402], [], False)
    scene.expect_nothing_left(call)
    assert records(scene)[1].end_reason == "Insufficient Balance"


def test_a_phone_whose_password_servers_of_radius_judge_has_no_target_called_but_connects_two_calls(scene):
    """They permit and limit each of its calls, by an INVITE of its own."""
    judged = dataclasses.replace(credentials(DESK, "secret"), is_remote=True)
    desk, mate = registered(scene)
    scene.exchange.node.swap_catalogue(office(desk={"credentials": judged}), scene.exchange.clock.now())
    one, at_desk = called(scene, desk)
    other, also_at_desk = called(scene, desk)
    blind(at_desk, MATE)
    press(scene, at_desk, f"*1{MATE}#")
    scene.wire.run_for(3_000)
    assert (at_desk.got["REFER"], mate.calls, one.is_over) == ([403], [], False)
    attended(at_desk, also_at_desk)
    scene.wire.run_for(3_000)
    assert at_desk.got["REFER"] == [403, 202]
    assert are_connected(one, other)
    scene.expect_nothing_left(one)


@pytest.mark.parametrize("payer", ["acme", "office"])
def test_money_that_runs_out_on_either_side_ends_both_calls(payer):
    poor = account("office", overdraft_limit=Decimal("0.80") if payer == "office" else None)
    scene = Scene(office(accounts=[poor]), balance="0.90" if payer == "acme" else "100")
    call, _, mate = transferring(scene, after_ms=120_000)
    (target,) = mate.calls
    assert (call.is_over, target.is_over) == (True, True)
    scene.expect_nothing_left()
    first, second = records(scene)
    assert {first.end_reason, second.end_reason} == {"Normal", "Balance Exhausted"}
    assert (first if payer == "acme" else second).end_reason == "Balance Exhausted"
    assert first.ended_at == second.ended_at
    spent = (first if payer == "acme" else second).fee
    assert spent == Decimal("0.90" if payer == "acme" else "0.80")


@pytest.mark.parametrize(
    ("display", "shown"),
    [
        (TransferDisplay.CALLER, DESK),  # it may not show the number of the customer
        (TransferDisplay.PHONE, DESK),
    ],
)
def test_the_target_is_shown_a_number_that_the_phone_may_show(display, shown):
    scene = Scene(office(dialect=CallerDialect(transfer_display=display)))
    desk, _ = registered(scene)
    call, at_desk = called(scene, desk)
    blind(at_desk, TARGET)
    scene.wire.run_for(3_000)
    (target,) = scene.vendor.calls
    assert f"sip:{shown}@" in target.invite["From"]
    scene.expect_nothing_left(call)


def test_the_target_is_shown_the_number_of_the_caller_where_the_phone_may_show_that():
    numbers = CallerNumbers(DESK, frozenset({"12025550100"}))
    scene = Scene(office(desk={"caller_numbers": numbers}))
    call, _, mate = transferring(scene)
    assert "sip:12025550100@" in mate.calls[0].invite["From"]
    scene.expect_nothing_left(call)


@pytest.mark.parametrize("is_refused", [False, True])
@pytest.mark.parametrize("name", [DESK, "pbx"])
@pytest.mark.parametrize(
    ("rules", "headers", "known"),
    [
        (IncomingNumbers(), ("Privacy: id",), ""),
        (IncomingNumbers(caller_drop=True), (), ""),
        (IncomingNumbers(caller_rewrite=(("1202", "99"),)), (), "995550100"),
    ],
)
def test_a_number_that_the_called_side_was_not_shown_is_not_in_its_record_nor_sent_to_the_target(
    rules, headers, known, name, is_refused
):
    number = DESK if name == DESK else "4430123450"
    trunks = [
        mapping_gateway("acme", f"{CUSTOMER.host}/32", numbers=rules),
        mapping_gateway("pbx", account="office", credentials=credentials("pbx", "secret")),
        vendor_gateway(0),
    ]
    numbers = [Did(number="4430123450", account="office", trunk="pbx")]
    rich, phones = account("office", overdraft_limit=None), [phone(DESK, account="office")]
    scene = Scene(catalogue(trunks, phones=phones, accounts=[rich], dids=numbers))
    called_side = scene.exchange.telephone(name, Endpoint("203.0.113.66", 41_234))
    called_side.register()
    call = scene.answered_call(Intent(headers=headers), callee=number, talk_ms=1_000)
    (side,) = called_side.calls
    blind(side, "1" if is_refused else TARGET)
    scene.wire.run_for(3_000)
    assert side.got["REFER"] == [403 if is_refused else 202]
    scene.expect_nothing_left(call)
    first, second = records(scene)
    assert first.caller_in == "12025550100"
    assert (second.customer_account, second.caller_in) == ("office", known or number)
    assert "12025550100" not in repr(second)
    sent = [each.data for each in scene.wire.packets if each.target != scene.caller.address and each.source == SWITCH]
    assert sent
    assert not [each for each in sent if b"12025550100" in each]
    if not is_refused:
        shown = known if name == "pbx" and known else number  # the telephone may show its own number alone
        assert f"sip:{shown}@" in scene.vendor.calls[0].invite["From"]


def test_the_caller_transfers_nothing_while_the_phone_does(scene):
    call, *_ = transferring(scene, RINGS, 1_000)
    blind(call, TARGET)
    scene.wire.run_for(1_000)
    assert call.got["REFER"] == [491]
    scene.expect_nothing_left(call)


def test_another_account_does_not_reach_the_call_of_a_phone_by_its_replaces(scene):
    desk, _ = registered(scene)
    call, at_desk = called(scene, desk)
    foreign = scene.answered_call(Intent(), callee=TARGET, talk_ms=1_000)
    attended(foreign, at_desk)
    attended(at_desk, foreign)
    scene.wire.run_for(1_000)
    assert (foreign.got["REFER"], at_desk.got["REFER"]) == ([603], [603])
    scene.expect_nothing_left(foreign, call)


@pytest.mark.parametrize("reason", ["switched off", "gone", "blocked"])
def test_a_phone_that_may_not_call_any_more_transfers_nothing(scene, reason):
    desk, mate = registered(scene)
    call, at_desk = called(scene, desk)
    exchange = scene.exchange
    if reason == "blocked":
        exchange.switch.live.blocks.callers[DESK] = "by a person"
    else:
        others = {"phones": [phone(MATE, account="office")]} if reason == "gone" else {"desk": {"enabled": False}}
        exchange.node.swap_catalogue(office(**others), exchange.clock.now())
    blind(at_desk, MATE)
    scene.wire.run_for(1_000)
    assert at_desk.got["REFER"] == [403]
    assert (mate.calls, call.is_over, at_desk.is_over) == ([], False, False)
    scene.expect_nothing_left(call)


def test_a_trunk_of_a_vendor_that_has_taken_its_leg_over_transfers_nothing():
    """The vendor is still paid for the call by its customer, and its credit is still held."""
    trunks = [
        mapping_gateway("acme", f"{CUSTOMER.host}/32"),
        mapping_gateway("partner", f"{VENDORS[0].host}/32", account="carriers"),
        vendor_gateway(0),
    ]
    accounts = [account("acme", overdraft_limit=None), account("carriers", overdraft_limit=Decimal(2))]
    scene = Scene(catalogue(trunks, accounts=accounts))
    call, there = scene.talk()
    partner = scene.exchange.caller(Endpoint(VENDORS[0].host, 5_090))
    newcomer = partner.call(CALLEE, Intent(headers=(f"Replaces: {there.replaces}",)))
    scene.wire.run_for(2_000)
    assert (newcomer.final, there.is_over) == (200, True)
    blind(newcomer, TARGET)
    scene.wire.run_for(2_000)
    assert newcomer.got["REFER"] == [403]
    assert (call.is_over, newcomer.is_over) == (False, False)
    (live,) = scene.exchange.switch.calls()
    assert len(live.call_request.hold.vendors) == 1
    scene.expect_nothing_left(call)


def test_a_trunk_that_registers_transfers_a_call_to_one_of_its_numbers():
    number = "4430123450"
    trunks = [
        mapping_gateway("acme", f"{CUSTOMER.host}/32"),
        mapping_gateway("pbx", account="office", credentials=credentials("pbx", "secret")),
        vendor_gateway(0),
    ]
    rich, mates = account("office", overdraft_limit=None), [phone(MATE, account="office")]
    numbers = [Did(number=number, account="office", trunk="pbx")]
    scene = Scene(catalogue(trunks, phones=mates, accounts=[rich], dids=numbers))
    pbx = scene.exchange.telephone("pbx", Endpoint("203.0.113.66", 41_234))
    mate = scene.exchange.telephone(MATE, Endpoint("203.0.113.77", 5_070))
    pbx.register()
    mate.register()
    call = scene.answered_call(Intent(), callee=number, talk_ms=1_000)
    blind(pbx.calls[-1], MATE)
    scene.wire.run_for(3_000)
    assert are_connected(call, mate.calls[-1])
    scene.expect_nothing_left(call)
    first, second = records(scene)
    assert (first.customer_account, first.routing_gateway) == ("acme", "pbx")
    assert (second.customer_account, second.mapping_gateway) == ("office", "pbx")


# -- keys -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keys", ["*1", "*2"])
@pytest.mark.parametrize("leaves", ["hangs up", "presses the key"])
def test_the_phone_transfers_its_caller_by_keys(scene, keys, leaves):
    desk, mate = registered(scene)
    call, at_desk = called(scene, desk)
    press(scene, at_desk, f"{keys}{MATE}#")
    scene.wire.run_for(3_000)
    (target,) = mate.calls
    assert passed_on(call) == "*"
    if keys == "*2":
        assert are_connected(at_desk, target)
        assert "a=inactive" in call.theirs
        press(scene, at_desk, "7")
        assert passed_on(target) == "7"
        press(scene, at_desk, "*9") if leaves == "presses the key" else at_desk.hang_up()
        scene.wire.run_for(3_000)
    assert at_desk.is_over
    assert are_connected(call, target)
    target.hang_up()
    scene.wire.run_until(lambda: call.is_over)
    scene.expect_nothing_left()
    first, second = records(scene)
    assert first.ended_at == second.ended_at


def test_a_key_gives_the_phone_its_caller_back_while_it_talks_to_the_target(scene):
    desk, mate = registered(scene)
    call, at_desk = called(scene, desk)
    press(scene, at_desk, f"*2{MATE}#")
    scene.wire.run_for(3_000)
    press(scene, at_desk, "*0")
    scene.wire.run_for(3_000)
    assert mate.calls[0].is_over
    assert are_connected(call, at_desk)
    at_desk.hang_up()
    scene.wire.run_until(lambda: call.is_over)
    scene.expect_nothing_left()


def test_a_key_lets_the_phone_leave_while_the_target_rings(scene):
    desk, mate = registered(scene)
    mate.script = answers(5_000)
    call, at_desk = called(scene, desk)
    press(scene, at_desk, f"*1{MATE}#*9")
    scene.wire.run_for(1_000)
    assert at_desk.is_over
    assert not call.is_over
    scene.wire.run_for(8_000)
    assert are_connected(call, mate.calls[0])
    scene.expect_nothing_left(call)


def test_a_caller_that_does_not_wait_ends_it_for_all(scene):
    desk, mate = registered(scene)
    call, at_desk = called(scene, desk)
    press(scene, at_desk, f"*2{MATE}#")
    scene.wire.run_for(3_000)
    call.hang_up()
    scene.wire.run_until(lambda: at_desk.is_over and mate.calls[0].is_over)
    scene.expect_nothing_left()
    assert [record.end_reason for record in scene.exchange.sink.records] == ["Normal", "Normal"]


def test_keys_of_one_phone_do_not_end_the_transfer_of_the_other(scene):
    """Both telephones of a call have keys: those of the one that is transferred go to the other one."""
    desk, mate = registered(scene)
    scene.vendor.by_number = {TARGET: RINGS}
    own = dialled(scene, desk)
    (at_mate,) = mate.calls
    press(scene, at_mate, f"*1{TARGET}#")
    press(scene, own, "*0*9")
    scene.wire.run_for(1_000)
    assert passed_on(at_mate) == "*0*9"
    assert not scene.vendor.calls[0].is_over
    press(scene, at_mate, "*0")
    scene.wire.run_for(1_000)
    assert scene.vendor.calls[0].is_over
    assert not own.is_over
    scene.expect_nothing_left(own)


# -- phones that have taken a call over -------------------------------------------------------------------------------


def test_a_phone_that_has_taken_the_call_over_transfers_it_in_its_own_name(scene):
    desk, mate = registered(scene)
    call, at_desk = called(scene, desk)
    taken = mate.call(DESK, Intent(headers=(f"Replaces: {at_desk.replaces}",)))
    scene.wire.run_for(2_000)
    assert (taken.final, at_desk.is_over) == (200, True)
    blind(taken, TARGET)
    scene.wire.run_for(3_000)
    (target,) = scene.vendor.calls
    assert taken.is_over
    assert are_connected(call, target)
    scene.expect_nothing_left(call)
    _, second = records(scene)
    assert (second.mapping_gateway, second.customer_account) == (MATE, "office")
    assert second.sip_call_id_in == taken.call_id
