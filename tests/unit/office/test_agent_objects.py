"""Agents and definitions: each right permits its changes and no other, in the agent's own tree and nowhere else."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Set
from decimal import Decimal
from itertools import pairwise, product
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import pytest
from doubles.data import builders
from doubles.fake_switch import FakeSwitch
from doubles.migrated import migrated
from doubles.office import Defined, agent, customer, office_on, operator

from vosd.admin.office import principal as principals
from vosd.admin.office.accounts import ListAccounts, list_accounts
from vosd.admin.office.agent_objects import AgentObjects
from vosd.admin.office.change_check import AccountsBelowError
from vosd.admin.office.customers import FirstPayment, NewObject, ProvisionCustomer, provision_customer
from vosd.admin.office.definitions import EndObject, RevertObject, SetObjects, end_object, revert_object, set_objects
from vosd.admin.office.object_versions import (
    CompareVersions,
    ListVersions,
    NoSuchObjectError,
    compare_versions,
    list_versions,
)
from vosd.admin.office.objects_below import TooManyObjectsError
from vosd.admin.office.office import Office, PermissionLackingError
from vosd.admin.office.phone_passwords import SetPhonePassword, set_phone_password
from vosd.admin.office.planned_change import AlreadyDefinedError, WantedObject
from vosd.admin.office.principal import OrderError, Permission, Principal
from vosd.admin.office.shown_objects import ListObjects, ShowObject, list_definitions, list_objects, show_object
from vosd.billing.accounts import AccountType
from vosd.billing.authority import OutOfScopeError, RightLackingError
from vosd.billing.rights import Right
from vosd.catalogue.agent_domains import AgentDomains
from vosd.catalogue.agent_sources import AgentSources
from vosd.catalogue.problems import ConfigError, DefinitionProblem
from vosd.catalogue.stored_objects import ObjectVersion
from vosd.control.installation import Reload, ReloadOutcome
from vosd.control.peers import GatewayRow, ListGateways
from vosd.storage.database import Database
from vosd.storage.stored_objects import SqlObjects

NOW: Final = 1_790_000_000_000
ALL_RIGHTS: Final = frozenset(Right)
AGENT_OF: Final = {
    "top": None,
    "south": "top",
    "east": "south",
    "shop": "east",
    "own": "south",
    "north": "top",
    "other": "north",
}
"""The tree: ``south`` acts; ``own`` and ``east`` are below it, ``shop`` below ``east``; ``other`` is a neighbour's."""


class Place(NamedTuple):
    account: str
    is_below: bool


PLACES: Final = {
    "itself": Place("south", is_below=False),
    "directly below": Place("own", is_below=True),
    "two levels below": Place("shop", is_below=True),
    "a neighbour": Place("other", is_below=False),
    "above": Place("top", is_below=False),
}
KEYS: Final = {
    "accounts": {"max_concurrent": "5", "enabled": "yes"},
    "mapping_gateways": {"hosts": ["192.0.2.1"], "max_concurrent": "5"},
    "phones": {"username": "u", "password": "long-enough-1"},
}
CHANGES: Final = (
    ("accounts", "max_cps", "3", Right.ACCOUNTS),
    ("accounts", "rights", ["phones"], Right.ACCOUNTS),
    ("accounts", "rate_group", "sell", Right.ACCOUNTS),
    ("accounts", "overdraft_limit", "10", Right.SUB_PAYMENTS),
    ("phones", "password", "another-long-one", Right.PHONES),
    ("phones", "max_concurrent", "1", Right.PHONES),
    ("phones", "codecs", ["PCMA"], Right.PHONES),
    ("mapping_gateways", "enabled", "no", Right.GATEWAYS),
    ("mapping_gateways", "hosts", ["192.0.2.2"], Right.GATEWAY_INFORMATION),
    ("mapping_gateways", "callee_allow", ["49*"], Right.GATEWAY_INFORMATION),
    ("mapping_gateways", "codecs", ["G729", "PCMA"], Right.GATEWAY_INFORMATION),
    ("mapping_gateways", "dtmf", "info", Right.GATEWAY_INFORMATION),
    ("mapping_gateways", "max_concurrent", "50", Right.GATEWAY_CAPACITY),
    ("mapping_gateways", "max_cps", "50", Right.GATEWAY_CAPACITY),
)
"""Right that each change of a key takes."""
WHOLE: Final = {"accounts": Right.ACCOUNTS, "phones": Right.PHONES, "mapping_gateways": Right.GATEWAYS}
"""Right that it takes to add and to delete an object."""
GIVEN: Final = [*({right} for right in Right), set(), set(Right)]


def name_of(kind: str, account: str) -> str:
    if kind == "phones":
        return f"70{[*AGENT_OF, 'fresh'].index(account):02}"
    return account if kind == "accounts" else f"{account}-{kind}"


def body(kind: str, account: str, **more: Any) -> dict[str, Any]:
    above = AGENT_OF.get(account, "south")
    owner = ({} if above is None else {"agent": above}) if kind == "accounts" else {"account": account}
    return {**KEYS[kind], **owner, **more}


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory, loop: asyncio.AbstractEventLoop) -> Iterator[Database]:
    """Return a database with an account, a gateway and a phone of each place; trials leave it as it is."""
    directory = tmp_path_factory.mktemp("agents")
    database = Database(migrated(directory / "vosd.db"))
    objects = tuple(
        WantedObject(kind, name_of(kind, account), body(kind, account)) for kind in KEYS for account in AGENT_OF
    )
    loop.run_until_complete(set_objects(office_with(database, directory), operator(), SetObjects(objects=objects)))
    yield database
    loop.run_until_complete(database.close())


def office_with(
    database: Database, directory: Path, rights: Set[Right] = ALL_RIGHTS, now: int = NOW, **of: Set[Right]
) -> Office:
    accounts = [
        builders.account(name, agent=above, rights=frozenset(of.get(name, rights if name == "south" else ALL_RIGHTS)))
        for name, above in AGENT_OF.items()
    ]
    payers = {name_of(kind, each): each for kind in ("mapping_gateways", "phones") for each in AGENT_OF}
    return office_on(database, *accounts, now=now, socket=directory / "vosd.sock", payers=payers)


async def outcome(office: Office, wanted: WantedObject, who: str = "south") -> str:
    try:
        await set_objects(office, agent(who), SetObjects(objects=(wanted,), is_trial=True))
    except (RightLackingError, OutOfScopeError, NoSuchObjectError) as error:
        return "absent" if not isinstance(error, RightLackingError) else "lacking"
    return "done"


@pytest.mark.parametrize("by_gateways", [False, True])
@pytest.mark.parametrize("key", ["rate_group", "private_rate_group", "sub_rate_groups"])
async def test_an_agent_gives_no_rate_group_that_vendors_are_paid_by_unless_it_is_named(
    url: str, tmp_path: Path, key: str, by_gateways: bool
) -> None:
    """An agent that may give any can read the prices of a group that it gives: these would be what calls cost."""
    below = builders.account("own", agent="south")
    vendor = builders.account("carrier", type=AccountType.CLEARING, rate_group=None if by_gateways else "buy")
    named = {"routing_gateways": {"buy"} if by_gateways else set(), "mapping_gateways": {"sell"}, "phones": {"desk"}}
    by_list = {kind: frozenset(groups) for kind, groups in named.items()}
    for given in (("any",), ("buy", "sell")):
        south = builders.account("south", rights=ALL_RIGHTS, rate_group="sell", sub_rate_groups=given)
        database = Database(url)
        socket = tmp_path / "vosd.sock"
        office = office_on(database, south, vendor, below, now=NOW, socket=socket, rate_groups=by_list)
        wanted = WantedObject("accounts", "fresh", {key: ["buy"] if key == "sub_rate_groups" else "buy"}, is_new=True)
        if given != ("any",):
            assert await outcome(office, wanted) == "done"
        else:
            with pytest.raises(OrderError, match=f"has a {key} that vendors are paid by"):
                await outcome(office, wanted)
        assert await outcome(office, WantedObject("accounts", "fresh", {key: "sell"}, is_new=True)) == "done"
        await database.close()


@pytest.mark.parametrize("key", ["rate_group", "private_rate_group", "sub_rate_groups"])
async def test_an_agent_without_a_list_gives_its_own_rate_group_and_those_of_its_tree(
    url: str, tmp_path: Path, key: str
) -> None:
    """It could read the contracts of other customers otherwise."""
    accounts = (
        builders.account("top", rights=ALL_RIGHTS, rate_group="sell"),
        builders.account("south", agent="top", rights=ALL_RIGHTS, rate_group="resale"),
        builders.account("own", agent="south", rate_group="retail", private_rate_group="promotion"),
        builders.account("east", agent="south", rate_group="retail", sub_rate_groups=("silver",)),
        builders.account("rival", rate_group="contract"),
    )
    trunks = {"mapping_gateways": frozenset({"trunk"})}
    database, socket, payers = Database(url), tmp_path / "vosd.sock", {"pbx": "own"}
    office = office_on(database, *accounts, now=NOW, socket=socket, payers=payers, rate_groups=trunks)
    for group in ("resale", "retail", "promotion", "silver", "trunk", "any", "contract", "sell"):
        named = [group] if key == "sub_rate_groups" else group
        wanted = WantedObject("accounts", "fresh", {key: named}, is_new=True)
        if group in {"contract", "sell"} or (group == "any" and key != "sub_rate_groups"):
            with pytest.raises(OrderError, match=f"has a {key} that is not yours to give"):
                await outcome(office, wanted)
        else:
            assert await outcome(office, wanted) == "done", group
    await database.close()


@pytest.mark.parametrize("rights", GIVEN, ids=lambda rights: "+".join(sorted(rights)) or "none")
def test_each_right_permits_its_changes_alone_and_below_the_agent_alone(
    database: Database, loop: asyncio.AbstractEventLoop, tmp_path: Path, rights: set[Right]
) -> None:
    office = office_with(database, tmp_path, rights)
    for (kind, key, value, right), (where, place) in product(CHANGES, PLACES.items()):
        wanted = WantedObject(kind, name_of(kind, place.account), {key: value}, is_merged=True)
        expected = ("done" if right in rights else "lacking") if place.is_below else "absent"
        assert loop.run_until_complete(outcome(office, wanted)) == expected, (kind, key, where)
    for (kind, right), (where, place) in product(WHOLE.items(), PLACES.items()):
        expected = ("done" if right in rights else "lacking") if place.is_below else "absent"
        if place.account != "own" or kind != "accounts":
            continue
        ended = WantedObject(kind, name_of(kind, place.account), None)
        assert loop.run_until_complete(outcome(office, ended)) == expected, (kind, "delete", where)
    for (kind, right), (where, place) in product(WHOLE.items(), PLACES.items()):
        keys = {key: value for key, value in KEYS[kind].items() if key != "max_concurrent"}
        owner = {"agent": place.account} if kind == "accounts" else {"account": place.account}
        may = place.is_below or (kind == "accounts" and place.account == "south")
        expected = ("done" if right in rights else "lacking") if may else "absent"
        if kind == "accounts" and right not in rights:
            expected = "lacking"
        found = loop.run_until_complete(
            outcome(office, WantedObject(kind, name_of(kind, "fresh"), keys | owner, is_new=True))
        )
        assert found == expected, (kind, "add", where)
    whole = WantedObject("mapping_gateways", "fresh", body("mapping_gateways", "own"), is_new=True)
    needed = {Right.GATEWAYS, Right.GATEWAY_CAPACITY}
    assert loop.run_until_complete(outcome(office, whole)) == ("done" if needed <= rights else "lacking")


def test_a_right_that_an_agent_above_lost_is_suspended_for_all_below_it(
    database: Database, loop: asyncio.AbstractEventLoop, tmp_path: Path
) -> None:
    wanted = WantedObject("accounts", "shop", {"max_cps": "3"}, is_merged=True)
    for above, expected in ((set(Right), "done"), (set(Right) - {Right.ACCOUNTS}, "lacking")):
        for who in ("top", "south"):
            office = office_with(database, tmp_path, **{who: above})
            assert loop.run_until_complete(outcome(office, wanted, "east")) == expected


@pytest.mark.parametrize("kind", KEYS)
def test_a_list_reads_the_objects_that_it_shows_and_no_others(
    database: Database, loop: asyncio.AbstractEventLoop, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    office, own = office_with(database, tmp_path), name_of(kind, "own")
    monkeypatch.delattr(SqlObjects, "current")

    def names(who: Principal, order: ListObjects) -> list[str]:
        return [each.name for each in loop.run_until_complete(list_definitions(office, who, order))]

    south = sorted(name_of(kind, each) for each in ("south", "east", "own", "shop"))
    assert names(agent("south"), ListObjects(kind)) == south
    assert names(agent("south"), ListObjects(kind, 2, south[0])) == south[1:3]
    assert names(agent("south"), ListObjects(kind, name=own)) == [own]
    assert names(agent("south"), ListObjects(kind, name=name_of(kind, "other"))) == []
    assert names(operator(), ListObjects(kind, name=own)) == [own]
    begun = [each for each in south if each.startswith(own[:1])]
    assert names(agent("south"), ListObjects(kind, beginning=own[:1])) == begun
    assert names(operator(), ListObjects(kind, 100, beginning=own)) == [own]
    having = [each for each in south if own[1:] in each]
    assert names(agent("south"), ListObjects(kind, containing=own[1:].upper())) == having
    assert names(operator(), ListObjects(kind, containing=own)) == [own]
    for order in (ListObjects(name=own), ListObjects(containing=own)):
        with pytest.raises(OrderError, match="kind"):
            names(operator(), order)


async def test_a_search_of_an_agent_leaves_other_requests_their_turns(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of an agent with 40,000 telephones kept them waiting for most of a second."""
    monkeypatch.setattr("vosd.admin.office.shown_objects._LOOKED_AT_AT_ONCE", 1)
    office, turns, looked = office_with(database, tmp_path), 0, []
    texts = await office.definitions.search_text("phones")

    class Noted:
        def has(self, name: str, part: str, *, is_inner: bool) -> bool:
            looked.append(turns)
            return texts.has(name, part, is_inner=is_inner)

    async def search_text(_kind: str) -> Noted:
        return Noted()

    def payers() -> Mapping[str, str]:
        assert threading.current_thread() is not threading.main_thread()
        return found()

    found = office.definitions.accounts_of("phones")
    monkeypatch.setattr(office.definitions, "accounts_of", lambda *_kinds: payers)

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    monkeypatch.setattr(office.definitions, "search_text", search_text)
    others = asyncio.create_task(count())
    assert await list_objects(office, agent("south"), ListObjects("phones", containing="no such text")) == []
    others.cancel()
    assert len(looked) > 4
    assert all(before < after for before, after in pairwise(looked))


ABSENT: Final = ("nothing", *(place.account for place in PLACES.values() if place.account in {"top", "other"}))


@pytest.mark.parametrize("kind", KEYS)
def test_an_object_outside_of_the_tree_is_answered_as_one_that_does_not_exist(
    database: Database, loop: asyncio.AbstractEventLoop, tmp_path: Path, kind: str
) -> None:
    office, who = office_with(database, tmp_path), agent("south")

    def said(act: Any, order: Any, name: str) -> str:
        with pytest.raises(NoSuchObjectError) as refused:
            loop.run_until_complete(act(office, who, order))
        return str(refused.value).replace(name, "NAME")

    for act, order in (
        (show_object, lambda name: ShowObject(kind=kind, name=name)),
        (list_versions, lambda name: ListVersions(kind, name)),
        (compare_versions, lambda name: CompareVersions(kind=kind, name=name)),
        (end_object, lambda name: EndObject(kind=kind, name=name)),
        (revert_object, lambda name: RevertObject(kind=kind, name=name, version=1)),
        (set_objects, lambda name: SetObjects(objects=(WantedObject(kind, name, {}, is_merged=True),))),
    ):
        names = [each if each == "nothing" else name_of(kind, each) for each in ABSENT]
        assert len({said(act, order(name), name) for name in names}) == 1, act
    seen = {each.name for each in loop.run_until_complete(list_objects(office, who, ListObjects(kind)))}
    assert seen == {name_of(kind, each) for each in ("south", "east", "own", "shop")}
    taken = WantedObject(kind, name_of(kind, "other"), body(kind, "own"), is_new=True)
    with pytest.raises(AlreadyDefinedError, match="is taken: choose another name"):
        loop.run_until_complete(set_objects(office, who, SetObjects(objects=(taken,))))


@pytest.fixture
async def office(url: str, tmp_path: Path) -> AsyncIterator[Office]:
    database = Database(url)
    office = office_with(database, tmp_path)
    hidden = {"memo": "pays late", "routing_plan": "premium", "overdraft_limit": "0", "max_cps": "4"}
    objects = (
        WantedObject("accounts", "own", body("accounts", "own", **hidden)),
        WantedObject("phones", "7001", body("phones", "own")),
    )
    await set_objects(office, operator(), SetObjects(objects=objects, memo="a remark of ours"))
    yield office
    await database.close()


async def test_a_new_account_of_an_agent_stands_below_it_and_the_audit_names_the_agent(office: Office) -> None:
    made = await set_objects(
        office, agent("south"), SetObjects(objects=(WantedObject("accounts", "fresh", {}, is_new=True),))
    )
    assert made.changes[0].keys == {"agent": (None, "south")}
    sheet = await show_object(office, operator(), ShowObject(kind="accounts", name="fresh"))
    assert sheet.version.operator == "agent south"


async def test_what_an_agent_does_not_see_of_an_object_it_neither_sets_nor_takes_away(office: Office) -> None:
    who = agent("south")
    seen = await show_object(office, who, ShowObject(kind="accounts", name="own"))
    assert seen.keys == body("accounts", "own", overdraft_limit="0", max_cps="4")
    assert (seen.version.operator, seen.version.memo) == ("operator", None)
    await set_objects(office, who, SetObjects(objects=(WantedObject("accounts", "own", {"max_cps": "9"}),)))
    kept = await show_object(office, operator(), ShowObject(kind="accounts", name="own"))
    assert kept.keys == {"memo": "pays late", "routing_plan": "premium", "max_cps": "9", "agent": "south"}
    for keys in ({"routing_plan": "cheap"}, {"name": "${HOME}"}, {"template": "ours"}, {"memo": "x"}):
        wanted = WantedObject("accounts", "own", keys, is_merged=True)
        with pytest.raises(OrderError, match="not for agents"):
            await set_objects(office, who, SetObjects(objects=(wanted,)))
    await set_objects(office, who, SetObjects(objects=(WantedObject("accounts", "own", {"name": None}),)))
    for name, keys in (("${HOME}", {}), ("a${", KEYS["accounts"])):
        with pytest.raises(OrderError, match="`name` has"):
            await set_objects(office, who, SetObjects(objects=(WantedObject("accounts", name, keys),)))
    file = WantedObject("mapping_gateways", "g", {"account": "own", "auth": {"password_file": "/etc/shadow"}})
    with pytest.raises(OrderError, match="not for agents"):
        await set_objects(office, who, SetObjects(objects=(file,)))
    with pytest.raises(OrderError, match="`at` is not for agents"):
        await end_object(office, who, EndObject(kind="phones", name="7001", at=NOW + 1))
    for kind in ("routing_gateways", "rate_groups", "templates"):
        with pytest.raises(NoSuchObjectError):
            await set_objects(office, who, SetObjects(objects=(WantedObject(kind, "x", {}),)))


async def test_an_agent_does_not_see_of_its_own_account_whose_agent_and_group_it_has(office: Office) -> None:
    keys = body("accounts", "south", group="wholesale", max_cps="7")
    await set_objects(office, operator(), SetObjects(objects=(WantedObject("accounts", "south", keys),)))
    shown = {key: value for key, value in keys.items() if key not in {"agent", "group"}}
    for who in (agent("south"), customer("south")):
        listed = await list_definitions(office, who, ListObjects("accounts"))
        assert [each.keys for each in listed if each.name == "south"] == [shown]
        assert (await show_object(office, who, ShowObject(kind="accounts", name="south"))).keys == shown
    below = await show_object(office, agent("south"), ShowObject(kind="accounts", name="own"))
    assert below.keys["agent"] == "south"


@pytest.mark.parametrize("is_merged", [True, False])
@pytest.mark.parametrize("is_trial", [True, False])
async def test_an_agent_finds_no_value_of_a_key_that_it_does_not_see_by_guesses(
    office: Office, is_merged: bool, is_trial: bool
) -> None:
    said = set()
    for value in ("pays late", "pays early", None, {"a": "b"}, ["pays late"]):
        wanted = WantedObject("accounts", "own", {"memo": value}, is_merged=is_merged)
        with pytest.raises(OrderError) as refused:
            await set_objects(office, agent("south"), SetObjects(objects=(wanted,), is_trial=is_trial))
        said.add(str(refused.value))
    assert said == {"`keys` has memo, which is not for agents: leave it out"}


async def test_an_agent_goes_back_to_a_version_and_keys_that_it_does_not_see_stay(office: Office) -> None:
    for by, keys in ((agent("south"), {"max_cps": "9"}), (operator(), {"memo": "pays in time"})):
        wanted = WantedObject("accounts", "own", keys, is_merged=True)
        await set_objects(office, by, SetObjects(objects=(wanted,)))
    made = await revert_object(office, agent("south"), RevertObject(kind="accounts", name="own", version=1))
    assert made.changes[0].keys.keys() == {"max_cps"}
    now = await show_object(office, operator(), ShowObject(kind="accounts", name="own"))
    assert (now.keys["memo"], now.keys["max_cps"]) == ("pays in time", "4")


async def test_an_agent_makes_no_account_of_a_name_that_an_account_of_others_had(office: Office) -> None:
    south, north = agent("south"), agent("north")
    own = SetObjects(objects=(WantedObject("accounts", "own", {}, is_new=True),))
    await end_object(office, south, EndObject(kind="accounts", name="own"))
    await office.stores.books.open_accounts(["own", "formerly"])
    formerly = SetObjects(objects=(WantedObject("accounts", "formerly", {}),))
    for who, order in ((north, own), (north, formerly), (south, formerly)):
        with pytest.raises(AlreadyDefinedError, match="is taken: choose another name"):
            await set_objects(office, who, order)
    with pytest.raises(AlreadyDefinedError, match="is taken"):
        await provision_customer(office, north, ProvisionCustomer(account="own"))
    await set_objects(office, south, own)


@pytest.mark.parametrize(
    ("keys", "concerned"),
    [
        ({"auth": {"username": "byop", "password": "long-enough-2"}}, {}),
        ({"max_concurrent": "2"}, {}),
        ({"auth": None}, {"byop": False}),
        ({"tech_prefix": "7"}, {"byop": False}),
        ({"preset": "twilio"}, {"byop": False}),
        ({"hosts": ["192.0.2.7"]}, {"byop": True}),
    ],
)
async def test_sources_are_judged_by_the_addresses_of_names_where_an_agent_changes_them(
    office: Office, tmp_path: Path, keys: dict[str, Any], concerned: dict[str, bool]
) -> None:
    trunk = {"account": "own", "hosts": ["pbx.example"], "auth": {"username": "byop", "password": "long-enough-1"}}
    byop = WantedObject("mapping_gateways", "byop", trunk)
    await set_objects(office, operator(), SetObjects(objects=(byop,)))
    changed = WantedObject("mapping_gateways", "byop", keys, is_merged=True)
    row = GatewayRow(
        "foreign",
        "mapping",
        "up",
        None,
        None,
        None,
        0,
        None,
        0,
        0,
        None,
        None,
        None,
        None,
        None,
        addresses=["192.0.2.9"],
    )
    async with FakeSwitch(tmp_path / "vosd.sock").answers(ListGateways, [row]):
        await set_objects(office, agent("south"), SetObjects(objects=(changed,), is_trial=True))
    addresses = {"foreign": ["192.0.2.9"]} if concerned else None
    assert isinstance(office.definitions, Defined)
    assert office.definitions.asked is not None
    unproven = frozenset(concerned if "auth" in keys else ())
    assert office.definitions.asked.sources == AgentSources("south", concerned, addresses, unproven)


@pytest.mark.parametrize("kind", ["mapping_gateways", "phones"])
async def test_an_agent_gives_a_gateway_256_hosts_at_most_and_keeps_what_an_operator_gave(
    office: Office, kind: str
) -> None:
    def order(keys: dict[str, Any], *, is_merged: bool) -> SetObjects:
        return SetObjects(objects=(WantedObject(kind, "7009", keys, is_merged=is_merged),))

    hosts = [f"10.0.{at // 256}.{at % 256}" for at in range(400)]
    await set_objects(office, operator(), order(body(kind, "own", hosts=hosts), is_merged=False))
    await set_objects(office, agent("south"), order({"max_concurrent": "3"}, is_merged=True))
    await set_objects(office, agent("south"), order({"hosts": hosts[:256]}, is_merged=True))
    with pytest.raises(OrderError, match="has 257 hosts, and those of agents have at most 256"):
        await set_objects(office, agent("south"), order({"hosts": hosts[:257]}, is_merged=True))


@pytest.mark.parametrize(
    ("kind", "name", "key", "values", "most"),
    [
        ("accounts", "own", "spend_limits", [{"per": "hour", "amount": "9"}], 20),
        ("accounts", "own", "user_agents", ["phone"], 500),
        ("mapping_gateways", "7009", "codecs", [], 50),
    ],
    ids=["spend limits", "User-Agents", "codecs"],
)
async def test_an_agent_gives_no_more_values_than_a_call_can_be_compared_with(
    office: Office, kind: str, name: str, key: str, values: list[Any], most: int
) -> None:
    """It is no mistake where an operator, or an earlier version, has given more: the database would not be used."""

    def order(number: int) -> SetObjects:
        written = ",".join(f"x{at}" for at in range(number)) if key == "codecs" else values * number
        return SetObjects(objects=(WantedObject(kind, name, {key: written}, is_merged=True),))

    if kind == "mapping_gateways":
        made = WantedObject(kind, name, body(kind, "own"), is_merged=False)
        await set_objects(office, operator(), SetObjects(objects=(made,)))
    await set_objects(office, agent("south"), order(most))
    with pytest.raises(OrderError, match=f"has {most + 1} values in {key}, and those of agents have at most {most}"):
        await set_objects(office, agent("south"), order(most + 1))
    await set_objects(office, operator(), order(most + 1))


@pytest.mark.parametrize("kind", ["mapping_gateways", "phones"])
@pytest.mark.parametrize("key", ["callee_rewrite", "caller_rewrite"])
async def test_an_agent_gives_no_expressions_for_which_all_calls_would_wait(
    office: Office, kind: str, key: str
) -> None:
    """Expressions of an operator stay, and so do usual ones of an agent, however many fit the time."""

    def order(keys: dict[str, Any], *, is_merged: bool = True) -> SetObjects:
        return SetObjects(objects=(WantedObject(kind, "7009", keys, is_merged=is_merged),))

    slow = [[f"~[02468].{{500}}{at}", "1"] for at in range(3)]
    many = [[f"~^00?{at}([0-9]{{3,15}})$", "49\\1"] for at in range(200)]
    prefixes = [[f"00{at}", f"{at}"] for at in range(500)]
    await set_objects(office, operator(), order(body(kind, "own", **{key: slow}), is_merged=False))
    await set_objects(office, agent("south"), order({"max_concurrent": "3"}))
    await set_objects(office, agent("south"), order({key: [*many[:20], *prefixes]}))
    await set_objects(office, agent("south"), order({key: many[0]}))
    for rules in (slow[0], slow, many):
        with pytest.raises(OrderError, match=f"has regular expressions in {key} that take too much time"):
            await set_objects(office, agent("south"), order({key: rules}))


async def test_numbers_that_an_agent_gives_are_judged_on_each_way_to_a_phone(office: Office) -> None:
    """Made, made again by an undo, made with a customer, and shown; what a phone has already is not judged."""
    south = agent("south")

    def asked() -> tuple[set[str], dict[str, list[str]]]:
        assert isinstance(office.definitions, Defined)
        assert office.definitions.asked is not None
        numbers = office.definitions.asked.numbers
        assert numbers is not None
        assert numbers.agent == "south"
        return {*numbers.phones}, {name: [*each] for name, each in numbers.callers.items()}

    async def change(keys: dict[str, Any] | None, *, is_merged: bool = True) -> None:
        await set_objects(
            office, south, SetObjects(objects=(WantedObject("phones", "7011", keys, is_merged=is_merged),))
        )

    await change(body("phones", "own", caller_numbers="+4930"), is_merged=False)
    assert asked() == ({"7011"}, {"7011": ["+4930"]})
    await change({"caller_numbers": ["4930", "4931"]})
    assert asked() == (set(), {"7011": ["4931"]})
    await change({"enabled": "no"})
    assert asked() == (set(), {"7011": []})
    await change(body("phones", "own", caller_numbers="4932"), is_merged=False)
    assert asked() == (set(), {"7011": ["4932"]})
    await change(None)
    assert asked() == (set(), {})
    await revert_object(office, south, RevertObject(kind="phones", name="7011", version=2))
    assert asked() == ({"7011"}, {"7011": ["4930", "4931"]})
    phones = (NewObject("7012", {**KEYS["phones"], "caller_numbers": ["4933"]}),)
    await provision_customer(office, south, ProvisionCustomer(account="fresh", keys={"currency": "USD"}, phones=phones))
    assert asked() == ({"7012"}, {"7012": ["4933"]})
    await set_phone_password(office, south, SetPhonePassword(number="7011", password="another-Long-word"))
    assert asked() == (set(), {"7011": []})
    await set_objects(office, operator(), SetObjects(objects=(WantedObject("phones", "112", body("phones", "own")),)))
    assert office.definitions.asked.numbers is None


async def test_domains_that_an_agent_gives_are_judged_and_those_that_a_user_has_stay(office: Office) -> None:
    south = agent("south")

    async def asked(kind: str, keys: dict[str, Any] | None, *, is_merged: bool = True) -> tuple[set[str], set[str]]:
        wanted = WantedObject(kind, "7013", keys, is_merged=is_merged)
        await set_objects(office, south, SetObjects(objects=(wanted,)))
        assert isinstance(office.definitions, Defined)
        assert office.definitions.asked is not None
        domains = office.definitions.asked.domains
        assert domains is not None
        assert domains.agent == "south"
        return {*domains.phones}, {*domains.gateways}

    nothing: tuple[set[str], set[str]] = set(), set()
    assert await asked("phones", body("phones", "own", domain="a.example"), is_merged=False) == ({"7013"}, set())
    assert await asked("phones", {"max_concurrent": "3", "domain": "a.example"}) == nothing
    assert await asked("phones", {"domain": "b.example"}) == ({"7013"}, set())
    assert await asked("phones", None) == nothing
    login = {"username": "u", "password": "long-enough-1"}
    trunk = body("mapping_gateways", "own", auth={**login, "domain": "a.example"})
    assert await asked("mapping_gateways", trunk, is_merged=False) == (set(), {"7013"})
    assert await asked("mapping_gateways", {"auth": {**login, "username": "v", "domain": "a.example"}}) == nothing
    assert await asked("mapping_gateways", {"auth": {**login, "domain": "b.example"}}) == (set(), {"7013"})
    assert await asked("mapping_gateways", {"auth": {"username": "w"}}) == nothing
    assert await asked("mapping_gateways", {"auth": None}) == nothing


@pytest.mark.parametrize("kind", ["phones", "mapping_gateways"])
async def test_an_agent_brings_back_the_domain_that_an_operator_gave_last(office: Office, kind: str) -> None:
    """Else the undo of its own mistake would be refused; what an operator has taken away stays so."""
    login = {"username": "u", "password": "long-enough-1"}
    south = agent("south")

    def keys(domain: str | None, account: str = "own") -> dict[str, Any]:
        named = login if domain is None else {**login, "domain": domain}
        return body(kind, account, **(named if kind == "phones" else {"auth": named}))

    async def change(who: Principal, wanted: dict[str, Any] | None) -> None:
        await set_objects(office, who, SetObjects(objects=(WantedObject(kind, "7014", wanted),)))

    async def judged(version: int) -> bool:
        await revert_object(office, south, RevertObject(kind=kind, name="7014", version=version))
        assert isinstance(office.definitions, Defined)
        assert office.definitions.asked is not None
        domains = office.definitions.asked.domains
        assert domains is not None
        return "7014" in (domains.phones if kind == "phones" else domains.gateways)

    await change(operator(), keys("a.example"))
    await change(south, None)
    assert not await judged(1)
    await change(south, keys(None))
    assert not await judged(1)
    await change(south, keys("b.example"))
    await change(south, keys(None))
    assert await judged(6), "the agent gave it"
    await change(operator(), keys(None))
    assert await judged(1), "the operator took it away"
    await change(operator(), keys("a.example"))
    await change(operator(), None)
    assert await judged(1), "the operator took it away"
    await change(operator(), keys("a.example", "other"))
    await change(operator(), keys("a.example"))
    await change(south, None)
    assert not await judged(1)


async def test_an_agent_gives_no_domain_that_its_number_had_at_another_customer(office: Office) -> None:
    login = {"username": "u", "password": "long-enough-1", "domain": "a.example"}
    wanted = WantedObject("phones", "7015", body("phones", "other", **login))
    await set_objects(office, operator(), SetObjects(objects=(wanted,)))
    await set_objects(office, agent("north"), SetObjects(objects=(WantedObject("phones", "7015", None),)))
    wanted = WantedObject("phones", "7015", body("phones", "own", **login))
    await set_objects(office, agent("south"), SetObjects(objects=(wanted,)))
    assert isinstance(office.definitions, Defined)
    assert office.definitions.asked is not None
    assert office.definitions.asked.domains == AgentDomains("south", {"7015"}, set())


async def test_a_password_that_a_customer_gives_makes_no_domain_of_an_agent_one_of_an_operator(office: Office) -> None:
    """The version of the customer is no agent's: else what it has kept would come back once no operator gives it."""
    login = {"username": "u", "password": "long-enough-1"}
    south, jane = agent("south"), customer("own")

    async def change(who: Principal, domain: str | None) -> None:
        keys = body("phones", "own", **(login if domain is None else {**login, "domain": domain}))
        await set_objects(office, who, SetObjects(objects=(WantedObject("phones", "7016", keys),)))

    async def is_judged(version: int) -> bool:
        await revert_object(office, south, RevertObject(kind="phones", name="7016", version=version))
        assert isinstance(office.definitions, Defined)
        assert office.definitions.asked is not None
        assert office.definitions.asked.domains is not None
        return "7016" in office.definitions.asked.domains.phones

    await change(south, "a.example")
    await set_phone_password(office, jane, SetPhonePassword(number="7016", password="another-Long-word"))
    await change(south, None)
    assert await is_judged(2), "no operator gave it"
    await change(operator(), "b.example")
    await set_phone_password(office, jane, SetPhonePassword(number="7016", password="a-third-Long-word"))
    await change(south, None)
    assert not await is_judged(6)


async def test_an_agent_does_not_set_the_numbers_that_it_may_give(office: Office) -> None:
    wanted = WantedObject("accounts", "own", {"phone_numbers": ["1-9"]}, is_merged=True)
    with pytest.raises(OrderError, match="has phone_numbers, which is not for agents"):
        await set_objects(office, agent("south"), SetObjects(objects=(wanted,)))


async def test_a_switch_that_does_not_say_the_addresses_of_names_keeps_no_other_change_away(
    office: Office, tmp_path: Path
) -> None:
    asked, answered = asyncio.Event(), asyncio.Event()

    async def addresses(_order: ListGateways) -> list[GatewayRow]:
        asked.set()
        await answered.wait()
        return []

    def change(kind: str, name: str, keys: dict[str, Any]) -> SetObjects:
        return SetObjects(objects=(WantedObject(kind, name, keys),))

    trunk = change("mapping_gateways", "pbx", {"account": "own", "hosts": ["192.0.2.7"]})
    switch = FakeSwitch(tmp_path / "vosd.sock").answers(ListGateways, addresses)
    async with asyncio.timeout(60), switch.answers(Reload, ReloadOutcome("abc", [])), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(set_objects(office, agent("south"), trunk))
        await asked.wait()
        async with asyncio.timeout(20):  # the order to the switch takes longer
            assert (await set_objects(office, operator(), change("templates", "small", {}))).in_force is True
        assert not waiting.done()
        answered.set()
    assert waiting.result().in_force is True


async def test_a_name_below_an_account_that_has_ended_is_of_those_who_had_that_account(office: Office) -> None:
    south, north = agent("south"), agent("north")
    for name, above in (("branch", "south"), ("leaf", "branch"), ("sold", "shop"), ("odd", "even"), ("even", "odd")):
        made = SetObjects(objects=(WantedObject("accounts", name, {"agent": above}),))
        await set_objects(office, operator(), made)
    assert isinstance(office.definitions, Defined)
    office.definitions.templates.update({"small": {"agent": "south"}, "smaller": {"agent": "branch"}})
    for name, template in (("formed", "small"), ("bud", "smaller"), ("lost", "ended")):
        made = {"kind": "accounts", "name": name, "operator": "ann", "made_at": NOW}
        bodies = (f'{{"template": "{template}"}}', None)
        versions = [ObjectVersion(**made, version=1 + at, body=bodies[at], begins_at=NOW - 2 + at) for at in range(2)]
        await office.stores.objects.add(versions)
    for name in ("leaf", "branch", "sold", "odd", "even"):
        await set_objects(office, operator(), SetObjects(objects=(WantedObject("accounts", name, None),)))
    taken = ((north, "formed"), (south, "lost"), (north, "leaf"), (north, "branch"), (north, "sold"), (south, "odd"))
    for who, name in taken:
        with pytest.raises(AlreadyDefinedError, match="is taken: choose another name"):
            await set_objects(office, who, SetObjects(objects=(WantedObject("accounts", name, {}),)))
    for name in ("formed", "bud", "leaf", "branch", "sold"):
        await set_objects(office, south, SetObjects(objects=(WantedObject("accounts", name, {}, is_new=True),)))


async def test_an_account_with_accounts_below_it_ends_with_them_alone(office: Office) -> None:
    south = tuple(WantedObject("accounts", name, body("accounts", name)) for name in ("east", "shop"))
    await set_objects(office, operator(), SetObjects(objects=south))
    for who in (operator(), agent("south")):
        with pytest.raises(AccountsBelowError, match="account east has accounts below it, such as shop"):
            await end_object(office, who, EndObject(kind="accounts", name="east", is_trial=True))
    both = tuple(WantedObject("accounts", name, None) for name in ("east", "shop"))
    assert await set_objects(office, agent("south"), SetObjects(objects=both, is_trial=True))
    moved = (both[0], WantedObject("accounts", "shop", {"agent": "south"}, is_merged=True))
    assert await set_objects(office, agent("south"), SetObjects(objects=moved, is_trial=True))


async def test_an_object_that_has_moved_to_another_agent_is_gone_with_its_versions(office: Office) -> None:
    who, order = agent("south"), ListVersions("phones", "7001")
    assert [each.version.version for each in await list_versions(office, who, order)] == [1]
    moved = WantedObject("phones", "7001", {"account": "other"}, is_merged=True)
    await set_objects(office, operator(), SetObjects(objects=(moved,)))
    with pytest.raises(NoSuchObjectError):
        await list_versions(office, who, order)
    assert [each.version.version for each in await list_versions(office, agent("north"), order)] == [2]


async def test_an_object_is_of_the_account_of_its_version_in_force_whatever_number_that_has(
    office: Office, tmp_path: Path
) -> None:
    moved = WantedObject("phones", "7001", {"account": "other"}, is_merged=True)
    await set_objects(office, operator(), SetObjects(objects=(moved,), at=NOW + 1_000))
    limited = WantedObject("phones", "7001", {"max_concurrent": "2"}, is_merged=True)
    await set_objects(office, operator(), SetObjects(objects=(limited,)))
    password = SetPhonePassword(number="7001", password="another-Long-word")
    later = office_with(office.stores.database, tmp_path, now=NOW + 1_000)
    for then, owner, versions, other in ((office, "south", [3, 1], "north"), (later, "north", [2], "south")):
        order = ListVersions("phones", "7001")
        assert [each.version.version for each in await list_versions(then, agent(owner), order)] == versions
        assert await set_phone_password(then, agent(owner), msgspec.structs.replace(password, is_trial=True))
        with pytest.raises(NoSuchObjectError):
            await list_versions(then, agent(other), order)
        with pytest.raises(NoSuchObjectError):
            await set_phone_password(then, agent(other), password)


async def test_the_tree_of_an_agent_is_listed_directly_or_whole(url: str, tmp_path: Path) -> None:
    tree = {
        "a": None,
        "b": "a",
        "c": "a",
        "d": "a",
        "e": "b",
        "f": "b",
        "g": "e",
        "h": "e",
        "i": "c",
        "j": "g",
        "k": "g",
    }
    accounts = [builders.account(name, agent=above) for name, above in {**tree, "x": None, "y": "x"}.items()]
    database = Database(url)
    office = office_on(database, *accounts, now=NOW, socket=tmp_path / "vosd.sock")
    for who in (operator(), agent("a")):
        direct = await list_accounts(office, who, ListAccounts(agent="a"))
        everything = await list_accounts(office, who, ListAccounts(agent="a", all=True))
        assert (len(direct), len(everything)) == (3, 10)
    for named in ("x", "y", "missing"):
        with pytest.raises(OutOfScopeError, match=f"agent a has no account {named}"):
            await list_accounts(office, agent("a"), ListAccounts(agent=named))
    await database.close()


async def test_an_agent_provisions_a_customer_by_its_rights(office: Office, tmp_path: Path) -> None:
    order = ProvisionCustomer(
        account="fresh", keys={"currency": "USD"}, phones=(NewObject("7002", dict(KEYS["phones"])),), is_trial=True
    )
    made = await provision_customer(office, agent("south"), order)
    assert [(each.name, each.action.value) for each in made.changes] == [("fresh", "defined"), ("7002", "defined")]
    lacking = office_with(office.stores.database, tmp_path, {Right.ACCOUNTS})
    with pytest.raises(RightLackingError, match="lacks the right phones"):
        await provision_customer(lacking, agent("south"), order)
    order = msgspec.structs.replace(order, reference="contract-1", is_trial=False)
    await provision_customer(office, agent("south"), order)
    assert (await provision_customer(office, agent("south"), order)).repeated
    with pytest.raises(AlreadyDefinedError, match="is taken"):
        await provision_customer(office, agent("north"), order)


async def test_a_first_payment_is_for_those_who_book_money_and_is_booked_at_once(office: Office) -> None:
    payment = FirstPayment(amount=Decimal(5))
    with pytest.raises(OrderError, match="`at` is not for payments"):
        ProvisionCustomer(account="fresh", keys={"currency": "USD"}, payment=payment, at=NOW + 1)
    order = ProvisionCustomer(account="fresh", keys={"currency": "USD"}, payment=payment)
    with pytest.raises(OrderError, match="`payment` is not for agents, such as south"):
        await provision_customer(office, agent("south"), order)
    who = msgspec.structs.replace(operator(), permissions=operator().permissions - {Permission.MONEY_BOOK})
    with pytest.raises(PermissionLackingError, match=r"money\.book"):
        await provision_customer(office, who, order)
    assert await office.stores.objects.history("accounts", "fresh") == []


@pytest.mark.parametrize(
    ("expected", "shown"),
    [
        (
            "not 'foreign' at /etc/vosd/vosd.yaml:64: 'foreign' and 'pbx' claim 192.0.2.0/24: give one more",
            "not another: another and 'pbx' claim 192.0.2.0/24: give one more",
        ),
        ("a name or a network, such as 192.0.2.0/24", "a name or a network, such as 192.0.2.0/24"),
        ("a network such as 2001:db8::/32, not a name", "a network such as 2001:db8::/32, not a name"),
        ("a file that is not read at partners/a.yaml:7", "a file that is not read"),
        ("a list: lines that begin with '- '", "a list: lines that begin with '- '"),
        (
            "hosts that differ from 'foreign' at mapping_gateways foreign (version 1) in the database",
            "hosts that differ from another",
        ),
    ],
)
def test_a_mistake_that_an_agent_reads_has_networks_and_no_files(office: Office, expected: str, shown: str) -> None:
    objects = AgentObjects(office.definitions, office.scope_of(agent("south")))
    made = {"kind": "mapping_gateways", "name": "pbx", "operator": "ann", "made_at": NOW}
    version = ObjectVersion(**made, version=1, body="{}", begins_at=NOW)
    mistake = DefinitionProblem("x.yaml", 1, "mapping_gateways[pbx].hosts", None, expected)
    (cleaned,) = objects.cleaned(ConfigError([mistake]), [version]).problems
    assert cleaned.expected == shown


def test_a_mistake_in_a_key_that_an_agent_does_not_see_says_neither_the_key_nor_its_value(office: Office) -> None:
    objects = AgentObjects(office.definitions, office.scope_of(agent("south")))
    hidden = DefinitionProblem("x.yaml", 1, "accounts[own].period_rates", "secret", "one of the rate groups")
    seen = DefinitionProblem("x.yaml", 1, "phones[7001].number", "7001", "another number")
    found = objects.cleaned(
        ConfigError([hidden, seen]),
        [ObjectVersion(kind="phones", name="7001", version=1, body="{}", begins_at=0, made_at=0, operator="ann")],
    )
    assert [(each.key, each.value, each.expected) for each in found.problems] == [
        ("accounts[own]", None, "a change that fits the keys of the object that you do not see"),
        ("phones[7001].number", "7001", "another number"),
    ]


def test_no_key_that_agents_set_is_unknown_to_the_configuration() -> None:
    from vosd.admin.office.agent_objects import SETTABLE
    from vosd.config.keys.accounts import AccountKeys
    from vosd.config.keys.trunks import MappingGatewayKeys, PhoneKeys

    known = {"accounts": AccountKeys, "mapping_gateways": MappingGatewayKeys, "phones": PhoneKeys}
    for kind, keys in SETTABLE.items():
        assert set(keys) <= known[kind].by_key().keys(), kind


async def test_rate_groups_that_an_agent_may_give_are_read_once_for_all_objects_of_an_order(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of gateways and phones take a second where there are thousands, for each agent without a list."""
    accounts = (
        builders.account("top", rights=ALL_RIGHTS, rate_group="sell"),
        builders.account("south", agent="top", rights=ALL_RIGHTS, rate_group="sell"),
        builders.account("own", agent="south", rate_group="sell"),
    )
    database = Database(url)
    office = office_on(database, *accounts, now=NOW, socket=tmp_path / "vosd.sock")
    groups, read = office.definitions.named_groups(), Counter[str]()

    class Counted:
        def __getattr__(self, name: str) -> Any:
            read[name] += 1
            return getattr(groups, name)

    monkeypatch.setattr(type(office.definitions), "named_groups", lambda _: read.update(["named_groups"]) or Counted())
    objects = AgentObjects(office.definitions, office.scope_of(agent("south")))
    for number in range(10):
        objects.check_change("accounts", f"shop{number}", None, {"agent": "south", "rate_group": "sell"})
    assert read == {"named_groups": 1, "groups_of_trunks": 1}
    await database.close()


@pytest.mark.parametrize("limited", ["south", "top"])
async def test_an_agent_makes_as_many_objects_as_it_and_those_above_it_may(
    url: str, tmp_path: Path, limited: str
) -> None:
    """The accounts below ``south`` are 3, their gateways and phones 6; ``top`` has also ``south`` and ``north``."""
    database, most = Database(url), {"south": 10, "top": 19}[limited]
    accounts = [
        builders.account(name, agent=above, rights=ALL_RIGHTS, **({"max_objects": most} if name == limited else {}))
        for name, above in AGENT_OF.items()
    ]
    payers = {name_of(kind, each): each for kind in ("mapping_gateways", "phones") for each in AGENT_OF}
    office = office_on(database, *accounts, now=NOW, socket=tmp_path / "vosd.sock", payers=payers)

    def wanted(*numbers: int) -> SetObjects:
        phones = (WantedObject("phones", f"70{each}", body("phones", "own"), is_new=True) for each in numbers)
        return SetObjects(objects=tuple(phones))

    said = "agent south may have 10 accounts" if limited == "south" else "an agent above south may have no more"
    with pytest.raises(TooManyObjectsError, match=said):
        await set_objects(office, agent("south"), wanted(51, 52))
    order = ProvisionCustomer(account="fresh", phones=(NewObject("7051", {"password": "long-enough-1"}),))
    with pytest.raises(TooManyObjectsError, match=said):
        await provision_customer(office, agent("south"), order)
    await set_objects(office, agent("south"), wanted(51))
    await set_objects(office, operator(), wanted(52, 53))
    await database.close()


def test_an_agent_gets_a_hundred_mistakes_of_a_change_at_most(office: Office) -> None:
    """Each value of a list that fills the body of a request may be one."""
    objects = AgentObjects(office.definitions, office.scope_of(agent("south")))
    mistakes = [DefinitionProblem("", 0, f"accounts[own].countries[{at}]", "XX", "a country") for at in range(5_000)]
    found = objects.cleaned(ConfigError(mistakes), ()).problems
    assert [each.key for each in found] == [f"accounts[own].countries[{at}]" for at in range(100)]


def test_the_names_that_an_agent_sees_are_gathered_once_for_a_list(office: Office, monkeypatch: Any) -> None:
    gathered = Counter[str]()
    monkeypatch.setattr(principals, "recorded_as", lambda name: gathered.update([name]) or f"agent {name}")
    scope = office.scope_of(agent("south"))
    objects = AgentObjects(office.definitions, scope)
    version = ObjectVersion(
        kind="phones",
        name="7001",
        version=1,
        body='{"account": "shop"}',
        begins_at=0,
        made_at=0,
        operator="agent south",
    )
    assert [objects.shown(version).operator for _ in range(3)] == ["agent south"] * 3
    assert gathered == Counter(scope.visible)
