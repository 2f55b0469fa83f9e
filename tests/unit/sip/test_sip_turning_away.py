"""A request that there is no time for is answered with 503, and nothing is left of it (SIP-12, RFC 3261 8.2.7)."""

import pytest

from vosd.sip.flows import Listener
from vosd.sip.glance import Kind
from vosd.testing.probe import CUSTOMER, VENDOR, Keeper, Probe, reply, request

RETRY = "Retry-After: 3\r\n"


@pytest.fixture
def probe() -> Probe:
    return Probe()


def turn_away(probe: Probe, data: bytes) -> object:
    return probe.endpoint.turn_away(data, CUSTOMER, RETRY, probe.now)


def test_a_new_invite_is_refused_and_forgotten(probe):
    assert turn_away(probe, request("INVITE", via="SIP/2.0/UDP 10.0.0.1:5080;rport;branch=z9hG4bK-1")) is None
    (sent,) = probe.sent()
    assert sent.title == "503"
    assert sent.peer == CUSTOMER
    assert sent.response.header("retry-after") == "3"
    assert sent.response.to_tag == probe.endpoint.flows.refusal_tag
    assert sent.response.header("via") == ("SIP/2.0/UDP 10.0.0.1:5080;rport=5060;branch=z9hG4bK-1;received=192.0.2.10")
    assert probe.endpoint.census() == {"dialogs": 0, "transactions": 0, "timers": 0}
    assert probe.advance(60_000) == []
    assert probe.sent() == []


def test_said_again_it_is_refused_alike(probe):
    for _ in range(2):
        turn_away(probe, request("INVITE"))
    first, second = probe.sent()
    assert first.data == second.data


def test_its_acknowledgement_causes_nothing(probe):
    turn_away(probe, request("INVITE"))
    probe.sent()
    assert probe.receive(request("ACK", to=f"<sip:4420@192.0.2.1>;tag={probe.endpoint.flows.refusal_tag}")) is None
    assert probe.sent() == []


def test_the_repetition_of_an_invite_that_was_taken_is_none_to_be_refused(probe):
    event = probe.receive(request("INVITE"))
    event.transaction.respond(100, "", "", probe.now)
    probe.sent()
    assert turn_away(probe, request("INVITE")) is None
    assert probe.titles() == ["100"]
    event.transaction.respond(486, "tag", "", probe.now)
    probe.sent()
    turn_away(probe, request("INVITE"))
    assert probe.titles() == ["486"]


def test_what_is_over_is_not_refused_either(probe):
    probe.receive(request("OPTIONS"))
    (answer,) = probe.sent()
    turn_away(probe, request("OPTIONS"))
    assert [sent.data for sent in probe.sent()] == [answer.data]


@pytest.mark.parametrize(
    "data",
    [b"junk", b"INVITE sip:1@h SIP/2.0\r\n\r\n", request("INVITE").replace(b"CSeq: 1 INVITE", b"CSeq: 1 BYE")],
)
def test_what_cannot_be_read_is_not_answered(probe, data):
    assert turn_away(probe, data) is None
    assert probe.sent() == []
    assert probe.endpoint.dropped["malformed, and too much"] == 1


def test_a_response_is_taken_as_ever(probe):
    probe.call_vendor(Keeper())
    (invite,) = probe.sent()
    event = probe.endpoint.turn_away(reply(invite, 180), VENDOR, RETRY, probe.now)
    assert event.response.status == 180


def test_what_belongs_to_us_is_seen_without_reading(probe):
    probe.call_vendor(Keeper())
    (invite,) = probe.sent()
    answer = reply(invite, 180)
    assert probe.endpoint.belongs(Kind.RESPONSE, answer)
    assert not probe.endpoint.belongs(Kind.RESPONSE, answer.replace(b"branch=z9hG4bKmark", b"branch=z9hG4bKother"))
    bye = request("BYE", to="<sip:4420@192.0.2.1>;tag=ours")
    assert not probe.endpoint.belongs(Kind.WITHIN, bye)
    probe.endpoint.adopt("ours", Keeper())
    assert probe.endpoint.belongs(Kind.WITHIN, bye)
    assert not probe.endpoint.belongs(Kind.WITHIN, request("BYE"))


def test_over_a_connection_it_goes_back_on_it():
    probe = Probe(listeners=(Listener("192.0.2.1", 5060, "tcp"),))
    turn_away(probe, request("INVITE"))
    assert [sent.peer for sent in probe.sent()] == [CUSTOMER]
