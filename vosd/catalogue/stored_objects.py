"""Objects of the configuration that the database defines: a row for each version of each (ADR 105).

``storage`` implements ``ObjectStore``. It does not know what the keys of an object mean: ``config`` validates them.
"""

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from vosd.base.errors import VosError
from vosd.base.search_text import Searched
from vosd.catalogue.problems import SourceLine, suggestion

KINDS: Final[Mapping[str, str | None]] = {
    "accounts": "id",
    "mapping_gateways": "name",
    "routing_gateways": "name",
    "phones": "number",
    "rate_groups": "name",
    "routing_plans": "name",
    "calendars": "name",
    "number_lists": "name",
    "number_pools": "name",
    "dids": "number",
    "address_groups": "name",
    "gateway_groups": "name",
    "reports": "name",
    "templates": None,
    "parameters": None,
}
"""Sections whose objects the database may define, and the key with the name; None = the section has names as keys."""


class BadObjectError(VosError):
    """The text is not the keys of one object; the message says where and what is expected."""


def check_kind(kind: str) -> None:
    """Raise BadObjectError where the database cannot define objects of a kind."""
    if kind not in KINDS:
        raise BadObjectError(f"{kind!r} is no kind of object; {suggestion(kind, KINDS)}")


class ObjectsMoved(VosError):  # noqa: N818 - states what was found
    """An object has a newer version than the one that was compared; nothing was changed."""


class DefinitionsMoved(ObjectsMoved):
    """Other definitions have changed since a change was checked with them; nothing was changed."""

    code = "objects_moved"


class ObjectVersion(msgspec.Struct, frozen=True):
    """One version of one object; times are UTC milliseconds."""

    kind: str
    """The section of the configuration that it belongs to, such as ``accounts``."""
    name: str
    version: int
    """1, 2, 3 … of the object. Of two that hold from the same moment on, the higher one holds."""
    body: str | None
    """Keys and values as JSON; None = from then on the database does not define it."""
    begins_at: int
    """From when it holds: the version in force is the one that began last."""
    made_at: int
    operator: str
    memo: str | None = None

    @classmethod
    def of_row(cls, row: Sequence[Any]) -> "ObjectVersion":
        """Return the version that has the values of a row, in the order of the fields."""
        return cls(*row)

    @property
    def place(self) -> tuple[int, int]:
        """Place among the versions of the object: the greatest one that has begun is in force."""
        return self.begins_at, self.version

    @property
    def source(self) -> SourceLine:
        """Source of the version, as problems show it."""
        return SourceLine(f"{self.kind} {self.name} (version {self.version}) in the database", 0)


def in_force_at(versions: Iterable[ObjectVersion], at: int) -> ObjectVersion | None:
    """Return the version that began last; None = the object did not exist yet."""
    begun = [each for each in versions if each.begins_at <= at]
    return max(begun, key=lambda each: each.place, default=None)


class Objects(msgspec.Struct, frozen=True, kw_only=True):
    """Objects that the database defines at a moment, as far as they were asked for."""

    version: int
    """Version of all definitions in the database."""
    at: int
    next_at: int | None
    """Beginning of the next planned version; None = none is planned."""
    found: Sequence[ObjectVersion]
    """The version in force of each object, by kind and name."""


class SearchedObjects(Mapping[str, ObjectVersion]):
    """Objects of one kind by name, of which some can be found without reading all."""

    @abstractmethod
    def texts(self, *keys: str) -> Sequence[tuple[str, Sequence[str] | None]]:
        """Return the names of the objects that may have one of some keys, and the texts of these keys.

        A key that is missing has an empty text; None in place of the texts: they may name variables of the environment.
        """

    @abstractmethod
    def searched(self, shown: Sequence[str], inner: Sequence[str]) -> Sequence[Searched]:
        """Return the texts of some keys of each object, the memo of its version among the inner ones."""


class ObjectStore(Protocol):
    """The objects in the database, as the switch reads them; each method raises ``StoreUnavailable``: try again."""

    async def current(self, at: int, since: tuple[int, int] | None = None) -> Objects:
        """Return the objects in force at a moment.

        ``since``: the version of all definitions and the moment that are known; only objects that have changed are
        returned then.
        """

    async def last_change(self, until: int) -> tuple[int, int] | None:
        """Return the last version of all definitions, up to one, that a change of objects made, and the time of it.

        None = there was no change.
        """
