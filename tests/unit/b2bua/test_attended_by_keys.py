"""A telephone talks to the target of its transfer before it leaves; who was transferred waits on hold meanwhile."""

from decimal import Decimal

import pytest
from doubles.keypad_scene import TARGET, keypad_scene, passed_on, press, reasons, talking
from doubles.sip_i import IAM, BodyPart, mixed
from doubles.virtual.scene import CALLEE, Scene
from doubles.virtual.side import Reply
from doubles.virtual.vendor import RINGS, answers, refuses

from vosd.sdp.direction import inactive


@pytest.fixture
def scene() -> Scene:
    return keypad_scene()


def consulting(scene: Scene):
    """Return the telephone, the party that waits, and the target, once the first and the last talk."""
    scene.vendor.by_number = {TARGET: answers(1_000), **scene.vendor.by_number}
    call = talking(scene)
    press(scene, call, f"*2{TARGET}#")
    scene.wire.run_for(2_000)
    party, target = scene.vendor.calls
    return call, party, target


def media_of(body: str) -> str:
    return body.partition("\r\nt=")[2]


def latest(side, method="INVITE") -> str:
    """Return the media that a side was told of last within the call."""
    return media_of(side.asked[method][-1].body)


def test_while_the_target_is_called_the_parties_talk_on(scene):
    scene.vendor.by_number = {TARGET: RINGS}
    call = talking(scene)
    press(scene, call, f"*2{TARGET}#5")
    party, _ = scene.vendor.calls
    assert passed_on(party) == "*5"
    assert party.asked["INVITE"] == call.asked["INVITE"] == []
    press(scene, call, "*0")
    scene.expect_nothing_left(call)
    assert sorted(reasons(scene)) == ["Cancelled", "Normal"]


def test_the_telephone_talks_to_the_target_and_the_party_is_put_on_hold(scene):
    call, party, target = consulting(scene)
    assert "a=inactive" in latest(party)
    assert "a=inactive" in party.mine, "it has accepted the hold: its description follows the one before"
    assert latest(call) == media_of(target.mine)
    assert latest(target) == media_of(call.mine)
    assert not call.is_over
    press(scene, call, "7")
    assert passed_on(target) == "7"
    assert passed_on(party) == "*"
    scene.hang_up(call, wait_ms=1_000)
    scene.expect_nothing_left(party)


@pytest.mark.parametrize("how", ["hangs up", "presses the key"])
def test_when_the_telephone_leaves_the_two_others_talk(scene, how):
    call, party, target = consulting(scene)
    if how == "hangs up":
        call.hang_up()
    else:
        press(scene, call, "*9")
    scene.wire.run_for(3_000)
    assert (call.is_over, party.is_over, target.is_over) == (True, False, False)
    assert latest(party) == media_of(target.mine)
    assert latest(target) == media_of(party.mine)
    press(scene, party, "3")
    assert passed_on(target).endswith("3")
    scene.hang_up(target, wait_ms=1_000)
    assert party.is_over
    scene.expect_nothing_left()
    assert reasons(scene) == ["Normal", "Normal"]


@pytest.mark.parametrize("how", ["the key", "the target hangs up"])
def test_without_the_target_the_telephone_talks_to_its_party_again(scene, how):
    call, party, target = consulting(scene)
    if how == "the key":
        press(scene, call, "*0")
    else:
        target.hang_up()
    scene.wire.run_for(3_000)
    assert (call.is_over, party.is_over, target.is_over) == (False, False, True)
    assert latest(call) == media_of(party.mine)
    assert latest(party) == media_of(call.mine)
    assert "a=inactive" not in latest(party)
    press(scene, call, "5")
    assert passed_on(party) == "*5"
    scene.expect_nothing_left(call)
    assert reasons(scene) == ["Normal", "Normal"]


def test_without_the_target_a_party_that_was_busy_is_not_put_on_hold_late(scene):
    scene.vendor.by_number = {TARGET: answers(1_000)}
    call = talking(scene)
    party = scene.vendor.only_call
    press(scene, call, f"*2{TARGET}#")
    scene.wire.run_until(lambda: len(scene.vendor.calls) == 2)
    scene.wire.run_for(700)
    party.acknowledges = False
    first = party.ask("INVITE", body=party.mine)
    scene.wire.run_for(800)
    target = scene.vendor.calls[1]
    scene.hang_up(target, wait_ms=500)
    first.acknowledge()
    party.acknowledges = True
    scene.wire.run_for(10_000)
    assert (call.is_over, party.is_over, target.is_over) == (False, False, True)
    assert all("a=inactive" not in each.body for each in party.asked["INVITE"])
    assert latest(call) == media_of(party.mine)
    scene.expect_nothing_left(call)
    assert reasons(scene) == ["Normal", "Normal"]


def test_a_party_that_does_not_wait_ends_it_for_all(scene):
    call, party, target = consulting(scene)
    scene.hang_up(party, wait_ms=2_000)
    assert call.is_over
    assert target.is_over
    scene.expect_nothing_left()


@pytest.mark.parametrize(
    ("reply", "cancels"), [(Reply(491), 0), (Reply(after_ms=3_000), 1)], ids=["asks to wait", "answers late"]
)
def test_a_party_that_has_hung_up_is_not_put_on_hold_any_more(scene, reply, cancels):
    scene.vendor.by_number = {TARGET: answers(1_000)}
    call = talking(scene)
    party = scene.vendor.only_call
    party.will("INVITE", reply)
    press(scene, call, f"*2{TARGET}#")
    scene.wire.run_until(lambda: party.asked["INVITE"] != [])
    scene.wire.run_for(50)
    scene.expect_nothing_left(party)
    assert len({each["CSeq"] for each in party.asked["INVITE"]}) == 1
    assert len(party.asked["CANCEL"]) == cancels
    assert reasons(scene) == ["Normal", "Normal"]


def test_a_party_that_may_not_be_put_on_hold_waits_all_the_same(scene):
    scene.vendor.by_number = {TARGET: answers(1_000)}
    call = talking(scene)
    party = scene.vendor.only_call
    party.will("INVITE", Reply(488))
    press(scene, call, f"*2{TARGET}#")
    scene.wire.run_for(2_000)
    scene.hang_up(call, wait_ms=3_000)
    target = scene.vendor.calls[1]
    assert (party.is_over, target.is_over) == (False, False)
    assert latest(party) == media_of(target.mine)
    scene.expect_nothing_left(party)


def test_a_party_that_waits_gets_the_offer_that_it_asks_for(scene):
    """RFC 3261 section 14.2: the 2xx to a re-INVITE without an offer has one."""
    call, party, target = consulting(scene)
    told = party.theirs
    asking = party.ask("INVITE")
    scene.wire.run_for(500)
    assert (asking.final.status, asking.final.body) == (200, told)
    scene.wire.run_for(40_000)
    assert (call.is_over, party.is_over, target.is_over) == (False, False, False)
    scene.hang_up(call, wait_ms=3_000)
    assert latest(party) == media_of(target.mine)
    scene.expect_nothing_left(party)
    assert reasons(scene) == ["Normal", "Normal"]


@pytest.mark.parametrize("refreshes", [True, False])
def test_a_party_that_waits_asks_again_before_its_ack_has_arrived(scene, refreshes):
    """The ACK of the first 200 is taken when it comes: a second 200 in its place would end the call with ``No ACK``."""
    call, party, target = consulting(scene)
    party.acknowledges = False
    first = party.ask("INVITE")
    scene.wire.run_for(100)
    second = party.ask("INVITE", body=party.mine if refreshes else "")
    scene.wire.run_for(100)
    assert (first.final.status, second.final.status) == (200, 491)
    first.acknowledge()
    party.acknowledges = True
    scene.wire.run_for(40_000)
    assert (call.is_over, party.is_over, target.is_over) == (False, False, False)
    scene.hang_up(call, wait_ms=1_000)
    scene.expect_nothing_left(party)
    assert reasons(scene) == ["Normal", "Normal"]


@pytest.mark.parametrize("refreshes", [True, False])
def test_a_party_that_asks_before_it_has_answered_our_hold_is_to_ask_later(scene, refreshes):
    """RFC 3261 section 14.2: two offers would cross, and each side would take the other one's for the session."""
    scene.vendor.by_number = {TARGET: answers(1_000)}
    call = talking(scene)
    party = scene.vendor.only_call
    party.will("INVITE", Reply(after_ms=1_000))
    press(scene, call, f"*2{TARGET}#")
    scene.wire.run_until(lambda: party.asked["INVITE"] != [])
    asking = party.ask("INVITE", body=party.mine if refreshes else "")
    scene.wire.run_for(100)
    assert asking.final.status == 491
    scene.wire.run_for(2_000)
    assert "a=inactive" in party.mine
    target = scene.vendor.calls[1]
    scene.hang_up(call, wait_ms=3_000)
    assert latest(party) == media_of(target.mine)
    scene.expect_nothing_left(party)


def test_a_party_that_waits_may_refresh_its_session_and_nothing_more(scene):
    call, party, target = consulting(scene)
    told = len(call.asked["INVITE"])
    party.ask("UPDATE")
    party.ask("INFO", body="Signal=5\r\n", kind="application/dtmf-relay")
    scene.wire.run_for(500)
    assert (party.got["UPDATE"], party.got["INFO"]) == ([200], [200])
    scene.propose(party, "a=sendonly")
    assert party.got["INVITE"] == [491]
    kind, body = mixed(BodyPart("application/sdp", party.mine.encode()), IAM)
    asking = party.ask("INVITE", body=body, kind=kind)  # there is no side that its part could be required of
    scene.wire.run_for(500)
    assert asking.final.status == 415
    assert "application/isup" not in asking.final["Accept"]
    assert len(call.asked["INVITE"]) == told
    assert call.asked["INFO"] == target.asked["INFO"] == []
    scene.hang_up(call, wait_ms=2_000)
    scene.expect_nothing_left(target)


def test_a_telephone_that_cannot_talk_to_the_target_keeps_its_party(scene):
    scene.vendor.by_number = {TARGET: answers(1_000)}
    call = talking(scene)
    call.will("INVITE", Reply(488), Reply(488))
    press(scene, call, f"*2{TARGET}#")
    scene.wire.run_for(4_000)
    party, target = scene.vendor.calls
    assert (call.is_over, party.is_over, target.is_over) == (False, False, True)
    assert latest(party) == media_of(call.mine)
    scene.expect_nothing_left(call)
    assert sorted(reasons(scene)) == ["No Common Codec", "Normal"]


def test_a_target_that_is_not_to_be_had_changes_nothing(scene):
    scene.vendor.by_number = {TARGET: refuses(486)}
    call = talking(scene)
    press(scene, call, f"*2{TARGET}#")
    scene.wire.run_for(2_000)
    party, _ = scene.vendor.calls
    assert party.asked["INVITE"] == []
    scene.expect_nothing_left(call)


@pytest.mark.parametrize("keys", ["0", "9"], ids=["takes it back", "leaves"])
@pytest.mark.parametrize("after_ms", range(980, 1_060, 4))
def test_a_key_may_come_at_any_moment_around_the_answer(scene, keys, after_ms):
    """The hold of the party and the telephone's new session are under way, or nothing is yet."""
    scene.vendor.by_number = {TARGET: answers(1_000)}
    call = talking(scene)
    press(scene, call, f"*2{TARGET}")
    press(scene, call, "#", every_ms=after_ms - 10)
    press(scene, call, f"*{keys}", every_ms=10)
    scene.wire.run_for(8_000)
    party, target = scene.vendor.calls
    assert not party.is_over
    assert (call.is_over, target.is_over) == ((False, True) if keys == "0" else (True, False))
    other = call if keys == "0" else target
    assert party.asked["INVITE"] == [] or latest(party) == media_of(other.mine)
    scene.expect_nothing_left(party)


@pytest.mark.parametrize("balance", ["1.31", "2.00", "3.00"])
def test_money_that_runs_out_while_they_consult_ends_what_it_pays_for(balance):
    scene = keypad_scene(balance=balance)
    call, party, target = consulting(scene)
    scene.wire.run_for(400_000)
    assert call.is_over
    assert party.is_over
    assert target.is_over
    scene.expect_nothing_left()
    assert "Balance Exhausted" in reasons(scene)
    assert sum(record.fee for record in scene.exchange.sink.records) <= Decimal(balance)


@pytest.mark.parametrize(
    ("session", "held"),
    [
        (b"v=0\r\nm=audio 1 RTP/AVP 0\r\n", b"v=0\r\nm=audio 1 RTP/AVP 0\r\na=inactive\r\n"),
        (
            b"v=0\r\na=sendrecv\r\nm=audio 1 RTP/AVP 0\r\na=sendonly\r\n",
            b"v=0\r\nm=audio 1 RTP/AVP 0\r\na=inactive\r\n",
        ),
        (
            b"v=0\r\nm=audio 1 RTP/AVP 0\r\na=recvonly\r\na=ptime:20\r\nm=video 2 RTP/AVP 31",
            b"v=0\r\nm=audio 1 RTP/AVP 0\r\na=ptime:20\r\na=inactive\r\nm=video 2 RTP/AVP 31\r\na=inactive\r\n",
        ),
        (b"v=0\r\n", b"v=0\r\n"),
    ],
)
def test_everything_is_held(session, held):
    assert inactive(session) == held
    assert inactive(held) == held


def test_the_call_to_the_target_is_paid_like_any_other(scene):
    call, _, target = consulting(scene)
    scene.wire.run_for(10_000)
    scene.hang_up(call, wait_ms=10_000)
    scene.expect_nothing_left(target)
    first, second = scene.exchange.sink.records
    assert {first.customer_account, second.customer_account} == {"acme"}
    assert {first.callee_in, second.callee_in} == {CALLEE, TARGET}
    assert first.hold_time_ms > second.hold_time_ms > 20_000 or second.hold_time_ms > first.hold_time_ms > 20_000
