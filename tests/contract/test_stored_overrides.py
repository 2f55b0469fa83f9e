"""What ``OverrideStore`` promises, over memory, SQLite and MariaDB."""

import asyncio

import msgspec
import pytest
from doubles.data.records import STARTED
from doubles.statements import statements_of

from vosd.catalogue.overrides import Override, Setting, Target
from vosd.catalogue.ports import LaterOverride, OverrideAction
from vosd.storage import overrides as stored
from vosd.storage.audit_line import AuditLine
from vosd.storage.database import Database
from vosd.storage.driver_errors import ContentRefused
from vosd.storage.overrides import SqlOverrides

HOUR_MS = 3_600_000
BLOCK = Override(Target.ROUTING, "carrier-a", Setting.BLOCKED, "", "ann", STARTED, memo="no answer, ticket 4711")
LIMIT = Override(Target.ROUTING, "carrier-a", Setting.MAX_CONCURRENT, "5", "ann", STARTED, STARTED + HOUR_MS)
CREDIT = Override(Target.ACCOUNT, "acme", Setting.OVERDRAFT_LIMIT, "12.50", "bob", STARTED)


async def held(store) -> list[Override]:
    return [*(await store.overrides.load()).by_key.values()]


async def test_what_was_set_is_read_as_it_was_set(store):
    await store.overrides.put([LIMIT, BLOCK, CREDIT], STARTED)
    assert await held(store) == [CREDIT, BLOCK, LIMIT]


async def test_a_later_override_of_the_same_setting_replaces_the_earlier(store):
    await store.overrides.put([LIMIT], STARTED)
    later = msgspec.structs.replace(LIMIT, value="7", operator="bob", since=STARTED + 1, until=None, memo="more")
    await store.overrides.put([later], STARTED + 1)
    assert await held(store) == [later]


async def test_the_same_name_of_another_kind_is_another_object(store):
    twin = msgspec.structs.replace(BLOCK, target=Target.MAPPING)
    await store.overrides.put([BLOCK, twin], STARTED)
    assert await store.overrides.clear([BLOCK.key], "bob", STARTED) == [BLOCK]
    assert await held(store) == [twin]


async def test_clearing_returns_what_there_was(store):
    await store.overrides.put([BLOCK], STARTED)
    assert await store.overrides.clear([LIMIT.key, BLOCK.key, BLOCK.key], "bob", STARTED + 5) == [BLOCK]
    assert await store.overrides.clear([BLOCK.key], "bob", STARTED + 6) == []
    assert await held(store) == []


async def test_an_override_that_was_set_after_the_one_that_was_seen_is_not_cleared(store):
    later = msgspec.structs.replace(BLOCK, since=BLOCK.since + 1, memo="fraud")
    await store.overrides.put([LIMIT, later], STARTED + 1)
    with pytest.raises(LaterOverride, match="was set anew at"):
        await store.overrides.clear([LIMIT.key, BLOCK.key], "bob", STARTED + 2, seen_at=BLOCK.since)
    assert await held(store) == [later, LIMIT]
    assert await store.overrides.clear([BLOCK.key], "bob", STARTED + 2, seen_at=later.since) == [later]


async def test_every_change_changes_the_version_and_reading_does_not(store):
    seen = [await store.overrides.version()]
    await store.overrides.put([BLOCK, LIMIT], STARTED)
    seen.append(await store.overrides.version())
    assert (await store.overrides.load()).version == seen[-1] == await store.overrides.version()
    await store.overrides.clear([BLOCK.key], "ann", STARTED)
    seen.append(await store.overrides.version())
    await store.overrides.expire(STARTED + HOUR_MS)
    seen.append(await store.overrides.version())
    assert len(set(seen)) == len(seen)


async def test_what_has_expired_stays_until_it_is_noted(store):
    await store.overrides.put([LIMIT, BLOCK], STARTED)
    assert LIMIT in await held(store)
    await store.overrides.expire(STARTED + HOUR_MS - 1)
    assert LIMIT in await held(store)
    await store.overrides.expire(STARTED + HOUR_MS)
    assert await held(store) == [BLOCK]


async def test_each_change_is_on_record_with_who_and_when(store):
    await store.overrides.put([BLOCK, LIMIT], STARTED)
    await store.overrides.clear([BLOCK.key], "bob", STARTED + 60_000)
    await store.overrides.put([CREDIT], STARTED + 2 * HOUR_MS)  # notes what has expired by then
    found = await store.overrides.changes(10)
    assert [(each.action, each.override.setting, each.operator, each.at - STARTED) for each in found] == [
        (OverrideAction.SET, Setting.OVERDRAFT_LIMIT, "bob", 2 * HOUR_MS),
        (OverrideAction.EXPIRED, Setting.MAX_CONCURRENT, None, HOUR_MS),
        (OverrideAction.CLEARED, Setting.BLOCKED, "bob", 60_000),
        (OverrideAction.SET, Setting.MAX_CONCURRENT, "ann", 0),
        (OverrideAction.SET, Setting.BLOCKED, "ann", 0),
    ]
    assert found[2].override == BLOCK
    assert await store.overrides.changes(1) == found[:1]
    assert await store.overrides.changes(10, after=found[0].id) == found[1:]
    assert await store.overrides.changes(10, "acme") == found[:1]


async def test_a_change_has_its_line_in_the_audit_and_what_changes_nothing_has_none(store):
    lines = [
        AuditLine(STARTED, "ann", "operator", "ann", "terminal", "", action, "carrier-a", "{}")
        for action in ("BlockGateway", "UnblockGateway")
    ]
    await store.overrides.put([BLOCK], STARTED, audit=lines[0])
    await store.overrides.put([LIMIT], STARTED)
    for _ in range(2):
        await store.overrides.clear([BLOCK.key], "ann", STARTED, lines[1])
    assert [each._replace(number=None) for each in await store.audit()] == lines


async def test_a_text_that_is_too_long_is_cut_and_such_a_name_is_refused(store):
    wordy = msgspec.structs.replace(BLOCK, memo="m" * 300, operator="o" * 100)
    await store.overrides.put([wordy], STARTED)
    (found,) = await held(store)
    assert (found.memo, found.operator) == ("m" * 255, "o" * 64)
    await store.overrides.clear([BLOCK.key], "o" * 100, STARTED)
    assert (await store.overrides.changes(1))[0].operator == "o" * 64
    with pytest.raises(ContentRefused):
        await store.overrides.put([BLOCK, msgspec.structs.replace(BLOCK, name="n" * 65)], STARTED)
    assert await held(store) == []


async def test_two_operators_at_once_lose_no_change(database_url):
    databases = [Database(database_url) for _ in range(2)]
    try:
        stores = [SqlOverrides(database) for database in databases]
        for store in stores:
            await store.clear([BLOCK.key, *((await store.load()).by_key)], "ann", STARTED)
        before = len(await stores[0].changes(1_000))
        wanted = [
            msgspec.structs.replace(BLOCK, name=f"g{index % 3}", memo=str(index), operator="ann") for index in range(12)
        ]
        await asyncio.gather(*(stores[index % 2].put([each], STARTED) for index, each in enumerate(wanted)))
        assert len((await stores[1].load()).by_key) == 3
        assert len(await stores[1].changes(1_000)) == before + 12
    finally:
        for database in databases:
            await database.close()


async def test_a_change_has_the_value_before_and_can_be_listed_for_one_kind_of_object(store):
    await store.overrides.put([CREDIT], STARTED)
    twin = msgspec.structs.replace(BLOCK, name="acme", target=Target.MAPPING)
    await store.overrides.put([msgspec.structs.replace(CREDIT, value="20.00"), twin], STARTED + 1)
    await store.overrides.clear([CREDIT.key], "bob", STARTED + 2)
    changes = await store.overrides.changes(10, "acme", Target.ACCOUNT)
    assert [(each.action, each.before, each.override.value) for each in changes] == [
        (OverrideAction.CLEARED, None, "20.00"),
        (OverrideAction.SET, "12.50", "20.00"),
        (OverrideAction.SET, None, "12.50"),
    ]


async def test_the_value_before_the_first_change_is_the_one_that_was_configured(store):
    later = msgspec.structs.replace(CREDIT, value="7", since=STARTED + 1)
    for now, each in enumerate((CREDIT, later), STARTED):
        await store.overrides.put([each], now, {CREDIT.key: "3.50"})
    assert [each.before for each in await store.overrides.changes(10)] == [CREDIT.value, "3.50"]


async def test_a_change_reads_none_of_the_others_that_are_in_force(database, monkeypatch):
    overrides, made, read = SqlOverrides(database), stored._override_of, []
    others = [msgspec.structs.replace(BLOCK, name=f"carrier-{number}") for number in range(5)]
    await overrides.put([*others, CREDIT], STARTED)
    monkeypatch.setattr(stored, "_override_of", lambda row: read.append(row.name) or made(row))
    await overrides.put([msgspec.structs.replace(CREDIT, value="20", since=STARTED + 1)], STARTED + 1)
    await overrides.clear([CREDIT.key], "bob", STARTED + 2)
    assert read == ["acme", "acme"]
    assert await overrides.clear([each.key for each in others], "bob", STARTED + 3) == others


async def test_a_change_finds_its_names_by_the_key_of_the_table(database):
    """It begins with the kind of object: by the name alone the database would read all that are in force."""
    overrides = SqlOverrides(database)
    with statements_of(database, ".name IN") as asked:
        await overrides.put([CREDIT], STARTED)
        await overrides.clear([CREDIT.key], "bob", STARTED + 1)
    assert [".target IN" in each.text for each in asked] == [True, True]


async def test_others_get_their_turn_while_many_overrides_are_read(database, monkeypatch):
    overrides, made, seen = SqlOverrides(database), stored._override_of, []
    many = [msgspec.structs.replace(BLOCK, name=f"carrier-{number}") for number in range(6)]
    await overrides.put(many, STARTED)
    monkeypatch.setattr(stored, "_MADE_AT_ONCE", 2)
    monkeypatch.setattr(stored, "_override_of", lambda row: seen.append("read") or made(row))

    async def other():
        while True:
            seen.append("other")
            await asyncio.sleep(0)

    beside = asyncio.create_task(other())
    read = await overrides.load()
    beside.cancel()
    assert [*read.by_key.values()] == many
    reads = seen[seen.index("read") :]
    assert [place for place, each in enumerate(reads) if each == "read"][:6] == [0, 1, 3, 4, 6, 7]


async def test_the_overrides_of_a_name_are_those_of_every_kind_of_object_and_no_other_is_read(database, monkeypatch):
    overrides, made, read = SqlOverrides(database), stored._override_of, []
    twin = msgspec.structs.replace(BLOCK, target=Target.MAPPING)
    a_class = Override(Target.DESTINATION, "acme/premium", Setting.BLOCKED, "", "ann", STARTED)
    await overrides.put([LIMIT, BLOCK, twin, CREDIT, a_class], STARTED)
    monkeypatch.setattr(stored, "_override_of", lambda row: read.append(row.name) or made(row))
    assert [*(await overrides.load("carrier-a")).by_key.values()] == [twin, BLOCK, LIMIT]
    assert [*(await overrides.load("acme/premium")).by_key.values()] == [a_class]
    assert read == ["carrier-a", "carrier-a", "carrier-a", "acme/premium"]
    assert not (await overrides.load("Carrier-A")).by_key


async def test_the_overrides_of_a_moment_of_the_past_are_those_that_were_in_force_then(database):
    overrides = SqlOverrides(database)
    await overrides.put([LIMIT, BLOCK], STARTED)
    await overrides.put([msgspec.structs.replace(CREDIT, value="20", since=STARTED + 5)], STARTED + 5)
    await overrides.clear([BLOCK.key], "bob", STARTED + 10)
    moments = {
        STARTED - 1: [],
        STARTED + 5: ["acme", "carrier-a", "carrier-a"],
        STARTED + 10: ["acme", "carrier-a"],
        STARTED + HOUR_MS: ["acme"],
    }
    for at, names in moments.items():
        assert sorted(each.name for each in (await overrides.at(at)).by_key.values()) == names
