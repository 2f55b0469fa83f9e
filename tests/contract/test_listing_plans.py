"""How both databases find the calls of a listing: by an index, reading few rows, whatever was asked."""

import asyncio
import gc
import re
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from itertools import product
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
import pytest
from contract.conftest import shared_database
from doubles.api import ADMINISTRATOR, identify
from doubles.asgi import answered
from doubles.data.records import STARTED, answered_call, call_id
from doubles.migrated import migrate_on_server, migrated
from sqlalchemy import Row, event, func, insert, select

from vosd.api.application import Application
from vosd.api.jobs import Jobs
from vosd.api.listing import ways_to_sort
from vosd.api.offices import Offices
from vosd.api.operation import FieldPlace, Listing, Operation
from vosd.api.routes import Routes
from vosd.api.table import OPERATIONS
from vosd.api.workbook import XLSX
from vosd.cdr.columns import iso_utc
from vosd.cdr.record import CallRecord
from vosd.storage import listing, queries as queries_module, schema
from vosd.storage.audit import SqlAudit
from vosd.storage.audit_line import AuditLine
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database
from vosd.storage.ledger import SqlLedger
from vosd.storage.ledger_values import LedgerEntry
from vosd.storage.listing import keys_among_first, last_of_each, listed_keys
from vosd.storage.ports import CallFilter, CallPosition
from vosd.storage.queries import SqlQueries

CALLS: Final = 4_000
LIMIT: Final = 20
OLD: Final = 200
"""Calls of the oldest time with a number and a reason that no later call has: what is met last on a walk by time."""
HILLS: Final = 501
"""Every so many calls one is to an area that no other is to."""
LONG: Final = 3_000
NEWEST: Final = 500
_AT_ONCE: Final = 2_000
EACH: Final = [*(f"customer-{number}" for number in range(50)), *(f"vendor-{number}" for number in range(7)), "idle"]


def _call(index: int):
    is_old = index < OLD
    record = answered_call(
        index,
        callee_in=f"33{index:08d}" if is_old else f"+44{index:08d}",
        caller_in=f"4940{index:08d}" if is_old else f"4930{index:08d}",
        end_reason="Loop" if is_old else "Normal",
        postings=(),
    )
    area = "hills" if index % HILLS == 7 else record.rate_area
    return msgspec.structs.replace(record, sip_call_id_out=f"out-{index}", rate_area=area)


async def _fill(url: str) -> None:
    database = Database(url)
    books = SqlBooks(database)
    for start in range(0, CALLS, _AT_ONCE):
        await books.book([_call(index) for index in range(start, start + _AT_ONCE)])
    await books.open_accounts(EACH)
    async with database.writing() as connection:
        await connection.exec_driver_sql("ANALYZE" if database.is_sqlite else "ANALYZE TABLE cdr")
    await database.close()


@pytest.fixture(scope="module", params=["sqlite", pytest.param("mariadb", marks=pytest.mark.mariadb)])
def filled(request, tmp_path_factory) -> str:
    """A database with many calls, of each kind."""
    if request.param == "mariadb":
        url = request.getfixturevalue("mariadb_server").create_database("vosd_plans")
        migrate_on_server(url)
    else:
        url = migrated(tmp_path_factory.mktemp("plans") / "vosd.db")
    asyncio.run(_fill(url))
    return url


@pytest.fixture
async def database(filled) -> AsyncIterator[Database]:
    """That database, opened."""
    database = shared_database(filled)
    yield database
    await database.close()


MIDDLE: Final = CallPosition(STARTED + CALLS // 2, call_id(CALLS // 2))

FILTERS: Final = [
    ({}, {"cdr_started"}),
    ({"since": MIDDLE.started_at}, {"cdr_started"}),
    ({"until": MIDDLE.started_at}, {"cdr_started"}),
    ({"after": MIDDLE}, {"cdr_started"}),
    ({"account": "customer-7"}, {"cdr_customer", "cdr_vendor"}),
    ({"account": "customer-7", "after": MIDDLE}, {"cdr_customer", "cdr_vendor"}),
    ({"gateway": "vendor-3-trunk"}, {"cdr_mapping", "cdr_routing"}),
    ({"caller": "494000000001"}, {"cdr_caller"}),
    ({"caller": "4940"}, {"cdr_caller"}),
    ({"callee": "4400003000"}, {"cdr_callee"}),
    ({"callee": "33"}, {"cdr_callee"}),
    ({"callee": "33", "after": MIDDLE}, {"cdr_callee"}),
    ({"reason": "Normal"}, {"cdr_reason"}),
    ({"reason": "Loop"}, {"cdr_reason"}),
    ({"sip_call_id": "out-2500"}, {"cdr_sip_in", "cdr_sip_out"}),
    ({"account": "unknown"}, {"cdr_customer", "cdr_vendor"}),
    ({"caller": "999"}, {"cdr_caller"}),
    ({"reason": "No ACK"}, {"cdr_reason"}),
]
"""Each criterion with the indexes that it may use."""


async def _explained(connection, statement) -> list[str]:
    words = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN FORMAT=TRADITIONAL"

    def ask_for_the_plan(_connection, _cursor, text, parameters, *_):
        return text if text.startswith("SET SESSION") else f"{words} {text}", parameters

    event.listen(connection.sync_connection, "before_cursor_execute", ask_for_the_plan, retval=True)
    # SQLAlchemy keeps the columns of a result with the compiled statement, and those of a plan are others.
    result = await connection.execute(statement, execution_options={"compiled_cache": None})
    rows = result.mappings().all()
    return [" ".join(f"{key}={value}" for key, value in row.items()) for row in rows]


def _indexes(plan: list[str], *, is_mariadb: bool) -> set[str]:
    """Return which indexes of the calls a plan walks; ``table`` stands for reading all rows."""
    used = set()
    for line in plan:
        words = line.split()
        if is_mariadb and "table=cdr" in words:
            used |= {word.partition("=")[2] for word in words if word.startswith("key=")} - {"None"} or {"table"}
        elif not is_mariadb and " cdr" in line and ("SCAN" in line or "SEARCH" in line):
            named = {word for word in words if word.startswith("cdr_") and not word.startswith("cdr_call_id")}
            used |= named or {"table"}
    return used


async def test_every_filter_has_an_index(database):
    for (criteria, expected), oldest_first in product(FILTERS, (False, True)):
        async with database.reading() as connection:
            statement = listed_keys(CallFilter(limit=LIMIT, oldest_first=oldest_first, **criteria))
            plan = await _explained(connection, statement)
        used = _indexes(plan, is_mariadb=not database.is_sqlite)
        assert used, (criteria, plan)
        assert used <= expected, (criteria, plan)


@pytest.mark.parametrize(
    "criteria", [{}, {"customers": frozenset({"customer-7"})}, {"account": "customer-7", "gateway": "vendor-3-trunk"}]
)
@pytest.mark.parametrize("digits", [8, 36])
async def test_a_call_that_is_named_by_its_beginning_is_read_by_that_alone(database, criteria, digits):
    """The databases would read all calls of the account, or of the gateway."""
    asked: list[tuple[str, Any]] = []
    engine = database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", lambda *terms: asked.append(terms[2:4]))
    await SqlQueries(database).calls_beginning(call_id(5)[:digits], CallFilter(**criteria))
    text, parameters = next(terms for terms in asked if "ORDER BY cdr.call_id" in terms[0])
    words = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN FORMAT=TRADITIONAL"
    async with database.reading() as connection:
        (step,) = (await connection.exec_driver_sql(f"{words} {text}", parameters)).mappings()
    used = step["detail"].partition("INDEX ")[2].partition(" ")[0] if database.is_sqlite else step["key"]
    assert used == ("sqlite_autoindex_cdr_1" if database.is_sqlite else "PRIMARY"), dict(step)


@pytest.mark.parametrize("filled", [pytest.param("mariadb", marks=pytest.mark.mariadb)], indirect=True)
async def test_a_listing_reads_little_more_rows_than_it_prints(database, monkeypatch):
    monkeypatch.setattr(listing, "FIRST_SEARCHED", NEWEST)
    for (criteria, _), oldest_first in product(FILTERS, (False, True)):
        wanted = CallFilter(limit=LIMIT, oldest_first=oldest_first, **criteria)
        async with database.reading() as connection:
            assert await _rows_read(connection, listed_keys(wanted)) <= 10 * (LIMIT + OLD), wanted
            recent = keys_among_first(wanted)
            if recent is not None:
                assert await _rows_read(connection, recent) <= 3 * NEWEST  # the rows, and the copy that is sorted


async def _rows_read(connection, statement) -> int:
    await connection.exec_driver_sql("FLUSH STATUS")
    (await connection.execute(statement)).all()
    counts = await connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Handler_read%%'")
    return sum(int(count) for name, count in counts if name != "Handler_read_rnd_deleted")


@pytest.mark.parametrize("as_vendors", [False, True])
async def test_the_last_call_of_each_account_is_one_entry_of_an_index(database, as_vendors):
    wanted = last_of_each(EACH, as_vendors=as_vendors)
    async with database.reading() as connection:
        plan = await _explained(connection, wanted)
    if not database.is_sqlite:
        async with database.reading() as connection:
            assert await _rows_read(connection, wanted) <= 20 * len(EACH)  # one or two of each partition
    used = _indexes(plan, is_mariadb=not database.is_sqlite)
    assert used == {"cdr_customer", "cdr_vendor"} if as_vendors else {"cdr_customer"}, plan
    assert not any(word in line for line in plan for word in ("filesort", "TEMP")), plan
    found = await SqlQueries(database).last_calls(EACH, as_vendors=as_vendors)
    last = {f"customer-{number % 50}": STARTED + number for number in range(CALLS)}
    if as_vendors:
        last |= {f"vendor-{number % 7}": STARTED + number for number in range(CALLS)}
    assert found == last


@pytest.mark.parametrize("filled", [pytest.param("mariadb", marks=pytest.mark.mariadb)], indirect=True)
@pytest.mark.parametrize("oldest_first", [False, True])
async def test_a_page_of_many_customers_reads_one_entry_of_each_beside_the_first_calls(
    database, monkeypatch, oldest_first
):
    """Those of an agent that call no more: to find them by time, the calls of all others would be read."""
    monkeypatch.setattr(listing, "FIRST_SEARCHED", NEWEST)
    silent = frozenset(f"silent-{number}" for number in range(300))
    wanted = CallFilter(limit=LIMIT, customers=silent, oldest_first=oldest_first)
    async with database.reading() as connection:
        await connection.exec_driver_sql("FLUSH STATUS")
        keys = await queries_module._keys(connection, wanted)
        counts = await connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Handler_read%%'")
        read = sum(int(count) for name, count in counts if name != "Handler_read_rnd_deleted")
    assert keys == []
    assert read <= 3 * NEWEST + 10 * len(silent)


@pytest.mark.parametrize("oldest_first", [False, True])
@pytest.mark.parametrize(
    ("criteria", "found"), [({}, 5), ({"answered": True}, 5), ({"area": "hills"}, 4), ({"answered": False}, 0)], ids=str
)
async def test_a_page_of_many_customers_is_of_their_first_calls_that_fit(
    database, monkeypatch, criteria, found, oldest_first
):
    """Some are searched at a time: more of them where few calls fit, and none that cannot have a call of the page."""
    monkeypatch.setattr(listing, "FIRST_SEARCHED", 3)
    for module in (listing, queries_module):
        monkeypatch.setattr(module, "CUSTOMERS_APART", 4)
        monkeypatch.setattr(module, "CUSTOMERS_NAMED", 8)
    odd = frozenset(f"customer-{number}" for number in range(1, 50, 2))
    wanted = CallFilter(limit=5, customers=odd, oldest_first=oldest_first, **criteria)
    statements: list[str] = []
    async with database.reading() as connection:
        event.listen(connection.sync_connection, "before_cursor_execute", lambda *each: statements.append(each[2]))
        keys = await queries_module._keys(connection, wanted)
    fitting = [index for index in range(1, CALLS, 2) if "area" not in criteria or index % HILLS == 7]
    first = fitting[:found] if oldest_first else fitting[::-1][:found]
    assert [key.call_id for key in keys] == [call_id(index) for index in first]
    of_the_first_calls, first_call_of_each, one_after_the_other, the_others = 1, 4, 2, 3
    needed = of_the_first_calls + first_call_of_each + one_after_the_other
    assert len([each for each in statements if each.startswith("SELECT")]) == needed + (the_others if found < 5 else 0)


@pytest.mark.parametrize("oldest_first", [False, True])
@pytest.mark.parametrize("criteria", [{}, {"account": "vendor-3"}, {"callee": "33"}, {"callee": "44"}], ids=str)
async def test_pages_one_after_the_other_are_the_whole_listing(database, criteria, oldest_first):
    queries = SqlQueries(database)
    criteria = {**criteria, "oldest_first": oldest_first}
    whole = [call.record.call_id for call in await queries.calls(CallFilter(limit=170, **criteria))]
    paged: list[str] = []
    after = None
    while len(paged) < len(whole):
        page = await queries.calls(CallFilter(limit=50, after=after, **criteria))
        paged += [call.record.call_id for call in page]
        after = page[-1].position
    assert paged[: len(whole)] == whole
    assert len(whole) == 170


async def test_a_long_listing_holds_few_calls_at_a_time(database, monkeypatch):
    monkeypatch.setattr(queries_module, "KEYS_AT_ONCE", 1_500)
    seen: list[str] = []
    most = keys = 0
    async for call in SqlQueries(database).stream(CallFilter(limit=LONG)):
        seen.append(call.record.call_id)
        if len(seen) % 1_000 == 0:
            found = gc.get_objects()
            most = max(most, sum(isinstance(each, CallRecord) for each in found))
            keys = max(keys, sum(isinstance(each, Row) for each in found))
    assert seen == [call_id(CALLS - 1 - index) for index in range(LONG)]
    assert most <= LONG / 3
    assert keys < 10, "keys of calls that a slow reader has not reached are kept as rows"


# -- the lists of the management API -----------------------------------------------------------------------------------

LARGE: Final = ("cdr", "cdr_attempt", "cdr_charge", "ledger_entry", "audit")
"""Tables that grow with every call or order."""
LINES: Final = 4_000
ONE: Final = Decimal(1)
VALUES: Final = {
    "account": "customer-7", "action": "Rare", "area": "Rare", "answered": "false",
    "callee": "33", "caller": "4940", "customer": "customer-7", "vendor": "customer-7", "gateway": "rare-trunk",
    "mapping_gateway": "rare-trunk", "routing_gateway": "rare-trunk", "kind": "accounts", "kinds": "payment",
    "login": "rare", "loss": "true", "rate_type": "none", "sip_code": "486", "hangup_source": "switch",
    "currency": "EUR,none", "vendor_currency": "EUR", "operator": "ann", "principal": "rare", "reason": "Loop",
    "sip_call_id": "out-2500", "subject": "rare",
    "since": iso_utc(STARTED + CALLS - 50), "until": iso_utc(STARTED + 50), "at": iso_utc(STARTED + 50),
    "ended_since": iso_utc(STARTED + CALLS - 50), "ended_until": iso_utc(STARTED + 50), "zone": "UTC", "group": "none",
    "agent": "customer-7", "all": "true", "accounts": "customer-7", "revoked": "true", "name": "customer-7",
    "month": "2026-03", "rate_group": "sell", "receiver": "crm", "longer_ms": "5",
    "call_id": call_id(CALLS // 2), "role": "finance", "scopes": "money.see",
    "number": "7", "id": "01a0c450-6c01-7000-8000-000000000003",
    "beginning": "customer-7", "containing": "mer-7",
    "calls": "true", "consumption": "true", "counts": "true", "last_call": "true", "newest_first": "true",
    "state": "overdue", "period": "2026-09", "file": "october.csv",
}  # fmt: skip
"""A value of each filter that few items have."""
LISTS: Final = [each for each in OPERATIONS if each.listing is not None and each.needs_database]


def _filters(operation: Operation) -> list[dict[str, str]]:
    """Return each filter that the operation takes alone, with what has to stand beside it."""
    assert operation.listing is not None
    fields = [each for each in operation.fields() if each.place is FieldPlace.QUERY]
    needed = {each.name for each in fields if each.is_required}
    alone = [{}, *({each.name: VALUES[each.name]} for each in fields)]
    served = operation.listing.unindexed
    for given in [*alone]:
        beside = served.get(next(iter(given), ""), ())
        alone += [{**given, name: VALUES[name]} for name in beside]
    sorts = _other_ways(operation.listing) if operation.listing.backwards is not None else []
    ordered = [each | {"sort": sort} for each in alone for sort in sorts if "newest_first" not in each]
    return [each | {name: VALUES[name] for name in needed | _wanted(operation, each)} for each in alone + ordered]


def _other_ways(listing: Listing) -> list[str]:
    """Return the ways to sort a list but that of a request without ``sort``, which has the same plan."""
    is_read_backwards = listing.descends is not listing.ends_first
    return [way for way in ways_to_sort(listing) if way.startswith("-") is not is_read_backwards]


def _wanted(operation: Operation, given: Mapping[str, str]) -> set[str]:
    if operation.path in {"/balances", "/cdrs"}:
        return {"agent"} if "all" in given else set()
    names_none = operation.path == "/statements/{month}" and given.keys().isdisjoint({"all", "group"})
    return {"accounts"} if names_none else set()


@pytest.fixture(scope="module")
def lists(filled, tmp_path_factory):
    """The application on that database, with an audit and a ledger."""
    asyncio.run(_fill_lines(filled))
    config = tmp_path_factory.mktemp("lists") / "vosd.yaml"
    # so many are below an agent that their calls are searched in parts
    agents = ("", ", agent: customer-7")
    accounts = "".join(f"  - {{id: customer-{number}{agents[number >= 10]}}}\n" for number in range(50))
    config.write_text(f"database: {{url: '{filled}'}}\nstate_dir: {config.parent}\naccounts:\n{accounts}")
    return config


async def _fill_lines(url: str) -> None:
    database = Database(url)
    lines = [
        {
            "at": STARTED + number, "principal": "rare" if number < 3 else "often", "role": "operator",
            "login": "rare" if number < 3 else "often", "means": "token", "source": "", "detail": "{}",
            "action": "Rare" if number < 3 else "SetObjects", "subject": "rare" if number < 3 else f"s{number % 50}",
        }
        for number in range(LINES)
    ]  # fmt: skip
    entries = [
        {
            "account": f"customer-{number % 50}", "seq": number // 50 + 1, "amount": ONE, "balance_after": ONE,
            "kind": "payment" if number < 3 else "call", "reference": f"r{number}",
            "created_at": STARTED + number, "operator": "ann" if number < 3 else "bob",
        }
        for number in range(LINES)
    ]  # fmt: skip
    entries += [
        entry | {"account": "customer-49", "seq": 1_000 + number, "reference": f"s{number}"}
        for number, entry in enumerate(entries)
    ]
    async with database.writing() as connection:
        for table, rows in ((schema.audit, lines), (schema.ledger_entry, entries)):
            for start in range(0, len(rows), _AT_ONCE):
                await connection.execute(insert(table), rows[start : start + _AT_ONCE])
        await connection.exec_driver_sql("ANALYZE" if database.is_sqlite else "ANALYZE TABLE audit, ledger_entry")
    await database.close()


def _tables_read_whole(plan: list[str], *, is_mariadb: bool) -> set[str]:
    """Return the large tables of which a plan reads all rows, or all of an index."""
    whole = set()
    for line in plan:
        words = line.split()
        for table in LARGE:
            if is_mariadb:
                if f"table={table}" in words and {"type=ALL", "type=index"} & {*words}:
                    whole.add(table)
            elif f"SCAN {table}" in line and f"SCAN {table}_" not in line:
                whole.add(table)
    return whole


async def test_every_filter_of_every_list_of_the_api_has_an_index_or_is_refused(lists):
    statements: list[tuple[str, Any]] = []
    whole, refused = {}, set()
    async with Offices(lists) as offices:
        application = Application(offices, identify, Routes(OPERATIONS), Jobs(lists, offices))
        head = {"authorization": f"Bearer {ADMINISTRATOR}"}
        database = (await offices.open(needs_database=True)).stores.database
        listen = (database.engine.sync_engine, "before_cursor_execute")
        event.listen(*listen, lambda _c, _k, text, parameters, *_: statements.append((text, parameters)))
        for operation in LISTS:
            path = re.sub(r"{(\w+)}", lambda field: VALUES[field[1]], operation.path)
            for given in _filters(operation):
                statements.clear()
                query = urlencode(given | {"limit": "10"})
                found = await answered(application, "GET", f"{path}?{query}", headers=head)
                if found.status == 422 and found.json["code"] == "no_index":
                    refused.add((operation.path, *(name for name in given if name != "sort")))
                    continue
                assert found.status in {200, 404}, (operation.path, given, found.content)
                asked = [each for each in statements if any(table in each[0] for table in LARGE)]
                for text, parameters in asked:
                    if ("WHERE" not in text and "LIMIT" in text) or "AS recent" in text:
                        continue  # a bounded number of rows in the order of a key
                    async with database.reading() as connection:
                        plan = await _plan_of(connection, text, parameters)
                    found_whole = _tables_read_whole(plan, is_mariadb=not database.is_sqlite)
                    if found_whole:
                        whole[operation.path, *given] = (found_whole, text, plan)
    assert whole == {}
    of_ledger = (("/ledger", name) for name in ("since", "until", "kinds", "operator"))
    names = ("loss", "answered", "area", "rate_type", "currency", "vendor_currency", "sip_code", "hangup_source")
    assert refused == {*(("/cdrs", name) for name in names), *of_ledger}


async def test_a_spreadsheet_of_too_many_calls_is_refused_before_one_is_read(lists, monkeypatch):
    monkeypatch.setattr("vosd.api.listing.ROWS_MAX", OLD - 1)
    asked: list[str] = []
    head = {"authorization": f"Bearer {ADMINISTRATOR}", "accept": XLSX}
    async with Offices(lists) as offices:
        application = Application(offices, identify, Routes(OPERATIONS), Jobs(lists, offices))
        database = (await offices.open(needs_database=True)).stores.database
        listen = (database.engine.sync_engine, "before_cursor_execute")
        event.listen(*listen, lambda _c, _k, text, *_: asked.append(text))
        for query in ("", "?reason=Loop", "?callee=33", "?agent=customer-7&all=true"):
            refused = await answered(application, "GET", f"/cdrs{query}", headers=head)
            assert (refused.status, refused.json["code"]) == (422, "too_many_rows"), query
            assert refused.json["remedy"] == "ask for a shorter time, or for CSV"
        assert [text for text in asked if "cdr_attempt" in text] == []
        monkeypatch.setattr("vosd.api.listing.ROWS_MAX", OLD)
        for query in ("?reason=Loop", "?limit=300"):
            book = await answered(application, "GET", f"/cdrs{query}", headers=head)
            assert (book.status, book.content[:2]) == (200, b"PK")


@pytest.mark.parametrize("path", ["/ledger", "/ledger?account=customer-7", "/accounts/customer-7/ledger"])
async def test_a_spreadsheet_of_too_many_entries_is_refused_before_one_is_read(lists, monkeypatch, path):
    head, asked = {"authorization": f"Bearer {ADMINISTRATOR}", "accept": XLSX}, list[str]()
    entry = schema.ledger_entry.c
    async with Offices(lists) as offices:
        application = Application(offices, identify, Routes(OPERATIONS), Jobs(lists, offices))
        database = (await offices.open(needs_database=True)).stores.database
        of_account = entry.account.in_(["customer-7"]) if "customer-7" in path else entry.id > 0
        number = await database.value(select(func.count()).select_from(schema.ledger_entry).where(of_account))
        listen = (database.engine.sync_engine, "before_cursor_execute")
        event.listen(*listen, lambda _c, _k, text, *_: asked.append(text))
        monkeypatch.setattr("vosd.api.listing.ROWS_MAX", number - 1)
        refused = await answered(application, "GET", path, headers=head)
        assert (refused.status, refused.json["code"]) == (422, "too_many_rows")
        assert [text for text in asked if "ledger_entry.reference" in text] == []
        monkeypatch.setattr("vosd.api.listing.ROWS_MAX", number)
        book = await answered(application, "GET", path, headers=head)
        assert (book.status, book.content[:2]) == (200, b"PK")


@pytest.mark.parametrize("path", ["/payments?account=customer-49&newest_first=true", "/accounts/customer-49/payments"])
async def test_payments_of_an_account_are_found_without_reading_its_calls(lists, path):
    asked: list[tuple[str, Any]] = []
    async with Offices(lists) as offices:
        application = Application(offices, identify, Routes(OPERATIONS), Jobs(lists, offices))
        database = (await offices.open(needs_database=True)).stores.database
        listen = (database.engine.sync_engine, "before_cursor_execute")
        event.listen(*listen, lambda _c, _k, text, parameters, *_: asked.append((text, parameters)))
        found = await answered(application, "GET", path, headers={"authorization": f"Bearer {ADMINISTRATOR}"})
        assert [each["reference"] for each in found.json["items"]] == (
            ["s2", "s1", "s0"] if "newest_first" in path else ["s0", "s1", "s2"]
        )
        names = r"sqlite_autoindex_ledger_entry_\w+" if database.is_sqlite else r"\bkey=ledger_entry_\w+"
        used = set()
        for text, parameters in [each for each in asked if "FROM ledger_entry" in each[0]]:
            async with database.reading() as connection:
                used |= {*re.findall(names, " ".join(await _plan_of(connection, text, parameters)))}
        # by account and kind, the first unique key of the table, which has no name of its own in SQLite
        assert used == {"sqlite_autoindex_ledger_entry_1" if database.is_sqlite else "key=ledger_entry_once"}


async def test_the_entry_that_takes_one_back_is_found_by_its_reference(lists, database):
    payments = [
        LedgerEntry(
            number, f"customer-{number % 50}", number // 50 + 1, ONE, ONE, "payment", f"r{number}", None, None, None,
            STARTED, "USD", None,
        )
        for number in range(1, 301)
    ]  # fmt: skip
    asked: list[tuple[str, Any]] = []
    listen = (database.engine.sync_engine, "before_cursor_execute")
    event.listen(*listen, lambda _c, _k, text, parameters, *_: asked.append((text, parameters)))
    assert await SqlLedger(database).undos(payments) == {}
    statements = [each for each in asked if "FROM ledger_entry" in each[0]]
    assert len(statements) == 2
    for text, parameters in statements:
        async with database.reading() as connection:
            plan = await _plan_of(connection, text, parameters)
        if database.is_sqlite:
            by_reference = "sqlite_autoindex_ledger_entry_1 (account=? AND kind=? AND reference=?)"
            assert sum(by_reference in each for each in plan) == len(parameters) // 3, plan
        else:
            assert len(plan) == 1
            words = dict(each.partition("=")[::2] for each in plan[0].split())
            assert (words["type"], words["key"]) == ("range", "ledger_entry_once")
            assert int(words["rows"]) <= 2 * len(parameters) // 3


async def test_call_records_are_paged_in_either_order_and_a_cursor_is_of_one(lists):
    async with Offices(lists) as offices:
        application = Application(offices, identify, Routes(OPERATIONS), Jobs(lists, offices))

        async def asked(query: str) -> Any:
            return await answered(
                application, "GET", f"/cdrs?{query}", headers={"authorization": f"Bearer {ADMINISTRATOR}"}
            )

        async def walked(query: str) -> list[str]:
            found, cursor = [], ""
            while not found or cursor:
                page = (await asked(f"limit=50{query}{cursor}")).json
                found += [each["started_at"] for each in page["items"]]
                cursor = f"&cursor={page['next']}" if page["next"] else ""
            return found

        of_customer = [iso_utc(STARTED + number) for number in range(7, CALLS, 50)]
        assert await walked("&customer=customer-7&sort=started_at") == of_customer
        assert await walked("&customer=customer-7&sort=-started_at") == of_customer[::-1]
        assert await walked("&customer=customer-7") == of_customer[::-1]
        first = (await asked("limit=2&sort=started_at")).json
        assert [each["started_at"] for each in first["items"]] == [iso_utc(STARTED), iso_utc(STARTED + 1)]
        for query in ("", "&sort=-started_at"):
            refused = await asked(f"limit=2{query}&cursor={first['next']}")
            assert (refused.status, refused.json["field"]) == (422, "cursor")


async def _plan_of(connection, text: str, parameters: Any) -> list[str]:
    words = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN FORMAT=TRADITIONAL"
    rows = (await connection.exec_driver_sql(f"{words} {text}", parameters)).mappings().all()
    return [" ".join(f"{key}={value}" for key, value in row.items()) for row in rows]


async def test_lines_of_the_audit_that_are_numbered_out_of_order_are_found_by_their_time(database):
    minute, begin = 60_000, STARTED + 10 * 86_400_000
    line = AuditLine(0, "clock", "operator", "clock", "token", "", "SetClock", "clock", "{}")
    for number in (5, 3, 9, 1, 7):
        await SqlAudit(database).add(line._replace(at=begin + number * minute))

    async def minutes(**span: int) -> list[int]:
        found = await SqlAudit(database).newest(100, principal="clock", **span)
        return [(each.at - begin) // minute for each in found]

    assert await minutes() == [7, 1, 9, 3, 5]
    assert await minutes(since=begin + 3 * minute) == [7, 9, 3, 5]
    assert await minutes(until=begin + 7 * minute) == [1, 3, 5]
    assert await minutes(since=begin + 3 * minute, until=begin + 7 * minute) == [3, 5]
    assert await minutes(since=begin + 90 * minute) == await minutes(until=STARTED - 90 * minute) == []
