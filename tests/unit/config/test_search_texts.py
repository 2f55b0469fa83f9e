"""Objects are found by names, captions and what leads calls to them: those of the files, and others of the database."""

import json

from vosd.base.search_text import SearchText
from vosd.catalogue.problems import SourceLine
from vosd.catalogue.stored_objects import ObjectVersion
from vosd.config.reader.document import Entry, Scalar, Section, YamlList
from vosd.config.search_texts import search_text

PLACE = SourceLine("vosd.yaml", 1)


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


def test_agents_find_phones_by_their_numbers_and_not_by_memos() -> None:
    phone = stored("phones", "7001", "lent", caller_numbers=["4930471"], password="quill", mailbox="4930472")
    found = of_kind("phones", {"7002": written(hosts="192.0.2.9", password="quill")}, phone)
    assert [found.has("7001", each, is_inner=False) for each in ("4930471", "lent", "quill")] == [True, False, False]
    assert [found.has("7001", each, is_inner=True) for each in ("lent", "4930472")] == [True, False]
    assert found.has("7002", "192.0.2.9", is_inner=False)
    assert [*found.having("quill")] == []
