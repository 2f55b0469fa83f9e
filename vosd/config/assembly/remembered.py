"""Definitions that the last load made of the items of long lists, by the text of each (ADR 60).

The text of an item decides what it defines, together with what holds for all items: parameters, presets, templates,
``sip`` and ``routing``. Where one of these has changed, nothing is remembered.
"""

from collections.abc import Mapping, Sequence, Set
from typing import Any, Final, NamedTuple

from vosd.base.edited import edited
from vosd.catalogue.reused import Reused
from vosd.catalogue.source import NO_CHANGE, Change, Definition
from vosd.config.assembly.inventory import Inventory
from vosd.config.assembly.sockets import Reach
from vosd.config.reader.document import Listing, Node, Scalar, Section
from vosd.config.reader.items import DoubtfulError, ItemOrigin, Items, KnownItems, Whereabouts, is_alone
from vosd.config.reader.regions import LONG_LISTS, edit_of

_DECIDE: Final = frozenset({"parameters", "preset", "routing", "sip", "templates"})
"""Parts of the document on which an item of a long list depends before all are put together: defaults, the realm."""
_TEMPLATES: Final = "templates"


class Known(NamedTuple):
    """Definitions in the text of an item."""

    name: str
    definition: Definition[Any]
    reach: Reach | None
    """Reach of a routing gateway."""


class Whole(NamedTuple):
    """Definitions in all items of a list."""

    sound: Mapping[str, Definition[Any]]
    """By name; in the order of the files where ``change`` is None."""
    change: Change | None
    """Differences from the last load; None = they are not compared."""


class Remembered:
    """Results of a load that the next one can use."""

    def __init__(self) -> None:
        self._context: object = None
        self.known: dict[str, dict[str, Known]] = {name: {} for name in LONG_LISTS}
        """By list and text."""
        self.named: dict[str, dict[str, str]] = {name: {} for name in LONG_LISTS}
        """By list, the names of the items that have to be read again, by text."""
        self.bodies: Mapping[str, list[str]] = {}
        """By list, the texts of all items in their order."""
        self.open: Set[str] = frozenset()
        """Lists with items whose text is not known."""
        self.whole: dict[str, Whole] = {}
        """By list."""
        self.items = KnownItems()
        self.where = Whereabouts()
        self.reused = Reused()

    @property
    def has_any(self) -> bool:
        """Whether there was a load before."""
        return self._context is not None

    def check(self, document: Section) -> None:
        """Check that everything holds that items depend on.

        Raises:
            DoubtfulError: something has changed.
        """
        if context_of(document) != self._context:
            raise DoubtfulError

    def renew(self, context: object, read: "ReadItems") -> None:
        """Remember the items of a load that succeeded, in place of what was remembered."""
        if not read.uses_known:
            self.known = {name: {} for name in LONG_LISTS}
            self.named = {name: {} for name in LONG_LISTS}
        for name, fresh in read.fresh.items():
            known, named = self.known[name], self.named[name]
            for body in read.gone[name]:
                known.pop(body, None)
                named.pop(body, None)
            for body in fresh if named else ():
                named.pop(body, None)
            known.update(fresh)
            named.update(read.named[name])
        self._context, self.bodies, self.open = context, read.items.bodies, read.items.open
        self.whole = {name: whole._replace(change=None) for name, whole in read.whole.items()}
        self.items.note(read.items, self.known)
        self.reused.renew()


class ReadItems:
    """The items of long lists in one load: those that are known, and those that were read."""

    def __init__(self, items: Items, remembered: Remembered, *, uses_known: bool) -> None:
        self.items = items
        self._remembered = remembered
        self.uses_known = uses_known
        self.fresh: dict[str, dict[str, Known]] = {name: {} for name in LONG_LISTS}
        """By list and text, what was read and is known from now on."""
        self.named: dict[str, dict[str, str]] = {name: {} for name in LONG_LISTS}
        """By list and text, the names of what was read and has to be read the next time, too."""
        self.gone: dict[str, Set[str]] = {name: frozenset() for name in LONG_LISTS}
        """By list, the texts that are there no more."""
        self.whole: dict[str, Whole] = {}

    def note_bodies(
        self, name: str, name_key: str, sections: Sequence[Section], with_problems: Set[int], read: Inventory[Any]
    ) -> None:
        """Note the texts of the items of a list; those of the sections ``with_problems`` (identities) are left out."""
        bodies = self.items.unread[name]
        if len(bodies) != len(sections):  # an item that is no mapping is an error, and nothing is remembered
            return
        for section, body in zip(sections, bodies, strict=True):
            entry = section.entries.get(name_key)
            if entry is not None and isinstance(entry.node, Scalar):
                self.named[name][body] = entry.node.text
                if id(section) not in with_problems:
                    read.bodies[entry.node.text] = body

    def define(self, list_name: str, name: str, body: str, definition: Definition[Any], reach: Reach | None) -> Any:
        """Remember a definition that is made of an item without any problem, and return it."""
        if not is_alone(body):
            return definition
        made = definition._replace(origin=ItemOrigin(self._remembered.where, list_name, body))
        del self.named[list_name][body]
        self.fresh[list_name][body] = Known(name, made, None if reach is None else reach._replace(origin=made.origin))
        return made

    def together(self, list_name: str, read: dict[str, Definition[Any]]) -> Whole:
        """Return all definitions of a list; ``read`` are those that were read.

        Raises:
            DoubtfulError: a name stands twice.
        """
        if not self.uses_known:
            whole = Whole(read, None)
        elif list_name in self._remembered.open:
            whole = Whole(self._in_order(list_name, read), None)
        else:
            whole = self._changed(list_name, read)
        self.whole[list_name] = whole
        return whole

    def _in_order(self, list_name: str, read: Mapping[str, Definition[Any]]) -> dict[str, Definition[Any]]:
        known, bodies = self._remembered.known[list_name], self.items.bodies[list_name]
        found: dict[str, Definition[Any]] = {}
        for body in bodies:
            item = known.get(body)
            name = self._name_of(list_name, body)
            definition = read.get(name) if item is None else item.definition
            if definition is None:
                raise DoubtfulError
            found[name] = definition
        if len(found) < len(bodies):
            raise DoubtfulError
        return found

    def _changed(self, list_name: str, read: dict[str, Definition[Any]]) -> Whole:
        """Return the definitions of the last load with those that were read, and without those that are gone."""
        bodies, sound = self.items.bodies[list_name], self._remembered.whole[list_name].sound
        before_all = self._remembered.bodies[list_name]
        edit = self.items.edit_since(list_name, before_all) or edit_of(before_all, bodies)
        if len(read) < len(self.items.unread[list_name]):
            raise DoubtfulError
        if not (edit.removed or edit.inserted or read):
            return Whole(sound, NO_CHANGE)
        before = [self._name_of(list_name, body) for body in edit.removed]
        names = [self._name_of(list_name, body) for body in edit.inserted]
        self.gone[list_name] = frozenset(edit.removed).difference(edit.inserted)
        change = Change(read, before, names, lambda: [self._name_of(list_name, body) for body in bodies])
        if not all(name in sound for name in change.gone):
            raise DoubtfulError
        sound = edited(sound, change.gone, read)
        if len(sound) < len(bodies):
            raise DoubtfulError
        return Whole(sound, change)

    def _name_of(self, list_name: str, body: str) -> str:
        """Return the name of an item of this load, or of the last one."""
        item = self.fresh[list_name].get(body) or self._remembered.known[list_name].get(body)
        if item is not None:
            return item.name
        name = self.named[list_name].get(body) or self._remembered.named[list_name].get(body)
        if name is None:
            raise DoubtfulError
        return name

    def reaches(self, read: Sequence[Reach]) -> list[Reach]:
        """Return where all routing gateways are, and those that were read."""
        known = self._remembered.known["routing_gateways"] if self.uses_known else {}
        found = [known[body] for body in self.items.bodies["routing_gateways"] if body in known]
        return [*(each.reach for each in found if each.reach is not None), *read]


def context_of(document: Section) -> object:
    """Return what items of long lists depend on, to be compared; unequal to everything where it names files."""
    values = {name: _value(entry.node) for name, entry in document.entries.items() if name in _DECIDE}
    templates = document.entries.get(_TEMPLATES)
    return object() if templates is not None and _names_file(templates.node) else values


def _value(node: Node) -> object:
    match node:
        case Scalar():
            return node.text, node.is_bare
        case Listing():
            return [_value(item) for item in node.items]
        case Section():
            return {name: _value(entry.node) for name, entry in node.entries.items()}


def _names_file(node: Node) -> bool:
    if isinstance(node, Section):
        return any(name.endswith("_file") or _names_file(entry.node) for name, entry in node.entries.items())
    return isinstance(node, Listing) and any(map(_names_file, node.items))
