"""Vendors chosen by calendars, by the causes of refusals, and by timers, through the daemon."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from doubles.daemon import Daemon
from doubles.sockets.peer import Peer

from .addresses import CHOOSING_SWITCH, VENDORS
from .conversation import conversing
from .stage import Stage, configuration


def text_of() -> str:
    """Return the configuration; what fits now also fits if midnight comes during the test."""
    now, day = datetime.fromtimestamp(time.time_ns() / 1e9, UTC), timedelta(days=1)
    these_days = f"{now - day:%Y-%m-%d}..{now + day:%Y-%m-%d}"
    return configuration("choosing.yaml", CHOOSING_SWITCH).replace("$these_days", these_days)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Daemon(tmp_path_factory.mktemp("choosing"), text_of()) as daemon:
        stage = Stage(daemon, CHOOSING_SWITCH)
        stage.pay("acme", "100")
        yield stage
        stage.expect_nothing_left()
        stage.expect_books_in_order()
        assert daemon.interrupt() == 0


def explained(stage: Stage, prefix: str, *words: str) -> tuple[list[str], dict[str, str]]:
    """Return the gateways in order, and by name what the first word and the rest of each reason are."""
    question = ("--gateway", "acme-pbx", "--caller", "1", "--callee", f"{prefix}1", *words)
    found: dict[str, Any] = stage.daemon.ask("route", "explain", *question)
    left = {each["routing_gateway"]: each["reason"] for each in found["left"] if "prefix does" not in each["reason"]}
    return [each["routing_gateway"] for each in found["candidates"]], left


def test_the_vendor_whose_calendar_fits_gets_the_call(stage: Stage) -> None:
    """Not the one with the better priority whose calendar does not; the one without calendar stays last."""
    with conversing(stage, "4410", gateway="carrier-b") as (conversation,):
        conversation.establish()
        conversation.hang_up()
    record = stage.record_of(conversation.callee)
    assert record["routing_gateway"] == "carrier-b"
    told = stage.daemon.ask("cdr", "show", record["call_id"], "--why")
    assert (told["result"], told["chosen"]["routing_gateway"], told["refusal"]) == ("ok", "carrier-b", None)
    assert told["left"] == [], "the call never came to those behind it"
    order, left = explained(stage, "4410")
    assert order == ["carrier-b", "carrier-c"]
    assert left.keys() == {"carrier-a"}
    assert left["carrier-a"].startswith("calendar: long-ago, ")
    assert left["carrier-a"].endswith(" (UTC): no entry fits")


def test_an_explanation_of_another_time_goes_by_the_calendars_of_that_time(stage: Stage) -> None:
    order, left = explained(stage, "4410", "--at", "2020-06-01T12:00:00Z")
    assert order == ["carrier-a", "carrier-c"]
    assert left == {"carrier-b": "calendar: these-days, Monday 2020-06-01 12:00 (UTC): no entry fits"}


def test_the_account_says_that_it_is_not_its_working_time(stage: Stage) -> None:
    assert stage.daemon.ask("account", "show", "acme")["work_state"] == "non-working"


def test_a_changed_calendar_counts_for_the_next_call(stage: Stage) -> None:
    text = text_of()
    stage.daemon.configure(text.replace("2020-01-01..2020-12-31", "2020-01-01..2999-12-31"))
    stage.daemon.succeed("reload")
    with conversing(stage, "4410", gateway="carrier-a") as (conversation,):
        conversation.establish()
        conversation.hang_up()
    assert stage.record_of(conversation.callee)["routing_gateway"] == "carrier-a"
    stage.daemon.configure(text)
    stage.daemon.succeed("reload")


def test_a_protected_vendor_takes_over_from_one_that_says_nothing(stage: Stage) -> None:
    with Peer(VENDORS["carrier-silent"]), conversing(stage, "4420", gateway="carrier-d") as (conversation,):
        conversation.establish()
        conversation.hang_up()
    silent, protected = stage.record_of(conversation.callee)["attempts"]
    assert (silent["gateway"], silent["code"], protected["gateway"]) == ("carrier-silent", 0, "carrier-d")
    assert 500 <= silent["ms"] < 4_000, "the silent vendor has 5 s"
    order, _ = explained(stage, "4420")
    assert order == ["carrier-silent", "carrier-d"]


def test_another_list_of_retransmissions_holds_after_a_reload(stage: Stage) -> None:
    """Within the half second that the silent vendor has, T1 would send its INVITE again once at most."""
    text = text_of()
    stage.daemon.configure(f"{text}\nparameters: {{SS_SIP_RESEND_INTERVAL: '{','.join(['0.05'] * 20)}'}}\n")
    assert stage.daemon.succeed("reload").find("restart") < 0
    with Peer(VENDORS["carrier-silent"]) as silent, conversing(stage, "4420", gateway="carrier-d") as (conversation,):
        conversation.establish()
        conversation.hang_up()
        received = list(iter(lambda: silent.receive(0), None))
    assert [each.method for each in received].count("INVITE") > 4
    stage.daemon.configure(text)
    stage.daemon.succeed("reload")


def test_a_call_is_charged_in_the_currency_of_each_account_at_the_exchange_rates_of_its_begin(stage: Stage) -> None:
    """A reload with other rates while it runs changes nothing of it; rated again by those of its begin, it is equal."""
    text = text_of().replace('billing_rate: "0.60"', 'billing_rate: "0.60", billing_cycle: "60"')
    text = text.replace('billing_rate: "0.30"', 'billing_rate: "0.30", billing_cycle: "60"')
    stage.daemon.configure(text)
    stage.daemon.succeed("reload")
    with conversing(stage, "4440", customer="poor", gateway="carrier-elsewhere") as (conversation,):
        conversation.establish()
        held = stage.daemon.ask("account", "show", "tokyo")
        stage.daemon.configure(text.replace('"156.7"', '"200"').replace('"0.9215"', '"2"'))
        stage.daemon.succeed("reload")
        conversation.hang_up()
    assert (held["reserved"], held["available"], held["currency"]) == ("94.00", "906.00", "JPY")
    record = stage.record_of(conversation.callee)
    amounts = [record[key] for key in ("fee", "currency", "cost", "vendor_currency")]
    assert amounts == ["94.00", "JPY", "0.27645", "EUR"], "0.60 and 0.30 dollars"
    charges = stage.daemon.ask("cdr", "show", record["call_id"])["charges"]
    assert [(each["account"], each["fee"], each["currency"]) for each in charges] == [
        ("tokyo", "94.00", "JPY"),
        ("berlin", "0.27645", "EUR"),
    ]
    assert (stage.balance_of("tokyo"), stage.balance_of("berlin")) == (Decimal(-94), Decimal("-0.27645"))
    span = ("--since", "2020-01-01T00:00:00Z", "--until", "2100-01-01T00:00:00Z", "--steps")
    differing = {each["account"] for each in stage.daemon.ask("rerate", *span, "--account", "tokyo")["accounts"]}
    assert differing == {"tokyo"}
    stage.daemon.configure(text)
    stage.daemon.succeed("reload")
    again = stage.daemon.ask("rerate", *span, "--account", "tokyo")
    assert (again["calls"], again["differ"]) == (1, 0)
    stage.daemon.configure(text_of())
    stage.daemon.succeed("reload")


@pytest.mark.parametrize(("cause", "attempts"), [(34, 2), (17, 1)])
def test_the_cause_behind_a_busy_decides_whether_the_next_vendor_is_tried(
    stage: Stage, cause: int, attempts: int
) -> None:
    with (
        conversing(stage, "4430", gateway="carrier-hasty") as (conversation,),
        Peer(VENDORS["carrier-narrow"]) as first,
    ):
        conversation.call.invite()
        first.reply(first.expect("INVITE"), 486, tag="busy", headers=(f"Reason: Q.850;cause={cause}",))
        first.expect("ACK")
        if attempts == 2:
            conversation.answer(conversation.vendor.expect("INVITE"))
            conversation.hang_up()
        else:
            assert conversation.call.refused().status == 486
    record = stage.record_of(conversation.callee)
    assert [each["gateway"] for each in record["attempts"]] == ["carrier-narrow", "carrier-hasty"][:attempts]
