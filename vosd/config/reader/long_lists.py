"""Items of a long list by name: those of the files, and those of the database, read when they are asked for."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain

from vosd.catalogue.problems import ConfigError, Problem
from vosd.catalogue.stored_objects import ObjectVersion, SearchedObjects
from vosd.config.reader.document import Listing, Node, Section
from vosd.config.reader.items import digest_of, name_of


class LongList(Mapping[str, Section]):
    """The items of one list by name, those of the files first; of two with one name the first."""

    def __init__(
        self,
        key: str,
        sections: Iterable[object],
        stored: Mapping[str, ObjectVersion],
        section_of: Callable[[ObjectVersion], Section],
    ) -> None:
        """``key`` is the one with the name; ``section_of`` reads an object, or raises ConfigError."""
        self._key = key
        self._items: dict[str, Section] = {}
        for section in sections:
            if isinstance(section, Section) and (name := name_of(section, key)):
                self._items.setdefault(name, section)
        self._stored = stored
        self._section_of = section_of
        self._mistakes: dict[str, tuple[Problem, ...]] = {}

    def take_mistakes(self, found: Iterable[Problem]) -> list[Problem]:
        """Keep the problems within items of the files until these are asked for; return the others."""
        others = [*found]
        for name, item in self._items.items() if others else ():
            lines = range(item.place.line, _last_line(item) + 1)
            own = [each for each in others if each.key and each.file == item.place.file and each.line in lines]
            if own:
                self._mistakes[name] = tuple(own)
                others = [each for each in others if each not in own]
        return others

    def written(self, key: str, templates: Mapping[str, Section], template_key: str) -> Iterator[tuple[str, str]]:
        """Yield the name of each item and the value of one key, as written in it or its template; items without none.

        Only objects of the database with one of the two words in their text are looked at.
        """
        by_template = {name: text for name, each in templates.items() if (text := name_of(each, key))}
        sought = (
            self._section_of(each) for each in self._containing(key, template_key) if each.name not in self._items
        )
        for section in chain(self._items.values(), sought):
            value = name_of(section, key) or by_template.get(name_of(section, template_key), "")
            if value:
                yield name_of(section, self._key), value

    def _containing(self, *words: str) -> Iterable[ObjectVersion]:
        if isinstance(self._stored, SearchedObjects):
            return self._stored.containing(*words)
        return [each for each in self._stored.values() if any(word in (each.body or "") for word in words)]

    @property
    def of_files(self) -> Mapping[str, Section]:
        """The items of the files, by name."""
        return self._items

    def likeness(self, name: str) -> object:
        """Return what is the same of two items that differ in nothing but their names; None where there is no item."""
        item = self._items.get(name)
        if item is None:
            stored = self._stored.get(name)
            return None if stored is None else stored.body
        return digest_of(Section(item.place, {key: each for key, each in item.entries.items() if key != self._key}))

    def __getitem__(self, name: str) -> Section:
        """Return an item.

        Raises:
            KeyError: there is none.
            ConfigError: with the mistakes of its text.
        """
        if name in self._mistakes:
            raise ConfigError(self._mistakes[name])
        item = self._items.get(name)
        return self._section_of(self._stored[name]) if item is None else item

    def __contains__(self, name: object) -> bool:
        """Return whether there is an item of that name."""
        return name in self._items or name in self._stored

    def __iter__(self) -> Iterator[str]:
        """Yield the names."""
        yield from self._items
        yield from (name for name in self._stored if name not in self._items)

    def __len__(self) -> int:
        """Return how many items have a name."""
        return len(self._items) + len(self._stored) - sum(name in self._stored for name in self._items)


def _last_line(node: Node) -> int:
    """Return the line of the last value within a node."""
    inner: list[Node] = node.items if isinstance(node, Listing) else []
    if isinstance(node, Section):
        inner = [entry.node for entry in node.entries.values()]
    return max([node.place.line, *map(_last_line, inner)])
