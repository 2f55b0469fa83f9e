"""A request that there is no time for is answered with 503, and nothing is left of it (RFC 3261 8.2.7)."""

import pytest
from doubles.virtual.probe import CUSTOMER, VENDOR, Keeper, Probe, Sent, reply, request, straight
from hypothesis import given, strategies as st

from vosd.sip.dialog.dialog import Dialog
from vosd.sip.flows import Listener
from vosd.sip.transaction.refused import REFUSED_MS, RecentRefusals
from vosd.sip.wire.classify import MessageKind
from vosd.sip.wire.outgoing import Datagram
from vosd.sip.wire.parse import parse_message

RETRY = "Retry-After: 3\r\n"


@pytest.fixture
def probe() -> Probe:
    return Probe()


def refuse_overload(probe: Probe, data: bytes) -> Sent | None:
    """Return the refusal, if it comes to one."""
    outcome = probe.endpoint.refuse_overload(data, CUSTOMER, RETRY, probe.now)
    return Sent(0, outcome.peer, outcome.data) if isinstance(outcome, Datagram) else outcome


def test_a_new_invite_is_refused_and_forgotten(probe):
    sent = refuse_overload(probe, request("INVITE", via="SIP/2.0/UDP 10.0.0.1:5080;rport;branch=z9hG4bK-1"))
    assert sent.title == "503"
    assert sent.peer == CUSTOMER
    assert sent.response.header("retry-after") == "3"
    assert sent.response.to_tag == probe.endpoint.flows.refusal_tag
    assert sent.response.header("via") == ("SIP/2.0/UDP 10.0.0.1:5080;rport=5060;branch=z9hG4bK-1;received=192.0.2.10")
    assert probe.endpoint.census() == {"dialogs": 0, "transactions": 0, "timers": 0}
    assert probe.advance(60_000) == []
    assert probe.sent() == []


def test_a_retransmission_is_refused_alike(probe):
    first, second = refuse_overload(probe, request("INVITE")), refuse_overload(probe, request("INVITE"))
    assert first.data == second.data


def test_a_retransmission_under_less_load_is_refused_alike_and_is_no_call(probe):
    """Its sender has given the INVITE up by then, or is about to."""
    refusal = refuse_overload(probe, request("INVITE"))
    probe.advance(500)
    assert probe.receive(request("INVITE")) is None
    assert [sent.data for sent in probe.sent()] == [refusal.data]
    probe.advance(REFUSED_MS)
    assert probe.receive(request("INVITE")) is not None


def test_a_refusal_as_long_as_what_it_refuses_is_not_remembered():
    refusals = RecentRefusals()
    refusals.keep("long", Datagram(CUSTOMER, b"503" * 1_000), now_ms=0)
    assert len(refusals) == 0


def test_the_tag_of_refusals_opens_nothing_but_the_way_of_their_acks(probe):
    tag = probe.endpoint.flows.refusal_tag
    assert probe.endpoint.belongs(MessageKind.WITHIN, request("ACK", to=f"<sip:4420@192.0.2.1>;tag={tag}"))
    assert not probe.endpoint.belongs(MessageKind.WITHIN, request("INVITE", to=f"<sip:4420@192.0.2.1>;tag={tag}"))


def test_refusals_without_end_take_no_memory_without_end():
    refusals = RecentRefusals(most=3)
    for number in range(9):
        refusals.keep(str(number), Datagram(CUSTOMER, b"503"), now_ms=0)
    assert [number for number in range(9) if refusals.get(str(number), 0) is not None] == [6, 7, 8]
    refusals.keep("9", Datagram(CUSTOMER, b"503"), now_ms=REFUSED_MS)
    assert len(refusals) == 1


def test_its_acknowledgement_causes_nothing(probe):
    refuse_overload(probe, request("INVITE"))
    assert probe.receive(request("ACK", to=f"<sip:4420@192.0.2.1>;tag={probe.endpoint.flows.refusal_tag}")) is None
    assert probe.sent() == []


def test_the_repetition_of_an_invite_that_was_taken_is_none_to_be_refused(probe):
    event = probe.receive(request("INVITE"))
    event.transaction.respond(100, "", "", probe.now)
    probe.sent()
    assert refuse_overload(probe, request("INVITE")) is None
    assert probe.titles() == ["100"]
    event.transaction.respond(486, "tag", "", probe.now)
    probe.sent()
    refuse_overload(probe, request("INVITE"))
    assert probe.titles() == ["486"]


def test_what_is_over_is_not_refused_either(probe):
    probe.receive(request("OPTIONS"))
    (answer,) = probe.sent()
    refuse_overload(probe, request("OPTIONS"))
    assert [sent.data for sent in probe.sent()] == [answer.data]


@pytest.mark.parametrize(
    "data", [b"junk", b"INVITE sip:1@h SIP/2.0\r\n\r\n", request("INVITE").replace(b"CSeq: 1 INVITE", b"CSeq: 1 BYE")]
)
def test_what_cannot_be_read_is_not_answered(probe, data):
    assert refuse_overload(probe, data) is None
    assert probe.sent() == []
    assert probe.endpoint.dropped["malformed, and too much"] == 1


def test_a_response_is_taken_as_ever(probe):
    probe.call_vendor(Keeper())
    (invite,) = probe.sent()
    event = probe.endpoint.refuse_overload(reply(invite, 180), VENDOR, RETRY, probe.now)
    assert event.response.status == 180


def test_what_belongs_to_us_is_seen_without_reading(probe):
    probe.call_vendor(Keeper())
    (invite,) = probe.sent()
    answer = reply(invite, 180)
    assert probe.endpoint.belongs(MessageKind.RESPONSE, answer)
    forged = answer.replace(b"branch=z9hG4bKmarktoken1", b"branch=z9hG4bKmarktoken9")
    assert not probe.endpoint.belongs(MessageKind.RESPONSE, forged), "how our branches begin is no secret"
    assert not probe.endpoint.belongs(MessageKind.RESPONSE, answer.replace(b"INVITE", b"BYE"))
    probe.receive(reply(invite, 486), VENDOR)
    assert probe.endpoint.belongs(MessageKind.RESPONSE, answer), "said again"
    probe.advance(40_000)
    assert not probe.endpoint.belongs(MessageKind.RESPONSE, answer)


def test_what_is_within_a_dialog_of_ours_is_seen_without_reading(probe):
    bye = request("BYE", to="<sip:4420@192.0.2.1>;tag=ours")
    assert not probe.endpoint.belongs(MessageKind.WITHIN, bye)
    probe.endpoint.dialogs.adopt("ours", Keeper())
    assert probe.endpoint.belongs(MessageKind.WITHIN, bye)
    assert not probe.endpoint.belongs(MessageKind.WITHIN, request("BYE"))
    probe.endpoint.dialogs.forget("ours", probe.now)
    assert probe.endpoint.belongs(MessageKind.WITHIN, bye), "one may have crossed ours"
    probe.advance(40_000)
    assert not probe.endpoint.belongs(MessageKind.WITHIN, bye)


@pytest.mark.parametrize(
    ("written", "belongs"),
    [
        ("Call-ID: in@192.0.2.10", True),
        ("i:  in@192.0.2.10 ", True),
        ("CALL-id :\r\n in@192.0.2.10", True),
        ("X: none that can be seen", True),
        ("Call-ID: in@192.0.2.1", False),
        ("Call-ID: In@192.0.2.10", False),
    ],
)
def test_a_request_within_a_dialog_has_its_call_id(probe, written, belongs):
    owner = Keeper()
    owner.dialog = Dialog.of_caller(probe.receive(request("INVITE")).request, "ours", CUSTOMER, straight)
    probe.endpoint.dialogs.adopt("ours", owner)
    bye = request("BYE", to="<sip:4420@192.0.2.1>;tag=ours").replace(b"Call-ID: in@192.0.2.10", written.encode())
    assert probe.endpoint.belongs(MessageKind.WITHIN, bye) is belongs
    assert probe.endpoint.dialog_of(bye) == ("ours" if belongs and "X:" not in written else "")
    other = bye.replace(b"tag=theirs", b"tag=other")
    assert not probe.endpoint.belongs(MessageKind.WITHIN, other) or "X:" in written
    forked = probe.receive(request("INVITE", branch="z9hG4bK-2", from_="<sip:1@h>;tag=other", cseq="9 INVITE"))
    owner.forks = {"other": Dialog.of_caller(forked.request, "ours", CUSTOMER, straight)}
    assert probe.endpoint.belongs(MessageKind.WITHIN, other) is belongs, "another fork"
    assert not probe.endpoint.dialog_of(bye.replace(b"tag=ours", b"tag=none"))


def test_what_is_for_an_invite_that_we_have_taken_is_seen_without_reading(probe):
    cancel, ack = request("CANCEL"), request("ACK", to="<sip:4420@192.0.2.1>;tag=any")
    assert not any(probe.endpoint.belongs(MessageKind.WITHIN, each) for each in (cancel, ack))
    event = probe.receive(request("INVITE"))
    assert all(probe.endpoint.belongs(MessageKind.WITHIN, each) for each in (cancel, ack))
    assert not probe.endpoint.belongs(MessageKind.WITHIN, request("CANCEL", branch="z9hG4bK-2"))
    assert not probe.endpoint.belongs(MessageKind.WITHIN, request("CANCEL", via="x"))
    assert not probe.endpoint.belongs(MessageKind.WITHIN, request("BYE")), "its branch is its own"
    event.transaction.respond(486, "tag", "", probe.now)
    probe.receive(ack)
    assert probe.endpoint.belongs(MessageKind.WITHIN, ack)


@pytest.mark.parametrize(
    "via",
    [
        "SIP/2.0/UDP 192.0.2.10:5060;rport;branch=z9hG4bK-1;x=1",
        "SIP / 2.0 / UDP 192.0.2.10 : 5060 ; Branch = z9hG4bK-1",
        'SIP/2.0/UDP 192.0.2.10:05060;x="a";branch=z9hG4bK-1, SIP/2.0/UDP 192.0.2.11;branch=z9hG4bK-2',
        "SIP/2.0/UDP 192.0.2.10:5060;x=y\r\n\t;branch=z9hG4bK-1",
    ],
)
def test_the_branch_of_an_invite_is_seen_in_any_form_of_via(probe, via):
    probe.receive(request("INVITE"))
    assert all(probe.endpoint.belongs(MessageKind.WITHIN, request(method, via=via)) for method in ("ACK", "CANCEL"))
    other = via.replace("192.0.2.10", "192.0.2.12")
    assert not probe.endpoint.belongs(MessageKind.WITHIN, request("CANCEL", via=other))
    far_behind = via.replace(";", f";y={'y' * 600};", 1)
    assert not probe.endpoint.belongs(MessageKind.WITHIN, request("CANCEL", via=far_behind)), "it is not searched for"


@pytest.mark.parametrize("method", ["BYE", "INFO", "INVITE", "PRACK", "UPDATE", "REFER"])
@pytest.mark.parametrize("headers", ["", "Require: nothing-we-know\r\n"])
def test_of_what_belongs_to_no_call_nothing_is_kept(probe, method, headers):
    """Any host can make it up, and would otherwise fill our memory with answers."""
    for _ in range(2):
        probe.receive(request(method, to="<sip:4420@192.0.2.1>;tag=unknowns", headers=headers))
    first, second = probe.sent()
    assert first.data == second.data
    assert first.title in {"481", "420"}
    assert probe.endpoint.census() == {"dialogs": 0, "transactions": 0, "timers": 0}


def test_over_a_connection_it_goes_back_on_it():
    probe = Probe(listeners=(Listener("192.0.2.1", 5060, "tcp"),))
    assert refuse_overload(probe, request("INVITE")).peer == CUSTOMER


# -- the short way and the whole way say the same -------------------------------------------------------------------

VIAS = [
    "SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK-1",
    "SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK-1",
    "SIP/2.0/UDP 192.0.2.10:5060;rport;branch=z9hG4bK-1",
    "SIP/2.0/UDP 10.0.0.1:5080;branch=z9hG4bK-1;rport",
    "SIP/2.0/TCP pbx.example.com;branch=z9hG4bK-1",
    "SIP/2.0/UDP 192.0.2.10:0;branch=z9hG4bK-1",
    "SIP/2.0/UDP 192.0.2.10:05060;branch=z9hG4bK-1",
    "SIP/2.0/UDP 192.0.2.10:70000;branch=z9hG4bK-1",
    "SIP/2.0/UDP 192.0.2.10:5060;rport;branch=z9hG4bK-1;rport",
    "SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK-1;received=192.0.2.99",
    "SIP/2.0/UDP 192.0.2.10:5060;branch=old",
    "SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK",
    "SIP/2.0/UDP 192.0.2.10:5060 ;branch=z9hG4bK-1",
    "SIP/2.0/UDP [2001:db8::1]:5060;branch=z9hG4bK-1",
    "SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK-1, SIP/2.0/UDP 10.9.9.9;branch=z9hG4bK-2",
    "SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK-1\r\nVia: SIP/2.0/UDP 10.9.9.9;branch=z9hG4bK-2",
    "SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK-1\r\nv: SIP/2.0/UDP 10.9.9.9;branch=z9hG4bK-2",
    "SIP/2.0/UDP 192.0.2.10:5060\r\n ;branch=z9hG4bK-1",
]
ADDRESSES = [
    "<sip:4930@192.0.2.10>;tag=theirs",
    '"Caller, the \\"first\\"" <sip:4930@192.0.2.10>;tag=theirs',
    "sip:4930@192.0.2.10;tag=theirs",
    "<sip:4930@192.0.2.10>;x=1;tag=theirs",
    "<sip:4930@192.0.2.10>",
    "Müller <sip:4930@192.0.2.10;user=phone>;tag=1.2-3",
]
CALLED = ["<sip:4420@192.0.2.1>", "sip:4420@192.0.2.1", '"x" <sip:4420@192.0.2.1>', "<sip:4420@192.0.2.1>;tag=ours"]
ODDITIES = [
    "",
    "To: <sip:2@h>\r\n",
    "i: other@h\r\n",
    "cSeq: 2 INVITE\r\n",
    "X: a\nVia: b\r\n",
    "X: a\rb\r\n",
    "Timestamp: 5\r\n",
]


@given(
    via=st.sampled_from(VIAS),
    from_=st.sampled_from(ADDRESSES),
    to=st.sampled_from(CALLED),
    cseq=st.sampled_from(["1 INVITE", "0 INVITE", "01 INVITE", "4294967296 INVITE", "1 BYE", "1  INVITE"]),
    call_id=st.sampled_from(["in@192.0.2.10", "a b", "ü@h"]),
    headers=st.sampled_from(ODDITIES),
    is_tcp=st.booleans(),
)
def test_the_short_path_answers_like_the_full_path_or_not_at_all(via, from_, to, cseq, call_id, headers, is_tcp):
    data = request("INVITE", via=via, from_=from_, to=to, cseq=cseq, call_id=call_id, headers=headers)
    probe = Probe(listeners=(Listener("192.0.2.1", 5060, "tcp" if is_tcp else "udp"),))
    server = probe.endpoint._server
    short = server.refuse_common_invite(data, CUSTOMER, RETRY, probe.now)
    server._repetitions._refused = RecentRefusals()
    assert short is None or short == server.refuse_overload(parse_message(data), CUSTOMER, RETRY, probe.now)
    assert probe.sent() == []


@pytest.mark.parametrize("via", VIAS[:5])
@pytest.mark.parametrize("from_", [ADDRESSES[0], ADDRESSES[5]])
def test_the_short_way_is_the_usual_one(probe, via, from_):
    assert probe.endpoint._server.refuse_common_invite(
        request("INVITE", via=via, from_=from_), CUSTOMER, RETRY, probe.now
    )


@pytest.mark.parametrize("via", VIAS[:5])
def test_the_short_path_recognises_accepted_requests(probe, via):
    event = probe.receive(request("INVITE", via=via))
    assert not probe.endpoint._server.refuse_common_invite(request("INVITE", via=via), CUSTOMER, RETRY, probe.now)
    event.transaction.respond(486, "tag", "", probe.now)
    assert not probe.endpoint._server.refuse_common_invite(request("INVITE", via=via), CUSTOMER, RETRY, probe.now)
