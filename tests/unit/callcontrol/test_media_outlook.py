"""Media before a call: the steps of the decision by networks and NAT, each with its answer as far as it is known."""

from ipaddress import ip_network

import pytest
from doubles.data.builders import credentials, mapping_gateway, phone, routing_gateway

from vosd.base.host import is_within_private
from vosd.base.nat import Nat
from vosd.callcontrol.media_outlook import media_outlook
from vosd.trunks.dialect import CalleeDialect, CallerDialect
from vosd.trunks.gateways import Address
from vosd.trunks.media import DEFAULT_MEDIA, MediaEngine, MediaMode, MediaParameters, MediaSettings

SOCKET = "198.51.100.1"
NOWHERE = (Address("0.0.0.0", 5060),)


def outlook(
    *, caller="203.0.113.10/32", source="", gateway="203.0.113.20", caller_nat=Nat.AUTO, nat=Nat.NO, addresses=None,
    interface=None, sockets=(SOCKET,), media=DEFAULT_MEDIA, **parameters,
):  # fmt: skip
    one = mapping_gateway("acme", caller, dialect=CallerDialect(nat=caller_nat)) if isinstance(caller, str) else caller
    places = (Address(gateway, 5060),) if addresses is None else addresses
    dialect = CalleeDialect(nat=nat, interface=interface)
    other = routing_gateway("vendor", "44", addresses=places, dialect=dialect, media=media)
    installation = MediaParameters(engine=MediaEngine.RELAY, mode=MediaMode.AUTO, sockets=sockets, **parameters)
    return media_outlook(installation, one, source, other, places)


def answers(found):
    """Return what is decided, and the answer of each step with a word of its reason."""
    return found.is_relayed, found.step, [(each.step, each.is_relayed, each.reason) for each in found.steps]


NEXT_TO = "both are at public addresses and use the same address of sip.listen"
IN_CALL = "whether both are behind NAT shows in their Contact and session description alone"
ELSE = "no step before it has media relayed"


def test_two_public_sides_are_in_one_network_and_nat_shows_in_the_call():
    assert answers(outlook()) == (None, None, [(6, False, NEXT_TO), (7, None, IN_CALL), (8, False, ELSE)])


def test_a_private_side_and_a_public_one_are_relayed_by_step_6():
    reason = "one side is at a private address, the other at a public one"
    assert answers(outlook(gateway="10.0.0.20")) == (True, 6, [(6, True, reason)])
    assert answers(outlook(source="192.168.0.7", caller="0.0.0.0/0")) == (True, 6, [(6, True, reason)])


def test_sides_at_different_addresses_of_ours_are_relayed_by_step_6():
    sockets, reason = (SOCKET, "2001:db8::1"), "both use different addresses of sip.listen"
    assert answers(outlook(gateway="2001:db8::20", sockets=sockets)) == (True, 6, [(6, True, reason)])
    by_interface = outlook(sockets=("198.51.100.1", "10.0.0.1"), interface="udp:10.0.0.1:5060")
    assert by_interface.steps[0].is_relayed is None
    assert outlook(interface=f"udp:{SOCKET}:5060").steps[0].is_relayed is False


@pytest.mark.parametrize(
    ("changes", "unknown"),
    [
        ({"caller": "0.0.0.0/0"}, "the address of the caller is known in the call alone"),
        ({"caller": "10.0.0.0/7"}, "the address of the caller is known in the call alone"),
        ({"addresses": NOWHERE}, "the address of the gateway is known in the call alone"),
        ({"addresses": ()}, "the address of the gateway is known in the call alone"),
        ({"gateway": "sip.example.com"}, "the address of the gateway is known in the call alone"),
        (
            {"addresses": (Address("10.0.0.1", 5060), Address("203.0.113.1", 5060))},
            "the address of the gateway is known in the call alone",
        ),
        ({"sockets": (SOCKET, "10.0.0.1")}, "which addresses of sip.listen both use is known in the call alone"),
    ],
)
def test_step_6_names_what_is_not_known_before_the_call(changes, unknown):
    found = outlook(**changes)
    assert (found.is_relayed, found.step) == (None, None)
    assert (found.steps[0].is_relayed, found.steps[0].reason) == (None, unknown)
    assert [each.step for each in found.steps] == [6, 7, 8]


def test_phones_and_customers_with_credentials_alone_call_from_anywhere():
    for caller in (phone("7001").gateway, mapping_gateway("acme", credentials=credentials("a", "secret"))):
        assert outlook(caller=caller).steps[0].is_relayed is None


@pytest.mark.parametrize(
    ("changes", "answer", "reason"),
    [
        ({"caller_nat": Nat.YES}, True, "the caller is behind NAT"),
        ({"nat": Nat.YES}, True, "the gateway is behind NAT"),
        ({"caller_nat": Nat.YES, "nat": Nat.YES}, True, "the caller is behind NAT"),
        ({"caller_nat": Nat.YES, "caller": "203.0.113.0/24"}, None, IN_CALL),
        ({"caller_nat": Nat.YES, "caller": "203.0.113.0/24", "same_nat": True}, True, "the caller is behind NAT"),
        (
            {"caller_nat": Nat.YES, "nat": Nat.YES, "gateway": "203.0.113.10"},
            False,
            "both are behind the same NAT, and SS_MEDIAPROXYSAMENAT is Off",
        ),
        ({"caller": "10.0.0.1/32", "gateway": "10.0.0.2", "caller_nat": Nat.NO}, False, "neither side is behind NAT"),
        ({"caller": "10.0.0.1/32", "gateway": "10.0.0.2"}, None, IN_CALL),
        ({"behind_nat": False}, False, "SS_MEDIAPROXYBEHINDNAT is Off"),
    ],
)
def test_step_7_says_which_side_is_behind_nat_as_far_as_that_is_configured(changes, answer, reason):
    step = outlook(**changes).steps[1]
    assert (step.step, step.is_relayed, step.reason) == (7, answer, reason)


@pytest.mark.parametrize("changes", [{}, {"caller_nat": Nat.YES}, {"caller": "10.0.0.1/32", "gateway": "10.0.0.2"}])
def test_a_side_that_is_alone_behind_nat_is_in_another_network_also_without_step_7(changes):
    found = outlook(**changes, behind_nat=False)
    assert (found.is_relayed, found.steps[0].is_relayed, found.steps[0].reason) == (None, None, IN_CALL)


def test_without_nat_on_either_side_and_step_7_media_are_direct():
    found = outlook(caller="10.0.0.1/32", gateway="10.0.0.2", caller_nat=Nat.NO, behind_nat=False)
    assert (found.is_relayed, found.step) == (False, 8)


def test_a_registered_phone_whose_contact_is_another_address_is_behind_nat():
    contact = Address("203.0.113.20", 40_000, uri="sip:7001@192.168.0.7:5060")
    found = outlook(addresses=(contact,), nat=Nat.AUTO)
    assert (found.is_relayed, found.step) == (True, 7)


def test_what_no_step_can_have_relayed_is_direct_by_step_8():
    off = "SS_MEDIAPROXYBETWEENNET is Off"
    found = outlook(between_networks=False, behind_nat=False)
    assert answers(found) == (
        False,
        8,
        [(6, False, off), (7, False, "SS_MEDIAPROXYBEHINDNAT is Off"), (8, False, ELSE)],
    )


def test_a_step_before_decides_without_networks_and_nat():
    found = outlook(media=MediaSettings(mode=MediaMode.ON))
    assert answers(found) == (True, 3, [])


@pytest.mark.parametrize(
    ("network", "is_inside"),
    [("10.1.0.0/16", True), ("10.0.0.0/8", True), ("0.0.0.0/0", None), ("203.0.113.0/24", False), ("fd00::/8", True)],
)
def test_a_network_is_private_public_or_both(network, is_inside):
    assert is_within_private(ip_network(network)) is is_inside
