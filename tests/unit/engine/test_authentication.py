"""Phones and trunks that prove who they are before they may call: through the real switch, on virtual time."""

from decimal import Decimal

from vosd.sip.digest.settings import DigestSettings
from vosd.testing.builders import catalogue, mapping_gateway, phone
from vosd.testing.customer import Intent
from vosd.testing.login import Login
from vosd.testing.loopback import Endpoint
from vosd.testing.scene import CALLEE, CUSTOMER, Scene, vendor_gateway

DESK = Endpoint("203.0.113.66", 41_234)
"""A telephone at an address that nobody knows."""
RIGHT = Login("1001", "secret")
WRONG = Login("1001", "guess")


def scene(*phones, gateways=(), digest=None, **parameters) -> Scene:
    known = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    digest = digest or DigestSettings()
    phones = phones or (phone("1001", digest=digest),)
    return Scene(catalogue([*known, *gateways], phones=phones, digest=digest, **parameters))


def call(scene, login, *, address=DESK, **intent):
    """Call from an address, and hang up a while after an answer."""
    made = scene.exchange.caller(address).call(CALLEE, Intent(login=login, hang_up_after_ms=10_000, **intent))
    scene.wire.run_for(500)
    return made


def test_a_phone_calls_from_anywhere_and_its_account_pays():
    stage = scene()
    made = call(stage, RIGHT, caller="1001")
    assert [response.status for response in made.responses][:1] == [401]
    stage.wire.run_until(lambda: made.is_over)
    record = stage.close()
    assert (record.mapping_gateway, record.customer_account, record.end_reason) == ("1001", "acme", "Normal")
    assert (record.caller_in, record.caller_out) == ("1001", "1001")
    assert record.hold_time_s == 10
    assert stage.exchange.statement("acme") == Decimal("-0.10")
    assert record.source_address == str(DESK)
