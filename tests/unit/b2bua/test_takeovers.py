"""INVITE with Replaces (RFC 3891): another phone of the same customer takes over a running call."""

import pytest

from vosd.base.session_timer import SessionTimerSettings
from vosd.testing.data.builders import catalogue, mapping_gateway
from vosd.testing.sockets.peer import OFFER
from vosd.testing.virtual.customer import Intent, OutgoingCall
from vosd.testing.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway
from vosd.testing.virtual.side import Reply
from vosd.testing.virtual.vendor import answers_timed
from vosd.trunks.dialect import CalleeDialect, CallerDialect


def talking(scene: Scene) -> OutgoingCall:
    call, _ = scene.talk()
    return call


def media_of(session: str) -> str:
    return session.partition("\r\nt=")[2]


def settle(scene: Scene) -> None:
    scene.wire.run_for(3_000)
    assert scene.exchange.leftovers() == {}
    assert scene.exchange.residue() == {}


def test_another_phone_takes_the_call_over(scene):
    """RFC 3891: an INVITE with Replaces takes the caller's place; the call and its CDR stay one."""
    call = talking(scene)
    tags = f"to-tag={call.remote.rpartition('tag=')[2]};from-tag={call.tag}"
    pickup = scene.caller.call(CALLEE, Intent(headers=(f"Replaces: {call.call_id};{tags}",)))
    scene.wire.run_until(lambda: pickup.final is not None)
    scene.wire.run_for(1_000)
    assert pickup.final == 200
    assert call.is_over
    (party,) = scene.vendor.calls
    (moved,) = party.asked["INVITE"]
    assert media_of(moved.body) == pickup.mine.partition("\r\nt=")[2]
    pickup.hang_up()
    scene.wire.run_until(lambda: party.is_over)
    settle(scene)
    assert scene.record.end_reason == "Normal"


@pytest.mark.parametrize(
    ("extra", "status"), [(";early-only", 486), ("x", 481)], ids=["confirmed, early wanted", "wrong tag"]
)
def test_a_dialog_that_may_not_be_replaced_is_not_changed(scene, extra, status):
    call = talking(scene)
    tags = f"to-tag={call.remote.rpartition('tag=')[2]};from-tag={call.tag}{extra}"
    pickup = scene.caller.call(CALLEE, Intent(headers=(f"Replaces: {call.call_id};{tags}",)))
    scene.wire.run_until(lambda: pickup.final is not None)
    assert pickup.final == status
    assert not call.is_over
    call.hang_up()
    settle(scene)


def test_an_invite_replaces_one_dialog_only(scene):
    """RFC 3891 section 3: 400 where it names two."""
    call = talking(scene)
    tags = f"to-tag={call.remote.rpartition('tag=')[2]};from-tag={call.tag}"
    named = f"Replaces: {call.call_id};{tags}"
    pickup = scene.caller.call(CALLEE, Intent(headers=(named, named)))
    scene.wire.run_until(lambda: pickup.final is not None)
    assert pickup.final == 400
    assert not call.is_over
    call.hang_up()
    settle(scene)


def test_a_takeover_that_the_other_side_refuses_changes_nothing(scene):
    call = talking(scene)
    scene.vendor.only_call.will("INVITE", Reply(488))
    tags = f"to-tag={call.remote.rpartition('tag=')[2]};from-tag={call.tag}"
    pickup = scene.caller.call(CALLEE, Intent(headers=(f"Replaces: {call.call_id};{tags}",)))
    scene.wire.run_until(lambda: pickup.final is not None)
    assert pickup.final == 488
    assert not call.is_over
    call.hang_up()
    settle(scene)


ELSEWHERE = OFFER.replace("audio 20000 ", "audio 44444 ")


@pytest.mark.parametrize(
    ("reply", "cancel_after_ms", "final"), [(Reply(488), None, 488), (Reply(200, after_ms=900), 200, 487)]
)
@pytest.mark.parametrize("refreshes", ["vendor", "switch"])
def test_a_takeover_that_is_refused_or_cancelled_leaves_the_media_where_they_are(
    reply, cancel_after_ms, final, refreshes
):
    """The next refresh of the other side's session has the description of the caller, who is still in the call."""
    timer = SessionTimerSettings(ttl_s=120)
    trunk = mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=CallerDialect(session_timer=timer))
    scene = Scene(catalogue([trunk, vendor_gateway(0, dialect=CalleeDialect(session_timer=timer))]))
    call, party = scene.talk(script=answers_timed("120;refresher=uac", knows_update=False))
    party.minds_origins = False  # the version of a refused offer may come again
    party.will("INVITE", reply)
    tags = f"to-tag={call.remote.rpartition('tag=')[2]};from-tag={call.tag}"
    headers = (f"Replaces: {call.call_id};{tags}",)
    pickup = scene.caller.call(CALLEE, Intent(ELSEWHERE, cancel_after_ms=cancel_after_ms, headers=headers))
    scene.wire.run_for(2_000)
    assert pickup.final == final
    assert "44444" in party.asked["INVITE"][-1].body
    if refreshes == "vendor":
        party.ask("INVITE", body=party.mine)
    scene.wire.run_for(2_000 if refreshes == "vendor" else 70_000)
    assert media_of(party.theirs) == media_of(call.mine)
    assert len(party.asked["INVITE"]) == 1 + (refreshes == "switch")
    call.hang_up()
    settle(scene)
