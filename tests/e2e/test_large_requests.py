"""Requests above 1,300 bytes, which take TCP where they may (RFC 3261 section 18.1.1)."""

from collections.abc import Iterator
from contextlib import nullcontext

import pytest
from doubles.daemon import Daemon
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import ANSWER, OFFER, OutgoingCall, Peer, compose, response_lines
from doubles.stream_peer import StreamPeer

from .addresses import LARGE_SWITCH, VENDORS
from .stage import Stage, configuration


@pytest.fixture
def stage(tmp_path) -> Iterator[Stage]:
    text = configuration("switch.yaml", LARGE_SWITCH)
    text = text.replace(f'listen: ["udp:{LARGE_SWITCH}"]', f'listen: ["udp:{LARGE_SWITCH}", "tcp:{LARGE_SWITCH}"]')
    with Daemon(tmp_path, text) as daemon:
        stage = Stage(daemon, LARGE_SWITCH)
        stage.pay("acme", "100")
        yield stage


def test_a_large_invite_to_a_vendor_that_refuses_tcp_goes_to_it_over_udp(stage: Stage) -> None:
    with Peer(VENDORS["carrier-a"]) as vendor, Peer(stage.endpoint_of("acme")) as customer:
        call = OutgoingCall(customer, stage.address, stage.number("4410"))
        call.send(call.request("INVITE", body=OFFER + "a=fill:" + "x" * 1_300 + "\r\n"))
        invite = vendor.expect("INVITE")
        assert invite["Via"].startswith("SIP/2.0/UDP ")
        assert invite.source == Endpoint(*LARGE_SWITCH)
        vendor.reply(invite, 486, tag="large")
        vendor.expect("ACK")
        assert call.refused().status == 486
    stage.expect_nothing_left()


@pytest.mark.parametrize("takes_tcp", [True, False], ids=["a vendor with TCP", "a vendor without"])
def test_a_large_change_of_the_session_takes_tcp_where_the_vendor_has_it(stage: Stage, takes_tcp: bool) -> None:
    address = VENDORS["carrier-a"]
    with (
        Peer(address) as vendor,
        StreamPeer(address) if takes_tcp else nullcontext(vendor) as other,
        Peer(stage.endpoint_of("acme")) as customer,
    ):
        call = OutgoingCall(customer, stage.address, stage.number("4410"))
        call.invite()
        vendor.reply(vendor.expect("INVITE"), 200, tag="large", body=ANSWER)
        call.answered()
        vendor.expect("ACK")
        larger = OFFER.replace("1 1 IN", "1 2 IN") + "a=fill:" + "x" * 1_300 + "\r\n"
        call.send(call.request("INVITE", 2, branch="again", body=larger))
        again = other.expect("INVITE")
        assert again["Via"].startswith("SIP/2.0/TCP " if takes_tcp else "SIP/2.0/UDP ")
        assert "x" * 1_300 in again.body
        answer = ANSWER.replace("1 1 IN", "1 2 IN")
        other.send(compose(response_lines(again, 200, "large", vendor.contact), answer), again.source)
        call.answered(cseq=2)
        vendor.expect("ACK")
        call.send(call.request("BYE", 3))
        vendor.reply(vendor.expect("BYE"), 200)
        customer.final_response("3 BYE", call.call_id)
    stage.expect_nothing_left()
