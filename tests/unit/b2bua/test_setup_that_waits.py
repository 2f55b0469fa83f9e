"""A step of the set-up that asks: the answer comes at once, in time, late, never or from elsewhere (ADR 35)."""

import pytest
from doubles.asking_steps import DEADLINE_MS, Located, Unfit, WhereIs, looking_up, steps_with
from doubles.data.builders import catalogue, mapping_gateway
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway
from doubles.waiting_scene import WaitingScene

from vosd.b2bua.states import CallState
from vosd.callcontrol.questions import Ticket, Unanswered
from vosd.engine.calls.open_setup import UnusedAnswer
from vosd.trunks.dialect import CallerDialect

PORTED = "442071111111"
ACME_ONE_A_SECOND = catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32", max_cps=1), vendor_gateway(0)])


def test_a_call_whose_question_is_open_has_its_100_and_is_counted_and_shown():
    waiting = WaitingScene()
    call = waiting.call()
    assert [response.status for response in call.responses] == [100]
    assert [each.question for each in waiting.asker.asked] == [WhereIs(CALLEE)]
    (live,) = waiting.exchange.switch.calls()
    assert live.call.state is CallState.SETUP
    census = waiting.exchange.switch.census()
    assert (census["calls"], census["legs"], census["holds"]) == (1, 1, 0)
    assert waiting.exchange.switch.live.occupancy.total() == 2
    assert waiting.vendor.calls == []
    waiting.answer(Located(PORTED))
    record = waiting.finish(call)
    assert (record.callee_in, record.callee_out, record.callee_billing) == (CALLEE, PORTED, PORTED)
    assert (record.end_reason, record.routing_gateway, waiting.unused_answers) == ("Normal", "vendor-0", {})
    assert waiting.asker.cancelled == []


def test_an_answer_that_is_known_at_once_costs_no_time():
    waiting = WaitingScene(at_once=lambda _ticket, _question: Located(PORTED))
    call = waiting.call()
    assert waiting.vendor.only_call.invite.start_line.startswith(f"INVITE sip:{PORTED}@")
    assert waiting.finish(call).callee_out == PORTED


def test_an_answer_that_is_given_from_within_the_question_is_taken():
    waiting = WaitingScene(at_once=lambda ticket, _question: waiting.exchange.take_answer(ticket, Located(PORTED)))
    call = waiting.call()
    assert waiting.finish(call).callee_out == PORTED
    assert waiting.unused_answers == {}


def test_an_answer_that_is_given_twice_within_the_question_counts_once():
    def twice(ticket, _question):
        waiting.exchange.take_answer(ticket, Located(PORTED))
        return Located("")

    waiting = WaitingScene(at_once=twice)
    call = waiting.call()
    assert waiting.finish(call).callee_out == PORTED
    assert waiting.unused_answers == {UnusedAnswer.LATE: 1}


def test_without_an_asker_every_question_is_unanswered_at_once():
    scene = Scene(steps=steps_with(looking_up()))
    call = scene.begun_call(after_ms=50)
    assert call.final == 480
    assert scene.close().end_reason == "Unavailable"


def test_a_question_that_is_never_answered_ends_the_call_at_its_deadline():
    waiting = WaitingScene()
    call = waiting.call()
    waiting.wire.run_for(DEADLINE_MS - 100)
    assert call.final is None
    waiting.wire.run_for(200)
    assert call.final == 480
    assert waiting.asker.cancelled == [waiting.asker.asked[0].ticket]
    record = waiting.close()
    assert (record.end_reason, record.sip_code, record.q850_cause, record.hangup_source) == (
        "Unavailable", 480, 18, "switch",
    )  # fmt: skip
    assert DEADLINE_MS <= record.ended_at - record.started_at < DEADLINE_MS + 100
    assert (record.mapping_gateway, record.customer_account, record.attempts) == ("acme", "acme", ())


def test_a_question_that_is_never_answered_may_let_the_call_proceed():
    waiting = WaitingScene(otherwise=None)
    call = waiting.call()
    waiting.wire.run_until(lambda: call.final == 200)
    assert waiting.asker.cancelled == [waiting.asker.asked[0].ticket]
    assert waiting.finish(call).callee_out == CALLEE


def test_an_asker_that_gives_up_settles_the_question_before_its_deadline():
    waiting = WaitingScene()
    call = waiting.call()
    waiting.answer(Unanswered("503 from the lookup"))
    assert (call.final, waiting.unused_answers, waiting.asker.cancelled) == (480, {}, [])
    waiting.close()


@pytest.mark.parametrize("after_ms", [0, 40_000])
def test_an_answer_after_the_deadline_is_ignored_and_counted(after_ms):
    waiting = WaitingScene()
    call = waiting.call()
    waiting.wire.run_for(DEADLINE_MS + 100)
    waiting.wire.run_for(after_ms)
    waiting.answer(Located(PORTED))
    assert (call.statuses, waiting.unused_answers, waiting.vendor.calls) == ([480], {UnusedAnswer.LATE: 1}, [])
    waiting.close()


def test_a_second_answer_is_ignored_and_counted():
    waiting = WaitingScene()
    call = waiting.call()
    waiting.answer(Located(PORTED))
    waiting.answer(Located(""))
    assert waiting.unused_answers == {UnusedAnswer.LATE: 1}
    assert waiting.finish(call).callee_out == PORTED


def test_an_answer_with_another_ticket_leaves_the_question_open():
    waiting = WaitingScene()
    call = waiting.call()
    ticket = waiting.asker.asked[0].ticket
    for wrong in (ticket._replace(number=2), ticket._replace(number=0), Ticket("another call", 1)):
        waiting.exchange.take_answer(wrong, Located(""))
    assert (waiting.unused_answers, call.final) == ({UnusedAnswer.LATE: 3}, None)
    waiting.answer(Located(PORTED))
    assert waiting.finish(call).callee_out == PORTED


def test_an_answer_of_another_kind_counts_as_none():
    waiting = WaitingScene()
    call = waiting.call()
    waiting.answer(Unfit())
    assert (call.final, waiting.unused_answers) == (480, {UnusedAnswer.UNFIT: 1})
    waiting.close()


def test_an_answer_may_refuse_the_call_and_its_arrival_is_taken_out_of_the_window():
    waiting = WaitingScene(ACME_ONE_A_SECOND)
    call = waiting.call()
    waiting.answer(Located(""))
    assert call.statuses == [403]
    assert call.refusal["Reason"].endswith(';text="Number Not Allowed"')
    again = waiting.call()
    assert again.final is None, "the refused call counts as if it had not come"
    again.cancel()
    waiting.wire.run_until(lambda: again.is_over)
    assert [record.end_reason for record in waiting.exchange.sink.records] == ["Number Not Allowed", "Cancelled"]
    assert waiting.exchange.residue() == {}


def test_a_step_behind_the_question_refuses_as_it_would_have_without():
    waiting = WaitingScene()
    call = waiting.call()
    waiting.answer(Located("33"))
    assert call.statuses == [403]
    record = waiting.close()
    assert (record.end_reason, record.callee_in, record.callee_billing) == ("No Matching Rate", CALLEE, "33")


def test_the_trunk_s_map_of_codes_applies_to_a_refusal_after_a_question():
    dialect = CallerDialect(reject_codes={"480": 503})
    waiting = WaitingScene(
        catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=dialect), vendor_gateway(0)])
    )
    call = waiting.call()
    waiting.wire.run_for(DEADLINE_MS + 100)
    assert (call.final, waiting.close().sip_code) == (503, 503)
