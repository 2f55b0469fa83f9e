"""Definitions that the last load made of the items of long lists, by the text of each (ADR 60).

The text of an item decides what it defines, together with what holds for all items: parameters, presets, templates and
the settings of the installation. Where one of these has changed, nothing is remembered.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any, Final, NamedTuple

from vosd.catalogue.reused import Reused
from vosd.catalogue.source import Definition
from vosd.config.assembly.inventory import Inventory
from vosd.config.assembly.sockets import Reach
from vosd.config.reader.document import Listing, Node, Scalar, Section
from vosd.config.reader.items import LONG_LISTS, DoubtfulError, ItemOrigin, Items, Whereabouts, is_alone

_DECIDE_NOTHING: Final = frozenset(
    {
        *LONG_LISTS, "calendars", "number_lists", "number_pools", "period_rates", "rate_groups", "routing_plans",
    }
)  # fmt: skip
"""Parts of the document on which no item of a long list depends before all are put together."""
_TEMPLATES: Final = "templates"


class Known(NamedTuple):
    """What the text of an item defines."""

    name: str
    definition: Definition[Any]
    reach: Reach | None
    """Of a routing gateway."""


class Remembered:
    """What a load can use of the one before, and leaves to the next one."""

    def __init__(self) -> None:
        self._context: object = None
        self.known: Mapping[str, Mapping[str, Known]] = {}
        """By list and text."""
        self.where = Whereabouts()
        self.reused = Reused()

    def check(self, document: Section) -> None:
        """Check that everything holds that items depend on.

        Raises:
            DoubtfulError: something has changed.
        """
        if context_of(document) != self._context:
            raise DoubtfulError

    def renew(self, context: object, items: "ReadItems") -> None:
        """Remember the items of a load that succeeded, in place of what was remembered."""
        self._context, self.known = context, items.all_known()


class ReadItems:
    """The items of long lists in one load: those that are known, and those that were read."""

    def __init__(self, items: Items, remembered: Remembered, *, uses_known: bool) -> None:
        self.items = items
        self._remembered = remembered
        self._known = remembered.known if uses_known else {}
        self.fresh: dict[str, dict[str, Known]] = {name: {} for name in LONG_LISTS}

    def read_bodies(self, name: str) -> list[str | None]:
        """Return the text of each item of a list that was read, in their order."""
        known = self._known.get(name, {})
        return [body for body in self.items.bodies[name] if body not in known]

    def note_bodies(
        self, name: str, name_key: str, sections: Sequence[Section], with_problems: Set[int], read: Inventory[Any]
    ) -> None:
        """Note the texts of the items of a list; those of the sections ``with_problems`` (identities) are left out."""
        bodies = self.read_bodies(name)
        if len(bodies) != len(sections):  # an item that is no mapping is an error, and nothing is remembered
            return
        for section, body in zip(sections, bodies, strict=True):
            entry = section.entries.get(name_key)
            if body is not None and id(section) not in with_problems and entry is not None:
                assert isinstance(entry.node, Scalar), "else it has a problem"
                read.bodies[entry.node.text] = body

    def define(self, list_name: str, name: str, body: str, definition: Definition[Any], reach: Reach | None) -> Any:
        """Remember a definition that is made of an item without any problem, and return it."""
        if not is_alone(body):
            return definition
        made = definition._replace(origin=ItemOrigin(self._remembered.where, list_name, body))
        self.fresh[list_name][body] = Known(name, made, None if reach is None else reach._replace(origin=made.origin))
        return made

    def in_order(self, list_name: str, read: Mapping[str, Definition[Any]]) -> dict[str, Definition[Any]]:
        """Return all definitions of a list, in the order of the files; ``read`` are those that were read.

        Raises:
            DoubtfulError: a name stands twice.
        """
        known = self._known.get(list_name)
        if not known:
            return dict(read)
        following: Iterator[tuple[str | None, Definition[Any] | None]] = iter(read.items())
        found: dict[str, Definition[Any]] = {}
        bodies = self.items.bodies[list_name]
        for body in bodies:
            item = None if body is None else known.get(body)
            name, definition = (item.name, item.definition) if item is not None else next(following, (None, None))
            if name is None or definition is None:
                raise DoubtfulError
            found[name] = definition
        if len(found) < len(bodies):
            raise DoubtfulError
        return found

    def all_known(self) -> dict[str, dict[str, Known]]:
        """Return what is known now of all items of the files, by list and text."""
        found: dict[str, dict[str, Known]] = {}
        for name, bodies in self.items.bodies.items():
            before, fresh = self._known.get(name, {}), self.fresh[name]
            known = ((body, fresh.get(body) or before.get(body)) for body in bodies if body is not None)
            found[name] = {body: item for body, item in known if item is not None}
        return found

    def reaches(self, read: Sequence[Reach]) -> list[Reach]:
        """Return where all routing gateways are, and those that were read."""
        known = self._known.get("routing_gateways", {})
        found = [known[body] for body in self.items.bodies["routing_gateways"] if body is not None and body in known]
        return [*(each.reach for each in found if each.reach is not None), *read]


def context_of(document: Section) -> object:
    """Return what items of long lists depend on, to be compared; unequal to everything where it names files."""
    values = {name: _value(entry.node) for name, entry in document.entries.items() if name not in _DECIDE_NOTHING}
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
