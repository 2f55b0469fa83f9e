"""A vendor whose TCP port is filtered: an INVITE too large for UDP goes there all the same."""

from doubles.filtered import filtered
from doubles.sockets.peer import OFFER
from e2e.conditions import eventually

from .conftest import CONFIGURATION

LARGE = OFFER + "".join(
    f"a=candidate:{number} 1 UDP 1 192.0.2.10 {20_000 + number} typ host\r\n" for number in range(30)
)
BY_UDP_AND_TCP = CONFIGURATION.replace('listen: ["udp:$switch"]', 'listen: ["udp:$switch", "tcp:$switch"]').replace(
    'prefixes: ["44"]}', 'prefixes: ["44"], response_timeout: 6}'
)


def test_a_large_invite_to_a_vendor_whose_tcp_is_filtered_goes_by_udp_within_the_time_to_respond(stage):
    """The connection hangs as behind a firewall; half of ``response_timeout`` later the INVITE goes by UDP.

    That is remembered: the next call loses no time.
    """
    scene = stage(configuration=BY_UDP_AND_TCP)
    with filtered(scene.vendor.peer.address):
        for number in ("440000001", "440000002"):
            call = scene.customer.call(number, offer=LARGE)
            eventually(lambda: call.answer is not None, "an answer")  # noqa: B023
            scene.customer.hang_up(call)
            eventually(lambda: call.bye_status == 200, "its end")  # noqa: B023
    eventually(lambda: len(scene.records()) == 2, "two records")
    later, first = scene.records()
    assert [(each["end_reason"], len(each["attempts"])) for each in (first, later)] == [("Normal", 1)] * 2
    assert 2_950 < first["pdd_ms"] < 6_000
    assert later["pdd_ms"] < 2_900
    assert [via.split(" ")[0] for invite in scene.vendor.invites.values() for via in invite.every("Via")] == [
        "SIP/2.0/UDP"
    ] * 2
