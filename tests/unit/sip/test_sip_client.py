"""The client transaction of everything but INVITE on virtual time (RFC 3261 section 17.1.2), shown with BYE."""

import pytest
from doubles.virtual.probe import VENDOR, Keeper, Probe, Sent, reply, straight

from vosd.sip.dialog.dialog import Dialog
from vosd.sip.events import NoResponse, ResponseArrived
from vosd.sip.transaction.client import Client

T1, T2, T4 = 500, 4_000, 5_000
GIVE_UP = 64 * T1
AT_FIRST = [0, 500, 1_500, 3_500]
EVERY_T2 = list(range(7_500, GIVE_UP, T2))


def hang_up(probe: Probe) -> Sent:
    dialog = Dialog(
        call_id="x", local="<sip:a@b>;tag=1", local_tag="1", remote="<sip:c@d>;tag=2", remote_tag="2",
        target="sip:c@198.51.100.7:5060", routes=(), local_sequence=7, remote_sequence=0, seen_at=VENDOR,
        is_behind_nat=False, next_hop_of=straight,
    )  # fmt: skip
    probe.endpoint.client.send_bye(dialog, "", probe.now)
    [sent] = probe.sent()
    return sent


def test_a_bye_counts_on_and_has_a_branch_of_its_own(probe):
    first = hang_up(probe)
    assert first.request.cseq == (8, "BYE")
    assert first.request.via.branch == "z9hG4bKmarktoken1"


def test_timer_e_doubles_up_to_t2_until_timer_f_gives_up_after_64_t1(probe):
    hang_up(probe)
    assert probe.advance(GIVE_UP) == []
    assert probe.times_of("BYE") == AT_FIRST + EVERY_T2
    assert not any(probe.endpoint.census().values())


def test_a_provisional_response_slows_the_repetitions_down_to_t2(probe):
    sent = hang_up(probe)
    probe.advance(600)
    probe.receive(reply(sent, 100), VENDOR)
    probe.advance(GIVE_UP)
    assert probe.times_of("BYE") == [0, 500, *range(4_600, GIVE_UP, T2)]
    assert not any(probe.endpoint.census().values())


def test_a_second_provisional_response_puts_no_repetition_off(probe):
    """Section 17.1.2.2: in Proceeding the timer runs on; or a peer that says 100 now and then would never be asked."""
    sent = hang_up(probe)
    for _ in range(4):
        probe.advance(1_200)
        probe.receive(reply(sent, 100), VENDOR)
    probe.advance(GIVE_UP)
    assert probe.times_of("BYE") == [0, 500, *range(5_200, GIVE_UP, T2)]


@pytest.mark.parametrize("status", [200, 302, 404, 481, 503, 603])
def test_a_final_response_ends_the_repetitions_and_timer_k_swallows_its_own(probe, status):
    sent = hang_up(probe)
    final = reply(sent, status)
    probe.advance(700)
    assert probe.receive(final, VENDOR) is None
    probe.advance(T4 - 700)
    assert probe.receive(final, VENDOR) is None
    assert probe.endpoint.dropped == {}
    probe.advance(700 + T1)
    assert probe.times_of("BYE") == [0, 500]
    assert not any(probe.endpoint.census().values())
    probe.receive(final, VENDOR)
    assert probe.endpoint.dropped == {"response to no request": 1}


def test_a_provisional_response_after_the_final_one_is_swallowed(probe):
    sent = hang_up(probe)
    probe.receive(reply(sent, 200), VENDOR)
    assert probe.receive(reply(sent, 100), VENDOR) is None
    assert probe.endpoint.dropped == {}
    probe.advance(GIVE_UP)
    assert probe.times_of("BYE") == [0]


@pytest.mark.parametrize("status", [100, 200, 408, 500])
def test_a_response_after_timer_f_is_dropped(probe, status):
    """RFC 4321 section 1.2: a final response that is too late is useless."""
    sent = hang_up(probe)
    probe.advance(GIVE_UP)
    assert probe.receive(reply(sent, status), VENDOR) is None
    assert probe.endpoint.dropped == {"response to no request": 1}


@pytest.mark.parametrize("answered", [True, False])
def test_the_owner_gets_the_answer(probe, answered):
    sent = hang_up(probe)
    owner = Keeper()
    data = sent.data.replace(b"token1", b"token9")
    client = Client(store=probe.endpoint.store, owner=owner)
    client.begin("z9hG4bKmarktoken9 BYE", VENDOR, data, probe.now)
    [again] = probe.sent()
    if answered:
        event = probe.receive(reply(again, 200), VENDOR)
        assert isinstance(event, ResponseArrived)
    else:
        [event] = probe.advance(GIVE_UP)
        assert isinstance(event, NoResponse)
    assert (event.owner, event.transaction, event.at) == (owner, client, probe.now)
