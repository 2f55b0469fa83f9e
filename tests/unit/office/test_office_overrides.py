"""Operational overrides in the office: set, cleared and listed with their lines in the audit."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from doubles.data import builders
from doubles.fake_switch import FakeSwitch
from doubles.office import agent, office_on, operator

from vosd.admin.differences import differences_of
from vosd.admin.names import UnknownNameError
from vosd.admin.office.account_history import ShowAccountHistory, show_account_history
from vosd.admin.office.office import Office
from vosd.admin.office.overrides import (
    BlockAccount,
    BlockGateway,
    ClearOverrides,
    ManyOverridesError,
    NoSuchOverrideError,
    OverrideOutcome,
    SetGateway,
    SetOverdraftLimit,
    ShowOverrideChanges,
    ShowOverrides,
    UnblockAccount,
    UnblockGateway,
    UnfitSettingError,
    block_account,
    block_gateway,
    clear_overrides,
    set_gateway,
    set_overdraft_limit,
    show_override_changes,
    show_overrides,
    unblock_account,
    unblock_gateway,
)
from vosd.admin.office.principal import OperatorsOnlyError, OrderError
from vosd.billing.authority import OutOfScopeError, RightLackingError
from vosd.billing.rights import Right
from vosd.catalogue.overrides import Key, Override, Setting, Target
from vosd.catalogue.ports import LaterOverride, SetByOthersError
from vosd.control.installation import RefreshOverrides
from vosd.control.order import OrderDone
from vosd.control.server import CommandError
from vosd.storage import overrides as stored
from vosd.storage.audit_line import AuditLine
from vosd.storage.database import Database
from vosd.storage.overrides import SqlOverrides

NOW = 1_790_000_000_000
ACCOUNTS = (
    builders.account("south", rights=frozenset(Right)),
    builders.account("weak", rights=frozenset()),
    builders.account("acme", agent="south", overdraft_limit=None),
    builders.account("shop", agent="weak"),
)
LISTS = {
    "mapping_gateways": frozenset({"acme-pbx", "twin"}),
    "phones": frozenset({"1001"}),
    "routing_gateways": frozenset({"carrier-a", "twin"}),
}
OF_ANN = Override(Target.ACCOUNT, "acme", Setting.BLOCKED, "", "ann", NOW)
PAYERS = {"acme-pbx": "acme", "1001": "shop", "twin": "south"}


@pytest.fixture
def at(database: Database, tmp_path: Path) -> Callable[..., Office]:
    """Return the office at a moment; ``now`` is UTC milliseconds."""

    def office(now: int = NOW, **changes: Any) -> Office:
        defined: dict[str, Any] = {"lists": LISTS, "payers": PAYERS, "classes": ("premium",)} | changes
        return office_on(database, *ACCOUNTS, now=now, socket=tmp_path / "vosd.sock", **defined)

    return office


@pytest.fixture
def office(at: Callable[..., Office]) -> Office:
    return at()


async def block(office: Office, name: str, **terms: Any) -> OverrideOutcome:
    return await block_gateway(office, operator(), BlockGateway(name=name, **terms))


async def in_force(office: Office) -> set[Key]:
    return set((await office.stores.overrides.load()).at(office.now()).by_key)


async def audit(office: Office) -> list[AuditLine]:
    return list(await office.stores.audit.newest(100))


async def test_an_unknown_name_is_refused_with_a_suggestion(office: Office) -> None:
    with pytest.raises(UnknownNameError, match="'carier-a' is configured or recorded: did you mean 'carrier-a'"):
        await block(office, "carier-a")
    with pytest.raises(UnknownNameError):
        await block(office, "acme")  # an account is no gateway
    with pytest.raises(UnknownNameError, match="did you mean 'acme'"):
        await block_account(office, operator(), BlockAccount(account="akme"))
    with pytest.raises(UnknownNameError, match="did you mean 'acme'"):
        await set_overdraft_limit(office, operator(), SetOverdraftLimit(account="akme", overdraft_limit="1"))
    with pytest.raises(UnknownNameError, match="did you mean 'premium'"):
        await block_account(office, operator(), BlockAccount(account="acme", destination="premum"))
    assert (await audit(office), await in_force(office)) == ([], set())


def test_calls_to_an_account_are_not_blocked_by_destination() -> None:
    with pytest.raises(OrderError, match="is of the whole account: leave out `destination`"):
        BlockAccount(account="acme", destination="premium", incoming=True)


async def test_the_history_of_an_account_tells_its_blocks_apart(office: Office) -> None:
    for is_whole in (False, True, False):
        await block_account(office, operator(), BlockAccount(account="acme", incoming=is_whole))
    history = await show_account_history(office, operator(), ShowAccountHistory("acme"))
    assert [(each.before, each.after) for each in history] == [("incoming", "yes"), ("yes", "incoming"), (None, "yes")]


async def test_an_override_is_returned_and_the_switch_reads_it(office: Office, tmp_path: Path) -> None:
    async with FakeSwitch(tmp_path / "vosd.sock").answers(RefreshOverrides, OrderDone()) as switch:
        outcome = await block(office, "carrier-a", memo="fraud")
    assert msgspec.to_builtins(outcome.overrides) == [
        {
            "target": "routing",
            "name": "carrier-a",
            "setting": "blocked",
            "value": None,
            "operator": "ann",
            "since": "2026-09-21T14:13:20.000Z",
            "until": None,
            "memo": "fraud",
        }
    ]
    assert (outcome.untold, switch.asked) == ("", [RefreshOverrides()])


async def test_a_switch_that_does_not_take_it_is_reported_and_the_override_is_stored(
    office: Office, tmp_path: Path
) -> None:
    async with FakeSwitch(tmp_path / "vosd.sock").answers(RefreshOverrides, CommandError("the database is away")):
        outcome = await block(office, "carrier-a")
    assert outcome.untold == "the database is away"
    assert len(await in_force(office)) == 1


async def test_every_change_leaves_its_line_in_the_audit_and_what_changes_nothing_leaves_none(office: Office) -> None:
    ann, bob = operator("ann"), operator("bob")
    await block(office, "carrier-a", memo="fraud")
    await set_gateway(office, bob, SetGateway(name="twin", values={Setting.MAX_CPS: "9"}))
    await block_account(office, agent("south"), BlockAccount(account="acme", destination="premium"))
    await set_overdraft_limit(office, ann, SetOverdraftLimit(account="acme", overdraft_limit="5"))
    await unblock_gateway(office, bob, UnblockGateway("carrier-a"))
    await unblock_account(office, agent("south"), UnblockAccount("acme", "premium"))
    await clear_overrides(office, ann, ClearOverrides(name="acme"))
    for act, order in ((unblock_gateway, UnblockGateway("carrier-a")), (clear_overrides, ClearOverrides(name="acme"))):
        with pytest.raises(NoSuchOverrideError):
            await act(office, ann, order)
    lines = [(line.principal, line.action, line.subject) for line in reversed(await audit(office))]
    assert lines == [
        ("ann", "BlockGateway", "carrier-a"),
        ("bob", "SetGateway", "twin"),
        ("agent south", "BlockAccount", "acme/premium"),
        ("ann", "SetOverdraftLimit", "acme"),
        ("bob", "UnblockGateway", "carrier-a"),
        ("agent south", "UnblockAccount", "acme/premium"),
        ("ann", "ClearOverrides", "acme"),
    ]
    details = [json.loads(line.detail) for line in reversed(await audit(office))]
    assert details[0] == {"name": "carrier-a", "until": None, "memo": "fraud"}
    assert details[1]["values"] == {"max_cps": "9"}


def test_orders_are_read_from_json_as_a_page_sends_them() -> None:
    written = b'{"name": "twin", "values": {"priority": "4", "max_cps": "none"}, "until": 1790000001000}'
    order = SetGateway(name="twin", values={Setting.PRIORITY: "4", Setting.MAX_CPS: "none"}, until=NOW + 1_000)
    assert msgspec.json.decode(written, type=SetGateway) == order
    with pytest.raises(OrderError) as refused:
        msgspec.json.decode(b'{"name": "twin", "values": {"priority": "0"}}', type=SetGateway)
    assert refused.value.field == "priority"


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({}, "priority"),
        ({Setting.PRIORITY: "0"}, "priority"),
        ({Setting.PRIORITY: "none"}, "priority"),
        ({Setting.WEIGHT: "-1"}, "weight"),
        ({Setting.MAX_CPS: "0"}, "max_cps"),
        ({Setting.MAX_CPS: "1000001"}, "max_cps"),
        ({Setting.MAX_CONCURRENT: "9" * 5_000}, "max_concurrent"),
        ({Setting.MAX_CONCURRENT: "many"}, "max_concurrent"),
        ({Setting.OVERDRAFT_LIMIT: "5"}, "overdraft_limit"),
        ({Setting.BLOCKED: ""}, "blocked"),
    ],
)
def test_a_value_that_a_gateway_cannot_have_is_refused_with_its_name(values: dict[Setting, str], field: str) -> None:
    with pytest.raises(OrderError) as refused:
        SetGateway(name="twin", values=values)
    assert refused.value.field == field


@pytest.mark.parametrize("limit", ["-5", "none", "1e3", "", "5.123456789"])
def test_an_overdraft_limit_is_an_amount_or_unlimited(limit: str) -> None:
    with pytest.raises(OrderError) as refused:
        SetOverdraftLimit(account="acme", overdraft_limit=limit)
    assert refused.value.field == "overdraft_limit"


async def test_a_name_of_two_gateways_means_both_and_a_setting_goes_where_it_exists(office: Office) -> None:
    values = {Setting.PRIORITY: "04", Setting.WEIGHT: "0", Setting.MAX_CPS: "none"}
    outcome = await set_gateway(office, operator(), SetGateway(name="twin", values=values))
    assert {(each.target, each.setting, each.value) for each in outcome.overrides} == {
        ("mapping", "max_cps", "none"),
        ("routing", "max_cps", "none"),
        ("routing", "priority", "4"),
        ("routing", "weight", "0"),
    }


async def test_the_first_change_notes_the_limit_of_the_configuration_and_later_ones_the_one_before(
    at: Callable[..., Office],
) -> None:
    for now, value in enumerate(("5", "6.5"), NOW):
        await set_overdraft_limit(at(now), operator(), SetOverdraftLimit(account="acme", overdraft_limit=value))
    changes = await show_override_changes(at(), operator(), ShowOverrideChanges(limit=10))
    assert [(each.value, each.before) for each in changes] == [("6.50", "5.00"), ("5.00", "unlimited")]


async def test_a_setting_that_the_gateway_does_not_have_is_refused(office: Office) -> None:
    order = SetGateway(name="acme-pbx", values={Setting.MAX_CPS: "9", Setting.PRIORITY: "4"})
    with pytest.raises(UnfitSettingError, match="acme-pbx is a mapping gateway, which has no priority"):
        await set_gateway(office, operator(), order)
    assert await in_force(office) == set()


async def test_the_block_that_was_seen_ends_and_no_later_one(at: Callable[..., Office], office: Office) -> None:
    bob, later = operator("bob"), at(NOW + 1_000)
    for place in (office, later):
        await block(place, "carrier-a")
        await block_account(place, bob, BlockAccount(account="acme", memo="fraud"))
    for act, order in (
        (unblock_gateway, UnblockGateway("carrier-a", NOW)),
        (unblock_account, UnblockAccount("acme", None, NOW)),
    ):
        with pytest.raises(LaterOverride, match=r"set anew at 2026-09-21T14:13:21\.000Z"):
            await act(later, bob, order)
    assert len(await in_force(later)) == 2
    await unblock_gateway(later, bob, UnblockGateway("carrier-a", NOW + 1_000))
    await unblock_account(later, bob, UnblockAccount("acme", since=NOW + 1_000))
    assert await in_force(later) == set()


async def test_an_end_in_the_past_or_after_the_year_9999_is_refused(office: Office) -> None:
    with pytest.raises(UnfitSettingError, match=r"2026-09-21T14:13:20\.000Z is in the past"):
        await block(office, "carrier-a", until=NOW)
    with pytest.raises(OrderError, match="`until` is after the year 9999"):
        await block(office, "carrier-a", until=10**18)
    assert await in_force(office) == set()


async def test_clearing_takes_what_fits_and_no_more_than_was_confirmed(office: Office) -> None:
    for name in ("carrier-a", "acme-pbx", "twin"):
        await block(office, name)
    with pytest.raises(ManyOverridesError, match="4 overrides would be cleared"):
        await clear_overrides(office, operator(), ClearOverrides())
    assert len((await unblock_gateway(office, operator(), UnblockGateway("twin"))).overrides) == 2
    with pytest.raises(NoSuchOverrideError, match="gateway twin is not blocked"):
        await unblock_gateway(office, operator(), UnblockGateway("twin"))
    assert len((await clear_overrides(office, operator(), ClearOverrides(clears_many=True))).overrides) == 2
    assert await in_force(office) == set()


async def test_clearing_one_setting_leaves_the_others(office: Office) -> None:
    await block_account(office, operator(), BlockAccount(account="acme"))
    await set_overdraft_limit(office, operator(), SetOverdraftLimit(account="acme", overdraft_limit="unlimited"))
    await clear_overrides(office, operator(), ClearOverrides(name="acme", setting=Setting.BLOCKED))
    assert await in_force(office) == {Key(Target.ACCOUNT, "acme", Setting.OVERDRAFT_LIMIT)}


async def test_an_override_of_an_object_that_is_not_configured_any_more_applies_to_nothing(
    at: Callable[..., Office], office: Office
) -> None:
    await block(office, "carrier-a")
    await block(office, "acme-pbx", until=NOW + 1)
    await block_account(office, operator(), BlockAccount(account="acme", destination="premium"))
    without = at(lists=LISTS | {"routing_gateways": frozenset()}, classes=())
    listed = {each.name: each.applies for each in await show_overrides(without, operator(), ShowOverrides())}
    assert listed == {"acme-pbx": True, "carrier-a": False, "acme/premium": False}
    later = await show_overrides(at(NOW + 1), operator(), ShowOverrides())
    assert {each.name: each.applies for each in later} == {"carrier-a": True, "acme/premium": True}
    assert [each.name for each in await show_overrides(office, operator(), ShowOverrides("carrier-a"))] == ["carrier-a"]


async def test_an_order_about_a_name_reads_none_of_the_others_that_are_in_force(at, monkeypatch):
    """Each page of an account asks for its own, and there may be tens of thousands."""
    office, made, read = at(), stored._override_of, []
    for gateway in ("carrier-a", "twin"):
        await block_gateway(office, operator(), BlockGateway(name=gateway))
    await block_account(office, operator(), BlockAccount(account="acme"))
    monkeypatch.setattr(stored, "_override_of", lambda row: read.append(row.name) or made(row))
    assert [each.name for each in await show_overrides(office, operator(), ShowOverrides("carrier-a"))] == ["carrier-a"]
    await unblock_gateway(office, operator(), UnblockGateway("carrier-a"))
    await clear_overrides(office, operator(), ClearOverrides(name="acme"))
    assert set(read) == {"carrier-a", "acme"}


async def test_the_history_names_the_persons_and_the_moments(at: Callable[..., Office], office: Office) -> None:
    await block(office, "carrier-a", memo="fraud")
    await clear_overrides(at(NOW + 1_000), operator("bob"), ClearOverrides())
    cleared, made = await show_override_changes(office, operator(), ShowOverrideChanges())
    assert (made.action, made.by, made.at) == ("set", "ann", "2026-09-21T14:13:20.000Z")
    assert (cleared.action, cleared.by, cleared.at) == ("cleared", "bob", "2026-09-21T14:13:21.000Z")
    assert (cleared.name, cleared.operator, cleared.memo) == ("carrier-a", "ann", "fraud")
    assert await show_override_changes(office, operator(), ShowOverrideChanges(after=cleared.id)) == [made]


async def test_an_agent_changes_what_is_below_it_by_its_rights(office: Office) -> None:
    south, weak = agent("south"), agent("weak")
    outcome = await block_gateway(office, south, BlockGateway(name="acme-pbx"))
    assert [(each.target, each.operator) for each in outcome.overrides] == [("mapping", "agent south")]
    for name in ("carrier-a", "twin", "1001", "unknown"):
        with pytest.raises(OutOfScopeError, match=f"agent south has no gateway or phone {name} below it"):
            await block_gateway(office, south, BlockGateway(name=name))
    with pytest.raises(RightLackingError, match="phones"):
        await unblock_gateway(office, weak, UnblockGateway("1001"))
    with pytest.raises(OrderError, match="`priority` is not for agents"):
        await set_gateway(office, south, SetGateway(name="acme-pbx", values={Setting.PRIORITY: "1"}))
    with pytest.raises(RightLackingError, match="accounts"):
        await block_account(office, weak, BlockAccount(account="shop"))
    with pytest.raises(RightLackingError, match="sub_payments"):
        await set_overdraft_limit(office, weak, SetOverdraftLimit(account="shop", overdraft_limit="1"))
    with pytest.raises(OutOfScopeError, match="not its own"):
        await block_account(office, south, BlockAccount(account="south"))


async def test_an_agent_neither_replaces_nor_clears_an_override_of_others(office: Office) -> None:
    await block_account(office, operator(), BlockAccount(account="acme"))
    await set_overdraft_limit(office, operator(), SetOverdraftLimit(account="acme", overdraft_limit="1"))
    south = agent("south")
    with pytest.raises(SetByOthersError, match="blocked of acme was not set by agent south"):
        await unblock_account(office, south, UnblockAccount("acme"))
    with pytest.raises(SetByOthersError, match="overdraft_limit"):
        await set_overdraft_limit(office, south, SetOverdraftLimit(account="acme", overdraft_limit="2"))


async def test_an_agent_neither_replaces_nor_clears_an_override_that_an_operator_sets_meanwhile(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    south, put, clear = agent("south"), SqlOverrides.put, SqlOverrides.clear

    async def put_later(store: SqlOverrides, *given: Any, **named: Any) -> None:
        await put(store, [OF_ANN], NOW)
        await put(store, *given, **named)

    async def clear_later(store: SqlOverrides, *given: Any, **named: Any) -> Sequence[Override]:
        await put(store, [OF_ANN], NOW)
        return await clear(store, *given, **named)

    with monkeypatch.context() as patched:
        patched.setattr(SqlOverrides, "put", put_later)
        with pytest.raises(SetByOthersError, match="blocked of acme was not set by agent south"):
            await block_account(office, south, BlockAccount(account="acme"))
    await office.stores.overrides.clear([OF_ANN.key], "ann", NOW)
    await block_account(office, south, BlockAccount(account="acme"))
    monkeypatch.setattr(SqlOverrides, "clear", clear_later)
    with pytest.raises(SetByOthersError, match="blocked of acme was not set by agent south"):
        await unblock_account(office, south, UnblockAccount("acme"))
    assert (await office.stores.overrides.load()).by_key[OF_ANN.key].operator == "ann"


async def test_a_block_that_ends_while_it_is_ended_is_none(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    await block_account(office, operator(), BlockAccount(account="acme"))
    clear = SqlOverrides.clear

    async def twice(store: SqlOverrides, *given: Any, **named: Any) -> Sequence[Override]:
        await clear(store, *given, **named)
        return await clear(store, *given, **named)

    monkeypatch.setattr(SqlOverrides, "clear", twice)
    with pytest.raises(NoSuchOverrideError, match="account acme is not blocked"):
        await unblock_account(office, operator("bob"), UnblockAccount("acme"))


@pytest.mark.parametrize(
    ("act", "order"),
    [
        (clear_overrides, ClearOverrides(name="acme")),
        (show_overrides, ShowOverrides()),
        (show_override_changes, ShowOverrideChanges()),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
async def test_overrides_of_everything_are_for_operators(office: Office, act: Any, order: Any) -> None:
    with pytest.raises(OperatorsOnlyError, match="agent south"):
        await act(office, agent("south"), order)


async def test_differences_name_the_overrides_that_differ_from_the_file(office: Office) -> None:
    values = {Setting.PRIORITY: "4", Setting.MAX_CPS: "9"}
    order = SetGateway(name="carrier-a", values=values, until=NOW + 1_000, memo="slow")
    found = [*(await set_gateway(office, operator(), order)).overrides]
    for name in ("1001", "acme-pbx"):
        found += (await block(office, name, memo="fraud")).overrides
    file = {"routing gateway carrier-a": {"priority": 4, "max_cps": None}, "phone 1001": {}}
    differing = differences_of(found, file)
    assert [(each.object, each.key, each.running, each.file, each.override) for each in differing] == [
        ("routing gateway carrier-a", "max_cps", "9", None, "by ann until 2026-09-21T14:13:21.000Z: slow"),
        ("phone 1001", "blocked", True, False, "by ann: fraud"),
    ]
