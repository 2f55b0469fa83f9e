"""The worked examples of tests/vectors/billing.json about lists of calls."""

import msgspec
import pytest
from doubles.data.records import answered_call
from doubles.migrated import migrated
from doubles.office import office_on, operator

from golden.worked import of
from vosd.admin.office.records import ListRecords
from vosd.api.http import RequestError
from vosd.api.listing import page_wanted, read_list
from vosd.api.operations.calls import list_cdrs
from vosd.api.table import OPERATIONS
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database

NOW = 1_790_000_000_000


@of("report_limit")
async def test_a_list_of_the_latest_calls_has_so_many_at_most_and_says_where_it_goes_on(given, expect, tmp_path):
    available, most = given["rows_available"], expect["rows_returned"]
    operation = next(each for each in OPERATIONS if (each.method, each.path) == ("GET", "/cdrs"))
    assert operation.listing is not None
    database = Database(migrated(tmp_path / "vosd.db"))
    office = office_on(database, now=NOW)
    for begin in range(0, available, 500):
        await SqlBooks(database).book([answered_call(number) for number in range(begin, begin + 500)])
    with pytest.raises(RequestError, match="limit"):
        page_wanted(operation.listing, operation.columns(), {"limit": str(most + 1)}, "")
    found, after = [], None
    while after is not None or not found:
        wanted = page_wanted(operation.listing, operation.columns(), {"limit": str(most)}, "")
        order = ListRecords(limit=most + 1, after=after)
        answer = await read_list(operation.listing, list_cdrs(office, operator(), order), wanted)
        page = msgspec.json.decode(answer.content)
        found.append([each["call_id"] for each in page["items"]])
        after = found[-1][-1] if page["next"] else None
    assert [len(each) for each in found] == [most, available - most]
    assert found[0][0] == answered_call(available - 1).call_id, "the newest"
    await database.close()
