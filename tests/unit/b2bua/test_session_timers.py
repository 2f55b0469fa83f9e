"""Each leg's session is refreshed or watched by itself (RFC 4028)."""

import re

import pytest
from doubles.data.sessions import revised
from doubles.timed_scene import KNOWS_ALL, KNOWS_TIMER_ONLY, TIMED, TIMED_WITHOUT_UPDATE, TimedScene
from doubles.virtual.customer import KNOWS_TIMER, KNOWS_UPDATE, Intent
from doubles.virtual.side import Reply
from doubles.virtual.vendor import answers_timed

REFRESHES_ITSELF = Intent(headers=(*KNOWS_TIMER, *KNOWS_UPDATE, "Session-Expires: 400;refresher=uac"))
BOTH = ["caller", "callee"]


def pick(which, call, there):
    """Return that end and the other one."""
    return (call, there) if which == "caller" else (there, call)


def version_of(session):
    return re.search(r"(?m)^o=.*$", session)[0]


# -- refreshes of ours --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", BOTH)
def test_a_refresh_is_an_update_that_is_not_forwarded(which):
    scene = TimedScene(vendor={"ttl_s": 800})
    end_, other = pick(which, *scene.answered(script=answers_timed("800;refresher=uac")))
    before = len(other.asked["UPDATE"])
    scene.run(301 if which == "caller" else 401)
    (update,) = end_.asked["UPDATE"]
    assert update.body == ""
    assert update["Session-Expires"] == ("600;refresher=uac" if which == "caller" else "800;refresher=uac")
    assert update["Min-SE"] == "90"
    assert "timer" in update.listed("Supported")
    assert len(other.asked["UPDATE"]) - before == (0 if which == "caller" else 1)
    scene.run(5_000)
    assert scene.exchange.sink.records == []


@pytest.mark.parametrize("which", BOTH)
def test_without_update_the_very_same_offer_is_made_again(which):
    scene = TimedScene()
    call, there = scene.answered(KNOWS_TIMER_ONLY, TIMED_WITHOUT_UPDATE)
    end_, _ = pick(which, call, there)
    said = end_.theirs
    scene.run(301)
    (invite,) = end_.asked["INVITE"]
    assert (invite.body, version_of(invite.body)) == (said, version_of(said))
    assert invite["Session-Expires"] == "600;refresher=uac"
    assert end_.asked["UPDATE"] == []
    assert len(end_.acks) == (1 if which == "caller" else 2)
    scene.run(3_000)
    assert scene.exchange.sink.records == []


@pytest.mark.parametrize("status", [405, 501, 403, 488])
def test_a_peer_that_refuses_update_after_all_gets_the_offer(status):
    scene = TimedScene()
    _, there = scene.answered()
    there.will("UPDATE", Reply(status))
    scene.run(301)
    assert (len(there.asked["UPDATE"]), len(there.asked["INVITE"])) == (1, 1)
    scene.run(300)
    assert (len(there.asked["UPDATE"]), len(there.asked["INVITE"])) == (1, 2)
    scene.run(3_000)
    assert scene.exchange.sink.records == []


def test_each_leg_has_its_own_interval():
    scene = TimedScene({"ttl_s": 200, "segment": 4}, {"ttl_s": 1_000, "segment": 2})
    call, there = scene.answered(script=answers_timed("1000;refresher=uac"))
    scene.run(499)
    assert (len(call.asked["UPDATE"]), len(there.asked["UPDATE"])) == (9, 0)
    scene.run(2)
    assert (len(call.asked["UPDATE"]), len(there.asked["UPDATE"])) == (10, 1)


def test_a_changed_answer_to_a_refresh_is_forwarded():
    """A peer may answer a refresh from another port; that is a change like any other."""
    scene = TimedScene()
    call, there = scene.answered(KNOWS_TIMER_ONLY, TIMED_WITHOUT_UPDATE)
    moved = revised(there.mine).replace("30000", "30002")
    there.will("INVITE", Reply(200, moved))
    scene.run(310)
    assert "m=audio 30002" in call.theirs
    scene.run(3_000)
    assert scene.exchange.sink.records == []
    assert len(there.asked["INVITE"]) == 11


@pytest.mark.parametrize(("tries", "within_s"), [(5, 60), (10, 140)])
@pytest.mark.parametrize("intent", [KNOWS_TIMER_ONLY, Intent()], ids=["timer", "no timer"])
def test_a_side_with_an_open_invite_of_its_own_is_told_the_other_sides_change_later(intent, tries, within_s):
    """After a kill the switch does not know that INVITE, and the side refuses all others by 491 while it is open."""
    scene = TimedScene({"ttl_s": 1_000})
    call, there = scene.answered(intent, TIMED_WITHOUT_UPDATE)
    there.will("INVITE", Reply(200, revised(there.mine).replace("30000", "30002")))
    call.will("INVITE", *[Reply(491)] * tries)
    scene.run(320)
    assert "m=audio 30002" not in call.theirs
    scene.run(within_s)
    assert "m=audio 30002" in call.theirs
    asked = len(call.asked["INVITE"])
    scene.run(240)
    assert len(call.asked["INVITE"]) <= asked + 1, "but for a refresh it is asked no more"
    scene.run(3_000)
    assert scene.exchange.sink.records == []


def test_a_change_that_gave_way_to_another_one_that_is_refused_is_told_later():
    scene = TimedScene()
    call, there = scene.answered(Intent(), TIMED_WITHOUT_UPDATE)
    there.will("INVITE", Reply(200, revised(there.mine).replace("30000", "30002")), Reply(488))
    call.will("INVITE", Reply(491))
    scene.wire.run_until(lambda: call.asked["INVITE"] and call.may_offer, within_ms=400_000)
    call.propose("a=sendonly")
    scene.run(5)
    assert call.got["INVITE"][-1] == 488
    assert "m=audio 30002" not in call.theirs
    scene.run(40)
    assert "m=audio 30002" in call.theirs


def test_what_is_owed_to_a_side_is_no_more_where_it_has_taken_another_offer_meanwhile():
    scene = TimedScene()
    call, there = scene.answered(Intent(), TIMED_WITHOUT_UPDATE)
    there.will("INVITE", Reply(200, revised(there.mine).replace("30000", "30002")))
    call.will("INVITE", *[Reply(491)] * 5)
    scene.run(320)
    call.propose("a=sendonly")
    scene.run(1)
    assert "m=audio 30002" in call.theirs
    asked = len(call.asked["INVITE"])
    scene.run(200)
    assert len(call.asked["INVITE"]) == asked


def test_the_longest_wait_for_what_is_owed_is_nine_minutes():
    scene = TimedScene({"ttl_s": 7_200}, {"ttl_s": 7_200})
    call, there = scene.answered(Intent(), answers_timed("7200;refresher=uac", knows_update=False))
    there.will("INVITE", Reply(200, revised(there.mine).replace("30000", "30002")))
    call.will("INVITE", *[Reply(491)] * 35)
    scene.run(3_605)
    assert len(call.asked["INVITE"]) == 5
    scene.run(2_400)
    assert "m=audio 30002" in call.theirs


@pytest.mark.parametrize("offers_itself", [False, True])
def test_what_is_owed_next_waits_as_the_first_where_the_side_has_taken_that(offers_itself):
    scene = TimedScene({"ttl_s": 1_000})
    call, there = scene.answered(Intent(), TIMED_WITHOUT_UPDATE)
    for before, port, until_s in (("30000", "30002", 305), ("30002", "30004", 240)):
        there.will("INVITE", Reply(200, revised(there.mine).replace(f"m=audio {before}", f"m=audio {port}")))
        call.will("INVITE", *[Reply(491)] * 5)
        scene.run(until_s)
        assert f"m=audio {port}" not in call.theirs
        if offers_itself and port == "30002":
            call.propose("a=sendonly")
        scene.run(60)
        assert f"m=audio {port}" in call.theirs


@pytest.mark.parametrize("which", BOTH)
def test_glare_is_waited_out(which):
    scene = TimedScene()
    end_, other = pick(which, *scene.answered(KNOWS_TIMER_ONLY, TIMED_WITHOUT_UPDATE))
    end_.will("INVITE", Reply(491), Reply(491))
    scene.run(320)
    assert len(end_.asked["INVITE"]) == 3
    assert len(other.asked["INVITE"]) == 1
    scene.run(3_000)
    assert scene.exchange.sink.records == []


def test_a_longer_interval_is_asked_for_where_a_refresh_gets_422():
    scene = TimedScene()
    _, there = scene.answered()
    there.will("UPDATE", Reply(422, headers=("Min-SE: 1000",)))
    scene.run(301)
    assert [update["Session-Expires"] for update in there.asked["UPDATE"]] == [
        "600;refresher=uac",
        "1000;refresher=uac",
    ]
    scene.run(498)
    assert len(there.asked["UPDATE"]) == 2
    scene.run(3)
    assert len(there.asked["UPDATE"]) == 3


def test_a_refresh_waits_for_the_ack_of_the_answer():
    scene = TimedScene({"ttl_s": 90, "segment": 10})
    call = scene.begun_call(KNOWS_ALL._replace(acknowledges=False), script=TIMED)
    scene.run(20)
    assert (call.final, call.asked["UPDATE"]) == (200, [])
    call.acknowledge()
    scene.run(3)
    assert len(call.asked["UPDATE"]) == 1


# -- refreshes of peers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_who_offers_to_refresh_is_only_watched(method):
    scene = TimedScene()
    call, there = scene.answered(REFRESHES_ITSELF)
    assert call.response(200)["Session-Expires"] == "400;refresher=uac"
    assert "timer" in call.response(200).listed("Require")
    for _ in range(5):
        scene.run(200)
        asking = call.ask(
            method, body=call.mine if method == "INVITE" else "",
            headers=("Supported: timer", "Session-Expires: 400;refresher=uac"),
        )  # fmt: skip
        scene.run(1)
        assert asking.final.status == 200
        assert asking.final["Session-Expires"] == "400;refresher=uac"
        assert "timer" in asking.final.listed("Require")
    assert (call.asked["INVITE"], call.asked["UPDATE"], there.asked["INVITE"]) == ([], [], [])
    assert scene.end() == (5 * 201 - 1 + 400, "Session Timeout")
    assert len(call.asked["BYE"]) == 1


def test_a_callee_that_refreshes_is_watched_too():
    scene = TimedScene()
    _, there = scene.answered(script=answers_timed("500;refresher=uas"))
    scene.run(250)
    there.ask("UPDATE", headers=("Supported: timer", "Session-Expires: 500;refresher=uac"))
    assert scene.end() == (750, "Session Timeout")
    assert there.asked["UPDATE"] == []


def test_the_role_of_the_refresher_changes_hands():
    scene = TimedScene()
    call, _ = scene.answered(REFRESHES_ITSELF)
    scene.run(100)
    asking = call.ask("UPDATE", headers=("Supported: timer", "Session-Expires: 120;refresher=uas"))
    scene.run(59)
    assert (asking.final["Session-Expires"], call.asked["UPDATE"]) == ("120;refresher=uas", [])
    scene.run(1)
    (update,) = call.asked["UPDATE"]
    assert update["Session-Expires"] == "120;refresher=uac"
    scene.run(1_000)
    assert scene.exchange.sink.records == []


def test_a_2xx_may_hand_the_role_over():
    scene = TimedScene()
    _, there = scene.answered()
    there.knows_timer = False
    there.will("UPDATE", Reply(200, headers=("Session-Expires: 200;refresher=uas",)))
    assert scene.end() == (500, "Session Timeout")
    assert len(there.asked["UPDATE"]) == 1


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_later_interval_that_is_too_small_is_422(method):
    scene = TimedScene({"min_se_s": 200})
    call, there = scene.answered()
    body = revised(call.mine, "a=sendonly")
    asking = call.ask(method, body=body, headers=("Supported: timer", "Session-Expires: 199"))
    scene.run(1)
    assert (asking.final.status, asking.final["Min-SE"]) == (422, "200")
    assert (there.asked["INVITE"], there.asked["UPDATE"]) == ([], [])


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_later_interval_that_is_garbage_is_400(method):
    scene = TimedScene()
    call, _ = scene.answered()
    asking = call.ask(method, headers=("Supported: timer", "Session-Expires: soon"))
    scene.run(1)
    assert asking.final.status == 400
    assert scene.exchange.sink.records == []


def test_an_update_of_the_peer_that_crosses_ours_goes_first():
    scene = TimedScene()
    call, _ = scene.answered()
    call.will("UPDATE", Reply(200, after_ms=3_000))
    scene.run(300)
    asking = call.ask("INVITE", body=call.mine, headers=("Supported: timer", "Session-Expires: 600;refresher=uas"))
    scene.run(1)
    assert asking.final.status == 200
    scene.run(3_000)
    assert scene.exchange.sink.records == []


def test_a_proposal_that_crosses_our_offer_gets_491():
    scene = TimedScene()
    call, there = scene.answered(KNOWS_TIMER_ONLY, TIMED_WITHOUT_UPDATE)
    there.will("INVITE", Reply(200, after_ms=2_000))
    scene.run(300)
    asking = call.ask("INVITE", body=revised(call.mine, "a=sendonly"))
    crossing = there.ask("INVITE", body=revised(there.mine, "a=sendonly"))
    scene.run(1)
    assert (asking.final.status, crossing.final.status) == (491, 491)
    scene.run(5)
    again = call.ask("INVITE", body=revised(call.mine, "a=sendonly"))
    scene.run(5)
    assert again.final.status == 200


# -- a session that changes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", BOTH)
@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_change_refreshes_both_legs_each_on_its_own_terms(which, method):
    scene = TimedScene({"ttl_s": 300}, {"ttl_s": 900})
    end_, other = pick(which, *scene.answered(script=answers_timed("900;refresher=uac")))
    scene.run(140)
    mine, its = (300, 900) if which == "caller" else (900, 300)
    asking = end_.ask(
        method,
        body=revised(end_.mine, "a=sendonly"),
        headers=("Supported: timer", f"Session-Expires: {mine};refresher=uas"),
    )
    scene.run(1)
    assert asking.final["Session-Expires"] == f"{mine};refresher=uas"
    (asked,) = other.asked[method]
    assert asked["Session-Expires"] == f"{its};refresher=uac"
    scene.run(148)  # what was due at 150 is due at 290
    caller, _ = pick(which, end_, other)
    assert len(caller.asked["UPDATE"]) - (method == "UPDATE" and which == "callee") == 0
    scene.run(2)
    assert len(caller.asked["UPDATE"]) - (method == "UPDATE" and which == "callee") == 1
