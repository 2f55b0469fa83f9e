"""Rights in the office: operators may do everything, agents what their rights say, wherever the order comes from."""

import re
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

import pytest
from doubles.data import builders
from doubles.office import agent, customer, office_on, operator

from vosd.admin.agents import MayNotActError
from vosd.admin.ledger import Month
from vosd.admin.names import UnknownAccountError
from vosd.admin.office.accounts import ShowAccount, show_account
from vosd.admin.office.audit import ListAudit, list_audit
from vosd.admin.office.ledger import (
    ClosePeriod,
    ListBalances,
    ListEntries,
    ShowProfit,
    ShowStatements,
    VerifyLedger,
    close_period,
    list_balances,
    list_entries,
    list_payments,
    show_profit,
    show_statements,
    verify_ledger,
)
from vosd.admin.office.minimum import BookMinimums, book_minimums
from vosd.admin.office.office import Office, PermissionLackingError
from vosd.admin.office.payments import (
    BookPayment,
    ConfirmPayment,
    MoveMoney,
    WaitingSheet,
    book_payment,
    confirm_payment,
    move_money,
)
from vosd.admin.office.principal import ALL, Means, OperatorsOnlyError, OrderError, Principal, Role, scope_of
from vosd.billing.agents import Hierarchy
from vosd.billing.authority import OutOfScopeError, RightLackingError
from vosd.billing.rights import Right
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database
from vosd.storage.faults import BookDifference
from vosd.storage.payments import SqlPayments
from vosd.storage.ports import EntryKind, Payment

NOW = 1_790_000_000_000
ACCOUNTS = (
    builders.account("south", rights=frozenset({Right.OWN_PAYMENTS})),
    builders.account("shop", agent="south"),
    builders.account("acme"),
    builders.account("gone", enabled=False),
)


@pytest.fixture
async def office(database: Database) -> Office:
    for account in ("south", "shop", "acme"):
        payment = Payment(account=account, kind=EntryKind.PAYMENT, reference="r", made_at=1, currency="USD")
        await SqlPayments(database).add(payment)
    return office_on(database, *ACCOUNTS, now=NOW)


async def entries(office: Office, who: Principal, **criteria: Any) -> list[str]:
    return [each.account async for each in list_entries(office, who, ListEntries(**criteria))]


async def test_an_agent_sees_the_entries_that_its_rights_allow(office: Office) -> None:
    assert await entries(office, operator()) == ["south", "shop", "acme"]
    assert await entries(office, agent("south")) == ["south"], "its own, where it names none"
    with pytest.raises(RightLackingError, match="sub_payments"):
        await entries(office, agent("south"), account="shop")
    with pytest.raises(OutOfScopeError):
        await entries(office, agent("south"), account="acme")


async def test_payments_are_listed_by_their_kinds_alone_and_agents_see_their_own(office: Office) -> None:
    async def payments(who: Principal, **criteria: Any) -> list[tuple[str, str]]:
        found = list_payments(office, who, ListEntries(**criteria))
        return [(each.account, each.balance_before) async for each in found]

    assert await payments(operator(), newest_first=True) == [("acme", "0.00"), ("shop", "0.00"), ("south", "0.00")]
    assert await payments(operator(), kinds=("refund",)) == []
    assert await payments(agent("south")) == await payments(customer("south")) == [("south", "0.00")]
    with pytest.raises(OutOfScopeError):
        await payments(agent("south"), account="acme")
    with pytest.raises(OrderError, match="not for agents"):
        await payments(customer("south"), operator="ann")
    with pytest.raises(OrderError, match="`kinds` has 'call'"):
        await payments(operator(), kinds=("call",))


async def test_agents_and_customers_do_not_see_the_names_of_operators_in_the_ledger(office: Office) -> None:
    book = SqlPayments(office.stores.database).add
    for reference, who, memo in (
        ("a", "ann", "confirmed by bob: cash: 2"),
        ("b", "ann", "confirmed by bob"),
        ("c", "agent south", "from us"),
        ("d", "ann", "it was confirmed by bob"),
    ):
        payment = Payment(
            account="south", kind=EntryKind.PAYMENT, reference=reference, made_at=1, currency="USD",
            operator=who, memo=memo,
        )  # fmt: skip
        await book(payment)

    async def seen(who: Principal, **criteria: Any) -> list[tuple[str | None, str | None]]:
        found = list_entries(office, who, ListEntries(account="south", **criteria))
        return [(each.operator, each.memo) async for each in found][-4:]

    own = [("operator", "confirmed: cash: 2"), ("operator", "confirmed"), ("agent south", "from us")]
    assert (await seen(agent("south")))[:3] == own
    assert (await seen(operator()))[:2] == [("ann", "confirmed by bob: cash: 2"), ("ann", "confirmed by bob")]
    assert await seen(agent("south"), operator="agent south") == own[2:]
    for who in (agent("south"), customer("south")):
        with pytest.raises(OrderError, match="`operator` is not for agents and customers"):
            await seen(who, operator="ann")


@pytest.mark.parametrize("other", ["shop", "the shop: Oslo"])
async def test_agents_and_customers_do_not_see_who_has_confirmed_a_transfer(database: Database, other: str) -> None:
    accounts = builders.account("south", rights=frozenset(Right)), builders.account(other, agent="south")
    office = office_on(database, *accounts, now=NOW, confirm_above=Decimal(100))
    await SqlPayments(database).add(
        Payment(account="south", kind=EntryKind.PAYMENT, reference="r", made_at=1, currency="USD", amount=Decimal(500))
    )
    moved = MoveMoney(source="south", target=other, amount=Decimal(150), memo="x")
    for who in (operator("ann"), agent("south")):
        waits = await move_money(office, who, moved)
        assert isinstance(waits, WaitingSheet)
        await confirm_payment(office, operator("bob"), ConfirmPayment(waits.id))

    async def memos(who: Principal, account: str) -> list[tuple[str | None, str | None]]:
        found = list_entries(office, who, ListEntries(account=account, kinds=("transfer",)))
        return [(each.operator, each.memo) async for each in found]

    given, got = f"to {other}: confirmed: x", "from south: confirmed: x"
    assert await memos(agent("south"), "south") == [("operator", given), ("agent south", given)]
    assert await memos(agent("south"), other) == [("operator", got), ("agent south", got)]
    assert await memos(customer(other), other) == [("operator", "confirmed: x"), ("operator", "confirmed: x")]
    assert (await memos(operator(), other))[0] == ("ann", "from south: confirmed by bob: x")


async def test_a_transfer_does_not_name_the_account_at_its_other_end_to_those_who_do_not_see_that(
    database: Database,
) -> None:
    names = [("south", None), ("rival: Oslo", None), ("shop", "south")]
    accounts = (builders.account(name, agent=agent, rights=frozenset(Right)) for name, agent in names)
    office = office_on(database, *accounts, now=NOW)
    for target, memo in (("shop", "x: y"), ("shop", ""), ("south", "x")):
        moved = MoveMoney(source="rival: Oslo", target=target, amount=Decimal(1), memo=memo or None, force=True)
        await move_money(office, operator(), moved)

    async def memos(who: Principal, account: str) -> list[str | None]:
        listed = [each.memo async for each in list_entries(office, who, ListEntries(account=account))]
        paid = list_payments(office, who, ListEntries(account=account, kinds=("transfer",)))
        assert [each.memo async for each in paid] == listed
        return listed

    for who in (agent("south"), customer("shop")):
        assert await memos(who, "shop") == ["x: y", None]
    assert await memos(agent("south"), "south") == ["x"]
    assert await memos(operator(), "shop") == ["from rival: Oslo: x: y", "from rival: Oslo"]


async def test_an_agent_sees_one_statement_at_a_time(office: Office) -> None:
    month = Month(2026, 9)
    own = ShowStatements(month=month, accounts=("south",))
    assert [each.account async for each in show_statements(office, agent("south"), own)] == ["south"]
    for wanted in ({"of_all": True}, {"accounts": ("south", "acme")}, {"group": "g"}):
        with pytest.raises(OrderError, match="one by one"):
            _ = [each async for each in show_statements(office, agent("south"), ShowStatements(month=month, **wanted))]


async def test_many_statements_ask_for_their_currencies_once(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    currencies = SqlBooks.currencies

    async def counted(books: SqlBooks, accounts: Collection[str]) -> Mapping[str, str | None]:
        asked.append(list(accounts))
        return await currencies(books, accounts)

    monkeypatch.setattr(SqlBooks, "currencies", counted)
    order = ShowStatements(month=Month(2026, 9), of_all=True, limit=2)
    found = [(each.account, each.currency) async for each in show_statements(office, operator(), order)]
    assert [len(names) for names in asked] == [2]
    assert found == [(name, "USD") for name in asked[0]]
    unknown = ShowStatements(month=Month(2026, 9), accounts=("south", "sout"))
    with pytest.raises(UnknownAccountError, match="did you mean 'south'"):
        _ = [each async for each in show_statements(office, operator(), unknown)]


async def test_a_statement_is_of_named_accounts_of_a_group_or_of_all(office: Office) -> None:
    for wanted in ({}, {"of_all": True, "group": "g"}):
        order = ShowStatements(month=Month(2026, 9), **wanted)
        with pytest.raises(OrderError, match="say one of the three") as refused:
            _ = [each async for each in show_statements(office, operator(), order)]
        assert (refused.value.code, refused.value.field) == ("order", "accounts")


@pytest.mark.parametrize(
    ("act", "order"),
    [
        (list_balances, ListBalances(NOW)),
        (list_audit, ListAudit()),
        (show_profit, ShowProfit(NOW - 1, NOW)),
        (book_minimums, BookMinimums(Month(2026, 8))),
        (close_period, ClosePeriod(NOW)),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
async def test_orders_about_the_whole_installation_are_for_operators(office: Office, act: Any, order: Any) -> None:
    with pytest.raises(OperatorsOnlyError, match="agent south"):
        await act(office, agent("south"), order)
    await act(office, operator(), order)


async def test_an_operator_verifies_the_ledger_and_an_agent_does_not(office: Office) -> None:
    found: list[BookDifference] = []
    with pytest.raises(OperatorsOnlyError):
        await verify_ledger(office, agent("south"), VerifyLedger(), found.append)
    compared = await verify_ledger(office, operator(), VerifyLedger(whole=True), found.append)
    assert (compared.accounts, compared.entries, compared.journal_records, found) == (3, 3, None, [])


def test_an_agent_or_a_customer_without_account_may_do_nothing_nor_an_operator_with_one() -> None:
    def principal(role: Role, account: str | None = None) -> Principal:
        return Principal(role=role, name="c", login="c", means=Means.TOKEN, permissions=ALL, account=account)

    accounts = {"acme": builders.account("acme")}
    for who in (principal(Role.CUSTOMER), principal(Role.AGENT), principal(Role.OPERATOR, "acme")):
        with pytest.raises(MayNotActError):
            scope_of(who, accounts, Hierarchy.of(accounts))
    scope_of(principal(Role.PROGRAM), {}, {}).require_operator()


async def test_a_customer_sees_its_own_account_alone(office: Office) -> None:
    assert await entries(office, customer("acme")) == ["acme"]
    assert (await show_account(office, customer("acme"), ShowAccount("acme"))).id == "acme"
    for absent in ("shop", "absent"):
        with pytest.raises(OutOfScopeError, match=f"^customer acme has no account {absent}$"):
            await show_account(office, customer("acme"), ShowAccount(absent))
    with pytest.raises(PermissionLackingError, match=re.escape("it needs the permission money.book")):
        await book_payment(office, customer("acme"), BookPayment(account="acme", amount=Decimal(1)))


async def test_a_disabled_customer_may_do_nothing(office: Office) -> None:
    with pytest.raises(MayNotActError, match="customer gone may not act: it is disabled"):
        await show_account(office, customer("gone"), ShowAccount("gone"))
