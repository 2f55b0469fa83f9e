"""Which calls a switch can describe as data, and what the switch that restores them must have."""

import msgspec
import pytest
from doubles.asking_steps import DEADLINE_MS, Located, ScriptedAsker, looking_up, steps_with
from doubles.data.builders import catalogue, mapping_gateway, phone
from doubles.sockets.loopback import Endpoint as Address
from doubles.successor import without_holds
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, usual_catalogue
from doubles.virtual.vendor import RINGS, answers
from doubles.waiting_scene import WaitingScene
from msgspec.structs import replace

from vosd.b2bua.search import CalleeSearch
from vosd.b2bua.transfer import Stage
from vosd.base.cause import EndReason
from vosd.base.errors import Refusal
from vosd.engine.calls.saved import NotRestoredError, SavedCall, SavedSwitch
from vosd.engine.node import Node
from vosd.engine.settings import TraceSettings
from vosd.routing.failover import AttemptOutcome
from vosd.routing.special_numbers import SpecialNumbers
from vosd.sip.settings import SipSettings
from vosd.trunks.phone import called_half
from vosd.trunks.scope import LimitScope


def another_node(exchange, content):
    listeners = exchange.endpoint.flows.listeners
    return Node("sw1", SipSettings(), TraceSettings(), listeners, content, exchange.surroundings)


ANSWERED_MS = 5_000
DESK = Address("203.0.113.50", 5060)
RAW = "J\udcfcrgen \xe9"


def refuse(_admission, _call):
    return Refusal(EndReason.NUMBER_NOT_ALLOWED, 403)


def restored(waiting, content=None, **around):
    """Replace the switch of a scene by one that knows its snapshot; ``around`` are other surroundings."""
    exchange = waiting.exchange
    saved, left = SavedSwitch.of(exchange.endpoint, exchange.switch.services)
    assert left == []
    exchange.credits = {name: without_holds(credit) for name, credit in exchange.credits.items()}
    exchange.surroundings = exchange.surroundings._replace(credits=exchange.credits, **around)
    exchange.take_node(another_node(exchange, content or exchange.switch.catalogue))
    exchange.switch.continuation.restore(saved)
    exchange.switch.continuation.begin_again(exchange.clock.now())
    exchange.flush()


def test_a_question_of_a_set_up_is_asked_again_and_keeps_its_deadline():
    waiting = WaitingScene()
    call = waiting.call()
    waiting.wire.run_for(DEADLINE_MS - 200)
    again = ScriptedAsker()
    restored(waiting, asker=again)
    assert again.asked == waiting.asker.asked
    assert waiting.exchange.switch.live.occupancy.total() == 2
    waiting.wire.run_for(100)
    assert call.final is None
    waiting.wire.run_for(100)
    assert call.final == 480
    assert again.cancelled == [again.asked[0].ticket]
    assert waiting.close().end_reason == "Unavailable"


def test_an_answer_that_is_known_when_the_question_is_asked_again_is_used_at_once():
    waiting = WaitingScene()
    call = waiting.call()
    restored(waiting, asker=ScriptedAsker(lambda _ticket, _question: Located("442071111111")))
    assert waiting.finish(call).callee_out == "442071111111"


def test_an_answer_for_the_switch_before_is_used_by_the_restored_one():
    waiting = WaitingScene()
    call = waiting.call()
    ticket = waiting.asker.asked[0].ticket
    restored(waiting, asker=ScriptedAsker())
    waiting.exchange.take_answer(ticket, Located("442071111111"))
    assert waiting.finish(call).callee_out == "442071111111"


@pytest.mark.parametrize(("step", "code"), [(lambda _admission, _call: None, 200), (refuse, 403)])
def test_a_step_that_asks_no_more_decides_at_the_deadline(step, code):
    waiting = WaitingScene()
    call = waiting.call()
    restored(waiting, asker=ScriptedAsker(), steps=steps_with(step))
    waiting.wire.run_for(DEADLINE_MS - 100)
    assert call.final is None
    waiting.wire.run_for(100 + ANSWERED_MS)
    assert call.final == code
    waiting.hang_up(call, wait_ms=1_000)
    assert waiting.close().sip_code == code


def test_a_set_up_is_not_restored_where_its_step_is_missing():
    waiting = WaitingScene()
    waiting.call()
    with pytest.raises(NotRestoredError, match="4 steps are left of 2"):
        restored(waiting, steps=steps_with()[:2])


def test_a_step_that_occupies_something_before_its_answer_is_not_run_twice():
    def greedy(admission, call):
        admission.check_gateway(call)
        return looking_up()(admission, call)

    waiting = WaitingScene(None, greedy)
    waiting.call()
    with pytest.raises(NotRestoredError, match="before the answer"):
        restored(waiting)


def test_describing_a_call_changes_nothing_about_it():
    scene = Scene()
    scene.vendor.script = RINGS
    scene.caller.call(CALLEE)
    scene.wire.run_for(1_000)
    switch = scene.exchange.switch
    assert SavedSwitch.of(switch._endpoint, switch.services) == SavedSwitch.of(switch._endpoint, switch.services)
    scene.wire.run_for(120_000)
    assert scene.record.end_reason == "No Answer"


@pytest.mark.parametrize("codec", [msgspec.json, msgspec.msgpack])
def test_text_that_is_no_utf8_comes_back_wherever_a_call_has_it(codec):
    """Headers of an INVITE that become columns of a CDR reach the arrival, the request and the journal's record."""
    scene = Scene()
    ringing = scene.begun_call(script=RINGS, after_ms=100)
    call, _ = scene.talk(script=answers())
    exchange = scene.exchange
    for live_call in exchange.switch.calls():
        made, request = live_call.call, live_call.call_request
        made.arrival = msgspec.structs.replace(made.arrival, caller_in=RAW, sip_call_id_in=RAW)
        made.journey.reason_text = request.caller_in = request.callee = RAW
        if live_call.kept is not None:
            record = msgspec.structs.replace(live_call.kept.record, sip_call_id_in=RAW, caller_in=RAW)
            live_call.kept = msgspec.structs.replace(live_call.kept, record=record)
        else:
            made.search.hunt.outcomes.append(AttemptOutcome.final(503, rang=False, q850=None, text=RAW))
    before = SavedSwitch.of(exchange.endpoint, exchange.switch.services)
    saved = codec.decode(codec.encode(before[0]), type=SavedSwitch)
    exchange.credits["acme"] = without_holds(exchange.credits["acme"])
    exchange.take_node(another_node(exchange, exchange.switch.catalogue))
    exchange.switch.continuation.restore(saved)
    assert SavedSwitch.of(exchange.endpoint, exchange.switch.services) == before
    searching, talking = exchange.switch.calls()
    assert searching.call.arrival.caller_in == searching.call.search.hunt.outcomes[0].text == RAW
    assert talking.call.arrival.sip_call_id_in == talking.kept.record.caller_in == talking.call_request.callee == RAW
    ringing.cancel()
    scene.hang_up(call, wait_ms=1_000)
    assert [record.caller_in for record in exchange.sink.records] == [RAW, RAW]


def test_a_call_is_not_restored_without_its_gateway():
    scene = Scene()
    call, _ = scene.talk()
    saved, _ = SavedSwitch.of(scene.exchange.endpoint, scene.exchange.switch.services)
    with pytest.raises(NotRestoredError, match="vendor-0"):
        another_node(scene.exchange, usual_catalogue(vendors=0)).switch.continuation.restore(saved)
    scene.finish(call)


def test_an_attempt_that_cannot_begin_again_ends_its_own_call_only(monkeypatch):
    scene = Scene()
    talking, _ = scene.talk(script=answers())
    ringing = scene.begun_call(script=RINGS, after_ms=1_000)

    def fails(_search, _now):
        raise ValueError("it cannot begin")

    monkeypatch.setattr(CalleeSearch, "begin_again", fails)
    restored(scene)
    scene.wire.run_for(1_000)
    assert ringing.final == 503
    scene.hang_up(talking, wait_ms=1_000)
    assert [record.end_reason for record in scene.exchange.sink.records] == ["Lost", "Normal"]
    assert scene.exchange.leftovers() == {}


@pytest.mark.parametrize("is_answered", [True, False])
def test_a_call_to_a_phone_is_restored_with_the_called_half_of_the_phone(is_answered):
    desk = phone("4471001")
    scene = Scene(catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32")], phones=[desk]))
    there = scene.exchange.telephone(desk.number, DESK, script=answers() if is_answered else RINGS)
    there.register()
    call = scene.begun_call(callee=desk.number, after_ms=2_000)
    saved, _ = SavedSwitch.of(scene.exchange.endpoint, scene.exchange.switch.services)
    assert scene.exchange.switch.continuation.missing_for(saved) is None
    restored(scene)
    [live_call] = scene.exchange.switch.calls()
    assert live_call.call.callee.choice.gateway == called_half(desk)
    (call.hang_up if is_answered else call.cancel)()
    scene.wire.run_until(lambda: not scene.exchange.switch.has_calls)
    assert scene.record.routing_gateway == desk.number


def test_a_restored_call_occupies_what_it_did():
    scene = Scene()
    call, _ = scene.talk()
    exchange = scene.exchange
    saved, _ = SavedSwitch.of(exchange.endpoint, exchange.switch.services)
    reserved, places = exchange.credits["acme"].reserved, exchange.switch.live.occupancy.total()
    exchange.credits["acme"] = without_holds(exchange.credits["acme"])
    exchange.take_node(another_node(exchange, exchange.switch.catalogue))
    exchange.switch.continuation.restore(saved)
    assert (exchange.credits["acme"].reserved, exchange.switch.live.occupancy.total()) == (reserved, places)
    assert scene.finish(call).end_reason == "Normal"


@pytest.mark.parametrize(
    ("numbers", "recorded", "rate_group"),
    [(SpecialNumbers(free=("4420*",)), True, "free number"), (SpecialNumbers(no_cdr=("4420*",)), False, "free number")],
)
@pytest.mark.parametrize("answers_first", [True, False])
def test_a_call_to_a_special_number_stays_one(numbers, recorded, rate_group, answers_first):
    """Restored while it rings, or in talk: it costs its customer nothing, with and without CDR."""
    scene = Scene(usual_catalogue(vendors=1, special_numbers=numbers), balance="0")
    call = scene.begun_call(script=answers(1_000), after_ms=1_500 if answers_first else 500)
    restored(scene)
    scene.await_answer(call, talk_ms=5_000)
    record = scene.finish(call)
    assert (record.recorded, record.rate_group, record.fee) == (recorded, rate_group, 0)
    assert bool(record.cost) is recorded


def test_a_call_is_not_read_whose_places_are_described_as_before_adr_118():
    scene = Scene()
    scene.talk()
    (call,) = SavedSwitch.of(scene.exchange.endpoint, scene.exchange.switch.services)[0].calls
    assert SavedCall.read(msgspec.msgpack.encode(call)).request.taken == call.request.taken
    earlier = replace(call, request=replace(call.request, taken=(), places=((LimitScope.MAPPING, "acme", 0),)))
    with pytest.raises(msgspec.DecodeError, match=r"of length 0.*request\.places"):
        SavedCall.read(msgspec.msgpack.encode(earlier))


def test_a_transfer_is_not_read_that_has_joined_its_calls_before_adr_193():
    assert msgspec.msgpack.decode(b"\x04", type=Stage) is Stage.OVER
    with pytest.raises(msgspec.DecodeError):
        msgspec.msgpack.decode(b"\x03", type=Stage)
