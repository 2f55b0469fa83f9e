"""The lists of objects as read: each object under its name, duplicates refused."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from vosd.catalogue.problems import ProblemList
from vosd.catalogue.source import Definition
from vosd.config.reader.document import Section

Thing = TypeVar("Thing")
Thing_co = TypeVar("Thing_co", covariant=True)
Made = TypeVar("Made")


class Written(NamedTuple, Generic[Thing_co]):
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
    own: dict[str, Section] = field(default_factory=dict)
    """Section of each object without the keys of its template, where these are compared with the last load.

    Empty = none has a template.
    """


def read_inventory(
    sections: Sequence[Section],
    list_name: str,
    name_key: str,
    read: Callable[[Section, str], Thing | None],
    problems: ProblemList,
) -> Inventory[Thing]:
    """Read the items of one list; ``read`` turns a section and its label into an object."""
    inventory: Inventory[Thing] = Inventory()
    first: dict[str, Section] = {}
    for index, section in enumerate(sections):
        name = section.text_of(name_key)
        label = f"{list_name}[{name or index}]"
        thing = read(section, label)
        if name in first:
            expected = f"each {name_key} once; it also stands at {first[name].place_of(name_key)}"
            problems.error(section.place_of(name_key), f"{label}.{name_key}", expected, name)
        elif name:
            first[name] = section
            if thing is None:
                inventory.broken[name] = Written(None, section, label)
            else:
                inventory.written[name] = Written(thing, section, label)
    return inventory


def label_of(section: Section, list_name: str, name_key: str, index: int) -> str:
    """Return what messages call an item of a list: by its name, or by its position where it has none."""
    return f"{list_name}[{section.text_of(name_key) or index}]"
