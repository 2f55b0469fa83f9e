"""One INVITE that reaches us by several paths is one call (RFC 3261 section 8.2.2.2)."""

import pytest
from doubles.virtual.probe import CUSTOMER, Keeper, Peer, Probe, request, straight

from vosd.sip.dialog.dialog import Dialog
from vosd.sip.events import InviteArrived

T1 = 500
GIVE_UP = 64 * T1
INVITE = request()
COPY = request(branch="z9hG4bK-another-path")
BY_ANOTHER_PROXY = Peer(0, "192.0.2.11", 5060)


def arrive(probe: Probe, data: bytes = INVITE) -> InviteArrived:
    event = probe.receive(data)
    assert isinstance(event, InviteArrived)
    return event


def refuse(probe: Probe, event: InviteArrived) -> None:
    event.transaction.respond(486, "ours", "", probe.now)
    assert probe.titles() == ["486"]


def is_new(probe: Probe, data: bytes) -> bool:
    return isinstance(probe.receive(data), InviteArrived)


def acknowledge_refusal(probe: Probe) -> None:
    probe.receive(request("ACK", to="<sip:4420@192.0.2.1>;tag=ours", cseq="1 ACK"))


def accept(probe: Probe, event: InviteArrived) -> None:
    dialog = Dialog.of_caller(event.request, "ours", event.source, straight)
    probe.accept(event.transaction, dialog, Keeper()).acknowledged()
    assert probe.titles() == ["200"]


@pytest.mark.parametrize("source", [CUSTOMER, BY_ANOTHER_PROXY])
def test_a_copy_with_another_branch_gets_482(probe, source):
    arrive(probe)
    assert probe.receive(COPY, source) is None
    [refusal] = probe.sent()
    assert (refusal.response.status, refusal.peer.host) == (482, source.host)
    assert refusal.response.via.branch == "z9hG4bK-another-path"
    assert refusal.response.header("reason") == 'Q.850;cause=25;text="Loop"'


def test_a_repetition_of_the_refused_copy_gets_482_again_until_its_ack(probe):
    """The refusal is a transaction of its own, which disturbs the call in no way."""
    first = arrive(probe).transaction
    probe.receive(COPY)
    probe.receive(COPY)
    probe.advance(600)
    tag = probe.log[0].response.header("to")
    probe.receive(request("ACK", branch="z9hG4bK-another-path", to=tag, cseq="1 ACK"))
    probe.advance(GIVE_UP)
    assert probe.times_of("482") == [0, 0, 500]
    first.respond(180, "ours", "", probe.now)
    assert probe.log[-1].title == "180"


def test_a_cancel_of_a_copy_ends_nothing(probe):
    arrive(probe).transaction.owner = Keeper()
    probe.receive(COPY)
    assert probe.receive(request("CANCEL", branch="z9hG4bK-another-path")) is None


def test_the_same_branch_is_a_repetition_and_no_copy(probe):
    arrive(probe)
    assert probe.receive(INVITE) is None
    assert probe.titles() == []


@pytest.mark.parametrize(
    "other",
    [{"call_id": "another@192.0.2.10"}, {"from_": "<sip:4930@192.0.2.10>;tag=another"}, {"cseq": "2 INVITE"}],
    ids=["Call-ID", "From tag", "CSeq"],
)
def test_what_differs_in_one_of_the_three_is_another_call(probe, other):
    """A caller that tries again after 401 or 422 counts on: it is no copy, though all else is equal."""
    arrive(probe)
    assert is_new(probe, request(branch="z9hG4bK-2", **other))


def test_a_copy_that_took_a_slower_path_than_the_answer_gets_482(probe):
    accept(probe, arrive(probe))
    probe.advance(GIVE_UP - T1)
    assert probe.receive(COPY) is None
    assert probe.titles() == ["482"]


def test_64_t1_after_the_answer_nothing_is_remembered(probe):
    accept(probe, arrive(probe))
    probe.advance(GIVE_UP + T1)
    assert not any(probe.endpoint.census().values())
    assert is_new(probe, COPY)


def test_while_a_refusal_waits_for_its_ack_a_copy_gets_482(probe):
    refuse(probe, arrive(probe))
    assert probe.receive(COPY) is None
    assert "482" in probe.titles()


def test_a_refusal_that_is_acknowledged_lets_the_same_invite_come_by_another_path(probe):
    """A proxy may try us again as the next of its targets."""
    refuse(probe, arrive(probe))
    acknowledge_refusal(probe)
    assert is_new(probe, COPY)


def test_a_refusal_without_ack_is_over_after_timer_h(probe):
    refuse(probe, arrive(probe))
    probe.advance(GIVE_UP)
    assert is_new(probe, COPY)
    assert probe.endpoint.store.merging == {"in@192.0.2.10 theirs 1"}


def test_an_invite_that_is_ignored_may_come_by_another_path(probe):
    probe.endpoint.ignore(arrive(probe).transaction)
    assert is_new(probe, COPY)


def test_a_request_within_a_dialog_is_no_copy(probe):
    """Only what has no To tag can be one."""
    arrive(probe)
    probe.receive(request(branch="z9hG4bK-2", to="<sip:4420@192.0.2.1>;tag=unknown"))
    assert probe.titles() == ["481"]


def test_other_requests_are_answered_by_every_path(probe):
    """An OPTIONS changes nothing: there is nothing to merge."""
    for branch in ("z9hG4bK-1", "z9hG4bK-2"):
        probe.receive(request("OPTIONS", branch=branch))
    assert probe.titles() == ["200", "200"]


def test_when_everything_is_over_nothing_is_remembered(probe):
    for number, status in enumerate((200, 486), start=1):
        event = arrive(probe, request(call_id=f"{number}@x", branch=f"z9hG4bK-{number}"))
        if status == 200:
            accept(probe, event)
        else:
            refuse(probe, event)
    probe.advance(GIVE_UP + T1)
    assert not probe.endpoint.store.merging
    assert not any(probe.endpoint.census().values())
