"""Rates in the office: an agent sees the groups that it may give and its own prices, an operator all of them."""

import asyncio
import threading

import msgspec
import pytest
from doubles.data import builders
from doubles.office import agent, customer, office_on, operator

from vosd.admin.names import UnknownAccountError, UnknownNameError
from vosd.admin.office.office import Office
from vosd.admin.office.principal import OperatorsOnlyError, OrderError
from vosd.admin.office.rates import (
    ExplainRate,
    ListAreas,
    ListPrices,
    ListRateGroups,
    explain_rate,
    list_areas,
    list_prices,
    list_rate_groups,
)
from vosd.admin.rating import NoRateError
from vosd.billing.accounts import Account, AccountType
from vosd.billing.authority import OutOfScopeError
from vosd.billing.ports import Rates
from vosd.billing.rate_group import RateGroup
from vosd.billing.rate_rows import RateRows
from vosd.billing.rates import Rate
from vosd.storage.database import Database

NOW = 1_790_000_000_000
ACCOUNTS = (
    builders.account("south", sub_rate_groups=("cheap",)),
    builders.account("shop", agent="south"),
    builders.account("acme"),
    builders.account("peer", type=AccountType.PARTNER),
)


@pytest.fixture
def office(database: Database) -> Office:
    return office_on(database, *ACCOUNTS, now=NOW)


async def test_an_agent_sees_the_rate_groups_that_it_may_give(office: Office) -> None:
    order = ListRateGroups()
    assert [each.name for each in await list_rate_groups(office, operator(), order)] == ["sell", "cheap"]
    assert [each.name for each in await list_rate_groups(office, agent("south"), order)] == ["cheap"]
    for part, found in (("EL", ["sell"]), ("ea", ["cheap"]), ("ll", ["sell"]), ("none", [])):
        seen = await list_rate_groups(office, operator(), ListRateGroups(part))
        assert [each.name for each in seen] == found
        own = await list_rate_groups(office, agent("south"), ListRateGroups(part))
        assert [each.name for each in own] == [name for name in found if name == "cheap"]


async def test_agents_and_customers_read_no_notes_on_rate_groups_nor_what_they_are_made_of(database: Database) -> None:
    accounts = builders.account("south"), builders.account("shop", agent="south")
    office = office_on(database, *accounts, now=NOW)
    for who in (agent("south"), customer("shop")):
        (found,) = await list_rate_groups(office, who, ListRateGroups())
        assert msgspec.to_builtins(found) == {"name": "sell", "currency": "EUR", "price_per": "minute", "rates": 0}
    (found, _) = await list_rate_groups(office, operator(), ListRateGroups())
    assert {"rates_from", "base", "accounts", "gateways", "memo"} < msgspec.to_builtins(found).keys()


async def test_an_agent_that_may_give_any_does_not_see_groups_that_vendors_alone_are_paid_by(url: str) -> None:
    accounts = builders.account("south", sub_rate_groups=("any",)), builders.account("shop", agent="south")
    for bought_by in ("routing_gateways", "mapping_gateways"):
        named = dict.fromkeys(("mapping_gateways", "routing_gateways", "phones"), frozenset[str]())
        office = office_on(Database(url), *accounts, now=NOW, rate_groups=named | {bought_by: frozenset({"cheap"})})
        seen = [each.name for each in await list_rate_groups(office, agent("south"), ListRateGroups())]
        assert seen == (["sell"] if bought_by == "routing_gateways" else ["sell", "cheap"])


async def test_the_areas_of_a_rate_group_are_for_operators(office: Office) -> None:
    with pytest.raises(OperatorsOnlyError):
        await list_areas(office, agent("south"), ListAreas("sell"))
    with pytest.raises(UnknownNameError, match="no rate group 'none' is configured"):
        await list_areas(office, operator(), ListAreas("none"))


async def test_the_areas_of_a_large_rate_group_are_worked_out_beside_the_event_loop(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    turned = threading.Event()

    class Large(RateRows):
        def find(self, number: str, wall_ms: int) -> Rate | None:
            assert turned.wait(timeout=30), "other requests wait for the areas"
            return super().find(number, wall_ms)

    rate = builders.applied_rate(prefix="44", area="United Kingdom")
    group = RateGroup("large", "EUR", rate.policy, Large([rate.rate], "1"), "1")
    asyncio.get_running_loop().call_soon(turned.set)
    monkeypatch.setattr(office.definitions, "rate_group", {"large": group}.get)
    found = await list_areas(office, operator(), ListAreas("large"))
    assert [(each.area, each.prefixes) for each in found.areas] == [("United Kingdom", ["44"])]


async def test_prices_are_listed_within_the_scope_of_who_asks(office: Office) -> None:
    (found,) = await list_prices(office, agent("south"), ListPrices(account="shop"))
    assert [found] == await list_prices(office, operator(), ListPrices(account="shop", prefix=found.prefix))
    with pytest.raises(OutOfScopeError):
        await list_prices(office, agent("south"), ListPrices(account="acme"))
    with pytest.raises(UnknownAccountError):
        await list_prices(office, operator(), ListPrices(account="none"))


async def test_prices_of_a_vendor_are_those_that_it_is_paid_by(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The prices of a customer with the terms of the vendor were listed."""
    accounts = (builders.account(each.value, type=each) for each in AccountType)
    office, asked = office_on(database, *accounts, now=NOW), {}
    rates = office.definitions.rates_of(builders.account("acme"), is_vendor=False)

    def rates_of(account: Account, *, is_vendor: bool) -> Rates | None:
        asked[account.type] = is_vendor
        return rates

    monkeypatch.setattr(office.definitions, "rates_of", rates_of)
    for each in AccountType:
        await list_prices(office, operator(), ListPrices(account=each.value))
    assert asked == {each: each is AccountType.CLEARING for each in AccountType}


async def test_a_price_is_explained_within_the_scope_of_who_asks(office: Office) -> None:
    order = msgspec.json.decode(b'{"account": "shop", "callee": "4420", "duration_ms": 60000}', type=ExplainRate)
    found = await explain_rate(office, agent("south"), order)
    assert found == await explain_rate(office, operator(), order)
    assert [each.account for each in found.agents] == ["south"]
    with pytest.raises(OutOfScopeError):
        await explain_rate(office, agent("south"), msgspec.structs.replace(order, account="acme"))
    with pytest.raises(OrderError, match="`buy` is not for agents and customers"):
        await explain_rate(office, agent("south"), msgspec.structs.replace(order, buy=True))
    with pytest.raises(OrderError, match="`buy` is for vendors, and account shop is a customer's: leave it out"):
        await explain_rate(office, operator(), msgspec.structs.replace(order, buy=True))
    with pytest.raises(UnknownAccountError):
        await explain_rate(office, operator(), msgspec.structs.replace(order, account="other"))


async def test_a_partner_is_paid_by_its_gateways_not_by_its_account(office: Office) -> None:
    order = ExplainRate(account="peer", callee="4420", duration_ms=1_000, buy=True)
    with pytest.raises(NoRateError, match="each of its routing gateways names the rate_group"):
        await explain_rate(office, operator(), order)
