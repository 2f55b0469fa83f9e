"""Bodies beside the session description, on whole calls: their order, rules over a failover, and media at the door."""

from base64 import encodebytes

import pytest
from doubles.data.builders import catalogue, mapping_gateway
from doubles.data.sessions import revised
from doubles.sip_i import ACM, ANM, IAM, REL, BodyPart, mixed, parts_in, text_of
from doubles.sockets.peer import ANSWER, OFFER
from doubles.virtual.customer import INSISTS_ON_RELIABLE, KNOWS_UPDATE, Intent
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, vendor_gateway
from doubles.virtual.side import Reply
from doubles.virtual.ua import new_branch
from doubles.virtual.vendor import Line, Script, refuses

from vosd.routing.special_numbers import SpecialNumbers
from vosd.sdp.media import media_of
from vosd.sip.wire.message import Message
from vosd.trunks.dialect import LOCATION, CalleeDialect, CallerDialect, IdentityHeader
from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters

ISUP = frozenset({"application/isup"})
SESSION = "application/sdp"


def scene_of(*bodies: frozenset[str], **more) -> Scene:
    """Set up a customer that is sent ISUP, and a vendor for each set of types."""
    customer = mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=CallerDialect(bodies=ISUP))
    vendors = [
        vendor_gateway(index, dialect=CalleeDialect(bodies=types)) for index, types in enumerate(bodies or (ISUP,))
    ]
    return Scene(catalogue([customer, *vendors], **more.pop("content", {})), **more)


def line(after_ms: int, status: int, part: BodyPart, session: str = "") -> Line:
    """Return a response with ISUP, beside a session description if there is one."""
    if not session:
        return Line(
            after_ms, status, text_of(part.content), (f"Content-Disposition: {part.disposition}",), kind=part.kind
        )
    kind, body = mixed(BodyPart(SESSION, session.encode()), part)
    return Line(after_ms, status, body, kind=kind)


def invited(*parts: BodyPart) -> Intent:
    kind, body = mixed(BodyPart(SESSION, OFFER.encode()), *parts)
    return Intent(offer=body, kind=kind, hang_up_after_ms=500)


def test_each_response_has_its_own_isup_also_where_it_waits_for_a_prack():
    scene = scene_of()
    progress = ACM._replace(content=b"\x2c\x01\x00"), ACM._replace(content=b"\x2c\x02\x00")
    scene.vendor.script = Script(
        (line(0, 180, ACM), line(0, 183, progress[0]), line(0, 182, progress[1]), line(500, 200, ANM, ANSWER))
    )
    call, _ = scene.talk(Intent(headers=INSISTS_ON_RELIABLE))
    ringing = {status: parts_in(call.response(status)) for status in (180, 183, 182)}
    assert ringing == {180: [ACM], 183: [progress[0]], 182: [progress[1]]}
    assert parts_in(call.response(200)) == [BodyPart(SESSION, ANSWER.encode()), ANM]
    scene.finish(call)


def test_a_gateway_that_is_not_sent_a_required_part_is_left_out_and_the_next_one_tried():
    scene = scene_of(frozenset(), ISUP, ISUP)
    scene.vendors[1].script = refuses(503)
    scene.vendors[2].script = Script((line(0, 200, ANM, ANSWER),))
    scene.whole_call(invited(IAM))
    for vendor in scene.vendors[1:3]:
        assert parts_in(vendor.only_call.invite) == [BodyPart(SESSION, OFFER.encode()), IAM]
    assert scene.vendor.calls == []
    assert scene.close().routing_gateway == "vendor-2"


def test_the_relay_rewrites_the_session_between_the_other_parts():
    parameters = MediaParameters(engine=MediaEngine.RELAY, mode=MediaMode.ON)
    scene = scene_of(relay=VirtualRelay(), content={"media": parameters})
    call = scene.whole_call(invited(IAM), script=Script((line(0, 183, ACM, ANSWER), line(500, 200, ANM, ANSWER))))
    found = [scene.vendor.only_call.invite, call.response(183), call.response(200)]
    for message, isup in zip(found, (IAM, ACM, ANM), strict=True):
        session, other = parts_in(message)
        assert other == isup
        assert media_of(session.content)[0].host == "192.0.2.1"
    scene.close()


def test_a_session_that_the_relay_leaves_out_beside_other_parts_shapes_no_answer():
    parameters = MediaParameters(engine=MediaEngine.RELAY, mode=MediaMode.ON)
    scene = scene_of(relay=VirtualRelay(), content={"media": parameters})
    broken = ANSWER.replace("30000", "70000") + "m=video 0 RTP/AVP 31\r\n" * 9
    call = scene.whole_call(invited(IAM), script=Script((line(0, 183, ACM, broken), line(500, 200, ANM, ANSWER))))
    assert parts_in(call.response(183)) == [ACM]
    assert len(media_of(parts_in(call.response(200))[0].content)) == 1
    scene.close()


def test_the_end_of_a_call_is_told_with_its_isup_and_alone():
    scene = scene_of()
    call, there = scene.talk()
    there.ask("BYE", body=text_of(REL.content), kind=REL.kind)
    scene.wire.run_until(lambda: call.is_over and there.is_over)
    assert parts_in(call.asked["BYE"][0]) == [REL._replace(disposition="")]
    scene.close()


def test_types_that_may_be_required_follow_a_reload():
    scene = scene_of()
    kind, body = mixed(BodyPart(SESSION, OFFER.encode()), IAM)
    scene.exchange.node.swap_catalogue(
        catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]), scene.exchange.clock.now()
    )
    call = scene.whole_call(Intent(offer=body, kind=kind))
    assert call.final == 415
    assert "application/isup" not in call.refusal["Accept"]
    assert not any(packet.target == VENDORS[0] for packet in scene.wire.packets)


SUSPEND, RESUME = BodyPart(IAM.kind, b"\x0d\x01\x00", "signal"), BodyPart(IAM.kind, b"\x0e\x01\x00", "signal")


def beside(session: str, part: BodyPart) -> dict[str, str]:
    """Return type and body of a request with a session description and a part."""
    kind, body = mixed(BodyPart(SESSION, session.encode()), part)
    return {"kind": kind, "body": body}


def test_a_change_of_the_session_and_its_answer_carry_other_bodies():
    scene = scene_of()
    call, there = scene.talk()
    held, held_there = revised(call.mine, "sendonly"), revised(there.mine, "recvonly")
    answer = beside(held_there, RESUME)
    there.will("INVITE", Reply(491), Reply(200, **answer))
    asking = call.ask("INVITE", **beside(held, SUSPEND))
    scene.wire.run_until(lambda: asking.final is not None)
    assert [parts_in(each)[1] for each in there.asked["INVITE"]] == [SUSPEND, SUSPEND], "after 491, too"
    assert parts_in(asking.final) == [BodyPart(SESSION, held_there.encode()), RESUME]
    scene.wire.run_for(1_000)
    scene.finish(call)


def test_a_change_in_progress_keeps_of_its_request_only_the_parts_that_pass():
    """It may last for minutes, and the message may have 64 kB."""
    scene = scene_of()
    call, there = scene.talk()
    there.will("INVITE", Reply(200, revised(there.mine, "recvonly"), after_ms=5_000))
    call.ask("INVITE", **beside(revised(call.mine, "sendonly"), SUSPEND))
    scene.wire.run_for(1_000)
    (live_call,) = scene.exchange.switch.services.running.all()
    proposal = live_call.call.conversation.bridge.proposal
    names = {name for each in type(proposal).__mro__ for name in getattr(each, "__slots__", ())}
    held = [getattr(proposal, name) for name in names]
    assert len(proposal.parts) == 1
    assert not [each for each in held if isinstance(each, Message)]
    scene.wire.run_for(6_000)
    scene.finish(call)


def test_a_refusal_of_a_change_carries_its_body_to_the_called_side_as_well():
    scene = scene_of()
    call, there = scene.talk()
    call.will("INVITE", Reply(488, text_of(REL.content), kind=REL.kind))
    asking = there.ask("INVITE", body=revised(there.mine, "sendonly"))
    scene.wire.run_until(lambda: asking.final is not None)
    assert (asking.final.status, parts_in(asking.final)) == (488, [REL._replace(disposition="")])
    scene.wire.run_for(1_000)
    scene.finish(call)


def test_an_unchanged_session_is_no_mere_refresh_where_another_body_passes():
    scene = scene_of(ISUP)
    call, there = scene.talk(Intent(headers=KNOWS_UPDATE))
    for asker, asked in ((call, there), (there, call)):
        asking = asker.ask("INVITE", **beside(asker.mine, SUSPEND))
        scene.wire.run_until(lambda asking=asking: asking.final is not None)
        scene.wire.run_for(1_000)
        assert parts_in(asked.asked["INVITE"][-1])[1] == SUSPEND
    call.will("UPDATE", Reply(200, ""))
    call.minds_origins = False  # it has no session
    asking = there.ask(
        "UPDATE", body=text_of(RESUME.content), kind=RESUME.kind, headers=("Content-Disposition: signal",)
    )
    scene.wire.run_until(lambda: asking.final is not None)
    assert asking.final.status == 200
    assert parts_in(call.asked["UPDATE"][-1]) == [RESUME]
    scene.finish(call)


def test_a_change_with_a_required_part_that_the_other_side_is_not_sent_is_refused():
    scene = scene_of(frozenset())
    call, there = scene.talk()
    for asker, asked, status in ((call, there, 415), (there, call, 200)):
        asking = asker.ask("INVITE", **beside(revised(asker.mine, "sendonly"), IAM))
        scene.wire.run_until(lambda asking=asking: asking.final is not None)
        scene.wire.run_for(1_000)
        assert asking.final.status == status
        assert len(asked.asked["INVITE"]) == (status == 200)
    scene.finish(call)


def test_acknowledgements_that_are_forwarded_carry_other_bodies():
    """Those of a late offer: the answer is in the ACK, or in the PRACK of a reliable response."""
    scene = scene_of()
    call = scene.answered_call(Intent(offer="", acknowledges=False), script=Script((Line(0, 200, OFFER),)))
    call.agent.send(call.request("ACK", call.sequence, new_branch(), **beside(ANSWER, SUSPEND)))
    scene.wire.run_for(1_000)
    assert parts_in(scene.vendor.only_call.acks[0]) == [BodyPart(SESSION, ANSWER.encode()), SUSPEND]
    call.mine = ANSWER
    scene.finish(call)


def test_a_prack_with_the_answer_carries_other_bodies():
    scene = scene_of()
    scene.vendor.script = Script((Line(0, 183, OFFER, is_reliable=True), Line(1_000, 200)))
    call = scene.caller.call(CALLEE, Intent(offer="", headers=INSISTS_ON_RELIABLE, pracks=False))
    scene.wire.run_until(lambda: 183 in call.statuses)
    response = call.response(183)
    call._switch_to(response)
    call.theirs, call.mine = response.body, ANSWER
    call.ask("PRACK", headers=(f"RAck: {response['RSeq']} {response['CSeq']}",), **beside(ANSWER, SUSPEND))
    scene.await_answer(call, talk_ms=1_000)
    assert parts_in(scene.vendor.only_call.asked["PRACK"][0]) == [BodyPart(SESSION, ANSWER.encode()), SUSPEND]
    scene.finish(call)


def test_a_body_of_an_answer_is_not_put_into_the_offer_that_follows_it():
    """A transferred party answers with other media, which the target is then offered."""
    scene = scene_of()
    call, party = scene.talk()
    party.will("INVITE", Reply(200, **beside(revised(party.mine, "recvonly"), ANM)))
    party.minds_origins = False
    call.ask("REFER", headers=["Refer-To: <sip:442071111111@192.0.2.1>"])
    scene.wire.run_for(5_000)
    target = scene.vendor.calls[-1]
    (offered,) = target.asked["INVITE"]
    assert parts_in(offered)[0].kind == SESSION
    assert len(parts_in(offered)) == 1
    party.hang_up()
    scene.wire.run_until(lambda: target.is_over)
    scene.expect_nothing_left()


def test_a_required_part_without_a_session_needs_a_side_that_knows_update():
    scene = scene_of(ISUP)
    call, there = scene.talk()
    asking = there.ask(
        "UPDATE", body=text_of(IAM.content), kind=IAM.kind, headers=(f"Content-Disposition: {IAM.disposition}",)
    )
    scene.wire.run_until(lambda: asking.final is not None)
    assert (asking.final.status, call.asked["UPDATE"]) == (415, [])
    scene.finish(call)


PLACE = BodyPart(LOCATION, b'<presence entity="pres:+12025550100@acme.example">52.5 13.4</presence>', "", "<loc@acme>")
TRUSTED = CalleeDialect(bodies=ISUP | {LOCATION}, identity=(IdentityHeader.ASSERTED,))
UNTRUSTED = CalleeDialect(bodies=ISUP | {LOCATION})


@pytest.mark.parametrize(
    ("dialect", "privacy", "emergency", "is_sent"),
    [
        (UNTRUSTED, "none", (), True),
        (UNTRUSTED, "id", (), False),
        (UNTRUSTED, "id", (CALLEE,), True),
        (TRUSTED, "id", (), True),
    ],
)
def test_the_location_of_a_caller_goes_where_its_number_goes_and_to_emergency_centres(
    dialect, privacy, emergency, is_sent
):
    customer = mapping_gateway("acme", f"{CUSTOMER.host}/32")
    numbers = SpecialNumbers(emergency=frozenset(emergency))
    scene = Scene(catalogue([customer, vendor_gateway(0, dialect=dialect)], special_numbers=numbers))
    kind, body = mixed(BodyPart(SESSION, OFFER.encode()), PLACE, IAM)
    headers = (f"Privacy: {privacy}",)
    scene.whole_call(Intent(offer=body, kind=kind, headers=headers, hang_up_after_ms=500))
    found = parts_in(scene.vendor.only_call.invite)
    assert [each.kind for each in found] == [SESSION, *([LOCATION] if is_sent else []), IAM.kind]
    scene.close()


@pytest.mark.parametrize(("privacy", "gateway"), [("none", "vendor-0"), ("id", "vendor-1")])
def test_a_location_that_must_be_understood_goes_to_a_gateway_that_may_see_the_caller(privacy, gateway):
    customer = mapping_gateway("acme", f"{CUSTOMER.host}/32")
    vendors = [vendor_gateway(index, dialect=dialect) for index, dialect in enumerate((UNTRUSTED, TRUSTED))]
    scene = Scene(catalogue([customer, *vendors]))
    required = PLACE._replace(disposition="render;handling=required")
    kind, body = mixed(BodyPart(SESSION, OFFER.encode()), required)
    headers = (f"Privacy: {privacy}",)
    scene.whole_call(Intent(offer=body, kind=kind, headers=headers, hang_up_after_ms=500))
    assert scene.close().routing_gateway == gateway


# -- encodings ----------------------------------------------------------------------------------------------------


def in_base64(session: str) -> tuple[str, str]:
    """Return type and body of a message whose session description has a transfer encoding."""
    lines = f"Content-Type: {SESSION}\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return "multipart/mixed;boundary=b", f"--b\r\n{lines}{encodebytes(session.encode()).decode()}\r\n--b--\r\n"


def compressed(session: str) -> tuple[str, str]:
    """Return type and body of a message whose session description is compressed."""
    kind, body = in_base64(session)
    return kind, body.replace("Content-Transfer-Encoding: base64", "Content-Encoding: gzip")


def test_descriptions_in_base64_reach_the_other_side_without_it():
    scene = scene_of(frozenset())
    kind, answer = in_base64(ANSWER)
    kind, offer = in_base64(OFFER)
    intent = Intent(offer=offer, kind=kind, hang_up_after_ms=500)
    call = scene.whole_call(intent, script=Script((Line(0, 200, answer, kind=kind),)))
    for message, session in ((scene.vendor.only_call.invite, OFFER), (call.response(200), ANSWER)):
        assert (message["Content-Type"], message.body) == (SESSION, session)
    scene.close()


def test_a_call_with_a_compressed_offer_is_refused():
    scene = scene_of()
    kind, offer = compressed(OFFER)
    call = scene.whole_call(Intent(offer=offer, kind=kind))
    assert call.final == 415
    assert call.refusal["Accept-Encoding"] == "identity"
    assert scene.vendor.calls == []


@pytest.mark.parametrize("passes", [True, False])
def test_an_info_whose_other_part_has_to_be_understood_is_refused(passes):
    scene = scene_of()
    call, there = scene.talk()
    handling = "optional" if passes else "required"
    other = BodyPart("text/x-secret", b"secret", f"render;handling={handling}")
    kind, body = mixed(SUSPEND, other)
    asking = call.ask("INFO", kind=kind, body=body)
    scene.wire.run_until(lambda: asking.final is not None)
    assert asking.final.status == (200 if passes else 415)
    assert [parts_in(each) for each in there.asked["INFO"]] == ([[SUSPEND]] if passes else [])
    scene.finish(call)


def test_a_compressed_change_of_the_session_is_refused():
    scene = scene_of()
    call, there = scene.talk()
    kind, held = compressed(revised(call.mine, "sendonly"))
    asking = call.ask("INVITE", kind=kind, body=held)
    scene.wire.run_until(lambda: asking.final is not None)
    assert asking.final.status == 415
    assert asking.final["Accept-Encoding"] == "identity"
    assert "INVITE" not in there.asked
    scene.finish(call)


@pytest.mark.parametrize(
    ("kind", "answer", "headers"), [(*compressed(ANSWER), ()), (SESSION, ANSWER, ("Content-Encoding: gzip",))]
)
def test_a_gateway_whose_answer_is_compressed_is_hung_up_and_the_next_one_tried(kind, answer, headers):
    scene = scene_of(frozenset(), frozenset())
    scene.vendor.script = Script((Line(0, 200, answer, headers, kind=kind),))
    scene.vendors[1].script = Script((Line(0, 200, ANSWER),))
    call = scene.whole_call(Intent(hang_up_after_ms=500))
    assert call.response(200).body == ANSWER
    assert "BYE" in scene.vendor.only_call.asked
    assert scene.close().routing_gateway == "vendor-1"


def test_a_gateway_whose_reliable_answer_is_compressed_is_given_up_before_it_answers():
    """It is the answer, whatever the 200 has (RFC 3261 section 13.2.1)."""
    scene = scene_of(frozenset(), frozenset())
    kind, answer = compressed(ANSWER)
    scene.vendor.script = Script((Line(0, 183, answer, (), True, kind=kind), Line(5_000, 200)))
    scene.vendors[1].script = Script((Line(0, 200, ANSWER),))
    call = scene.whole_call(Intent(headers=INSISTS_ON_RELIABLE, hang_up_after_ms=500))
    assert call.response(200).body == ANSWER
    assert [each.code for each in scene.close().attempts] == [0, 200]
