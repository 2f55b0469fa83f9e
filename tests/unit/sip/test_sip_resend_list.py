"""The operator's list of waits in place of timers A, B, E and F: ``SS_SIP_RESEND_INTERVAL``."""

import pytest
from doubles.virtual.probe import SDP, VENDOR, Keeper, Probe, reply, request, straight

from vosd.sip.dialog.dialog import Dialog
from vosd.sip.events import NoResponse, UnwantedAnswer
from vosd.sip.flows import Listener
from vosd.sip.settings import SipSettings, Timers

T1, T2 = 500, 4_000
RFC_GIVE_UP = 64 * T1
UP_TO_T2 = [0, 500, 1_500, 3_500, *range(7_500, RFC_GIVE_UP, T2)]
LIST = (1_000, 2_000)
AT = [0, 1_000, 3_000]
SUM = 3_000


@pytest.fixture
def probe() -> Probe:
    return Probe(SipSettings(timers=Timers(resend_ms=LIST)))


def answered(probe: Probe, owner: Keeper) -> Dialog:
    """Call the vendor, which answers."""
    transaction = probe.call_vendor(owner)
    event = probe.receive(reply(probe.log[-1], 200, body=SDP), VENDOR)
    dialog = Dialog.of_callee(transaction.parts, "ours", event.response, straight)
    probe.endpoint.client.send_ack(transaction, dialog, "", b"")
    return dialog


@pytest.mark.parametrize("resend_ms", [(1,), (500,), (1_000, 2_000), (4_000, 100, 100), (500,) * 20])
def test_an_invite_follows_the_list_to_its_end(owner, resend_ms):
    """Wait n precedes retransmission n; the sum is the time-out."""
    probe = Probe(SipSettings(timers=Timers(resend_ms=resend_ms)))
    transaction = probe.call_vendor(owner)
    times = [sum(resend_ms[:count]) for count in range(len(resend_ms) + 1)]
    [event] = probe.advance(sum(resend_ms) + 10)
    assert isinstance(event, NoResponse)
    assert (event.owner, event.transaction) == (owner, transaction)
    heard = [round(at, -1) for at in probe.times_of("INVITE")]
    assert heard == [-(-at // 10) * 10 for at in times], "to the tick of the timers"


def test_any_other_request_follows_it_too(probe, owner):
    dialog = answered(probe, owner)
    client = probe.endpoint.client.send_request(dialog, "UPDATE", "", b"", owner, probe.now)
    assert probe.advance(SUM - 1) == []
    assert probe.advance(1) == [NoResponse(owner, client, probe.now)]
    assert probe.times_of("UPDATE") == AT


@pytest.mark.parametrize("resend_ms", [(1_000,), LIST])
def test_over_a_connection_nothing_is_sent_again_whatever_the_list(owner, resend_ms):
    probe = Probe(SipSettings(timers=Timers(resend_ms=resend_ms)), listeners=(Listener("192.0.2.1", 5060, "tcp"),))
    probe.call_vendor(owner)
    assert [type(event) for event in probe.advance(sum(resend_ms))] == [NoResponse]
    assert probe.times_of("INVITE") == [0]


def test_requests_without_owner_follow_it_and_leave_no_state(probe, owner):
    probe.endpoint.client.send_bye(answered(probe, owner), "", probe.now)
    assert probe.advance(RFC_GIVE_UP + T1) == []
    assert probe.times_of("BYE") == AT
    assert probe.has_nothing_left


def test_a_response_ends_the_list(probe, owner):
    probe.call_vendor(owner)
    [asked] = probe.sent()
    probe.advance(1_500)
    probe.receive(reply(asked, 100), VENDOR)
    assert probe.advance(10 * RFC_GIVE_UP) == []
    assert probe.times_of("INVITE") == [0, 1_000]


def test_after_a_provisional_response_a_request_slows_down_to_t2_within_the_sum(owner):
    """RFC 3261 section 17.1.2.2."""
    probe = Probe(SipSettings(timers=Timers(resend_ms=(500,) * 20)))
    client = probe.endpoint.client.send_request(answered(probe, owner), "UPDATE", "", b"", owner, probe.now)
    asked = probe.log[-1]
    probe.advance(600)
    probe.receive(reply(asked, 100), VENDOR)
    assert probe.advance(9_400) == [NoResponse(owner, client, probe.now)]
    assert probe.times_of("UPDATE") == [0, 500, 4_600, 8_600]


@pytest.mark.parametrize("status", [486, 200])
def test_responses_keep_the_timers_of_the_rfc(probe, status):
    """The list is for requests of ours; timers G and H are the peer's affair too."""
    event = probe.receive(request())
    dialog = Dialog.of_caller(event.request, "ours", event.source, straight)
    if status == 200:
        probe.accept(event.transaction, dialog, Keeper())
    else:
        event.transaction.respond(status, "ours", "", probe.now)
    probe.advance(RFC_GIVE_UP)
    assert probe.times_of(str(status)) == UP_TO_T2


def test_an_answer_after_the_list_and_within_64_t1_is_ended(probe, owner):
    """The peer may have received the last retransmission; its answer would cost until it gives up itself."""
    transaction = probe.call_vendor(owner)
    [asked] = probe.sent()
    assert [type(event) for event in probe.advance(SUM)] == [NoResponse]
    transaction.witness = witness = Keeper()
    probe.sent()
    event = probe.receive(reply(asked, 200, body=SDP), VENDOR)
    assert isinstance(event, UnwantedAnswer)
    assert event.owner is witness
    assert probe.titles() == ["ACK", "BYE"]


def test_a_provisional_response_after_the_list_is_cancelled(probe, owner):
    probe.call_vendor(owner)
    [asked] = probe.sent()
    probe.advance(SUM)
    probe.sent()
    assert probe.receive(reply(asked, 180), VENDOR) is None
    assert probe.titles() == ["CANCEL"]


def test_64_t1_after_its_first_datagram_an_unheard_invite_is_forgotten(probe, owner):
    probe.call_vendor(owner)
    probe.advance(RFC_GIVE_UP - 1)
    assert not probe.has_nothing_left
    assert probe.advance(1) == [], "it was reported at the end of the list"
    assert probe.has_nothing_left


def test_a_list_longer_than_64_t1_is_followed_to_its_end(owner):
    probe = Probe(SipSettings(timers=Timers(resend_ms=(30_000, 30_000))))
    probe.call_vendor(owner)
    assert probe.advance(59_999) == []
    assert [type(event) for event in probe.advance(1)] == [NoResponse]
    assert probe.times_of("INVITE") == [0, 30_000, 60_000]
    assert probe.has_nothing_left


def test_an_abandoned_invite_follows_the_list_to_its_end_and_accepts_a_late_answer(probe, owner):
    transaction = probe.call_vendor(owner)
    sent = probe.log[0]
    probe.advance(500)
    transaction.abandon("", probe.now)
    assert probe.advance(RFC_GIVE_UP - 100) == []
    assert probe.times_of("INVITE") == AT
    probe.receive(reply(sent, 200, body=SDP), VENDOR)
    assert probe.titles()[-2:] == ["ACK", "BYE"]
