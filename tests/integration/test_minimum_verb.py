"""``vosd ledger minimum``: what a month lacks, without a daemon, and beside a switch that has calls to book."""

import asyncio
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from click.testing import Result
from doubles.data.records import answered_call
from doubles.fake_switch import FakeSwitch
from doubles.installation import Installation

from vosd.control.money import ListUnbooked, RefreshBalances
from vosd.control.order import OrderDone

MONTH = ("ledger", "minimum", "--month", "2026-09")


def owing_a_minimum(installation: Installation) -> Installation:
    """A customer with a minimum of 50 that made calls for 30 in September, of which 3 are tax, and one in October."""
    text = installation.config.read_text()
    installation.config.write_text(text.replace("rate_group: sell}", "rate_group: sell, minimum_consumption: 50}", 1))
    parties = {"customer_account": "customer-1", "vendor_account": "vendor-1", "tax": Decimal(1)}
    calls = [answered_call(index, **parties, fee=Decimal(10)) for index in range(3)]
    installation.book([*calls, answered_call(4, **parties, fee=Decimal(7), ended_at=1_791_000_000_000)])
    return installation


def test_the_shortfall_of_a_month_is_booked_once(installation: Installation) -> None:
    owing_a_minimum(installation)
    words = ("ledger", "minimum", "--operator", "ann", "--month")
    (booked,) = installation.document(*words, "2026-09")
    assert booked == {
        "account": "customer-1",
        "month": "2026-09",
        "minimum": "50.00",
        "consumed": "30.00",
        "charged": "20.00",
        "outcome": "booked",
    }
    assert installation.document("account", "show", "customer-1")["balance"] == "-61.00"
    (again,) = installation.document(*words, "2026-09")
    assert (again["charged"], again["outcome"]) == ("20.00", "booked before")
    (october,) = installation.document(*words, "2026-10")
    assert (october["consumed"], october["charged"], october["outcome"]) == ("7.00", "43.00", "booked")
    entries = installation.document("ledger", "list", "--type", "minimum")
    assert [(each["reference"], each["amount"], each["operator"], each["memo"]) for each in entries] == [
        ("minimum/2026-09", "-20.00", "ann", "minimum 50.00, consumed 30.00"),
        ("minimum/2026-10", "-43.00", "ann", "minimum 50.00, consumed 7.00"),
    ]
    assert installation.document("ledger", "verify")["differences"] == []


def movements(installation: Installation, month: str) -> dict[str, str]:
    shown = installation.document("ledger", "statement", "--account", "customer-1", "--month", month)
    return {each["kind"]: each["amount"] for each in shown["movements"]}


@pytest.mark.parametrize("is_closed_behind", [False, True])
def test_the_minimum_of_a_month_is_in_its_statement(installation: Installation, *, is_closed_behind: bool) -> None:
    owing_a_minimum(installation)
    installation.document("ledger", "minimum", "--month", "2026-09")
    if is_closed_behind:  # a call of October was booked before the minimum
        installation.document("ledger", "close", "--until", "2026-10-01T00:00:00Z")
    assert movements(installation, "2026-09")["minimum"] == "-20.00"
    assert "minimum" not in movements(installation, "2026-10")


def test_the_minimum_of_a_month_is_on_its_invoice_where_that_ends_before_the_month_of_utc(
    installation: Installation,
) -> None:
    owing_a_minimum(installation)
    installation.config.write_text(f"{installation.config.read_text()}invoices: {{timezone: Europe/Berlin}}\n")
    installation.document("ledger", "minimum", "--month", "2026-09")
    (made,) = installation.document("invoice", "run", "--period", "2026-09", "--account", "customer-1")
    assert (made["outcome"], made["net"]) == ("issued", "50.00")


def test_the_minimum_of_a_month_that_is_closed_is_dated_when_it_is_booked(installation: Installation) -> None:
    owing_a_minimum(installation)
    installation.document("ledger", "close", "--until", "2026-10-01T00:00:00Z")
    before = movements(installation, "2026-09")
    installation.document("ledger", "minimum", "--month", "2026-09")
    assert movements(installation, "2026-09") == before
    (entry,) = installation.document("ledger", "list", "--type", "minimum")
    assert (entry["reference"], entry["created_at"] > "2026-10-01") == ("minimum/2026-09", True)


def test_a_month_that_was_booked_keeps_its_charge_though_a_call_of_it_came_late(installation: Installation) -> None:
    owing_a_minimum(installation)
    installation.document("ledger", "minimum", "--month", "2026-09")
    installation.book([answered_call(9, customer_account="customer-1", fee=Decimal(5))])
    (again,) = installation.document("ledger", "minimum", "--month", "2026-09")
    assert (again["consumed"], again["charged"], again["outcome"]) == ("35.00", "20.00", "booked before")


def test_no_minimum_is_booked_where_calls_cost_enough_or_the_account_has_not_begun(installation: Installation) -> None:
    owing_a_minimum(installation)
    installation.book([answered_call(9, customer_account="customer-1", fee=Decimal(20))])
    (reached,) = installation.document("ledger", "minimum", "--month", "2026-09")
    assert (reached["consumed"], reached["charged"], reached["outcome"]) == ("50.00", "0.00", "reached")
    (before,) = installation.document("ledger", "minimum", "--month", "2026-08")
    assert (before["charged"], before["outcome"]) == ("0.00", "not begun")
    assert "not begun" in installation.vosd("ledger", "minimum", "--month", "2026-08").stdout
    assert installation.document("ledger", "list", "--type", "minimum") == []


def test_an_account_that_makes_no_call_owes_its_minimum_from_the_month_in_which_it_was_opened(
    installation: Installation,
) -> None:
    text = installation.config.read_text()
    text = text.replace("rate_group: sell}", "rate_group: sell, minimum_consumption: 50}", 1)
    text = text.replace("rate_group: sell, overdraft", "rate_group: sell, minimum_consumption: 70, overdraft", 1)
    installation.config.write_text(text)
    for name in ("customer-1", "vendor-1"):
        opened = "0, 0, 1, 'USD', '2026-08-10T00:00:00.000Z'"
        installation.tamper(
            f"INSERT INTO account (id, balance, seq, changed, currency, opened_at) VALUES ('{name}', {opened})"
        )
    booked = {
        month: [
            (each["account"], each["charged"], each["outcome"]) for each in installation.document(*MONTH[:3], month)
        ]
        for month in ("2026-07", "2026-08", "2026-09")
    }
    owed = [("customer-1", "50.00", "booked"), ("vendor-1", "70.00", "booked")]
    none = [("customer-1", "0.00", "not begun"), ("vendor-1", "0.00", "not begun")]
    assert booked == {"2026-07": none, "2026-08": owed, "2026-09": owed}
    assert installation.document("account", "show", "customer-1")["balance"] == "-100.00"


def test_the_minimum_of_a_month_that_is_not_over_is_refused(installation: Installation) -> None:
    refused = installation.vosd("ledger", "minimum", "--month", "2999-01")
    assert (refused.exit_code, "not over" in refused.stderr) == (1, True)
    assert installation.vosd("ledger", "minimum", "--month", "2026-09").stdout.startswith("no account has")


def test_an_account_that_is_closed_owes_the_minimums_of_the_months_before(installation: Installation) -> None:
    owing_a_minimum(installation)
    installation.document("payment", "add", "--account", "customer-1", "--type", "zero")
    refused = installation.vosd("account", "close", "customer-1", "--pay-out")
    assert (refused.exit_code, "customer-1 owes" in refused.stderr) == (1, True)
    assert "minimum/" in installation.document("ledger", "list", "--type", "minimum")[0]["reference"]
    installation.document("payment", "add", "--account", "customer-1", "--type", "zero")
    installation.document("account", "close", "customer-1")
    (september,) = installation.document("ledger", "minimum", "--month", "2026-09")
    assert (september["outcome"], september["charged"]) == ("booked", "20.00")


async def beside_a_switch(installation: Installation, unbooked: Mapping[str, str], *words: str) -> tuple[Result, Any]:
    """Say the verb while a switch runs that has these calls to book; return its outcome and what it was asked."""
    switch = FakeSwitch(installation.config.parent / "vosd.sock")
    async with switch.answers(ListUnbooked, dict(unbooked)).answers(RefreshBalances, OrderDone()):
        result = await asyncio.to_thread(installation.vosd, *MONTH, *words)
    return result, [each for each in switch.asked if isinstance(each, ListUnbooked)]


async def test_nothing_is_booked_while_calls_of_the_month_wait_for_the_database(installation: Installation) -> None:
    await asyncio.to_thread(owing_a_minimum, installation)
    refused, asked = await beside_a_switch(installation, {"customer-1": "25.00"})
    assert (refused.exit_code, "25.00 of customer-1 is not booked yet" in refused.stderr) == (1, True)
    assert "waiting" in refused.stdout
    assert asked == [ListUnbooked(since_ms=1_788_220_800_000, until_ms=1_790_812_800_000)]
    shown, _ = await beside_a_switch(installation, {"customer-1": "25.00"}, "--json")
    (sheet,) = json.loads(shown.stdout)
    assert (sheet["consumed"], sheet["charged"], sheet["outcome"]) == ("30.00", "0.00", "waiting")
    assert (sheet["unbooked"], shown.exit_code) == ("25.00", 1)

    await asyncio.to_thread(
        installation.book, [answered_call(9, customer_account="customer-1", fee=Decimal(25), vendor_account="vendor-1")]
    )
    booked, _ = await beside_a_switch(installation, {"vendor-1": "25.00"}, "--json")
    (sheet,) = json.loads(booked.stdout)
    assert (sheet["consumed"], sheet["charged"], sheet["outcome"]) == ("55.00", "0.00", "reached")


async def test_an_account_whose_first_calls_wait_has_begun(installation: Installation) -> None:
    text = installation.config.read_text()
    installation.config.write_text(text.replace("rate_group: sell}", "rate_group: sell, minimum_consumption: 50}", 1))
    refused, _ = await beside_a_switch(installation, {"customer-1": "1.00"})
    assert (refused.exit_code, "waiting" in refused.stdout) == (1, True)
    left, _ = await beside_a_switch(installation, {})
    assert (left.exit_code, "not begun" in left.stdout) == (0, True)


async def test_an_account_that_has_reached_its_minimum_waits_for_nothing(installation: Installation) -> None:
    await asyncio.to_thread(owing_a_minimum, installation)
    more = answered_call(9, customer_account="customer-1", fee=Decimal(20))
    await asyncio.to_thread(installation.book, [more])
    reached, _ = await beside_a_switch(installation, {"customer-1": "25.00"})
    assert (reached.exit_code, "reached" in reached.stdout) == (0, True)
