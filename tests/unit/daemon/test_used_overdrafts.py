"""How much of their overdraft limits accounts have used, for the alarm about it."""

from decimal import Decimal
from types import SimpleNamespace

import pytest
from doubles.data.builders import account, catalogue

from vosd.billing.holds import AccountCredit
from vosd.daemon.alarms import SwitchMeasures


def used(*accounts, balance="-80", limit="100"):
    """Return what accounts have used, of which one, ``acme``, has money in the switch."""
    credit = AccountCredit("acme", None if limit is None else Decimal(limit), Decimal(balance))
    service = SimpleNamespace(
        balances=SimpleNamespace(credits={"acme": credit}),
        switch=SimpleNamespace(catalogue=catalogue([], accounts=accounts)),
    )
    return dict(SwitchMeasures(service, SimpleNamespace(), dict, dict, ()).overdrafts())


@pytest.mark.parametrize(
    ("balance", "limit", "percent"), [("-80", "100", 80), ("0", "100", None), ("-80", "0", None), ("-80", None, None)]
)
def test_it_is_what_an_account_owes_by_its_limit(balance, limit, percent):
    assert used(account("acme"), balance=balance, limit=limit) == {"acme": percent}


def test_an_account_that_a_reload_removes_or_disables_is_no_subject():
    """Its calls may still end, so the switch knows its money."""
    assert used() == {}
    assert used(account("acme", enabled=False)) == {}
