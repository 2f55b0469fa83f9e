"""Requests above 1,300 bytes, which take TCP where they may (RFC 3261 section 18.1.1)."""

from collections.abc import Iterator

import pytest
from doubles.daemon import Daemon
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import OFFER, OutgoingCall, Peer

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
