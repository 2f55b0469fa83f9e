"""A change is checked at each moment that is planned: every load takes from the one before what is the same."""

import asyncio
import pickle
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, NoReturn

import msgspec
import pytest
from doubles import forked_child
from doubles.migrated import migrated

from vosd.catalogue import assemble
from vosd.catalogue.planned_objects import ChangeCheck, CheckedObjects, ObjectsThen, states_before, states_of
from vosd.catalogue.problems import ConfigError, SocketNotOpenError
from vosd.catalogue.rate_choices import CURRENCY_KEYS
from vosd.catalogue.stored_objects import Objects, ObjectVersion
from vosd.config import load as loading
from vosd.config.kept import KeptCatalogue
from vosd.config.load import Loaded, load
from vosd.config.stored import Stored
from vosd.daemon import checks
from vosd.daemon.checks import Checks
from vosd.daemon.definitions import StoredDefinitions
from vosd.daemon.start import load_at_start
from vosd.storage.database import Database
from vosd.storage.decks import SqlDecks
from vosd.storage.stored_objects import SqlObjects
from vosd.wiring import check_process
from vosd.wiring.change_check import LastLoad, Loads, check_here
from vosd.wiring.configured_switch import ConfiguredSwitch

CONFIGURATION: Final = """\
sip: {listen: ["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"]}
database: {url: "sqlite+aiosqlite:///$directory/vosd.db"}
state_dir: $directory/state
rate_groups: [{name: sell, rates: [{prefix: "44", billing_rate: "0.012"}]}]
accounts: [{id: acme, rate_group: sell}]
routing_gateways: [{name: v, account: acme, address: 192.0.2.9, prefixes: ["44"]}]
"""
OPENED: Final = ("udp:127.0.0.1:5060",)


def version(name: str, body: str | None, *, number: int = 1, at: int = 1, kind: str = "accounts") -> ObjectVersion:
    return ObjectVersion(kind=kind, name=name, version=number, body=body, begins_at=at, made_at=0, operator="ann")


def include(config: Path, written: str) -> None:
    """Have a configuration include a file."""
    config.with_name("moved.yaml").write_text(written)
    config.write_text(f"include: [moved.yaml]\n{config.read_text()}")


BY_TCP: Final = version("tcp", '{"account":"acme","address":"192.0.2.8;transport=tcp"}', kind="routing_gateways")


@pytest.fixture
async def config(tmp_path: Path) -> Path:
    """Return a configuration with the account ``shop`` in its database."""
    file = tmp_path / "vosd.yaml"
    file.write_text(CONFIGURATION.replace("$directory", str(tmp_path)))
    database = Database(migrated(tmp_path / "vosd.db"))
    await SqlObjects(database).add([version("shop", '{"rate_group":"sell"}', at=0)])
    await database.close()
    return file


@pytest.fixture
def switch(config: Path) -> Iterator[ConfiguredSwitch]:
    with closing(ConfiguredSwitch(config)) as switch:
        yield switch


def test_every_load_has_the_objects_of_its_moment_and_makes_again_only_those_that_differ(
    switch: ConfiguredSwitch,
) -> None:
    loads = Loads(switch)

    def accounts(*versions: ObjectVersion) -> dict[str, str]:
        catalogue = loads.with_versions(versions).catalogue
        assert catalogue.accounts["acme"] is acme
        assert catalogue.rate_groups.keys() == {"sell"}
        return {name: str(each.overdraft_limit) for name, each in catalogue.accounts.items() if name != "acme"}

    acme = loads.with_versions(()).catalogue.accounts["acme"]
    richer = version("shop", '{"rate_group":"sell","overdraft_limit":"5"}', number=2)
    new = version("new", '{"rate_group":"sell"}')
    assert accounts(richer, new) == {"shop": "5", "new": "0"}
    assert accounts(new, version("shop", None, number=2)) == {"new": "0"}
    with pytest.raises(ConfigError, match=r"accounts\[new\].rate_group: value 'no'"):
        accounts(version("new", '{"rate_group":"no"}'), richer)
    assert accounts(richer) == {"shop": "5"}
    assert accounts() == {"shop": "0"}


def test_a_later_moment_is_passed_over_where_it_is_not_valid_without_the_change_either(
    switch: ConfiguredSwitch,
) -> None:
    new = version("new", '{"rate_group":"sell"}', at=5)
    promo = version("promo", '{"rates":[{"prefix":"44","billing_rate":"0.05"}]}', at=6, kind="rate_groups")
    broken = version("shop", '{"rate_group":"promo"}', at=7, number=2)
    assert check_here(switch, ChangeCheck([*states_of([new], [promo, broken])], ["new", "none"])).accounts.keys() == {
        "new"
    }
    assert check_here(switch, ChangeCheck([*states_of([new], [broken])])).accounts == {}
    ended = version("promo", None, at=6, number=2, kind="rate_groups")
    with pytest.raises(ConfigError, match=r"accounts shop \(version 2\) in the database: begins_at"):
        check_here(switch, ChangeCheck([*states_of([ended], [promo, broken])]))


async def test_what_needs_a_socket_that_the_running_switch_has_not_opened_is_an_error_of_its_own(
    config: Path, switch: ConfiguredSwitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "started", forked_child.started)
    states = [ObjectsThen(1, [BY_TCP], [])]
    assert check_here(switch, ChangeCheck(states)).accounts == {}
    assert check_here(switch, ChangeCheck(states, opened=(*OPENED, "tcp:127.0.0.1:5060"))).accounts == {}
    with pytest.raises(SocketNotOpenError, match="vosd restart opens one") as refused:
        check_here(switch, ChangeCheck(states, opened=OPENED))
    assert [each.key for each in refused.value.problems] == ["routing_gateways[tcp].address"]
    later = ChangeCheck(
        [*states_of([version("new", "{}")], [msgspec.structs.replace(BY_TCP, begins_at=9)])], opened=OPENED
    )
    apart = Checks()
    try:
        with pytest.raises(SocketNotOpenError) as refused_apart:
            await apart.check(config, ChangeCheck(states, opened=OPENED))
        assert refused_apart.value.problems == refused.value.problems
        assert (await apart.check(config, later)).accounts == {}, "it is not valid without the change either"
    finally:
        await apart.close()


def test_a_mistake_beside_a_socket_that_is_not_open_is_named_first(switch: ConfiguredSwitch) -> None:
    both = [BY_TCP, version("shop", '{"rate_group":"none"}', number=2)]
    with pytest.raises(ConfigError) as refused:
        check_here(switch, ChangeCheck([ObjectsThen(1, both, [])], opened=OPENED))
    assert type(refused.value) is ConfigError
    assert [each.key for each in refused.value.problems] == ["accounts[shop].rate_group"]


def test_the_currencies_of_a_change_are_those_of_its_accounts_and_of_accounts_that_have_them_from_its_rate_groups(
    switch: ConfiguredSwitch,
) -> None:
    def currencies(*change: ObjectVersion) -> Mapping[str, str]:
        return check_here(switch, ChangeCheck([*states_of(change, [])])).currencies

    assert currencies(version("shop", '{"rate_group":"sell","currency":"USD"}', number=2)) == {"shop": "USD"}
    assert currencies(version("shop", None, number=2)) == {}
    euros = version("euros", '{"currency":"EUR","rates":[{"prefix":"44","billing_rate":"1"}]}', kind="rate_groups")
    moved = version("shop", '{"rate_group":"euros"}', number=2)
    assert currencies(euros) == {}
    assert currencies(euros, moved) == {"shop": "EUR"}
    in_pounds = msgspec.structs.replace(euros, body=(euros.body or "").replace("EUR", "GBP"))
    in_pounds = msgspec.structs.replace(in_pounds, version=2)
    planned = ChangeCheck([ObjectsThen(1, [moved, in_pounds], [moved, euros])])
    assert check_here(switch, planned).currencies == {"shop": "GBP"}


async def test_only_changes_by_which_accounts_have_their_currency_cost_a_load_without_them(
    config: Path, switch: ConfiguredSwitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[int] = []
    with_versions = Loads.with_versions

    def counted(self: Loads, versions: Sequence[ObjectVersion]) -> Loaded:
        loads.append(len(versions))
        return with_versions(self, versions)

    monkeypatch.setattr(Loads, "with_versions", counted)
    database = Database(f"sqlite+aiosqlite:///{config.parent}/vosd.db")
    group = version("g", '{"rates":[{"prefix":"44","billing_rate":"1"}],"currency":"EUR"}', kind="rate_groups", at=0)
    template = version("t", '{"rate_group":"g"}', kind="templates", at=0)
    await SqlObjects(database).add([group, template, version("euro", '{"template":"t"}', at=0)])
    await database.close()

    def currencies(body: str, of: ObjectVersion, *planned: ObjectVersion) -> tuple[Mapping[str, str], int]:
        loads.clear()
        change = msgspec.structs.replace(of, body=body, version=9, begins_at=5)
        return check_here(switch, ChangeCheck([*states_of([change], planned)])).currencies, len(loads)

    assert currencies('{"rate_group":"g","max_cps":"3"}', template) == ({}, 1)
    assert currencies('{"rate_group":"sell"}', template) == ({"euro": "USD"}, 2)
    assert currencies('{"currency":"GBP"}', template) == ({"euro": "GBP"}, 2)
    assert currencies('{"rates":[{"prefix":"44","billing_rate":"2"}],"currency":"EUR"}', group) == ({}, 1)
    assert currencies('{"rates":[{"prefix":"44","billing_rate":"1"}],"currency":"GBP"}', group) == ({"euro": "GBP"}, 2)
    for key in CURRENCY_KEYS:
        before = version("t", f'{{"{key}":"g"}}', kind="templates", number=2, at=4)
        assert currencies(f'{{"{key}":"sell"}}', template, before) == ({"euro": "USD"}, 2), key
    planned = version("t", '{"rate_group":"sell"}', kind="templates", number=2, at=4)
    assert currencies('{"rate_group":"sell","max_cps":"3"}', template, planned) == ({}, 1)
    assert currencies('{"rate_group":"g","max_cps":"3"}', template, planned) == ({"euro": "EUR"}, 2)


async def test_accounts_have_their_currency_from_the_template_of_their_rate_group(
    config: Path, switch: ConfiguredSwitch
) -> None:
    database = Database(f"sqlite+aiosqlite:///{config.parent}/vosd.db")
    rates = '"rates":[{"prefix":"44","billing_rate":"1"}]'
    in_euros, in_pounds = (
        version(name, f'{{"currency":"{code}"}}', kind="templates", at=0)
        for name, code in (("in_euros", "EUR"), ("in_pounds", "GBP"))
    )
    group = version("g", f'{{"template":"in_euros",{rates}}}', kind="rate_groups", at=0)
    await SqlObjects(database).add([in_euros, in_pounds, group, version("euro", '{"rate_group":"g"}', at=0)])
    await database.close()
    moved = version("g", f'{{"template":"in_pounds",{rates}}}', kind="rate_groups", number=2)
    assert check_here(switch, ChangeCheck([*states_of([moved], [])])).currencies == {"euro": "GBP"}


async def test_an_object_that_moves_into_a_file_may_set_the_currency_of_accounts(
    config: Path, switch: ConfiguredSwitch
) -> None:
    database = Database(f"sqlite+aiosqlite:///{config.parent}/vosd.db")
    group = version("g", '{"rates":[{"prefix":"44","billing_rate":"1"}],"currency":"EUR"}', kind="rate_groups", at=0)
    template = version("t", '{"rate_group":"sell"}', kind="templates", at=0)
    by_group, by_template = version("grouped", '{"rate_group":"g"}', at=0), version("shaped", '{"template":"t"}', at=0)
    await SqlObjects(database).add([group, template, by_group, by_template, version("own", "{}", at=0)])
    await database.close()
    written = """\
rate_groups: [{name: g, currency: GBP, rates: [{prefix: "44", billing_rate: "1"}]}]
templates: {t: {currency: CHF}}
accounts: [{id: own, currency: JPY}]
"""
    include(config, written)
    own = version("own", "{}")
    ended = [msgspec.structs.replace(each, body=None, version=2, begins_at=1) for each in (group, template, own)]
    found = check_here(switch, ChangeCheck([*states_of(ended, [])])).currencies
    assert (found["grouped"], found["shaped"], found["own"]) == ("GBP", "CHF", "JPY")


async def test_no_planned_change_gives_an_account_another_currency_than_it_has_now(
    config: Path, switch: ConfiguredSwitch
) -> None:
    database = Database(f"sqlite+aiosqlite:///{config.parent}/vosd.db")
    group = version("g", '{"rates":[{"prefix":"44","billing_rate":"1"}],"currency":"EUR"}', kind="rate_groups", at=0)
    template = version("t", '{"rate_group":"g"}', kind="templates", at=0)
    await SqlObjects(database).add([group, template, version("euro", '{"template":"t"}', at=0)])
    await database.close()

    def planned(*change: ObjectVersion, known: Sequence[ObjectVersion] = (), later: bool = True) -> Mapping[str, str]:
        states = [*states_of([msgspec.structs.replace(each, version=9, begins_at=5) for each in change], known)]
        return check_here(switch, ChangeCheck(states, is_planned=later)).currencies

    in_dollars = msgspec.structs.replace(template, body='{"rate_group":"sell"}')
    own = version("shop", '{"currency":"EUR"}')
    refused = {"accounts[shop].currency": (own,), "accounts[euro].currency": (in_dollars,)}
    for key, change in refused.items():
        with pytest.raises(ConfigError, match="the currency that this account has until then") as raised:
            planned(*change)
        assert [each.key for each in raised.value.problems] == [key]
        assert planned(*change, later=False)
    assert planned(version("new", '{"currency":"EUR"}')) == {"new": "EUR"}
    assert planned(version("shop", '{"rate_group":"sell","max_cps":"3"}')) == {"shop": "USD"}
    before = version("shop", '{"currency":"EUR"}', number=2, at=5)
    back = version("shop", '{"rate_group":"sell"}')
    assert planned(back, known=[before]) == {"shop": "USD"}, "what was planned before is called off"


async def test_no_account_gets_another_currency_by_what_was_planned_before(
    config: Path, switch: ConfiguredSwitch
) -> None:
    database = Database(f"sqlite+aiosqlite:///{config.parent}/vosd.db")
    rates = '"rates":[{"prefix":"44","billing_rate":"1"}]'
    group = version("g", f'{{{rates},"currency":"EUR"}}', kind="rate_groups", at=0)
    template = version("t", '{"rate_group":"g"}', kind="templates", at=0)
    await SqlObjects(database).add([group, template, version("own", '{"currency":"EUR"}', at=0)])
    await database.close()
    in_dollars = msgspec.structs.replace(group, body=f'{{{rates},"currency":"USD"}}', version=2, begins_at=7)

    def checked(*change: ObjectVersion, known: Sequence[ObjectVersion] = (), at: int = 1) -> Mapping[str, str]:
        made = [msgspec.structs.replace(each, version=9, begins_at=at) for each in change]
        states, earlier = [*states_of(made, known)], [*states_before(made, known)]
        return check_here(switch, ChangeCheck(states, is_planned=at > 1, earlier=earlier)).currencies

    def refused(*change: ObjectVersion, known: Sequence[ObjectVersion], at: int = 1) -> list[str]:
        with pytest.raises(ConfigError, match="the currency that this account has until then") as raised:
            checked(*change, known=known, at=at)
        return [f"{each.file}: {each.key}" for each in raised.value.problems]

    new, moved = version("new", '{"rate_group":"g"}'), version("own", '{"rate_group":"g"}')
    by_template = version("new", '{"template":"t"}')
    begun = "rate_groups g (version 2) in the database: begins_at"
    assert refused(new, known=[in_dollars]) == [
        begun,
        "accounts new (version 9) in the database: accounts[new].currency",
    ]
    assert refused(by_template, known=[in_dollars])[0] == begun
    assert refused(moved, known=[in_dollars]) == [
        begun,
        "accounts own (version 9) in the database: accounts[own].currency",
    ]
    assert refused(new, known=[in_dollars], at=5)[0] == begun
    assert checked(new, known=[in_dollars], at=7) == {"new": "USD"}
    assert checked(version("own", '{"currency":"EUR","max_cps":"3"}'), known=[in_dollars]) == {"own": "EUR"}

    first = version("later", '{"currency":"EUR"}', at=4)
    gone = version("later", None, number=2, at=5)
    then = version("later", '{"currency":"USD"}')
    for known in ([first], [first, gone], [first, version("more", "{}", at=5, kind="templates")]):
        place = "accounts later (version 9) in the database: accounts[later].currency"
        assert refused(then, known=known, at=7) == [place]
        assert checked(version("later", '{"currency":"EUR"}'), known=known, at=7) == {"later": "EUR"}
    assert checked(then, known=[first], at=4) == {"later": "USD"}, "the first one is called off"
    assert refused(then, known=[first])[0] == "accounts later (version 1) in the database: begins_at"

    # What was stored before such changes were refused is mended by others, and keeps none of them out.
    bad = version("new", '{"rate_group":"g"}', at=3)
    assert checked(version("other", "{}"), known=[bad, in_dollars]) == {"other": "USD"}
    assert checked(version("other", "{}"), known=[bad, in_dollars], at=4) == {"other": "USD"}
    with pytest.raises(ConfigError, match=r"accounts\[other\].currency"):
        checked(version("other", '{"rate_group":"g"}'), known=[in_dollars])
    assert checked(msgspec.structs.replace(group, version=3), known=[bad, in_dollars], at=7) == {"new": "EUR"}


async def test_the_later_moments_of_a_change_by_which_no_account_gets_another_currency_are_loaded_alone(
    switch: ConfiguredSwitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[list[str]] = []
    with_versions = Loads.with_versions

    def noted(self: Loads, versions: Sequence[ObjectVersion]) -> Loaded:
        loads.append([f"{each.name} {each.version}" for each in versions])
        return with_versions(self, versions)

    monkeypatch.setattr(Loads, "with_versions", noted)
    known = [version("other", "{}", at=4), version("t", "{}", kind="templates", at=5), BY_TCP]
    known[2] = msgspec.structs.replace(BY_TCP, begins_at=6)

    def loaded(body: str, at: int) -> list[list[str]]:
        loads.clear()
        change = [version("shop", body, number=2, at=at)]
        states, earlier = [*states_of(change, known)], [*states_before(change, known)]
        check_here(switch, ChangeCheck(states, is_planned=at > 1, earlier=earlier))
        return loads

    assert loaded('{"rate_group":"sell","max_cps":"3"}', 7) == [["other 1", "t 1", "tcp 1", "shop 2"]]
    assert loaded('{"currency":"USD"}', 7) == [
        ["other 1", "t 1", "tcp 1", "shop 2"], [], ["other 1"], ["other 1", "t 1"],
    ]  # fmt: skip
    with_change = [
        ["shop 2"],
        ["other 1", "shop 2"],
        ["other 1", "t 1", "shop 2"],
        ["other 1", "t 1", "tcp 1", "shop 2"],
    ]
    assert loaded('{"rate_group":"sell","max_cps":"3"}', 1) == with_change
    assert loaded('{"currency":"USD"}', 1) == with_change


async def test_a_later_check_reads_only_what_has_changed_since(
    config: Path, switch: ConfiguredSwitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int] | None] = []
    current = SqlObjects.current

    async def noted(self: SqlObjects, at: int, since: tuple[int, int] | None = None) -> Objects:
        asked.append(since)
        return await current(self, at, since)

    monkeypatch.setattr(SqlObjects, "current", noted)
    last, change = LastLoad(), ChangeCheck([ObjectsThen(1, [version("new", "{}")], [])], ["shop"])
    first = check_here(switch, change, last)
    account = first.accounts["shop"]
    loaded = last.remembered.whole["accounts"].sound["acme"]
    database = Database(f"sqlite+aiosqlite:///{config.parent}/vosd.db")
    await SqlObjects(database).add([version("shop", '{"overdraft_limit":"5"}', number=2)])
    await database.close()
    later = check_here(switch, change, last)
    assert asked[0] is None
    assert [None if each is None else each[0] for each in asked[1:]] == [first.definitions]
    assert (later.definitions or 0) > (first.definitions or 0)
    assert (account.overdraft_limit, later.accounts["shop"].overdraft_limit) == (0, 5)
    assert last.remembered.whole["accounts"].sound["acme"] is loaded


async def test_the_first_check_of_a_copy_of_a_start_reads_what_has_changed_since(
    config: Path, switch: ConfiguredSwitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = await asyncio.to_thread(load_at_start, config, StoredDefinitions(SqlDecks, SqlObjects).read)
    assert started.wanted is not None
    last = LastLoad.of_start(started.remembered, started.wanted)
    database = Database(f"sqlite+aiosqlite:///{config.parent}/vosd.db")
    await SqlObjects(database).add([version("shop", '{"overdraft_limit":"5"}', number=2)])
    await database.close()
    asked = ChangeCheck([ObjectsThen(1, [version("new", '{"agent":"shop"}')], [])], ["acme", "shop"])
    anew = check_here(switch, asked)

    def every_object(_stored: Stored) -> NoReturn:
        raise AssertionError("everything is read")

    monkeypatch.setattr(loading, "every_object", every_object)
    assert check_here(switch, asked, last) == anew
    assert anew.accounts["shop"].overdraft_limit == 5


async def test_a_copy_of_a_start_notices_that_the_database_was_put_back_since(
    config: Path, switch: ConfiguredSwitch
) -> None:
    file, copy = config.parent / "vosd.db", config.parent / "copy.db"
    shutil.copy(file, copy)

    async def add(limit: str, made_at: int) -> None:
        database = Database(f"sqlite+aiosqlite:///{file}")
        changed = version("shop", f'{{"overdraft_limit":"{limit}"}}', number=2)
        await SqlObjects(database).add([msgspec.structs.replace(changed, made_at=made_at)])
        await database.close()

    await add("5", 1)
    started = await asyncio.to_thread(load_at_start, config, StoredDefinitions(SqlDecks, SqlObjects).read)
    assert started.wanted is not None
    shutil.copy(copy, file)
    await add("6", 2)
    last = LastLoad.of_start(started.remembered, started.wanted)
    found = check_here(switch, ChangeCheck([ObjectsThen(1, [], [])], ["shop"]), last)
    assert found.accounts["shop"].overdraft_limit == 6


async def test_objects_that_the_switch_has_kept_are_taken_for_the_first_check_alone(
    config: Path, switch: ConfiguredSwitch
) -> None:
    definitions = StoredDefinitions(SqlDecks, SqlObjects)
    loaded = await asyncio.to_thread(load, config, definitions=definitions.read)
    KeptCatalogue(loaded.settings.state_dir).keep(loaded.stored, loaded.texts)
    last, change = LastLoad(), ChangeCheck([ObjectsThen(1, [], [])], ["shop"])
    assert check_here(switch, change, last).accounts["shop"].overdraft_limit == 0
    database = Database(f"sqlite+aiosqlite:///{config.parent}/vosd.db")
    await SqlObjects(database).add([version("shop", '{"overdraft_limit":"5"}', number=2)])
    await database.close()
    assert check_here(switch, change, last).accounts["shop"].overdraft_limit == 5


def test_a_check_goes_by_the_database_that_the_file_names_now(
    config: Path, switch: ConfiguredSwitch, tmp_path: Path
) -> None:
    last, change = LastLoad(), ChangeCheck([ObjectsThen(1, [], [])], ["acme", "shop"])
    assert check_here(switch, change, last).accounts.keys() == {"acme", "shop"}
    migrated(tmp_path / "other.db")
    config.write_text(config.read_text().replace("vosd.db", "other.db"))
    with closing(ConfiguredSwitch(config)) as moved:
        assert check_here(moved, change, last).accounts.keys() == {"acme"}
    assert last.stored is not None
    assert not any(last.stored.objects.values())


def test_a_check_begins_anew_where_memory_was_short(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[LastLoad | None] = []

    def check(switch: ConfiguredSwitch, asked: ChangeCheck, last: LastLoad | None) -> CheckedObjects:
        seen.append(last)
        if len(seen) == 2:
            raise MemoryError
        return check_here(switch, asked, last)

    monkeypatch.setattr(check_process, "check_here", check)
    monkeypatch.setattr(check_process.gc, "unfreeze", lambda: None)  # the past of the test process stays frozen
    checker, question = check_process.Checker(), pickle.dumps((config, ChangeCheck([ObjectsThen(1, [], [])], ["shop"])))
    first, second = checker.answer(question), checker.answer(question)
    assert pickle.loads(first).accounts.keys() == pickle.loads(second).accounts.keys() == {"shop"}
    assert seen[0] is seen[1]
    assert seen[1] is not seen[2]
    other = config.with_name("other.yaml")
    other.write_text(config.read_text())
    checker.answer(pickle.dumps((other, ChangeCheck([ObjectsThen(1, [], [])]))))
    assert seen[3] not in seen[:3], "each file has its own"


@pytest.mark.parametrize(
    ("body", "mistake"),
    [
        ('{"rate_group":"none"}', r"accounts\[new\].rate_group: value 'none'"),
        ('{"rate_group":"sell","max_cps":"x"}', r"accounts\[new\].max_cps: value 'x'"),
    ],
)
def test_a_change_with_a_mistake_reads_no_other_objects(
    switch: ConfiguredSwitch, monkeypatch: pytest.MonkeyPatch, body: str, mistake: str
) -> None:
    last = LastLoad()
    check_here(switch, ChangeCheck([ObjectsThen(1, [], [])]), last)

    def every_object(_stored: Stored) -> NoReturn:
        raise AssertionError("everything is read")

    monkeypatch.setattr(loading, "every_object", every_object)
    for _ in range(2):
        with pytest.raises(ConfigError, match=mistake) as refused:
            check_here(switch, ChangeCheck([ObjectsThen(1, [version("new", body)], [])]), last)
        assert len(refused.value.problems) == 1
    found = check_here(switch, ChangeCheck([ObjectsThen(1, [version("new", "{}")], [])], ["new", "shop"]), last)
    assert found.accounts.keys() == {"new", "shop"}


def test_each_mistake_of_a_change_is_named_though_nothing_else_is_put_together_again(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trunk = "mapping_gateways: [{name: pbx, account: acme, auth: {username: pbx, password: long-enough-1}}]"
    config.write_text(f"{config.read_text()}{trunk}\ndids: [{{number: '4420', account: shop, trunk: pbx}}]\n")
    wrong = [
        version("shop", None, number=2),
        version("new", '{"rate_group":"none"}'),
        version("t", '{"account":"shop","hosts":["192.0.2.77"]}', kind="mapping_gateways"),
    ]
    last, asked = LastLoad(), ChangeCheck([ObjectsThen(1, wrong, [])])
    with closing(ConfiguredSwitch(config)) as switch:
        check_here(switch, ChangeCheck([ObjectsThen(1, [], [])]), last)
        with pytest.raises(ConfigError) as read_anew:
            check_here(switch, asked)

        def whole(*_: object) -> NoReturn:
            raise AssertionError("all is put together")

        monkeypatch.setattr(assemble, "_whole", whole)
        with pytest.raises(ConfigError) as refused:
            check_here(switch, asked, last)
        assert refused.value.problems == read_anew.value.problems
        assert {each.key for each in refused.value.problems} == {
            "accounts[new].rate_group", "dids[4420].account", "mapping_gateways[t].account",
        }  # fmt: skip
        assert check_here(switch, ChangeCheck([ObjectsThen(1, wrong[:0], [])], ["shop"]), last).accounts.keys() == {
            "shop"
        }
