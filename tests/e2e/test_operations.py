"""What an operator does to a running switch: hang up, reload, stop."""

import signal
from collections.abc import Iterator

import pytest
from doubles.daemon import Daemon
from doubles.sockets.peer import OutgoingCall, Peer

from .addresses import OPERATED_SWITCH, UNKNOWN_SOURCE
from .conditions import eventually
from .conversation import conversing
from .expectations import Expected, answered, check
from .stage import Stage, configuration


@pytest.fixture
def operated(tmp_path) -> Iterator[Stage]:
    """A switch that the test may break, refuse sources with, and stop."""
    text = configuration("switch.yaml", OPERATED_SWITCH)
    with Daemon(tmp_path, text.replace("sip:\n", "sip:\n  unknown_source: reject\n", 1)) as daemon:
        stage = Stage(daemon, OPERATED_SWITCH)
        stage.pay("acme", "100")
        yield stage


def test_an_operator_ends_one_call_and_the_others_go_on(operated: Stage) -> None:
    with conversing(operated, "4410", "4410") as (ended, other):
        other.establish()
        running = {call["call_id"] for call in operated.daemon.ask("calls")}
        ended.establish()
        (call_id,) = {call["call_id"] for call in operated.daemon.ask("calls")} - running

        nobodys = operated.daemon.verb("hangup", "--gateway", "carier-a", "--yes")
        assert nobodys.code == 1
        assert "'carrier-a'" in nobodys.stderr

        operated.daemon.succeed("hangup", call_id[:18])

        ended.is_ended_by_the_switch()
        assert operated.status()["calls"] == 1
        other.hang_up()
    operated.expect_nothing_left()
    gateways = {(row["kind"], row["gateway"]): row for row in operated.daemon.ask("status", "--gateways")}
    for row in (gateways["routing", "carrier-a"], gateways["mapping", "acme-pbx"]):
        assert (row["state"], row["calls"], row["attempts"], row["asr"]) == ("up", 0, 2, 100.0)
        assert row["acd_s"] is not None
    record = operated.record_of(ended.callee)
    assert record["call_id"] == call_id
    check(record, answered_and_ended("Administrative", 31))
    check(operated.record_of(other.callee), answered("carrier-a", rang=False))
    has_cost = record["vendor_billed_seconds"] or operated.record_of(other.callee)["vendor_billed_seconds"]
    assert gateways["routing", "carrier-a"]["cost"] == ("0.30" if has_cost else None)
    operated.expect_books_in_order()
    elsewhere = operated.daemon.directory / "elsewhere.yaml"
    text = operated.daemon.configuration_file.read_text()
    elsewhere.write_text(text.replace("name: carrier-a,", "name: carrier-a, enabled: no,"))
    span = ("route", "simulate", "--since", "2020-01-01T00:00:00Z", "--until", "2120-01-01T00:00:00Z")
    same, without = operated.daemon.ask(*span), operated.daemon.ask(*span, "--with", str(elsewhere))
    assert (same["calls"], same["changed"], same["destinations"]) == (2, 0, [])
    assert same["before"] == same["after"]
    assert (without["changed"], without["after"]["without_route"]) == (2, 2)
    assert [row["vendor"] for row in without["vendors"]] == ["vendors"]
    again = operated.daemon.ask("rerate", *span[2:], "--steps")
    assert (again["calls"], again["differ"], again["steps_differ"]) == (2, 0, 0)
    assert {(row["account"], row["role"]) for row in again["accounts"]} == {("acme", "customer"), ("vendors", "vendor")}
    dearer = operated.daemon.ask("rerate", *span[2:], "--account", "vendors", "--with", "sell")
    assert operated.daemon.verb("rerate", *span[2:], "--book").code == 2  # a memo is missing
    run = ("--account", "vendors", "--with", "sell", "--book", "--memo", "a wrong deck")
    booked = operated.daemon.ask("rerate", *span[2:], *run)["booked"]
    assert (booked["charges"], booked["repeated"]) == (dearer["differ"], 0)
    assert operated.daemon.ask("rerate", *span[2:], *run)["booked"]["charges"] == 0
    operated.expect_books_in_order()
    assert (dearer["charges"], dearer["differ"] > 0) == (
        2,
        has_cost > 0,
    )  # a call of no second costs nothing by any rate
    operated.daemon.configure(text.replace("{id: acme, ", "{id: acme, minimum_consumption: 50, "))
    (sheet,) = operated.daemon.ask("ledger", "minimum", "--month", "2020-01")  # the switch says that no call waits
    assert sheet["outcome"] == "not begun"


def test_an_unknown_source_is_refused_where_the_operator_says_so(operated: Stage) -> None:
    with Peer(UNKNOWN_SOURCE) as unknown:
        call = OutgoingCall(unknown, operated.address, operated.number("4410"))
        call.invite()

        assert call.refused().status == 403
    operated.expect_nothing_left()


def test_a_bad_file_leaves_the_old_catalogue_in_force(operated: Stage) -> None:
    good = operated.daemon.configuration_file.read_text()
    before = operated.status()["catalogue"]
    operated.daemon.configure(good.replace("max_concurrent: 1", "max_concurent: 1"))

    operated.daemon.signal(signal.SIGHUP)

    after = eventually(
        lambda: (catalogue := operated.status()["catalogue"])["error"] and catalogue, "the reload's error in status"
    )
    assert "max_concurent" in after["error"]
    assert after["version"] == before["version"]
    refused = operated.daemon.verb("reload")
    assert refused.code == 3
    assert "max_concurrent" in refused.stdout + refused.stderr
    with conversing(operated, "4410") as (call,):
        call.establish()
        call.hang_up()
    operated.expect_nothing_left()


def test_a_good_file_takes_effect_for_new_calls_and_leaves_running_ones_alone(operated: Stage) -> None:
    good = operated.daemon.configuration_file.read_text()
    with conversing(operated, "4410", "4410") as (running, next_call):
        running.establish()
        changed = good.replace('prefixes: ["4410", ', "prefixes: [")
        assert changed != good
        operated.daemon.configure(changed)
        operated.daemon.succeed("reload")

        next_call.call.invite()
        assert next_call.call.refused().status == 404
        running.hang_up()
    operated.expect_nothing_left()
    check(operated.record_of(running.callee), answered("carrier-a", rang=False))
    check(operated.record_of(next_call.callee), Expected("No Available Route", "switch", 404, 3))
    assert operated.status()["catalogue"]["error"] is None
    operated.expect_books_in_order()


def test_a_vendor_with_a_running_call_is_removed_only_with_yes(operated: Stage) -> None:
    good = operated.daemon.configuration_file.read_text()
    without = [line for line in good.splitlines() if "name: carrier-a," not in line]
    with conversing(operated, "4410") as (running,):
        running.establish()
        operated.daemon.configure("\n".join(without))

        refused = operated.daemon.verb("reload")
        assert refused.code == 1
        assert "the file removes routing gateways that running calls use: carrier-a\n" in refused.stderr
        operated.daemon.succeed("reload", "--yes")

        assert operated.status()["calls"] == 1
        running.hang_up()
    operated.expect_nothing_left()
    operated.daemon.succeed("reload")


def test_a_stop_ends_what_runs_after_the_grace_time_and_books_it(operated: Stage) -> None:
    with conversing(operated, "4410", "4410") as (call, late):
        call.establish()

        operated.daemon.signal(signal.SIGINT)

        call.is_ended_by_the_switch()
        assert late.customer.messages(0) == []
        assert operated.daemon.wait() == 0
    operated.expect_clean_log()
    check(operated.record_of(call.callee), answered_and_ended("Shutdown", 41))
    operated.daemon.succeed("ledger", "verify")


def test_a_stopping_switch_takes_no_new_calls(operated: Stage) -> None:
    with conversing(operated, "4410", "4410") as (running, late):
        running.establish()
        operated.daemon.signal(signal.SIGINT)
        eventually(lambda: "stop_requested" in operated.daemon.log_file.read_text(), "the stop in the log")

        late.call.invite()

        assert late.call.refused().status == 503
        running.hang_up()
        assert operated.daemon.wait() == 0
    check(operated.record_of(running.callee), answered("carrier-a", rang=False))


def answered_and_ended(reason: str, q850_cause: int) -> Expected:
    return Expected(reason, "switch", 200, q850_cause, (("carrier-a", 200),), answered=True)
