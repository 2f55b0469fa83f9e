"""What becomes of calls whose session is not refreshed, of peers that have none, and of terms that do not fit."""

from dataclasses import replace

import pytest
from doubles.data.sessions import revised
from doubles.sockets.peer import ANSWER
from doubles.successor import replace_node
from doubles.timed_scene import KNOWS_ALL, KNOWS_TIMER_ONLY, TIMED, TIMED_WITHOUT_UPDATE, TimedScene
from doubles.virtual.customer import KNOWS_TIMER, Intent
from doubles.virtual.scene import CALLEE, VENDORS, Scene, usual_catalogue
from doubles.virtual.side import SILENCE, Reply
from doubles.virtual.vendor import Line, Script, answers, answers_timed, refuses
from structlog.testing import capture_logs

from vosd.base.session_timer import Probe
from vosd.trunks.dialect import CallerDialect

BOTH = ["caller", "callee"]


def pick(which, call, there):
    """Return that end and the other one."""
    return (call, there) if which == "caller" else (there, call)


# -- a peer that is gone ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", BOTH)
@pytest.mark.parametrize(("intent", "script"), [(KNOWS_ALL, TIMED), (KNOWS_TIMER_ONLY, TIMED_WITHOUT_UPDATE)])
def test_481_ends_the_call_at_once(which, intent, script):
    scene = TimedScene()
    end_, other = pick(which, *scene.answered(intent, script))
    scene.run(400)
    end_.gone = 481
    assert scene.end() == (600, "Session Timeout")
    assert (scene.record.hangup_source, len(end_.asked["BYE"]), len(other.asked["BYE"])) == ("switch", 1, 1)


@pytest.mark.parametrize("which", BOTH)
@pytest.mark.parametrize("status", [0, 408, 500, 503, 488])
@pytest.mark.parametrize(("intent", "script"), [(KNOWS_ALL, TIMED), (KNOWS_TIMER_ONLY, TIMED_WITHOUT_UPDATE)])
def test_who_does_not_take_refreshes_is_asked_until_the_limit(which, status, intent, script):
    scene = TimedScene()
    end_, other = pick(which, *scene.answered(intent, script))
    scene.run(400)
    end_.gone = status
    assert scene.end() == (900, "Session Timeout")
    tries = {request["CSeq"] for method in ("INVITE", "UPDATE") for request in end_.asked[method]}
    assert 5 <= len(tries) <= 40
    assert (len(other.asked["BYE"]), scene.record.hangup_source) == (1, "switch")


@pytest.mark.parametrize("status", [408, 500, 503])
def test_a_refresh_that_gets_through_in_the_end_keeps_the_call(status):
    scene = TimedScene()
    _, there = scene.answered()
    there.will("UPDATE", *[Reply(status)] * 4, SILENCE)
    scene.run(3_000)
    assert scene.exchange.sink.records == []


@pytest.mark.parametrize("lateness_ms", [0, 7, 3_000, 40_000])
def test_the_end_is_stamped_with_the_deadline(lateness_ms):
    scene = TimedScene(lateness_ms=lateness_ms)
    for side in scene.answered():
        side.gone = 0
    assert scene.end() == (600, "Session Timeout")


def test_the_margin_ends_the_call_early():
    scene = TimedScene({"early_hangup_s": 45})
    scene.answered()[0].gone = 0
    assert scene.end() == (555, "Session Timeout")


@pytest.mark.parametrize(("margin_s", "length_s"), [(45, 555), (250, 350), (3_600, 332)])
def test_a_peer_that_should_refresh_and_does_not_has_its_interval_less_the_margin(margin_s, length_s):
    scene = TimedScene({"early_hangup_s": margin_s})
    scene.answered(KNOWS_TIMER_ONLY._replace(headers=(*KNOWS_TIMER, "Session-Expires: 600;refresher=uac")))
    assert scene.end() == (length_s, "Session Timeout")


@pytest.mark.parametrize(("margin_s", "length_s"), [(290, 310), (300, 300), (3_600, 300)])
def test_however_large_the_margin_a_refresh_is_tried_first(margin_s, length_s):
    scene = TimedScene({"early_hangup_s": margin_s}, {"early_hangup_s": margin_s})
    scene.wire.delays = lambda _packet: (40,)
    call, there = scene.answered()
    scene.run(4_000)
    assert scene.exchange.sink.records == []
    started = len(call.asked["UPDATE"])
    scene.wire.run_until(lambda: len(call.asked["UPDATE"]) > started)
    scene.run(1)
    call.gone = there.gone = 0
    length, reason = scene.end()
    assert (round(length - 0.04) % 300, reason) == (length_s % 300, "Session Timeout")


def test_refusals_are_logged_rarely_and_counted():
    scene = TimedScene()
    _, there = scene.answered()
    there.gone = 503
    with capture_logs() as lines:
        scene.end()
    told = [line for line in lines if line["event"] == "session_refresh_failed"]
    assert {(line["gateway"], line["code"]) for line in told} == {("vendor-0", 503)}
    assert 2 <= len(told) <= 6
    assert told[-1]["failed"] > len(told)


def test_refreshes_that_fail_are_counted_by_gateway_and_those_that_succeed_are_not():
    scene = TimedScene()
    call, there = scene.answered()
    scene.run(1_000)
    there.gone = 503
    scene.end()
    counted = scene.exchange.switch.notices.refreshes_failed
    assert set(counted) == {"vendor-0"}
    assert counted["vendor-0"] > 10
    call.gone = None
    call, there = scene.answered()
    call.gone = 0
    scene.run(640)
    assert counted["acme"] >= 1


# -- peers without timer ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", BOTH)
@pytest.mark.parametrize("probe", [Probe.OPTIONS, Probe.REFRESH])
@pytest.mark.parametrize(("answer", "length_s"), [(None, 7_200), (405, 7_200), (0, 1_200), (503, 1_200), (481, 900)])
def test_a_peer_without_timer_may_be_asked_whether_it_is_there(which, probe, answer, length_s):
    terms = {"probe": probe}
    scene = TimedScene(terms, terms)
    end_, other = pick(which, *scene.answered(None, answers()))
    scene.run(601)
    asked = end_.asked["OPTIONS" if probe is Probe.OPTIONS else "INVITE"]
    assert len(asked) == 2
    assert "Session-Expires" not in str(asked[0].headers)
    end_.gone = answer
    expected = "Maximum Duration" if length_s == 7_200 else "Session Timeout"
    assert scene.end() == (length_s, expected)
    assert len(other.asked["BYE"]) == 1


def test_a_peer_without_probing_is_not_probed():
    scene = TimedScene({"no_timer_limit_s": 0}, {"no_timer_limit_s": 0})
    call, there = scene.answered(None, answers())
    call.gone = there.gone = 0
    assert scene.end() == (43_200, "Maximum Duration")
    assert [set(side.asked) for side in (call, there)] == [{"BYE"}, {"BYE"}]


def test_the_limit_of_each_trunk_holds():
    scene = TimedScene({"no_timer_limit_s": 4_000}, {"no_timer_limit_s": 3_000})
    scene.answered(None, answers())
    assert scene.end() == (3_000, "Maximum Duration")


def test_the_longest_call_stands_beside_it():
    scene = TimedScene()
    content = scene.exchange.switch.catalogue
    shorter = replace(content, parameters=replace(content.parameters, max_call_seconds=1_000))
    scene.exchange.switch.terms.swap(shorter)
    scene.answered(None, answers())
    assert scene.end() == (1_000, "Maximum Duration")


def test_a_peer_that_names_timers_later_is_limited_no_more():
    scene = TimedScene()
    call, _ = scene.answered(None)
    scene.run(5_000)
    asking = call.ask("UPDATE", headers=("Supported: timer", "Session-Expires: 600;refresher=uas"))
    call.knows_timer = True
    scene.run(1)
    assert asking.final["Session-Expires"] == "600;refresher=uas"
    scene.run(5_000)
    assert scene.exchange.sink.records == []
    call.gone = 0
    length, reason = scene.end()
    assert (10_000 < length < 10_700, reason) == (True, "Session Timeout")


# -- without timers at all ----------------------------------------------------------------------------------------


def test_a_trunk_may_be_left_without_timers():
    scene = TimedScene({"enabled": False}, {"enabled": False})
    call, there = scene.answered()
    answer = call.response(200)
    assert (answer.every("Session-Expires"), "timer" in answer.listed("Supported")) == ([], False)
    assert (there.invite.every("Session-Expires"), there.invite.every("Min-SE")) == ([], [])
    assert "timer" not in there.invite.listed("Supported")
    assert scene.end() == (7_200, "Maximum Duration")
    assert (call.asked["UPDATE"], there.asked["UPDATE"]) == ([], [])


def test_who_requires_timers_there_is_refused():
    scene = TimedScene({"enabled": False})
    call = scene.caller.call(CALLEE, Intent(headers=("Require: timer",)))
    scene.wire.run_until(lambda: call.final)
    assert (call.final, call.refusal["Unsupported"]) == (420, "timer")
    assert scene.exchange.residue() == {}


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_who_requires_timers_later_is_refused_too(method):
    scene = TimedScene({"enabled": False})
    call, there = scene.answered()
    asking = call.ask(method, body=call.mine, headers=("Require: timer",))
    scene.run(1)
    assert (asking.final.status, asking.final["Unsupported"]) == (420, "timer")
    assert there.asked[method] == []


def test_who_requires_timers_elsewhere_gets_them():
    scene = TimedScene()
    call, _ = scene.answered(Intent(headers=("Require: timer", "Session-Expires: 200;refresher=uas")))
    assert call.response(200)["Session-Expires"] == "200;refresher=uas"


@pytest.mark.parametrize("text", ["soon", "90;refresher=me", "90\r\nSession-Expires: 90"])
def test_an_invite_with_a_session_interval_that_is_none_is_400(text):
    scene = TimedScene()
    call = scene.caller.call(CALLEE, Intent(headers=(f"Session-Expires: {text}",)))
    scene.wire.run_until(lambda: call.final)
    assert (call.final, scene.exchange.sink.records) == (400, [])
    assert scene.exchange.residue() == {}


# -- a vendor that wants a longer interval ------------------------------------------------------------------------


def too_small(min_se):
    return refuses(422, headers=(f"Min-SE: {min_se}",))


def test_422_is_answered_with_a_longer_interval_at_the_same_gateway():
    scene = TimedScene(vendors=2)
    call = scene.begun_call(KNOWS_ALL, script=too_small(1_800))
    scene.wire.run_until(lambda: scene.vendor.calls)
    scene.vendor.script = answers_timed("1800;refresher=uac")
    scene.wire.run_until(lambda: call.final)
    first, second = (there.invite for there in scene.vendor.calls)
    assert (first["CSeq"], second["CSeq"]) == ("1 INVITE", "2 INVITE")
    assert (second["Session-Expires"], second["Min-SE"]) == ("1800;refresher=uac", "1800")
    for name in ("Call-ID", "From", "To"):
        assert first[name] == second[name]
    assert first.body == second.body
    assert scene.vendors[1].calls == []
    scene.run(1_000)
    scene.vendor.calls[1].gone = 0
    call.hang_up()
    assert scene.end()[1] == "Normal"
    (attempt,) = scene.record.attempts
    assert (attempt.gateway, attempt.code) == ("vendor-0", 200)


def refused_in_turn(scene, *minima):
    """Make a call to a vendor that refuses one INVITE after the other, each by its minimum."""
    call = scene.begun_call(KNOWS_ALL, script=too_small(minima[0]))
    for count, minimum in enumerate(minima[1:], 1):
        scene.wire.run_until(lambda count=count: len(scene.vendor.calls) == count)
        scene.vendor.script = too_small(minimum)
    return call


@pytest.mark.parametrize("is_restarted", [False, True])
def test_the_minimum_of_each_proxy_before_a_vendor_is_taken_in_turn(is_restarted):
    """The call flow of RFC 4028 section 13: one proxy wants 3600 seconds, the one behind it 4000."""
    scene = TimedScene(vendors=2)
    call = refused_in_turn(scene, 3_600, 4_000)
    scene.wire.run_until(lambda: len(scene.vendor.calls) == 2)
    scene.vendor.script = answers_timed("4000;refresher=uac")
    if is_restarted:
        replace_node(scene)
    scene.wire.run_until(lambda: call.final)
    asked = [
        (there.invite["CSeq"], there.invite["Session-Expires"], there.invite["Min-SE"]) for there in scene.vendor.calls
    ]
    assert asked == [
        ("1 INVITE", "600;refresher=uac", "90"),
        ("2 INVITE", "3600;refresher=uac", "3600"),
        ("3 INVITE", "4000;refresher=uac", "4000"),
    ]
    assert (call.final, scene.vendors[1].calls) == (200, [])
    assert [attempt.code for attempt in scene.finish(call).attempts] == [200]


def test_an_invite_is_sent_five_times_to_a_vendor_whose_minimum_grows_without_end():
    scene = TimedScene(vendors=2)
    call = refused_in_turn(scene, *range(1_000, 1_005))
    scene.wire.run_until(lambda: call.final)
    assert (call.final, len(scene.vendor.calls)) == (503, 5)
    assert [attempt.code for attempt in scene.close().attempts] == [422]


@pytest.mark.parametrize("script", [too_small(1_800), too_small(600), too_small(100_000), refuses(422)])
def test_422_with_the_same_minimum_or_without_sense_is_a_refusal(script):
    scene = TimedScene(vendors=2)
    call = scene.begun_call(KNOWS_ALL, script=script)
    scene.wire.run_until(lambda: call.final)
    assert call.final == 503
    assert [attempt.code for attempt in scene.close().attempts] == [422]
    tries = 2 if script == too_small(1_800) else 1
    assert len(scene.vendor.calls) == tries


def test_a_call_given_up_while_the_interval_is_settled_leaves_nothing():
    scene = TimedScene()
    call = scene.begun_call(KNOWS_ALL, script=too_small(1_800))
    scene.wire.run_until(lambda: scene.vendor.calls)
    scene.vendor.script = answers(30_000)
    scene.run(1)
    call.cancel()
    scene.run(1)
    assert call.final == 487
    assert [there.is_cancelled for there in scene.vendor.calls] == [False, True]
    assert scene.close().end_reason == "Cancelled"


# -- transfers, and what a reload leaves --------------------------------------------------------------------------


def test_joined_legs_keep_their_timers():
    scene = TimedScene(vendor={"ttl_s": 400})
    call = scene.answered_call(KNOWS_ALL, script=answers_timed("400;refresher=uac"))
    first = scene.vendor.calls[0]
    call.ask("REFER", headers=["Refer-To: <sip:4420555@192.0.2.1>"])
    scene.wire.run_until(lambda: len(scene.vendor.calls) == 2 and scene.vendor.calls[1].final == 200)
    second = scene.vendor.calls[1]
    scene.run(2_000)
    assert scene.exchange.sink.records == []
    assert min(len(side.asked["UPDATE"]) for side in (first, second)) >= 9
    second.gone = 0
    scene.wire.run_until(lambda: len(scene.exchange.sink.records) == 2)
    scene.run(1)
    reasons = {record.callee_in: record.end_reason for record in scene.exchange.sink.records}
    assert reasons == {CALLEE: "Session Timeout", "4420555": "Session Timeout"}
    assert len(first.asked["BYE"]) == 1
    assert scene.exchange.residue() == {}


def test_a_leg_whose_caller_has_left_is_refreshed_while_the_target_rings():
    scene = TimedScene(vendor={"ttl_s": 90, "segment": 10})
    call = scene.answered_call(KNOWS_ALL, script=answers_timed("90;refresher=uac"))
    first = scene.vendor.calls[0]
    scene.vendor.script = answers(25_000)
    call.ask("REFER", headers=["Refer-To: <sip:4420555@192.0.2.1>"])
    scene.run(1)
    call.hang_up()
    scene.run(20)
    assert len(first.asked["UPDATE"]) == 2
    assert scene.exchange.sink.records == []


def test_a_running_call_keeps_the_terms_that_it_began_with():
    scene = TimedScene()
    _, there = scene.answered()
    other = TimedScene({"ttl_s": 100}, {"ttl_s": 100}).exchange.switch.catalogue
    scene.exchange.switch.terms.swap(other)
    scene.run(299)
    assert there.asked["UPDATE"] == []
    scene.run(2)
    assert there.asked["UPDATE"][0]["Session-Expires"] == "600;refresher=uac"


def test_nothing_is_asked_of_a_call_that_was_hung_up():
    scene = TimedScene()
    call, there = scene.answered()
    scene.run(299)
    there.will("UPDATE", SILENCE)
    call.will("UPDATE", SILENCE)
    scene.run(5)
    call.hang_up()
    assert scene.end() == (304, "Normal")


def test_vendors_see_the_terms_of_their_own_trunk():
    scene = TimedScene(vendor={"ttl_s": 1_200, "min_se_s": 300})
    _, there = scene.answered(script=answers_timed("1200;refresher=uac"))
    assert (there.invite["Session-Expires"], there.invite["Min-SE"]) == ("1200;refresher=uac", "300")
    assert there.agent.address == VENDORS[0]


def test_a_phone_that_takes_a_call_over_has_a_timer_of_its_own():
    scene = TimedScene()
    call, there = scene.answered()
    scene.run(1_000)
    terms = ("Supported: timer", "Session-Expires: 200;refresher=uas")
    pickup = scene.answered_call(Intent(headers=(f"Replaces: {call.replaces}", *terms)))
    assert pickup.response(200)["Session-Expires"] == "200;refresher=uas"
    before = len(there.asked["UPDATE"])
    scene.run(450)
    assert (len(pickup.asked["INVITE"]), len(there.asked["UPDATE"]) - before) == (4, 1)
    pickup.gone = 0
    length, reason = scene.end()
    assert (round(length), reason) == (1_600, "Session Timeout")


def test_a_phone_whose_interval_is_too_small_takes_nothing_over():
    scene = TimedScene()
    call, _ = scene.answered()
    headers = (f"Replaces: {call.replaces}", "Supported: timer", "Session-Expires: 60")
    pickup = scene.caller.call(CALLEE, Intent(headers=headers))
    scene.wire.run_until(lambda: pickup.final)
    assert (pickup.final, pickup.refusal["Min-SE"]) == (422, "90")
    assert scene.exchange.sink.records == []


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
def test_a_party_refreshes_its_session_while_the_target_of_its_transfer_rings(method):
    """RFC 4028 section 10: the transferor has left, and the party needs no other side to say that it is there."""
    scene = Scene(usual_catalogue(customer={"dialect": CallerDialect(transfer_timeout_ms=120_000)}))
    timed = "Supported: timer", "Session-Expires: 90;refresher=uas", "Require: timer"
    call, party = scene.talk(None, Script((Line(500, 200, ANSWER, timed),)))
    scene.wire.run_for(45_000)
    scene.vendor.script = answers(55_000)
    call.ask("REFER", headers=["Refer-To: <sip:442071111111@192.0.2.1>"])
    scene.wire.run_for(1_000)
    call.hang_up()
    for _ in range(2):
        scene.wire.run_for(20_000)
        party.ask(method, body="" if method == "UPDATE" else party.mine, headers=("Session-Expires: 90;refresher=uac",))
    changed = party.ask("UPDATE", body=revised(party.mine, "a=sendonly"))
    scene.wire.run_for(1_000)
    assert party.got[method][:2] == [200, 200]
    assert changed.final.status == 491
    scene.wire.run_for(20_000)
    target = scene.vendor.calls[-1]
    assert (party.is_over, target.final) == (False, 200)
    scene.hang_up(target, wait_ms=1_000)
    assert [record.end_reason for record in scene.exchange.sink.records] == ["Normal", "Normal"]
