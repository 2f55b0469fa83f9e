"""Refunds and transfers beside calls: what is taken by hand is not there for calls that begin before it is booked."""

from decimal import Decimal

import pytest
from e2e.conditions import eventually, talk

from vosd.storage.payments import SqlPayments

from .conftest import CONFIGURATION, MARIADB, SQLITE_URL

CALLS = 5
"""Calls of a minute each for 1.00, which is all the money of the account."""
TAKEN = {
    "refund": ("payment", "add", "--account", "acme", "--type", "refund", "--amount", "3"),
    "transfer": ("payment", "transfer", "--from", "acme", "--to", "carrier", "--amount", "3"),
}


@pytest.mark.parametrize("database", ["sqlite", MARIADB], indirect=True)
def test_calls_that_begin_while_money_is_taken_by_hand_leave_no_balance_below_the_limit(stage, database, monkeypatch):
    text = CONFIGURATION.replace(SQLITE_URL, database.url).replace('overdraft_limit: "1000"', 'overdraft_limit: "0"')
    scene = stage(configuration=text.replace('billing_rate: "0.60"', 'billing_rate: "1.00", billing_cycle: 60'))
    daemon, customer = scene.daemon, scene.customer

    def call_at_once() -> None:
        """Make calls between the question what is left and the booking, as a busy customer does."""
        begun = [customer.call(f"44{len(customer.calls):07d}") for _ in range(CALLS)]
        eventually(lambda: all(call in customer.decided for call in begun), "every call is answered or refused")

    for verb, booking in (("refund", SqlPayments.add), ("transfer", SqlPayments.transfer)):
        daemon.succeed("payment", "add", "--account", "acme", "--amount", "5")
        before = len(customer.answered)
        book = booking

        async def slowly(self, wanted, book=book):
            call_at_once()
            return await book(self, wanted)

        monkeypatch.setattr(SqlPayments, booking.__name__, slowly)
        daemon.succeed(*TAKEN[verb])
        monkeypatch.undo()
        assert len(customer.answered) - before == 2, "calls have what is left"
        assert daemon.ask("account", "show", "acme")["available"] == "0.00"
        talk(0.1)
        for call in customer.answered[before:]:
            customer.hang_up(call)
        eventually(lambda: daemon.ask("status")["calls"] == 0, "the calls have ended")
        eventually(lambda: not daemon.ask("status")["spool_rows"], "the calls are booked")
        balance = Decimal(daemon.ask("account", "show", "acme")["balance"])
        assert balance == 0, (verb, [(each["hold_time_ms"], each["fee"]) for each in scene.records()])
    daemon.succeed("ledger", "verify")
