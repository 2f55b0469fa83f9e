"""The vendor has answered; the caller acknowledges no early media, which his 200 must not overtake (RFC 3262)."""

from decimal import Decimal

import pytest
from e2e.conditions import eventually

NUMBER = "4491000"
RELIABLE = ("Supported: 100rel",)


@pytest.fixture
def waiting(stage):
    """A switch with a call whose 200 waits for a PRACK."""
    scene = stage()
    scene.vendor.behaviours = {NUMBER: "speaks, then answers"}
    scene.call = scene.customer.call(NUMBER, headers=RELIABLE)
    eventually(lambda: scene.vendor.counted("ACK").total() == 1, "the vendor's answer acknowledged")
    eventually(lambda: 183 in scene.call.statuses, "early media at the caller")
    return scene


def test_a_caller_that_sends_no_prack_is_refused_and_pays_nothing_while_the_vendor_is_paid(waiting):
    call = waiting.call
    eventually(lambda: 504 in call.statuses, "the end of the wait for a PRACK")
    eventually(lambda: waiting.vendor.counted("BYE").total() == 1, "a BYE at the vendor")
    [record] = eventually(waiting.records, "its record")
    assert (record["end_reason"], record["sip_code"], record["hangup_source"]) == ("Unavailable", 504, "caller")
    assert (record["answered_at"], record["fee"], record["billed_seconds"]) == (None, "0.00", 0)
    assert record["vendor_answered_at"] is not None
    assert Decimal(record["cost"]) >= Decimal("0.015"), "64 T1 are three seconds here"
    assert (record["currency"], record["vendor_currency"]) == ("USD", "USD")
    assert waiting.daemon.ask("account", "show", "acme")["balance"] == "0.00"
    assert waiting.daemon.ask("account", "show", "carrier")["balance"] == f"-{record['cost']}"
    waiting.daemon.succeed("ledger", "verify")


def test_a_switch_that_is_killed_meanwhile_charges_the_caller_nothing(waiting):
    waiting.daemon.kill()
    waiting.daemon.start()
    eventually(lambda: 503 in waiting.call.statuses, "a final response for the caller")
    eventually(lambda: waiting.vendor.counted("BYE").total() == 1, "a BYE at the vendor")
    [record] = eventually(waiting.records, "its record")
    assert (record["end_reason"], record["answered_at"], record["fee"]) == ("Lost", None, "0.00")
    assert record["vendor_answered_at"] is not None
    waiting.daemon.succeed("ledger", "verify")
