"""The server transactions on virtual time (RFC 3261 section 17.2, RFC 6026)."""

import pytest
from doubles.virtual.probe import CUSTOMER, SDP, UNKNOWN_SOURCE, Keeper, Probe, reply, request, straight
from msgspec.structs import replace

from vosd.base.nat import Nat
from vosd.sip.dialog.acceptance import Acceptance
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.events import AckMissing, CancelArrived, InviteArrived, RequestArrived
from vosd.sip.transaction.states import IllegalMoveError, TransactionState
from vosd.sip.wire.outgoing import Peer

T1, T2, T4 = 500, 4_000, 5_000
GIVE_UP = 64 * T1
UP_TO_T2 = [0, 500, 1_500, 3_500, *range(7_500, GIVE_UP, T2)]
INVITE = request(body=SDP)


def arrive(probe: Probe, data: bytes = INVITE) -> InviteArrived:
    event = probe.receive(data)
    assert isinstance(event, InviteArrived)
    return event


def accepted(probe: Probe, owner: Keeper) -> Acceptance:
    """Answer an INVITE with 200."""
    event = arrive(probe)
    event.transaction.owner = owner
    owner.dialog = Dialog.of_caller(event.request, "ours", event.source, straight)
    probe.endpoint.dialogs.adopt("ours", owner)
    return probe.accept(event.transaction, owner.dialog, owner)


def ack(probe: Probe, status: str, **changes) -> bytes:
    """Write the ACK of a response: in the transaction for a failure, in the dialog for a 2xx."""
    final = next(sent for sent in probe.log if sent.title == status).response
    branch = "z9hG4bK-1" if int(status) >= 300 else "z9hG4bK-ack"
    return request("ACK", branch=branch, to=final.header("to"), cseq="1 ACK", **changes)


# -- INVITE -------------------------------------------------------------------------------------------------------


def test_an_invite_is_reported_with_its_source_and_instant(probe):
    event = arrive(probe)
    assert (event.source, event.at, event.request.body) == (CUSTOMER, probe.now, SDP)
    assert probe.sent() == [], "the 100 is the call's to send, at once"


def test_a_repeated_invite_gets_the_last_provisional_response_again(probe):
    transaction = arrive(probe).transaction
    assert probe.receive(INVITE) is None
    assert probe.sent() == []
    for status in (100, 180):
        transaction.respond(status, "ours", "", probe.now)
        assert probe.receive(INVITE) is None
        first, again = probe.sent()
        assert first == again
        assert first.title == str(status)


def test_a_provisional_response_is_not_repeated_by_itself(probe):
    arrive(probe).transaction.respond(180, "ours", "", probe.now)
    probe.advance(10 * GIVE_UP)
    assert probe.titles() == ["180"]


def test_timer_g_repeats_a_failure_up_to_t2_until_timer_h_gives_the_ack_up(probe):
    arrive(probe).transaction.respond(486, "ours", "", probe.now)
    assert probe.advance(GIVE_UP) == []
    assert probe.times_of("486") == UP_TO_T2
    assert probe.has_nothing_left


def test_a_repeated_invite_gets_the_failure_again_at_once(probe):
    arrive(probe).transaction.respond(486, "ours", "", probe.now)
    probe.advance(200)
    assert probe.receive(INVITE) is None
    assert probe.times_of("486") == [0, 200]


def test_the_ack_of_a_failure_stays_inside_the_transaction_and_timer_i_ends_it(probe):
    arrive(probe).transaction.respond(486, "ours", "", probe.now)
    probe.advance(600)
    assert probe.receive(ack(probe, "486")) is None
    probe.advance(T4 - 1)
    for late in (ack(probe, "486"), INVITE):
        assert probe.receive(late) is None
    assert probe.times_of("486") == [0, 500]
    assert probe.endpoint.census() == {"dialogs": 0, "transactions": 1, "timers": 0}
    probe.advance(T1 + 1)
    assert probe.has_nothing_left


def test_an_ack_before_any_final_response_is_ignored(probe):
    transaction = arrive(probe).transaction
    assert probe.receive(request("ACK", cseq="1 ACK")) is None
    transaction.respond(486, "ours", "", probe.now)
    probe.advance(T1)
    assert probe.times_of("486") == [0, 500]


def test_a_response_after_the_final_one_is_an_error_in_the_switch(probe):
    transaction = arrive(probe).transaction
    transaction.respond(486, "ours", "", probe.now)
    with pytest.raises(IllegalMoveError, match="SUCCESS in state COMPLETED"):
        transaction.respond(200, "ours", "", probe.now)


def test_an_invite_that_is_ignored_leaves_nothing_and_may_come_again(probe):
    event = arrive(probe)
    probe.endpoint.ignore(event.transaction)
    assert probe.has_nothing_left
    assert probe.sent() == []
    assert arrive(probe).transaction is not event.transaction


# -- 2xx: RFC 6026 and section 13.3.1.4 ---------------------------------------------------------------------------


def test_a_2xx_is_repeated_up_to_t2_until_its_ack_is_missing(probe):
    owner = Keeper()
    acceptance = accepted(probe, owner)
    events = probe.advance(GIVE_UP)
    assert probe.times_of("200") == UP_TO_T2
    assert events == [AckMissing(owner, acceptance, probe.now)]
    assert probe.endpoint.census()["timers"] == 0


def test_an_ack_ends_the_repetitions_of_a_2xx(probe):
    owner = Keeper()
    acceptance = accepted(probe, owner)
    probe.advance(600)
    told = probe.receive(ack(probe, "200", body=SDP))
    assert (told.owner, told.request.body, told.at) == (owner, SDP, probe.now)
    acceptance.acknowledged()
    probe.advance(GIVE_UP)
    assert probe.times_of("200") == [0, 500]
    assert probe.endpoint.census() == {"dialogs": 1, "transactions": 0, "timers": 0}


def test_a_repeated_invite_is_swallowed_once_it_was_accepted(probe):
    """RFC 6026 section 7.1: the dialog repeats the 2xx, the transaction only absorbs (timer L)."""
    accepted(probe, Keeper())
    probe.sent()
    probe.advance(100)
    assert probe.receive(INVITE) is None
    assert probe.sent() == []
    probe.advance(GIVE_UP - 200)
    assert probe.receive(INVITE) is None, "timer L is still running"


# -- CANCEL: section 9.2 ------------------------------------------------------------------------------------------


def test_a_cancel_gets_200_and_is_reported_to_the_owner_of_its_invite(probe):
    owner = Keeper()
    transaction = arrive(probe).transaction
    transaction.owner = owner
    transaction.respond(180, "ours", "", probe.now)
    event = probe.receive(request("CANCEL"))
    assert isinstance(event, CancelArrived)
    assert (event.owner, event.at) == (owner, probe.now)
    answer = probe.sent()[-1].response
    assert (answer.status, answer.cseq.method) == (200, "CANCEL")


def test_a_repeated_cancel_gets_the_same_200_and_is_not_reported_again(probe):
    arrive(probe).transaction.owner = Keeper()
    assert probe.receive(request("CANCEL")) is not None
    assert probe.receive(request("CANCEL")) is None
    first, again = probe.sent()
    assert first == again


@pytest.mark.parametrize(
    "other",
    [{"branch": "z9hG4bK-2"}, {"via": "SIP/2.0/UDP 192.0.2.10:5061;branch=z9hG4bK-1"}],
    ids=["branch", "sent-by"],
)
def test_a_cancel_of_another_transaction_gets_481_and_cancels_nothing(probe, other):
    """Section 17.2.3: branch and sent-by must both be the INVITE's."""
    arrive(probe).transaction.owner = Keeper()
    assert probe.receive(request("CANCEL", **other)) is None
    assert probe.titles() == ["481"]


def cancelled(probe: Probe, source: Peer, *, is_behind_nat: bool = False, **changes) -> bool:
    """Send a CANCEL to an INVITE that rings; return whether it ends it, and look at the answer."""
    via = "SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK-1;rport"
    event = arrive(probe, request(via=via, body=SDP))
    owner = event.transaction.owner = Keeper()
    owner.dialog = Dialog.of_caller(event.request, "ours", CUSTOMER, straight, Nat.YES if is_behind_nat else Nat.NO)
    told = probe.receive(request("CANCEL", via=via, **changes), source)
    assert probe.titles() == ["481" if told is None else "200"]
    return told is not None


@pytest.mark.parametrize("other", [{"call_id": "guess"}, {"from_": "<sip:1@192.0.2.10>;tag=guess"}])
@pytest.mark.parametrize("is_behind_nat", [True, False])
def test_a_cancel_with_another_call_id_or_from_tag_is_none_of_this_invite(probe, other, is_behind_nat):
    assert not cancelled(probe, CUSTOMER, is_behind_nat=is_behind_nat, **other)


@pytest.mark.parametrize(
    ("source", "guess"),
    [
        (CUSTOMER, {"call_id": "guess"}),
        (Peer(0, "192.0.2.99", 5060), {}),
        (Peer(0, "192.0.2.99", 5060), {"from_": "<sip:1@192.0.2.10>;tag=guess"}),
    ],
    ids=["another call", "another host", "another host and tag"],
)
def test_a_cancel_of_another_takes_no_effect_from_the_one_of_the_sender(probe, source, guess):
    """Both have the key of one transaction: the 481 to one must not be kept as the answer to the other."""
    arrive(probe).transaction.owner = Keeper()
    probe.receive(request("CANCEL", **guess), source)
    assert isinstance(probe.receive(request("CANCEL")), CancelArrived)
    assert probe.titles() == ["481", "200"]


def test_a_cancel_that_overtakes_its_invite_gets_one_answer_however_often_it_comes(probe):
    probe.receive(request("CANCEL"))
    arrive(probe).transaction.owner = Keeper()
    assert probe.receive(request("CANCEL")) is None
    assert probe.titles() == ["481", "481"]


@pytest.mark.parametrize(
    ("source", "is_taken"),
    [
        (CUSTOMER, True),
        (CUSTOMER._replace(port=40_000), True),
        (CUSTOMER._replace(port=5_070), False),
        (Peer(0, "192.0.2.11", 5060), True),
        (Peer(0, "192.0.2.99", 5060), False),
    ],
    ids=["as the INVITE", "another port", "the port of another trunk", "another host of the trunk", "another trunk"],
)
def test_a_cancel_is_taken_from_the_trunk_of_its_invite_alone(source, is_taken):
    """It is not challenged, and branches can be guessed (section 22.1)."""
    trunk = {"192.0.2.10", "192.0.2.11"}
    probe = Probe(is_of_one_trunk=lambda _first, other: other.host in trunk and other.port != 5_070)
    assert cancelled(probe, source) is is_taken


def test_a_cancel_without_rport_is_taken_from_the_port_of_its_invite():
    """Responses go to the port in its Via, which another trunk has alone."""
    probe, via = Probe(is_of_one_trunk=lambda *_: False), "SIP/2.0/UDP 192.0.2.10:5070;branch=z9hG4bK-1"
    arrive(probe, request(via=via, body=SDP)).transaction.owner = Keeper()
    assert isinstance(probe.receive(request("CANCEL", via=via)), CancelArrived)


@pytest.mark.parametrize("host", ["192.0.2.99", UNKNOWN_SOURCE.host])
def test_a_cancel_from_behind_nat_is_proven_by_call_id_and_tag(probe, host):
    """The mapping may have changed since the INVITE."""
    assert cancelled(probe, Peer(0, host, 40_000), is_behind_nat=True)


@pytest.mark.parametrize(("host", "is_taken"), [(CUSTOMER.host, True), ("192.0.2.99", False)])
def test_a_cancel_that_waited_while_its_invite_was_accepted_is_taken_from_the_same_host_alone(probe, host, is_taken):
    owner = Keeper()
    owner.acceptance = accepted(probe, owner)
    probe.now = replace(probe.now, waited_ms=10)
    assert (probe.receive(request("CANCEL"), Peer(0, host, 5060)) is not None) is is_taken


@pytest.mark.parametrize("final", [200, 486])
def test_a_cancel_that_comes_too_late_gets_200_and_changes_nothing(probe, final):
    if final == 200:
        accepted(probe, Keeper())
    else:
        arrive(probe).transaction.respond(486, "ours", "", probe.now)
        probe.receive(ack(probe, "486"))
    probe.sent()
    assert probe.receive(request("CANCEL")) is None
    assert probe.titles() == ["200"]


@pytest.mark.parametrize(
    ("source", "changes", "is_told"),
    [
        (CUSTOMER, {}, True),
        (Peer(0, "192.0.2.99", 5060), {}, False),
        (CUSTOMER, {"call_id": "guessed"}, False),
        (CUSTOMER, {"cseq": "2 CANCEL"}, False),
    ],
)
def test_a_cancel_that_comes_too_late_gets_the_tag_of_its_dialog_where_it_is_of_the_sender(
    probe, source, changes, is_told
):
    """Section 9.2; by the tag another one could end the call."""
    owner = Keeper()
    owner.acceptance = accepted(probe, owner)
    probe.sent()
    assert probe.receive(request("CANCEL", **changes), source) is None
    (answer,) = probe.sent()
    assert (answer.response.to_tag == "ours") is is_told


@pytest.mark.parametrize(
    ("seen_at", "is_behind_nat", "answered_at"),
    [(40_000, True, 40_000), (40_000, False, 5_060), (40_001, True, 5_060)],
    ids=["behind NAT", "not behind NAT", "another mapping"],
)
def test_a_cancel_that_comes_too_late_from_behind_nat_is_answered_where_its_invite_came_from(
    probe, seen_at, is_behind_nat, answered_at
):
    """A phone without rport that its own ``nat`` has behind NAT: its INVITE was answered there, too."""
    owner, source = Keeper(), CUSTOMER._replace(port=40_000)
    event = probe.receive(INVITE, source)
    owner.dialog = Dialog.of_caller(event.request, "ours", source, straight, Nat.YES if is_behind_nat else Nat.NO)
    event.transaction.owner = owner
    probe.endpoint.dialogs.adopt("ours", owner)
    owner.acceptance = probe.accept(event.transaction, owner.dialog, owner)
    probe.sent()
    probe.receive(request("CANCEL"), source._replace(port=seen_at))
    (answer,) = probe.sent()
    assert (answer.title, answer.peer.port) == ("200", answered_at)


def test_a_cancel_after_the_failure_was_sent_is_not_reported(probe):
    """Section 9.2: it has no effect on an INVITE that has its final response, acknowledged or not."""
    event = arrive(probe)
    event.transaction.owner = Keeper()
    event.transaction.respond(486, "ours", "", probe.now)
    assert probe.receive(request("CANCEL")) is None
    assert probe.titles() == ["486", "200"]


# -- everything else ----------------------------------------------------------------------------------------------


def bye_arrives(probe: Probe) -> RequestArrived:
    owner = Keeper()
    accepted(probe, owner).acknowledged()
    probe.sent()
    event = probe.receive(BYE)
    assert isinstance(event, RequestArrived)
    assert event.owner is owner
    return event


BYE = request("BYE", branch="z9hG4bK-bye", to="<sip:4420@192.0.2.1>;tag=ours", cseq="2 BYE")


def test_a_repeated_request_gets_the_same_response_for_64_t1(probe):
    """Timer J."""
    event = bye_arrives(probe)
    assert probe.receive(BYE) is None
    assert probe.sent() == [], "nothing to repeat yet"
    event.transaction.respond(200, "", "", probe.now)
    [first] = probe.sent()
    probe.advance(GIVE_UP - 1)
    assert probe.receive(BYE) is None
    assert [again.data for again in probe.sent()] == [first.data]


def test_a_provisional_response_is_repeated_while_there_is_no_final_one(probe):
    event = bye_arrives(probe)
    event.transaction.respond(100, "", "", probe.now)
    probe.receive(BYE)
    event.transaction.respond(200, "", "", probe.now)
    assert [sent.title for sent in probe.sent()] == ["100", "100", "200"]


def test_a_request_that_waits_for_its_answer_gets_nothing_in_the_meantime(probe):
    """RFC 4320 section 4: no provisional response but 100, that no sooner than T2, and never a 408."""
    bye_arrives(probe)
    assert probe.advance(10 * GIVE_UP) == []
    assert probe.sent() == []


@pytest.mark.parametrize(("after_ms", "sent"), [(3_499, ["200"]), (3_501, ["100", "200"])])
def test_a_100_that_is_sent_where_the_answer_takes_long_never_comes_behind_it(probe, after_ms, sent):
    """RFC 4320 section 4.1."""
    transaction = bye_arrives(probe).transaction
    transaction.defer_response("", probe.now)
    probe.advance(after_ms)
    transaction.respond(200, "", "", probe.now)
    probe.advance(10 * GIVE_UP)
    assert probe.titles() == sent


@pytest.mark.parametrize("method", ["OPTIONS", "BYE", "CANCEL", "UPDATE", "SUBSCRIBE", "MESSAGE", "NOTIFY"])
def test_requests_that_need_no_decision_are_answered_at_once_and_finally(probe, method):
    """RFC 4321 section 1.1: the sender's time runs from its first datagram."""
    probe.receive(request(method))
    [answer] = probe.sent()
    assert answer.response.status >= 200
    assert answer.response.status != 408
    probe.advance(GIVE_UP)
    assert probe.sent() == [], "and not again by itself"


def test_a_second_final_response_is_an_error_in_the_switch(probe):
    event = bye_arrives(probe)
    event.transaction.respond(200, "", "", probe.now)
    with pytest.raises(IllegalMoveError):
        event.transaction.respond(500, "", "", probe.now)


def test_a_peer_older_than_rfc_3261_is_matched_without_branches(probe):
    """Section 17.2.3: Request-URI, tags, Call-ID, CSeq and Via; a branch without a unique part counts as none."""
    for via in ("SIP/2.0/UDP 192.0.2.10:5060", "SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK"):
        probe = Probe()
        data = request(via=via, body=SDP)
        event = arrive(probe, data)
        assert probe.receive(data) is None, "the same call again"
        assert isinstance(probe.receive(request(via=via, call_id="another@192.0.2.10")), InviteArrived)
        event.transaction.owner = Keeper()
        assert isinstance(probe.receive(request("CANCEL", via=via)), CancelArrived)
        event.transaction.respond(487, "ours", "", probe.now)
        probe.receive(request("ACK", via=via, to="<sip:4420@192.0.2.1>;tag=ours", cseq="1 ACK"))
        probe.advance(T2)
        assert probe.times_of("487") == [0], "its ACK was heard"


def test_when_everything_is_over_nothing_is_left(probe):
    """Issue 2: transactions and timers are zero after 64·T1."""
    event = bye_arrives(probe)
    event.transaction.respond(200, "", "", probe.now)
    probe.endpoint.dialogs.forget("ours", probe.now)
    probe.receive(request("OPTIONS", branch="z9hG4bK-o"))
    leg = probe.call_vendor(Keeper())
    probe.receive(reply(probe.log[-1], 503))
    assert leg.state is TransactionState.COMPLETED
    probe.advance(GIVE_UP + T1)
    assert probe.has_nothing_left
