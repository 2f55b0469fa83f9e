"""The lists of objects as read: each under its name, duplicates refused."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from vosd.config.reader.document import Scalar, Section
from vosd.config.reader.problems import Place, ProblemList, suggestion

Thing = TypeVar("Thing")
Thing_co = TypeVar("Thing_co", covariant=True)


class Written(NamedTuple, Generic[Thing_co]):
    """One object, the section it was read from, and what messages call it."""

    thing: Thing_co
    section: Section
    label: str


@dataclass(slots=True)
class Inventory(Generic[Thing]):
    """All objects of one kind."""

    kind: str
    """What messages call one of them, such as ``account``."""
    written: dict[str, Written[Thing]] = field(default_factory=dict)
    broken: dict[str, Written[None]] = field(default_factory=dict)
    """Objects with mistakes by name: whoever refers to them has made none, and they may refer to nothing."""

    def things(self) -> Mapping[str, Thing]:
        """Return the sound objects by name, in the order of the file."""
        return {name: each.thing for name, each in self.written.items()}

    def find(self, name: str, named_by: Written[object], key: str, problems: ProblemList) -> Written[Thing] | None:
        """Return the object that ``key`` of another one names; a name that nothing has is noted."""
        found = self.written.get(name)
        if found is None and name not in self.broken:
            report_unknown(self.kind, name, [*self.written, *self.broken], named_by, key, problems)
        return found


def report_unknown(
    kind: str, name: str, names: Collection[str], named_by: Written[object], key: str, problems: ProblemList
) -> None:
    """Note that ``key`` of an object names something of ``kind`` that does not exist; ``names`` do."""
    near = suggestion(name, names) if names else "there is none yet"
    expected = f"the name of {_article(kind)} {kind}; {near}"
    problems.error(place_of(named_by.section, key), f"{named_by.label}.{key}", expected, name)


def read_inventory(
    sections: Sequence[Section],
    list_name: str,
    inventory: Inventory[Thing],
    name_key: str,
    read: Callable[[Section, str], Thing | None],
    problems: ProblemList,
) -> Inventory[Thing]:
    """Fill the inventory from the items of one list; ``read`` turns a section and its label into a thing."""
    places: dict[str, Place] = {}
    for index, section in enumerate(sections):
        name = _name_of(section, name_key)
        label = label_of(section, list_name, name_key, index)
        thing = read(section, label)
        if name in places:
            expected = f"each {name_key} once; it also stands at {places[name]}"
            problems.error(place_of(section, name_key), f"{label}.{name_key}", expected, name)
        elif name:
            places[name] = place_of(section, name_key)
            if thing is None:
                inventory.broken[name] = Written(None, section, label)
            else:
                inventory.written[name] = Written(thing, section, label)
    return inventory


def label_of(section: Section, list_name: str, name_key: str, index: int) -> str:
    """Return what messages call an item of a list: by its name, or by its position where it has none."""
    return f"{list_name}[{_name_of(section, name_key) or index}]"


def place_of(section: Section, key: str) -> Place:
    """Return where a key of the section stands, or the section itself where it is left out."""
    entry = section.entries.get(key)
    return section.place if entry is None else entry.place


def _name_of(section: Section, name_key: str) -> str:
    entry = section.entries.get(name_key)
    return entry.node.text if entry is not None and isinstance(entry.node, Scalar) else ""


def _article(kind: str) -> str:
    return "an" if kind[0] in "aeiou" else "a"
