"""Overdue invoices of accounts, and the blocks of the night."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec
import pytest
from contract.test_invoices import Site, at, call
from doubles.data.builders import account, applied_rate
from doubles.office import operator

from vosd.admin.office.invoice_changes import PayInvoice, pay_invoice
from vosd.admin.office.overdue import OverdueAccount, lock_overdue, overdue_accounts
from vosd.admin.office.overrides import BlockAccount, UnblockAccount, block_account, unblock_account
from vosd.admin.office.principal import OrderError
from vosd.billing.invoice_terms import InvoiceTerms
from vosd.catalogue.overrides import Override, Overrides, Setting, Target
from vosd.daemon.nightly_process import THE_SWITCH
from vosd.invoicing.settlement import InvoiceState
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database
from vosd.storage.overrides import SqlOverrides

RATE = applied_rate("28.435636", prefix="4420")


def moment(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1_000)


async def overdue_site(database: Database) -> Site:
    """Return books with an overdue invoice over 28.435636."""
    site = Site(database)
    await SqlBooks(database).book([call(1, "acme", at("2026-10-05"), "London", RATE, 60_000)])
    await site.run("2026-10", "2026-11-02")
    site.now = at("2026-12-24")
    return site


async def night(site: Site, after_days: int | None = 0) -> tuple[Sequence[str], Sequence[str]]:
    found = await overdue_accounts(site.office.stores, site.now)
    stores, switch, zone = site.office.stores, site.office.switch, ZoneInfo(site.settings.zone)
    return await lock_overdue(stores, switch, THE_SWITCH, found, after_days, site.now, zone)


async def test_an_invoice_that_is_paid_to_the_cent_is_not_overdue_and_the_balance_keeps_the_rest(
    database: Database,
) -> None:
    site = await overdue_site(database)
    (issued,) = await site.listed()
    assert (issued.gross, issued.state) == ("28.435636", InvoiceState.OVERDUE)
    assert await night(site) == (["acme"], [])
    await pay_invoice(site.office, operator(), PayInvoice(id=issued.id, amount=Decimal("28.43")))
    (paid,) = await site.listed(state=InvoiceState.PAID)
    assert (paid.gross, paid.paid) == ("28.435636", "28.43")
    assert sum(each.amount for each in await site.entries("acme")) == Decimal("-0.005636")
    with pytest.raises(OrderError, match="invoice 2026-000001 is paid"):
        await pay_invoice(site.office, operator(), PayInvoice(id=issued.id))
    assert await night(site) == ([], ["acme"])
    assert await overdue_accounts(site.office.stores, site.now) == []


async def test_without_days_no_account_is_blocked_and_those_that_are_go_on(database: Database) -> None:
    site = await overdue_site(database)
    assert await night(site, None) == ([], [])
    assert await night(site, 30) == (["acme"], [])
    assert await night(site, None) == ([], ["acme"])


@pytest.mark.parametrize(
    ("due_at", "not_yet", "then"),
    [
        ("2026-10-13T00:00:00+02:00", "2026-10-26T23:30:00+01:00", "2026-10-27T00:30:00+01:00"),
        ("2026-03-17T00:00:00+01:00", "2026-03-30T23:30:00+02:00", "2026-03-31T00:30:00+02:00"),
    ],
)
async def test_the_days_until_a_block_are_those_of_the_zone_also_over_a_change_of_its_clocks(
    database: Database, due_at: str, not_yet: str, then: str
) -> None:
    site = Site(database)
    owing = [OverdueAccount("acme", "2026-000001", moment(due_at), 1, Decimal(9), "USD")]
    stores, switch, zone = site.office.stores, site.office.switch, ZoneInfo("Europe/Berlin")
    assert (await lock_overdue(stores, switch, THE_SWITCH, owing, 14, moment(not_yet), zone))[0] == []
    assert (await lock_overdue(stores, switch, THE_SWITCH, owing, 14, moment(then), zone))[0] == ["acme"]


async def test_a_block_that_a_person_has_set_is_left_whatever_its_memo_says(database: Database) -> None:
    site = await overdue_site(database)
    assert await night(site) == (["acme"], [])
    await unblock_account(site.office, operator(), UnblockAccount("acme"))
    memo = "overdue invoice 2026-000001, and unfriendly"
    await block_account(site.office, operator(), BlockAccount(account="acme", memo=memo))
    await site.pay("acme", "100", site.now)
    assert await night(site) == ([], [])
    (kept,) = (await site.office.stores.overrides.load()).at(site.now).by_key.values()
    assert kept.memo == memo


async def test_a_block_that_a_person_sets_while_the_nightly_work_looks_is_left(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = await overdue_site(database)
    load = SqlOverrides.load
    by_person = Override(Target.ACCOUNT, "acme", Setting.BLOCKED, "", "ann", site.now, memo="overdue invoice 7")

    async def load_before(store: SqlOverrides) -> Overrides:
        found = await load(store)
        await store.put([by_person], site.now)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(SqlOverrides, "load", load_before)
        assert await night(site) == ([], [])
    assert (await load(site.office.stores.overrides)).by_key[by_person.key].operator == "ann"
    await site.office.stores.overrides.clear([by_person.key], "ann", site.now)
    assert await night(site) == (["acme"], [])
    await site.pay("acme", "100", site.now)
    with monkeypatch.context() as patched:
        patched.setattr(SqlOverrides, "load", load_before)
        assert await night(site) == ([], [])
    assert (await load(site.office.stores.overrides)).by_key[by_person.key].operator == "ann"


async def test_an_account_stays_blocked_when_an_earlier_invoice_is_due_later_than_the_overdue_one(
    database: Database,
) -> None:
    acme = account("acme")
    by_terms = {
        days: Site(database, msgspec.structs.replace(acme, invoice=InvoiceTerms(address=("Way 2",), due_days=days)))
        for days in (60, 7)
    }
    calls = [call(month, "acme", at(f"2026-{month}-05"), "London", RATE, 60_000) for month in (10, 11)]
    await SqlBooks(database).book(calls)
    await by_terms[60].run("2026-10", "2026-11-02")
    site = by_terms[7]
    await site.run("2026-11", "2026-12-02")
    site.now = at("2026-12-20")
    assert await night(site, 10) == (["acme"], [])
    site.now = at("2027-01-03")  # the first invoice is overdue as well, for a day
    assert await night(site, 10) == ([], [])
    (found,) = await overdue_accounts(site.office.stores, site.now)
    assert (found.number, found.due_at, found.invoices) == ("2026-000002", at("2026-12-10"), 2)
