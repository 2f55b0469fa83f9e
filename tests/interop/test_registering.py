"""baresip as a telephone of ours: it registers with a digest, calls, is called, and goes away."""

from collections.abc import Callable

import pytest
from e2e.conditions import eventually
from e2e.stage import Stage

from .addresses import FIRST_PHONE, HOME_SWITCH, SECOND_PHONE, TLS_HOME_SWITCH
from .baresip import Baresip
from .telephones import expect_sound

WAYS = {
    "udp": (HOME_SWITCH, "7001", "7002"),
    "tcp": (HOME_SWITCH, "7003", "7004"),
    "tls": (TLS_HOME_SWITCH, "7005", "7006"),
}


@pytest.mark.parametrize("transport", WAYS)
def test_telephones_register_call_each_other_and_leave(
    home: Stage, baresip: Callable[..., Baresip], transport: str
) -> None:
    switch, caller_number, callee_number = WAYS[transport]
    caller = baresip(caller_number, FIRST_PHONE, transport, switch)
    callee = baresip(callee_number, SECOND_PHONE, transport, switch)

    def registered() -> dict[str, dict[str, object]]:
        rows = home.daemon.ask("registrations")
        return {row["name"]: row for row in rows if row["name"] in {caller_number, callee_number}}

    rows = eventually(lambda: len(found := registered()) == 2 and found, "both registered")
    assert {row["transport"] for row in rows.values()} == {transport}
    assert "baresip" in str(rows[caller_number]["user_agent"])

    caller.dial(callee_number, switch)
    callee.expect("CALL_INCOMING")
    callee.accept()
    caller.expect("CALL_ESTABLISHED")
    callee.expect("CALL_ESTABLISHED")
    expect_sound(caller)
    expect_sound(callee)
    callee.hang_up()
    caller.expect("CALL_CLOSED")

    home.expect_nothing_left()
    record = home.record_of(callee_number)
    assert (record["mapping_gateway"], record["routing_gateway"]) == (caller_number, callee_number)
    assert (record["customer_account"], record["vendor_account"]) == ("family", None)
    assert (record["end_reason"], record["hangup_source"], record["cost"]) == ("Normal", "callee", "0.00")
    assert record["fee"] == "0.06"
    home.expect_books_in_order()

    callee.switch_off()
    eventually(lambda: set(registered()) == {caller_number}, "the callee gone")
    caller.dial(callee_number, switch)
    assert caller.expect("CALL_CLOSED")["param"].startswith("480 ")
    caller.switch_off()
    eventually(lambda: not registered(), "both gone")
