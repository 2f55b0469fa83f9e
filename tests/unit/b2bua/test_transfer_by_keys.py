"""A telephone that has no button for it transfers its call by keys, which INFO tells of."""

import time

import pytest
from doubles.data.builders import catalogue, phone
from doubles.keypad_scene import KEYS, TARGET, keypad_scene, passed_on, press, press_in_turn, reasons, talking
from doubles.sockets.login import Login
from doubles.sockets.loopback import Endpoint
from doubles.successor import replace_node
from doubles.virtual.customer import Intent
from doubles.virtual.probe import request
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway
from doubles.virtual.side import SILENCE, Reply
from doubles.virtual.vendor import RINGS, answers, refuses
from doubles.virtual.wire import delivered

from vosd.b2bua.keypad import DIALLED_MS, SEQUENCE_MS, USUAL_MS, duration_in, key_in
from vosd.sip.wire.parse import parse_message
from vosd.trunks.dialect import CallerDialect, CallerSource, TransferDisplay, Transfers
from vosd.trunks.gateways import CallerNumbers

HOME = Endpoint("203.0.113.66", 41_234)


@pytest.fixture
def scene() -> Scene:
    return keypad_scene()


@pytest.mark.parametrize("end", ["#", ""], ids=["hash", "a pause"])
def test_the_other_side_is_connected_with_the_number_that_follows_the_key(scene, end):
    call = talking(scene)
    press(scene, call, f"*1{TARGET}{end}")
    scene.wire.run_for(DIALLED_MS + 3_000)
    party, target = scene.vendor.calls
    assert target.invite.start_line.startswith(f"INVITE sip:{TARGET}@")
    assert call.is_over
    assert not party.is_over
    assert passed_on(party) == "*", "what only begins the sequence may have been meant for the other side"
    assert set(call.got["INFO"]) == {200}
    assert call.asked["NOTIFY"] == []
    scene.expect_nothing_left(target)
    assert reasons(scene) == ["Normal", "Normal"]
    assert {record.customer_account for record in scene.exchange.sink.records} == {"acme"}


def test_the_telephone_talks_on_until_the_target_answers(scene):
    scene.vendor.by_number = {TARGET: answers(10_000)}
    call = talking(scene)
    press(scene, call, f"*1{TARGET}#")
    scene.wire.run_for(5_000)
    assert not call.is_over
    press(scene, call, "5")
    assert passed_on(scene.vendor.calls[0]) == "*5"
    scene.wire.run_for(10_000)
    assert call.is_over
    scene.expect_nothing_left(scene.vendor.calls[1])


def test_a_key_takes_the_transfer_back_while_the_target_is_called(scene):
    scene.vendor.by_number = {TARGET: RINGS}
    call = talking(scene)
    press(scene, call, f"*1{TARGET}#")
    scene.wire.run_for(2_000)
    press(scene, call, "*0")
    party, target = scene.vendor.calls
    assert (target.is_over, party.is_over, call.is_over) == (True, False, False)
    press(scene, call, f"*1{TARGET}#")
    assert len(scene.vendor.calls) == 3, "and it may be tried again"
    scene.expect_nothing_left(call, within_ms=40_000)


def test_a_key_takes_the_transfer_back_while_the_number_is_dialled(scene):
    call = talking(scene)
    press(scene, call, "*1442071*0")
    scene.wire.run_for(DIALLED_MS)
    assert len(scene.vendor.calls) == 1
    press(scene, call, "7")
    assert passed_on(scene.vendor.calls[0]) == "*7"
    scene.finish(call)


def test_a_key_lets_the_telephone_leave_while_the_target_is_called(scene):
    scene.vendor.by_number = {TARGET: answers(10_000)}
    call = talking(scene)
    press(scene, call, f"*1{TARGET}#")
    press(scene, call, "*9")
    scene.wire.run_for(500)
    party, target = scene.vendor.calls
    assert (call.is_over, party.is_over, target.is_over) == (True, False, False)
    scene.wire.run_for(12_000)
    assert not target.is_over
    scene.expect_nothing_left(party)


def test_a_target_that_is_not_to_be_had_leaves_the_call_as_it_was(scene):
    scene.vendor.by_number = {TARGET: refuses(486)}
    call = talking(scene)
    press(scene, call, f"*1{TARGET}#")
    scene.wire.run_for(3_000)
    assert not call.is_over
    scene.wire.run_for(3_000)
    scene.expect_nothing_left(call)
    assert sorted(reasons(scene)) == ["Busy", "Normal"]


def test_a_number_that_may_not_be_called_leaves_its_record_and_the_call_as_it_was(scene):
    call = talking(scene)
    press(scene, call, "*1999#")
    assert not call.is_over
    assert reasons(scene) == ["No Matching Rate"]
    scene.expect_nothing_left(call)


@pytest.mark.parametrize("digits", ["", "#"], ids=["nothing", "an end at once"])
def test_who_dials_nothing_talks_on(digits):
    scene = keypad_scene(transfer_timeout_ms=5_000)
    call = talking(scene)
    press(scene, call, f"*1{digits}")
    scene.wire.run_for(6_000)
    press(scene, call, "7")
    assert passed_on(scene.vendor.only_call) == "*7"
    scene.finish(call)


def test_a_number_has_to_be_dialled_within_the_timeout_of_transfers():
    scene = keypad_scene(transfer_timeout_ms=5_000)
    call = talking(scene)
    press(scene, call, "*1" + TARGET, every_ms=1_000)
    scene.wire.run_for(DIALLED_MS)
    assert len(scene.vendor.calls) == 1
    assert passed_on(scene.vendor.only_call) == f"*{TARGET[5:]}", "what comes later is the other side's again"
    scene.finish(call)


def test_a_number_without_end_is_none(scene):
    call = talking(scene)
    press(scene, call, "*1" + "4" * 33, every_ms=50)
    scene.wire.run_for(DIALLED_MS)
    assert len(scene.vendor.calls) == 1
    scene.finish(call)


@pytest.mark.parametrize("answer", [Reply(), SILENCE], ids=["answered", "without an answer"])
def test_keys_that_come_too_slowly_are_no_sequence(scene, answer):
    """A telephone that sends the next key without an answer to the one before has waited for its person alone."""
    call = talking(scene)
    scene.vendor.only_call.will("INFO", answer)
    press(scene, call, "*1", every_ms=SEQUENCE_MS + 1_000)
    press(scene, call, "2")
    assert passed_on(scene.vendor.only_call) == "*12"
    scene.expect_nothing_left(call)


def test_a_key_that_waits_for_its_answer_is_no_pause_of_the_person(scene):
    """The telephone sends one INFO at a time: the wait for the other side's answer delays its next key."""
    call = talking(scene)
    party = scene.vendor.only_call
    party.will("INFO", Reply(after_ms=SEQUENCE_MS + 4_000))
    press_in_turn(scene, call, f"*1{TARGET}#")
    scene.wire.run_for(1_000)
    assert passed_on(party) == "*"
    assert [each.invite.start_line.split("@")[0] for each in scene.vendor.calls[1:]] == [f"INVITE sip:{TARGET}"]
    scene.expect_nothing_left(scene.vendor.calls[1])


def test_a_key_that_waits_for_its_answer_over_a_restart_is_no_pause_either(scene):
    call = talking(scene)
    scene.vendor.only_call.will("INFO", Reply(after_ms=SEQUENCE_MS + 4_000))
    press(scene, call, "*", every_ms=1_000)
    replace_node(scene)
    scene.wire.run_for(SEQUENCE_MS + 3_500)
    press(scene, call, f"1{TARGET}#")
    scene.wire.run_for(1_000)
    assert len(scene.vendor.calls) == 2
    scene.expect_nothing_left(scene.vendor.calls[1])


@pytest.mark.parametrize("keys", ["*", "*14420"], ids=["of a sequence", "of a number"])
def test_a_key_whose_answer_was_lost_is_no_pause_of_the_person(scene, keys):
    """The telephone repeats its INFO and has the answer seconds later; each of two pauses alone is short enough."""
    call = talking(scene)
    press(scene, call, keys[:-1])
    scene.wire.delays = lambda packet: () if packet.target == CUSTOMER else delivered(packet)
    press(scene, call, keys[-1], every_ms=2_000)
    scene.wire.delays = delivered
    scene.wire.run_for(3_500)
    press(scene, call, f"*1{TARGET}"[len(keys) :])
    press(scene, call, "#")
    scene.wire.run_for(1_000)
    assert [each.invite.start_line.split("@")[0] for each in scene.vendor.calls[1:]] == [f"INVITE sip:{TARGET}"]
    scene.expect_nothing_left(scene.vendor.calls[1])


def ask_for_pictures(scene, call, seconds):
    """Have a video phone ask for whole pictures every two seconds, as one does while packets are lost (RFC 5168)."""
    for _ in range(seconds // 2):
        call.ask("INFO", body="<media_control/>", kind="application/media_control+xml")
        scene.wire.run_for(2_000)


@pytest.mark.parametrize("answer", ["at once", "none", "late"])
def test_an_info_without_a_key_keeps_no_sequence_open(scene, answer):
    """``late``: the first answer is lost on the way to the telephone, which repeats its INFO."""
    call = talking(scene)
    party = scene.vendor.only_call
    press(scene, call, "*")
    if answer == "none":
        party.will("INFO", SILENCE, SILENCE)
    elif answer == "late":
        scene.wire.delays = lambda packet: () if packet.target == CUSTOMER else delivered(packet)
    ask_for_pictures(scene, call, seconds=2)
    scene.wire.delays = delivered
    ask_for_pictures(scene, call, seconds=2)
    press(scene, call, "15")
    assert [info.body for info in party.asked["INFO"][-2:]] == [f"Signal={key}\r\nDuration=160\r\n" for key in "15"]
    scene.expect_nothing_left(call)


def test_an_info_without_a_key_delays_no_number(scene):
    call = talking(scene)
    press(scene, call, f"*1{TARGET}")
    ask_for_pictures(scene, call, seconds=DIALLED_MS // 1_000 + 2)
    assert len(scene.vendor.calls) == 2
    scene.expect_nothing_left(scene.vendor.calls[1])


def test_an_answer_after_the_timeout_of_transfers_delays_no_number():
    scene = keypad_scene(transfer_timeout_ms=5_000)
    call = talking(scene)
    press(scene, call, f"*1{TARGET[:-1]}", every_ms=200)
    scene.wire.delays = lambda packet: () if packet.target == CUSTOMER else delivered(packet)
    press(scene, call, TARGET[-1], every_ms=2_000)
    scene.wire.delays = delivered
    scene.wire.run_for(DIALLED_MS + 1_000)
    assert len(scene.vendor.calls) == 2
    scene.expect_nothing_left(scene.vendor.calls[1])


def test_the_other_side_transfers_nothing_by_keys(scene):
    call = talking(scene)
    press(scene, scene.vendor.only_call, "*1442071#")
    assert passed_on(call) == "*1442071#"
    scene.finish(call)


@pytest.mark.parametrize("terms", [{"keys": None}, {"transfers": Transfers.REFUSE}], ids=["no keys", "no transfers"])
def test_keys_transfer_nothing_where_the_operator_does_not_want_it(terms):
    scene = keypad_scene(**terms)
    call = talking(scene)
    press(scene, call, "*1442071#")
    assert passed_on(scene.vendor.only_call) == "*1442071#"
    scene.finish(call)


def test_who_hangs_up_while_dialling_leaves_nothing_behind(scene):
    call = talking(scene)
    press(scene, call, "*144")
    assert scene.finish(call).end_reason == "Normal"


def test_the_other_side_hangs_up_while_the_number_is_dialled(scene):
    call = talking(scene)
    press(scene, call, "*144")
    scene.hang_up(scene.vendor.only_call, wait_ms=1_000)
    assert call.is_over
    scene.expect_nothing_left()


@pytest.mark.parametrize(
    ("display", "shown"),
    [(TransferDisplay.CALLER, "12025550199"), (TransferDisplay.PHONE, "12025550100"), (TransferDisplay.NUMBER, "4930")],
)
def test_the_target_is_shown_what_the_operator_says(display, shown):
    scene = keypad_scene(transfer_display=display, transfer_number="4930")
    scene.vendor.by_number = {TARGET: RINGS}
    call = talking(scene, "P-Asserted-Identity: <sip:12025550199@acme.example>")
    press(scene, call, f"*1{TARGET}#")
    assert scene.vendor.calls[1].invite["From"].startswith(f"<sip:{shown}@")
    press(scene, call, "*0")
    scene.expect_nothing_left(call)


def test_a_phone_that_transfers_may_be_shown_by_its_own_number():
    """It called with another of its numbers; what it may not show is never shown."""
    dialect = CallerDialect(
        caller_from=(CallerSource.FROM,), transfer_keys=KEYS, transfer_display=TransferDisplay.PHONE
    )
    numbers = CallerNumbers("1001", frozenset({"4930555"}))
    desk = phone("1001", dialect=dialect, caller_numbers=numbers)
    scene = Scene(catalogue([vendor_gateway(0)], phones=[desk]))
    scene.vendor.by_number = {TARGET: RINGS}
    made = scene.exchange.caller(HOME).call(CALLEE, Intent(caller="4930555", login=Login("1001", "secret")))
    scene.await_answer(made, talk_ms=500)
    assert scene.vendor.calls[0].invite["From"].startswith("<sip:4930555@")
    press(scene, made, f"*1{TARGET}#")
    assert scene.vendor.calls[1].invite["From"].startswith("<sip:1001@")
    assert scene.exchange.switch.calls()[1].call_request.mapping.name == "1001", "its account pays"
    press(scene, made, "*0")
    scene.expect_nothing_left(made)


@pytest.mark.parametrize(
    ("kind", "body", "key"),
    [
        ("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n", "5"),
        ("application/dtmf-relay", "signal = *\nDuration=160", "*"),
        ("application/dtmf-relay", "Signal=11\r\n", "#"),
        ("application/dtmf-relay", "Signal=10", "*"),
        ("application/dtmf-relay", "Signal=16", "!"),
        ("application/dtmf-relay", "Signal=!", "!"),
        ("application/dtmf-relay", "Signal=a", "A"),
        ("application/dtmf-relay", "Duration=160\r\nSignal=5\r\n", "5"),
        ("application/dtmf-relay", "Duration=160\nSignal = 5", "5"),
        ("application/dtmf-relay", "\r\nSignal=5", "5"),
        ("application/dtmf-relay", "Duration=160\r\n", ""),
        ("application/dtmf-relay", "Signal=77\r\n", ""),
        ("application/dtmf-relay", "5", ""),
        ("application/dtmf", "5", "5"),
        ("application/dtmf", " 11\r\n", "#"),
        ("application/dtmf", "Signal=5", "5"),
        ("application/dtmf", "55555", ""),
        ("application/media_control+xml", "5", ""),
    ],
)
def test_keys_are_written_in_several_ways(kind, body, key):
    assert key_in(parse_message(request("INFO", headers=f"Content-Type: {kind}\r\n", body=body.encode()))) == key


@pytest.mark.parametrize(
    ("body", "key", "duration"),
    [
        ("Signal=5\r\nDuration=90\r\n", "5", 90),
        ("Signal=5\n duration = 90", "5", 90),
        ("Signal=5\r\nDuration=x", "5", USUAL_MS),
        ("Signal=5\r\n" + "\n" * 60_000, "5", USUAL_MS),
        ("\n" * 60_000, "", USUAL_MS),
        (" " * 60_000, "", USUAL_MS),
    ],
)
def test_a_key_and_its_duration_are_found_without_delay(body, key, duration):
    kind = "Content-Type: application/dtmf-relay\r\n"
    message, began = parse_message(request("INFO", headers=kind, body=body.encode())), time.process_time()
    assert (key_in(message), duration_in(message)) == (key, duration)
    assert time.process_time() - began < 1
