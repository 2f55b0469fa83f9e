"""INVITEs of ours that are cancelled or abandoned, and late responses to them (RFC 3261 section 9.1)."""

import pytest
from doubles.virtual.probe import SDP, VENDOR, Keeper, Probe, Sent, reply

from vosd.sip.events import NoResponse, UnwantedAnswer
from vosd.sip.unclaimed_answers import COUNTED_EARLY_MAX

T1 = 500
GIVE_UP = 64 * T1


def invited(probe: Probe, owner: Keeper) -> tuple[object, Sent]:
    transaction = probe.call_vendor(owner)
    return transaction, probe.sent()[0]


def test_an_invite_given_up_after_a_provisional_response_is_cancelled_at_once(probe, owner):
    """Section 9.1: the CANCEL repeats Request-URI, topmost Via, From, To, Call-ID and CSeq number."""
    transaction, sent = invited(probe, owner)
    probe.receive(reply(sent, 180), VENDOR)
    transaction.abandon('Reason: Q.850;cause=16;text="x"\r\n', probe.now)
    [cancel] = probe.sent()
    asked, cancelled = sent.request, cancel.request
    assert cancel.peer == VENDOR
    assert (cancelled.method, cancelled.uri, cancelled.cseq) == ("CANCEL", asked.uri, (1, "CANCEL"))
    for name in ("via", "from", "to", "call-id"):
        assert cancelled.header(name) == asked.header(name)
    assert cancelled.header("reason") == 'Q.850;cause=16;text="x"'

    assert probe.receive(reply(cancel, 200), VENDOR) is None
    assert probe.receive(reply(sent, 487), VENDOR) is None
    assert probe.titles() == ["ACK"]
    probe.advance(GIVE_UP + T1)
    assert probe.has_nothing_left


def test_an_invite_given_up_before_any_response_is_repeated_and_cancelled_by_the_first(probe, owner):
    """Sections 9.1 and 17.1.1.2: the peer may ring already, and its responses be lost."""
    transaction, sent = invited(probe, owner)
    probe.advance(600)
    transaction.abandon("", probe.now)
    probe.advance(10_000)
    assert probe.times_of("INVITE") == [0, 500, 1_500, 3_500, 7_500]
    assert probe.times_of("CANCEL") == []
    assert probe.receive(reply(sent, 180), VENDOR) is None
    assert probe.times_of("CANCEL") == [10_600]
    assert probe.receive(reply(sent, 180), VENDOR) is None
    probe.receive(reply(probe.sent()[-1], 200), VENDOR)
    probe.advance(GIVE_UP)
    assert probe.times_of("CANCEL") == [10_600]
    assert len(probe.times_of("INVITE")) == 5


def test_an_abandoned_invite_is_retransmitted_for_64_t1_and_answered_for_64_t1_more(probe, owner):
    transaction, sent = invited(probe, owner)
    probe.advance(5_000)
    transaction.abandon("", probe.now, owner)
    assert probe.advance(GIVE_UP - 100) == []
    assert probe.times_of("INVITE") == [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500]
    told = probe.receive(reply(sent, 200, body=SDP), VENDOR)
    assert isinstance(told, UnwantedAnswer)
    assert told.owner is owner
    assert probe.titles()[-2:] == ["ACK", "BYE"]


def test_a_cancel_is_repeated_by_timer_e_until_it_is_answered(probe, owner):
    transaction, sent = invited(probe, owner)
    probe.receive(reply(sent, 100), VENDOR)
    transaction.abandon("", probe.now)
    probe.advance(4_000)
    assert probe.times_of("CANCEL") == [0, 500, 1_500, 3_500]


def test_a_cancel_that_was_answered_is_not_repeated_while_its_invite_waits(probe, owner):
    transaction, sent = invited(probe, owner)
    probe.receive(reply(sent, 100), VENDOR)
    transaction.abandon("", probe.now)
    probe.receive(reply(probe.log[-1], 200), VENDOR)
    probe.advance(4_000)
    assert probe.times_of("CANCEL") == [0]


def test_responses_to_a_cancelled_invite_still_reach_its_owner(probe, owner):
    """Section 9.1: a 200 may have been on its way already, and then it holds."""
    transaction, sent = invited(probe, owner)
    probe.receive(reply(sent, 180), VENDOR)
    transaction.cancel("", probe.now)
    transaction.cancel("", probe.now)
    assert probe.titles() == ["CANCEL"]
    event = probe.receive(reply(sent, 200, body=SDP), VENDOR)
    assert (event.owner, event.response.status) == (owner, 200)


def test_an_invite_cancelled_before_any_response_is_repeated_and_cancelled_by_the_first(probe, owner):
    transaction, sent = invited(probe, owner)
    transaction.cancel("", probe.now)
    probe.advance(600)
    assert probe.titles() == ["INVITE"]
    assert probe.receive(reply(sent, 100), VENDOR).response.status == 100
    assert probe.titles() == ["CANCEL"]
    transaction.abandon("", probe.now)
    assert probe.titles() == []
    probe.receive(reply(sent, 487), VENDOR)
    assert probe.titles() == ["ACK"]


def test_a_cancelled_invite_that_brings_no_final_response_is_reported_after_64_t1(probe, owner):
    transaction, sent = invited(probe, owner)
    probe.receive(reply(sent, 180), VENDOR)
    transaction.cancel("", probe.now)
    probe.receive(reply(probe.sent()[-1], 200), VENDOR)
    assert probe.advance(GIVE_UP) == [NoResponse(owner, transaction, probe.now)]


def test_a_2xx_behind_the_481_to_its_cancel_is_told_for_64_t1(probe, owner):
    """Section 9.2: it may have crossed the CANCEL. Within a dialog a peer that knows none has lost it."""
    transaction, sent = invited(probe, owner)
    probe.receive(reply(sent, 180), VENDOR)
    transaction.abandon("", probe.now, owner)
    probe.receive(reply(probe.sent()[-1], 481), VENDOR)
    probe.advance(GIVE_UP - 10)
    assert isinstance(probe.receive(reply(sent, 200, body=SDP), VENDOR), UnwantedAnswer)


def test_an_abandoned_invite_without_answer_is_forgotten_after_64_t1(probe, owner):
    transaction, _ = invited(probe, owner)
    transaction.abandon("", probe.now)
    probe.advance(GIVE_UP - 10)
    assert not probe.has_nothing_left
    assert probe.advance(10) == []
    assert probe.has_nothing_left


def test_a_cancelled_invite_without_final_response_is_forgotten_after_64_t1(probe, owner):
    transaction, sent = invited(probe, owner)
    probe.receive(reply(sent, 180), VENDOR)
    transaction.abandon("", probe.now)
    cancel = probe.sent()[0]
    probe.receive(reply(cancel, 200), VENDOR)
    assert probe.advance(GIVE_UP + T1) == []
    assert probe.has_nothing_left


@pytest.mark.parametrize("rang", [True, False])
def test_a_2xx_that_comes_after_giving_up_is_acknowledged_and_hung_up(probe, owner, rang):
    transaction, sent = invited(probe, owner)
    if rang:
        probe.receive(reply(sent, 180), VENDOR)
    transaction.abandon("", probe.now)
    probe.sent()
    success = reply(sent, 200, headers="Record-Route: <sip:192.0.2.77;lr>\r\n", body=SDP)
    assert probe.receive(success, VENDOR) is None
    ack, bye = probe.sent()
    assert (ack.request.method, bye.request.method) == ("ACK", "BYE")
    for late in (ack, bye):
        assert late.peer.host == "192.0.2.77"
        assert late.request.uri == "sip:vendor@198.51.100.7:5060"
        assert (late.request.from_tag, late.request.to_tag) == ("ours", "vendor")
    assert (ack.request.cseq, bye.request.cseq) == ((1, "ACK"), (2 + COUNTED_EARLY_MAX, "BYE"))
    assert probe.endpoint.dropped["late answer"] == 1

    assert probe.receive(success, VENDOR) is None
    assert [again.data for again in probe.sent()] == [ack.data]
    assert probe.receive(reply(bye, 200), VENDOR) is None
    probe.advance(GIVE_UP + T1)
    assert probe.has_nothing_left


def test_giving_up_after_the_final_response_sends_nothing(probe, owner):
    transaction, sent = invited(probe, owner)
    probe.receive(reply(sent, 486), VENDOR)
    probe.sent()
    transaction.abandon("", probe.now)
    probe.advance(GIVE_UP + T1)
    assert probe.sent() == []
    assert probe.has_nothing_left
