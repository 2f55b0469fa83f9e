"""A phone at home behind a real NAT, and the real daemon on the carrier's side of it.

The router forgets a mapping after 12 s of silence, a fifth of what is usual; one minute stands for five.
"""

from collections.abc import Iterator

import pytest
from doubles.home import PHONE, ROUTER
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import ANSWER, Message, OutgoingCall, Peer

from .at_home import MAPPING_S, PERIOD_S, Household
from .conditions import eventually

SWEEPS = 5 * MAPPING_S // PERIOD_S


@pytest.fixture
def at_home(household: Household) -> Iterator[Household]:
    """The household; every call in it has to leave one right record, and the log has to be clean."""
    yield household
    household.expect_books_in_order()


@pytest.fixture
def acme(at_home: Household) -> Iterator[Peer]:
    """A customer of the carrier."""
    with at_home.outside(Endpoint("203.0.113.11", 5060)) as peer:
        yield peer


@pytest.fixture
def vendor(at_home: Household) -> Iterator[Peer]:
    """The carrier's vendor."""
    with at_home.outside(Endpoint("203.0.113.21", 5060)) as peer:
        yield peer


def called(household: Household, acme: Peer) -> OutgoingCall:
    """Let the customer call the phone; return the call as the customer sees it."""
    call = OutgoingCall(acme, household.switch, "1001")
    call.invite()
    return call


def hung_up_on(peer: Peer) -> Message:
    """Answer a BYE, and return it."""
    bye = peer.expect("BYE", passing=["HELLO"])
    peer.reply(bye, 200)
    return bye


def test_after_long_silence_the_phone_is_still_reached(at_home, acme):
    """It has said nothing since it registered; only our datagrams went through its mapping."""
    heard = 0

    def sweeps_have_gone_by() -> bool:
        nonlocal heard
        heard += at_home.phone.kept_alive()
        return heard >= SWEEPS

    eventually(sweeps_have_gone_by, f"{SWEEPS} keep-alives", within_s=(SWEEPS + 2) * PERIOD_S)
    call = called(at_home, acme)
    taken = at_home.phone.pick_up()
    answer = call.answered()
    assert taken.invite.start_line.startswith(f"INVITE sip:1001@{PHONE}:5060 "), "the Contact as it registered it"
    assert answer.body == at_home.phone.answer.replace(PHONE, ROUTER), "and its media where it is seen"
    call.send(call.request("BYE", 2))
    hung_up_on(at_home.phone.peer)
    assert acme.final_response("2 BYE", call.call_id).status == 200
    record = at_home.record_of(call)
    assert (record["end_reason"], record["hangup_source"], record["routing_gateway"]) == ("Normal", "caller", "1001")
    assert record["destination_address"].startswith(f"{ROUTER}:")


def test_without_keep_alives_the_same_phone_is_lost(at_home):
    """The control, on a switch whose message is empty: silent for as long."""
    eventually(lambda: at_home.control_is_silent_for() >= 3 * MAPPING_S, "a mapping that is gone", within_s=60)
    assert at_home.control_phone.kept_alive() == 0
    with at_home.outside(Endpoint("203.0.113.11", 5062)) as acme:
        call = OutgoingCall(acme, at_home.control_switch, "1001")
        call.invite()
        assert call.refused().status == 408
    assert at_home.control_phone.peer.receive(0) is None
    at_home.control_phone.register()
    with at_home.outside(Endpoint("203.0.113.11", 5062)) as acme:
        call = OutgoingCall(acme, at_home.control_switch, "1001")
        call.invite()
        taken = at_home.control_phone.pick_up()
        call.answered()
        assert taken.ask("BYE").status == 200
        hung_up_on(acme)


def test_a_call_survives_another_mapping_and_ends_from_afar(at_home, acme):
    """The line drops amid the call. The phone refreshes the session; from then on it is asked where it is now."""
    at_home.phone.register()
    call = called(at_home, acme)
    taken = at_home.phone.pick_up()
    call.answered()
    before = at_home.seen_at("1001")
    at_home.home.reconnect()
    assert taken.ask("INVITE", at_home.phone.answer).status == 200
    assert call.hang_up().status == 200
    hung_up_on(at_home.phone.peer)
    record = at_home.record_of(call)
    assert (record["end_reason"], record["hangup_source"]) == ("Normal", "caller")
    at_home.phone.register()
    assert at_home.seen_at("1001") != before, "there was another mapping"


def test_a_call_survives_another_mapping_and_ends_at_home(at_home, acme):
    at_home.phone.register()
    call = called(at_home, acme)
    taken = at_home.phone.pick_up()
    call.answered()
    at_home.home.reconnect()
    assert taken.ask("BYE").status == 200
    hung_up_on(acme)
    record = at_home.record_of(call)
    assert (record["end_reason"], record["hangup_source"]) == ("Normal", "callee")


def test_a_call_from_home_survives_another_mapping(at_home, vendor):
    """The phone's address is known only by its authentication; the vendor sends BYE after the line has dropped."""
    at_home.phone.register()
    call = at_home.phone.call("442079460000")
    invite = vendor.expect("INVITE")
    assert invite.body == at_home.phone.offer.replace(PHONE, ROUTER)
    vendor.reply(invite, 200, tag="vendor", headers=["Content-Type: application/sdp"], body=ANSWER)
    at_home.phone.talk(call)
    vendor.expect("ACK")
    at_home.home.reconnect()
    assert at_home.phone.peer.ask(call.request("UPDATE", 3), call.switch, "3 UPDATE", call.call_id).status == 200
    vendor.hang_up(invite, "vendor")
    hung_up_on(at_home.phone.peer)
    record = at_home.record_of(call)
    assert (record["end_reason"], record["hangup_source"], record["mapping_gateway"]) == ("Normal", "callee", "1001")


def test_what_phones_send_to_keep_themselves_alive_is_not_answered(at_home):
    """RFC 5626 section 4.4.1 wants STUN over UDP; these are what phones send instead."""
    for nothing in (b"\r\n\r\n", b"\r\n", b"\0", b"\0\0\0\0", b"jaK"):
        at_home.phone.peer.send(nothing, at_home.switch)
    at_home.phone.register()  # an answer to those would have come before
    came = [message.start_line for message in at_home.phone.peer.messages(0.2)]
    assert set(came) <= {"HELLO"}, "a keep-alive of ours may be due"
