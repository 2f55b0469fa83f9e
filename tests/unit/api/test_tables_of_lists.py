"""Lists as CSV, whose header has every column of every kind of item, and with some of their fields."""

import asyncio
import json

import pytest

from vosd.api.http import RequestError
from vosd.api.listing import CSV, page_wanted, whole_list
from vosd.api.operation import Operation
from vosd.api.table import OPERATIONS


def listed(path: str) -> Operation:
    return next(each for each in OPERATIONS if (each.method, each.path) == ("GET", path))


async def table(path: str, rows: list[object]) -> list[str]:
    operation = listed(path)
    assert operation.listing is not None
    wanted = page_wanted(operation.listing, operation.columns(), {}, CSV)
    answer = await whole_list(operation.listing, rows, wanted)
    assert answer.stream is not None
    return b"".join([part async for part in answer.stream]).decode().splitlines()


def test_a_table_has_the_columns_of_every_item_and_not_of_the_first_alone() -> None:
    rows = [{"id": "shop", "balance": "1"}, {"id": "top", "balance": "2", "agent": "reseller"}]
    header, first, last = asyncio.run(table("/balances", rows))
    assert {"id", "balance", "agent", "group"} <= {*header.split(",")}
    assert (first.split(",")[0], last.count("reseller")) == ("shop", 1)


def test_a_table_without_items_has_its_header() -> None:
    (header,) = asyncio.run(table("/registrations", []))
    assert {"direction", "received", "server"} <= {*header.split(",")}


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
