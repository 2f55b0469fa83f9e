"""baresip calls baresip through the switch: what both telephones, the wire and the CDR tell of it."""

from collections.abc import Callable

import pytest
from e2e.conditions import eventually
from e2e.stage import Stage

from .addresses import OTHER_VENDOR_PHONE, SWITCH, TLS_SWITCH
from .baresip import Baresip
from .telephones import Pair, expect_sound, hold_and_resume

WAYS = {
    "udp": (SWITCH, "441", "udp"),
    "tcp": (SWITCH, "444", "tcp"),
    "tls": (TLS_SWITCH, "445", "tls"),
    "relayed": (SWITCH, "447", "udp"),
}
"""Address that the customer calls, prefix by which the switch calls the vendor, transport of both."""


@pytest.fixture(params=WAYS)
def pair(request: pytest.FixtureRequest, stage: Stage, baresip: Callable[..., Baresip]) -> Pair:
    """A customer's and a vendor's telephone."""
    way_in, prefix, transport = WAYS[request.param]
    return Pair(stage, baresip, prefix, way_in, transport, is_relayed=request.param == "relayed")


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_an_answered_call_carries_sound_both_ways_and_either_side_ends_it(pair: Pair, who: str) -> None:
    pair.establish()
    expect_sound(pair.caller)
    expect_sound(pair.callee)
    first, second = pair.sides(who)
    first.hang_up()
    second.expect("CALL_CLOSED", param="Connection reset by peer")
    first.expect("CALL_CLOSED", param="Connection reset by user")

    record = pair.record()
    assert (record["end_reason"], record["hangup_source"], record["sip_code"]) == ("Normal", who, 200)
    assert record["codec"] == "PCMU"
    assert record["ringing_at"] is not None
    spoken = f"SIP/2.0/{pair.transport.upper()} "
    assert all(response["Via"].startswith(spoken) for response in pair.caller.responses("INVITE"))
    assert [invite["Via"].startswith(spoken) for invite in pair.callee.received("INVITE")] == [True]
    assert (record["fee"], record["cost"]) == ("0.60", "0.30")
    assert (record["media"] is not None) is pair.is_relayed
    for leg, telephone in (("caller", pair.caller), ("callee", pair.callee)) if pair.is_relayed else ():
        media = record["media"]["legs"][leg]
        assert media["address"].startswith(f"{telephone.address.host}:")
        assert media["latched"] is not None
        assert (media["codec"], media["lost_percent"]) == ("PCMU", 0.0)
        assert media["packets_in"] > 0


def test_a_telephone_that_refuses_is_busy(pair: Pair) -> None:
    pair.ring()
    pair.callee.hang_up()
    closed = pair.caller.expect("CALL_CLOSED")

    assert closed["param"].startswith("486 ")
    record = pair.record()
    assert (record["end_reason"], record["hangup_source"], record["sip_code"]) == ("Busy", "callee", 486)
    assert [attempt["code"] for attempt in record["attempts"]] == [486]


def test_a_caller_that_gives_up_is_heard_at_the_other_end(pair: Pair) -> None:
    pair.ring()
    pair.caller.hang_up()
    pair.callee.expect("CALL_CLOSED")

    record = pair.record()
    assert (record["end_reason"], record["hangup_source"], record["sip_code"]) == ("Cancelled", "caller", 487)
    assert len(pair.callee.received("CANCEL")) == 1
    assert [message.status for message in pair.caller.responses("INVITE")][-1] == 487


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_hold_and_resume_reach_the_other_side(pair: Pair, who: str) -> None:
    pair.establish()
    holder, held = pair.sides(who)
    expect_sound(held)
    hold_and_resume(holder, held)
    held.hang_up()
    holder.expect("CALL_CLOSED", param="Connection reset by peer")

    record = pair.record()
    assert record["hangup_source"] == ("callee" if who == "caller" else "caller")
    assert record["end_reason"] == "Normal"


def test_a_key_pressed_is_an_event_in_the_sound_and_reaches_the_other_side(pair: Pair) -> None:
    pair.establish()
    expect_sound(pair.callee)
    pair.caller.press("5")
    pair.callee.expect("CALL_DTMF_START", param="5")
    pair.callee.press("#")
    pair.caller.expect("CALL_DTMF_START", param="#")
    pair.caller.hang_up()

    assert pair.record()["end_reason"] == "Normal"


def notified(pair: Pair) -> list[str]:
    return [notify.body.split()[1] for notify in pair.caller.received("NOTIFY")]


def test_a_transferred_call_goes_on_without_the_one_who_transferred_it(
    pair: Pair, stage: Stage, baresip: Callable[..., Baresip]
) -> None:
    number = stage.number("443")
    target = baresip(number, OTHER_VENDOR_PHONE)
    pair.establish()
    pair.caller.transfer(f"sip:{number}@{SWITCH}")
    target.expect("CALL_INCOMING")
    eventually(lambda: notified(pair) == ["100", "180"], lambda: f"the target rings: {notified(pair)}")
    target.accept()
    pair.caller.expect("CALL_CLOSED")
    assert notified(pair) == ["100", "180", "200"]
    target.expect("CALL_ESTABLISHED")
    expect_sound(target)
    target.hang_up()
    pair.callee.expect("CALL_CLOSED", param="Connection reset by peer")

    first, second = pair.record(), stage.record_of(number)
    assert (first["end_reason"], second["end_reason"]) == ("Normal", "Normal")
    assert (first["customer_account"], second["customer_account"]) == ("acme", "acme")
    assert second["routing_gateway"] == "other-vendor-phone"
    assert first["ended_at"] >= second["answered_at"]
    assert (first["fee"], second["fee"]) == ("0.60", "0.60")


def test_a_vendor_may_not_transfer(pair: Pair) -> None:
    pair.establish()
    pair.callee.transfer(f"sip:{pair.number}@{SWITCH}")
    refused = pair.callee.expect("TRANSFER_FAILED")
    assert refused["param"].startswith("403 ")
    pair.caller.expect("CALL_CLOSED", param="Connection reset by peer")

    record = pair.record()
    assert (record["end_reason"], record["hangup_source"]) == ("Normal", "callee")


def test_no_header_tells_one_telephone_of_the_other(pair: Pair) -> None:
    pair.establish()
    pair.callee.hang_up()
    pair.caller.expect("CALL_CLOSED")
    pair.record()

    for telephone, other in ((pair.caller, pair.callee), (pair.callee, pair.caller)):
        headers = [value for message in telephone.came() for _, value in message.headers]
        assert any(value.startswith("vosd/") for value in headers)
        assert [value for value in headers if other.address.host in value or "baresip" in value] == []
