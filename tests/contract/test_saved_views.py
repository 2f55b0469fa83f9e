"""Views of pages of the console in both databases: each name once, so many of each owner, no change lost."""

import asyncio
from typing import Any

import msgspec
import pytest
from doubles.office import operator

from vosd.admin.office.saved_views import AddView, ViewPage
from vosd.storage.audit import SqlAudit
from vosd.storage.saved_views import SqlSavedViews, StoredView, TooManyViewsError, ViewExistsError

NOW = 1_790_000_000_000
LINE = operator().audit_line(AddView(page=ViewPage.CDRS, name="n", query=""), "view", NOW)


def view(name: str, **changes: Any) -> StoredView:
    values = {"owner": "ann", "page": "cdrs", "query": "reason=Busy", "shared": False}
    return StoredView(name=name, changed_at=NOW, changed_by="ann", **values | changes)


async def test_each_owner_has_a_name_once_for_a_page(database) -> None:
    views = SqlSavedViews(database)
    made = [await views.add(view("busy", **each), 100, LINE) for each in ({}, {"page": "reports"}, {"owner": "bob"})]
    assert [each.id for each in made] == sorted({each.id for each in made})
    with pytest.raises(ViewExistsError):
        await views.add(view("busy"), 100, LINE)
    other = await views.add(view("Busy", query="%E4%B8%AD", shared=True), 100, LINE)
    assert await views.find(other.id) == other
    with pytest.raises(ViewExistsError):
        await views.change(other, msgspec.structs.replace(other, name="busy", version=2), LINE)
    assert await views.find(other.id) == other
    assert [each.name for each in await views.of("bob", with_shared=False)] == ["busy"]
    assert {each.name for each in await views.of("bob", with_shared=True)} == {"busy", "Busy"}
    assert len(await SqlAudit(database).newest(100)) == 4


async def test_an_owner_has_no_more_than_the_most_also_at_once(database) -> None:
    views = SqlSavedViews(database)
    added = [views.add(view(f"v{number}"), 3, LINE) for number in range(6)]
    outcomes = await asyncio.gather(*added, return_exceptions=True)
    assert sum(isinstance(each, TooManyViewsError) for each in outcomes) == 3
    assert len(await views.of("ann", with_shared=False)) == 3
    assert await views.add(view("v0", owner="bob"), 3, LINE)


async def test_views_that_are_added_at_once_are_all_added_or_refused_for_their_number(database) -> None:
    views = SqlSavedViews(database)
    for number in range(4):
        owner = f"ann-{number}"
        added = [views.add(view(f"v{place % 9}", owner=owner), 5, LINE) for place in range(12)]
        outcomes = await asyncio.gather(*added, return_exceptions=True)
        assert {type(each) for each in outcomes} <= {StoredView, TooManyViewsError, ViewExistsError}
        assert len(await views.of(owner, with_shared=False)) == 5


async def test_a_change_of_another_version_changes_nothing(database) -> None:
    views = SqlSavedViews(database)
    before = await views.add(view("busy"), 100, LINE)
    after = msgspec.structs.replace(before, query="reason=Loop", shared=True, version=2, changed_by="bob")
    assert await views.change(before, after, LINE)
    assert not await views.change(before, msgspec.structs.replace(before, query="", version=2), LINE)
    assert not await views.remove(before, LINE)
    assert await views.of("ann", with_shared=False) == [after]
    assert await views.remove(after, LINE)
    assert await views.find(after.id) is None
    assert len(await SqlAudit(database).newest(100)) == 3
