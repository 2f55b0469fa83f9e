"""The scripted peer: a message that is repeated because the machine is busy is taken for no other one."""

import pytest
from doubles.sockets.loopback import free_endpoint
from doubles.sockets.peer import Peer, UnexpectedError
from doubles.virtual.probe import request

INVITE, NEXT, BYE = request("INVITE"), request("INVITE", call_id="next"), request("BYE")


@pytest.fixture
def peers():
    with Peer(free_endpoint()) as one, Peer(free_endpoint()) as other:
        yield one, other


def test_a_repeated_invite_is_not_taken_for_the_next_call(peers):
    one, other = peers
    for data in (INVITE, INVITE, NEXT):
        one.send(data, other.address)
    assert other.expect("INVITE").data == INVITE
    assert other.expect("INVITE").data == NEXT


def test_another_request_may_be_expected_again(peers):
    one, other = peers
    for data in (BYE, BYE, NEXT):
        one.send(data, other.address)
    assert [other.expect("BYE").data, other.expect("BYE").data] == [BYE, BYE]
    with pytest.raises(UnexpectedError):
        other.expect("BYE", within_s=1)
