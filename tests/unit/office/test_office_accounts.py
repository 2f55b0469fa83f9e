"""Accounts in the office: shown and listed, as operators and agents see them, given an expiry, and closed."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import UTC
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
from doubles.data import builders
from doubles.fake_switch import FakeSwitch
from doubles.ledger_entries import entries_of
from doubles.office import agent, office_on, operator

from vosd.admin.ledger import Month
from vosd.admin.names import UnknownAccountError
from vosd.admin.office import closing
from vosd.admin.office.account_history import ShowAccountHistory, show_account_history
from vosd.admin.office.accounts import (
    AccountSheet,
    ListAccountGroups,
    ListAccounts,
    NoSuchGroupError,
    SetExpiry,
    ShowAccount,
    list_account_groups,
    list_accounts,
    set_expiry,
    show_account,
)
from vosd.admin.office.closing import (
    AccountInUseError,
    CloseAccount,
    MinimumUnknownError,
    MoneyLeftError,
    close_account,
)
from vosd.admin.office.ledger import ShowStatements, show_statements
from vosd.admin.office.minimum import BookMinimums, book_minimums
from vosd.admin.office.office import Office
from vosd.admin.office.overrides import BlockAccount, ClearOverrides, block_account, clear_overrides
from vosd.admin.office.payments import (
    AboveLimitError,
    BookPayment,
    MoveMoney,
    PaymentType,
    RefusePayment,
    book_payment,
    move_money,
    refuse_payment,
)
from vosd.admin.office.principal import SHIPPED, OperatorsOnlyError, OrderError, Permission
from vosd.billing.accounts import NEVER, Account, AccountType
from vosd.billing.authority import OutOfScopeError, RightLackingError
from vosd.billing.rights import Right
from vosd.catalogue.overrides import Setting, Target
from vosd.cdr.columns import iso_utc
from vosd.cdr.retention import RecordKind
from vosd.control.calls import AccountCalls, CountCalls, ListCalls
from vosd.control.client import DaemonUnreachableError
from vosd.control.installation import RefreshOverrides
from vosd.control.money import BeginWithdrawal, Commitments, ListCommitments, RefreshBalances, Withdrawal
from vosd.control.order import OrderDone
from vosd.routing.calendar import Calendar, CalendarEntry
from vosd.storage.database import Database
from vosd.storage.dropped import note_dropped

_Result = TypeVar("_Result")
NOW = 1_790_000_000_000
"""21 September 2026."""
DAY = 86_400_000
ACCOUNTS = (
    builders.account("south", rights=frozenset({Right.ACCOUNTS})),
    builders.account("mid", agent="south", rights=frozenset()),
    builders.account("acme", agent="mid", overdraft_limit=Decimal("2.5"), contact="ann@example.org", memo="slow payer"),
    builders.account("idle", enabled=False, group="g"),
)


@pytest.fixture
def socket(tmp_path: Path) -> Path:
    return tmp_path / "vosd.sock"


@pytest.fixture
def with_accounts(database: Database, socket: Path) -> Callable[..., Office]:
    def office(*accounts: Any, now: int = NOW, **more: Any) -> Office:
        return office_on(database, *accounts, now=now, socket=socket, **more)

    return office


@pytest.fixture
def office(with_accounts: Callable[..., Office]) -> Office:
    return with_accounts(*ACCOUNTS)


async def pay(office: Office, account: str = "acme", amount: str = "10", **more: Any) -> None:
    await book_payment(office, operator(), BookPayment(account=account, amount=Decimal(amount), **more))


async def show(office: Office, account: str = "acme", who: Any = None) -> AccountSheet:
    return await show_account(office, who or operator(), ShowAccount(account))


async def listed(office: Office, who: Any = None, **order: Any) -> list[AccountSheet]:
    return await list_accounts(office, who or operator(), ListAccounts(**order))


async def test_accounts_are_found_by_a_part_of_their_texts_each_by_those_that_one_may_see(
    with_accounts: Callable[..., Office],
) -> None:
    west = builders.account("west", agent="south", group="g")
    named = msgspec.structs.replace(west, name="Western Acme Ltd")
    office = with_accounts(*ACCOUNTS, named)

    async def found(part: str, who: Any = None, **order: Any) -> list[str]:
        return [each.id for each in await listed(office, who, containing=part, **order)]

    assert await found("ACME") == ["acme", "west"]
    assert await found("acme", limit=1) == ["acme"]
    assert await found("acme", limit=1, after="acme") == await found("acme", agent="south") == ["west"]
    assert await found("acme", agent="south", all=True) == ["acme", "west"]
    assert await found("acme", accounts=("acme", "idle")) == ["acme"]
    assert await found("acme", accounts=("west",), limit=1) == ["west"]
    assert await found("acme", group="g", limit=1) == ["west"]
    assert await found("slow") == ["acme"]
    assert await found("nothing") == []
    assert await found("acme", agent("mid")) == ["acme"]
    assert await found("acme", agent("south")) == ["acme", "west"]
    assert await found("slow", agent("south")) == await found("idle", agent("south")) == []


async def test_an_account_that_is_no_longer_configured_is_found_by_its_id(with_accounts: Callable[..., Office]) -> None:
    await pay(with_accounts(*ACCOUNTS))
    left = with_accounts(builders.account("acme-2"))
    assert [each.id for each in await listed(left, containing="acme")] == ["acme", "acme-2"]
    assert [each.id for each in await listed(left, containing="acme", after="acme")] == ["acme-2"]
    assert [each.id for each in await listed(left, containing="acm")] == ["acme-2"]


async def test_an_account_is_shown_in_the_currency_of_its_money_where_the_files_say_another_one(
    with_accounts: Callable[..., Office],
) -> None:
    before = with_accounts(builders.account("acme"))
    await before.stores.books.open_accounts(["acme"])
    await before.stores.books.settle_currencies({"acme": "USD"})
    await pay(before)
    office = with_accounts(builders.account("acme", currency="EUR"), builders.account("new", currency="EUR"))
    assert [(each.id, each.currency) for each in await listed(office)] == [("acme", "USD"), ("new", "EUR")]
    assert ((await show(office)).currency, (await show(office)).configured_currency) == ("USD", "EUR")
    assert (await show(before)).configured_currency is msgspec.UNSET
    groups = await list_account_groups(office, operator(), ListAccountGroups())
    assert [(each.currency, each.balance) for each in groups] == [("USD", "10.00"), ("EUR", "0.00")]


async def test_an_account_without_entries_is_shown_in_the_currency_in_which_the_first_one_is_booked(
    with_accounts: Callable[..., Office], socket: Path
) -> None:
    before = with_accounts(builders.account("acme"))
    await before.stores.books.open_accounts(["acme"])
    await before.stores.books.settle_currencies({"acme": "USD"})
    office = with_accounts(builders.account("acme", currency="EUR"))
    groups = await list_account_groups(office, operator(), ListAccountGroups())
    shown = [(await show(office)).currency, *(each.currency for each in [*await listed(office), *groups])]
    assert shown == ["EUR", "EUR", "EUR"]
    async with FakeSwitch(socket).answers(ListCommitments, {}):
        found = await show(office)
        assert (found.currency, found.configured_currency) == ("USD", "EUR")  # the files were not taken
        assert [each.currency for each in await list_account_groups(office, operator(), ListAccountGroups())] == ["USD"]
    await pay(office)
    assert (await show(office)).currency == "EUR"


async def test_without_a_running_switch_nothing_is_reserved(with_accounts: Callable[..., Office]) -> None:
    office = with_accounts(builders.account("acme", overdraft_limit=Decimal("2.5")))
    await pay(office)
    assert await show(office) == AccountSheet(
        id="acme",
        type="direct",
        balance="10.00",
        overdraft_limit="2.50",
        reserved="0.00",
        available="12.50",
        currency="USD",
        blocked=False,
    )


async def test_amounts_that_running_calls_hold_and_ended_ones_owe_are_not_available(
    office: Office, socket: Path
) -> None:
    await pay(office)
    held = {"acme": Commitments(reserved="4.00", unbooked="-1.50")}
    async with FakeSwitch(socket).answers(ListCommitments, held):
        shown = await show(office)
    assert (shown.balance, shown.reserved, shown.available) == ("10.00", "4.00", "7.00")


async def test_running_calls_are_counted_by_the_switch_for_those_who_see_calls_and_asked_for_them(
    office: Office, socket: Path
) -> None:
    counts = {"acme": AccountCalls(as_customer=12_000, as_vendor=3), "idle": AccountCalls(as_vendor=1)}
    order, blind = ShowAccount("acme", calls=True), operator()
    blind = msgspec.structs.replace(blind, permissions=blind.permissions - {Permission.CALLS_SEE})
    async with FakeSwitch(socket).answers(ListCommitments, {}).answers(CountCalls, counts) as switch:
        of_all = {each.id: each.calls_now for each in await listed(office, calls=True)}
        shown = [await show_account(office, who, order) for who in (operator(), agent("south"), blind)]
        plain = await show(office)
        assert {*switch.asked} == {
            *(ListCommitments(), CountCalls()),
            *(ListCommitments(frozenset({"acme"})), CountCalls(frozenset({"acme"}))),
        }
        switch.asked.clear()
        await listed(office, agent("south"), calls=True)
        of_south = frozenset({"south", "mid", "acme"})
        assert switch.asked == [ListCommitments(of_south), CountCalls(of_south)]
    assert of_all == {"south": 0, "mid": 0, "acme": 12_003, "idle": 1}
    assert [each.calls_now for each in shown] == [12_003, 12_000, msgspec.UNSET]
    assert plain.calls_now is msgspec.UNSET
    assert (await show_account(office, operator(), order)).calls_now is msgspec.UNSET, "no switch runs"


async def test_an_account_names_the_block_that_it_has_and_its_operator_to_operators(office: Office) -> None:
    await block_account(office, operator("ann"), BlockAccount(account="acme", until=NOW + 60_000, memo="does not pay"))
    fields = ("blocked", "blocked_since", "blocked_until", "blocked_by", "blocked_memo")
    of_block = [getattr(await show(office), name) for name in fields]
    assert of_block == [True, iso_utc(NOW), iso_utc(NOW + 60_000), "ann", "does not pay"]
    of_block = [getattr(await show(office, who=agent("south")), name) for name in fields]
    assert of_block == [True, iso_utc(NOW), iso_utc(NOW + 60_000), "operator", msgspec.UNSET]
    assert (await show(office, "idle")).blocked_since is msgspec.UNSET


async def test_gateways_and_phones_are_counted_for_an_agent_without_those_that_carry_calls(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    owners = {
        "mapping_gateways": {"pbx": "acme", "other": "idle"},
        "routing_gateways": {"pbx": "acme"},
        "phones": {"1001": "acme", "1002": "acme"},
    }
    monkeypatch.setattr(office.definitions, "accounts_of", lambda kind: lambda: owners[kind])
    order = ListAccounts(accounts=("acme",), counts=True)
    for who, gateways in ((operator(), 2), (agent("south"), 1)):
        (shown,) = await list_accounts(office, who, order)
        assert (shown.gateways, shown.phones) == (gateways, 2), who
    (plain,) = await list_accounts(office, operator(), ListAccounts(accounts=("acme",)))
    assert (plain.gateways, plain.phones) == (msgspec.UNSET, msgspec.UNSET)


async def test_an_account_says_whether_its_block_refuses_calls_to_it(office: Office) -> None:
    await block_account(office, operator(), BlockAccount(account="acme"))
    assert (await show(office)).blocked_incoming is msgspec.UNSET
    await block_account(office, operator(), BlockAccount(account="acme", incoming=True))
    shown = await show(office)
    assert (shown.blocked, shown.blocked_incoming) == (True, True)
    assert (await show(office, who=agent("south"))).blocked_incoming is True
    await block_account(office, operator(), BlockAccount(account="acme"))
    assert (await show(office)).blocked_incoming is msgspec.UNSET, "calls to it are taken again, its own are not"


async def test_an_unlimited_account_is_marked_as_unlimited(with_accounts: Callable[..., Office]) -> None:
    shown = await show(with_accounts(builders.account("acme", overdraft_limit=None)))
    assert (shown.overdraft_limit, shown.available) == ("unlimited", "unlimited")


async def test_an_account_with_a_calendar_is_shown_with_its_work_state(with_accounts: Callable[..., Office]) -> None:
    hours = Calendar("office", UTC, (CalendarEntry(from_s=9 * 3_600, until_s=18 * 3_600),))
    accounts = [
        builders.account(name, calendar=calendar)
        for name, calendar in (("acme", "office"), ("idle", None), ("off", "no such calendar"))
    ]
    for hour, state in ((9, "working"), (18, "non-working")):
        office = with_accounts(*accounts, now=3_600_000 * hour, calendars=[hours])
        assert (await show(office)).work_state == state
        sheets = [msgspec.to_builtins(each).get("work_state", "absent") for each in await listed(office)]
        assert sheets == [state, "absent", "absent"]


async def test_an_unknown_account_is_an_error_that_names_the_place_of_the_list(office: Office) -> None:
    with pytest.raises(UnknownAccountError, match="no account 'unknown' is configured; vosd account list"):
        await show(office, "unknown")
    with pytest.raises(UnknownAccountError):
        await listed(office, agent="unknown")


async def test_the_list_has_every_configured_account_and_forgotten_money(with_accounts: Callable[..., Office]) -> None:
    before = with_accounts(builders.account("gone"), builders.account("settled"))
    await pay(before, "gone", "3")
    await pay(before, "settled", "3")
    await book_payment(before, operator(), BookPayment(account="settled", type=PaymentType.ZERO))
    office = with_accounts(*ACCOUNTS)
    by_id = {sheet.id: sheet for sheet in await listed(office)}
    assert [*by_id] == ["south", "mid", "acme", "idle", "gone"]
    gone = by_id["gone"]
    assert (gone.type, gone.balance, gone.available, gone.currency) == (None, "3.00", None, "USD")
    assert by_id["idle"].blocked
    assert (await show(office, "gone")).balance == "3.00"
    for limit in range(1, 7):
        assert [each.id for each in await listed(office, limit=limit)] == [*by_id][:limit]
        pages, after = [], ""
        while page := await listed(office, limit=limit, after=after):
            assert len(page) == min(limit, 5 - len(pages))
            pages += page
            after = page[-1].id
        assert pages == sorted(by_id.values(), key=lambda sheet: sheet.id)


async def test_the_list_is_of_a_group_or_below_an_agent(office: Office) -> None:
    async def names(**order: Any) -> list[str]:
        return [each.id for each in await listed(office, **order)]

    assert await names(agent="south") == ["mid"]
    assert await names(agent="south", all=True) == ["mid", "acme"]
    assert (await names(group="g"), await names(group="g", agent="south")) == (["idle"], [])
    assert (await names(group="g", limit=1, after="acme"), await names(agent="south", limit=1)) == (["idle"], ["mid"])
    with pytest.raises(NoSuchGroupError, match="vosd account groups"):
        await names(group="h")
    with pytest.raises(OrderError, match="give `agent` as well"):
        ListAccounts(all=True)


class _Counted(dict[str, Account]):
    """Accounts that count how often one is looked up."""

    looked_up = 0

    def __getitem__(self, name: str) -> Account:
        self.looked_up += 1
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.looked_up += 1
        return super().get(name, default)


@pytest.fixture
def many(with_accounts: Callable[..., Office], monkeypatch: pytest.MonkeyPatch) -> tuple[Office, _Counted]:
    """An office with 1,500 accounts, of which 60 are of the group ``g``."""
    made = [builders.account(f"a{number:04}", group="gh"[number % 100 > 3]) for number in range(1_500)]
    counted = _Counted({each.id: each for each in made})
    office = with_accounts(*made)
    monkeypatch.setattr(office.definitions, "accounts", lambda: counted)
    return office, counted


async def looked_up_in_turns(counted: _Counted, wanted: Awaitable[_Result]) -> tuple[_Result, list[int]]:
    """Return a result, and how many accounts were looked up in each turn of the event loop."""
    of_turns: list[int] = []

    def end_turn() -> None:
        of_turns.append(counted.looked_up)
        counted.looked_up = 0

    async def count() -> None:
        while True:
            end_turn()
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    result = await wanted
    counting.cancel()
    end_turn()
    return result, of_turns


@pytest.mark.parametrize("order", [{}, {"after": ""}, {"group": "g"}, {"group": "g", "after": ""}], ids=str)
async def test_a_long_list_lets_others_have_their_turns(many: tuple[Office, _Counted], order: dict[str, str]) -> None:
    """The API answers nothing else in a turn: of a hundred thousand accounts one would take seconds."""
    office, counted = many
    found, of_turns = await looked_up_in_turns(counted, listed(office, **order))
    wanted = [each.id for each in counted.values() if order.get("group") in {None, each.group}]
    assert [each.id for each in found] == wanted
    assert max(of_turns) <= 500
    if "group" in order:  # no more than a look at each of the others
        assert sum(of_turns) <= len(counted) + 5 * len(wanted)


async def test_statements_of_a_group_let_others_have_their_turns(many: tuple[Office, _Counted]) -> None:
    office, counted = many
    order = ShowStatements(month=Month(2026, 9), group="g", limit=2)
    async with aclosing(show_statements(office, operator(), order)) as statements:
        first, of_turns = await looked_up_in_turns(counted, anext(statements))
    assert (first.account, max(of_turns) <= 500) == ("a0000", True)


async def test_sums_are_by_group_and_currency(office: Office) -> None:
    await pay(office)
    sums = await list_account_groups(office, operator(), ListAccountGroups())
    assert [(each.group, each.accounts, each.balance) for each in sums] == [(None, 3, "10.00"), ("g", 1, "0.00")]


async def test_an_agent_sees_neither_notes_of_operators_nor_accounts_above_its_own(office: Office) -> None:
    assert [(each.id, each.agent) for each in await listed(office, agent("mid"))] == [
        ("mid", msgspec.UNSET), ("acme", "mid"),
    ]  # fmt: skip
    for shown, contact in ((await show(office), "ann@example.org"), (await show(office, who=agent("mid")), None)):
        assert (shown.contact or None, shown.memo or None) == (contact, "slow payer" if contact else None)
    for account in ("south", "idle", "unknown"):
        with pytest.raises(OutOfScopeError):
            await show(office, account, agent("mid"))
    with pytest.raises(OutOfScopeError):
        await listed(office, agent("mid"), agent="south")


async def test_a_running_switch_that_does_not_answer_makes_the_available_amount_an_error(
    office: Office, socket: Path
) -> None:
    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_unix_server(hang_up, socket):
        with pytest.raises(DaemonUnreachableError):
            await show(office)


async def test_an_expiry_is_set_with_its_line_in_the_audit(office: Office) -> None:
    changed = await set_expiry(office, agent("south"), SetExpiry(account="acme", expires_at=NOW + 1_000, memo="trial"))
    assert (changed.expires_at, (await show(office)).expires_at) == ("2026-09-21T14:13:21.000Z",) * 2
    assert (await set_expiry(office, operator(), SetExpiry(account="acme", expires_at=NEVER))).expires_at is None
    lines = await office.stores.audit.newest(9)
    assert [(line.principal, line.action, line.subject) for line in lines] == [
        ("ann", "SetExpiry", "acme"), ("agent south", "SetExpiry", "acme"),
    ]  # fmt: skip
    with pytest.raises(OutOfScopeError):
        await set_expiry(office, agent("south"), SetExpiry(account="idle", expires_at=None))
    with pytest.raises(RightLackingError):
        await set_expiry(office, agent("mid"), SetExpiry(account="acme", expires_at=None))
    for moment in (-1, NEVER + 1):
        with pytest.raises(OrderError, match="`expires_at`"):
            SetExpiry(account="acme", expires_at=moment)


async def test_the_history_has_payments_and_settings_the_newest_first(
    with_accounts: Callable[..., Office], office: Office
) -> None:
    await pay(office, reference="r1")
    await block_account(with_accounts(*ACCOUNTS, now=NOW + 1), operator("bob"), BlockAccount(account="acme"))
    changes = await show_account_history(office, operator(), ShowAccountHistory("acme"))
    assert [(each.action, each.what, each.after, each.by) for each in changes] == [
        ("set", "blocked", "yes", "bob"), ("booked", "payment", "10.00", "ann"),
    ]  # fmt: skip
    assert len(await show_account_history(office, operator(), ShowAccountHistory("acme", limit=1))) == 1
    with pytest.raises(UnknownAccountError):
        await show_account_history(office, operator(), ShowAccountHistory("unknown"))


async def test_an_account_that_is_closed_and_paid_out_leaves_a_line_for_each(office: Office) -> None:
    await pay(office, reference="r1")
    with pytest.raises(MoneyLeftError, match="`pay_out` books it"):
        await close_account(office, operator(), CloseAccount(account="acme"))
    closed = await close_account(office, operator("bob"), CloseAccount(account="acme", pay_out=True, memo="bye"))
    assert (closed.paid_out, closed.balance, (await show(office)).closed) == ("10.00", "0.00", True)
    refund, close, _ = await office.stores.audit.newest(9)
    assert [(line.principal, line.action, line.subject) for line in (refund, close)] == [
        ("bob", "BookPayment", "acme"), ("bob", "CloseAccount", "acme"),
    ]  # fmt: skip
    booked = json.loads(refund.detail)
    assert (booked["type"], Decimal(booked["amount"]), booked["reference"]) == ("refund", 10, f"close/{NOW}")
    *_, entry = await entries_of(office.stores.database, account="acme")
    assert (entry.kind, entry.amount, entry.operator, entry.memo) == ("refund", -10, "bob", "bye")
    closed_by = (await office.stores.overrides.load()).named(Target.ACCOUNT, Setting.CLOSED)["acme"]
    assert (closed_by.operator, closed_by.memo) == ("bob", "bye")
    await clear_overrides(office, operator(), ClearOverrides(name="acme", setting=Setting.CLOSED))
    assert (await show(office)).closed is msgspec.UNSET


async def test_a_close_pays_out_what_a_bank_transfers_and_brings_the_rest_to_zero(
    with_accounts: Callable[..., Office], office: Office
) -> None:
    """A call of 0.005289 was charged, say: no bank moves a part of a cent."""
    await book_payment(
        office, operator(), BookPayment(account="acme", amount=Decimal("0.944711"), type=PaymentType.ADJUSTMENT)
    )
    order = CloseAccount(account="acme", pay_out=True)
    closed = await close_account(office, operator("bob"), order)
    assert (closed.paid_out, closed.balance) == ("0.94", "0.00")
    *_, refund, zero = await entries_of(office.stores.database, account="acme")
    assert [(each.kind, each.amount) for each in (refund, zero)] == [
        ("refund", Decimal("-0.94")), ("zero", Decimal("-0.004711")),
    ]  # fmt: skip
    await book_payment(
        office, operator(), BookPayment(account="acme", amount=Decimal("0.004"), type=PaymentType.ADJUSTMENT)
    )
    later = with_accounts(*ACCOUNTS, now=NOW + 1)
    assert (await close_account(later, operator("bob"), order)).paid_out == "0.00", "less than a cent"
    assert (await show(office)).balance == "0.00"


async def test_a_close_books_the_minimum_of_the_month_that_is_over_and_none_of_its_own(
    with_accounts: Callable[..., Office],
) -> None:
    def books(day: int) -> Office:
        return with_accounts(builders.account("acme", minimum_consumption=Decimal(50)), now=NOW + day * DAY)

    async def minimum(month: int) -> tuple[str, str]:
        (sheet,) = await book_minimums(books(100), operator(), BookMinimums(Month(2026, month)))
        return sheet.outcome, sheet.charged

    await pay(books(-60))  # 10.00 in July
    with pytest.raises(MoneyLeftError, match=r"owes 40\.00"):
        await close_account(books(0), operator(), CloseAccount(account="acme", pay_out=True))
    await book_payment(books(0), operator(), BookPayment(account="acme", amount=Decimal(60)))
    closed = await close_account(books(0), operator(), CloseAccount(account="acme", pay_out=True))
    assert (closed.paid_out, closed.balance) == ("20.00", "0.00")
    await close_account(books(70), operator(), CloseAccount(account="acme"))  # it stays closed from September on
    assert [await minimum(month) for month in (8, 9, 10)] == [
        ("booked before", "50.00"), ("closed", "0.00"), ("closed", "0.00"),
    ]  # fmt: skip
    assert await minimum(7) == ("booked", "50.00")


@pytest.mark.parametrize("kind", [AccountType.DIRECT, AccountType.CLEARING])
async def test_a_close_behind_dropped_calls_takes_the_minimum_as_booked_or_does_without_it(
    with_accounts: Callable[..., Office], database: Database, kind: AccountType
) -> None:
    def books(day: int, minimum: int = 50) -> Office:
        return with_accounts(
            builders.account("acme", minimum_consumption=Decimal(minimum), type=kind), now=NOW + day * DAY
        )

    await pay(books(-60))
    await book_payment(books(-60), operator(), BookPayment(account="acme", amount=Decimal(90)))
    booked = await book_minimums(books(0), operator(), BookMinimums(Month(2026, 8)))
    async with database.writing() as connection:
        await note_dropped(connection, RecordKind.CALLS, NOW)
    assert await book_minimums(books(0), operator(), BookMinimums(Month(2026, 8))) == [
        msgspec.structs.replace(booked[0], consumed=None, outcome="booked before")
    ]
    order = CloseAccount(account="acme", pay_out=True)
    with pytest.raises(MinimumUnknownError, match="calls of 2026-09 were dropped"):
        await close_account(books(30), operator(), order)
    assert (await close_account(books(0), operator(), order)).paid_out == "50.00"
    await clear_overrides(books(0), operator(), ClearOverrides(name="acme", setting=Setting.CLOSED))
    await close_account(books(30), operator(), msgspec.structs.replace(order, without_minimum=True))


async def test_no_minimum_is_booked_by_the_close_of_an_account_that_owes_already(
    with_accounts: Callable[..., Office],
) -> None:
    def books(day: int) -> Office:
        return with_accounts(builders.account("acme", minimum_consumption=Decimal(50)), now=NOW + day * DAY)

    owing = BookPayment(account="acme", amount=Decimal(-1), type=PaymentType.ADJUSTMENT)
    await book_payment(books(-60), operator(), owing)
    with pytest.raises(MoneyLeftError, match=r"owes 1\.00"):
        await close_account(books(0), operator(), CloseAccount(account="acme"))


@pytest.mark.parametrize(
    ("kind", "said"),
    [(AccountType.PARTNER, r"owes 8\.10: book its"), (AccountType.CLEARING, r"is owed 8\.10: book what")],
)
async def test_a_vendor_below_zero_is_owed_money_when_it_is_closed(
    with_accounts: Callable[..., Office], kind: AccountType, said: str
) -> None:
    office = with_accounts(builders.account("acme", type=kind))
    below_zero = BookPayment(account="acme", amount=Decimal("-8.10"), type=PaymentType.ADJUSTMENT)
    await book_payment(office, operator(), below_zero)
    with pytest.raises(MoneyLeftError, match=said):
        await close_account(office, operator(), CloseAccount(account="acme"))


async def test_a_refund_above_the_limit_of_one_person_keeps_the_account_open(
    with_accounts: Callable[..., Office], office: Office
) -> None:
    await pay(office)
    order = CloseAccount(account="acme", pay_out=True)
    with pytest.raises(AboveLimitError):
        await close_account(with_accounts(*ACCOUNTS, confirm_above=Decimal("9.99")), operator(), order)
    assert (await show(office)).closed is msgspec.UNSET
    of_ten = with_accounts(*ACCOUNTS, confirm_above=Decimal(10))
    assert (await close_account(of_ten, operator(), order)).paid_out == "10.00"


async def test_an_account_stays_open_while_money_from_or_to_it_waits_for_a_second_person(
    with_accounts: Callable[..., Office],
) -> None:
    office = with_accounts(*ACCOUNTS, confirm_above=Decimal(9))
    moved = MoveMoney(source="south", target="acme", amount=Decimal(10), reference="t")
    order = CloseAccount(account="acme")
    for number, asked in enumerate((pay(office), move_money(office, operator(), moved)), start=1):
        await asked
        with pytest.raises(MoneyLeftError, match=f"payment {number} of account acme waits for a second person"):
            await close_account(office, operator(), order)
        await refuse_payment(office, operator(), RefusePayment(number))
    assert (await close_account(office, operator(), order)).paid_out == "0.00"


@pytest.mark.parametrize(
    ("pays_out", "amount", "kind", "limit", "said"),
    [
        (True, 10, PaymentType.PAYMENT, 19, r"acme has 20\.00, more than billing.confirm_above of 19\.00"),
        (False, 10, PaymentType.PAYMENT, 19, r"acme has 10\.00: `pay_out` books it"),
        (True, 10, PaymentType.PAYMENT, 9, "payment 1 of account acme waits for a second person"),
        (True, -18, PaymentType.ADJUSTMENT, 19, r"acme owes 8\.00"),
    ],
)
async def test_an_account_is_opened_again_where_a_booking_keeps_it_from_its_end_meanwhile(
    with_accounts: Callable[..., Office],
    socket: Path,
    pays_out: bool,
    amount: int,
    kind: PaymentType,
    limit: int,
    said: str,
) -> None:
    office = with_accounts(*ACCOUNTS, confirm_above=Decimal(limit))
    if pays_out and limit > 9:
        await pay(office)
    switch = (
        FakeSwitch(socket).answers(ListCalls, []).answers(ListCommitments, {}).answers(RefreshBalances, OrderDone())
    )

    async def booked(_order: RefreshOverrides) -> OrderDone:
        more = BookPayment(account="acme", amount=Decimal(amount), type=kind, reference="more")
        await book_payment(office, operator(), more)
        return OrderDone()

    order, finance = CloseAccount(account="acme", pay_out=pays_out), SHIPPED["finance"].permissions
    async with switch.answers(RefreshOverrides, booked):
        with pytest.raises((AboveLimitError, MoneyLeftError), match=said):
            await close_account(office, msgspec.structs.replace(operator(), permissions=finance), order)
    assert not (await office.stores.overrides.load()).has(Target.ACCOUNT, "acme", Setting.CLOSED)


async def test_a_payment_between_the_last_look_of_a_close_and_its_refund_is_told(office: Office, socket: Path) -> None:
    await pay(office)
    switch = FakeSwitch(socket).answers(ListCalls, []).answers(ListCommitments, {})
    switch = switch.answers(RefreshOverrides, OrderDone()).answers(RefreshBalances, OrderDone())
    paid = []

    async def booked(_order: BeginWithdrawal) -> Withdrawal:
        if not paid:
            more = BookPayment(account="acme", amount=Decimal(5), reference="more")
            paid.append(await book_payment(office, operator(), more))
        return Withdrawal()

    order = CloseAccount(account="acme", pay_out=True)
    async with switch.answers(BeginWithdrawal, booked):
        with pytest.raises(MoneyLeftError, match=r"acme is closed, 10\.00 was paid out, and it has 5\.00: money came"):
            await close_account(office, operator(), order)
        later = office_on(office.stores.database, *ACCOUNTS, now=NOW + 1, socket=socket)
        assert (await close_account(later, operator(), order)).paid_out == "5.00"


async def test_an_account_that_a_colleague_pays_out_meanwhile_is_closed_and_no_refund_of_more_is_advised(
    office: Office, socket: Path
) -> None:
    await pay(office)
    order = CloseAccount(account="acme", pay_out=True)
    asked: list[int] = []

    async def withdrawn(_order: BeginWithdrawal) -> Withdrawal:
        asked.append(1)
        if len(asked) == 1:
            later = office_on(office.stores.database, *ACCOUNTS, now=NOW + 1, socket=socket)
            assert (await close_account(later, operator("bob"), order)).paid_out == "10.00"
        return Withdrawal()

    switch = FakeSwitch(socket).answers(ListCalls, []).answers(ListCommitments, {})
    async with (
        switch.answers(RefreshOverrides, OrderDone())
        .answers(RefreshBalances, OrderDone())
        .answers(BeginWithdrawal, withdrawn)
    ):
        with pytest.raises(MoneyLeftError, match=r"acme is closed, .* 10\.00 was not paid out") as raised:
            await close_account(office, operator(), order)
        assert "force" not in str(raised.value)
        assert (await close_account(office, operator(), order)).balance == "0.00"


async def test_an_account_that_was_closed_before_stays_closed_where_it_gets_more_than_one_person_pays_out(
    with_accounts: Callable[..., Office], socket: Path
) -> None:
    office = with_accounts(*ACCOUNTS, confirm_above=Decimal(9))
    order = CloseAccount(account="acme", pay_out=True)
    await close_account(office, operator(), order)
    switch = (
        FakeSwitch(socket).answers(ListCalls, []).answers(ListCommitments, {}).answers(RefreshBalances, OrderDone())
    )

    async def more(_order: RefreshOverrides) -> OrderDone:
        await pay(with_accounts(*ACCOUNTS))
        return OrderDone()

    async with switch.answers(RefreshOverrides, more):
        with pytest.raises(AboveLimitError, match=r"acme has 10\.00"):
            await close_account(office, operator(), order)
    assert (await office.stores.overrides.load()).has(Target.ACCOUNT, "acme", Setting.CLOSED)


async def test_an_account_is_opened_again_where_a_call_was_set_up_meanwhile(office: Office, socket: Path) -> None:
    await pay(office)
    asked: list[int] = []

    def held(_order: ListCommitments) -> dict[str, Commitments]:
        asked.append(1)
        return {} if len(asked) == 1 else {"acme": Commitments(reserved="4.00")}

    switch = FakeSwitch(socket).answers(ListCalls, []).answers(ListCommitments, held)
    async with (
        switch.answers(RefreshOverrides, OrderDone())
        .answers(RefreshBalances, OrderDone())
        .answers(BeginWithdrawal, Withdrawal())
    ):
        with pytest.raises(AccountInUseError, match=r"reserve 4\.00"):
            await close_account(office, operator(), CloseAccount(account="acme", pay_out=True))
    assert not (await office.stores.overrides.load()).has(Target.ACCOUNT, "acme", Setting.CLOSED)
    assert [line.action for line in await office.stores.audit.newest(2)] == ["ClearOverrides", "CloseAccount"]


async def test_an_account_that_a_colleague_closes_meanwhile_stays_closed_where_the_first_close_fails(
    office: Office, socket: Path
) -> None:
    await pay(office)
    order = CloseAccount(account="acme", pay_out=True)
    asked: list[str] = []

    def held(_order: ListCommitments) -> dict[str, Commitments]:
        asked.append("commitments")
        return {"acme": Commitments(reserved="4.00")} if asked.count("commitments") == 4 else {}

    async def told(_order: RefreshOverrides) -> OrderDone:
        asked.append("overrides")
        if asked.count("overrides") == 1:
            assert (await close_account(office, operator("bob"), order)).paid_out == "10.00"
        return OrderDone()

    switch = FakeSwitch(socket).answers(ListCalls, []).answers(ListCommitments, held)
    async with (
        switch.answers(RefreshOverrides, told)
        .answers(RefreshBalances, OrderDone())
        .answers(BeginWithdrawal, Withdrawal())
    ):
        with pytest.raises(AccountInUseError, match=r"reserve 4\.00"):
            await close_account(office, operator(), order)
    assert (await office.stores.overrides.load()).has(Target.ACCOUNT, "acme", Setting.CLOSED)


async def test_an_account_that_a_colleague_closes_while_the_first_close_checks_it_stays_closed_where_that_fails(
    office: Office, socket: Path
) -> None:
    await pay(office)
    order = CloseAccount(account="acme", pay_out=True)
    asked: list[int] = []

    async def held(_order: ListCommitments) -> dict[str, Commitments]:
        asked.append(1)
        if len(asked) == 1:
            assert (await close_account(office, operator("bob"), order)).paid_out == "10.00"
        return {"acme": Commitments(reserved="4.00")} if len(asked) == 4 else {}

    switch = FakeSwitch(socket).answers(ListCalls, []).answers(ListCommitments, held)
    async with (
        switch.answers(RefreshOverrides, OrderDone())
        .answers(RefreshBalances, OrderDone())
        .answers(BeginWithdrawal, Withdrawal())
    ):
        with pytest.raises(AccountInUseError, match=r"reserve 4\.00.* closed already, .* by bob"):
            await close_account(office, operator(), order)
    assert (await office.stores.overrides.load()).has(Target.ACCOUNT, "acme", Setting.CLOSED)


@pytest.mark.parametrize("kind", [AccountType.DIRECT, AccountType.CLEARING])
async def test_a_close_that_was_killed_is_told_by_the_account_and_by_the_repeat_which_completes_it(
    with_accounts: Callable[..., Office], monkeypatch: pytest.MonkeyPatch, kind: AccountType
) -> None:
    office = with_accounts(builders.account("acme", type=kind), builders.account("south"))

    async def killed(*_args: object) -> str:
        raise asyncio.CancelledError

    with monkeypatch.context() as patched:
        patched.setattr(closing, "tell_overrides", killed)
        with pytest.raises(asyncio.CancelledError):
            await close_account(office, operator(), CloseAccount(account="acme", memo="moves away"))
    shown = await show(office)
    assert (shown.closed, shown.closed_since, shown.closed_by) == (True, iso_utc(NOW), "ann")
    assert shown.close_unfinished is msgspec.UNSET
    await pay(office)
    shown, other = await show(office), await show(office, "south")
    assert (shown.close_unfinished, other.close_unfinished, other.closed_since) == (True, *[msgspec.UNSET] * 2)
    again = (
        r"acme has 10\.00: .* closed already, since 2026-09-21T14:13:20\.000Z by ann: moves away: vosd overrides clear"
    )
    with pytest.raises(MoneyLeftError, match=again):
        await close_account(office, operator("bob"), CloseAccount(account="acme"))
    assert (await close_account(office, operator(), CloseAccount(account="acme", pay_out=True))).paid_out == "10.00"
    assert (await show(office)).close_unfinished is msgspec.UNSET


async def test_a_closed_account_with_calls_that_are_not_booked_is_not_at_its_end(office: Office, socket: Path) -> None:
    await close_account(office, operator(), CloseAccount(account="acme"))
    held = {"acme": Commitments(reserved="4.00")}
    async with FakeSwitch(socket).answers(ListCalls, []).answers(ListCommitments, held):
        assert (await show(office)).close_unfinished is True
        with pytest.raises(AccountInUseError, match=r"reserve 4\.00.* closed already"):
            await close_account(office, operator(), CloseAccount(account="acme"))


@pytest.mark.parametrize(
    ("act", "order"),
    [
        (close_account, CloseAccount(account="acme")),
        (show_account_history, ShowAccountHistory("acme")),
        (list_account_groups, ListAccountGroups()),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
async def test_agents_have_no_such_orders(office: Office, act: Any, order: Any) -> None:
    with pytest.raises(OperatorsOnlyError, match="agent south"):
        await act(office, agent("south"), order)
