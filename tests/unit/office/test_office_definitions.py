"""Objects of the database in the office: changes, their versions, the audit, and a switch that takes them or not."""

import asyncio
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from unittest.mock import Mock
from zoneinfo import ZoneInfo

import msgspec
import pytest
from doubles.data import builders
from doubles.fake_switch import FakeSwitch
from doubles.office import Defined, agent, office_on, operator

from vosd.admin.ledger import Month
from vosd.admin.office.audit import AuditSheet, ListAudit, list_audit
from vosd.admin.office.bulk import BulkAction, BulkObject, BulkRefusedError, ChangeObjects, change_objects
from vosd.admin.office.closing import CloseAccount, MoneyLeftError, close_account
from vosd.admin.office.customers import ProvisionCustomer, provision_customer
from vosd.admin.office.definitions import (
    AccountNotSettledError,
    EndObject,
    RevertObject,
    SetObjects,
    end_object,
    revert_object,
    set_objects,
)
from vosd.admin.office.object_versions import (
    CompareVersions,
    ListVersions,
    NoSuchObjectError,
    compare_versions,
    differing,
    hidden,
    list_versions,
)
from vosd.admin.office.office import Office, PermissionLackingError
from vosd.admin.office.payments import BookPayment, PaymentType, book_payment
from vosd.admin.office.planned_change import Action, AlreadyDefinedError, CallsUsing, StaleVersionError, WantedObject
from vosd.admin.office.principal import ALL, OperatorsOnlyError, OrderError, Permission
from vosd.admin.office.sheet_import import ImportSheet, OpeningBalance, SheetObject, import_sheet
from vosd.admin.office.shown_objects import (
    ExportObjects,
    ListObjects,
    ShowObject,
    export_objects,
    list_objects,
    show_object,
)
from vosd.admin.office.taken_change import NotTakenError
from vosd.admin.office.untaken_versions import UntakenVersions
from vosd.admin.office.withdrawn_changes import put_back
from vosd.catalogue import problems
from vosd.catalogue.planned_objects import ChangeCheck, CheckedObjects
from vosd.catalogue.problems import ConfigError
from vosd.catalogue.stored_objects import BadObjectError, ObjectsMoved, ObjectVersion
from vosd.cdr.columns import iso_utc
from vosd.control.calls import CallSnapshot, ListCalls
from vosd.control.installation import (
    CatalogueState,
    DatabaseReport,
    GetStatus,
    MachineUse,
    Reload,
    ReloadOutcome,
    SwitchStatus,
)
from vosd.control.server import CommandError
from vosd.storage.database import Database

NOW: Final = 1_790_000_000_000
WELL: Final = DatabaseReport("well", "this", None, 0)
LOADED: Final = CatalogueState("abc", "", None)
SHOP: Final = WantedObject("accounts", "shop", {"currency": "USD"})
PHONE: Final = WantedObject("phones", "7001", {"account": "shop", "password": "very-Secret-word"})


@pytest.fixture
def office(database: Database, tmp_path: Path) -> Office:
    accounts = builders.account("south"), builders.account("shop", agent="south")
    return office_on(database, *accounts, now=NOW, socket=tmp_path / "vosd.sock")


async def audited(office: Office) -> list[AuditSheet]:
    return (await list_audit(office, operator(), ListAudit()))[::-1]


async def test_an_account_ends_behind_its_close(database: Database, tmp_path: Path) -> None:
    office = office_on(database, builders.account("acme", minimum_consumption=Decimal(50)), now=NOW)
    account = SetObjects(objects=(WantedObject("accounts", "acme", {"rate_group": "sell"}),))
    await set_objects(office, operator(), account)
    end = EndObject(kind="accounts", name="acme")
    assert (await end_object(office, operator(), msgspec.structs.replace(end, is_trial=True))).dry_run
    for amount, said in (
        (10, "the balance of account acme is not zero"),
        (-10, "minimum consumption, and is not closed"),
    ):
        booked = BookPayment(account="acme", amount=Decimal(amount), type=PaymentType.ADJUSTMENT)
        await book_payment(office, operator(), booked)
        for terms in ({}, {"is_trial": True}, {"at": NOW + 1}):
            order = msgspec.structs.replace(end, **terms)
            with pytest.raises(AccountNotSettledError, match=said):
                await end_object(office, operator(), order)
    await end_object(office, operator(), msgspec.structs.replace(end, is_confirmed=True))
    await set_objects(office, operator(), account)
    await close_account(office, operator(), CloseAccount(account="acme"))
    await end_object(office, operator(), msgspec.structs.replace(end, at=NOW + 1))
    await end_object(office, operator(), end)


async def test_an_account_that_was_made_in_this_month_ends_with_its_minimum_while_it_has_no_entry(
    database: Database,
) -> None:
    """The undo of a new account has no one confirm that a colleague's money ends with it; the switch has opened it."""
    office = office_on(database, builders.account("acme", minimum_consumption=Decimal(50)), now=NOW)
    zone = ZoneInfo("UTC")
    _, month_end = Month.before(NOW, zone).bounds(zone)
    fifty = '{"minimum_consumption": "50"}'
    end = EndObject(kind="accounts", name="acme")
    await office.stores.books.open_accounts(["acme", "shop"])
    for name, begins_at in (("shop", month_end - 1), ("acme", month_end)):
        made = ObjectVersion(
            kind="accounts", name=name, version=1, body=fifty, begins_at=begins_at, made_at=0, operator="ann"
        )
        await office.stores.objects.add([made])
    with pytest.raises(AccountNotSettledError, match="had a minimum consumption at the end of the last month"):
        await end_object(office, operator(), EndObject(kind="accounts", name="shop"))
    with pytest.raises(AccountNotSettledError, match="has a minimum consumption, and is not closed"):
        await end_object(office, operator(), msgspec.structs.replace(end, at=NOW + 1))
    await end_object(office, operator(), end)


async def test_an_account_does_not_end_while_a_payment_of_it_waits_for_a_second_person(database: Database) -> None:
    office = office_on(database, builders.account("acme"), now=NOW, confirm_above=Decimal(9))
    await set_objects(
        office, operator(), SetObjects(objects=(WantedObject("accounts", "acme", {"rate_group": "sell"}),))
    )
    await book_payment(office, operator(), BookPayment(account="acme", amount=Decimal(10)))
    for terms in ({}, {"is_trial": True}, {"at": NOW + 1}):
        with pytest.raises(AccountNotSettledError, match="payment 1 of account acme waits for a second person"):
            await end_object(office, operator(), EndObject(kind="accounts", name="acme", **terms))


async def test_an_account_that_has_lost_its_minimum_since_the_end_of_the_month_ends_behind_its_close(
    database: Database,
) -> None:
    office = office_on(database, builders.account("acme"), builders.account("shop"), now=NOW)
    terms = {"kind": "accounts", "made_at": 0, "operator": "ann"}
    fifty = '{"minimum_consumption": "50"}'
    written = [("acme", 1, fifty, 0), ("acme", 2, "{}", NOW - 1), ("shop", 1, fifty, 0), ("shop", 2, "{}", 1)]
    versions = [ObjectVersion(name=name, version=at, body=b, begins_at=t, **terms) for name, at, b, t in written]
    await office.stores.objects.add(versions)

    async def book(name: str, amount: int) -> None:
        booked = BookPayment(account=name, amount=Decimal(amount), type=PaymentType.ADJUSTMENT)
        await book_payment(office, operator(), booked)

    for name in ("acme", "shop"):
        await book(name, 10)
        await book(name, -10)
    end = EndObject(kind="accounts", name="acme")
    with pytest.raises(AccountNotSettledError, match="had a minimum consumption at the end of the last month"):
        await end_object(office, operator(), end)
    await end_object(office, operator(), EndObject(kind="accounts", name="shop"))
    with pytest.raises(MoneyLeftError, match=r"acme owes 50\.00"):
        await close_account(office, operator(), CloseAccount(account="acme"))
    await book("acme", 50)
    await close_account(office, operator(), CloseAccount(account="acme"))
    await end_object(office, operator(), end)


async def test_each_change_leaves_one_line_in_the_audit_without_its_passwords(office: Office) -> None:
    order = msgspec.json.decode(
        '{"objects": [{"kind": "accounts", "name": "shop", "keys": {"currency": "USD"}}], "memo": "ticket 4711"}',
        type=SetObjects,
    )
    made = await set_objects(office, operator("ann"), order)
    assert (made.in_force, [(each.action.value, each.version) for each in made.changes]) == (False, [("defined", 1)])
    assert msgspec.json.decode(msgspec.json.encode(made), type=type(made)) == made
    await set_objects(office, operator("ann"), order)  # it is so already
    await set_objects(office, operator("ann"), SetObjects(objects=(PHONE,), is_trial=True))
    await set_objects(office, operator("bob"), SetObjects(objects=(PHONE, WantedObject("accounts", "shop", {}))))
    await end_object(office, operator(), EndObject(kind="phones", name="7001"))
    await revert_object(office, operator(), RevertObject(kind="phones", name="7001", version=1, at=NOW + 1))
    lines = await audited(office)
    assert [(line.action, line.subject, line.principal) for line in lines] == [
        ("SetObjects", "accounts shop", "ann"),
        ("SetObjects", "2 objects", "bob"),
        ("EndObject", "phones 7001", "ann"),
        ("RevertObject", "phones 7001", "ann"),
    ]
    details = [line.detail for line in lines]
    assert [each["versions"] for each in details[:2]] == [["accounts shop 1"], ["phones 7001 1", "accounts shop 2"]]
    assert (details[0]["memo"], details[3]["at"]) == ("ticket 4711", NOW + 1)
    assert "Secret" not in str([line.detail for line in lines])


async def test_balances_of_a_sheet_leave_one_line_in_the_audit_with_their_sum(office: Office) -> None:
    balances = tuple(
        OpeningBalance(name, Decimal(amount), 2, "Balance") for name, amount in (("south", 5), ("shop", 2))
    )
    order = ImportSheet(file="customers.csv", objects=(), balances=balances, reference="opening")
    made = await import_sheet(office, operator("ann"), order)
    assert [(each.account, each.amount, each.outcome) for each in made.balances] == [
        ("south", "5.00", "booked"),
        ("shop", "2.00", "booked"),
    ]
    again = await import_sheet(office, operator("ann"), order)
    assert {each.outcome for each in again.balances} == {"booked before"}
    (line,) = await audited(office)
    assert (line.action, line.principal) == ("ImportSheet", "ann")
    detail = line.detail
    assert (detail["file"], detail["balances"]) == ("customers.csv", {"USD": "7.00"})


async def test_a_version_is_compared_with_the_one_that_it_replaces_whatever_was_planned_in_between(
    office: Office,
) -> None:
    for patterns, at in (("1*", None), ("2*", NOW + 1_000), ("3*", None), ("3*", NOW + 1_000)):
        await changed(office, WantedObject("number_lists", "bad", {"patterns": [patterns]}), at)
    versions = await list_versions(office, operator(), ListVersions("number_lists", "bad"))
    shown = {each.version.version: each.keys.get("patterns") for each in versions}
    assert shown == {1: (None, ["1*"]), 2: (["3*"], ["2*"]), 3: (["1*"], ["3*"]), 4: None}
    for last, first in ((1, 0), (2, 3), (3, 1), (4, 3)):
        order = CompareVersions(kind="number_lists", name="bad", last=last)
        compared = await compare_versions(office, operator(), order)
        assert (compared.first, compared.keys.get("patterns")) == (first, shown[last])


async def test_a_changed_password_is_said_to_be_changed_wherever_it_is(office: Office) -> None:
    """One that stays as it is, or is new, is hidden alone."""
    before = {
        "account": "shop",
        "address": "192.0.2.7",
        "auth": {"username": "a", "password": "one-Secret-7"},
        "register": {"server": "192.0.2.7", "username": "a", "password": "two-Secret-7"},
    }
    auth = {"username": "a", "password": "three-Secret-7"}
    after = {**before, "auth": auth, "register": {"server": "192.0.2.8", "username": "a", "password": "two-Secret-7"}}
    await changed(office, WantedObject("routing_gateways", "north", before))
    await changed(office, WantedObject("routing_gateways", "north", after))
    made, first = await list_versions(office, operator(), ListVersions("routing_gateways", "north"))
    assert made.keys["auth"][1] == {"username": "a", "password": "(changed)"}
    assert made.keys["register"][1] == {"server": "192.0.2.8", "username": "a", "password": "(hidden)"}
    assert first.keys["auth"] == (None, {"username": "a", "password": "(hidden)"})
    twice = ({"x": [{"password": "a"}, {"password": "b"}]}, {"x": [{"password": "a"}, {"password": "c"}]})
    _, shown = differing(*map(json.dumps, twice))["x"]
    assert shown == [{"password": "(hidden)"}, {"password": "(changed)"}]


def test_a_key_of_many_objects_is_judged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It took most of the time of a list of 100,000."""
    judged = Mock(wraps=problems._with_brackets)
    monkeypatch.setattr(problems, "_with_brackets", judged)
    objects = [{"account": f"shop-{number}", "of_a_test": {"test_password": "a"}} for number in range(100)]
    assert {hidden("", each)["of_a_test"]["test_password"] for each in objects} == {"(hidden)"}
    assert [call.args[0] for call in judged.call_args_list].count("test_password") == 1


async def test_versions_are_listed_compared_and_shown_without_passwords(office: Office) -> None:
    changed = msgspec.structs.replace(PHONE, keys={"account": "shop", "password": "other-Secret"})
    for wanted in (PHONE, changed):
        await set_objects(office, operator(), SetObjects(objects=(wanted,)))
    versions = await list_versions(office, operator(), ListVersions("phones", "7001"))
    assert [each.version.version for each in versions] == [2, 1]
    assert versions[0].keys == {"password": ("(hidden)", "(changed)")}
    compared = await compare_versions(office, operator(), CompareVersions(kind="phones", name="7001"))
    assert (compared.first, compared.last, compared.keys) == (1, 2, versions[0].keys)
    sheet = await show_object(office, operator(), ShowObject(kind="phones", name="7001"))
    assert sheet.keys == {"account": "shop", "password": "(hidden)"}
    sheet = await show_object(office, operator(), ShowObject(kind="phones", name="7001", version=1, secrets=True))
    assert sheet.keys == PHONE.keys
    *_, line = await audited(office)
    assert (line.action, line.subject, line.detail["version"]) == ("ShowObject", "phones 7001", 1)
    assert "other-Secret" in str(await export_objects(office, operator("ann"), ExportObjects("phones")))
    *_, line = await audited(office)
    assert (line.action, line.principal, line.subject) == ("ExportObjects", "ann", "phones")
    assert [each.version for each in await list_objects(office, operator(), ListObjects("phones"))] == [2]
    with pytest.raises(NoSuchObjectError, match="has no version 7"):
        await revert_object(office, operator(), RevertObject(kind="phones", name="7001", version=7))


async def test_what_makes_the_configuration_invalid_is_not_stored(office: Office) -> None:
    bad = WantedObject("accounts", "bad", {"overdraft_limit": "much"})
    with pytest.raises(ConfigError, match=r"accounts\[bad\]\.overdraft_limit: value 'much': expected an amount"):
        await set_objects(office, operator(), SetObjects(objects=(SHOP, bad)))
    with pytest.raises(BadObjectError, match="'account' is no kind of object; did you mean 'accounts'"):
        await list_objects(office, operator(), ListObjects("account"))
    with pytest.raises(NoSuchObjectError):
        await end_object(office, operator(), EndObject(kind="accounts", name="shop"))
    assert await list_objects(office, operator(), ListObjects()) == []
    assert await audited(office) == []


async def test_a_running_switch_takes_the_change_before_the_order_returns(office: Office, tmp_path: Path) -> None:
    async with FakeSwitch(tmp_path / "vosd.sock").answers(Reload, ReloadOutcome("def", [])) as switch:
        made = await set_objects(office, operator(), SetObjects(objects=(SHOP,), is_confirmed=True))
        assert (made.in_force, switch.asked) == (True, [Reload(follows_order=True)])
        planned = await end_object(office, operator(), EndObject(kind="accounts", name="shop", at=NOW + 1_000))
        assert (planned.in_force, len(switch.asked)) == (None, 1)
        switch.answers(Reload, CommandError("calls use it", ["phones 7001"]))
        with pytest.raises(NotTakenError, match=r"(?s)is in the database.*calls use it\nphones 7001"):
            await end_object(office, operator(), EndObject(kind="accounts", name="shop"))


async def test_warnings_of_the_reload_are_in_the_result_those_about_the_changed_objects_first(
    office: Office, tmp_path: Path
) -> None:
    others = [f"vosd.yaml:{line}: warning: accounts[a{line}].currency: expected one" for line in range(120)]
    own = ["accounts shop (version 1) in the database: warning: name", "trunk.yaml:3: warning: accounts[shop].agent"]
    switch = FakeSwitch(tmp_path / "vosd.sock").answers(Reload, ReloadOutcome("def", [*others, *own]))
    async with switch:
        made = await set_objects(office, operator(), SetObjects(objects=(SHOP,)))
        assert made.warnings == [*own, *others[:98]]
        assert (await set_objects(office, operator(), SetObjects(objects=(PHONE,), is_trial=True))).warnings == []
        customer = await provision_customer(office, operator(), ProvisionCustomer(account="new"))
        assert customer.warnings == others[:100]
        imported = ImportSheet(file="f.csv", objects=(PHONE,))
        assert (await import_sheet(office, operator(), imported)).warnings == others[:100]


def running(number: int, **more: str) -> CallSnapshot:
    known: dict[str, str | None] = dict.fromkeys(
        ("mapping_gateway", "routing_gateway", "customer_account", "vendor_account", "answered_at")
    )
    known |= more
    return CallSnapshot(
        f"call-{number}", "answered", caller="1", callee="2", started_at="", age_s=9, talk_s=None, **known
    )


async def test_a_trial_names_the_running_calls_that_use_an_object(office: Office, tmp_path: Path) -> None:
    calls = [running(number, customer_account="shop", mapping_gateway="7001") for number in range(7)]
    calls.append(running(7, customer_account="south", vendor_account="shop", routing_gateway="7001"))
    wanted = SetObjects(objects=(SHOP, PHONE, WantedObject("templates", "shop", {})), is_trial=True)
    async with FakeSwitch(tmp_path / "vosd.sock").answers(ListCalls, calls) as switch:
        made = await set_objects(office, operator(), wanted)
        shop, phone, template = (each.calls for each in made.changes)
        assert (shop, phone) == (CallsUsing(8, [f"call-{number}" for number in range(5)]), shop)
        assert (template, made.calls_unknown) == (None, "")
        assert switch.asked == [ListCalls()]
        assert (await set_objects(office, operator(), msgspec.structs.replace(wanted, objects=()))).calls_unknown == ""
        assert switch.asked == [ListCalls()]
        switch.answers(ListCalls, CommandError("not now"))
        assert (await set_objects(office, operator(), wanted)).calls_unknown == "not now"


async def test_a_trial_counts_the_calls_of_accounts_below_an_agent_too(office: Office, tmp_path: Path) -> None:
    calls = [running(0, customer_account="shop"), running(1, customer_account="south", vendor_account="shop")]
    south = WantedObject("accounts", "south", {"currency": "EUR"})
    async with FakeSwitch(tmp_path / "vosd.sock").answers(ListCalls, calls):
        made = await set_objects(office, operator(), SetObjects(objects=(south,), is_trial=True))
        assert [each.calls for each in made.changes] == [CallsUsing(2, ["call-0", "call-1"])]


async def test_a_trial_says_where_no_switch_runs_that_could_be_asked_for_calls(office: Office) -> None:
    made = await set_objects(office, operator(), SetObjects(objects=(SHOP,), is_trial=True))
    assert (made.calls_unknown, made.changes[0].calls) == ("no switch runs", None)
    made = await set_objects(office, operator(), SetObjects(objects=(SHOP,)))
    assert made.calls_unknown == ""


async def test_a_change_that_a_switch_does_not_answer_is_made_and_says_so(office: Office, tmp_path: Path) -> None:
    async def vanish(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_unix_server(vanish, tmp_path / "vosd.sock")
    made = await set_objects(office, operator(), SetObjects(objects=(SHOP,)))
    assert (made.in_force, made.warnings) == (False, [])
    assert made.untold.startswith("it takes the change when it works again, or refuses it")
    server.close()
    assert len(await list_objects(office, operator(), ListObjects())) == 1


async def test_a_change_is_checked_with_the_sockets_of_a_switch_that_says_them(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is mute keeps no change from the database: it takes it, or refuses it, when it works again."""

    async def opened() -> object:
        await set_objects(office, operator(), SetObjects(objects=(SHOP,), is_trial=True))
        assert isinstance(office.definitions, Defined)
        assert office.definitions.asked is not None
        return office.definitions.asked.opened

    async def mute(_order: GetStatus) -> SwitchStatus:
        await answered.wait()
        return status

    assert await opened() is None
    async with FakeSwitch(tmp_path / "vosd.sock") as switch:
        assert await opened() is None, "a version that does not know the order"
        switch.answers(GetStatus, CommandError("not now"))
        assert await opened() is None
    status = SwitchStatus("1", "sw1", "f00", "", 1, "", {}, {}, MachineUse(), WELL, LOADED, listen=["tls:[::1]:5061"])
    async with FakeSwitch(tmp_path / "vosd.sock").answers(GetStatus, status):
        assert await opened() == ["tls:[::1]:5061"]
    monkeypatch.setattr("vosd.admin.office.change_check.STATUS_S", 0.01)
    answered = asyncio.Event()
    async with FakeSwitch(tmp_path / "vosd.sock").answers(GetStatus, mute):
        assert await opened() is None
        answered.set()


async def test_an_agent_imports_no_sheets_and_reads_no_passwords(office: Office) -> None:
    await set_objects(office, operator(), SetObjects(objects=(SHOP, PHONE)))
    with pytest.raises(OperatorsOnlyError):
        await import_sheet(office, agent("south"), ImportSheet(file="customers.csv", objects=()))
    with pytest.raises(OperatorsOnlyError):
        await show_object(office, agent("south"), ShowObject(kind="phones", name="7001", secrets=True))
    assert "very-Secret-word" not in str(await list_objects(office, agent("south"), ListObjects()))
    assert "very-Secret-word" not in str(await export_objects(office, agent("south"), ExportObjects()))


async def changed(office: Office, wanted: WantedObject, at: int | None = None) -> None:
    await set_objects(office, operator(), SetObjects(objects=(wanted,), at=at))


async def keys_of(office: Office, name: str, kind: str = "phones") -> object:
    return (await show_object(office, operator(), ShowObject(kind=kind, name=name, secrets=True))).keys


@pytest.mark.parametrize(
    ("kind", "keys", "named"),
    [
        ("accounts", {"memo": 5}, "keys.memo` is a number"),
        ("accounts", {"name": True}, "keys.name` is a boolean"),
        ("accounts", {"denied_prefixes": ["44", 4.5]}, "keys.denied_prefixes` is a number"),
        ("phones", {"password": 1234}, "keys.password` is a number, and text is expected: write it in quotes"),
        ("routing_gateways", {"auth": {"username": False}}, "keys.auth.username` is a boolean"),
        ("routing_plans", {"gateways": ["a", 7]}, "keys.gateways` is a number"),
        ("templates", {"rate_group": 7}, "keys.rate_group` is a number"),
        ("rate_groups", {"rates": [{"prefix": 44, "billing_rate": "1"}]}, "keys.rates.prefix` is a number"),
    ],
)
async def test_a_number_or_a_boolean_where_text_is_meant_is_refused(
    office: Office, kind: str, keys: object, named: str
) -> None:
    with pytest.raises(OrderError, match=f"^`{named}"):
        await changed(office, WantedObject(kind, "new", keys))


async def test_numbers_and_booleans_of_keys_that_are_such_are_kept_as_in_a_file(office: Office) -> None:
    keys = {"enabled": False, "max_cps": 5, "overdraft_limit": 2, "spend_limits": [{"per": "day", "amount": 3}]}
    await changed(office, WantedObject("accounts", "new", keys))
    assert await keys_of(office, "new", "accounts") == {
        "enabled": "no", "max_cps": "5", "overdraft_limit": "2", "spend_limits": [{"per": "day", "amount": "3"}],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "has no value"),
        (".", "may not be . or .., which browsers take out of addresses"),
        ("..", "may not be . or .., which browsers take out of addresses"),
        ("${NAME}", "has ${, which begins a variable"),
    ],
)
async def test_a_name_that_no_path_has_is_refused(office: Office, name: str, said: str) -> None:
    with pytest.raises(OrderError, match=re.escape(f"`name` {said}")) as refused:
        await set_objects(office, operator(), SetObjects(objects=(WantedObject("accounts", name, {}, is_new=True),)))
    assert refused.value.field == "name"


@pytest.mark.parametrize("is_merged", [False, True])
async def test_keys_that_name_another_object_are_refused(office: Office, is_merged: bool) -> None:
    await changed(office, WantedObject("accounts", "shop", {"id": "shop", "currency": "EUR"}))
    assert await keys_of(office, "shop", "accounts") == {"currency": "EUR"}
    wanted = WantedObject("accounts", "shop", {"id": "other"}, is_merged=is_merged)
    with pytest.raises(OrderError, match="`keys` has id 'other', and the object is shop: leave it out"):
        await changed(office, wanted)


@pytest.mark.parametrize("at", [0, NOW - 1, NOW])
async def test_a_change_that_would_begin_in_the_past_is_refused(office: Office, at: int) -> None:
    """It would hold only where no version has begun since, and the history would not be true."""
    await set_objects(office, operator(), SetObjects(objects=(SHOP,)))
    changed = msgspec.structs.replace(SHOP, keys={"currency": "USD", "enabled": "no"})
    for wanted in (changed, msgspec.structs.replace(changed, if_version=1)):  # which does not hold then
        with pytest.raises(OrderError, match="`at` is in the past"):
            await set_objects(office, operator(), SetObjects(objects=(wanted,), at=at))
    assert len(await office.stores.objects.history("accounts", "shop")) == 1


async def test_a_change_is_checked_again_where_others_are_made_meanwhile_and_refused_after_three_times(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    await set_objects(office, operator(), SetObjects(objects=(SHOP,)))
    check, others = office.definitions.check_objects, [3]
    checks: list[int] = []

    async def check_slowly(*words: Any) -> Any:
        found = await check(*words)
        checks.append(others[0])
        if others[0]:
            others[0] -= 1
            made = await office.stores.objects.history("accounts", "shop")
            other = msgspec.structs.replace(made[0], name=f"other-{others[0]}")
            await office.stores.objects.add([other])
        return found

    monkeypatch.setattr(office.definitions, "check_objects", check_slowly)
    wanted = SetObjects(objects=(msgspec.structs.replace(SHOP, name="mine"),))
    with pytest.raises(ObjectsMoved):
        await set_objects(office, operator(), wanted)
    assert checks == [3, 2, 1]
    assert await office.stores.objects.named(NOW, "accounts", ["mine"]) == []


async def test_a_change_is_not_stored_where_an_earlier_state_was_checked(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = office.definitions.check_objects
    read = [-1]

    async def check_what_was_read(asked: ChangeCheck) -> CheckedObjects:
        version = await office.stores.decks.version()
        return (await check(asked))._replace(definitions=version + read[0])

    monkeypatch.setattr(office.definitions, "check_objects", check_what_was_read)
    with pytest.raises(ObjectsMoved):
        await set_objects(office, operator(), SetObjects(objects=(SHOP,)))
    assert await office.stores.objects.named(NOW, "accounts", ["shop"]) == []
    read[0] = 0
    await set_objects(office, operator(), SetObjects(objects=(SHOP,)))
    assert len(await office.stores.objects.named(NOW, "accounts", ["shop"])) == 1


async def test_a_planned_change_is_named_by_one_before_it_alone(office: Office) -> None:
    async def limited(limit: str, at: int | None) -> tuple[int, ...]:
        wanted = msgspec.structs.replace(SHOP, keys={"currency": "USD", "overdraft_limit": limit})
        changed = await set_objects(office, operator(), SetObjects(objects=(wanted,), at=at))
        return changed.changes[0].planned

    assert [await limited("1", None), await limited("2", NOW + 9), await limited("3", None)] == [(), (), (2,)]
    assert await limited("4", NOW + 10) == ()


async def test_an_object_that_shall_be_new_is_refused_where_there_is_one(office: Office) -> None:
    new = WantedObject("accounts", "shop", {}, is_new=True)
    await changed(office, new)
    with pytest.raises(AlreadyDefinedError, match="by version 1"):
        await changed(office, new)
    await end_object(office, operator(), EndObject(kind="accounts", name="shop"))
    await changed(office, new)


async def test_a_change_of_a_version_that_is_not_in_force_any_more_is_refused(office: Office) -> None:
    await changed(office, SHOP)
    await changed(office, WantedObject("accounts", "shop", {"currency": "EUR"}, if_version=1))
    with pytest.raises(StaleVersionError, match="has version 2 by now"):
        await changed(office, WantedObject("accounts", "shop", {"currency": "GBP"}, if_version=1))
    with pytest.raises(StaleVersionError, match="does not exist"):
        await changed(office, WantedObject("accounts", "other", {}, if_version=1))
    assert await keys_of(office, "shop", "accounts") == {"currency": "EUR"}


async def test_a_version_is_gone_back_to_only_while_the_one_that_the_order_names_is_in_force(office: Office) -> None:
    def back(**more: int) -> RevertObject:
        return RevertObject(kind="accounts", name="shop", version=1, **more)

    await changed(office, SHOP)
    await changed(office, WantedObject("accounts", "shop", {"currency": "EUR"}))
    await changed(office, WantedObject("accounts", "shop", {"currency": "GBP"}))
    with pytest.raises(StaleVersionError, match="has version 3 by now"):
        await revert_object(office, operator(), back(if_version=2))
    await end_object(office, operator(), EndObject(kind="accounts", name="shop"))
    with pytest.raises(StaleVersionError, match="does not exist"):
        await revert_object(office, operator(), back(if_version=3))
    await revert_object(office, operator(), back(if_version=4))
    later = NOW + 1_000
    await changed(office, WantedObject("accounts", "shop", {"currency": "CHF"}), at=later)
    with pytest.raises(StaleVersionError, match="has version 5 by now"):
        await revert_object(office, operator(), back(if_version=6))
    await revert_object(office, operator(), back(if_version=6, at=later))
    with pytest.raises(StaleVersionError, match="has version 5 by now, and version 7 when the change begins"):
        await revert_object(office, operator(), back(if_version=5, at=later))


async def test_an_order_comes_behind_what_a_clock_ahead_has_ordered(office: Office) -> None:
    """Else it would undo that, and be undone when the moment comes that the clock ahead had."""
    later = NOW + 600_000
    disabled = WantedObject("accounts", "shop", {"enabled": "no"}, is_merged=True)
    await set_objects(office, operator(), SetObjects(objects=(SHOP,)))
    ahead = ObjectVersion(
        kind="accounts", name="shop", version=2, body='{"currency":"USD","enabled":"no"}', begins_at=later,
        made_at=later, operator="ann",
    )  # fmt: skip
    await office.stores.objects.add([ahead])
    same = await set_objects(office, operator(), SetObjects(objects=(disabled,)))
    assert [each.action for each in same.changes] == [Action.UNCHANGED]
    limited = WantedObject("accounts", "shop", {"overdraft_limit": "5"}, is_merged=True)
    await set_objects(office, operator(), SetObjects(objects=(limited,)))
    newest = (await office.stores.objects.history("accounts", "shop"))[0]
    assert json.loads(newest.body or "") == {"currency": "USD", "enabled": "no", "overdraft_limit": "5"}
    assert (newest.version, newest.begins_at, newest.made_at) == (3, later, later)
    assert [each.version for each in (await office.stores.objects.current(NOW)).found] == [3]
    assert [each.version for each in (await office.stores.objects.current(later)).found] == [3]
    history = await office.stores.objects.history("accounts", "shop")
    back = put_back([newest], {("accounts", "shop"): history}, UntakenVersions(), operator(), NOW)
    assert back is not None
    await office.stores.objects.add(back.made)
    (held,) = (await office.stores.objects.current(NOW)).found
    assert (held.version, held.body) == (4, ahead.body), "what is withdrawn does not hold until then"


async def test_orders_to_other_objects_do_not_come_behind_what_a_clock_ahead_has_ordered(office: Office) -> None:
    later = NOW + 600_000
    ahead = ObjectVersion(
        kind="accounts", name="shop", version=1, body='{"currency":"USD"}', begins_at=later, made_at=later,
        operator="ann",
    )  # fmt: skip
    await office.stores.objects.add([ahead])
    for number in (1, 100):
        others = tuple(WantedObject("accounts", f"a{number}-{each}", {"currency": "USD"}) for each in range(number))
        made = await set_objects(office, operator(), SetObjects(objects=others))
        assert {each.begins_at for each in made.changes} == {iso_utc(NOW)}, (
            "of many objects the versions are read together"
        )


async def test_merged_keys_leave_the_others_and_none_takes_one_away(office: Office) -> None:
    await changed(office, PHONE)
    timer = {"ttl": 90, "enabled": True}
    await changed(office, WantedObject("phones", "7001", {"session_timer": timer, "nat": "yes"}, is_merged=True))
    merged = {"nat": None, "session_timer": {"ttl": "120"}}
    await changed(office, WantedObject("phones", "7001", merged, is_merged=True))
    assert await keys_of(office, "7001") == {**PHONE.keys, "session_timer": {"ttl": "120", "enabled": "yes"}}
    with pytest.raises(NoSuchObjectError):
        await changed(office, WantedObject("phones", "7002", {}, is_merged=True))


async def test_a_password_that_is_sent_back_as_it_was_shown_stays(office: Office) -> None:
    await changed(office, PHONE)
    shown = (await show_object(office, operator(), ShowObject(kind="phones", name="7001"))).keys
    await changed(office, WantedObject("phones", "7001", {**shown, "account": "south"}))
    assert await keys_of(office, "7001") == {"account": "south", "password": "very-Secret-word"}
    with pytest.raises(OrderError, match="none to be kept"):
        await changed(office, WantedObject("phones", "7002", {"password": "(hidden)"}))
    with pytest.raises(OrderError, match=r"has \(changed\) as password, which is shown in place of a new one"):
        await changed(office, WantedObject("routing_gateways", "va", {"auth": {"password": "(changed)"}}))


@pytest.mark.parametrize(("kind", "keys"), [("accounts", "text"), ("accounts", ["a"]), ("parameters", {"a": "b"})])
async def test_what_are_no_keys_of_an_object_is_refused(office: Office, kind: str, keys: object) -> None:
    with pytest.raises(OrderError):
        await changed(office, WantedObject(kind, "shop", keys))


@pytest.mark.parametrize(
    ("kind", "name", "keys"),
    [
        ("phones", "7009", {"account": "shop", "password": "short"}),
        ("phones", "7009", {"account": "shop", "password": "my-number-7009"}),
        ("mapping_gateways", "pbx", {"account": "shop", "auth": {"username": "pbx", "password": "123456789012"}}),
    ],
)
async def test_a_new_password_that_is_easy_to_guess_is_refused(
    office: Office, kind: str, name: str, keys: dict[str, Any]
) -> None:
    with pytest.raises(OrderError, match=f"password` of {kind} {name} is easy to guess") as refused:
        await changed(office, WantedObject(kind, name, keys))
    assert refused.value.field == ("keys.auth.password" if "auth" in keys else "keys.password")


async def test_a_password_that_is_easy_to_guess_is_said_beside_the_other_mistakes(office: Office) -> None:
    keys = {"account": "shop", "password": "short", "max_concurrent": "many"}
    with pytest.raises(ConfigError) as refused:
        await changed(office, WantedObject("phones", "7009", keys))
    assert {each.key for each in refused.value.problems} == {"phones[7009].password", "phones[7009].max_concurrent"}
    assert "short" not in str(refused.value)


async def test_a_password_that_was_imported_stays_until_it_changes(office: Office) -> None:
    weak = {"account": "shop", "password": "short"}
    objects = (BulkObject(action=BulkAction.CREATE, kind="phones", name="7009", keys=weak),)
    with pytest.raises(BulkRefusedError, match="easy to guess"):
        await change_objects(office, operator(), ChangeObjects(objects=objects))
    line = SheetObject("phones", "7009", weak, line=2, columns={})
    await import_sheet(office, operator(), ImportSheet(file="phones.csv", objects=(line,)))
    await changed(office, WantedObject("phones", "7009", weak | {"max_concurrent": "2"}))
    with pytest.raises(OrderError, match="easy to guess"):
        await changed(office, WantedObject("phones", "7009", weak | {"password": "shorter"}))
    later = SheetObject("phones", "7010", weak, line=2, columns={})
    await import_sheet(office, operator(), ImportSheet(file="phones.csv", objects=(later,), at=NOW + 5))
    bad = WantedObject("phones", "7011", {"account": "shop", "max_concurrent": "many"})
    with pytest.raises(ConfigError, match="7011"):
        await set_objects(
            office, operator(), SetObjects(objects=(WantedObject("phones", "7010", weak), bad), at=NOW + 9)
        )


async def test_a_report_at_a_fixed_time_is_for_those_alone_who_see_the_books(office: Office) -> None:
    """It goes to any address with costs and profit in it, so the right to change definitions is not enough."""
    wanted = WantedObject("reports", "margins", {"report": "profit", "mail": "ann@example.com"})
    blind = msgspec.structs.replace(operator(), permissions=ALL - {Permission.BOOKS_SEE})
    with pytest.raises(PermissionLackingError, match=r"books\.see"):
        await set_objects(office, blind, SetObjects(objects=(wanted,)))
    bulk = BulkObject(action=BulkAction.CREATE, kind="reports", name="margins", keys=dict(wanted.keys))
    with pytest.raises(BulkRefusedError, match=r"books\.see"):
        await change_objects(office, blind, ChangeObjects(objects=(bulk,)))
    made = await set_objects(office, operator(), SetObjects(objects=(wanted,)))
    assert [(each.kind, each.name, each.version) for each in made.changes] == [("reports", "margins", 1)]
    with pytest.raises(PermissionLackingError, match=r"books\.see"):
        await end_object(office, blind, EndObject(kind="reports", name="margins"))
    with pytest.raises(NoSuchObjectError):
        await set_objects(office, agent("south"), SetObjects(objects=(wanted,)))
