"""Phones at the address of a trunk that proves nothing: behind a customer's NAT, or in a wide network."""

import pytest
from doubles.data.builders import catalogue, mapping_gateway, phone
from doubles.sockets.login import Login, answer, questions
from doubles.sockets.loopback import Endpoint
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway

DESK = Endpoint(CUSTOMER.host, 41_234)
"""A telephone behind the same NAT as the trunk."""
OTHER_DESK = Endpoint(CUSTOMER.host, 41_235)
RIGHT = Login("1001", "secret")
WRONG = Login("1001", "guess")


def scene() -> Scene:
    phones = [phone("1001"), phone("1002")]
    return Scene(catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)], phones=phones))


def proof(request_client, login) -> str:
    """Answer the challenge of a REGISTER in an INVITE, as a phone that has just registered may."""
    return answer(request_client.question("REGISTER"), login, "INVITE", request_client.uri("INVITE", CALLEE))


def test_credentials_take_precedence_over_the_address():
    stage = scene()
    request_client = stage.exchange.request_client(DESK)
    assert request_client.ask(headers=[proof(request_client, RIGHT)]).status == 180
    (call,) = stage.exchange.switch.calls()
    assert call.call_request.mapping.name == "1001"


@pytest.mark.parametrize("login", [WRONG, Login("unknown", "secret")])
def test_wrong_credentials_do_not_fall_back_to_the_address_and_lock_no_trunk_out(login):
    stage = scene()
    request_client = stage.exchange.request_client(DESK)
    for _ in range(6):
        response = request_client.ask(headers=[proof(request_client, login)])
        assert (response.status, questions(response)[0].is_stale) == (401, False)
    assert request_client.ask(headers=[proof(request_client, login)]).status == 503
    assert stage.exchange.switch.calls() == ()
    assert request_client.ask().status == 180, "the trunk itself is heard as before"


def test_a_registered_phone_is_challenged_although_its_address_is_a_trunks():
    stage = scene()
    desk = stage.exchange.telephone("1001", DESK)
    desk.register()
    made = desk.call(CALLEE, Intent(hang_up_after_ms=1_000))
    stage.wire.run_until(lambda: made.is_over)
    assert [response.status for response in made.responses if response.status > 100] == [401, 180, 200]
    record = stage.close()
    assert (record.mapping_gateway, record.caller_out) == ("1001", "1001")


def test_the_trunk_goes_on_without_credentials_beside_its_phones():
    stage = scene()
    stage.exchange.telephone("1001", DESK).register()
    stage.whole_call(Intent(hang_up_after_ms=1_000))
    assert stage.close().mapping_gateway == "acme"


@pytest.mark.parametrize("number", ["1001", "1002"])
def test_a_phone_takes_over_calls_of_its_account_there(number):
    stage = scene()
    desk = stage.exchange.telephone("1001", DESK)
    other = stage.exchange.telephone(number, OTHER_DESK)
    desk.register()
    other.register()
    made = desk.call(CALLEE)
    stage.await_answer(made, talk_ms=1_000)
    pickup = other.call(CALLEE, Intent(headers=(f"Replaces: {made.replaces}",)))
    stage.wire.run_for(3_000)
    assert [response.status for response in pickup.responses if response.status > 100] == [401, 200]
    assert made.is_over
    stage.finish(pickup)
