"""A stop that keeps the calls, and the start behind it: they go on exactly, whatever has become of one of them."""

import pytest
from doubles.asking_steps import Located, ScriptedAsker, looking_up, steps_with
from doubles.data.builders import catalogue, mapping_gateway
from doubles.killed import KilledScene
from doubles.virtual.scene import CALLEE, CUSTOMER, vendor_gateway
from doubles.virtual.side import Reply
from doubles.virtual.vendor import RINGS, SILENT, TRIES, Line, Script, answers, refuses
from structlog.testing import capture_logs

from vosd.b2bua.snapshot.call import CallPartsSnapshot
from vosd.callcontrol.setup import STEPS
from vosd.engine.calls.saved import SavedCall
from vosd.engine.journal import Journal
from vosd.obs.figures import Figure

TRUNK = mapping_gateway("acme", f"{CUSTOMER.host}/32")


RINGS_AND_ANSWERS = Script((Line(0, 180), Line(6_000, 200)))
RINGS_AND_REFUSES = Script((Line(0, 180), Line(6_000, 480)))


def content_of(*vendors):
    """Return a catalogue with these of the vendors."""
    return catalogue([TRUNK, *(vendor_gateway(each) for each in vendors)])


def states(scene):
    """Return the states of the live calls, and the gateways that they are at."""
    return [(each.call.state.name, each.call.callee.choice.gateway.name) for each in scene.exchange.switch.calls()]


def begin(tmp_path, *scripts):
    """Return a switch with a call in talk and one that rings, both at the second vendor."""
    scene = KilledScene(tmp_path, content_of(0, 1, 2))
    for vendor, script in zip(scene.vendors, scripts, strict=True):
        vendor.script = script
    scene.vendors[1].script = answers()
    talking = scene.begun_call(after_ms=2_000)
    scene.vendors[1].script = scripts[1]
    ringing = scene.begun_call(after_ms=2_000)
    assert states(scene) == [("TALKING", "vendor-1"), ("RINGING", "vendor-1")]
    return scene, talking, ringing


def restart(scene, content):
    """Stop the switch and start it with another file; its calls are as they were."""
    before = states(scene)
    scene.content = content
    scene.stop_and_keep(then_ms=1_000)
    assert states(scene) == before
    assert scene.lost == []


@pytest.mark.parametrize("left", [(0, 1, 2), (1, 2), (0, 1), (1,)], ids=str)
def test_gateways_that_have_refused_a_call_or_would_be_next_may_leave_the_file(tmp_path, left):
    scene, talking, ringing = begin(tmp_path, refuses(480), RINGS_AND_ANSWERS, answers())
    restart(scene, content_of(*left))
    scene.wire.run_until(lambda: ringing.final is not None)
    assert ringing.final == 200
    for call in (talking, ringing):
        call.hang_up()
    scene.wire.run_for(1_000)
    assert [record.end_reason for record in scene.sink.records] == ["Normal", "Normal"]


def test_a_gateway_that_was_given_up_and_may_answer_yet_may_leave_the_file(tmp_path):
    first = [vendor_gateway(0, response_timeout_ms=1_000), vendor_gateway(1)]
    scene = KilledScene(tmp_path, catalogue([TRUNK, *first]))
    scene.vendors[0].script, scene.vendors[1].script = SILENT, RINGS_AND_ANSWERS
    call = scene.begun_call(after_ms=2_000)
    assert states(scene) == [("RINGING", "vendor-1")]
    restart(scene, content_of(1))
    scene.wire.run_until(lambda: call.final == 200)
    scene.hang_up(call, wait_ms=1_000)
    assert scene.record.end_reason == "Normal"


@pytest.mark.parametrize(("left", "final"), [((1, 2), 200), ((1,), 480)])
def test_the_search_goes_on_with_the_gateways_that_are_left(tmp_path, left, final):
    scene, _, ringing = begin(tmp_path, refuses(480), RINGS_AND_REFUSES, answers())
    restart(scene, content_of(*left))
    scene.wire.run_until(lambda: ringing.final is not None)
    assert ringing.final == final


@pytest.mark.parametrize(("left", "final"), [((0, 1, 2), 200), ((0, 1), 480), ((1,), 480)])
def test_a_protected_gateway_that_comes_next_may_leave_the_file(tmp_path, left, final):
    """It is among the next hops, beside the gateway that is tried."""
    scene = KilledScene(tmp_path, content_of(0, 1, 2))
    protected = [vendor_gateway(0), *(vendor_gateway(each, protect_ms=1_000) for each in (1, 2))]
    scene.exchange.swap_catalogue(catalogue([TRUNK, *protected]))
    for vendor, script in zip(scene.vendors, (TRIES, RINGS_AND_REFUSES, answers()), strict=True):
        vendor.script = script
    ringing = scene.begun_call(after_ms=2_000)
    assert states(scene) == [("RINGING", "vendor-1")]
    restart(scene, catalogue([TRUNK, *(protected[each] for each in left)]))
    scene.wire.run_until(lambda: ringing.final is not None)
    assert ringing.final == final


# -- a call that cannot be restored ------------------------------------------------------------------------------------

TARGET = "442071111111"


def make_odd(monkeypatch, kind, name, is_odd):
    """Let the restoration of some calls fail, at one of its methods."""
    real = getattr(kind, name)

    def odd(described, *args, **terms):
        if is_odd(described):
            raise AttributeError("of another version")
        return real(described, *args, **terms)

    monkeypatch.setattr(kind, name, odd)


def errors_of(logged):
    """Return the calls that were logged with the trace of what failed."""
    return {line["call_id"] for line in logged if line["event"] == "kept_call_not_restored" and line["exc_info"]}


@pytest.mark.parametrize(("kind", "name"), [(SavedCall, "restored"), (CallPartsSnapshot, "connect")])
@pytest.mark.parametrize("goes_on", [True, False])
def test_an_odd_call_in_talk_goes_on_as_after_a_crash_or_is_lost_and_all_others_go_on_exactly(
    tmp_path, monkeypatch, kind, name, goes_on
):
    """``goes_on``: its request in progress is what cannot be restored, and after a crash that is given up."""
    scene, odd, ringing = begin(tmp_path, refuses(480), RINGS_AND_ANSWERS, answers())
    [odd_id, ringing_id] = [each.call_id for each in scene.exchange.switch.calls()]
    scene.vendors[1].calls[0].will("INVITE", Reply(200, after_ms=1_500))
    scene.propose(odd, "a=sendonly")

    def is_odd(described):
        parts = getattr(described, "parts", described)
        if parts.arrival.call_id != odd_id or not goes_on:
            return parts.arrival.call_id == odd_id
        # after a crash the offer is known, and its request is not
        return parts.bridge.proposal is not None and parts.bridge.proposal.server is not None

    make_odd(monkeypatch, kind, name, is_odd)
    with capture_logs() as logged:
        scene.stop_and_keep(then_ms=100)
    assert errors_of(logged) == {odd_id}
    assert {each.call_id for each in scene.exchange.switch.calls()} == (
        {odd_id, ringing_id} if goes_on else {ringing_id}
    )
    scene.wire.run_until(lambda: ringing.final is not None)
    assert ringing.final == 200
    assert odd.is_over is not goes_on
    assert [record.call_id for record in scene.lost] == ([] if goes_on else [odd_id])
    if goes_on:
        odd.hang_up()
    scene.expect_nothing_left(ringing)
    assert {record.end_reason for record in scene.sink.records} == ({"Normal"} if goes_on else {"Lost", "Normal"})


def test_an_odd_call_that_rings_is_cancelled_and_all_others_go_on(tmp_path, monkeypatch):
    scene, talking, odd = begin(tmp_path, refuses(480), RINGS, answers())
    odd_id = scene.exchange.switch.calls()[1].call_id
    make_odd(monkeypatch, SavedCall, "restored", lambda saved: saved.parts.arrival.call_id == odd_id)
    scene.stop_and_keep(then_ms=1_000)
    assert odd.final == 503
    assert len(scene.vendors[1].received("CANCEL")) == 1
    assert states(scene) == [("TALKING", "vendor-1")]
    scene.expect_nothing_left(talking)


def test_calls_that_are_joined_go_on_together_as_after_a_crash_where_one_is_odd(tmp_path, monkeypatch):
    scene, other, _ = begin(tmp_path, refuses(480), RINGS_AND_ANSWERS, answers())
    scene.wire.run_for(6_000)
    scene.vendors[1].script = answers()
    call = scene.begun_call(after_ms=3_000)
    call.ask("REFER", headers=[f"Refer-To: <sip:{TARGET}@192.0.2.1>"])
    scene.wire.run_for(5_000)
    party, target = scene.vendors[1].calls[-2:]
    odd_id = scene.exchange.switch.calls()[-1].call_id
    make_odd(
        monkeypatch, SavedCall, "restored",
        lambda saved: saved.parts.arrival.call_id == odd_id and saved.deadline is not None,
    )  # fmt: skip
    with capture_logs() as logged:
        scene.stop_and_keep(then_ms=1_000)
    assert errors_of(logged) == {odd_id}
    assert scene.lost == []
    assert len(scene.exchange.switch.calls()) == 4
    assert not party.is_over
    scene.hang_up(party, wait_ms=1_000)
    assert target.is_over
    assert not other.is_over


@pytest.mark.parametrize("is_missing", [True, False], ids=["gateway gone", "step gone"])
def test_a_call_whose_set_up_waits_gets_503_where_it_cannot_go_on(tmp_path, is_missing):
    """An upgrade may lack the step that has asked; where a gateway has left the file no call is restored as it was."""
    asking = {"steps": steps_with(looking_up()), "asker": ScriptedAsker()}
    scene = KilledScene(tmp_path, content_of(0, 1), **asking)
    talking = scene.begun_call(script=answers(), after_ms=50)
    scene.exchange.take_answer(asking["asker"].asked[-1].ticket, Located(CALLEE))
    scene.wire.run_for(2_000)
    waiting = scene.begun_call(after_ms=50)
    if is_missing:
        scene.content = content_of(1)
    else:
        scene.exchange.surroundings = scene.exchange.surroundings._replace(steps=STEPS[:2])
    scene.stop_and_keep(then_ms=1_000)
    assert waiting.final == 503
    assert (talking.final, talking.is_over, len(scene.exchange.switch.calls())) == (200, False, 1)
    scene.expect_nothing_left(talking)
    assert [record.end_reason for record in scene.sink.records] == ["Normal"]


def test_a_question_that_cannot_be_asked_again_ends_its_call_alone(tmp_path):
    def fail(_ticket, _question):
        raise AttributeError("of another version")

    scene = KilledScene(tmp_path, content_of(0, 1), steps=steps_with(looking_up()), asker=ScriptedAsker())
    calls = [scene.caller.call(CALLEE) for _ in range(2)]
    scene.wire.run_for(50)
    scene.exchange.surroundings = scene.exchange.surroundings._replace(asker=ScriptedAsker(fail))
    scene.stop_and_keep(then_ms=1_000)
    assert [call.final for call in calls] == [503, 503]
    scene.expect_nothing_left()


# -- a start that fails ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fails", ["keep", "kill"])
def test_a_start_that_fails_while_it_takes_calls_over_has_none_and_leaves_all_of_them_to_the_next(
    tmp_path, monkeypatch, fails
):
    """What it has made of the calls is not in its journal: it must not keep them in place of the earlier run."""
    scene, talking, ringing = begin(tmp_path, refuses(480), RINGS_AND_ANSWERS, answers())
    other = scene.begun_call(callee=TARGET, after_ms=100)
    seen = []

    def resumed(journal, call, **_how):
        seen.append(call)
        raise OSError("a fault of the disk")

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "resumed", resumed)
        (scene.stop_and_keep if fails == "keep" else scene.kill)()
        with pytest.raises(OSError, match="a fault"):
            scene.wire.run_for(100)
    assert len(seen) == 1
    assert not scene.exchange.switch.has_calls
    assert scene.exchange.leftovers() == {}
    assert scene.exchange.switch.census()[Figure.TIMERS] == 0
    scene.wire.after(0, scene._start)
    scene.wire.run_for(1_000)
    kept = fails == "keep"
    assert states(scene) == [("TALKING", "vendor-1"), *([("RINGING", "vendor-1")] * 2 * kept)]
    assert [call.final for call in (talking, ringing, other)] == [200, *([None] * 2 if kept else [503] * 2)]


@pytest.mark.parametrize("answers_late", [False, True])
def test_an_invite_that_a_killed_switch_has_left_is_waited_for_once_by_the_one_after_the_next(tmp_path, answers_late):
    """The second has cancelled it and is stopped: it hands its transaction on, and the journal still names it."""
    scene = KilledScene(tmp_path)
    scene.vendor.script = (answers(20_000) if answers_late else RINGS)._replace(accepts_cancel=False)
    scene.caller.call(CALLEE)
    scene.wire.run_for(1_000)
    scene.kill(then_ms=300)
    scene.stop_and_keep(then_ms=80_000)
    assert scene.vendor.only_call.is_over is answers_late
    assert scene.exchange.leftovers() == {}
