"""Which accounts are mailed about their alarms, and with which facts."""

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import msgspec
from doubles.data.builders import account
from doubles.virtual.clock import ManualClock

from vosd.billing.accounts import Account
from vosd.billing.holds import AccountCredit
from vosd.billing.invoice_terms import InvoiceTerms, IssuerTerms
from vosd.callcontrol.live_state import LiveState
from vosd.catalogue.overrides import Override, Setting, Target
from vosd.daemon.account_mail import AccountMailTexts
from vosd.engine.settings import AlarmSettings, InvoiceSettings
from vosd.obs.events import Event

DAY = 86_400_000
CLOCK = ManualClock()
NOW = CLOCK.now().wall


def texts(*accounts: Any, without_calls: Setting | None = None, **credits: Any) -> AccountMailTexts:
    """Return the texts of a switch with some accounts and their credits; ``without_calls`` is why ``acme`` has none."""
    live = LiveState()
    if without_calls is not None:
        live.blocks.accounts["acme"] = Override(Target.ACCOUNT, "acme", without_calls, "", "ann", NOW)
    catalogue = SimpleNamespace(accounts={each.id: each for each in accounts})
    balances = SimpleNamespace(credits=credits, currencies={"acme": "EUR"})
    service = SimpleNamespace(switch=SimpleNamespace(catalogue=catalogue, live=live), balances=balances)
    settings = SimpleNamespace(
        alarms=AlarmSettings(), invoices=InvoiceSettings(IssuerTerms(name="Example Telecom", language="de"))
    )
    return AccountMailTexts(service, CLOCK, lambda: settings)  # type: ignore[arg-type,return-value]


def named(made: Account, name: str) -> Account:
    return msgspec.structs.replace(made, name=name)


def credit(balance: str, low_below: str, limit: str | None = "0") -> AccountCredit:
    made = AccountCredit("acme", None if limit is None else Decimal(limit), Decimal(balance), lows=[])
    made.set_terms(made.own_limit, Decimal(low_below))
    return made


def mailed(made: AccountMailTexts, event: Event = Event.BALANCE_LOW) -> Any:
    compose = made.composer(event, "acme")
    return None if compose is None else compose("vosd@example.com", NOW)


def test_an_account_is_mailed_in_the_language_of_its_invoices_and_its_agent_gets_a_copy() -> None:
    agent = named(account("reseller", alarm_mail=("r@example.com", "both@example.com")), "Reseller Ltd")
    own = named(account("acme", agent="reseller", alarm_mail=("a@example.com", "both@example.com")), "Acme")
    mail = mailed(texts(own, agent, acme=credit("4.8099", "1234.5")))
    assert (mail["To"], mail["Bcc"]) == ("a@example.com, both@example.com", "r@example.com")
    assert "sind noch 4,80 EUR übrig" in mail.get_content()
    assert "Ihres Kontos Acme (acme)" in mail.get_content()
    assert "weniger als 1234,50 EUR" in mail.get_content()
    assert mail.get_content().splitlines()[-1] == "Reseller Ltd"
    english = account("acme", alarm_mail=("a@example.com",), invoice=InvoiceTerms(language="en"))
    mail = mailed(texts(english, acme=credit("-3", "1", None)))
    assert mail.get_content().startswith("-3.00 EUR are left for calls of your account acme.")
    assert mail.get_content().splitlines()[-1] == "Example Telecom"


def test_no_one_is_mailed_where_there_is_no_address_or_the_alarm_is_over() -> None:
    own, low = account("acme", alarm_mail=("a@example.com",)), credit("4", "5")
    assert mailed(texts(own, acme=low)) is not None
    assert mailed(texts(account("acme"), acme=low)) is None
    assert mailed(texts(account("acme", agent="x"), account("x"), acme=low)) is None
    assert mailed(texts(account("acme", agent="x"), account("x", alarm_mail=("x@example.com",)), acme=low))["To"]
    assert mailed(texts(acme=low)) is None
    assert mailed(texts(own)) is None
    low.set_terms(Decimal(0), Decimal(3))
    assert mailed(texts(own, acme=low)) is None


def test_who_has_left_is_not_asked_for_money_and_who_is_blocked_is() -> None:
    own, low = account("acme", alarm_mail=("a@example.com",), expires_at=NOW + DAY), credit("0", "5")
    events = (Event.BALANCE_LOW, Event.ACCOUNT_EXPIRES)
    closed, blocked = [texts(own, without_calls=each, acme=low) for each in (Setting.CLOSED, Setting.BLOCKED)]
    disabled = texts(msgspec.structs.replace(own, enabled=False), acme=low)
    assert [mailed(each, event) for each in (closed, disabled) for event in events] == [None] * 4
    assert all(mailed(blocked, event) is not None for event in events)


def test_the_end_of_an_account_is_said_by_its_own_clock_while_it_comes_soon() -> None:
    def ends(at: int | None, **terms: Any) -> Any:
        own = account("acme", alarm_mail=("a@example.com",), timezone="Asia/Kathmandu", expires_at=at, **terms)
        return mailed(texts(own, acme=credit("0", "5")), Event.ACCOUNT_EXPIRES)

    at = NOW // DAY * DAY + 2 * DAY
    assert "05:45 (Asia/Kathmandu)" in ends(at)["Subject"]
    paid = credit("0", "5")
    paid.expires_at = NOW + 30 * DAY
    own = account("acme", alarm_mail=("a@example.com",), expires_at=at)
    assert mailed(texts(own, acme=paid), Event.ACCOUNT_EXPIRES) is None
    assert [ends(None), ends(NOW), ends(at, enabled=False), ends(NOW + 8 * DAY)] == [None] * 4
