"""Promises of ``SqlObjects``, over SQLite and MariaDB."""

import sys
from collections import Counter
from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest
from doubles.data.records import STARTED
from doubles.statements import statements_of

from vosd.catalogue.stored_objects import DefinitionsMoved, ObjectsMoved, ObjectVersion
from vosd.storage.definitions import version_in
from vosd.storage.driver_errors import ContentRefused
from vosd.storage.payments import SqlPayments
from vosd.storage.ports import EntryKind, OtherCurrency, Payment, ReferenceTaken
from vosd.storage.stored_objects import SqlObjects
from vosd.storage.waiting_payments import SqlWaitingPayments
from vosd.storage.waiting_values import NotWaiting, WaitingPayment

HOUR_MS = 3_600_000
CALLS_OF_A_ROW_MAX = 22
"""Functions of Python that are called for one more object; a start reads some hundred thousand."""
ACME = ObjectVersion(
    kind="accounts",
    name="acme",
    version=1,
    body='{"currency":"EUR"}',
    begins_at=STARTED,
    made_at=STARTED,
    operator="ann",
    memo="ticket 4711",
)
TRUNK = msgspec.structs.replace(ACME, kind="mapping_gateways", name="acme", body='{"account":"acme"}', memo=None)


def next_of(each: ObjectVersion, **changes: object) -> ObjectVersion:
    return msgspec.structs.replace(each, version=each.version + 1, **changes)


@pytest.fixture
def objects(database) -> SqlObjects:
    return SqlObjects(database)


async def in_force(objects: SqlObjects, at: int, since: tuple[int, int] | None = None) -> list[ObjectVersion]:
    return [*(await objects.current(at, since)).found]


async def test_an_object_is_read_as_it_was_added_and_by_its_kind(objects):
    await objects.add([TRUNK, ACME])
    assert await in_force(objects, STARTED) == [ACME, TRUNK]
    assert await objects.history("accounts", "acme") == [ACME]
    assert await objects.all_versions({"mapping_gateways"}) == [TRUNK]


async def test_an_object_is_read_as_it_was_added_whatever_it_contains(objects):
    odd = [
        msgspec.structs.replace(ACME, name="a", memo="", operator="+", made_at=STARTED + 1, begins_at=STARTED - 1),
        msgspec.structs.replace(ACME, name="b c'\\\"%s", memo="+\n\x01 é 漢 🙂", operator="Ann Ö. +1"),
        msgspec.structs.replace(ACME, name="d", body='{"x":"\\u0000 é 🙂 \\\\ %s"}', memo=None, begins_at=0),
        msgspec.structs.replace(ACME, name="e", body=None, memo="\x1f", begins_at=1, made_at=999),
        msgspec.structs.replace(ACME, name="f", version=2_000_000_000),
    ]
    await objects.add(odd)
    assert await in_force(objects, STARTED) == odd
    assert [(await objects.history("accounts", each.name))[0] for each in odd] == odd


async def calls_of_reading(objects: SqlObjects) -> int:
    """Return how many functions this thread calls while all objects are read."""
    numbers = Counter[str]()
    sys.setprofile(lambda _frame, event, _argument: numbers.update([event]))
    try:
        await objects.current(STARTED)
    finally:
        sys.setprofile(None)
    return numbers["call"]


async def test_one_more_object_is_read_with_few_calls(objects):
    await objects.add([msgspec.structs.replace(ACME, name=f"a{number}") for number in range(100)])
    await objects.current(STARTED)
    few = await calls_of_reading(objects)
    await objects.add([msgspec.structs.replace(ACME, name=f"b{number}") for number in range(400)])
    each = (await calls_of_reading(objects) - few) / 400
    assert each <= CALLS_OF_A_ROW_MAX, f"{each:.1f} calls"


async def test_versions_that_were_checked_with_other_definitions_are_not_added(objects, database):
    async def version() -> int:
        async with database.reading() as connection:
            return await version_in(connection)

    checked = await version()
    await objects.add([ACME], checked=checked)
    with pytest.raises(DefinitionsMoved):
        await objects.add([TRUNK], checked=checked)
    assert await in_force(objects, STARTED) == [ACME]
    assert await version() == checked + 1
    await objects.add([TRUNK], checked=checked + 1)
    assert await in_force(objects, STARTED) == [ACME, TRUNK]


async def test_the_last_change_up_to_a_version_of_all_definitions_stays_the_same(objects, database):
    async with database.reading() as connection:
        before = await version_in(connection)
    assert await objects.last_change(before) is None
    await objects.add([ACME, TRUNK])
    await objects.add([next_of(ACME, made_at=STARTED + 1)])
    assert await objects.last_change(before) is None
    assert await objects.last_change(before + 1) == (before + 1, STARTED)
    for later in (2, 3):
        assert await objects.last_change(before + later) == (before + 2, STARTED + 1)


async def test_planned_versions_are_listed_the_first_to_begin_first(objects):
    later = next_of(ACME, body=None, begins_at=STARTED + 2)
    trunk = next_of(TRUNK, begins_at=STARTED + 1)
    await objects.add([ACME, TRUNK, later, trunk])
    assert await objects.planned(STARTED) == [trunk, later]
    assert await objects.planned(STARTED + 1) == [later]


async def test_the_version_that_began_last_is_in_force_and_the_others_stay_to_be_seen(objects):
    later = next_of(ACME, body='{"currency":"USD"}', begins_at=STARTED + HOUR_MS)
    await objects.add([ACME])
    await objects.add([later])
    assert await in_force(objects, STARTED + HOUR_MS - 1) == [ACME]
    assert (await objects.current(STARTED)).next_at == STARTED + HOUR_MS
    assert await in_force(objects, STARTED + HOUR_MS) == [later]
    assert (await objects.current(STARTED + HOUR_MS)).next_at is None
    assert await objects.history("accounts", "acme") == [later, ACME]


async def test_of_two_versions_that_begin_together_the_later_made_holds(objects):
    again = next_of(ACME, body='{"currency":"USD"}')
    await objects.add([ACME])
    await objects.add([again])
    assert await in_force(objects, STARTED) == [again]


async def test_what_was_ordered_to_hold_at_once_by_a_clock_ahead_holds_once_the_clock_is_right(objects):
    """Else who was blocked meanwhile would call again, and a price of before would hold."""
    ahead = {"begins_at": STARTED + HOUR_MS, "made_at": STARTED + HOUR_MS}
    blocked, ended = next_of(ACME, body='{"disabled":true}', **ahead), next_of(TRUNK, body=None, **ahead)
    planned = next_of(blocked, begins_at=STARTED + 2 * HOUR_MS)
    await objects.add([ACME, TRUNK])
    known = await objects.current(STARTED)
    await objects.add([blocked, ended])
    await objects.add([planned])
    assert await in_force(objects, STARTED + 1) == [blocked, ended]
    assert await in_force(objects, STARTED + 1, (known.version, STARTED)) == [blocked, ended]
    since = next_of(planned, body="{}", begins_at=STARTED + 2, made_at=STARTED + 2)
    await objects.add([since])
    assert await in_force(objects, STARTED + 2) == [since, ended], "the later order holds, whatever the clock said"


async def test_an_end_is_a_version_without_keys(objects):
    end = next_of(ACME, body=None, begins_at=STARTED + 5, memo=None)
    await objects.add([ACME])
    await objects.add([end])
    assert await in_force(objects, STARTED + 5) == [end]


async def test_a_reader_that_knows_a_version_and_a_moment_gets_only_what_has_changed(objects):
    await objects.add([ACME, TRUNK])
    known = await objects.current(STARTED)
    assert await in_force(objects, STARTED + 1, (known.version, STARTED)) == []
    changed = next_of(TRUNK, body='{"account":"other"}')
    planned = next_of(ACME, body=None, begins_at=STARTED + HOUR_MS)
    await objects.add([changed])
    await objects.add([planned])
    seen = await objects.current(STARTED + 1, (known.version, STARTED))
    assert [*seen.found] == [ACME, changed], "the account's plan was made meanwhile, and what holds is as it was"
    assert await in_force(objects, STARTED + 2, (seen.version, STARTED + 1)) == []
    assert await in_force(objects, STARTED + HOUR_MS, (seen.version, STARTED + 1)) == [planned]


async def test_each_change_advances_the_version_of_all_definitions(objects, database):
    before = (await objects.current(STARTED)).version
    await objects.add([ACME])
    async with database.reading() as connection:
        assert await version_in(connection) == before + 1


async def test_of_two_changes_of_the_same_version_the_second_is_refused_as_a_whole(objects):
    await objects.add([ACME])
    with pytest.raises(ObjectsMoved, match="do the same again"):
        await objects.add([TRUNK, ACME])
    assert await in_force(objects, STARTED) == [ACME]


async def test_a_name_that_no_column_holds_is_refused(objects):
    with pytest.raises(ContentRefused):
        await objects.add([msgspec.structs.replace(ACME, name="a" * 65)])
    assert await in_force(objects, STARTED) == []


async def test_thousands_of_objects_are_added_at_once(objects):
    many = [msgspec.structs.replace(ACME, name=f"a{number:05}") for number in range(5_000)]
    await objects.add(many)
    assert await in_force(objects, STARTED) == many


def opening(account: str, **more: object) -> Payment:
    return Payment(
        account=account, kind=EntryKind.ADJUSTMENT, reference="opening", made_at=STARTED, amount=Decimal(5), **more
    )


async def test_the_first_objects_are_read_by_kind_and_name_without_those_that_have_ended(objects):
    versions = [msgspec.structs.replace(ACME, name=f"a{number:05}") for number in range(10)]
    ended = [next_of(each, body=None) for each in versions[:3]]
    changed = next_of(versions[4], body="{}")
    planned = msgspec.structs.replace(ACME, name="a00005b", begins_at=STARTED + 1)
    await objects.add([TRUNK, *versions, *ended, changed, planned])
    left = [versions[3], changed, *versions[5:]]
    for most in range(1, 7):
        assert await objects.first(STARTED, most) == left[:most]
    assert await objects.first(STARTED, 100) == [*left, TRUNK]
    assert await objects.first(STARTED, 100, "accounts") == left
    assert await objects.first(STARTED, 100, "phones") == []


@pytest.mark.parametrize(
    ("beginning", "found"),
    [("a", ["a", "aa", "a-1", "a_1"]), ("a_", ["a_1"]), ("aa", ["aa"]), ("A", ["A"]), ("%", []), ("é", ["é1", "é😀"])],
)
async def test_the_first_objects_whose_names_begin_with_a_text_are_read(objects, beginning, found):
    await objects.add(
        [msgspec.structs.replace(ACME, name=name) for name in ("a", "A", "aa", "a-1", "a_1", "é1", "é😀")]
    )
    names = [each.name for each in await objects.first(STARTED, 100, "accounts", None, beginning)]
    assert names == sorted(found)
    behind = await objects.first(STARTED, 100, "accounts", "a-1", beginning)
    assert [each.name for each in behind] == [name for name in sorted(found) if name > "a-1"]


async def test_the_first_objects_are_read_in_few_statements_where_thousands_have_ended(objects, database):
    versions = [msgspec.structs.replace(ACME, name=f"a{number:05}") for number in range(3_000)]
    await objects.add([*versions, *(next_of(each, body=None) for each in versions[:-1])])
    with statements_of(database, "FROM definition") as asked:
        assert await objects.first(STARTED, 1) == versions[-1:]
    assert len(asked) <= 6, asked


@pytest.mark.parametrize("database_url", [pytest.param("mariadb", marks=pytest.mark.mariadb)], indirect=True)
@pytest.mark.parametrize("criteria", [{}, {"kind": "accounts"}, {"kind": "accounts", "after": "a00003"}])
async def test_the_first_objects_are_found_without_a_look_at_all_others(objects, database, criteria):
    await objects.add([msgspec.structs.replace(ACME, name=f"a{number:05}") for number in range(3_000)])
    with statements_of(database, "FROM definition") as asked:
        assert len(await objects.first(STARTED, 10, **criteria)) == 10
    async with database.reading() as connection:
        await connection.exec_driver_sql("FLUSH STATUS")
        for statement, parameters in asked:
            (await connection.exec_driver_sql(statement, parameters)).all()
        counts = (await connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Handler_read%%'")).all()
    assert sum(int(count) for _, count in counts) < 300, counts


async def test_payments_are_booked_with_objects_or_neither(objects, database):
    await objects.add([ACME], None, [opening("acme", currency="EUR"), opening("zeta")])
    receipt = await SqlPayments(database).earlier(opening("acme"))
    assert receipt is not None
    assert receipt.after == 5
    with pytest.raises(OtherCurrency):
        await objects.add([TRUNK], None, [opening("beta"), opening("acme", currency="USD")])
    assert await objects.history("mapping_gateways", "acme") == []
    assert await SqlPayments(database).earlier(opening("beta")) is None
    others = [opening("beta"), opening("acme"), replace(opening("acme"), amount=Decimal(6))]
    absent, known, taken = await SqlPayments(database).earlier_of(others)
    assert (absent, known, type(taken)) == (None, receipt, ReferenceTaken)


async def test_a_payment_that_was_refused_keeps_objects_away(objects, database):
    waiting, payments = SqlWaitingPayments(database), SqlPayments(database)
    asked = WaitingPayment(
        0, "acme", "", EntryKind.ADJUSTMENT, "opening", Decimal(9), False, None, "ann", "ann", STARTED
    )
    await objects.add([ACME], None, [], [asked])
    (found,) = await waiting.waiting()
    assert (found.account, found.amount) == ("acme", 9)
    await waiting.refuse(found.id, "bob", STARTED, None)
    with pytest.raises(NotWaiting, match="was refused: give another reference"):
        await objects.add([TRUNK], None, [opening("acme")], [asked])
    assert await objects.history("mapping_gateways", "acme") == []
    assert await payments.earlier(opening("acme")) is None


async def test_objects_are_read_by_their_names_alone(objects):
    plain = [msgspec.structs.replace(ACME, name=f"name-{index}") for index in range(4)]
    ended = msgspec.structs.replace(ACME, name="name-9", body=None)
    await objects.add([*plain, ended, TRUNK])
    assert await objects.named(STARTED, "accounts", ["name-3", "name-1", "name-9", "absent"]) == [plain[1], plain[3]]
    assert await objects.named(STARTED, "phones", ["name-1"]) == []
    assert await objects.named(STARTED, "accounts", []) == []
