"""Each leg's session is refreshed or watched by itself, and a peer that is gone ends the call (RFC 4028).

Packets take no time here, so that what happens at a second happens at its beginning.
"""

import re
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from vosd.base.session_timer import Probe, SessionTimerSettings
from vosd.routing.dialect import CalleeDialect, CallerDialect
from vosd.testing.builders import catalogue, mapping_gateway
from vosd.testing.customer import KNOWS_TIMER, KNOWS_UPDATE, Intent
from vosd.testing.exchange import SWITCH
from vosd.testing.scene import CALLEE, CUSTOMER, VENDORS, Scene, vendor_gateway
from vosd.testing.scrutiny import faults_of
from vosd.testing.sessions import revised
from vosd.testing.side import SILENCE, Reply
from vosd.testing.vendor import answers, answers_timed, refuses

KNOWS_ALL = Intent(headers=(*KNOWS_TIMER, *KNOWS_UPDATE))
KNOWS_TIMER_ONLY = Intent(headers=KNOWS_TIMER)
REFRESHES_ITSELF = Intent(headers=(*KNOWS_TIMER, *KNOWS_UPDATE, "Session-Expires: 400;refresher=uac"))
TIMED = answers_timed("600;refresher=uac")
TIMED_WITHOUT_UPDATE = answers_timed("600;refresher=uac", knows_update=False)
BOTH = ["caller", "callee"]


def scene_of(customer=None, vendor=None, *, vendors=1, **switch):
    """Set the stage with terms of either trunk, as ``SessionTimerSettings`` has them."""
    theirs = CallerDialect(session_timer=SessionTimerSettings(**(customer or {})))
    dialect = CalleeDialect(session_timer=SessionTimerSettings(**(vendor or {})))
    gateways = [vendor_gateway(index, dialect=dialect) for index in range(vendors)]
    content = catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=theirs), *gateways])
    scene = Scene(content, balance="100000", **switch)
    scene.wire.fate = lambda _packet: (0,)
    return scene


def talk(scene, intent=KNOWS_ALL, script=TIMED):
    scene.vendor.script = script
    call = scene.caller.call(CALLEE, intent)
    scene.wire.run_until(lambda: call.acks or call.final == 200)
    return call, scene.vendor.calls[-1]


def pick(which, call, there):
    """Return that end and the other one."""
    return (call, there) if which == "caller" else (there, call)


def run(scene, seconds):
    scene.wire.run_for(1_000 * seconds)


def end(scene):
    """Let the call come to its end; return its length in seconds and why it ended."""
    scene.wire.run_until(lambda: scene.exchange.ledger.records, within_ms=10**9)
    assert scene.exchange.residue() == {}
    assert faults_of(scene.wire.packets, SWITCH) == []
    return scene.record.hold_time_ms / 1_000, scene.record.end_reason


def version_of(session):
    return re.search(r"(?m)^o=.*$", session)[0]


# -- refreshes of ours --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", BOTH)
def test_a_refresh_is_an_update_that_the_other_side_does_not_hear(which):
    scene = scene_of(vendor={"ttl_s": 800})
    end_, other = pick(which, *talk(scene, script=answers_timed("800;refresher=uac")))
    before = len(other.asked["UPDATE"])
    run(scene, 301 if which == "caller" else 401)
    (update,) = end_.asked["UPDATE"]
    assert update.body == ""
    assert update["Session-Expires"] == ("600;refresher=uac" if which == "caller" else "800;refresher=uac")
    assert update["Min-SE"] == "90"
    assert "timer" in update.listed("Supported")
    assert len(other.asked["UPDATE"]) - before == (0 if which == "caller" else 1)
    run(scene, 5_000)
    assert scene.exchange.ledger.records == []


@pytest.mark.parametrize("which", BOTH)
def test_without_update_the_very_same_offer_is_made_again(which):
    scene = scene_of()
    call, there = talk(scene, KNOWS_TIMER_ONLY, TIMED_WITHOUT_UPDATE)
    end_, _ = pick(which, call, there)
    said = end_.theirs
    run(scene, 301)
    (invite,) = end_.asked["INVITE"]
    assert (invite.body, version_of(invite.body)) == (said, version_of(said))
    assert invite["Session-Expires"] == "600;refresher=uac"
    assert end_.asked["UPDATE"] == []
    assert len(end_.acks) == (1 if which == "caller" else 2)
    run(scene, 3_000)
    assert scene.exchange.ledger.records == []


@pytest.mark.parametrize("status", [405, 501, 403, 488])
def test_a_peer_that_refuses_update_after_all_gets_the_offer(status):
    scene = scene_of()
    _, there = talk(scene)
    there.will("UPDATE", Reply(status))
    run(scene, 301)
    assert (len(there.asked["UPDATE"]), len(there.asked["INVITE"])) == (1, 1)
    run(scene, 300)
    assert (len(there.asked["UPDATE"]), len(there.asked["INVITE"])) == (1, 2)
    run(scene, 3_000)
    assert scene.exchange.ledger.records == []


def test_each_leg_has_its_own_interval():
    scene = scene_of({"ttl_s": 200, "segment": 4}, {"ttl_s": 1_000, "segment": 2})
    call, there = talk(scene, script=answers_timed("1000;refresher=uac"))
    run(scene, 499)
    assert (len(call.asked["UPDATE"]), len(there.asked["UPDATE"])) == (9, 0)
    run(scene, 2)
    assert (len(call.asked["UPDATE"]), len(there.asked["UPDATE"])) == (10, 1)


def test_an_answer_that_is_news_is_told_to_the_other_side():
    """A peer may answer a refresh from another port; that is a change like any other."""
    scene = scene_of()
    call, there = talk(scene, KNOWS_TIMER_ONLY, TIMED_WITHOUT_UPDATE)
    moved = revised(there.mine).replace("30000", "30002")
    there.will("INVITE", Reply(200, moved))
    run(scene, 310)
    assert "m=audio 30002" in call.theirs
    run(scene, 3_000)
    assert scene.exchange.ledger.records == []
    assert len(there.asked["INVITE"]) == 11


@pytest.mark.parametrize("which", BOTH)
def test_glare_is_waited_out(which):
    scene = scene_of()
    end_, other = pick(which, *talk(scene, KNOWS_TIMER_ONLY, TIMED_WITHOUT_UPDATE))
    end_.will("INVITE", Reply(491), Reply(491))
    run(scene, 320)
    assert len(end_.asked["INVITE"]) == 3
    assert len(other.asked["INVITE"]) == 1
    run(scene, 3_000)
    assert scene.exchange.ledger.records == []


def test_a_longer_interval_is_asked_for_where_a_refresh_gets_422():
    scene = scene_of()
    _, there = talk(scene)
    there.will("UPDATE", Reply(422, headers=("Min-SE: 1000",)))
    run(scene, 301)
    assert [update["Session-Expires"] for update in there.asked["UPDATE"]] == [
        "600;refresher=uac",
        "1000;refresher=uac",
    ]
    run(scene, 498)
    assert len(there.asked["UPDATE"]) == 2
    run(scene, 3)
    assert len(there.asked["UPDATE"]) == 3


def test_a_refresh_waits_for_the_ack_of_the_answer():
    scene = scene_of({"ttl_s": 90, "segment": 10})
    scene.vendor.script = TIMED
    call = scene.caller.call(CALLEE, KNOWS_ALL._replace(acknowledges=False))
    run(scene, 20)
    assert (call.final, call.asked["UPDATE"]) == (200, [])
    call.acknowledge()
    run(scene, 3)
    assert len(call.asked["UPDATE"]) == 1


# -- refreshes of peers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_who_offers_to_refresh_is_only_watched(method):
    scene = scene_of()
    call, there = talk(scene, REFRESHES_ITSELF)
    assert call.response(200)["Session-Expires"] == "400;refresher=uac"
    assert "timer" in call.response(200).listed("Require")
    for _ in range(5):
        run(scene, 200)
        asking = call.ask(
            method, body=call.mine if method == "INVITE" else "",
            headers=("Supported: timer", "Session-Expires: 400;refresher=uac"),
        )  # fmt: skip
        run(scene, 1)
        assert asking.final.status == 200
        assert asking.final["Session-Expires"] == "400;refresher=uac"
        assert "timer" in asking.final.listed("Require")
    assert (call.asked["INVITE"], call.asked["UPDATE"], there.asked["INVITE"]) == ([], [], [])
    assert end(scene) == (5 * 201 - 1 + 400, "Session Timeout")
    assert len(call.asked["BYE"]) == 1


def test_a_callee_that_refreshes_is_watched_too():
    scene = scene_of()
    _, there = talk(scene, script=answers_timed("500;refresher=uas"))
    run(scene, 250)
    there.ask("UPDATE", headers=("Supported: timer", "Session-Expires: 500;refresher=uac"))
    assert end(scene) == (750, "Session Timeout")
    assert there.asked["UPDATE"] == []


def test_the_role_of_the_refresher_changes_hands():
    scene = scene_of()
    call, _ = talk(scene, REFRESHES_ITSELF)
    run(scene, 100)
    asking = call.ask("UPDATE", headers=("Supported: timer", "Session-Expires: 120;refresher=uas"))
    run(scene, 59)
    assert (asking.final["Session-Expires"], call.asked["UPDATE"]) == ("120;refresher=uas", [])
    run(scene, 1)
    (update,) = call.asked["UPDATE"]
    assert update["Session-Expires"] == "120;refresher=uac"
    run(scene, 1_000)
    assert scene.exchange.ledger.records == []


def test_a_2xx_may_hand_the_role_over():
    scene = scene_of()
    _, there = talk(scene)
    there.knows_timer = False
    there.will("UPDATE", Reply(200, headers=("Session-Expires: 200;refresher=uas",)))
    assert end(scene) == (500, "Session Timeout")
    assert len(there.asked["UPDATE"]) == 1


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_later_interval_that_is_too_small_is_422(method):
    scene = scene_of({"min_se_s": 200})
    call, there = talk(scene)
    body = revised(call.mine, "a=sendonly")
    asking = call.ask(method, body=body, headers=("Supported: timer", "Session-Expires: 199"))
    run(scene, 1)
    assert (asking.final.status, asking.final["Min-SE"]) == (422, "200")
    assert (there.asked["INVITE"], there.asked["UPDATE"]) == ([], [])


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_later_interval_that_is_garbage_is_400(method):
    scene = scene_of()
    call, _ = talk(scene)
    asking = call.ask(method, headers=("Supported: timer", "Session-Expires: soon"))
    run(scene, 1)
    assert asking.final.status == 400
    assert scene.exchange.ledger.records == []


def test_an_update_of_the_peer_that_crosses_ours_goes_first():
    scene = scene_of()
    call, _ = talk(scene)
    call.will("UPDATE", Reply(200, after_ms=3_000))
    run(scene, 300)
    asking = call.ask("INVITE", body=call.mine, headers=("Supported: timer", "Session-Expires: 600;refresher=uas"))
    run(scene, 1)
    assert asking.final.status == 200
    run(scene, 3_000)
    assert scene.exchange.ledger.records == []


def test_a_proposal_that_crosses_our_offer_gets_491():
    scene = scene_of()
    call, there = talk(scene, KNOWS_TIMER_ONLY, TIMED_WITHOUT_UPDATE)
    there.will("INVITE", Reply(200, after_ms=2_000))
    run(scene, 300)
    asking = call.ask("INVITE", body=revised(call.mine, "a=sendonly"))
    crossing = there.ask("INVITE", body=revised(there.mine, "a=sendonly"))
    run(scene, 1)
    assert (asking.final.status, crossing.final.status) == (491, 491)
    run(scene, 5)
    again = call.ask("INVITE", body=revised(call.mine, "a=sendonly"))
    run(scene, 5)
    assert again.final.status == 200


# -- a session that changes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", BOTH)
@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_change_refreshes_both_legs_each_on_its_own_terms(which, method):
    scene = scene_of({"ttl_s": 300}, {"ttl_s": 900})
    end_, other = pick(which, *talk(scene, script=answers_timed("900;refresher=uac")))
    run(scene, 140)
    mine, its = (300, 900) if which == "caller" else (900, 300)
    asking = end_.ask(
        method,
        body=revised(end_.mine, "a=sendonly"),
        headers=("Supported: timer", f"Session-Expires: {mine};refresher=uas"),
    )
    run(scene, 1)
    assert asking.final["Session-Expires"] == f"{mine};refresher=uas"
    (asked,) = other.asked[method]
    assert asked["Session-Expires"] == f"{its};refresher=uac"
    run(scene, 148)  # what was due at 150 is due at 290
    caller, _ = pick(which, end_, other)
    assert len(caller.asked["UPDATE"]) - (method == "UPDATE" and which == "callee") == 0
    run(scene, 2)
    assert len(caller.asked["UPDATE"]) - (method == "UPDATE" and which == "callee") == 1


# -- a peer that is gone ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", BOTH)
@pytest.mark.parametrize(("intent", "script"), [(KNOWS_ALL, TIMED), (KNOWS_TIMER_ONLY, TIMED_WITHOUT_UPDATE)])
def test_481_ends_the_call_at_once(which, intent, script):
    scene = scene_of()
    end_, other = pick(which, *talk(scene, intent, script))
    run(scene, 400)
    end_.gone = 481
    assert end(scene) == (600, "Session Timeout")
    assert (scene.record.hangup_source, len(end_.asked["BYE"]), len(other.asked["BYE"])) == ("switch", 1, 1)


@pytest.mark.parametrize("which", BOTH)
@pytest.mark.parametrize("status", [0, 408, 500, 503, 488])
@pytest.mark.parametrize(("intent", "script"), [(KNOWS_ALL, TIMED), (KNOWS_TIMER_ONLY, TIMED_WITHOUT_UPDATE)])
def test_who_does_not_take_refreshes_is_asked_until_the_limit(which, status, intent, script):
    scene = scene_of()
    end_, other = pick(which, *talk(scene, intent, script))
    run(scene, 400)
    end_.gone = status
    assert end(scene) == (900, "Session Timeout")
    tries = {request["CSeq"] for method in ("INVITE", "UPDATE") for request in end_.asked[method]}
    assert 5 <= len(tries) <= 40
    assert (len(other.asked["BYE"]), scene.record.hangup_source) == (1, "switch")


@pytest.mark.parametrize("status", [408, 500, 503])
def test_a_refresh_that_gets_through_in_the_end_keeps_the_call(status):
    scene = scene_of()
    _, there = talk(scene)
    there.will("UPDATE", *[Reply(status)] * 4, SILENCE)
    run(scene, 3_000)
    assert scene.exchange.ledger.records == []


@pytest.mark.parametrize("lateness_ms", [0, 7, 3_000, 40_000])
def test_the_end_is_stamped_with_the_deadline(lateness_ms):
    scene = scene_of(lateness_ms=lateness_ms)
    for side in talk(scene):
        side.gone = 0
    assert end(scene) == (600, "Session Timeout")


def test_the_margin_ends_the_call_early():
    scene = scene_of({"early_hangup_s": 45})
    talk(scene)[0].gone = 0
    assert end(scene) == (555, "Session Timeout")


@pytest.mark.parametrize(("margin_s", "length_s"), [(290, 310), (300, 300), (3_600, 300)])
def test_however_large_the_margin_a_refresh_is_tried_first(margin_s, length_s):
    scene = scene_of({"early_hangup_s": margin_s}, {"early_hangup_s": margin_s})
    scene.wire.fate = lambda _packet: (40,)
    call, there = talk(scene)
    run(scene, 4_000)
    assert scene.exchange.ledger.records == []
    started = len(call.asked["UPDATE"])
    scene.wire.run_until(lambda: len(call.asked["UPDATE"]) > started)
    run(scene, 1)
    call.gone = there.gone = 0
    length, reason = end(scene)
    assert (round(length - 0.04) % 300, reason) == (length_s % 300, "Session Timeout")


def test_refusals_are_told_seldom_and_counted():
    scene = scene_of()
    _, there = talk(scene)
    there.gone = 503
    with capture_logs() as lines:
        end(scene)
    told = [line for line in lines if line["event"] == "session_refresh_failed"]
    assert {(line["gateway"], line["code"]) for line in told} == {("vendor-0", 503)}
    assert 2 <= len(told) <= 6
    assert told[-1]["failed"] > len(told)


# -- peers without timer ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", BOTH)
@pytest.mark.parametrize("probe", [Probe.OPTIONS, Probe.REFRESH])
@pytest.mark.parametrize(("answer", "length_s"), [(None, 7_200), (405, 7_200), (0, 1_200), (503, 1_200), (481, 900)])
def test_a_peer_without_timer_may_be_asked_whether_it_is_there(which, probe, answer, length_s):
    terms = {"probe": probe}
    scene = scene_of(terms, terms)
    end_, other = pick(which, *talk(scene, None, answers()))
    run(scene, 601)
    asked = end_.asked["OPTIONS" if probe is Probe.OPTIONS else "INVITE"]
    assert len(asked) == 2
    assert "Session-Expires" not in str(asked[0].headers)
    end_.gone = answer
    expected = "Maximum Duration" if length_s == 7_200 else "Session Timeout"
    assert end(scene) == (length_s, expected)
    assert len(other.asked["BYE"]) == 1


def test_a_peer_that_is_not_asked_is_left_alone():
    scene = scene_of({"no_timer_limit_s": 0}, {"no_timer_limit_s": 0})
    call, there = talk(scene, None, answers())
    call.gone = there.gone = 0
    assert end(scene) == (43_200, "Maximum Duration")
    assert [set(side.asked) for side in (call, there)] == [{"BYE"}, {"BYE"}]


def test_the_limit_of_each_trunk_holds():
    scene = scene_of({"no_timer_limit_s": 4_000}, {"no_timer_limit_s": 3_000})
    talk(scene, None, answers())
    assert end(scene) == (3_000, "Maximum Duration")


def test_the_longest_call_stands_beside_it():
    scene = scene_of()
    content = scene.exchange.switch.catalogue
    shorter = replace(content, parameters=replace(content.parameters, max_call_seconds=1_000))
    scene.exchange.switch.swap_catalogue(shorter)
    talk(scene, None, answers())
    assert end(scene) == (1_000, "Maximum Duration")


def test_a_peer_that_speaks_of_timers_later_is_limited_no_more():
    scene = scene_of()
    call, _ = talk(scene, None)
    run(scene, 5_000)
    asking = call.ask("UPDATE", headers=("Supported: timer", "Session-Expires: 600;refresher=uas"))
    call.knows_timer = True
    run(scene, 1)
    assert asking.final["Session-Expires"] == "600;refresher=uas"
    run(scene, 5_000)
    assert scene.exchange.ledger.records == []
    call.gone = 0
    length, reason = end(scene)
    assert (10_000 < length < 10_700, reason) == (True, "Session Timeout")


# -- without timers at all ----------------------------------------------------------------------------------------


def test_a_trunk_may_be_left_without_timers():
    scene = scene_of({"enabled": False}, {"enabled": False})
    call, there = talk(scene)
    answer = call.response(200)
    assert (answer.every("Session-Expires"), "timer" in answer.listed("Supported")) == ([], False)
    assert (there.invite.every("Session-Expires"), there.invite.every("Min-SE")) == ([], [])
    assert "timer" not in there.invite.listed("Supported")
    assert end(scene) == (7_200, "Maximum Duration")
    assert (call.asked["UPDATE"], there.asked["UPDATE"]) == ([], [])


def test_who_requires_timers_there_is_refused():
    scene = scene_of({"enabled": False})
    call = scene.caller.call(CALLEE, Intent(headers=("Require: timer",)))
    scene.wire.run_until(lambda: call.final)
    assert (call.final, call.refusal["Unsupported"]) == (420, "timer")
    assert scene.exchange.residue() == {}


def test_who_requires_timers_elsewhere_gets_them():
    scene = scene_of()
    call, _ = talk(scene, Intent(headers=("Require: timer", "Session-Expires: 200;refresher=uas")))
    assert call.response(200)["Session-Expires"] == "200;refresher=uas"


@pytest.mark.parametrize("text", ["soon", "90;refresher=me", "90\r\nSession-Expires: 90"])
def test_an_invite_with_a_session_interval_that_is_none_is_400(text):
    scene = scene_of()
    call = scene.caller.call(CALLEE, Intent(headers=(f"Session-Expires: {text}",)))
    scene.wire.run_until(lambda: call.final)
    assert (call.final, scene.exchange.ledger.records) == (400, [])
    assert scene.exchange.residue() == {}


# -- a vendor that wants a longer interval ------------------------------------------------------------------------


def too_small(min_se):
    return refuses(422, headers=(f"Min-SE: {min_se}",))


def test_422_is_answered_with_a_longer_interval_at_the_same_gateway():
    scene = scene_of(vendors=2)
    scene.vendor.script = too_small(1_800)
    call = scene.caller.call(CALLEE, KNOWS_ALL)
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
    run(scene, 1_000)
    scene.vendor.calls[1].gone = 0
    call.hang_up()
    assert end(scene)[1] == "Normal"
    (attempt,) = scene.record.attempts
    assert (attempt.gateway, attempt.code) == ("vendor-0", 200)


@pytest.mark.parametrize("script", [too_small(1_800), too_small(600), too_small(100_000), refuses(422)])
def test_422_once_more_or_without_sense_is_a_refusal(script):
    scene = scene_of(vendors=2)
    scene.vendor.script = script
    call = scene.caller.call(CALLEE, KNOWS_ALL)
    scene.wire.run_until(lambda: call.final)
    assert call.final == 503
    assert [attempt.code for attempt in scene.close().attempts] == [422]
    tries = 2 if script == too_small(1_800) else 1
    assert len(scene.vendor.calls) == tries


def test_a_call_given_up_while_the_interval_is_settled_leaves_nothing():
    scene = scene_of()
    scene.vendor.script = too_small(1_800)
    call = scene.caller.call(CALLEE, KNOWS_ALL)
    scene.wire.run_until(lambda: scene.vendor.calls)
    scene.vendor.script = answers(30_000)
    run(scene, 1)
    call.cancel()
    run(scene, 1)
    assert call.final == 487
    assert [there.is_cancelled for there in scene.vendor.calls] == [False, True]
    assert scene.close().end_reason == "Cancelled"


# -- transfers, and what a reload leaves --------------------------------------------------------------------------


def test_joined_legs_keep_their_timers():
    scene = scene_of(vendor={"ttl_s": 400})
    scene.vendor.script = answers_timed("400;refresher=uac")
    call = scene.caller.call(CALLEE, KNOWS_ALL)
    scene.wire.run_until(lambda: call.final == 200)
    first = scene.vendor.calls[0]
    call.ask("REFER", headers=["Refer-To: <sip:4420555@192.0.2.1>"])
    scene.wire.run_until(lambda: len(scene.vendor.calls) == 2 and scene.vendor.calls[1].final == 200)
    second = scene.vendor.calls[1]
    run(scene, 2_000)
    assert scene.exchange.ledger.records == []
    assert min(len(side.asked["UPDATE"]) for side in (first, second)) >= 9
    second.gone = 0
    scene.wire.run_until(lambda: len(scene.exchange.ledger.records) == 2)
    run(scene, 1)
    reasons = {record.callee_in: record.end_reason for record in scene.exchange.ledger.records}
    assert reasons == {CALLEE: "Normal", "4420555": "Session Timeout"}
    assert len(first.asked["BYE"]) == 1
    assert scene.exchange.residue() == {}


def test_a_leg_whose_caller_has_left_is_refreshed_while_the_target_rings():
    scene = scene_of(vendor={"ttl_s": 90, "segment": 10})
    scene.vendor.script = answers_timed("90;refresher=uac")
    call = scene.caller.call(CALLEE, KNOWS_ALL)
    scene.wire.run_until(lambda: call.final == 200)
    first = scene.vendor.calls[0]
    scene.vendor.script = answers(25_000)
    call.ask("REFER", headers=["Refer-To: <sip:4420555@192.0.2.1>"])
    run(scene, 1)
    call.hang_up()
    run(scene, 20)
    assert len(first.asked["UPDATE"]) == 2
    assert scene.exchange.ledger.records == []


def test_a_running_call_keeps_the_terms_that_it_began_with():
    scene = scene_of()
    _, there = talk(scene)
    other = scene_of({"ttl_s": 100}, {"ttl_s": 100}).exchange.switch.catalogue
    scene.exchange.switch.swap_catalogue(other)
    run(scene, 299)
    assert there.asked["UPDATE"] == []
    run(scene, 2)
    assert there.asked["UPDATE"][0]["Session-Expires"] == "600;refresher=uac"


def test_nothing_is_asked_of_a_call_that_was_hung_up():
    scene = scene_of()
    call, there = talk(scene)
    run(scene, 299)
    there.will("UPDATE", SILENCE)
    call.will("UPDATE", SILENCE)
    run(scene, 5)
    call.hang_up()
    assert end(scene) == (304, "Normal")


def test_vendors_see_the_terms_of_their_own_trunk():
    scene = scene_of(vendor={"ttl_s": 1_200, "min_se_s": 300})
    _, there = talk(scene, script=answers_timed("1200;refresher=uac"))
    assert (there.invite["Session-Expires"], there.invite["Min-SE"]) == ("1200;refresher=uac", "300")
    assert there.agent.address == VENDORS[0]
