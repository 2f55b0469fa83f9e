"""Promises of ``SqlQueries``, over memory, SQLite and MariaDB."""

import math
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from doubles.data.records import STARTED, answered_call, call_id, refused_call
from doubles.migrated import migrated
from sqlalchemy import event

from vosd.base.ids import uuid7
from vosd.storage import queries
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database
from vosd.storage.ports import CallFilter, CallPosition
from vosd.storage.queries import SqlQueries

MANY = frozenset({"acme", "beta", *(f"b{number}" for number in range(40))})
"""More customers than are searched at once: acme among the first ones, beta among the last ones."""


@pytest.fixture
async def listed(store):
    """Return a function from criteria to the numbers of the calls that were listed, in order."""
    calls = [
        answered_call(
            1, customer_account="acme", vendor_account="carrier-a", callee_in="+442012", rate_area="United Kingdom"
        ),
        answered_call(
            2,
            customer_account="beta",
            vendor_account="carrier-a",
            callee_in="442099",
            rate_type="local",
            currency="EUR",
            postings=(),
        ),
        answered_call(
            3,
            customer_account="acme",
            vendor_account="carrier-b",
            callee_in="33123",
            loss=Decimal("0.01"),
            rate_area=None,
            rate_prefix="33",
            vendor_currency="EUR",
            sip_code=None,
        ),
        answered_call(4, customer_account="carrier-a", vendor_account="acme", caller_in="anonymous"),
        refused_call(5, customer_account="beta", callee_in="44"),
    ]
    await store.books.book(calls)
    numbers = {call_id(index): index for index in range(1, 6)}

    async def numbers_of(**criteria):
        found = await store.queries.calls(CallFilter(**criteria))
        return [numbers[call.record.call_id] for call in found]

    return numbers_of


CRITERIA = [
    ({}, [5, 4, 3, 2, 1]),
    ({"limit": 2}, [5, 4]),
    ({"since": STARTED + 3}, [5, 4, 3]),
    ({"until": STARTED + 3}, [2, 1]),
    ({"since": STARTED + 2, "until": STARTED + 4}, [3, 2]),
    ({"ended_since": STARTED + 64_003}, [4, 3]),
    ({"ended_until": STARTED + 64_003}, [5, 2, 1]),
    ({"ended_since": STARTED, "ended_until": STARTED + 64_002, "since": STARTED + 2}, [5]),
    ({"account": "acme"}, [4, 3, 1]),
    ({"account": "carrier-a", "limit": 2}, [4, 2]),
    ({"customer": "acme"}, [3, 1]),
    ({"customer": "acme", "limit": 1}, [3]),
    ({"vendor": "acme"}, [4]),
    ({"vendor": "carrier-a", "customer": "acme"}, [1]),
    ({"gateway": "acme-pbx"}, [3, 1]),
    ({"mapping_gateway": "acme-pbx"}, [3, 1]),
    ({"routing_gateway": "acme-pbx"}, []),
    ({"mapping_gateway": "carrier-a-trunk"}, []),
    ({"routing_gateway": "carrier-a-trunk", "mapping_gateway": "acme-pbx"}, [1]),
    ({"area": "United Kingdom London"}, [4, 2]),
    ({"area": "33"}, [3]),
    ({"area": "33", "rate_type": ""}, [3]),
    ({"rate_type": ""}, [5, 4, 3, 1]),
    ({"rate_type": "local"}, [2]),
    ({"currencies": frozenset({"USD"})}, [4, 3, 1]),
    ({"currencies": frozenset({"EUR", ""})}, [5, 2]),
    ({"vendor_currencies": frozenset({"EUR"})}, [3]),
    ({"vendor_currencies": frozenset({"", "EUR"})}, [5, 3]),
    ({"vendor_currencies": frozenset({"EUR"}), "currencies": frozenset({"EUR"})}, []),
    ({"customers": MANY, "currencies": frozenset({"EUR"})}, [2]),
    ({"area": "33", "customer": "beta"}, []),
    ({"gateway": "carrier-a-trunk"}, [2, 1]),
    ({"account": "acme", "gateway": "carrier-a-trunk"}, [1]),
    ({"callee": "4420"}, [4, 2, 1]),
    ({"callee": "+44"}, [5, 4, 2, 1]),
    ({"callee": "442012"}, [1]),
    ({"caller": "anon"}, [4]),
    ({"reason": "No Matching Rate"}, [5]),
    ({"account": "beta", "reason": "Normal"}, [2]),
    ({"account": "unknown"}, []),
    ({"sip_call_id": f"{call_id(2)}@192.0.2.10"}, [2]),
    ({"sip_call_id": call_id(3)[:20]}, [3]),
    ({"sip_call_id": call_id(2)[:20], "account": "beta"}, [2]),
    ({"after": CallPosition(STARTED + 3, call_id(3))}, [2, 1]),
    ({"after": CallPosition(STARTED + 4, call_id(4)), "account": "acme"}, [3, 1]),
    ({"after": CallPosition(STARTED + 4, call_id(4)), "callee": "44", "limit": 1}, [2]),
    ({"callee": "44%"}, []),
    ({"account": "ACME"}, []),
    ({"customers": frozenset({"acme", "beta"})}, [5, 3, 2, 1]),
    ({"customers": frozenset({"acme", "beta"}), "limit": 3}, [5, 3, 2]),
    ({"customers": frozenset({"acme", *(f"c{number}" for number in range(40))})}, [3, 1]),
    ({"customers": MANY, "limit": 2}, [5, 3]),
    ({"customers": MANY, "limit": 2, "oldest_first": True}, [1, 2]),
    ({"customers": MANY, "answered": True}, [3, 2, 1]),
    ({"customers": MANY, "limit": 2, "after": CallPosition(STARTED + 5, call_id(5))}, [3, 2]),
    ({"customers": frozenset({"acme", "beta"}), "callee": "44", "account": "carrier-a"}, [2, 1]),
    ({"customers": frozenset({"acme", "beta"}), "callee": "44", "limit": 1}, [5]),
    ({"customers": frozenset()}, []),
    ({"answered": True}, [4, 3, 2, 1]),
    ({"answered": False, "account": "beta"}, [5]),
    ({"sip_code": 403}, [5]),
    ({"sip_code": 0}, [3]),
    ({"customers": MANY, "sip_code": 0}, [3]),
    ({"hangup_source": "switch"}, [5]),
    ({"hangup_source": "caller", "customer": "beta"}, [2]),
    ({"loss": True}, [3]),
    ({"loss": True, "account": "beta"}, []),
]
"""Criteria with the numbers of the calls that are listed."""


async def test_calls_are_listed_newest_first_by_every_criterion(listed):
    for criteria, expected in CRITERIA:
        assert await listed(**criteria) == expected, criteria
        if criteria.keys().isdisjoint({"limit", "after"}):
            assert await listed(**criteria, oldest_first=True) == expected[::-1], criteria


async def test_a_call_between_one_account_and_itself_is_listed_once(store):
    await store.books.book([answered_call(1, customer_account="acme", vendor_account="acme")])
    assert len(await store.queries.calls(CallFilter(account="acme"))) == 1


async def test_calls_of_the_same_millisecond_are_ordered_by_their_id(store):
    calls = [answered_call(index, started_at=STARTED) for index in (2, 1, 3)]
    await store.books.book(calls)
    found = await store.queries.calls(CallFilter())
    assert [call.record.call_id for call in found] == [call_id(3), call_id(2), call_id(1)]


async def test_a_listing_goes_on_among_calls_of_the_same_millisecond(store):
    await store.books.book([answered_call(index, started_at=STARTED) for index in range(4)])
    found = await store.queries.calls(CallFilter(after=CallPosition(STARTED, call_id(2))))
    assert [call.record.call_id for call in found] == [call_id(1), call_id(0)]
    found = await store.queries.calls(CallFilter(after=CallPosition(STARTED, call_id(1)), oldest_first=True, limit=1))
    assert [call.record.call_id for call in found] == [call_id(2)]


async def test_calls_are_found_by_the_beginning_of_their_ids(store):
    await store.books.book([answered_call(index) for index in (1, 2, 300)])
    whole, minute = call_id(2), call_id(2)[:8]
    assert [call.record.call_id for call in await store.queries.calls_beginning(whole[:13], CallFilter())] == [whole]
    assert [call.record.call_id for call in await store.queries.calls_beginning(whole, CallFilter())] == [whole]
    found = await store.queries.calls_beginning(minute, CallFilter(limit=2))
    assert [call.record.call_id for call in found] == [call_id(1), call_id(2)]
    assert await store.queries.calls_beginning("0000", CallFilter()) == []


@pytest.mark.parametrize(
    ("criteria", "found"),
    [
        ({"customers": frozenset({"shop", "south"})}, [3]),
        ({"account": "shop", "gateway": "shop-pbx", "since": STARTED + 3, "until": STARTED + 4}, [3]),
        ({"caller": "+1"}, [3]),
        ({"callee": "3", "customers": frozenset({"shop", "other"})}, [3]),
        ({"since": STARTED + 3}, [3]),
        ({"until": STARTED + 2}, [1]),
        ({"account": "shop", "until": STARTED + 3}, []),
        ({"customers": frozenset()}, []),
    ],
)
async def test_the_first_calls_that_fit_are_found_by_the_beginning_of_their_ids(store, criteria, found):
    customers = {1: "acme", 2: "acme", 3: "shop", 4: "other"}
    rest = {3: {"mapping_gateway": "shop-pbx", "caller_in": "1555", "callee_in": "3312"}}
    calls = [answered_call(index, customer_account=name, **rest.get(index, {})) for index, name in customers.items()]
    await store.books.book(calls)
    fitting = await store.queries.calls_beginning(call_id(3)[:8], CallFilter(limit=1, **criteria))
    assert [call.record.call_id for call in fitting] == [call_id(index) for index in found]


@pytest.mark.parametrize("criteria", [{"customers": frozenset({"acme"})}, {"account": "acme", "gateway": "trunk"}])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_sqlite_without_statistics_reads_calls_by_the_beginning_of_their_ids(database, criteria):
    """An installation has none: SQLite would rather read all calls of the account."""
    asked: list[tuple[str, Any]] = []
    event.listen(database.engine.sync_engine, "before_cursor_execute", lambda *terms: asked.append(terms[2:4]))
    await SqlQueries(database).calls_beginning(call_id(5)[:8], CallFilter(**criteria))
    text, parameters = next(terms for terms in asked if "ORDER BY cdr.call_id" in terms[0])
    async with database.reading() as connection:
        (step,) = (await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", parameters)).mappings()
    assert "INDEX sqlite_autoindex_cdr_1 " in step["detail"]


async def test_short_ids_are_as_long_as_it_takes_to_be_the_only_one(store):
    alone, twins = call_id(1), [uuid7(STARTED + 2, bytes(10)), uuid7(STARTED + 2, bytes(9) + b"\1")]
    others = [
        answered_call(2, call_id=call_id(9)),
        answered_call(3, call_id=twins[0]),
        answered_call(4, call_id=twins[1]),
    ]
    await store.books.book(
        [answered_call(1, call_id=alone), *(msgspec.structs.replace(each, postings=()) for each in others)]
    )
    short = await store.queries.short_ids([alone, twins[0]])
    assert short == {alone: alone[:13], twins[0]: twins[0]}
    for beginning in short.values():
        assert len(await store.queries.calls_beginning(beginning, CallFilter(limit=2))) == 1


async def test_more_calls_than_one_query_takes_keep_their_attempts(store):
    await store.books.book([answered_call(index) for index in range(1_100)])
    found = await store.queries.calls(CallFilter(limit=1_100))
    assert [len(call.record.attempts) for call in found] == [1] * 1_100


async def test_an_unknown_call_or_account_is_none(store):
    assert await store.queries.call(call_id(1)) is None
    assert await store.queries.call("call-1") is None
    assert await store.queries.standing("unknown") is None


async def test_a_space_behind_a_name_makes_another_name(store, listed):
    assert await store.queries.standing("acme ") is None
    for criteria in ({"account": "acme "}, {"gateway": "acme-pbx "}, {"customer": "acme "}, {"vendor": "carrier-a "}):
        assert await listed(**criteria) == []


async def test_a_number_of_bytes_that_are_no_text_is_found_by_the_same_bytes(store):
    torn = b"\xff\0caller".decode("utf-8", "surrogateescape")
    await store.books.book([answered_call(1, caller_in=torn), answered_call(2)])
    found = await store.queries.calls(CallFilter(caller=torn))
    assert [call.record.call_id for call in found] == [call_id(1)]
    assert await store.queries.standing("\udcff") is None


async def test_calls_above_a_number_are_seen_whatever_the_limit(store, listed):
    for criteria, fitting in (({}, 5), ({"account": "carrier-a"}, 3), ({"customers": MANY}, 4), ({"caller": "9"}, 0)):
        assert len(await listed(**criteria)) == fitting
        for limit in (1, 100):
            wanted = CallFilter(limit=limit, **criteria)
            assert await store.queries.are_more(wanted, fitting) is False
            assert fitting == 0 or await store.queries.are_more(wanted, fitting - 1)


async def test_calls_that_a_replica_which_is_back_does_not_have_yet_are_read_from_the_database(tmp_path, monkeypatch):
    database = Database(migrated(tmp_path / "vosd.db"), replica=migrated(tmp_path / "copy.db"))
    await SqlBooks(database).book([answered_call(index) for index in range(3)])
    database._replica_is_away_until = math.inf
    keys = queries._keys

    async def keys_while_it_is_away(connection, wanted):
        database._replica_is_away_until = -math.inf
        return await keys(connection, wanted)

    monkeypatch.setattr(queries, "_keys", keys_while_it_is_away)
    assert len(await SqlQueries(database).calls(CallFilter())) == 3
    await database.close()
