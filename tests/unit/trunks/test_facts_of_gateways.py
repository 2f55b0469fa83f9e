"""What follows from the fields of a gateway."""

import msgspec
import pytest
from doubles.data.builders import routing_gateway

from vosd.base.credentials import Credentials, Login
from vosd.base.secret import Secret
from vosd.trunks.gateways import Address, Registration
from vosd.trunks.scope import LimitScope

FIXED = (Address("203.0.113.1", 5060), Address("2001:db8::1", 5060))
NAMED = (Address("203.0.113.1", 5060), Address("sip.example.net", None))
REGISTRATION = Registration(
    server=Address("203.0.113.9", 5060),
    domain="example.net",
    user="alice",
    contact_user="alice",
    login=Login("alice", Secret("secret")),
)


@pytest.mark.parametrize(
    ("terms", "fixed"),
    [
        ({"addresses": FIXED}, FIXED),
        ({"addresses": NAMED}, ()),
        ({"addresses": ()}, ()),
        ({"addresses": FIXED, "registration": REGISTRATION}, ()),
        ({"addresses": FIXED, "credentials": Credentials("alice", {})}, ()),
        ({"addresses": FIXED, "account": None}, ()),
    ],
    ids=["addresses", "a name among them", "none", "we register", "it registers", "a phone"],
)
def test_addresses_are_fixed_where_neither_a_name_nor_a_registration_changes_them(terms, fixed):
    assert routing_gateway("carrier", **terms).fixed_addresses == fixed


def test_a_changed_gateway_has_the_facts_of_its_own_fields():
    vendor = routing_gateway("carrier", addresses=FIXED)
    assert (vendor.is_phone, vendor.registers, vendor.is_limited, vendor.scope) == (
        False,
        False,
        False,
        LimitScope.ROUTING,
    )
    phone = msgspec.structs.replace(vendor, account=None, max_cps=1)
    assert (phone.is_phone, phone.registers, phone.is_limited, phone.scope) == (True, True, True, LimitScope.MAPPING)
    assert phone.fixed_addresses == ()
    assert vendor == routing_gateway("carrier", addresses=FIXED), "what was computed does not count in comparisons"
