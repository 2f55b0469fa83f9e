"""A vendor cannot tell a test call by its messages: they have the headers of a customer's call (ADR 205)."""

import re

import pytest
from doubles.sockets.peer import ANSWER
from doubles.sti import usual
from doubles.trial_scene import Trial, said
from doubles.virtual.customer import SUPPORTS_100REL, Intent
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.rtpengines import VirtualRtpEngines
from doubles.virtual.scene import CALLEE, VENDORS, Scene, usual_catalogue
from doubles.virtual.vendor import Line, Script, answers, answers_reliably, answers_timed

from vosd.base.session_timer import SessionTimerSettings
from vosd.stir.settings import StirTerms
from vosd.trunks.dialect import CalleeDialect, IdentityHeader, Privacy, ReasonForm, Reliability
from vosd.trunks.header_rules import HeaderRules, SessionIdUse, TrunkHeaders
from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters, MediaSettings
from vosd.trunks.stir import VendorSignatures

CALLER = "12025550100"
RULES = HeaderRules(
    removes=("allow",), sets=(("X-Gateway", "{gateway}"), ("X-Number", "{callee}")), adds=(("X-Call", "{call_id}"),)
)
DIALECT = CalleeDialect(
    user_agent="carrier switch",
    contact_user="trunk-7",
    headers=TrunkHeaders(requests=RULES, responses=RULES),
    session_id=SessionIdUse.MAKE,
    reasons=ReasonForm.BOTH,
    identity=(IdentityHeader.ASSERTED,),
    stir=VendorSignatures(sign=True),
    session_timer=SessionTimerSettings(enabled=True, ttl_s=600),
)
ENGINES = {
    "none": (MediaParameters(), dict),
    "relay": (
        MediaParameters(engine=MediaEngine.RELAY, mode=MediaMode.ON), lambda: {"relay": VirtualRelay()},
    ),
    "rtpengine": (
        MediaParameters(engine=MediaEngine.RTPENGINE, mode=MediaMode.ON), lambda: {"rtpengines": VirtualRtpEngines()},
    ),
}  # fmt: skip


def content(engine="none", dialect=DIALECT, **terms):
    """Return the configuration of a switch whose vendors want all that a dialect may have."""
    terms = {"dialect": dialect, **terms}
    return usual_catalogue(terms=terms, stir=StirTerms(usual()[1].signer), media=ENGINES[engine][0])


def sent(scene):
    """Return the messages to the first vendor: the first line without numbers, and the names of their headers."""
    found = []
    for packet in scene.wire.packets:
        if packet.target == VENDORS[0]:
            head = packet.data.partition(b"\r\n\r\n")[0].decode()
            first, *lines = head.split("\r\n")
            found.append((re.sub(r" sip:\S+", "", first), [line.partition(":")[0] for line in lines]))
    return found


def values(scene, name):
    """Return the values of a header in all messages to the first vendor."""
    return re.findall(rb"(?m)^%b: ([^\r]*)" % name.encode(), scene.bytes_to(VENDORS[0]))


def customers(script, intent, engine="none", dialect=DIALECT):
    """Return the scene of a customer's call."""
    scene = Scene(content(engine, dialect), **ENGINES[engine][1]())
    scene.vendor.script = script
    scene.caller.call(CALLEE, intent)
    scene.wire.run_for(40_000)
    assert scene.exchange.leftovers() == {}
    return scene


def trial_of(script, engine="none", dialect=DIALECT, **order):
    """Return a test call that is over, and its report."""
    trial = Trial(script, content=content(engine, dialect), switch=ENGINES[engine][1](), caller=CALLER, **order)
    report = trial.run()
    trial.scene.wire.run_for(40_000)
    return trial, report


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("script", "customer", "order"),
    [
        (answers(), Intent(hang_up_after_ms=2_000), {"talk_ms": 2_000}),
        (answers_timed(), Intent(hang_up_after_ms=2_000), {"talk_ms": 2_000}),
        (answers_reliably(), Intent(hang_up_after_ms=2_000, headers=SUPPORTS_100REL), {"talk_ms": 2_000}),
        (answers(hang_up_after_ms=500), Intent(), {"talk_ms": 2_000}),
        (Script((Line(0, 100), Line(500, 180))), Intent(cancel_after_ms=500), {"is_ring_only": True}),
        (Script((Line(0, 100), Line(0, 486))), Intent(), {}),
        (Script((Line(0, 100), Line(0, 422, "", ("Min-SE: 900",)))), Intent(), {}),
    ],
    ids=["answered", "session timer", "reliable", "hung up by the vendor", "cancelled", "refused", "too short"],
)
def test_its_messages_have_the_headers_of_a_customers_call(script, customer, order, engine):
    theirs = customers(script, customer, engine)
    trial, _ = trial_of(script, engine, **order)
    of_call, of_trial = sent(theirs), sent(trial.scene)
    invites = [names for line, names in of_trial if line.startswith("INVITE")]
    assert {"X-Gateway", "X-Call", "Session-ID", "Session-Expires", "Identity"} <= set(invites[0])
    assert of_trial == of_call
    for name in ("User-Agent", "Server", "X-Gateway", "X-Number", "Min-SE", "Reason", "Supported"):
        assert values(trial.scene, name) == values(theirs, name)


def test_an_invite_is_sent_again_for_a_longer_session_interval():
    script = Script((Line(0, 100), Line(0, 422, "", ("Min-SE: 900",))))
    trial, report = trial_of(script)
    assert [value.split(b";")[0] for value in values(trial.scene, "Session-Expires")][:2] == [b"600", b"900"]
    assert report["result"] == "refused"


def test_a_reliable_response_is_acknowledged_by_a_prack_which_is_a_step():
    dialect = CalleeDialect(reliability=Reliability.REQUIRED)
    _, report = trial_of(answers_reliably(), dialect=dialect, talk_ms=1_000)
    assert said(report)[1:] == ["100 Tested", "183 Tested", "PRACK", "200 Tested", "ACK", "BYE"]
    assert report["codec"] == "PCMU"


def test_a_refresh_of_the_session_by_the_vendor_is_accepted_and_a_change_refused():
    trial = Trial(answers(500), talk_ms=5_000)
    trial.begin()
    trial.scene.wire.run_for(1_000)
    party = trial.scene.vendor.only_call
    party.ask("INVITE", body=ANSWER)
    trial.scene.wire.run_for(500)
    party.ask("INVITE", body=ANSWER.replace("30000", "30002"))
    trial.scene.wire.run_for(500)
    assert party.got["INVITE"] == [200, 488]
    trial.scene.wire.run_until(lambda: trial.call.is_over)
    report = trial.over()
    asked = [step for step in said(report) if step.startswith("INVITE of")]
    assert asked == ["INVITE of the vendor, answered 200", "INVITE of the vendor, answered 488"]


def test_a_gateway_that_is_never_shown_a_number_is_sent_no_signature_with_it():
    trial, _ = trial_of(answers(), dialect=CalleeDialect(privacy=Privacy.ANONYMISE, stir=VendorSignatures(sign=True)))
    assert values(trial.scene, "Identity") == []
    assert CALLER.encode() not in trial.scene.bytes_to(VENDORS[0])


@pytest.mark.parametrize("engine", ["relay", "rtpengine"])
def test_it_opens_no_port_of_a_media_engine_and_leaves_no_leg_there(engine):
    parts = ENGINES[engine][1]()
    trial = Trial(answers(), content=content(engine), switch=parts, talk_ms=2_000)
    trial.begin()
    trial.scene.wire.run_for(1_500)
    assert trial.exchange.media.counted() == (1, 0)
    trial.scene.wire.run_until(lambda: trial.call.is_over)
    trial.over()
    assert trial.exchange.media.counted() == (0, 0)
    assert "a=inactive" in trial.scene.vendor.only_call.invite.body


def test_its_offer_has_the_codecs_of_the_gateway_and_without_any_it_is_not_sent():
    trial = Trial(answers(), content=content("relay", media=MediaSettings(codecs=("G729",))),
                  switch=ENGINES["relay"][1](), talk_ms=1_000)  # fmt: skip
    trial.run()
    assert "m=audio 9 RTP/AVP 18 101\r\n" in trial.scene.vendor.only_call.invite.body
    trial = Trial(answers(), content=content("relay", media=MediaSettings(codecs=("opus",))),
                  switch=ENGINES["relay"][1]())  # fmt: skip
    report = trial.run()
    assert said(report)[-1] == "INVITE not sent: the gateway takes none of the codecs of a test call"
    assert trial.scene.vendor.calls == []
