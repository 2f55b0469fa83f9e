"""Money that runs out during a call: the switch ends it to the millisecond.

At least one minute is held in advance, so these calls last longer than that. They begin with the suite, on a
switch of their own, and are looked at here, last.
"""

from decimal import Decimal
from typing import Any

import pytest

from .conftest import SPENDERS, SpendingCalls

pytestmark = pytest.mark.sipp


def exhausted(record: dict[str, Any]) -> bool:
    """Return whether the switch ended this call for want of money."""
    return (record["end_reason"], record["hangup_source"]) == ("Balance Exhausted", "switch")


def test_a_call_ends_at_the_second_that_its_balance_pays_for(spending: SpendingCalls) -> None:
    (record,) = spending.records("prepaid")

    assert exhausted(record)
    assert record["hold_time_ms"] == 61_000
    assert record["fee"] == "6.10"
    assert spending.stage.balance_of("prepaid") == 0


def test_a_call_ends_where_its_overdraft_limit_ends(spending: SpendingCalls) -> None:
    (record,) = spending.records("credit")

    assert exhausted(record)
    assert record["hold_time_ms"] == 62_000
    assert spending.stage.balance_of("credit") == Decimal("-6.20")


def test_a_payment_during_the_call_lengthens_it(spending: SpendingCalls) -> None:
    (record,) = spending.records("topped-up")

    assert exhausted(record)
    assert record["hold_time_ms"] == 62_000
    assert spending.stage.balance_of("topped-up") == 0


def test_calls_of_one_account_share_what_is_left_and_leave_nothing(spending: SpendingCalls) -> None:
    records = spending.records("shared")

    assert len(records) == 3
    assert all(exhausted(record) for record in records)
    assert all(60_000 <= record["hold_time_ms"] <= 64_000 for record in records)
    assert sum(Decimal(record["fee"]) for record in records) == Decimal("18.40")
    assert spending.stage.balance_of("shared") == 0


def test_nothing_is_left_and_the_ledger_agrees(spending: SpendingCalls) -> None:
    spending.stage.expect_nothing_left()
    spending.stage.expect_books_in_order()
    holds = [spending.stage.daemon.ask("account", "show", account) for account in SPENDERS]
    assert [account["reserved"] for account in holds] == ["0.00"] * len(SPENDERS)
