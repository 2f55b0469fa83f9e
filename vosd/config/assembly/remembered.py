"""Definitions that the last load made of the items of long lists, by name (ADR 112).

What an item has decides what it defines, together with what holds for all items: parameters, presets, ``sip`` and
``routing``, and with its template. Where one of the former has changed, or a template of items in files, nothing is
remembered; where a template of objects has, these objects are read again.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from vosd.base.edited import edited
from vosd.base.parts import free, in_parts
from vosd.catalogue.problems import SourceLine
from vosd.catalogue.reused import Reused
from vosd.catalogue.source import NO_CHANGE, Definition, Origin, SourceDifference, WholeOrigin
from vosd.catalogue.stored_objects import ObjectVersion
from vosd.config.assembly.sockets import Reach
from vosd.config.reader.document import Node, Scalar, Section
from vosd.config.reader.items import LONG_LISTS, DoubtfulError, Known, ListDifference, ReadFiles
from vosd.config.reader.templates import TEMPLATE, TEMPLATES
from vosd.config.reader.texts import Texts
from vosd.config.reader.whole_files import Reads, read_here, unchanged
from vosd.config.stored import Stored

_PARAMETERS: Final = "parameters"
"""Objects of the database that decide what all others mean."""
_VARIABLE: Final = "$"
_LOOKED_AT_ONCE: Final = 1_000
_NOTHING_KNOWN: Final = Known()


Chooses = Callable[[Definition[Any]], bool]


class Whole(NamedTuple):
    """Definitions in all items of a list."""

    sound: Mapping[str, Definition[Any]]
    """By name."""
    change: SourceDifference | None
    """Differences from the last load; None = they are not compared."""
    is_ordered: bool = True
    """Whether ``sound`` is in the order of the source; an item that was inserted since stands at its end."""


class Remembered:
    """Results of a load that the next one can use."""

    def __init__(self) -> None:
        self.reads: Reads = read_here
        self.read: ReadFiles | None = None
        """The files of the last load."""
        self.stored: Stored | None = None
        """Definitions of the database then; None = there was no load."""
        self.apart: Mapping[str, frozenset[str]] = {}
        """By list, the names of items that have to be read again though they are the same."""
        self.whole: dict[str, Whole] = {}
        """By list."""
        self.reaches: Mapping[str, Reach] = {}
        """Reach of each routing gateway."""
        self.chosen: Mapping[tuple[str, Chooses], Mapping[str, Definition[Any]]] = {}
        """Definitions of a list that a function has chosen, by name."""
        self.where = Whereabouts()
        self.long_sounds: Set[str] = frozenset()
        """Sounds that no item may announce."""
        self.templates: frozenset[str] = frozenset()
        """Templates on which items of files are built, and perhaps others on which some were."""
        self.shapes: dict[Shape, Shape] = {}
        self.reused = Reused()
        self._is_renewed = True

    @contextmanager
    def kept(self) -> Iterator[list[object]]:
        """Keep what is remembered as it is in loads of the block: their results are not put in force.

        Yield a list, which has the parts of the last of these results when the block has ended; they may be large.
        """
        files, unused = self.where.files, list[object]()
        self._is_renewed = False
        try:
            yield unused
        finally:
            unused += [self.where.files, *self.reused.unused()]
            self._is_renewed, self.where.files = True, files

    def files(self, path: Path, environ: Mapping[str, str], texts: Texts, *, uses_known: bool) -> ReadFiles:
        """Read the files; of long lists only the items that are not known."""
        last = self.read
        if last is None or not uses_known:
            return self.reads(path, environ, texts, _NOTHING_KNOWN)
        in_files = {name: self.apart.get(name, frozenset()) for name in LONG_LISTS}
        if last.known.context is not None and not self._apart_in_files() and unchanged(last, texts):
            nothing: dict[str, list[Node]] = {name: [] for name in LONG_LISTS}
            return last._replace(sections=nothing, differences={name: ListDifference() for name in LONG_LISTS})
        return self.reads(path, environ, texts, last.known._replace(apart=in_files))

    def _apart_in_files(self) -> bool:
        objects = {} if self.stored is None else self.stored.objects
        return any(name not in objects.get(kind, {}) for kind, names in self.apart.items() for name in names)

    def changed_objects(self, stored: Stored) -> list[ObjectVersion]:
        """Return the objects of the database that have to be read: of long lists those that are not known.

        Raises:
            DoubtfulError: all have to be read.
        """
        if stored.changes is None and (stored.objects or (self.stored is not None and self.stored.objects)):
            raise DoubtfulError
        changes = stored.changes or ()
        templates = {each.name for each in changes if each.kind == TEMPLATES}
        if any(each.kind == _PARAMETERS for each in changes) or templates & self.templates:
            raise DoubtfulError
        # In the order of the database, as far as it goes: a hundred thousand are sorted later.
        changed = dict.fromkeys(_built_on(templates, stored) if templates else ())
        changed |= dict.fromkeys((each.kind, each.name) for each in changes if each.kind in LONG_LISTS)
        changed |= dict.fromkeys((kind, name) for kind, names in self.apart.items() for name in names)
        found = (stored.objects.get(kind, {}).get(name) for kind, name in changed)
        others = (of_kind.values() for kind, of_kind in stored.objects.items() if kind not in LONG_LISTS)
        return [*(each for each in found if each is not None), *chain.from_iterable(others)]

    def renew(self, read: "ReadItems") -> None:
        """Remember the items of a load that succeeded, in place of what was remembered, unless that is kept."""
        if not self._is_renewed:
            return
        replaced = [] if read.uses_known else [
            each for whole in self.whole.values() for part in in_parts(whole.sound.values()) for each in part
        ]  # fmt: skip
        self.read = read.files._replace(sections={}, differences=None)
        self.stored = read.stored._replace(changes=None)
        self.apart = {name: frozenset(names) for name, names in read.apart.items()}
        self.templates = frozenset(read.templates)
        self.whole = {name: whole._replace(change=None) for name, whole in read.whole.items()}
        self.reaches = read.reaches
        self.long_sounds = read.long_sounds
        self.chosen = read.chosen_by
        self.reused.renew()
        free(replaced)


class ReadItems:
    """The items of long lists in one load: those that are known, and those that were read."""

    def __init__(self, files: ReadFiles, stored: Stored, remembered: Remembered, *, uses_known: bool) -> None:
        self.files = files
        self.stored = stored
        self._remembered = remembered
        self.uses_known = uses_known
        self.apart: dict[str, set[str]] = {name: set() for name in LONG_LISTS}
        self.templates: set[str] = {*remembered.templates} if uses_known else set()
        """As in ``Remembered``."""
        self.whole: dict[str, Whole] = {}
        self.long_sounds: Set[str] = frozenset()
        self.reaches: Mapping[str, Reach] = {}
        self.reaches_read: dict[str, Reach] = {}
        """Reach of each routing gateway that was read, with the section that it was read from."""
        self.chosen_by: dict[tuple[str, Chooses], Mapping[str, Definition[Any]]] = {}
        remembered.where.files = files

    def origin(self, list_name: str, name: str, section: Section, *, is_apart: bool) -> Origin:
        """Return the origin of a definition, which does not keep the section that it was read from.

        ``section`` is without the keys of its template. One that ``is_apart`` is read again by every load.
        """
        if is_apart:
            self.apart[list_name].add(name)
        if not section.place.line:
            return WholeOrigin(section.place)
        template = section.entries.get(TEMPLATE)
        if template is not None and isinstance(template.node, Scalar):
            self.templates.add(template.node.text)
        remembered = self._remembered
        shape = shape_of(section)
        shape = remembered.shapes.setdefault(shape, shape)
        return ItemOrigin(remembered.where, list_name, name, shape)

    def together(self, list_name: str, read: dict[str, Definition[Any]], broken: Set[str]) -> Whole:
        """Return all definitions of a list; ``read`` are those that were read, ``broken`` are names with mistakes.

        Raises:
            DoubtfulError: a name stands twice.
        """
        whole = self._changed(list_name, read, broken) if self.uses_known else Whole(read, None)
        self.whole[list_name] = whole
        return whole

    def _changed(self, list_name: str, read: dict[str, Definition[Any]], broken: Set[str]) -> Whole:
        """Return the definitions of the last load with those that were read, and without those that are gone."""
        last, objects = self._remembered.whole[list_name], self.stored.objects.get(list_name, {})
        sound, packed = last.sound, self.files.known.lists[list_name]
        difference = (self.files.differences or {})[list_name]
        ended = {each.name for each in self.stored.changes or () if each.kind == list_name and each.body is None}
        gone = {name for name in difference.gone | ended | broken if name in sound and name not in read}
        if not (read or gone) and difference.keeps_order and last.is_ordered:
            return Whole(sound, NO_CHANGE)
        keeps_order = difference.keeps_order and not gone and all(name in sound for name in read)
        change = SourceDifference(
            read,
            frozenset(gone),
            keeps_order,
            lambda: [name for name in (*packed.each_name(), *sorted(objects)) if name not in broken],
        )
        sound = edited(sound, gone, read)
        is_each_there = len(sound) + len(broken) == packed.number + len(objects)
        if not is_each_there:  # an item without a name, or a name in the files and in the database
            raise DoubtfulError
        return Whole(sound, change, last.is_ordered and keeps_order)

    def chosen(self, list_name: str, chooses: Chooses) -> Collection[Definition[Any]]:
        """Return the definitions of a list that a function chooses; it is asked about those that were read.

        It judges by one definition alone, and is the same function at each load.
        """
        whole, last = self.whole[list_name], self._remembered.chosen.get((list_name, chooses))
        if last is None or whole.change is None:
            found: Mapping[str, Definition[Any]] = {
                name: each for part in in_parts(whole.sound.items()) for name, each in part if chooses(each)
            }
        else:
            read = whole.change.read
            now = {name: each for name, each in read.items() if chooses(each)}
            found = edited(last, whole.change.gone | read.keys(), now)
        self.chosen_by[list_name, chooses] = found
        return found.values()

    def note_long_sounds(self, names: Set[str]) -> None:
        """Note which sounds no item may announce.

        Raises:
            DoubtfulError: with other files under the same names, items that are known might be refused.
        """
        if self.uses_known and names != self._remembered.long_sounds:
            raise DoubtfulError
        self.long_sounds = names

    def note_reaches(self, read: Mapping[str, Reach]) -> Iterable[Reach]:
        """Return where all routing gateways are; those of ``read`` were read."""
        self.reaches = read
        if self.uses_known:
            there = self.whole["routing_gateways"].sound
            known = self._remembered.reaches
            self.reaches = edited(known, {name for name in known if name not in there}, read)
        return self.reaches.values()


class _Built(msgspec.Struct):
    """Keys of an object, as far as they are read here."""

    template: Any = None


def _built_on(templates: Set[str], stored: Stored) -> Iterator[tuple[str, str]]:
    """Yield kind and name of the objects of long lists that are built on some templates, or may be."""
    decode = msgspec.json.Decoder(_Built).decode
    for kind in LONG_LISTS:
        for part in in_parts(stored.objects.get(kind, {}).values(), _LOOKED_AT_ONCE):
            for each in part:
                name = None if each.body is None else decode(each.body).template
                if name is not None and (not isinstance(name, str) or name in templates or _VARIABLE in name):
                    yield kind, each.name


Shape = tuple[tuple[str, int], ...]
"""The keys of an item with their lines, counted from its own."""


def shape_of(section: Section) -> Shape:
    """Return the keys of an item with their lines."""
    place = section.place
    return tuple((name, entry.place.line - place.line) for name, entry in section.entries.items())


class Whereabouts:
    """Finds the places of items in the files as they were read last."""

    def __init__(self) -> None:
        self.files: ReadFiles | None = None
        self._of: ReadFiles | None = None
        self._places: dict[str, dict[str, tuple[str, int]]] = {}

    def place(self, list_name: str, name: str, line: int = 0) -> SourceLine:
        """Return the place of an item, or of a line behind its first."""
        if self._of is not self.files:
            self._of, self._places = self.files, {}
        if list_name not in self._places and self.files is not None:
            self._places[list_name] = self.files.known.lists[list_name].places()
        file, begin = self._places.get(list_name, {}).get(name, ("", 0))
        return SourceLine(file, begin + line)


class ItemOrigin:
    """Place of an item of the files (implements ``catalogue.source.Origin``)."""

    __slots__ = ("_list_name", "_name", "_shape", "_where")

    def __init__(self, where: Whereabouts, list_name: str, name: str, shape: Shape) -> None:
        self._where = where
        self._list_name = list_name
        self._name = name
        self._shape = shape

    @property
    def place(self) -> SourceLine:
        """The place of the item."""
        return self._where.place(self._list_name, self._name)

    def place_of(self, key: str) -> SourceLine:
        """Return the place of a key, or of the item where the key is left out."""
        return self._where.place(self._list_name, self._name, dict(self._shape).get(key, 0))
