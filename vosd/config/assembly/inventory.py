"""The lists of objects as read: each object under its name, duplicates refused."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final, Generic, TypeVar

from msgspec import Struct

from vosd.base.parts import in_parts
from vosd.catalogue.problems import ProblemList, SourceLine
from vosd.catalogue.source import Definition
from vosd.config.reader.document import Section
from vosd.config.reader.reading import Model, items_of, read_section
from vosd.config.reader.templates import TEMPLATE

_READ_AT_ONCE: Final = 100
Thing = TypeVar("Thing")
Thing_co = TypeVar("Thing_co", covariant=True)
Made = TypeVar("Made")


class Written(Struct, Generic[Thing_co], frozen=True):
    """One object, the section it was read from, and what messages call it."""

    thing: Thing_co
    section: Section
    label: str

    def defines(self, value: Made) -> Definition[Made]:
        """Return what was made of the object as a definition of the catalogue."""
        return Definition(value, self.label, self.section)

    def inner(self, key: str) -> tuple[Section, str]:
        """Return the section behind a key of the object, and what messages call it."""
        entry = self.section.entries.get(key)
        section = entry.node if entry is not None and isinstance(entry.node, Section) else self.section
        return section, f"{self.label}.{key}"

    def text(self, key: str) -> str | None:
        """Return the text of a key as the file has it; None where there is none."""
        return self.section.text_of(key) or None


@dataclass(slots=True)
class Inventory(Generic[Thing]):
    """All objects of one list."""

    written: dict[str, Written[Thing]] = field(default_factory=dict)
    broken: dict[str, Written[None]] = field(default_factory=dict)
    """Objects with mistakes, by name."""


class Items(Generic[Thing]):
    """Items of a list that are read one after the other: a hundred thousand of them would take 300 MB together."""

    def __init__(
        self,
        sections: Iterable[Section],
        list_name: str,
        name_key: str,
        read: Callable[[Section, str], Thing | None],
        problems: ProblemList,
        fill: Callable[[Section, str], Section] | None = None,
    ) -> None:
        """Take the sections of a list.

        Args:
            sections: the items.
            list_name: name of the list in messages.
            name_key: key with the name of an item.
            read: turns a section and its label into an object.
            problems: get the mistakes that are found.
            fill: returns a section that names a template with the keys of that; None = none is looked for.
        """
        self.broken: Final[dict[str, Written[None]]] = {}
        """Objects with mistakes, by name, as far as the items were read."""
        self._sections = sections
        self._list_name = list_name
        self._name_key = name_key
        self._read = read
        self._problems = problems
        self._fill = fill

    def each(self) -> Iterator[tuple[str, Written[Thing], Section]]:
        """Read the items; yield name and object of those without mistakes, and their sections without template.

        Some are read at a time, for the processor's caches.
        """
        return chain.from_iterable(in_parts(self._each(), _READ_AT_ONCE))

    def _each(self) -> Iterator[tuple[str, Written[Thing], Section]]:
        list_name, name_key, read, fill = self._list_name, self._name_key, self._read, self._fill
        first: dict[str, SourceLine] = {}
        for index, own in enumerate(self._sections):
            section, name = own, own.text_of(name_key)
            label = f"{list_name}[{name or index}]"
            if fill is not None and TEMPLATE in own.entries:
                section = fill(own, label)
                if not name:
                    name = section.text_of(name_key)
                    label = f"{list_name}[{name or index}]"
            thing = read(section, label)
            if name in first:
                expected = f"each {name_key} once; it also stands at {first[name]}"
                self._problems.error(section.place_of(name_key), f"{label}.{name_key}", expected, name)
            elif name:
                first[name] = section.entries[name_key].place
                if thing is None:
                    self.broken[name] = Written(None, section, label)
                else:
                    yield name, Written(thing, section, label), own


def read_inventory(
    sections: Sequence[Section],
    list_name: str,
    name_key: str,
    read: Callable[[Section, str], Thing | None],
    problems: ProblemList,
) -> Inventory[Thing]:
    """Read the items of one list; ``read`` turns a section and its label into an object."""
    items = Items(sections, list_name, name_key, read, problems)
    return Inventory({name: written for name, written, _ in items.each()}, items.broken)


def read_list(
    document: Section, list_name: str, model: type[Model], problems: ProblemList, name_key: str = "name"
) -> Inventory[Model]:
    """Take one list out of the document, whose items are sections of a model."""

    def read(section: Section, label: str) -> Model | None:
        return read_section(model, section, label, problems)

    return read_inventory(items_of(document, list_name, problems), list_name, name_key, read, problems)


def label_of(section: Section, list_name: str, name_key: str, index: int) -> str:
    """Return what messages call an item of a list: by its name, or by its position where it has none."""
    return f"{list_name}[{section.text_of(name_key) or index}]"
