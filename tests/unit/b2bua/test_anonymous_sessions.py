"""Session descriptions of a side that withholds who it is name no one, to the end of the call (RFC 3323)."""

import re

import pytest
from doubles.data.builders import catalogue, mapping_gateway
from doubles.data.sessions import revised
from doubles.killed import KilledScene
from doubles.sockets.peer import ANSWER, OFFER
from doubles.timed_scene import TimedScene
from doubles.virtual.customer import INSISTS_ON_RELIABLE, KNOWS_UPDATE, SUPPORTS_100REL, Intent
from doubles.virtual.scene import CUSTOMER, Scene, sides, vendor_gateway
from doubles.virtual.side import Reply
from doubles.virtual.vendor import Line, Script, answers, answers_timed, refuses

from vosd.sdp.anonymous import anonymous
from vosd.trunks.dialect import CalleeDialect, Privacy
from vosd.trunks.number_rules import IncomingNumbers

PAI = "P-Asserted-Identity: <sip:+12025550100@acme.example>"
WITHHELD = [
    (("Privacy: id",), "12025550100"),
    (("Privacy: session",), "12025550100"),
    (("Privacy: user;critical",), "12025550100"),
    (("Remote-Party-ID: <sip:12025550100@acme.example>;privacy=full",), "12025550100"),
    ((PAI,), "anonymous"),
]
SHOWN = [(), ("Privacy: none",), ("Privacy: history",)]


def named(session: str) -> str:
    """Return a session whose author writes who it is."""
    return session.replace("o=- ", "o=anne ").replace("s=-\r\n", "s=Anne\r\ni=Desk of Anne\r\ne=anne@example.org\r\n")


def bare(session: str) -> str:
    return anonymous(session.encode()).decode()


def answers_with(*headers: str, early: tuple[str, ...] = ()) -> Script:
    body = named(ANSWER)
    return Script((Line(0, 100), Line(100, 183, body, early), Line(1_000, 200, body, headers)))


def version_of(session: str) -> int:
    found = re.search(r"o=- \d+ (\d+) ", session)
    assert found is not None, session
    return int(found[1])


@pytest.mark.parametrize(("headers", "caller"), WITHHELD)
def test_a_caller_that_withholds_who_it_is_writes_no_names_to_the_other_side(scene, headers, caller):
    call, there = scene.talk(Intent(offer=named(OFFER), headers=headers, caller=caller))
    assert there.theirs == bare(named(OFFER)) == OFFER
    for version in (2, 3):  # without Privacy in the request
        offer = call.propose("a=sendonly" if version == 2 else "a=sendrecv")
        scene.wire.run_for(1_000)
        assert "anne" in offer
        assert (there.theirs, version_of(there.theirs)) == (bare(offer), version)
    scene.finish(call)


@pytest.mark.parametrize("headers", SHOWN)
def test_who_asks_for_no_privacy_keeps_its_names(scene, headers):
    call, there = scene.talk(Intent(offer=named(OFFER), headers=headers), answers_with(*headers))
    assert (there.theirs, call.theirs) == (named(OFFER), named(ANSWER))
    scene.finish(call)


def kept_from_vendors(by: str) -> Scene:
    """Return a scene whose first vendor may not learn who calls, by its own trunk or by that of the caller."""
    numbers = IncomingNumbers(caller_drop=True) if by == "customer" else IncomingNumbers()
    first = CalleeDialect(privacy=Privacy.ANONYMISE) if by == "vendor" else CalleeDialect()
    customer = mapping_gateway("acme", f"{CUSTOMER.host}/32", numbers=numbers)
    return Scene(catalogue([customer, vendor_gateway(0, dialect=first), vendor_gateway(1)]))


@pytest.mark.parametrize("by", ["vendor", "customer"])
def test_a_vendor_that_may_not_learn_who_calls_is_sent_no_names_of_callers_without_a_wish(by):
    scene = kept_from_vendors(by)
    call, there = scene.talk(Intent(offer=named(OFFER)), answers(body=named(ANSWER)))
    assert (there.theirs, call.theirs) == (OFFER, named(ANSWER))
    for version in (2, 3):
        assert "anne" in call.propose("a=sendonly" if version == 2 else "a=sendrecv")
        scene.wire.run_for(1_000)
        assert ("anne" in there.theirs, "Anne" in there.theirs, version_of(there.theirs)) == (False, False, version)
    there.propose("a=sendonly")
    scene.wire.run_for(1_000)
    assert ("anne" in there.theirs, "Anne" in call.theirs) == (False, True)
    scene.finish(call)


def test_the_gateway_after_one_that_may_not_learn_who_calls_is_sent_the_names():
    scene = kept_from_vendors("vendor")
    scene.vendor.script = refuses(503)
    call = scene.begun_call(Intent(offer=named(OFFER)))
    scene.await_answer(call, talk_ms=1_000)
    assert [each.theirs for vendor in scene.vendors for each in vendor.calls] == [OFFER, named(OFFER)]
    scene.finish(call)


HIDES_CALLED = "Remote-Party-ID: <sip:44201@192.0.2.20>;party=called;privacy=full"


@pytest.mark.parametrize("early", [(), ("Privacy: id",), (HIDES_CALLED,)])
def test_a_callee_that_withholds_who_it_is_writes_no_names_to_the_caller(scene, early):
    call, there = scene.talk(script=answers_with(early[0] if early else "Privacy: id", early=early))
    shown = [each.body for each in call.responses if each.status == 183]
    assert shown[0] == (ANSWER if early else named(ANSWER))
    assert "Anne" not in call.theirs
    assert "anne@" not in call.theirs
    offer = there.propose("a=sendonly")
    scene.wire.run_for(1_000)
    assert "Anne" in offer
    assert "Anne" not in call.theirs
    scene.finish(call)


@pytest.mark.parametrize("side", ["caller", "callee"])
def test_privacy_that_a_side_asks_for_in_the_call_holds_from_then_on(scene, side):
    call, there = scene.talk(Intent(offer=named(OFFER)), answers(body=named(ANSWER)))
    asking, asked = sides(side, call, there)
    before = asked.theirs
    for headers in (("Privacy: id",), ()):
        asking.ask("INVITE", body=revised(asking.mine, "a=sendonly" if headers else "a=sendrecv"), headers=headers)
        scene.wire.run_for(1_000)
        assert "s=-\r\n" in asked.theirs
        assert "anne@" not in asked.theirs
        assert asked.theirs.partition(" ")[0] == before.partition(" ")[0]  # the origin stays that of the call
    scene.finish(call)


@pytest.mark.parametrize("body", [named(ANSWER), ""])
def test_privacy_in_the_200_after_a_reliable_answer_sends_the_caller_no_other_one(scene, body):
    lines = Line(0, 100), Line(0, 183, named(ANSWER), (), True), Line(1_000, 200, body, ("Privacy: id",))
    call, there = scene.talk(Intent(headers=(*SUPPORTS_100REL, *KNOWS_UPDATE)), Script(lines))
    scene.wire.run_for(5_000)
    assert call.asked["INVITE"] == []
    there.mine = named(ANSWER)
    scene.propose(there, "a=sendonly")
    (offer,) = call.asked["INVITE"]
    assert ("a=sendonly" in offer.body, "s=-\r\n" in offer.body, "anne@" in offer.body) == (True, True, False)
    scene.finish(call)


def test_privacy_in_a_response_without_a_session_holds_for_the_next_one(scene):
    call, _ = scene.talk(script=Script((Line(0, 180, "", ("Privacy: id",)), Line(1_000, 200, named(ANSWER)))))
    assert call.theirs == ANSWER
    scene.finish(call)


@pytest.mark.parametrize("where", ["request", "response"])
@pytest.mark.parametrize("side", ["caller", "callee"])
def test_privacy_in_a_message_without_a_session_holds_for_the_next_one(scene, side, where):
    call, there = scene.talk(Intent(offer=named(OFFER)), answers(body=named(ANSWER)))
    asking, asked = sides(side, call, there)
    if where == "request":
        asking.ask("INFO", headers=("Privacy: id",))
    else:
        asking.will("INFO", Reply(200, headers=("Privacy: id",)))
        asked.ask("INFO", body="Signal=1\r\nDuration=160\r\n", kind="application/dtmf-relay")
    scene.wire.run_for(1_000)
    scene.propose(asking, "a=sendonly")
    assert ("a=sendonly" in asked.theirs, "s=-\r\n" in asked.theirs, "anne@" in asked.theirs) == (True, True, False)
    scene.finish(call)


@pytest.mark.parametrize("privacy", [(), ("Privacy: none",), ("Privacy: id",)])
@pytest.mark.parametrize("side", ["caller", "callee"])
def test_privacy_in_a_response_that_comes_after_the_end_of_the_call_changes_nothing(scene, side, privacy):
    call, there = scene.talk()
    asking, asked = sides(side, call, there)
    asked.will("INFO", Reply(200, after_ms=1_000, headers=privacy))
    asking.ask("INFO", body="Signal=1\r\nDuration=160\r\n", kind="application/dtmf-relay")
    scene.wire.run_for(100)
    scene.hang_up(call, wait_ms=5_000)
    assert asking.got["INFO"] == [200]
    assert scene.close().end_reason == "Normal"


@pytest.mark.parametrize("side", ["caller", "callee"])
def test_an_unchanged_session_with_the_first_wish_for_privacy_is_a_refresh(scene, side):
    call, there = scene.talk(Intent(offer=named(OFFER)), answers(body=named(ANSWER)))
    asking, asked = sides(side, call, there)
    asking.ask("INVITE", body=asking.mine, headers=("Privacy: id",))
    scene.wire.run_for(5_000)
    assert asked.asked["INVITE"] == []
    scene.finish(call)


def test_an_unchanged_answer_to_a_refresh_is_not_forwarded_for_its_names():
    scene = TimedScene()
    script = answers_timed("800;refresher=uac", knows_update=False)
    lines = [each._replace(body=named(each.body)) if each.body else each for each in script.lines]
    call, there = scene.answered(script=Script(tuple(lines)))
    there.will("INVITE", Reply(200, named(ANSWER), headers=("Privacy: id",)))
    scene.run(500)
    assert [each.body for each in there.asked["INVITE"]] == [there.theirs]
    assert call.asked["INVITE"] == []


def test_another_gateway_is_not_offered_the_names_of_a_caller_that_withholds_them_meanwhile(scene):
    scene.vendor.script = Script((Line(0, 100), Line(0, 180), Line(2_000, 503)))
    call = scene.begun_call(Intent(offer=named(OFFER), headers=(*INSISTS_ON_RELIABLE, *KNOWS_UPDATE)), after_ms=1_000)
    call.ask("UPDATE", headers=("Privacy: id",))
    scene.await_answer(call, talk_ms=1_000)
    assert [each.theirs for vendor in scene.vendors for each in vendor.calls] == [named(OFFER), OFFER]
    scene.finish(call)


def test_the_target_of_a_transfer_is_offered_no_names_of_a_party_that_withheld_them_later(scene):
    call, there = scene.talk(script=answers(body=named(ANSWER)))
    there.ask("INFO", headers=("Privacy: id",))
    scene.wire.run_for(1_000)
    call.ask("REFER", headers=("Refer-To: <sip:442071111111@192.0.2.1>",))
    scene.wire.run_for(5_000)
    party, target = scene.vendor.calls
    assert ("s=-\r\n" in target.invite.body, "anne@" in target.invite.body) == (True, False)
    party.hang_up()
    scene.wire.run_until(lambda: target.is_over)


def test_the_target_of_a_transfer_is_not_offered_the_same_session_again_without_names(scene):
    call, there = scene.talk(script=answers(body=named(ANSWER)))
    there.will("INVITE", Reply(200, named(ANSWER), headers=("Privacy: id",)))
    call.ask("REFER", headers=("Refer-To: <sip:442071111111@192.0.2.1>",))
    scene.wire.run_for(5_000)
    party, target = scene.vendor.calls
    assert (len(party.asked["INVITE"]), target.asked["INVITE"]) == (1, [])
    party.hang_up()
    scene.wire.run_until(lambda: target.is_over)


@pytest.mark.parametrize("side", ["caller", "callee"])
def test_privacy_in_a_message_without_a_session_holds_after_a_crash(tmp_path, side):
    scene = KilledScene(tmp_path)
    call, there = scene.talk(Intent(offer=named(OFFER)), answers(body=named(ANSWER)))
    asking, asked = sides(side, call, there)
    asking.ask("INFO", headers=("Privacy: id",))
    scene.wire.run_for(5_000)
    scene.kill(then_ms=3_000)
    scene.propose(asking, "a=inactive", wait_ms=2_000)
    assert ("a=inactive" in asked.theirs, "s=-\r\n" in asked.theirs, "anne@" in asked.theirs) == (True, True, False)
    scene.finish(call)


@pytest.mark.parametrize("is_changed", [False, True])
@pytest.mark.parametrize("how", ["kill", "keep"])
@pytest.mark.parametrize("side", ["caller", "callee"])
def test_names_are_withheld_and_versions_go_on_after_a_restart(tmp_path, side, how, is_changed):
    scene = KilledScene(tmp_path)
    intent = Intent(offer=named(OFFER), headers=("Privacy: id",) if side == "caller" else ())
    script = answers_with("Privacy: id", early=("Privacy: id",)) if side == "callee" else answers_with()
    call, there = scene.talk(intent, script)
    asking, asked = sides(side, call, there)
    if is_changed:
        scene.propose(asking, "a=sendonly", wait_ms=2_000)
    before = version_of(asked.theirs)
    scene.kill() if how == "kill" else scene.stop_and_keep()
    scene.wire.run_for(3_000)
    assert scene.lost == []
    offer = asking.propose("a=inactive")
    scene.wire.run_for(2_000)
    assert (asked.theirs, version_of(asked.theirs)) == (bare(offer), before + 1)
    scene.finish(call)
