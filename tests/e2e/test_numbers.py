"""Numbers through the real daemon: lists, rewriting on the way in and out, pools, number sections."""

from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from doubles.daemon import Daemon
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import OutgoingCall, Peer

from vosd.obs.events import Event

from .addresses import NETWORK, NUMBERING_SWITCH, VENDORS
from .conditions import eventually, talk
from .conversation import conversing
from .expectations import BUY, SELL, cycles_of
from .stage import Stage, configuration


class Sent(NamedTuple):
    """What one gateway was sent."""

    gateway: str
    callee: str
    caller: str


class Outcome(NamedTuple):
    """How a call ended for its caller, and what was sent for it."""

    status: int
    sent: list[Sent]


@pytest.fixture(scope="module")
def stage(tmp_path_factory) -> Iterator[Stage]:
    directory = tmp_path_factory.mktemp("numbers")
    (directory / "do-not-call.txt").write_text("# of March\n44209*\n004420555\n")
    with Daemon(directory, configuration("numbers.yaml", NUMBERING_SWITCH)) as daemon:
        yield Stage(daemon, NUMBERING_SWITCH, Event.RELOAD_REFUSED)


def dial(stage: Stage, callee: str, caller: str = "0201") -> Outcome:
    """Call while carrier-a answers 503 and carrier-b is busy."""
    statuses, sent = {"carrier-a": 503, "carrier-b": 486}, []
    seen: set[str] = set()
    with ExitStack() as present:
        vendors = {name: present.enter_context(Peer(VENDORS[name])) for name in statuses}
        peer = present.enter_context(Peer(stage.endpoint_of("acme")))
        call = OutgoingCall(peer, stage.address, callee, caller)
        call.invite()
        while True:
            for name, vendor in vendors.items():
                request = vendor.receive(0.02)
                if request is not None and request.method == "INVITE":
                    if request["Via"] in seen:
                        continue  # repeated, because a busy machine let the switch wait
                    seen.add(request["Via"])
                    uris = (request.start_line, request["From"])
                    sent.append(Sent(name, *(uri.partition("sip:")[2].partition("@")[0] for uri in uris)))
                    vendor.reply(request, statuses[name], tag=f"vendor-{call.call_id}")
            response = peer.receive(0.02)
            if response is not None and response.status != 100:
                call.remote_to = response["To"]
                call.send(call.request("ACK", branch="INVITE"))
                return Outcome(response.status, sent)


def test_numbers_are_rewritten_on_the_way_in_and_for_each_gateway_on_the_way_out(stage: Stage) -> None:
    callee = stage.number("0044101")
    routed = callee.removeprefix("00")
    status, (first, second) = dial(stage, callee)
    assert (status, first.gateway, first.callee) == (486, "carrier-a", f"70010{routed.removeprefix('44')}")
    assert first.caller in {"49301", "49302", "49303"}, "the next one of the pool"
    assert second == Sent("carrier-b", f"+{routed}", "44201")
    record = stage.record_of(callee)
    assert (record["callee_in"], record["callee_billing"], record["callee_out"]) == (callee, routed, f"+{routed}")
    assert (record["caller_in"], record["caller_out"]) == ("0201", "44201")
    assert (record["rate_prefix"], [each["gateway"] for each in record["attempts"]]) == (
        "44",
        ["carrier-a", "carrier-b"],
    )


def test_a_pool_goes_on_after_a_reload_and_after_a_restart(stage: Stage) -> None:
    def shown() -> str:
        return dial(stage, stage.number("0201"), "0201").sent[0].caller

    first = shown()
    following = {"49301": "49302", "49302": "49303", "49303": "49301"}
    stage.daemon.succeed("reload")
    assert shown() == following[first]
    assert stage.daemon.interrupt() == 0
    stage.daemon.start()
    assert shown() == following[following[first]]


def test_a_caller_that_no_gateway_takes_further_ends_with_the_first_refusal(stage: Stage) -> None:
    callee = stage.number("0044102")
    outcome = dial(stage, callee, "12025550100")
    assert (outcome.status, [each.gateway for each in outcome.sent]) == (503, ["carrier-a"])
    explained = stage.daemon.ask(
        "route", "explain", "--gateway", "acme-pbx", "--caller", "12025550100", "--callee", callee, "--live"
    )
    why = "caller: calling number 12025550100 is not among the allowed ones"
    assert explained["left"] == [{"routing_gateway": "carrier-b", "reason": why}]
    assert (explained["callee_billed"], explained["caller_routed"]) == (callee.removeprefix("00"), "12025550100")


@pytest.mark.parametrize(
    ("callee", "caller", "detail"),
    [
        ("44209123", "0201", "called number 44209123 is denied by list:do-not-call"),
        ("004420555", "0201", "called number 004420555 is denied by list:do-not-call"),
        ("0044103", "447700900001", "calling number 447700900001 is denied by list:bad-callers"),
        ("009910", "0201", "called number 009910 has 6 digits, 7-15 allowed"),
    ],
)
def test_lists_and_lengths_refuse_a_call(stage: Stage, callee: str, caller: str, detail: str) -> None:
    assert dial(stage, callee, caller) == Outcome(403, [])
    record = stage.record_of(callee)
    assert (record["end_reason"], record["hangup_source"], record["sip_code"]) == ("Number Not Allowed", "switch", 403)
    explained = stage.daemon.ask("route", "explain", "--gateway", "acme-pbx", "--caller", caller, "--callee", callee)
    assert (explained["result"], explained["detail"]) == ("Number Not Allowed", f"acme-pbx: {detail}")


def test_a_number_section_refuses_the_rewritten_number(stage: Stage) -> None:
    callee = stage.number("07012")
    assert dial(stage, callee) == Outcome(403, [])
    assert stage.record_of(callee)["end_reason"] == "Number Not Allowed"
    explained = stage.daemon.ask("route", "explain", "--gateway", "acme-pbx", "--caller", "0201", "--callee", callee)
    assert explained["detail"] == "number section of acme: prefix 4470 is denied"


def test_a_changed_list_is_in_force_after_a_reload(stage: Stage) -> None:
    callee = stage.number("0044104")
    assert dial(stage, callee).status == 486
    file = stage.daemon.directory / "do-not-call.txt"
    before = file.read_text()
    file.write_text(f"{before}{callee}\n")
    stage.daemon.succeed("reload")
    assert dial(stage, callee) == Outcome(403, [])
    file.write_text(f"{before}4 4\n")
    refused = stage.daemon.verb("reload")
    assert refused.code == 3
    assert (
        "do-not-call.txt:4: number_lists[do-not-call].file: value '4 4': expected a number or prefix" in refused.stderr
    )
    assert dial(stage, callee) == Outcome(403, [])
    file.write_text(before)


def test_nothing_is_left_and_the_ledger_agrees(stage: Stage) -> None:
    stage.expect_nothing_left()
    stage.expect_books_in_order()


def test_free_numbers_and_those_without_cdr_are_carried_for_an_account_without_money(stage: Stage) -> None:
    """Behind a routing prefix; what the vendor takes for the free call is booked, and corrected later."""
    with conversing(stage, "0044800", "00445000", "0044201", customer="poor") as (free, unrecorded, paid):
        paid.call.invite()
        assert paid.call.refused().status == 402
        for each in (free, unrecorded):
            each.establish()
            each.hang_up()
    record = stage.record_of(free.callee)
    assert (record["callee_billing"], record["fee"], record["rate_group"], record["rate_prefix"]) == (
        *(free.callee.removeprefix("00"), "0.00", "free number"),
        "44800*",
    )
    assert [(each["role"], each["account"], each["fee"]) for each in record["charges"]] == [
        ("customer", "poor", "0.00"),
        ("vendor", "vendors", record["cost"]),
    ]
    assert stage.status()["calls_without_cdr"] == 1
    assert stage.records("--callee", unrecorded.callee) == []
    before = stage.balance_of("vendors")
    (change,) = stage.daemon.ask("cdr", "correct", record["call_id"], "--cost", "0.5", "--memo", "as invoiced")
    assert stage.balance_of("vendors") == before + Decimal(change["amount"])
    assert stage.record_of(free.callee)["cost"] == "0.50"
    stage.expect_books_in_order()


def test_a_forwarded_call_has_a_price_of_its_own(stage: Stage) -> None:
    with conversing(stage, "0044106", "0044106") as (forwarded, plain):
        for each, headers in ((forwarded, ["Diversion: <sip:0044@h>;reason=user-busy"]), (plain, [])):
            each.call.invite(headers)
            each.answer(each.vendor.expect("INVITE"))
            talk(0.2)  # a first second
            each.hang_up()
    records = {each.callee: stage.record_of(each.callee) for each in (forwarded, plain)}
    names, amounts = ("forward_prefix", "rate_prefix", "vendor_rate_prefix"), ("fee", "cost")
    assert [[record[name] for name in names] for record in records.values()] == [
        ["99", "9944", "44"],
        [None, "44", "44"],
    ]
    assert [[Decimal(record[name]) / cycles_of(record) for name in amounts] for record in records.values()] == [
        [2 * SELL, BUY],
        [SELL, BUY],
    ]
    since = ("--since", "2026-01-01T00:00:00Z", "--until", "2036-01-01T00:00:00Z")
    assert stage.daemon.ask("rerate", *since, "--account", "acme")["differ"] == 0
    question = ("--gateway", "acme-pbx", "--caller", "0201", "--callee", forwarded.callee)
    for live in ([], ["--live"]):
        explained = stage.daemon.ask("route", "explain", *question, "--forwarded", *live)
        assert explained["rate"]["rate_prefix"] == "9944"
    stage.expect_books_in_order()


def test_attempts_without_cdr_and_peaks_are_in_the_reports(stage: Stage) -> None:
    """A number that leaves no CDR is busy; an unknown source calls; the switch stops and starts."""

    def reported(name: str) -> list[dict[str, Any]]:
        sheet = stage.daemon.ask("report", name, "--since", "2h", "--group", "whole")
        rows: list[dict[str, Any]] = sheet["rows"]
        return rows

    assert stage.daemon.interrupt() == 0
    (before,) = reported("daily") or [{"without_cdr": 0, "unknown": 0}]
    stage.daemon.start()
    assert dial(stage, stage.number("00445000")).status == 486
    with Peer(Endpoint(f"{NETWORK}.99", 15_060)) as unknown:
        OutgoingCall(unknown, stage.address, "44999").invite()
        eventually(lambda: "unknown_source" in stage.daemon.log_file.read_text(), "the unknown source is in the log")
    assert stage.daemon.interrupt() == 0
    assert stage.daemon.succeed("report", "rebuild") is not None
    (after,) = reported("daily")
    assert (after["without_cdr"] - before["without_cdr"], after["unknown"] > before["unknown"]) == (1, True)
    assert after["peak_concurrent"] >= 1
    busy = [row for row in reported("failures") if row["without_cdr"]]
    assert [(row["end_reason"], row["sip_code"], row["routing_gateway"]) for row in busy] == [
        ("Busy", 486, "carrier-b")
    ]
    (vendor,) = [row for row in reported("routing-gateways") if row["routing_gateway"] == "carrier-b"]
    assert vendor["peak_cps"] >= 1
    assert vendor["peak_concurrent"] >= 1
    stage.daemon.start()
