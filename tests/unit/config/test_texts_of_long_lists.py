"""Texts of keys in a long list: objects with a template are looked at only where a template has such a key."""

from collections.abc import Iterator, Sequence

from vosd.base.search_text import Searched
from vosd.catalogue.problems import SourceLine
from vosd.catalogue.stored_objects import ObjectVersion, SearchedObjects
from vosd.config.reader.document import Entry, Scalar, Section
from vosd.config.reader.long_lists import LongList

PLACE = SourceLine("vosd.yaml", 1)


class NotedObjects(SearchedObjects):
    """Objects of a database that note what they are searched for."""

    def __init__(self, found: dict[str, dict[str, str]]) -> None:
        self._found = found
        self.asked: list[tuple[str, ...]] = []

    def texts(self, *keys: str) -> list[tuple[str, list[str] | None]]:
        self.asked.append(keys)
        return [
            (name, [each.get(key, "") for key in keys])
            for name, each in self._found.items()
            if any(key in each for key in keys)
        ]

    def searched(self, shown: Sequence[str], inner: Sequence[str]) -> list[Searched]:
        raise AssertionError("this is not asked for here")

    def __getitem__(self, name: str) -> ObjectVersion:
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


def section(**keys: str) -> Section:
    return Section(PLACE, {key: Entry(PLACE, Scalar(PLACE, text, text, is_bare=False)) for key, text in keys.items()})


def test_objects_are_searched_for_templates_only_where_one_has_the_key() -> None:
    stored = NotedObjects(
        {"a": {"template": "led"}, "b": {"agent": "top", "template": "led"}, "c": {"template": "none"}}
    )
    items = [section(id="f", template="led"), section(id="g", agent="base")]

    def agents(**of_template: str) -> dict[str, str]:
        found = LongList("id", items, stored, lambda _each: section())
        return dict(found.written(["agent"], {"led": section(**of_template), "other": section()}, "template"))

    assert agents(agent="chief") == {"a": "chief", "b": "top", "f": "chief", "g": "base"}
    assert agents(max_cps="3") == {"b": "top", "g": "base"}
    assert stored.asked == [("template", "agent"), ("agent",)]
