"""Accounts of which alarms say that they owe much, or expire."""

from decimal import Decimal
from types import SimpleNamespace

import pytest
from doubles.data.builders import account, catalogue, override

from vosd.billing.holds import AccountCredit
from vosd.callcontrol.live_state import LiveState
from vosd.catalogue.overrides import Setting, Target
from vosd.daemon.alarms import SwitchMeasures


def measures(*accounts, balance="-80", limit="100", setting=None, unbooked="0", expires_at=None):
    """Return those of a switch that knows the money of ``acme``, whose calls ``setting`` may have ended."""
    credit, live = AccountCredit("acme", None if limit is None else Decimal(limit), Decimal(balance)), LiveState()
    credit.post(Decimal(unbooked))
    credit.expires_at = expires_at
    if setting is not None:
        live.blocks.accounts["acme"] = override(Target.ACCOUNT, "acme", setting)
    service = SimpleNamespace(
        balances=SimpleNamespace(credits={"acme": credit}),
        switch=SimpleNamespace(catalogue=catalogue([], accounts=accounts), live=live),
    )
    return SwitchMeasures(service, SimpleNamespace(), dict, dict, ())


def used(*accounts, **named):
    return dict(measures(*accounts, **named).overdrafts())


@pytest.mark.parametrize(
    ("balance", "limit", "percent"), [("-80", "100", 80), ("0", "100", None), ("-80", "0", None), ("-80", None, None)]
)
def test_it_is_what_an_account_owes_by_its_limit(balance, limit, percent):
    assert used(account("acme"), balance=balance, limit=limit) == {"acme": percent}


def test_what_calls_cost_that_are_not_booked_yet_is_owed():
    assert used(account("acme"), balance="-30", unbooked="-20") == {"acme": 50}


def test_an_account_expires_by_its_ledger_or_as_configured():
    known = [dict(measures(account("acme", expires_at=7), expires_at=each).expiries()) for each in (9, None)]
    assert known == [{"acme": 9}, {"acme": 7}]


def test_an_account_that_a_reload_removes_or_disables_is_no_subject():
    """Calls of such an account may still end, so the switch knows its money."""
    assert used() == {}
    assert used(account("acme", enabled=False)) == {}


@pytest.mark.parametrize(
    ("terms", "setting", "found"),
    [
        ({}, None, {"acme": 7}),
        ({}, Setting.BLOCKED, {"acme": 7}),
        ({}, Setting.CLOSED, {}),
        ({"enabled": False}, None, {}),
    ],
)
def test_an_account_that_is_closed_or_disabled_does_not_expire(terms, setting, found):
    assert dict(measures(account("acme", expires_at=7, **terms), setting=setting).expiries()) == found


@pytest.mark.parametrize(
    ("balance", "unbooked", "setting", "found"),
    [
        ("20", "0", Setting.CLOSED, ["acme"]),
        ("-20", "0", Setting.CLOSED, ["acme"]),
        ("0", "-1", Setting.CLOSED, ["acme"]),
        ("0", "0", Setting.CLOSED, []),
        ("20", "0", Setting.BLOCKED, []),
        ("20", "0", None, []),
    ],
)
def test_a_closed_account_with_money_is_no_finished_close(balance, unbooked, setting, found):
    known = measures(account("acme"), balance=balance, unbooked=unbooked, setting=setting)
    assert [name for name, _ in known.unfinished_closes()] == found
    assert [*measures(balance=balance, setting=setting).unfinished_closes()] == [], "it has ended"
