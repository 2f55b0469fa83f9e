"""What may happen while a question of the set-up is open: CANCEL, a reload, a stop, a mistake, a transfer (ADR 35)."""

from decimal import Decimal

import pytest
from doubles.asking_steps import DEADLINE_MS, Located, WhereIs, looking_up
from doubles.data.builders import catalogue, mapping_gateway
from doubles.virtual.scene import CALLEE, CUSTOMER, usual_catalogue, vendor_gateway
from doubles.waiting_scene import WaitingScene

from vosd.base.cause import EndReason
from vosd.callcontrol.admission import Admission
from vosd.callcontrol.questions import Ask
from vosd.engine.calls.open_setup import UnusedAnswer
from vosd.trunks.dialect import CallerDialect, Transfers

PORTED = "442071111111"
GONE = catalogue([])
ACME_ONE_AT_A_TIME = catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32", max_concurrent=1), vendor_gateway(0)])


def test_a_call_that_waits_occupies_its_places():
    waiting = WaitingScene(ACME_ONE_AT_A_TIME)
    first, second = waiting.call(), waiting.call()
    assert (first.final, second.final, len(waiting.asker.asked)) == (None, 503, 1)
    first.cancel()
    waiting.wire.run_until(lambda: first.is_over)
    third = waiting.call()
    assert (third.final, len(waiting.asker.asked)) == (None, 2)
    third.cancel()
    waiting.wire.run_until(lambda: third.is_over)
    assert waiting.exchange.residue() == {}


def test_the_caller_may_give_up_while_a_question_is_open():
    waiting = WaitingScene()
    call = waiting.call(cancel_after_ms=500)
    waiting.wire.run_until(lambda: call.is_over)
    assert call.statuses == [487]
    assert waiting.asker.cancelled == [waiting.asker.asked[0].ticket]
    waiting.answer(Located(PORTED))
    assert (waiting.unused_answers, waiting.vendor.calls) == ({UnusedAnswer.LATE: 1}, [])
    record = waiting.close()
    assert (record.end_reason, record.sip_code, record.hangup_source) == ("Cancelled", 487, "caller")


def test_an_invite_that_expires_ends_the_call_that_waits():
    waiting = WaitingScene()
    call = waiting.call(headers=("Expires: 1",))
    waiting.wire.run_for(1_200)
    assert (call.final, len(waiting.asker.cancelled)) == (487, 1)
    waiting.close()


def test_a_repeated_invite_gets_its_100_again_and_asks_nothing():
    waiting = WaitingScene()
    call = waiting.call()
    for _ in range(3):
        call.invite_again()
        waiting.wire.run_for(50)
    assert ([response.status for response in call.responses], len(waiting.asker.asked)) == ([100] * 4, 1)
    waiting.answer(Located(PORTED))
    waiting.finish(call)
    assert len(waiting.vendor.calls) == 1


@pytest.mark.parametrize("reason", [EndReason.ADMINISTRATIVE, EndReason.SHUTDOWN])
def test_an_order_ends_a_call_that_waits(reason):
    waiting = WaitingScene()
    call = waiting.call()
    waiting.exchange.end_all(reason)
    waiting.wire.run_until(lambda: call.is_over)
    assert (call.final, len(waiting.asker.cancelled)) == (503, 1)
    waiting.answer(Located(PORTED))
    assert waiting.unused_answers == {UnusedAnswer.LATE: 1}
    assert waiting.close().end_reason == reason.text


def test_a_stop_lets_a_call_that_waits_go_on_and_refuses_new_ones():
    waiting = WaitingScene()
    call = waiting.call()
    waiting.exchange.switch.takes_calls = False
    late = waiting.call()
    assert (call.final, late.final) == (None, 503)
    waiting.answer(Located(PORTED))
    waiting.wire.run_until(lambda: call.final == 200)
    waiting.hang_up(call)
    assert not waiting.exchange.switch.has_calls
    assert waiting.exchange.residue() == {}


def test_a_reload_does_not_change_what_a_call_that_waits_is_decided_by():
    waiting = WaitingScene()
    call = waiting.call()
    waiting.exchange.swap_catalogue(GONE)
    waiting.answer(Located(PORTED))
    record = waiting.finish(call)
    assert (record.routing_gateway, record.callee_out, record.end_reason) == ("vendor-0", PORTED, "Normal")
    assert (record.fee > 0, record.cost > 0) == (True, True)


def test_a_reload_gives_back_what_was_taken_before_it():
    waiting = WaitingScene(ACME_ONE_AT_A_TIME)
    call = waiting.call()
    waiting.exchange.swap_catalogue(usual_catalogue())
    call.cancel()
    assert waiting.end_of(call).end_reason == "Cancelled"
    assert waiting.exchange.switch.live.occupancy.total() == 0


def test_every_question_of_a_call_has_a_ticket_and_a_deadline_of_its_own():
    waiting = WaitingScene(None, looking_up(), looking_up())
    call = waiting.call()
    waiting.wire.run_for(DEADLINE_MS - 100)
    waiting.answer(Located(PORTED))
    waiting.wire.run_for(DEADLINE_MS - 100)
    assert (call.final, [each.question for each in waiting.asker.asked]) == (None, [WhereIs(CALLEE), WhereIs(PORTED)])
    first, second = (each.ticket for each in waiting.asker.asked)
    assert (first.call_id == second.call_id, first.number, second.number) == (True, 1, 2)
    waiting.answer(Located(""), asked=0)
    assert (call.final, waiting.unused_answers) == (None, {UnusedAnswer.LATE: 1})
    waiting.wire.run_for(200)
    assert (call.final, waiting.asker.cancelled) == (480, [second])
    waiting.close()


def test_money_is_given_back_too_when_the_question_comes_last():
    waiting = WaitingScene(None, looking_up(), before=None)
    call = waiting.call()
    assert waiting.exchange.credits["acme"].reserved > 0
    waiting.answer(Located(""))
    assert (call.final, waiting.exchange.credits["acme"].reserved) == (403, Decimal(0))
    waiting.close()


def test_a_call_that_has_waited_past_the_search_finds_no_gateway():
    """What a call waits counts for ``search``: the caller waits as long for either."""
    waiting = WaitingScene(usual_catalogue(search_ms=1_000))
    call = waiting.call()
    waiting.wire.run_for(1_500)
    waiting.answer(Located(PORTED))
    assert call.final == 503
    assert waiting.close().end_reason == "No Available Route"


def broken(*_arguments):
    raise MistakeError


class MistakeError(Exception):
    """What no code expects."""


def test_a_mistake_in_taking_an_answer_ends_the_call_alone():
    def ask(_admission, call):
        return Ask(WhereIs(call.callee), DEADLINE_MS, None, broken)

    waiting = WaitingScene(None, ask)
    call = waiting.call()
    waiting.answer(Located(PORTED))
    assert (call.final, waiting.close().end_reason) == (503, "Lost")


def test_a_mistake_in_the_asker_ends_the_call_alone():
    waiting = WaitingScene(at_once=broken)
    call = waiting.call()
    assert (call.final, waiting.close().end_reason) == (503, "Lost")


def test_a_step_that_asks_before_the_call_is_identified_is_a_mistake():
    waiting = WaitingScene(before=Admission.identify)
    call = waiting.call()
    assert call.final == 500
    assert waiting.asker.asked == []
    waiting.expect_nothing_left(within_ms=0)


def transferring():
    """A call in talk whose customer may transfer; only numbers that begin with 4420 are asked about."""
    dialect = CallerDialect(transfers=Transfers.ACCEPT)
    content = usual_catalogue(customer={"dialect": dialect})
    waiting = WaitingScene(content, at_once=lambda _ticket, asked: Located(CALLEE) if asked.number == CALLEE else None)
    call = waiting.call()
    waiting.wire.run_until(lambda: call.final == 200)
    call.ask("REFER", headers=[f"Refer-To: <sip:{PORTED}@192.0.2.1>"])
    waiting.wire.run_for(50)
    assert call.got["REFER"] == [202]
    return waiting, call


def test_the_call_to_the_target_of_a_transfer_may_wait_too():
    waiting, _ = transferring()
    waiting.answer(Located("442088888888"))
    waiting.wire.run_for(3_000)
    party, target = waiting.vendor.calls
    assert target.invite.start_line.startswith("INVITE sip:442088888888@")
    party.hang_up()
    waiting.wire.run_until(lambda: target.is_over)
    assert waiting.exchange.residue() == {}


def test_a_transfer_whose_target_is_refused_by_an_answer_has_failed():
    waiting, call = transferring()
    waiting.answer(Located(""))
    told = [notify.body.removeprefix("SIP/2.0 ").strip() for notify in call.asked["NOTIFY"]]
    assert (told, call.is_over) == (["100 Trying", "403 Forbidden"], False)
    waiting.hang_up(call)
    assert waiting.exchange.residue() == {}


def test_a_mistake_in_a_step_for_the_target_of_a_transfer_leaves_no_place_taken():
    def look_up(_admission, call):
        return broken() if call.callee == PORTED else None

    waiting = WaitingScene(usual_catalogue(customer={"dialect": CallerDialect(transfers=Transfers.ACCEPT)}), look_up)
    call = waiting.call()
    waiting.wire.run_until(lambda: call.final == 200)
    call.ask("REFER", headers=[f"Refer-To: <sip:{PORTED}@192.0.2.1>"])
    assert waiting.end_of(call).end_reason == "Lost"
    assert waiting.exchange.switch.live.occupancy.total() == 0
