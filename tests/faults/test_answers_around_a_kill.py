"""Vendors that answer around a kill: they bill it, so every INVITE that may have been answered leaves a record."""

from decimal import Decimal

from doubles.journals import marks_in
from e2e.conditions import eventually

from vosd.billing.rates import PRECISION_MS

from .conftest import CONFIGURATION

SLOW = CONFIGURATION.replace("t1: 0.05, t2: 0.4", "t1: 0.05, t2: 0.1")


def test_every_call_that_may_have_been_answered_has_a_record_that_says_what_is_known(stage):
    scene = stage(configuration=SLOW)
    numbers = {"answered": "4490001", "silent": "4490002", "refused": "4490003"}
    scene.vendor.behaviours = dict.fromkeys(numbers.values(), "rings")
    waiting = [scene.customer.call(number) for number in numbers.values()]
    eventually(lambda: all(180 in call.statuses for call in waiting), "three calls that ring")
    invites = {
        invite.start_line.partition("sip:")[2].partition("@")[0]: invite for invite in scene.vendor.invites.values()
    }
    scene.daemon.kill()
    scene.vendor.answer(invites[numbers["answered"]]["Call-ID"])  # and nothing is there to take it
    scene.vendor.silent = {invites[numbers["silent"]]["Call-ID"], invites[numbers["answered"]]["Call-ID"]}
    scene.daemon.start()
    scene.vendor.answer(invites[numbers["answered"]]["Call-ID"])  # repeated: our ACK did not come
    eventually(lambda: scene.vendor.counted("BYE").total() == 1, "what was answered is released")

    records = eventually(lambda: len(found := scene.records()) == 3 and found, "a record of each")
    by_number = {record["callee_in"]: record for record in records}
    for what, number in numbers.items():
        record = by_number[number]
        assert (record["end_reason"], record["hangup_source"], record["sip_code"]) == ("Lost", "switch", 503), what
        cost = "0.005" if what == "answered" else "0.00"  # of its first second
        assert (record["answered_at"], record["fee"], record["cost"]) == (None, "0.00", cost)
        assert (record["customer_account"], record["vendor_account"]) == ("acme", "carrier")
        assert (record["mapping_gateway"], record["routing_gateway"]) == ("acme-pbx", "carrier")
        assert (record["callee_out"], record["sip_call_id_out"]) == (number, invites[number]["Call-ID"])
        assert record["destination_address"] == str(scene.vendor.peer.address)
        assert record["started_at"] < record["ended_at"]
    ends = {
        what: [(each["code"], each["reason"]) for each in by_number[number]["attempts"]]
        for what, number in numbers.items()
    }
    assert ends == {"answered": [(200, "Late Answer")], "silent": [(0, "Lost")], "refused": [(487, "Lost")]}
    eventually(lambda: scene.events("earlier_legs_ended"), "all is released")
    assert [(each["late_answers"], each["unknown_answers"]) for each in scene.events("earlier_legs_ended")] == [(1, 1)]
    scene.daemon.succeed("ledger", "verify")


def test_a_second_kill_loses_none_of_these_records_and_doubles_none(stage):
    scene = stage(configuration=SLOW)
    numbers = [f"4490{number:03d}" for number in range(12)]
    scene.vendor.behaviours = dict.fromkeys(numbers, "rings")
    waiting = [scene.customer.call(number) for number in numbers]
    eventually(lambda: all(180 in call.statuses for call in waiting), "calls that ring")
    scene.vendor.silent = set(scene.vendor.invites)
    for _ in range(2):
        scene.daemon.kill()
        scene.daemon.start()
    records = eventually(lambda: len(found := scene.records()) >= 12 and found, "a record of each")
    eventually(lambda: scene.events("earlier_legs_ended"), "all is released")
    scene.daemon.kill()
    scene.daemon.start()
    records = scene.records()
    assert sorted(record["callee_in"] for record in records) == numbers
    assert {record["attempts"][-1]["code"] for record in records} == {0}


def test_where_ringing_is_charged_an_answer_behind_two_kills_costs_what_is_above_it_once(stage):
    scene = stage(configuration=SLOW + "parameters: {SS_STARTBILLINGTIME: 1}\n")
    scene.vendor.behaviours = {"4490001": "rings"}
    call = scene.customer.call("4490001")
    eventually(lambda: 180 in call.statuses, "a call that rings")
    journal = scene.daemon.directory / "var" / "journal"
    before = len(marks_in(journal))
    eventually(lambda: len(marks_in(journal)) >= before + 2, "two marks of time, which prove that it rang")
    [sip_call_id] = scene.vendor.invites
    scene.vendor.silent = {sip_call_id}
    for _ in range(2):
        scene.daemon.kill()
        scene.daemon.start()
    scene.vendor.answer(sip_call_id)
    records = eventually(lambda: len(found := scene.records()) == 2 and found, "both records")
    eventually(lambda: scene.events("earlier_legs_ended"), "all is released")
    lost, late = sorted(records, key=lambda record: record["end_reason"], reverse=True)
    assert (lost["end_reason"], late["end_reason"]) == ("Lost", "Cancelled")
    assert late["vendor_paid_ms"] == lost["vendor_billing_base_ms"] > 0
    assert lost["sip_call_id_out"] == late["sip_call_id_out"] == sip_call_id
    assert [row["reason"] for row in (*lost["attempts"], *late["attempts"])] == ["Lost", "Late Answer"]
    seconds = lost["vendor_billed_seconds"] + late["vendor_billed_seconds"]
    assert Decimal(lost["cost"]) + Decimal(late["cost"]) == Decimal("0.005") * seconds
    base_ms = late["vendor_billing_base_ms"]
    assert seconds * 1_000 + PRECISION_MS >= base_ms > lost["vendor_billing_base_ms"]
    scene.daemon.succeed("ledger", "verify")


def test_an_answer_behind_the_kill_to_a_call_that_had_ended_before_has_a_record_once(stage):
    """The call rings for a second, and its vendor takes no notice of our CANCEL."""
    scene = stage(configuration=SLOW.replace('prefixes: ["44"]}', 'prefixes: ["44"], ring_timeout: 1}'))
    scene.vendor.behaviours = {"4490001": "rings"}
    scene.vendor.cancels = False
    call = scene.customer.call("4490001")
    eventually(lambda: scene.customer.decided, "the call has ended")
    [ended] = eventually(scene.records, "its record")
    [sip_call_id] = scene.vendor.invites
    scene.daemon.kill()
    scene.daemon.start()
    for _ in range(2):
        scene.vendor.answer(sip_call_id)
        eventually(lambda: scene.vendor.counted("BYE").total() == 1, "what was answered is released")
    records = eventually(lambda: len(found := scene.records()) == 2 and found, "a record of the answer")
    [late] = [record for record in records if record["call_id"] != ended["call_id"]]
    assert (ended["end_reason"], late["end_reason"], late["customer_account"]) == ("No Answer", "Cancelled", None)
    assert (late["sip_call_id_in"], late["sip_call_id_out"]) == (call.call_id, sip_call_id)
    assert (ended["cost"], late["cost"], [row["reason"] for row in late["attempts"]]) == (
        "0.00", "0.005", ["Late Answer"],
    )  # fmt: skip
    scene.daemon.succeed("ledger", "verify")
