"""Two switches that compare their calls: one asks the management API of the other with the token of a customer."""

import asyncio
import dataclasses
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from api.conftest import installed
from doubles.api import CUSTOMER, Api
from doubles.data.builders import account
from doubles.data.records import STARTED, answered_call
from doubles.migrated import migrated
from doubles.office import office_on, operator
from doubles.silent_names import SilentNames

from vosd.admin.office.bilateral import ComparePartner, compare_partner
from vosd.admin.partner_totals import Partner, PartnerOutcome
from vosd.base.secret import Secret
from vosd.cdr.record import CallRecord
from vosd.clearing.bilateral import DELAY_MS, PERIOD_MS
from vosd.daemon.bilateral_process import BilateralOrder, compare_all
from vosd.engine.settings import BilateralSettings
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database

UNTIL = STARTED - STARTED % PERIOD_MS + PERIOD_MS
CALLS = [(each, Decimal(each)) for each in range(1, 6)]


def book(url: str, records: list[CallRecord]) -> None:
    async def run() -> None:
        database = Database(url)
        await SqlBooks(database).book(records)
        await database.close()

    asyncio.run(run())


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The partner, which has received all calls."""
    directory = tmp_path_factory.mktemp("there")
    url = migrated(directory / "vosd.db")
    received = [
        answered_call(each, customer_account="acme", fee=amount, ended_at=UNTIL - 9_000) for each, amount in CALLS
    ]
    book(url, received)
    with Api(installed(directory, url)) as api:
        yield api


@pytest.fixture
def order(tmp_path: Path, there: Api) -> BilateralOrder:
    """We have sent all calls but the last."""
    url = migrated(tmp_path / "vosd.db")
    sent = [
        answered_call(each, vendor_account="peer", cost=amount, vendor_answered_at=STARTED, ended_at=UNTIL - 9_000)
        for each, amount in CALLS[:-1]
    ]
    book(url, sent)
    settings = BilateralSettings("peer", there.url, "acme", Secret(f"{CUSTOMER}acme"), Decimal(1), Decimal(1))
    partner = Partner(settings, "USD")
    return BilateralOrder(url, UNTIL - 12 * PERIOD_MS, UNTIL, (partner,))


def compared(order: BilateralOrder, **changes: Any) -> PartnerOutcome:
    (partner,) = order.partners
    changed = msgspec.structs.replace(
        order, partners=(Partner(dataclasses.replace(partner.settings, **changes), "USD"),)
    )
    (outcome,) = asyncio.run(compare_all(changed)).partners
    return outcome


def test_a_call_that_one_switch_lacks_is_found_with_prefix_and_gateways(order: BilateralOrder) -> None:
    (found,) = compared(order).deviations
    assert found.what == "we have sent 4 calls, 240 s, 10.00; they have received 5 calls, 300 s, 15.00"
    assert (found.prefixes, found.gateways, found.their_gateways) == (("4420",), ("peer-trunk",), ("acme-pbx",))
    assert compared(order, amount=Decimal(6)) == PartnerOutcome("peer")


def test_partners_whose_names_are_not_found_hold_up_no_other_one(
    order: BilateralOrder, monkeypatch: pytest.MonkeyPatch
) -> None:
    (partner,) = order.partners
    resolver = SilentNames(monkeypatch)
    names = [f"dead{number}.example" for number in range(6)]
    resolver.dead, resolver.releasing = set(names), "good.example"
    urls = [partner.settings.url.replace("127.0.0.1", host) for host in (*names, resolver.releasing)]
    partners = tuple(Partner(dataclasses.replace(partner.settings, url=url, amount=Decimal(6)), "USD") for url in urls)
    outcomes = asyncio.run(compare_all(msgspec.structs.replace(order, partners=partners))).partners
    assert [each.failed for each in outcomes] == ["[Errno -3] no answer"] * 6 + [""]


def threads_of_partners() -> int:
    return sum("partners" in each.name for each in threading.enumerate())


def test_an_operator_compares_by_hand(order: BilateralOrder, tmp_path: Path) -> None:
    (partner,) = order.partners
    settings = dataclasses.replace(partner.settings, url=partner.settings.url.replace("127.0.0.1", "localhost"))

    async def run(**more: Any) -> PartnerOutcome:
        database = Database(order.database)
        office = office_on(database, account("peer"), now=UNTIL + DELAY_MS + 7, socket=tmp_path / "s")
        installation = dataclasses.replace(office.definitions.settings, bilateral=(settings,))
        office.definitions.settings = installation  # type: ignore[misc]
        try:
            return await compare_partner(office, operator(), ComparePartner(account="peer", **more))
        finally:
            await database.close()

    assert asyncio.run(run()) == compared(order)
    before = threads_of_partners()
    assert asyncio.run(run(until=UNTIL - 1)) == PartnerOutcome("peer")
    assert threads_of_partners() == before, "a comparison leaves no thread behind"


def test_a_token_shows_no_other_account_and_a_wrong_one_nothing(order: BilateralOrder) -> None:
    assert "404" in compared(order, their_account="reseller").failed
    assert "401" in compared(order, token=Secret("wrong")).failed
