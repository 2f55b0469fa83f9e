"""baresip as a telephone of ours: it registers with a digest, calls, is called, and goes away."""

from collections.abc import Callable

import pytest
from e2e.conditions import eventually
from e2e.stage import Stage

from .addresses import FIRST_PHONE, FOURTH_PHONE, HOME_SWITCH, SECOND_PHONE, THIRD_PHONE, TLS_HOME_SWITCH
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
    assert record["fee"] == "0.60"
    home.expect_books_in_order()

    callee.switch_off()
    eventually(lambda: set(registered()) == {caller_number}, "the callee gone")
    caller.dial(callee_number, switch)
    assert caller.expect("CALL_CLOSED")["param"].startswith("480 ")
    caller.switch_off()
    eventually(lambda: not registered(), "both gone")


def test_three_telephones_ring_together_and_one_has_the_call(home: Stage, baresip: Callable[..., Baresip]) -> None:
    places = {"7002": SECOND_PHONE, "7004": THIRD_PHONE, "7006": FOURTH_PHONE}
    caller = baresip("7001", FIRST_PHONE, "udp", HOME_SWITCH)
    called = {number: baresip(number, place, "udp", HOME_SWITCH) for number, place in places.items()}
    names = {"7001", *called}
    eventually(lambda: names <= {row["name"] for row in home.daemon.ask("registrations")}, "all registered")
    caller.dial("7700", HOME_SWITCH)
    for telephone in called.values():
        telephone.expect("CALL_INCOMING")
    called["7004"].accept()
    caller.expect("CALL_ESTABLISHED")
    called["7004"].expect("CALL_ESTABLISHED")
    for number in ("7002", "7006"):
        called[number].expect("CALL_CLOSED")
        (cancel,) = called[number].received("CANCEL")
        assert 'SIP;cause=200;text="Call completed elsewhere"' in cancel.every("Reason")
    expect_sound(caller)
    expect_sound(called["7004"])
    caller.hang_up()
    called["7004"].expect("CALL_CLOSED")
    home.expect_nothing_left()
    record = home.record_of("7700")
    assert (record["routing_gateway"], record["did"], record["end_reason"]) == ("7004", "7700", "Normal")
    assert sorted(row["reason"] for row in record["attempts"]) == [
        "Answered",
        "Answered Elsewhere",
        "Answered Elsewhere",
    ]
    for telephone in (caller, *called.values()):
        telephone.switch_off()
    eventually(lambda: not home.daemon.ask("registrations"), "all gone")
