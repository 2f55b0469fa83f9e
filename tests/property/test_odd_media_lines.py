"""Media lines in any case and with any blanks: no description of a relayed call has a place of the other side."""

import pytest
from doubles.data.builders import catalogue, mapping_gateway
from doubles.exploring import examples
from doubles.sockets.peer import ANSWER, OFFER
from doubles.virtual.customer import Intent
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.rtpengines import VirtualRtpEngines
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway
from doubles.virtual.vendor import Line, Script
from hypothesis import given, settings, strategies as st

from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters, MediaSettings

USUAL = "RTP/AVP 0 101"
PLACES = tuple(word.encode() for word in ("192.0.2.10", "192.0.2.20", "20000", "30000", "20010", "30010"))
BESIDE = (
    "", "m=audio {} TCP/RTP/AVP 0\r\n", "m=Video {} tcp/rtp/avp 31\r\n", "m=image {} TCP t38\r\n",
    "m=audio\t{} rtp/avp 8\r\n", "m=audio 00 RTP/AVP 8\r\nc=IN IP4 192.0.2.{}\r\n",
)  # fmt: skip
blanks = st.sampled_from([" ", "\t", "  ", " \t "])


@st.composite
def cased(draw, text):
    """Draw a word in any case."""
    return "".join(draw(st.sampled_from([each.lower(), each.upper()])) for each in text)


@st.composite
def spelled(draw, session):
    """Draw a description with its media line in another form."""
    head, _, tail = session.partition("m=audio ")
    port, _, rest = tail.partition(" ")
    _, formats, lines = rest.partition(" 0 101")
    kind, transport = draw(cased("audio")), draw(cased("RTP/AVP"))
    first = draw(st.sampled_from(["", " "])), draw(blanks), draw(blanks), draw(st.sampled_from(["", "\t"]))
    return f"{head}m={first[0]}{kind}{first[1]}{port}{first[2]}{transport}{formats}{first[3]}{lines}"


@st.composite
def calls(draw):
    """Draw an offer, the early answer and the answer to it, and a later offer with its answer."""
    beside = draw(st.sampled_from(BESIDE))
    own, theirs = ("10", "20") if "c=" in beside else ("20010", "30010")
    answered = draw(st.sampled_from([theirs, "0"])) if "c=" not in beside else theirs
    offers = [draw(spelled(OFFER)) + beside.format(own) for _ in range(2)]
    answers = [draw(spelled(ANSWER)) + beside.format(answered) for _ in range(3)]
    return offers, answers, draw(st.booleans()), draw(st.sampled_from([(), ("PCMU",)]))


def carried(engine, plan):
    """Carry a call; return the bodies of what the switch has sent, and whether the call was answered."""
    (offer, later), (early, answer, later_answer), is_late, codecs = plan
    terms = {"relay": VirtualRelay()} if engine is MediaEngine.RELAY else {"rtpengines": VirtualRtpEngines()}
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0, media=MediaSettings(codecs=codecs))]
    scene = Scene(catalogue(trunks, media=MediaParameters(engine=engine, mode=MediaMode.MUST_ON)), **terms)
    scene.vendor.script = Script((Line(0, 180), Line(300, 183, early), Line(500, 200, answer)))
    call = scene.caller.call(CALLEE, Intent(offer="" if is_late else offer))
    call.mine = "" if is_late else offer
    scene.wire.run_until(lambda: call.final)
    scene.wire.run_for(1_000)
    is_answered = call.final == 200
    if is_answered:
        call.mine, scene.vendor.calls[-1].mine = later, later_answer
        scene.propose(call, "a=sendonly")
        scene.finish(call)
    else:
        scene.close()
    sent = [each for each in scene.wire.packets if each.source not in {CUSTOMER, scene.vendor.address}]
    return [each.data.partition(b"\r\n\r\n")[2] for each in sent], is_answered


@pytest.mark.parametrize("engine", [MediaEngine.RELAY, MediaEngine.RTPENGINE])
@given(plan=calls())
@settings(max_examples=examples(30, 300), deadline=None)
def test_no_description_has_a_place_of_the_other_side(engine, plan):
    bodies, is_answered = carried(engine, plan)
    assert is_answered
    assert [(body, place) for body in bodies for place in PLACES if place in body] == []


def test_the_usual_form_is_not_refused():
    bodies, is_answered = carried(MediaEngine.RELAY, ((OFFER, OFFER), (ANSWER, ANSWER, ANSWER), False, ()))
    assert is_answered
    assert sum(USUAL.encode() in body for body in bodies) >= 4
