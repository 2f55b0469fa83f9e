"""An INVITE of ours that several answer: early dialogs side by side, every 2xx too many (RFC 3261 12.1, 13.2.2.4)."""

import pytest
from doubles.virtual.probe import SDP, VENDOR, Keeper, Probe, Sent, reply, request, straight

from vosd.sip.dialog.acceptance import PendingBye
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.events import InviteArrived, RequestArrived, UnwantedAnswer
from vosd.sip.transaction.client import InviteClient
from vosd.sip.unclaimed_answers import COUNTED_EARLY_MAX

T1 = 500
GIVE_UP = 64 * T1
TO_US = "<sip:4930@192.0.2.1>;tag=ours"


def answer_of(asked: Sent, fork: str) -> bytes:
    return reply(asked, 200, to_tag=fork, headers=f"Contact: <sip:{fork}@198.51.100.8:5070>\r\n", body=SDP)


def invited(probe: Probe, owner: Keeper) -> tuple[InviteClient, Sent]:
    """Call the vendor; requests that bear our tag come to ``owner``."""
    transaction = probe.call_vendor(owner)
    probe.endpoint.dialogs.adopt("ours", owner)
    return transaction, probe.sent()[0]


def answered(probe: Probe, owner: Keeper) -> Sent:
    """Call the vendor, whose fork ``winner`` answers and is acknowledged; return the INVITE."""
    transaction, asked = invited(probe, owner)
    event = probe.receive(answer_of(asked, "winner"), VENDOR)
    owner.dialog = Dialog.of_callee(transaction.parts, "ours", event.response, straight)
    probe.endpoint.client.send_ack(transaction, owner.dialog, "", b"")
    assert probe.titles() == ["ACK"]
    return asked


def from_vendor(method: str, fork: str, number: int = 1) -> bytes:
    return request(
        method, branch=f"z9hG4bK-{fork}-{number}", via=f"SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK-{fork}-{number}",
        from_=f"<sip:4420@198.51.100.7>;tag={fork}", to=TO_US, call_id="out@192.0.2.1", cseq=f"{number} {method}",
    )  # fmt: skip


# -- several 2xx: section 13.2.2.4 --------------------------------------------------------------------------------


def test_a_second_answer_is_acknowledged_ended_and_reported_to_the_owner(probe, owner):
    """It may cost money, so it must be in the records."""
    asked = answered(probe, owner)
    event = probe.receive(answer_of(asked, "second"), VENDOR)
    assert isinstance(event, UnwantedAnswer)
    assert (event.owner, event.response.to_tag, event.at) == (owner, "second", probe.now)
    ack, bye = probe.sent()
    assert (ack.request.cseq, bye.request.cseq) == ((1, "ACK"), (2 + COUNTED_EARLY_MAX, "BYE"))
    for ending in (ack, bye):
        assert ending.request.uri == "sip:second@198.51.100.8:5070"
        assert (ending.request.from_tag, ending.request.to_tag) == ("ours", "second")


def test_each_further_answer_is_ended_and_reported_once(probe, owner):
    asked = answered(probe, owner)
    told = [probe.receive(answer_of(asked, fork), VENDOR) for fork in ("second", "third", "second", "third", "winner")]
    assert [event.response.to_tag for event in told if event is not None] == ["second", "third"]
    assert probe.titles() == ["ACK", "BYE", "ACK", "BYE", "ACK", "ACK", "ACK"]
    for bye in [sent for sent in probe.log if sent.title == "BYE"]:
        probe.receive(reply(bye, 200), VENDOR)
    probe.endpoint.dialogs.forget("ours", probe.now)
    probe.advance(GIVE_UP + T1)
    assert not any(probe.endpoint.census().values())


def test_an_answer_after_a_failure_with_the_same_tag_is_ended_too(probe, owner):
    """The vendor that breaks the rule so has a call that stands, and charges it."""
    _, asked = invited(probe, owner)
    probe.receive(reply(asked, 486, to_tag="winner"), VENDOR)
    assert probe.titles() == ["ACK"]
    probe.receive(answer_of(asked, "winner"), VENDOR)
    ack, bye = probe.sent()
    assert [(each.title, each.request.uri) for each in (ack, bye)] == [
        (title, "sip:winner@198.51.100.8:5070") for title in ("ACK", "BYE")
    ]
    probe.receive(answer_of(asked, "winner"), VENDOR)
    assert probe.titles() == ["ACK"]


def test_an_answer_after_the_failure_of_a_reinvite_ends_no_call(probe, owner):
    answered(probe, owner)
    probe.invite_again(owner.dialog, owner)
    [asked] = probe.sent()
    probe.receive(reply(asked, 491), VENDOR)
    probe.receive(answer_of(asked, "winner"), VENDOR)
    assert set(probe.titles()) == {"ACK"}


def test_the_bye_of_a_further_answer_is_retransmitted_until_answered(probe, owner):
    asked = answered(probe, owner)
    probe.receive(answer_of(asked, "second"), VENDOR)
    probe.advance(4_000)
    assert probe.times_of("BYE") == [0, 500, 1_500, 3_500]


def test_the_call_with_the_winner_goes_on(probe, owner):
    asked = answered(probe, owner)
    probe.receive(answer_of(asked, "second"), VENDOR)
    event = probe.receive(from_vendor("BYE", "winner"), VENDOR)
    assert isinstance(event, RequestArrived)
    assert event.dialog is owner.dialog
    assert probe.receive(from_vendor("BYE", "second"), VENDOR) is None
    assert probe.titles()[-1] == "481", "that dialog is over already"


def test_a_second_answer_is_ended_at_once_though_the_first_is_not_acknowledged_yet(probe, owner):
    """A late offer: the first ACK waits for the caller's answer, which may take 64*T1."""
    transaction, asked = invited(probe, owner)
    event = probe.receive(answer_of(asked, "winner"), VENDOR)
    assert isinstance(probe.receive(answer_of(asked, "second"), VENDOR), UnwantedAnswer)
    assert probe.titles() == ["ACK", "BYE"]
    assert {sent.request.to_tag for sent in probe.log[-2:]} == {"second"}
    assert probe.receive(answer_of(asked, "winner"), VENDOR) is None
    assert probe.titles() == []
    dialog = Dialog.of_callee(transaction.parts, "ours", event.response, straight)
    probe.endpoint.client.send_ack(transaction, dialog, "", b"")
    assert probe.sent()[0].request.to_tag == "winner"
    assert probe.receive(answer_of(asked, "second"), VENDOR) is None
    assert probe.titles() == ["ACK"]


def test_a_second_answer_to_an_ended_call_is_ended_without_event(probe, owner):
    asked = answered(probe, owner)
    probe.endpoint.dialogs.forget("ours", probe.now)
    assert probe.receive(answer_of(asked, "second"), VENDOR) is None
    assert probe.titles() == ["ACK", "BYE"]


def test_the_owner_is_found_by_our_own_tag_not_by_the_answer(probe, owner):
    """A vendor must not be able to put an attempt on another's call."""
    asked = answered(probe, owner)
    victim = Keeper()
    probe.endpoint.dialogs.adopt("victim", victim)
    forged = answer_of(asked, "second").replace(b";tag=ours", b";tag=victim")
    assert probe.receive(forged, VENDOR).owner is owner


def test_a_dialog_that_only_waits_for_an_ack_has_no_owner_to_inform(probe, owner):
    """The vendor's re-INVITE was answered, the call is over, the BYE waits: then another fork answers."""
    asked = answered(probe, owner)
    reinvite = probe.receive(from_vendor("INVITE", "winner"), VENDOR)
    acceptance = probe.accept(reinvite.transaction, owner.dialog, owner)
    probe.endpoint.bye_after_ack(acceptance, "")
    assert isinstance(probe.endpoint.dialogs.owners.get("ours"), PendingBye)
    assert probe.receive(answer_of(asked, "second"), VENDOR) is None
    assert probe.titles() == ["200", "ACK", "BYE"]


# -- a gateway given up that answers ------------------------------------------------------------------------------


@pytest.mark.parametrize("heard", [None, 100, 183])
def test_the_witness_of_an_abandoned_invite_gets_its_late_answer(probe, owner, heard):
    transaction, asked = invited(probe, owner)
    if heard is not None:
        probe.receive(reply(asked, heard), VENDOR)
    witness = Keeper()
    transaction.abandon("", probe.now, witness)
    probe.sent()
    event = probe.receive(answer_of(asked, "late"), VENDOR)
    assert isinstance(event, UnwantedAnswer)
    assert (event.owner, event.response.status, event.at) == (witness, 200, probe.now)
    assert probe.titles() == ["ACK", "BYE"]
    assert probe.receive(answer_of(asked, "late"), VENDOR) is None, "once is enough"
    assert probe.titles() == ["ACK"]


@pytest.mark.parametrize("status", [487, 486, 200])
def test_without_a_late_answer_the_witness_gets_no_event(probe, owner, status):
    """Also not where the 200 is the CANCEL's."""
    transaction, asked = invited(probe, owner)
    probe.receive(reply(asked, 180), VENDOR)
    transaction.abandon("", probe.now, Keeper())
    cancel = probe.sent()[-1]
    assert probe.receive(reply(cancel, 200) if status == 200 else reply(asked, status), VENDOR) is None
    assert probe.advance(GIVE_UP + T1) == []


def test_64_t1_after_giving_up_a_late_answer_is_hung_up_by_what_it_says_itself(probe, owner):
    """The INVITE is forgotten, as after a restart; the vendor would bill the call."""
    transaction, asked = invited(probe, owner)
    transaction.abandon("", probe.now, Keeper())
    probe.advance(GIVE_UP)
    probe.sent()
    assert probe.receive(answer_of(asked, "late"), VENDOR) is None
    assert probe.titles() == ["ACK", "BYE"]
    assert probe.receive(answer_of(asked, "late"), VENDOR) is None
    assert probe.titles() == ["ACK"]
    assert probe.endpoint.dropped == {"late answer": 1}


# -- early dialogs: section 12.1 ----------------------------------------------------------------------------------


def ringing(probe: Probe, owner: Keeper, *forks: str) -> dict[str, Dialog]:
    transaction, asked = invited(probe, owner)
    headers = "Contact: <sip:phone@198.51.100.8:5070>\r\n"
    responses = [probe.receive(reply(asked, 183, to_tag=fork, headers=headers), VENDOR).response for fork in forks]
    owner.forks = {
        response.to_tag: Dialog.of_callee(transaction.parts, "ours", response, straight) for response in responses
    }
    return owner.forks


def test_a_request_in_an_early_dialog_comes_with_the_dialog_of_its_fork(probe, owner):
    forks = ringing(probe, owner, "one", "two")
    for fork in ("two", "one"):
        event = probe.receive(from_vendor("UPDATE", fork), VENDOR)
        assert isinstance(event, RequestArrived)
        assert event.owner is owner
        assert event.dialog is forks[fork]


def test_each_early_dialog_counts_for_itself(probe, owner):
    """Section 12.2.2."""
    forks = ringing(probe, owner, "one", "two")
    assert probe.receive(from_vendor("UPDATE", "one", 7), VENDOR) is not None
    assert probe.receive(from_vendor("UPDATE", "two", 3), VENDOR) is not None
    assert probe.receive(from_vendor("UPDATE", "one", 6), VENDOR) is None
    assert probe.titles() == ["500"]
    assert [each.remote_sequence for each in forks.values()] == [7, 3]


def test_a_fork_that_never_rang_has_no_dialog(probe, owner):
    ringing(probe, owner, "one")
    assert probe.receive(from_vendor("UPDATE", "three"), VENDOR) is None
    assert probe.titles() == ["481"]


def test_requests_of_ours_go_to_the_fork_they_are_for(probe, owner):
    forks = ringing(probe, owner, "one", "two")
    probe.endpoint.client.send_request(forks["two"], "PRACK", "RAck: 1 1 INVITE\r\n", b"", None, probe.now)
    [prack] = probe.sent()
    assert (prack.request.to_tag, prack.request.cseq, prack.request.uri) == (
        "two", (2, "PRACK"), "sip:phone@198.51.100.8:5070",
    )  # fmt: skip
    assert forks["one"].local_sequence == 1, "the other fork's numbers are its own"


def test_the_2xx_of_a_ringing_fork_confirms_its_dialog(probe, owner):
    """Section 13.2.2.4: what was counted stays; the next request counts on."""
    forks = ringing(probe, owner, "one", "two")
    probe.receive(from_vendor("UPDATE", "two", 5), VENDOR)
    event = probe.receive(answer_of(probe.log[0], "two"), VENDOR)
    forks["two"].confirm(event.response)
    owner.dialog, owner.forks = forks["two"], {}
    assert owner.dialog.target == "sip:two@198.51.100.8:5070"
    assert owner.dialog.remote_sequence == 5
    assert probe.receive(from_vendor("INFO", "two", 6), VENDOR).dialog is owner.dialog
    assert probe.receive(from_vendor("INFO", "one", 6), VENDOR) is None


def test_an_invite_within_an_early_dialog_is_no_new_call(probe, owner):
    ringing(probe, owner, "one")
    event = probe.receive(from_vendor("INVITE", "one"), VENDOR)
    assert isinstance(event, RequestArrived)
    assert not isinstance(event, InviteArrived)
