"""Items of a long list by name: those of the files, and those of the database, read when they are asked for."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec

from vosd.catalogue.problems import ConfigError, DefinitionProblem
from vosd.catalogue.stored_objects import ObjectVersion, SearchedObjects
from vosd.config.reader.document import Node, Section, YamlList
from vosd.config.reader.items import digest_of


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
            if isinstance(section, Section) and (name := section.text_of(key)):
                self._items.setdefault(name, section)
        self._stored = stored
        self._section_of = section_of
        self._mistakes: dict[str, tuple[DefinitionProblem, ...]] = {}

    def take_mistakes(self, found: Iterable[DefinitionProblem]) -> list[DefinitionProblem]:
        """Keep the problems within items of the files until these are asked for; return the others."""
        others = [*found]
        for name, item in self._items.items() if others else ():
            lines = range(item.place.line, _last_line(item) + 1)
            own = [each for each in others if each.key and each.file == item.place.file and each.line in lines]
            if own:
                self._mistakes[name] = tuple(own)
                others = [each for each in others if each not in own]
        return others

    def written(
        self, keys: Sequence[str], templates: Mapping[str, Section], template_key: str
    ) -> Iterator[tuple[str, str]]:
        """Yield the name of each item with each text that some keys have, as written in it or its template, once.

        Only objects of the database with one of the words in their text are looked at, and with a template only where
        one has any of these keys.
        """
        nothing = [""] * len(keys)
        of_templates = ((name, [each.text_of(key) for key in keys]) for name, each in templates.items())
        by_template = {name: given for name, given in of_templates if given != nothing}
        asked = [template_key] if by_template else []
        for name, texts in self._written((*asked, *keys)):
            own = texts[len(asked) :]
            given = by_template.get(texts[0], nothing) if asked else nothing
            for found in {text or of_template for text, of_template in zip(own, given, strict=True)}:
                if found:
                    yield name, found

    def _written(self, keys: Sequence[str]) -> Iterator[tuple[str, Sequence[str]]]:
        """Yield the name of each item that may have one of some keys, and the texts of these keys."""
        for name, section in self._items.items():
            yield name, [section.text_of(key) for key in keys]
        stored = self._stored
        if isinstance(stored, SearchedObjects):
            found = stored.texts(*keys)
        else:
            found = [(name, None) for name, each in stored.items() if any(key in (each.body or "") for key in keys)]
        for name, texts in found:
            if name not in self._items:
                yield name, self._texts_of(stored[name], keys) if texts is None else texts

    def _texts_of(self, stored: ObjectVersion, keys: Sequence[str]) -> list[str]:
        """Return the texts of some keys of an object of the database; empty for a key without a text."""
        assert stored.body is not None
        if "$" in stored.body:  # perhaps a variable of the environment
            section = self._section_of(stored)
            return [section.text_of(key) for key in keys]
        written = msgspec.json.decode(stored.body)
        return ["" if isinstance(value := written.get(key, ""), dict | list) else str(value) for key in keys]

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
    inner: list[Node] = node.items if isinstance(node, YamlList) else []
    if isinstance(node, Section):
        inner = [entry.node for entry in node.entries.values()]
    return max([node.place.line, *map(_last_line, inner)])
