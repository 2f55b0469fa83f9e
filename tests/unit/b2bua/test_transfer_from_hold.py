"""A transfer by a customer that holds as RFC 2543 has it: media at the zero address (RFC 3264 section 8.4)."""

from doubles.virtual.customer import OutgoingCall
from doubles.virtual.scene import CALLEE, Scene
from doubles.virtual.side import Reply
from doubles.virtual.vendor import IncomingCall

TARGET = "442071111111"


def talking(scene: Scene, callee: str = CALLEE) -> OutgoingCall:
    return scene.answered_call(callee=callee, talk_ms=1_000)


def refer(call: OutgoingCall, number: str, other: OutgoingCall | None = None) -> None:
    """Transfer to a number, or to another call of the transferor's."""
    replaces = ""
    if other is not None:
        replaces = f"?Replaces={other.replaces_in_uri}"
    call.ask("REFER", headers=[f"Refer-To: <sip:{number}@192.0.2.1{replaces}>"])


def held_by_address(scene: Scene, call: OutgoingCall, there: IncomingCall) -> None:
    """Let the caller hold the other side as RFC 2543 has it, and that answer in kind."""
    nowhere = there.mine.replace("c=IN IP4 192.0.2.20", "c=IN IP4 0.0.0.0").replace("1 1", "1 2")
    there.will("INVITE", Reply(body=nowhere))
    call.ask("INVITE", body=call.mine.replace("c=IN IP4 192.0.2.10", "c=IN IP4 0.0.0.0").replace("1 1", "1 2"))
    scene.wire.run_for(1_000)
    assert "c=IN IP4 0.0.0.0" in call.theirs


def test_a_party_held_by_the_zero_address_is_offered_to_the_target_where_it_was(scene):
    """RFC 3264 section 8.4: the target would send what is said to nowhere."""
    call = talking(scene)
    held_by_address(scene, call, scene.vendor.only_call)
    refer(call, TARGET)
    scene.wire.run_for(5_000)
    party, target = scene.vendor.calls
    assert "c=IN IP4 192.0.2.20" in target.invite.body
    party.hang_up()
    scene.wire.run_until(lambda: target.is_over)
    scene.expect_nothing_left()


def test_two_parties_held_by_the_zero_address_talk_after_an_attended_transfer(scene):
    call, other = talking(scene), talking(scene, TARGET)
    for each, there in zip((call, other), scene.vendor.calls, strict=True):
        held_by_address(scene, each, there)
    refer(call, TARGET, other)
    scene.wire.run_for(3_000)
    party, target = scene.vendor.calls
    assert "c=IN IP4 192.0.2.20" in party.asked["INVITE"][-1].body
    party.hang_up()
    scene.wire.run_until(lambda: target.is_over)
    scene.expect_nothing_left()
