"""The client transaction of INVITE on virtual time (RFC 3261 section 17.1.1, RFC 6026)."""

import pytest
from doubles.virtual.probe import SDP, VENDOR, Keeper, Probe, Sent, reply, straight

from vosd.sip.dialog.dialog import Dialog
from vosd.sip.events import NoResponse, ResponseArrived
from vosd.sip.settings import SipSettings, Timers
from vosd.sip.transaction.states import TransactionState
from vosd.sip.unclaimed_answers import COUNTED_EARLY_MAX
from vosd.sip.wire.outgoing import Datagram

T1 = 500
GIVE_UP = 64 * T1


def invited(probe: Probe, owner: Keeper) -> tuple[object, Sent]:
    transaction = probe.call_vendor(owner)
    return transaction, probe.sent()[0]


def test_the_invite_has_all_required_headers(probe, owner):
    _, sent = invited(probe, owner)
    asked = sent.request
    assert sent.peer == VENDOR
    assert (asked.method, asked.uri, asked.body) == ("INVITE", "sip:4420@198.51.100.7:5060", SDP)
    assert asked.header("via") == "SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bKmarktoken1"
    assert asked.header("max-forwards") == "69"
    assert asked.header("contact") == "<sip:192.0.2.1:5060>"
    assert (asked.from_tag, asked.to_tag) == ("ours", "")


def test_timer_a_doubles_from_t1_until_timer_b_gives_up_after_64_t1(probe, owner):
    transaction, _ = invited(probe, owner)
    events = probe.advance(GIVE_UP)
    assert probe.times_of("INVITE") == [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500]
    assert [(type(event), event.owner, event.transaction) for event in events] == [(NoResponse, owner, transaction)]
    assert probe.now.mono - events[0].at.mono == 0
    assert probe.has_nothing_left


def test_the_timers_follow_the_settings(owner):
    probe = Probe(SipSettings(timers=Timers(t1_ms=50, t2_ms=400, t4_ms=500)))
    probe.call_vendor(owner)
    assert [type(event) for event in probe.advance(3_200)] == [NoResponse]
    assert probe.times_of("INVITE") == [0, 50, 150, 350, 750, 1_550, 3_150]


def test_a_repeated_invite_is_the_same_to_the_byte(probe, owner):
    invited(probe, owner)
    probe.advance(GIVE_UP)
    assert len({sent.data for sent in probe.log}) == 1


def test_a_provisional_response_ends_the_repetitions(probe, owner):
    transaction, sent = invited(probe, owner)
    probe.advance(700)
    event = probe.receive(reply(sent, 100), VENDOR)
    assert isinstance(event, ResponseArrived)
    assert (event.owner, event.transaction, event.response.status) == (owner, transaction, 100)
    assert event.at == probe.now
    assert probe.advance(10 * GIVE_UP) == []
    assert probe.times_of("INVITE") == [0, 500]
    assert transaction.state is TransactionState.PROCEEDING


def test_every_provisional_response_is_reported(probe, owner):
    _, sent = invited(probe, owner)
    statuses = (100, 180, 180, 183)
    assert [probe.receive(reply(sent, status), VENDOR).response.status for status in statuses] == list(statuses)


@pytest.mark.parametrize("status", [302, 404, 486, 503, 603])
def test_a_failure_is_reported_once_and_acknowledged_each_time(probe, owner, status):
    """Section 17.1.1.3: the ACK repeats Request-URI, Via, From, Call-ID and CSeq number, and the response's To."""
    _, sent = invited(probe, owner)
    failure = reply(sent, status)
    assert probe.receive(failure, VENDOR).response.status == status
    [ack] = probe.sent()
    asked, acked = sent.request, ack.request
    assert ack.peer == VENDOR
    assert (acked.method, acked.uri, acked.body) == ("ACK", asked.uri, b"")
    for name in ("via", "from", "call-id"):
        assert acked.header(name) == asked.header(name)
    assert (acked.cseq, acked.to_tag) == ((1, "ACK"), "vendor")

    probe.advance(T1)
    assert probe.receive(failure, VENDOR) is None
    assert [again.data for again in probe.sent()] == [ack.data]


def test_timer_d_ends_the_memory_of_a_failure(probe, owner):
    _, sent = invited(probe, owner)
    failure = reply(sent, 486)
    probe.receive(failure, VENDOR)
    probe.advance(GIVE_UP - 1)
    assert probe.endpoint.census()["transactions"] == 1
    assert probe.endpoint.census()["timers"] == 0, "a finished transaction costs a row, not a timer"
    probe.advance(T1 + 1)
    assert probe.has_nothing_left
    probe.sent()
    assert probe.receive(failure, VENDOR) is None
    assert probe.sent() == []
    assert probe.endpoint.dropped["response to no request"] == 1


def test_a_2xx_is_reported_once_and_each_retransmission_gets_the_same_ack(probe, owner):
    """RFC 6026 section 7.2: the Accepted state keeps the transaction for 64·T1 (timer M)."""
    transaction, sent = invited(probe, owner)
    success = reply(sent, 200, body=SDP)
    event = probe.receive(success, VENDOR)
    assert event.response.status == 200
    dialog = Dialog.of_callee(transaction.parts, "ours", event.response, straight)
    probe.endpoint.client.send_ack(transaction, dialog, "", b"")
    [ack] = probe.sent()
    assert ack.request.method == "ACK"
    assert ack.request.uri == "sip:vendor@198.51.100.7:5060"
    assert ack.request.cseq == (1, "ACK")
    assert ack.request.via.branch != sent.request.via.branch
    assert ack.request.to_tag == "vendor"

    for _ in range(3):
        probe.advance(T1)
        assert probe.receive(success, VENDOR) is None
        assert [again.data for again in probe.sent()] == [ack.data]
    probe.advance(GIVE_UP)
    assert probe.has_nothing_left


def test_a_2xx_repeated_before_it_is_acknowledged_is_swallowed(probe, owner):
    """A late offer: the ACK waits for the caller's answer."""
    _, sent = invited(probe, owner)
    success = reply(sent, 200, body=SDP)
    assert probe.receive(success, VENDOR) is not None
    assert probe.receive(success, VENDOR) is None
    assert probe.receive(reply(sent, 180), VENDOR) is None
    assert probe.sent() == []


@pytest.mark.parametrize("status", [200, 486])
def test_a_final_response_ends_the_references_to_the_call_and_to_the_draft_of_the_invite(probe, owner, status):
    """The callee keeps its transaction until the call is over: both would be kept for hours."""
    transaction, sent = invited(probe, owner)
    transaction.draft = object()
    probe.receive(reply(sent, status), VENDOR)
    assert (transaction.owner, transaction.draft) == (None, None)


def test_a_provisional_response_after_the_final_one_is_swallowed(probe, owner):
    _, sent = invited(probe, owner)
    probe.receive(reply(sent, 486), VENDOR)
    probe.sent()
    assert probe.receive(reply(sent, 183), VENDOR) is None
    assert probe.sent() == []


def test_a_response_with_another_branch_or_method_is_nobodys(probe, owner):
    _, sent = invited(probe, owner)
    for wrong in (
        reply(sent, 180).replace(b"z9hG4bKmarktoken1", b"z9hG4bKmarktoken2"),
        reply(sent, 200).replace(b"z9hG4bKmarktoken1", b"z9hG4bKother"),
        reply(sent, 200).replace(b"CSeq: 1 INVITE", b"CSeq: 1 BYE"),
    ):
        assert probe.receive(wrong, VENDOR) is None
    assert probe.endpoint.dropped == {"response to no request": 3}


SECOND_VIA = [
    (", SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx", ""),
    ("", "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx\r\n"),
    ("", "v: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx\r\n"),
    ("", "Via: \r\n"),
]


@pytest.mark.parametrize(("top", "more"), SECOND_VIA, ids=["one line", "two lines", "compact", "empty"])
@pytest.mark.parametrize("status", [180, 200, 486])
def test_a_response_with_several_vias_is_ours_where_our_branch_is_on_top(probe, owner, status, top, more):
    """Section 8.1.3.3 says otherwise, but a vendor's 200 that is discarded is a call that he bills."""
    _, sent = invited(probe, owner)
    via = f"Via: {sent.request.header('via')}"
    data = reply(sent, status, headers=more).replace(via.encode(), f"{via}{top}".encode())
    assert probe.receive(data, VENDOR).owner is owner
    assert probe.endpoint.dropped == {}


def test_a_response_whose_topmost_via_is_another_ones_changes_nothing(probe, owner):
    _, sent = invited(probe, owner)
    via = f"Via: {sent.request.header('via')}"
    data = reply(sent, 200).replace(via.encode(), f"Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx\r\n{via}".encode())
    assert probe.receive(data, VENDOR) is None
    assert probe.endpoint.dropped == {"response to no request": 1}
    assert probe.sent() == []
    probe.advance(T1)
    assert probe.titles() == ["INVITE"]


@pytest.mark.parametrize("mark", [";rport=5060", ";received=192.0.2.1;rport=5060", ";x=y"])
def test_what_the_peer_adds_to_our_via_is_no_obstacle(probe, owner, mark):
    """RFC 3581 section 4."""
    _, sent = invited(probe, owner)
    data = reply(sent, 200).replace(b";rport", mark.encode())
    assert probe.receive(data, VENDOR).owner is owner


@pytest.mark.parametrize("first", [200, 486])
def test_a_2xx_of_another_fork_is_acknowledged_and_hung_up_once(probe, owner, first):
    """RFC 3261 section 13.2.2.4: the vendor's second answer would otherwise go on, and cost."""
    transaction, sent = invited(probe, owner)
    event = probe.receive(reply(sent, first, to_tag="winner"), VENDOR)
    if first == 200:
        dialog = Dialog.of_callee(transaction.parts, "ours", event.response, straight)
        probe.endpoint.client.send_ack(transaction, dialog, "", b"")
    [winners_ack] = probe.sent()

    second = reply(sent, 200, to_tag="second", headers="Contact: <sip:second@198.51.100.8:5070>\r\n")
    assert probe.receive(second, VENDOR) is None
    ack, bye = probe.sent()
    assert (ack.request.cseq, bye.request.cseq) == ((1, "ACK"), (2 + COUNTED_EARLY_MAX, "BYE"))
    for ending in (ack, bye):
        assert ending.peer.host == "198.51.100.8"
        assert ending.request.uri == "sip:second@198.51.100.8:5070"
        assert ending.request.call_id == sent.request.call_id
        assert (ending.request.from_tag, ending.request.to_tag) == ("ours", "second")
    assert probe.receive(reply(bye, 200), VENDOR) is None

    assert probe.receive(second, VENDOR) is None
    assert probe.receive(reply(sent, first, to_tag="winner"), VENDOR) is None
    assert [again.data for again in probe.sent()] == [ack.data, winners_ack.data]
    assert probe.endpoint.dropped["late answer"] == 1
    probe.advance(GIVE_UP + T1)
    assert probe.has_nothing_left


def test_a_repeated_2xx_that_has_lost_its_tag_ends_nothing(probe, owner):
    """A BYE without a tag might end the call that goes on."""
    transaction, sent = invited(probe, owner)
    event = probe.receive(reply(sent, 200), VENDOR)
    dialog = Dialog.of_callee(transaction.parts, "ours", event.response, straight)
    probe.endpoint.client.send_ack(transaction, dialog, "", b"")
    probe.sent()
    assert probe.receive(reply(sent, 200, to_tag=""), VENDOR) is None
    assert probe.titles() == ["ACK"]


def test_the_memory_of_an_answered_invite_is_its_ack_and_nothing_more(probe, owner):
    transaction, sent = invited(probe, owner)
    event = probe.receive(reply(sent, 200), VENDOR)
    dialog = Dialog.of_callee(transaction.parts, "ours", event.response, straight)
    probe.endpoint.client.send_ack(transaction, dialog, "", b"")
    [ack] = probe.sent()
    kept = probe.endpoint.store.finished.get(f"{sent.request.via.branch} INVITE")
    assert kept == Datagram(ack.peer, ack.data)
    assert probe.endpoint.census() == {"dialogs": 0, "transactions": 1, "timers": 0}


# -- within a dialog ----------------------------------------------------------------------------------------------


def answered(probe: Probe, owner: Keeper) -> Dialog:
    transaction, sent = invited(probe, owner)
    event = probe.receive(reply(sent, 200, body=SDP), VENDOR)
    dialog = Dialog.of_callee(transaction.parts, "ours", event.response, straight)
    probe.endpoint.client.send_ack(transaction, dialog, "", b"")
    probe.sent()
    return dialog


def test_a_reinvite_has_the_next_cseq_and_the_tag_of_the_peer(probe, owner):
    """Section 14.1."""
    dialog = answered(probe, owner)
    transaction = probe.invite_again(dialog, owner, headers=probe.endpoint.flows.contacts[0])
    [sent] = probe.sent()
    assert (sent.request.cseq, sent.request.uri) == ((2, "INVITE"), "sip:vendor@198.51.100.7:5060")
    assert (sent.request.from_tag, sent.request.to_tag) == ("ours", "vendor")
    event = probe.receive(reply(sent, 200, body=SDP), VENDOR)
    assert (event.owner, event.transaction) == (owner, transaction)


def test_a_reinvite_without_final_response_is_cancelled_after_64_t1_and_given_up_after_64_t1_more(probe, owner):
    """A re-INVITE does not ring: a peer that sends 100 still has to send a final response."""
    transaction = probe.invite_again(answered(probe, owner), owner)
    probe.advance(700)
    probe.receive(reply(probe.sent()[0], 100), VENDOR)
    assert probe.advance(GIVE_UP) == []
    [cancel] = probe.sent()
    assert (cancel.at, cancel.request.cseq) == (700 + GIVE_UP, (2, "CANCEL"))
    probe.receive(reply(cancel, 200), VENDOR)
    assert probe.advance(GIVE_UP - 1) == []
    assert probe.advance(1) == [NoResponse(owner, transaction, probe.now)]
    assert probe.sent() == []


def test_a_reinvite_given_up_that_is_answered_is_acknowledged_and_the_call_goes_on(probe, owner):
    """Section 9.1: the 200 was on its way already."""
    transaction = probe.invite_again(answered(probe, owner), owner)
    [sent] = probe.sent()
    probe.receive(reply(sent, 100), VENDOR)
    transaction.abandon("", probe.now)
    success = reply(sent, 200, body=SDP)
    assert probe.receive(success, VENDOR) is None
    assert probe.receive(success, VENDOR) is None
    assert probe.titles() == ["CANCEL", "ACK", "ACK"]
    assert probe.endpoint.dropped == {}
