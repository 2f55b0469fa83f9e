"""Lists as CSV, whose header has every column of every kind of item, and with some of their fields."""

import asyncio
import io
import json
import re
import zipfile
from collections.abc import AsyncIterator
from decimal import Decimal
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
from doubles.api import ADMINISTRATOR, CUSTOMER, identify
from doubles.asgi import answered
from doubles.migrated import migrated
from msgspec import structs

from vosd.admin.office.reports import ColumnSheet, ReportSheet
from vosd.api.application import Application
from vosd.api.http import JSON, RequestError
from vosd.api.jobs import Jobs
from vosd.api.listing import (
    CSV,
    LIMIT,
    NDJSON,
    closed_cursor,
    is_read_in_parts,
    page_wanted,
    read_list,
    ways_to_sort,
    whole_list,
)
from vosd.api.offices import Offices
from vosd.api.openapi import document
from vosd.api.operation import Operation
from vosd.api.routes import Routes
from vosd.api.table import OPERATIONS
from vosd.api.workbook import XLSX
from vosd.billing.authority import OutOfScopeError
from vosd.cdr.columns import KEYS, KEYS_FOR_AGENTS
from vosd.control.installation import AlarmList, AlarmRow


def listed(path: str) -> Operation:
    return next(each for each in OPERATIONS if (each.method, each.path) == ("GET", path))


async def table(path: str, rows: list[object]) -> list[str]:
    operation = listed(path)
    assert operation.listing is not None
    wanted = page_wanted(operation.listing, operation.columns(), {}, CSV)
    answer = await whole_list(operation.listing, rows, wanted)
    assert answer.stream is not None
    return b"".join([part async for part in answer.stream]).decode().splitlines()


@pytest.mark.parametrize(("accept", "form"), [
    ("", ""), ("*/*", ""), ("text/csv", CSV), ("Text/CSV; charset=utf-8", CSV), ("text/csv, */*", CSV),
    ("application/json, text/csv", ""), ("application/json, text/csv;q=0.1", ""),
    ("application/json;q=0.9, text/csv;q=0", ""), ("text/csv;q=0", ""),
    ("application/json;q=0.5, text/csv;q=0.8", CSV),
    (f"text/csv;q=0.3, {NDJSON};q=0.2", CSV), (f"text/csv, {NDJSON}", NDJSON),
    ("text/csv;q=much, application/json;q=0.9", CSV), ("text/csvs", ""),
    ("text/csv;q=0.1, */*", ""), ("text/csv;q=0.1, application/*, */*;q=0", ""), ("text/csv;q=0.5, */*;q=0.5", CSV),
    ("text/csv, application/*;q=0.1, */*", CSV), ("text/csv;q=0.5, */*, application/json;q=0.4", CSV),
])  # fmt: skip
def test_a_list_has_the_form_that_weighs_most_and_json_where_nothing_weighs_more(accept: str, form: str) -> None:
    operation = listed("/balances")
    assert operation.listing is not None
    wanted = page_wanted(operation.listing, operation.columns(), {}, accept)
    assert (wanted.form, wanted.limit) == (form, None if form else LIMIT)


async def test_a_table_of_calls_has_columns_of_vendors_for_operators_alone(tmp_path: Path) -> None:
    config = tmp_path / "vosd.yaml"
    config.write_text(
        f"database: {{url: '{migrated(tmp_path / 'vosd.db')}'}}\nstate_dir: {tmp_path}\naccounts: [{{id: acme}}]\n"
    )
    async with Offices(config) as offices:
        application = Application(offices, identify, Routes(OPERATIONS), Jobs(config, offices))
        for who, columns in ((ADMINISTRATOR, KEYS), (f"{CUSTOMER}acme", KEYS_FOR_AGENTS)):
            head = {"authorization": f"Bearer {who}", "accept": CSV}
            found = await answered(application, "GET", "/cdrs", None, head)
            assert found.content.decode().lstrip("\ufeff").strip().split(",") == [*columns]
            found = await answered(application, "GET", "/cdrs?fields=call_id,cost", None, head)
            assert (found.status, found.content.decode().lstrip("\ufeff").strip()) == (200, "call_id,cost")
            found = await answered(application, "GET", "/cdrs?fields=call_id,cost", None, {**head, "accept": JSON})
            assert found.status == 200


def test_a_table_of_running_calls_has_columns_of_vendors_for_operators_alone() -> None:
    operation = listed("/calls")
    assert operation.listing is not None
    for is_operator, left_out in ((True, set()), (False, {"routing_gateway", "vendor_account", "rings_beside"})):
        wanted = page_wanted(operation.listing, operation.columns(), {}, CSV, is_operator=is_operator)
        assert {*operation.columns()} - {*wanted.fields} == left_out


def test_a_table_has_the_columns_of_every_item_and_not_of_the_first_alone() -> None:
    rows = [{"id": "shop", "balance": "1"}, {"id": "top", "balance": "2", "agent": "reseller"}]
    header, first, last = asyncio.run(table("/balances", rows))
    assert {"id", "balance", "agent", "group"} <= {*header.split(",")}
    assert (first.split(",")[0], last.count("reseller")) == ("shop", 1)


@pytest.mark.parametrize(
    ("path", "rows"),
    [
        (
            "/registrations",
            [
                {
                    "direction": "inbound",
                    "name": "1001",
                    "contact": "sip:1001@abc.invalid",
                    "received": f"192.0.2.1:{port}",
                }
                for port in (41001, 41002)
            ]
            + [{"direction": "outbound", "name": "1001", "contact": "sip:1001@abc.invalid"}],
        ),
        ("/sources", [{"source": "192.0.2.9", "cause": cause} for cause in ("flood", "wrong credentials")]),
    ],
)
def test_pages_have_every_item_also_of_the_same_name(path: str, rows: list[dict[str, str]]) -> None:
    operation = listed(path)
    assert operation.listing is not None
    found, cursor = [], None
    while True:
        query = {"limit": "1"} if cursor is None else {"limit": "1", "cursor": cursor}
        wanted = page_wanted(operation.listing, operation.columns(), query, "")
        page = json.loads(asyncio.run(whole_list(operation.listing, rows, wanted)).content)
        found += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    assert found == rows


def test_a_table_without_items_has_its_header() -> None:
    (header,) = asyncio.run(table("/registrations", []))
    assert {"direction", "received", "server"} <= {*header.split(",")}


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("=1+1", "'=1+1"),
        (" =1+1", "' =1+1"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ("x;=1+1", "x;'=1+1"),
        ("+1+cmd", "'+1+cmd"),
        ("+49301", "+49301"),
        ("-5.25", "-5.25"),
    ],
)
def test_no_cell_of_a_table_is_a_formula(name: str, cell: str) -> None:
    _, row = asyncio.run(table("/balances", [{"id": name}]))
    assert row.split(",")[0] == cell


def test_no_cell_of_a_report_is_a_formula() -> None:
    column = ColumnSheet("account", "text", "Account.")
    sheet = ReportSheet("balances", "", "", "UTC", "whole", (column,), [{"account": "x;=1+1"}], [], 0, 0)
    assert listed("/reports/{name}").forms[CSV](sheet) == b"account\nx;'=1+1\n"


FIXED = {
    "/cdrs/{call_id}/charges",
    "/cdrs/{call_id}/corrections",
    "/reports",
    "/roles/{role}/operations",
    "/tokens/{id}/operations",
}
"""Lists whose items stay where they are: new ones come at the end, if at all."""
WHOLE = [each for each in OPERATIONS if each.listing is not None and not each.listing.in_parts]


@pytest.mark.parametrize("operation", WHOLE, ids=[each.path for each in WHOLE])
def test_an_item_that_goes_between_two_pages_hides_no_other_one(operation: Operation) -> None:
    listing = operation.listing
    assert listing is not None
    if operation.path in FIXED:
        assert (listing.key, listing.order) == ("", None)
        return
    since = [f"2026-11-26T09:00:{9 - number:02}.000Z" for number in range(6)]
    rows = [
        {"alarm": str(number), "subject": "", "level": "info", "since": since[number], "cleared_at": None}
        if listing.order is not None
        else dict.fromkeys(listing.key.split(","), str(number))
        for number in range(6)
    ]
    wanted = page_wanted(listing, operation.columns(), {"limit": "2"}, "")
    first = json.loads(asyncio.run(whole_list(listing, rows, wanted)).content)
    wanted = page_wanted(listing, operation.columns(), {"cursor": first["next"]}, "")
    rest = json.loads(asyncio.run(whole_list(listing, rows[1:], wanted)).content)
    assert first["items"] + rest["items"] == rows


@pytest.mark.parametrize("way", ["id", "-id", "balance", "-balance", "group", "-group"])
def test_pages_of_a_long_list_are_the_whole_list_in_order(way: str) -> None:
    """It is read in parts, of each of which no more than a page is kept."""
    operation, name = listed("/balances"), way.removeprefix("-")
    assert operation.listing is not None
    rows: list[dict[str, Any]] = [
        {"id": f"a{number * 7_919 % 2_300:04}", "balance": f"{number % 37 - 9}.50", "blocked": number % 3 == 0}
        | ({"group": f"g{number % 5}"} if number % 4 else {})
        for number in range(2_300)
    ]
    found, query = [], {"sort": way, "limit": "700", "blocked": "false"}
    while True:
        wanted = page_wanted(operation.listing, operation.columns(), dict(query), "")
        page = json.loads(asyncio.run(whole_list(operation.listing, rows, wanted)).content)
        found += page["items"]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    kept = sorted((row for row in rows if not row["blocked"]), key=itemgetter("id"), reverse=way != name)
    with_value = [row for row in kept if name in row]
    with_value.sort(key=lambda row: Decimal(row[name]) if name == "balance" else row[name], reverse=way != name)
    assert found == with_value + [row for row in kept if name not in row]


def test_alarms_keep_their_order_from_page_to_page_and_the_fields_of_their_object() -> None:
    operation = listed("/alarms")
    assert operation.listing is not None
    made = [("c", "critical", 1), ("a", "warning", 3), ("b", "warning", 2), ("d", "info", 4)]
    held = [
        AlarmRow(name, "", level, f"2026-11-26T09:00:0{second}.000Z", "", 1, "", "", None)
        for name, level, second in made
    ]
    cleared = [structs.replace(each, cleared_at=f"2026-11-26T10:00:0{9 - n}.000Z") for n, each in enumerate(held)]
    for rows in (held, cleared[::-1], cleared):
        alarms = AlarmList(rows, 4)
        found, cursor = [], {}
        while not found or cursor:
            wanted = page_wanted(operation.listing, operation.columns(), {"limit": "2", **cursor}, "")
            page = json.loads(asyncio.run(whole_list(operation.listing, alarms.alarms, wanted, alarms)).content)
            assert (len(page["alarms"]), page["left_out"]) == (4, 4), "clients of before have all of it"
            found += [each["alarm"] for each in page["items"]]
            cursor = {"cursor": page["next"]} if page["next"] else {}
        assert found == ["c", "a", "b", "d"]


def test_a_list_that_grows_with_every_call_or_change_is_sorted_by_the_order_of_its_index_alone() -> None:
    """Another order would read the whole list: 20 million calls, or as many entries."""
    growing = {"/accounts/{account}/ledger", "/accounts/{account}/payments", "/audit", "/cdrs", "/ledger"}
    for path in (*growing, "/invoices", "/overrides/changes"):
        listing = listed(path).listing
        assert listing is not None
        assert len(listing.sorts) == 1, path
        for sort in (None, *ways_to_sort(listing)):
            wanted = page_wanted(listing, listed(path).columns(), {} if sort is None else {"sort": sort}, "")
            assert is_read_in_parts(listing, wanted), (path, sort)


def test_every_sort_is_by_a_field_of_the_items() -> None:
    for operation in OPERATIONS:
        if operation.listing is not None:
            assert {*operation.listing.sorts} <= {*operation.columns()}, operation.path
            assert {*operation.listing.still} <= {*operation.listing.sorts}, operation.path
            still = {name.removeprefix("-") for name in operation.listing.still.values()}
            assert still <= {*operation.columns()}, operation.path


def test_amounts_that_are_not_known_are_the_last_in_either_order_and_unlimited_ones_the_greatest() -> None:
    amounts = ["9.00", None, "100.00", "unlimited", "-3.50", None]
    rows = [{"id": str(number), "available": amount} for number, amount in enumerate(amounts)]
    listing, columns = listed("/balances").listing, listed("/balances").columns()
    assert listing is not None
    for sort, order in (("available", "402315"), ("-available", "320451")):
        found, cursor = "", {}
        while not found or cursor:
            wanted = page_wanted(listing, columns, {"limit": "1", "sort": sort, **cursor}, "")
            page = json.loads(asyncio.run(whole_list(listing, rows, wanted)).content)
            found += "".join(each["id"] for each in page["items"])
            cursor = {"cursor": page["next"]} if page["next"] else {}
        assert found == order
    for place in ([True, "x", "1"], [True, ["1"], "1"], [True, "NaN", "1"], [True], "ab", 7):
        wanted = page_wanted(listing, columns, {"sort": "available", "cursor": closed_cursor("available", place)}, "")
        with pytest.raises(RequestError, match="of another list"):
            asyncio.run(whole_list(listing, rows, wanted))


def test_gateways_without_a_ratio_are_behind_the_worst_one_and_behind_the_best_one() -> None:
    rows = [
        {"gateway": name, "kind": "routing", "asr": asr}
        for name, asr in zip("abcd", (None, 40.0, 0, None), strict=True)
    ]
    listing, columns = listed("/gateways/quality").listing, listed("/gateways/quality").columns()
    assert listing is not None
    for sort, order in (("asr", "cbad"), ("-asr", "bcda")):
        wanted = page_wanted(listing, columns, {"sort": sort}, "")
        page = json.loads(asyncio.run(whole_list(listing, rows, wanted)).content)
        assert "".join(each["gateway"] for each in page["items"]) == order


@pytest.mark.parametrize(("sort", "order"), [("age_s", "dcba"), ("-age_s", "abcd"), ("talk_s", "cbad")])
def test_pages_by_age_have_each_call_once_while_all_grow_older(sort: str, order: str) -> None:
    listing, columns = listed("/calls").listing, listed("/calls").columns()
    assert listing is not None
    found, cursor, passed_s = "", {}, 0
    while not found or cursor:
        rows = [
            {
                "call_id": name,
                "started_at": f"2026-11-29T10:00:0{second}.000Z",
                "answered_at": f"2026-11-29T10:00:1{second}.000Z" if name != "d" else None,
                "age_s": 30 - second + passed_s,
                "talk_s": 20 - second + passed_s if name != "d" else None,
            }
            for second, name in enumerate("abcd")
        ]
        wanted = page_wanted(listing, columns, {"limit": "1", "sort": sort, **cursor}, "")
        page = json.loads(asyncio.run(whole_list(listing, rows, wanted)).content)
        found += "".join(each["call_id"] for each in page["items"])
        assert len(found) <= len(rows)
        cursor = {"cursor": page["next"]} if page["next"] else {}
        passed_s += 5
    assert found == order


def test_every_list_knows_its_fields_and_refuses_others() -> None:
    for operation in OPERATIONS:
        if operation.listing is not None:
            assert operation.columns(), operation.path
            with pytest.raises(RequestError):
                page_wanted(operation.listing, operation.columns(), {"fields": "nonsense"}, "")


def test_sparse_items_have_no_null_for_a_field_that_they_have_not() -> None:
    rows = [{"id": "shop", "balance": "1"}, {"id": "top", "balance": "2", "agent": "reseller"}]
    operation = listed("/balances")
    assert operation.listing is not None
    wanted = page_wanted(operation.listing, operation.columns(), {"fields": "id,agent"}, "")
    found = json.loads(asyncio.run(whole_list(operation.listing, rows, wanted)).content)
    assert found["items"] == [{"id": "shop"}, {"id": "top", "agent": "reseller"}]


async def workbook(path: str, rows: list[object], fields: str = "id,contact,balance") -> bytes:
    operation = listed(path)
    assert operation.listing is not None
    wanted = page_wanted(operation.listing, operation.columns(), {"fields": fields}, XLSX)
    answer = await whole_list(operation.listing, rows, wanted)
    assert (answer.content_type, answer.stream is not None) == (XLSX, True)
    assert answer.stream is not None
    return b"".join([part async for part in answer.stream])


def test_a_spreadsheet_has_amounts_as_numbers_and_digits_of_telephones_as_text() -> None:
    rows = [{"id": "442079460001", "contact": "=1+1", "balance": "-1.50"}, {"id": "b", "contact": None, "balance": "x"}]
    rows.append({"id": "c", "contact": None, "balance": "0.009"})
    with zipfile.ZipFile(io.BytesIO(asyncio.run(workbook("/balances", rows)))) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert re.findall(r'<c r="(\w+)"[^>]*>.*?(?:<t[^>]*>|<v>)(.*?)</', sheet) == [
        ("A1", "id"), ("B1", "contact"), ("C1", "balance"),
        ("A2", "442079460001"), ("B2", "=1+1"), ("C2", "-1.5"),
        ("A3", "b"), ("C3", "x"),
        ("A4", "c"), ("C4", "0.009"),
    ]  # fmt: skip
    assert re.findall(r'<c r="([ABC]2)" t="inlineStr"', sheet) == ["A2", "B2"]


LISTS = [each for each in OPERATIONS if each.listing is not None]
WITH_AMOUNTS = [each for each in LISTS if any(each.columns().values())]
MONEY = re.compile(r"\bas text\b|[Aa]mount\b|[Pp]rice of|[Cc]ost of|[Pp]ercent|Tax\b|Charge\b|Debt\b")


@pytest.mark.parametrize("operation", WITH_AMOUNTS, ids=[each.path for each in WITH_AMOUNTS])
def test_a_spreadsheet_of_any_list_has_every_amount_as_a_number_and_nothing_else(operation: Operation) -> None:
    columns = operation.columns()
    row = dict.fromkeys(columns, "-1.50")
    with zipfile.ZipFile(io.BytesIO(asyncio.run(workbook(operation.path, [row], ",".join(columns))))) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    cells = re.findall(r'<c r="[A-Z]+2"([^>]*)>', sheet)
    assert [name for name, said in zip(columns, cells, strict=True) if 't="inlineStr"' not in said] == [
        name for name, is_amount in columns.items() if is_amount
    ]


def test_every_text_of_a_list_that_is_about_money_is_declared_as_an_amount() -> None:
    described = document()
    schemas = described["components"]["schemas"]
    undeclared, known = [], 0
    for operation in LISTS:
        content = described["paths"][operation.path]["get"]["responses"]["200"]["content"]["application/json"]
        columns, (example,) = operation.columns(), content["example"]["items"]
        known += sum(columns.values())
        shown = {name for name, value in example.items() if re.fullmatch(r"-?\d+\.\d+", str(value))}
        undeclared += [(operation.path, name) for name in shown if isinstance(example[name], str) and not columns[name]]
        name = content["schema"]["properties"]["items"]["items"].get("$ref", "").rpartition("/")[2]
        fields = schemas[name].get("properties", {}) if name else {}
        for field, schema in fields.items():
            kinds = {each.get("type") for each in (schema, *schema.get("anyOf", ()))}
            is_money = "string" in kinds and MONEY.search(schema.get("description", ""))
            if is_money and not columns[field] and field != "value":  # the value of a parameter or an override
                undeclared.append((operation.path, field))
    assert (undeclared, known > 50) == ([], True)


def test_a_list_that_is_too_long_for_a_spreadsheet_is_refused_before_the_answer(monkeypatch) -> None:
    monkeypatch.setattr("vosd.api.workbook.ROWS_MAX", 2)
    rows = [{"id": str(number), "balance": "1"} for number in range(3)]
    with pytest.raises(RequestError, match="more than 2 rows"):
        asyncio.run(workbook("/balances", rows))
    assert asyncio.run(workbook("/balances", rows[:2])).startswith(b"PK")


@pytest.mark.parametrize("form", [JSON, CSV, NDJSON, XLSX])
@pytest.mark.parametrize("operation", LISTS, ids=[each.path for each in LISTS])
async def test_a_list_that_the_office_refuses_has_no_answer_in_any_form(operation: Operation, form: str) -> None:
    async def refused() -> AsyncIterator[object]:
        raise OutOfScopeError("it is the account of another customer")
        yield {}

    assert operation.listing is not None
    wanted = page_wanted(operation.listing, operation.columns(), {}, form)
    with pytest.raises(OutOfScopeError):
        await read_list(operation.listing, refused(), wanted)
