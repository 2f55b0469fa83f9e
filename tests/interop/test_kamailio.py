"""Calls through Kamailio as a record-routing proxy, on either side of the switch: the route sets hold."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from e2e.stage import Stage

from .addresses import CUSTOMER_PHONE, CUSTOMER_PROXY, SWITCH, VENDOR_PHONE, VENDOR_PROXY
from .baresip import Baresip
from .kamailio import Kamailio
from .telephones import Pair, expect_sound, hold_and_resume

TRANSPORTS = ["udp", "tcp"]


class Way(NamedTuple):
    """What is spoken on a side of both proxies.

    Where the two differ a proxy puts two Record-Routes into a request, one for either side (RFC 5658).
    """

    telephones: str
    switch: str

    @property
    def prefix(self) -> str:
        """What the vendor behind the proxy is dialled by."""
        return "446" if self.switch == "tcp" else "442"

    @property
    def trunk(self) -> str:
        """The routing gateway of that prefix."""
        return "proxied-vendor-by-tcp" if self.switch == "tcp" else "proxied-vendor"


@pytest.fixture(params=[Way("udp", "udp"), Way("tcp", "udp"), Way("udp", "tcp")], ids="-".join)
def way(request: pytest.FixtureRequest) -> Way:
    """What is spoken."""
    chosen: Way = request.param
    return chosen


@pytest.fixture
def before(tmp_path: Path, way: Way) -> Iterator[Kamailio]:
    """A proxy between the customer and the switch."""
    directory = tmp_path / "before"
    directory.mkdir()
    with Kamailio(directory, CUSTOMER_PROXY, SWITCH, transports=TRANSPORTS, next_transport=way.switch) as proxy:
        yield proxy


@pytest.fixture
def behind(tmp_path: Path, way: Way) -> Iterator[Kamailio]:
    """A proxy between the switch and the vendor."""
    directory = tmp_path / "behind"
    directory.mkdir()
    with Kamailio(directory, VENDOR_PROXY, VENDOR_PHONE, transports=TRANSPORTS, next_transport=way.telephones) as proxy:
        yield proxy


@pytest.fixture
def pair(stage: Stage, before: Kamailio, behind: Kamailio, baresip: Callable[..., Baresip], way: Way) -> Pair:
    """Two telephones, each behind a proxy of its own."""
    return Pair(stage, baresip, way.prefix, CUSTOMER_PROXY, way.telephones)


def within_dialogs(proxy: Kamailio) -> tuple[list[str], list[str]]:
    """Return the methods of the requests within a dialog that telephones sent, and of those that the switch sent."""
    passages = [passage for passage in proxy.passages() if passage.is_within_dialog]
    of_switch = [passage for passage in passages if passage.source == SWITCH.host]
    return [passage.method for passage in passages if passage not in of_switch], [each.method for each in of_switch]


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_a_call_keeps_to_both_route_sets_until_its_end(
    pair: Pair, before: Kamailio, behind: Kamailio, way: Way, who: str
) -> None:
    pair.establish()
    expect_sound(pair.caller)
    first, second = pair.sides(who)
    first.hang_up()
    second.expect("CALL_CLOSED", param="Connection reset by peer")

    record = pair.record()
    assert (record["end_reason"], record["hangup_source"]) == ("Normal", who)
    assert (record["mapping_gateway"], record["routing_gateway"]) == ("proxied-phone", way.trunk)
    assert record["source_address"].startswith(f"{CUSTOMER_PROXY.host}:")
    assert record["destination_address"] == str(VENDOR_PROXY)
    if who == "caller":
        assert within_dialogs(before) == (["ACK", "BYE"], [])
        assert within_dialogs(behind) == ([], ["ACK", "BYE"])
    else:
        assert within_dialogs(before) == (["ACK"], ["BYE"])
        assert within_dialogs(behind) == (["BYE"], ["ACK"])


def test_a_proxy_with_another_transport_on_either_side_is_on_the_route_twice(
    pair: Pair, before: Kamailio, behind: Kamailio, way: Way
) -> None:
    pair.establish()
    pair.callee.hang_up()
    pair.caller.expect("CALL_CLOSED")
    pair.record()

    entries = 1 if way.telephones == way.switch else 2
    assert [len(invite.every("Record-Route")) for invite in pair.callee.received("INVITE")] == [entries]
    assert len(pair.caller.responses("INVITE")[-1].every("Record-Route")) == entries
    for proxy in (before, behind):
        passages = proxy.passages()
        assert {passage.transport for passage in passages if passage.source == SWITCH.host} == {way.switch}
        assert {passage.transport for passage in passages if passage.source != SWITCH.host} == {way.telephones}


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_hold_and_resume_pass_both_proxies(pair: Pair, before: Kamailio, behind: Kamailio, who: str) -> None:
    pair.establish()
    holder, held = pair.sides(who)
    hold_and_resume(holder, held)
    holder.hang_up()
    held.expect("CALL_CLOSED", param="Connection reset by peer")

    assert pair.record()["end_reason"] == "Normal"
    near, far = (before, behind) if who == "caller" else (behind, before)
    assert within_dialogs(near)[0].count("INVITE") >= 2, (
        "a change that overtakes the ACK of the last is refused and tried again"
    )
    assert within_dialogs(far)[1].count("INVITE") >= 2, far.passages()


def test_a_call_given_up_is_cancelled_through_both_proxies(pair: Pair) -> None:
    pair.ring()
    pair.caller.hang_up()
    pair.callee.expect("CALL_CLOSED")

    record = pair.record()
    assert (record["end_reason"], record["sip_code"]) == ("Cancelled", 487)
    assert [message.status for message in pair.caller.responses("INVITE")][-1] == 487


def test_no_header_tells_of_what_is_beyond_the_switch(pair: Pair) -> None:
    pair.establish()
    pair.caller.hang_up()
    pair.callee.expect("CALL_CLOSED")
    pair.record()

    beyond = {
        pair.caller: (VENDOR_PROXY.host, VENDOR_PHONE.host, "baresip"),
        pair.callee: (CUSTOMER_PROXY.host, CUSTOMER_PHONE.host, "baresip"),
    }
    for telephone, secrets in beyond.items():
        headers = [value for message in telephone.came() for _, value in message.headers]
        assert any(value.startswith("vosd/") for value in headers)
        assert [value for value in headers if any(secret in value for secret in secrets)] == []
