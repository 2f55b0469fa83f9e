"""Objects are found by names, captions and what leads calls to them: those of the files, and others of the database."""

import asyncio
import json
import threading
from collections.abc import Iterator, Sequence

import pytest

from vosd.base.search_text import Searched, SearchText
from vosd.catalogue.problems import SourceLine
from vosd.catalogue.stored_objects import ObjectVersion, SearchedObjects
from vosd.config.reader.document import Entry, Scalar, Section, YamlList
from vosd.config.search_texts import SearchTexts, search_text
from vosd.storage.kept_objects import MissingObjectsError

PLACE = SourceLine("vosd.yaml", 1)
LONG_S = 5


def written(**keys: str | list[str]) -> Section:
    def scalar(text: str) -> Scalar:
        return Scalar(PLACE, text, text, is_bare=True)

    def node(value: str | list[str]) -> Scalar | YamlList:
        return scalar(value) if isinstance(value, str) else YamlList(PLACE, [*map(scalar, value)])

    return Section(PLACE, {key: Entry(PLACE, node(value)) for key, value in keys.items()})


def stored(kind: str, name: str, memo: str | None = None, **keys: object) -> ObjectVersion:
    return ObjectVersion(
        kind=kind, name=name, version=1, body=json.dumps(keys), begins_at=1, made_at=1, operator="ann", memo=memo
    )


def of_kind(kind: str, files: dict[str, Section], *versions: ObjectVersion) -> SearchText:
    return search_text(kind, files, {each.name: each for each in versions})


def test_a_gateway_of_a_vendor_is_found_by_its_address_in_files_and_database() -> None:
    found = of_kind(
        "routing_gateways",
        {"north": written(address="192.0.2.7:5060", groups=["cheap", "night"])},
        stored("routing_gateways", "south", "cheap since May", address="192.0.2.8", register={"password": "quill"}),
        stored("routing_gateways", "north", address="192.0.2.99"),
    )
    assert [*found.having("192.0.2.")] == [*found.having("CHEAP")] == ["north", "south"]
    assert [*found.having("192.0.2.7:5060")] == [*found.having("night")] == ["north"]
    assert [*found.having("192.0.2.99")] == [*found.having("quill")] == []


def test_gateways_are_found_by_the_user_names_of_their_trunks_and_not_by_passwords() -> None:
    login: dict[str, object] = {"username": "Trunk4711", "password": "quill"}
    node = Section(
        PLACE, {key: Entry(PLACE, Scalar(PLACE, f"{each}", f"{each}", is_bare=True)) for key, each in login.items()}
    )
    found = of_kind(
        "routing_gateways",
        {"north": Section(PLACE, {"register": Entry(PLACE, node)}), "east": written(register="odd")},
        stored("routing_gateways", "south", auth=login, register={"server": "sip.trunk47.example"}),
        stored("routing_gateways", "west", auth="odd"),
    )
    assert [*found.having("trunk4711")] == ["north", "south"]
    assert [*found.having("sip.trunk47.example")] == ["south"]
    assert [*found.having("quill")] == []
    assert [*of_kind("mapping_gateways", {}, stored("mapping_gateways", "in", auth=login)).having("4711")] == ["in"]


def test_agents_find_phones_by_their_numbers_and_not_by_memos() -> None:
    phone = stored("phones", "7001", "lent", caller_numbers=["4930471"], password="quill", mailbox="4930472")
    found = of_kind("phones", {"7002": written(hosts="192.0.2.9", password="quill")}, phone)
    assert [found.has("7001", each, is_inner=False) for each in ("4930471", "lent", "quill")] == [True, False, False]
    assert [found.has("7001", each, is_inner=True) for each in ("lent", "4930472")] == [True, False]
    assert found.has("7002", "192.0.2.9", is_inner=False)
    assert [*found.having("quill")] == []


class HeldObjects(SearchedObjects):
    """Objects of a database that is slow: the thread that reads them is held."""

    def __init__(self) -> None:
        self.is_asked, self.may_go_on = threading.Event(), threading.Event()
        self.reads = 0
        self.is_away = False

    def texts(self, *keys: str) -> list[tuple[str, list[str] | None]]:
        raise AssertionError("this is not asked for here")

    def searched(self, shown: Sequence[str], inner: Sequence[str]) -> list[Searched]:
        self.reads += 1
        self.is_asked.set()
        if not self.may_go_on.wait(LONG_S) or self.is_away:
            raise MissingObjectsError("away")
        return [Searched("7001")]

    def __getitem__(self, name: str) -> ObjectVersion:
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


async def test_requests_go_on_while_texts_are_put_together_once() -> None:
    texts, objects = SearchTexts(), HeldObjects()
    one, other = (asyncio.create_task(texts.of("phones", {}, objects)) for _ in range(2))
    assert await asyncio.to_thread(objects.is_asked.wait, LONG_S)
    one.cancel()  # its browser has gone away
    objects.may_go_on.set()
    found = await other
    assert [*found.having("7")] == ["7001"]
    assert await texts.of("phones", {}, objects) is found
    assert objects.reads == 1


async def test_texts_that_could_not_be_read_are_read_again() -> None:
    texts, objects = SearchTexts(), HeldObjects()
    objects.is_away = True
    objects.may_go_on.set()
    with pytest.raises(MissingObjectsError):
        await texts.of("phones", {}, objects)
    objects.is_away = False
    assert [*(await texts.of("phones", {}, objects)).having("7")] == ["7001"]
