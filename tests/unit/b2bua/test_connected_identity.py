"""Connected identity (RFC 4916): the caller is shown the number that it talks to, and when that changes."""

import re

import pytest
from doubles.data.builders import account, catalogue, mapping_gateway, phone
from doubles.data.sessions import answering, revised
from doubles.desk_scene import DESK, MATE, are_connected, blind, called, registered
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import ANSWER
from doubles.virtual.customer import Intent, OutgoingCall
from doubles.virtual.phone import VirtualPhone
from doubles.virtual.scene import CUSTOMER, Scene, vendor_gateway
from doubles.virtual.side import Reply
from doubles.virtual.vendor import IncomingCall, Line, Script
from msgspec.structs import replace

from vosd.base.session_timer import Probe, SessionTimerSettings
from vosd.trunks.dialect import CallerDialect, Passing
from vosd.trunks.gateways import CallerNumbers

SHOWN = re.compile(r"^P-Asserted-Identity: (.*)\r$", re.MULTILINE)
KNOWS_UPDATE = ("Allow: INVITE, ACK, CANCEL, BYE, UPDATE, OPTIONS",)
FIRST, SECOND = ("P-Asserted-Identity: <sip:44201@192.0.2.20;user=phone>", "P-Asserted-Identity: <tel:+44-202>")


def scene_of(use: Passing = Passing.PASS, **timer: object) -> Scene:
    dialect = CallerDialect(connected_identity=use, session_timer=SessionTimerSettings(**timer))
    return Scene(catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=dialect), vendor_gateway(0)]))


def talk(scene: Scene, *said: str, headers: tuple[str, ...] = KNOWS_UPDATE) -> tuple[OutgoingCall, IncomingCall]:
    script = Script((Line(0, 180), Line(500, 200, ANSWER, (*KNOWS_UPDATE, *said))))
    return scene.talk(Intent(headers=headers), script)


def shown(scene: Scene, beginning: str) -> list[list[str]]:
    """Return what each message that begins so and went to the customer says in P-Asserted-Identity."""
    sent = [each.data.decode() for each in scene.wire.packets if each.target == scene.caller.address]
    return [SHOWN.findall(text) for text in sent if text.startswith(beginning)]


def take_over(mate: VirtualPhone, replaced: IncomingCall, *headers: str) -> OutgoingCall:
    """Let a telephone take the place of one that was called (RFC 3891)."""
    return mate.call(DESK, Intent(headers=(f"Replaces: {replaced.replaces}", *headers)))


def ours(scene: Scene, number: str) -> list[str]:
    return [f"<sip:{number}@{scene.caller.switch.host}>"]


def test_the_answer_shows_the_number_of_the_callee_alone():
    scene = scene_of()
    call, _ = talk(scene, FIRST)
    assert shown(scene, "SIP/2.0 200") == [ours(scene, "44201")]
    assert shown(scene, "SIP/2.0 180") == [[]]
    scene.finish(call)


@pytest.mark.parametrize(
    "said",
    [
        ("P-Asserted-Identity: <sip:anne@192.0.2.20>",),
        (FIRST, "Privacy: id"),
        (FIRST, "Remote-Party-ID: <sip:44201@192.0.2.20>;party=called;privacy=full"),
        (FIRST, "Remote-Party-ID: <sip:44201@192.0.2.20>;privacy=uri-network"),
        (),
    ],
)
def test_a_name_a_withheld_number_and_none_are_not_shown(said):
    scene = scene_of()
    call, _ = talk(scene, *said)
    assert shown(scene, "SIP/2.0 200") == [[]]
    scene.finish(call)


@pytest.mark.parametrize(
    "party", ["party=called;privacy=off", "party=calling;privacy=full", "party=called;privacy=name"]
)
def test_another_partys_wish_and_one_for_a_name_alone_leave_the_number(party):
    scene = scene_of()
    call, _ = talk(scene, FIRST, f"Remote-Party-ID: <sip:44201@192.0.2.20>;{party}", "Remote-Party-ID: ,")
    assert shown(scene, "SIP/2.0 200") == [ours(scene, "44201")]
    scene.finish(call)


def test_a_number_that_is_withheld_by_update_is_not_shown():
    scene = scene_of()
    call, there = talk(scene, FIRST)
    there.ask("UPDATE", headers=(SECOND, "Remote-Party-ID: <sip:44202@192.0.2.20>;party=calling;privacy=full"))
    scene.wire.run_for(5_000)
    assert shown(scene, "UPDATE") == []
    scene.finish(call)


BOTH = "P-Asserted-Identity: <sip:+44{0}@ims.example;user=phone>, <tel:+44{0}>"
"""The two values that an IMS network asserts, in one line (RFC 3325 section 9.1)."""


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
def test_two_values_in_one_line_say_a_number_as_in_two_lines(method):
    scene = scene_of()
    call, there = talk(scene, BOTH.format("201"))
    assert shown(scene, "SIP/2.0 200") == [ours(scene, "+44201")]
    there.ask(method, body=revised(there.mine), headers=(BOTH.format("202"),))
    scene.wire.run_for(5_000)
    assert there.got[method] == [200]
    assert shown(scene, method) == [ours(scene, "+44202")]
    scene.finish(call)


def test_the_first_value_of_a_line_that_is_a_number_is_shown():
    scene = scene_of()
    call, _ = talk(scene, 'P-Asserted-Identity: "Anne, 1st floor" <sip:anne@192.0.2.20>, <tel:+44201>')
    assert shown(scene, "SIP/2.0 200") == [ours(scene, "+44201")]
    scene.finish(call)


def test_a_trunk_that_does_not_ask_for_it_is_shown_none():
    scene = scene_of(Passing.STRIP)
    call, there = talk(scene, FIRST)
    there.ask("UPDATE", headers=(SECOND,))
    scene.wire.run_for(5_000)
    assert b"P-Asserted-Identity" not in scene.bytes_to(CUSTOMER)
    assert "UPDATE" not in call.asked
    scene.finish(call)


def test_a_number_that_changes_by_update_is_shown_by_update_once():
    scene = scene_of()
    call, there = talk(scene, FIRST)
    for said in (SECOND, SECOND):
        there.ask("UPDATE", headers=(said,))
        scene.wire.run_for(5_000)
    assert there.got["UPDATE"] == [200, 200]
    assert shown(scene, "UPDATE") == [ours(scene, "+44202")]
    record = scene.finish(call)
    assert record.end_reason == "Normal"


def test_a_caller_without_update_is_sent_its_session_again():
    scene = scene_of()
    call, there = talk(scene, headers=("Allow: INVITE, ACK, CANCEL, BYE",))
    there.ask("UPDATE", headers=(SECOND,))
    scene.wire.run_for(5_000)
    assert shown(scene, "INVITE") == [ours(scene, "+44202")]
    assert call.asked["INVITE"][0].body == call.theirs
    scene.finish(call)


def test_a_change_of_the_session_carries_the_number_with_it():
    scene = scene_of()
    call, there = talk(scene, FIRST)
    offer = there.mine.replace("a=rtpmap:0", "a=sendonly\r\na=rtpmap:0").replace("o=- 1 1", "o=- 1 2")
    call.will("INVITE", Reply(200, answering(offer, call.mine)))
    there.ask("INVITE", body=offer, headers=(SECOND,))
    scene.wire.run_for(5_000)
    assert shown(scene, "INVITE") == [ours(scene, "+44202")]
    assert shown(scene, "UPDATE") == []
    scene.finish(call)


def test_a_caller_that_is_probed_by_options_is_shown_it_all_the_same():
    scene = scene_of(enabled=False, probe=Probe.OPTIONS)
    call, there = talk(scene)
    there.ask("UPDATE", headers=(SECOND,))
    scene.wire.run_for(5_000)
    assert shown(scene, "UPDATE") == [ours(scene, "+44202")]
    scene.finish(call)


def test_the_callers_own_number_is_not_sent_back_to_it():
    scene = scene_of()
    call, there = talk(scene, FIRST)
    call.ask("UPDATE", headers=(SECOND,))
    scene.wire.run_for(5_000)
    assert shown(scene, "UPDATE") == []
    assert "UPDATE" not in there.asked
    scene.finish(call)


def office_scene() -> tuple[Scene, VirtualPhone, VirtualPhone]:
    """Return a scene of a customer that is shown connected numbers, and both telephones of an office."""
    dialect = CallerDialect(connected_identity=Passing.PASS)
    phones = [phone(number, account="office", dialect=dialect) for number in (DESK, MATE)]
    acme = mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=dialect)
    scene = Scene(
        catalogue([acme, vendor_gateway(0)], phones=phones, accounts=[account("office", overdraft_limit=None)])
    )
    desk, mate = registered(scene)
    desk.script = Script((Line(0, 180), Line(500, 200, ANSWER, (*KNOWS_UPDATE, FIRST))))
    return scene, desk, mate


@pytest.mark.parametrize("changes", ["UPDATE", "INVITE"])
def test_the_number_of_a_phone_that_has_transferred_the_call_and_left_is_not_shown_any_more(changes):
    scene, desk, mate = office_scene()
    call, at_desk = called(scene, desk, headers=KNOWS_UPDATE)
    assert shown(scene, "SIP/2.0 200") == [ours(scene, "44201")]
    blind(at_desk, MATE)
    scene.wire.run_for(3_000)
    (target,) = mate.calls
    target.propose("a=sendonly") if changes == "INVITE" else target.ask("UPDATE", headers=(SECOND,))
    scene.wire.run_for(3_000)
    assert are_connected(call, target)
    introduced = shown(scene, "INVITE")
    assert introduced
    assert [number for each in (*introduced, *shown(scene, "UPDATE")) for number in each] == []
    call.hang_up()
    scene.wire.run_until(lambda: target.is_over)


@pytest.mark.parametrize(
    ("said", "number"),
    [((), ""), ((f"P-Asserted-Identity: <sip:{MATE}@pc>",), MATE), ((FIRST,), MATE), ((FIRST, "Privacy: id"), "")],
)
def test_the_number_of_a_phone_that_takes_the_call_over_takes_the_place_of_that_of_the_phone_that_leaves(said, number):
    scene, desk, mate = office_scene()
    call, at_desk = called(scene, desk, headers=KNOWS_UPDATE)
    newcomer = take_over(mate, at_desk, *said, *KNOWS_UPDATE)
    scene.wire.run_until(lambda: newcomer.final == 200)
    scene.propose(newcomer, "a=sendonly", wait_ms=3_000)
    newcomer.ask("UPDATE", headers=(FIRST,))
    scene.wire.run_for(3_000)
    assert are_connected(call, newcomer)
    assert at_desk.is_over
    assert shown(scene, "INVITE") == [ours(scene, number) if number else []] * 2
    assert shown(scene, "UPDATE") == []
    sent = b"".join(each.data for each in scene.wire.packets if each.target == mate.address)
    assert b"P-Asserted-Identity" not in sent
    call.hang_up()
    scene.wire.run_until(lambda: newcomer.is_over)


@pytest.mark.parametrize(("said", "number"), [((FIRST,), DESK), ((FIRST, "Privacy: id"), ""), ((), "")])
@pytest.mark.parametrize("changes", ["UPDATE", "INVITE"])
@pytest.mark.parametrize("newcomers", [MATE, ""])
def test_a_takeover_that_the_caller_refuses_leaves_the_number_of_the_phone_that_stays(newcomers, said, number, changes):
    scene, desk, mate = office_scene()
    desk.script = Script((Line(0, 180), Line(500, 200, ANSWER, (*KNOWS_UPDATE, *said))))
    call, at_desk = called(scene, desk, headers=KNOWS_UPDATE)
    call.will("INVITE", Reply(488))
    newcomer = take_over(mate, at_desk, *([f"P-Asserted-Identity: <sip:{MATE}@pc>"] if newcomers else []))
    scene.wire.run_until(lambda: newcomer.final == 488)
    at_desk.propose("a=sendonly") if changes == "INVITE" else at_desk.ask("UPDATE", headers=said)
    scene.wire.run_for(3_000)
    offered, *later = shown(scene, "INVITE")
    assert offered == (ours(scene, MATE) if newcomers else [])
    expected = [ours(scene, number)] if number else [[]] * (changes == "INVITE")
    assert later + shown(scene, "UPDATE") == expected
    scene.finish(call)


@pytest.mark.parametrize("said", [(FIRST, "Privacy: id"), ()])
def test_a_phone_that_gives_up_taking_the_call_over_does_not_leave_its_number(said):
    scene, desk, mate = office_scene()
    desk.script = Script((Line(0, 180), Line(500, 200, ANSWER, (*KNOWS_UPDATE, *said))))
    call, at_desk = called(scene, desk, headers=KNOWS_UPDATE)
    newcomer = take_over(mate, at_desk, f"P-Asserted-Identity: <sip:{MATE}@pc>")
    call.will("INVITE", Reply(491))
    scene.wire.run_for(100)
    newcomer.cancel()
    scene.wire.run_for(8_000)
    assert (newcomer.final, at_desk.is_over) == (487, False)
    scene.propose(at_desk, "a=sendonly", wait_ms=3_000)
    assert shown(scene, "INVITE") == [ours(scene, MATE), []]
    scene.finish(call)


def test_the_number_of_a_gateway_that_failed_is_not_shown_for_the_next():
    scene = Scene(
        catalogue(
            [
                mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=CallerDialect(connected_identity=Passing.PASS)),
                *map(vendor_gateway, range(2)),
            ]
        )
    )
    scene.vendor.script = Script((Line(0, 100), Line(0, 183, ANSWER, KNOWS_UPDATE, True), Line(6_000, 503)))
    call = scene.begun_call(Intent(headers=(*KNOWS_UPDATE, "Supported: 100rel")), after_ms=1_000)
    scene.vendor.calls[-1].ask("UPDATE", headers=(FIRST,))
    scene.wire.run_until(lambda: call.final is not None, within_ms=60_000)
    assert scene.vendor.calls[-1].got["UPDATE"] == [200]
    assert call.final == 200
    assert "44201" not in scene.bytes_to(CUSTOMER).decode()
    scene.finish(call)


@pytest.mark.parametrize(
    ("said", "number"), [("442079999999", "44201"), ("44201", "44201"), ("+44203", "+44203"), ("anne", "")]
)
def test_a_phone_says_no_number_but_those_that_it_may_show(said, number):
    desk = phone("44201")
    desk = replace(desk, gateway=replace(desk.gateway, caller_numbers=CallerNumbers("44201", frozenset({"44203"}))))
    trunk = mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=CallerDialect(connected_identity=Passing.PASS))
    scene = Scene(catalogue([trunk, vendor_gateway(0)], phones=(desk,)))
    telephone = scene.exchange.telephone("44201", Endpoint("203.0.113.66", 41_234))
    telephone.register()
    lines = (f"P-Asserted-Identity: <sip:{said}@bank.example>",)
    telephone.script = Script((Line(0, 180), Line(500, 200, ANSWER, lines)))
    call = scene.settled_call(Intent(), callee="44201")
    assert shown(scene, "SIP/2.0 200") == [ours(scene, number) if number else []]
    scene.finish(call)
