"""Several domains on one switch: each is a realm with user names of its own."""

import pytest
from doubles.data.builders import catalogue, credentials, mapping_gateway, phone
from doubles.sockets.login import Login, questions
from doubles.sockets.loopback import Endpoint
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway

from vosd.sip.digest.settings import DigestSettings

DESK = Endpoint("203.0.113.66", 41_234)
REALM = "switch.example"
DIGEST = DigestSettings(realm=REALM)


def desk(number, password, domain=""):
    return phone(number, credentials=credentials("desk", password, DIGEST, domain))


@pytest.fixture
def stage() -> Scene:
    phones = [desk("1001", "one", "acme.example"), desk("2001", "two", "other.example"), desk("3001", "three")]
    trunk = mapping_gateway("acme", f"{CUSTOMER.host}/32")
    return Scene(catalogue([trunk, vendor_gateway(0)], phones=phones, digest=DIGEST))


def realm_of(response) -> str:
    return questions(response)[0].parameters["realm"]


def at_the_door(stage, domain, address=DESK):
    request_client = stage.exchange.request_client(address)
    request_client.domain, request_client.number = domain, "desk"
    return request_client


@pytest.mark.parametrize("method", ["INVITE", "REGISTER"])
@pytest.mark.parametrize(
    ("domain", "realm"),
    [
        ("ACME.example", "acme.example"),
        ("other.example", "other.example"),
        ("unknown.example", REALM),
        ("10.0.0.1", REALM),
    ],
)
def test_who_names_a_domain_is_challenged_with_it_and_others_with_the_realm_of_the_switch(stage, method, domain, realm):
    assert realm_of(at_the_door(stage, domain).ask(method)) == realm


@pytest.mark.parametrize(
    ("domain", "password", "number"),
    [("acme.example", "one", "1001"), ("other.example", "two", "2001"), ("unknown.example", "three", "3001")],
)
def test_the_same_user_name_is_another_user_in_each_domain(stage, domain, password, number):
    request_client = at_the_door(stage, domain)
    assert request_client.prove(Login("desk", password), "REGISTER").status == 200
    assert [each.name for each in stage.exchange.registrations.listed()] == [number]
    assert request_client.prove(Login("desk", password)).status == 180
    assert [call.call_request.mapping.name for call in stage.exchange.switch.calls()] == [number]


def test_the_password_of_one_domain_is_wrong_in_the_others(stage):
    for domain in ("other.example", "unknown.example"):
        assert at_the_door(stage, domain).prove(Login("desk", "one"), "REGISTER").status == 401
    assert stage.exchange.endpoint.dropped == {"wrong credentials": 2}


def test_where_the_address_of_the_user_names_none_the_request_uri_does(stage):
    request_client = at_the_door(stage, "10.0.0.1")
    assert realm_of(request_client.ask("REGISTER", uri="sip:acme.example")) == "acme.example"
    assert request_client.prove(Login("desk", "one"), "REGISTER", uri="sip:acme.example").status == 200


def test_credentials_for_its_domain_count_before_the_address_of_a_trunk(stage):
    request_client = at_the_door(stage, "acme.example", CUSTOMER)
    assert request_client.ask(callee=CALLEE).status == 180, "the trunk itself"
    request_client = at_the_door(stage, "acme.example", Endpoint(CUSTOMER.host, 5_099))
    assert request_client.prove(Login("desk", "one"), "REGISTER").status == 200
    assert request_client.prove(Login("desk", "one")).status == 180
    assert [call.call_request.mapping.name for call in stage.exchange.switch.calls()] == ["acme", "1001"]


def test_an_authentication_ends_with_the_user_of_that_domain(stage):
    at_the_door(stage, "acme.example").prove(Login("desk", "one"), "REGISTER")
    now = stage.exchange.clock.now()
    assert stage.exchange.authenticator.has_proven(DESK.host, now)
    stage.exchange.swap_catalogue(catalogue([vendor_gateway(0)], phones=[desk("3001", "three")], digest=DIGEST))
    assert not stage.exchange.authenticator.has_proven(DESK.host, now)
    assert list(stage.exchange.registrations.listed()) == []


@pytest.mark.parametrize(
    ("before", "after", "is_left"),
    [
        ("acme.example", "other.example", False),
        ("acme.example", "acme.example", True),
        ("", "acme.example", True),
        ("acme.example", "", True),
    ],
)
def test_the_number_of_a_customer_that_gets_it_from_another_one_rings_no_phone_of_that_one(before, after, is_left):
    """Hashes of two realms tell nothing of whether the password is the same one; a phone may say a domain already."""
    trunk, others = mapping_gateway("acme", f"{CUSTOMER.host}/32"), desk("9001", "nine", "third.example")
    stage = Scene(catalogue([trunk], phones=[desk("1001", "one", before), others], digest=DIGEST))
    at_the_door(stage, before or "switch.example").prove(Login("desk", "one"), "REGISTER")
    assert [each.name for each in stage.exchange.registrations.listed()] == ["1001"]
    stage.exchange.swap_catalogue(catalogue([trunk], phones=[desk("1001", "two", after), others], digest=DIGEST))
    assert bool(stage.exchange.registrations.addresses("1001")) is (is_left and before != after)
