"""The inventory of numbers in the office: filled from a file, assigned, freed, and who had a number when."""

from pathlib import Path
from typing import Final

import pytest
from doubles.data import builders
from doubles.office import agent, office_on, operator

from vosd.admin.office.definitions import SetObjects, set_objects
from vosd.admin.office.dids import (
    AssignDid,
    FreeDid,
    ImportDids,
    ListDids,
    assign_did,
    free_did,
    import_dids,
    list_dids,
)
from vosd.admin.office.object_versions import NoSuchObjectError
from vosd.admin.office.office import Office
from vosd.admin.office.planned_change import WantedObject
from vosd.admin.office.principal import OrderError
from vosd.admin.office.shown_objects import ShowObject, show_object
from vosd.storage.database import Database
from vosd.trunks.ringing import RingOrder

NOW: Final = 1_790_000_000_000
RANGE: Final = "4930100-4930199"
FILE: Final = f"number,account,phones\n493055,shop,7001 7002\n{RANGE},,\n"


@pytest.fixture
async def office(database: Database, tmp_path: Path) -> Office:
    office = office_on(
        database, builders.account("shop", agent="south"), builders.account("south"), now=NOW, socket=tmp_path / "s"
    )
    objects = [
        WantedObject("accounts", "shop", {"currency": "USD"}),
        *(
            WantedObject("phones", number, {"account": "shop", "password": "very-Secret-word"})
            for number in ("7001", "7002")
        ),
    ]
    await set_objects(office, operator(), SetObjects(objects=tuple(objects)))
    await import_dids(office, operator(), ImportDids(text=FILE, memo="stock"))
    return office


async def test_a_file_fills_the_inventory_with_given_and_free_numbers(office):
    rows = await list_dids(office, operator(), ListDids())
    assert [(row.number, row.account, row.rings) for row in rows] == [
        (RANGE, None, ""), ("493055", "shop", "7001 7002")
    ]  # fmt: skip
    assert [row.number for row in await list_dids(office, operator(), ListDids(free=True))] == [RANGE]
    assert [row.number for row in await list_dids(office, operator(), ListDids(account="shop"))] == ["493055"]


async def test_a_file_of_a_spreadsheet_may_begin_with_its_mark(office):
    await import_dids(office, operator(), ImportDids(text="\ufeffnumber,account\n493077,shop\n"))
    assert [row.number for row in await list_dids(office, operator(), ListDids(account="shop"))] == ["493055", "493077"]


async def test_a_number_that_is_given_away_and_taken_back_keeps_its_past(office):
    await assign_did(office, operator(), AssignDid(number=RANGE, account="shop", phones=("7002",), memo="contract 7"))
    await free_did(office, operator(), FreeDid(number=RANGE, memo="cancelled"))
    past = await list_dids(office, operator(), ListDids(number=RANGE))
    assert [(row.account, row.rings, row.memo) for row in past] == [
        (None, "", "cancelled"), ("shop", "7002", "contract 7"), (None, "", "stock")
    ]  # fmt: skip
    assert {row.by for row in past} == {operator().name}


async def test_other_phones_of_an_account_ring_at_the_times_that_its_number_has(office):
    keys = {"account": "shop", "phones": ["7001"], "calendar": "day", "otherwise": ["7002"], "ring_timeout": "9"}
    calendar = WantedObject("calendars", "day", {"timezone": "UTC", "hours": "Mo-Fr 08:00-18:00"})
    await set_objects(office, operator(), SetObjects(objects=(calendar, WantedObject("dids", RANGE, keys))))
    for account, phones, expected in (
        ("shop", ["7001", "7002"], {**keys, "phones": ["7001", "7002"]}),
        ("south", ["7001"], {"account": "south", "phones": ["7001"]}),
    ):
        await assign_did(office, operator(), AssignDid(number=RANGE, account=account, phones=tuple(phones)))
        assert (await show_object(office, operator(), ShowObject(kind="dids", name=RANGE))).keys == expected


async def test_other_phones_of_a_planned_number_ring_at_the_times_that_it_has_by_then(office):
    keys = {"account": "shop", "phones": ["7001"], "ring_timeout": "9"}
    later = {**keys, "ring_timeout": "20"}
    await set_objects(office, operator(), SetObjects(objects=(WantedObject("dids", RANGE, keys),)))
    await set_objects(office, operator(), SetObjects(objects=(WantedObject("dids", RANGE, later),), at=NOW + 1_000))
    order = AssignDid(number=RANGE, account="shop", phones=("7002",), at=NOW + 2_000)
    await assign_did(office, operator(), order)
    office.now = lambda: NOW + 2_000
    shown = await show_object(office, operator(), ShowObject(kind="dids", name=RANGE))
    assert shown.keys == {**later, "phones": ["7002"]}


@pytest.mark.parametrize(("account", "expected"), [("shop", {}), ("south", {"ring_timeout": "20"})])
async def test_a_planned_number_has_no_times_of_another_account_that_has_it_by_then(office, account, expected):
    keys = {"account": "shop", "phones": ["7001"], "ring_timeout": "9"}
    later = {"account": "south", "phones": ["7001"], "ring_timeout": "20"}
    await set_objects(office, operator(), SetObjects(objects=(WantedObject("dids", RANGE, keys),)))
    await set_objects(office, operator(), SetObjects(objects=(WantedObject("dids", RANGE, later),), at=NOW + 1_000))
    order = AssignDid(number=RANGE, account=account, phones=("7002",), at=NOW + 2_000)
    await assign_did(office, operator(), order)
    office.now = lambda: NOW + 2_000
    shown = await show_object(office, operator(), ShowObject(kind="dids", name=RANGE))
    assert shown.keys == {"account": account, "phones": ["7002"], **expected}


async def test_phones_of_a_number_may_ring_together(office):
    order = AssignDid(number=RANGE, account="shop", phones=("7001", "7002"), ring=RingOrder.TOGETHER)
    await assign_did(office, operator(), order)
    rows = {row.number: row.ring for row in await list_dids(office, operator(), ListDids())}
    assert rows == {RANGE: RingOrder.TOGETHER, "493055": RingOrder.IN_TURN}
    await import_dids(
        office, operator(), ImportDids(text="number,account,phones,ring\n493055,shop,7001 7002,together\n")
    )
    assert {row.ring for row in await list_dids(office, operator(), ListDids())} == {RingOrder.TOGETHER}
    with pytest.raises(OrderError, match="for phones"):
        await assign_did(
            office, operator(), AssignDid(number=RANGE, account="shop", trunk="pbx", ring=RingOrder.TOGETHER)
        )


async def test_what_cannot_ring_is_refused_and_nothing_is_changed(office):
    with pytest.raises(OrderError, match="not named"):
        await assign_did(office, operator(), AssignDid(number=RANGE, account="shop"))
    with pytest.raises(NoSuchObjectError, match="there is no number 4930777: vosd did list has all, vosd did import"):
        await assign_did(office, operator(), AssignDid(number="4930777", account="shop", phones=("7001",)))
    assert len(await list_dids(office, operator(), ListDids(number=RANGE))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "number,who\n1,x\n",
        "account\nshop\n",
        "number\n\n1\n1\n",
        "number\n1,2\n",
        "number,account\n1\n",
        'number,phones\n1,"7001\n2,\n',
    ],
)
async def test_a_file_that_is_none_is_refused(office, text):
    with pytest.raises(OrderError):
        await import_dids(office, operator(), ImportDids(text=text))


async def test_an_agent_neither_sees_nor_changes_the_inventory(office):
    assert await list_dids(office, agent("south"), ListDids()) == []
    with pytest.raises(NoSuchObjectError):
        await free_did(office, agent("south"), FreeDid(number=RANGE))
