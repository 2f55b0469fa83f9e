"""Parts of the last catalogue that the next one uses again, because what they are made of is the same (ADR 60).

A load by difference returns the same definitions for what has not changed, so parts are compared by identity. What is
made for a catalogue is used for later ones only if it is taken: ``renew``.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from hashlib import blake2b
from itertools import chain
from operator import is_
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from vosd.base.parts import in_parts, take_apart
from vosd.billing.accounts import Account
from vosd.catalogue.source import CHANGING, CatalogueSource
from vosd.catalogue.versions import Rest, encoded
from vosd.routing.identify import SourceIndex
from vosd.routing.number_rules import IncomingRules
from vosd.trunks.gateways import MappingGateway
from vosd.trunks.number_rules import IncomingNumbers

if TYPE_CHECKING:
    from vosd.catalogue.catalogue import Catalogue

WATCHED: Final = (*CHANGING, "agents", "networks")
"""Subjects of warnings: definitions, the agents of accounts, and the networks of mapping gateways."""
_DIGEST_BYTES: Final = 16
_WRITTEN_AT_ONCE: Final = 100
_PARTS: Final[Mapping[type[msgspec.Struct], tuple[int, ...]]] = {
    Account: (1 + Account.__struct_fields__.index("invoice"),),
    MappingGateway: tuple(1 + MappingGateway.__struct_fields__.index(each) for each in ("dialect", "media")),
}
"""Places of parts that many objects share, among a name and the values of an object."""


_NO_PART: Final = object(), b""


class Watched(NamedTuple):
    """Objects that have to be checked again when the next catalogue is made of this one, though it has not changed."""

    warned: Mapping[str, frozenset[str]]
    """By what they are about, the names of definitions with warnings; of agents and networks, of all that may have."""
    wide: frozenset[str]
    """Mapping gateways with wide networks."""
    sold: frozenset[tuple[str, str | None]]
    """Currencies in which calls are sold by some routing plan; no gateway of that plan has another one."""


class Assembled(NamedTuple):
    """A catalogue, and what it was made of."""

    catalogue: "Catalogue"
    source: CatalogueSource
    rest: Rest
    """Digests of everything but accounts, gateways and phones."""
    others: str
    """Digest of routing gateways and phones as they were settled."""
    watched: Watched
    rules: dict[IncomingNumbers, IncomingRules]
    """Rules that mapping gateways and phones share."""


class _Digests(NamedTuple):
    """Digests of named objects, and their sum."""

    by_name: dict[str, tuple[object, int]]
    total: int

    def __str__(self) -> str:
        return f"{len(self.by_name)}:{self.total % (1 << 8 * _DIGEST_BYTES):x}"


class _Changes(NamedTuple):
    """Digests that differ from those of the last catalogue, and the sum of all."""

    by_name: dict[str, tuple[object, int]]
    left: list[str]
    """Names of objects that are gone, or have another digest."""
    total: int


class Reused:
    """Parts of which the last catalogue was made."""

    def __init__(self) -> None:
        self.last: Assembled | None = None
        """None = there was no catalogue, or the next one cannot be made of it."""
        self._settled: dict[str, tuple[Account, str | None, Account]] = {}
        """The account as defined, the currency of its rate group, and the settled account, by name."""
        self._begun: dict[str, tuple[Account, str | None, Account]] = {}
        """Settled accounts of the catalogue that is being made, with the same facts, as far as they were asked for."""
        self._digests: dict[str, _Digests] = {}
        self._made: Assembled | None = None
        """The catalogue that was made since; None = there is none, or it was taken."""
        self._gone: Iterable[str] | None = None
        """Accounts of the last catalogue that it has not, as in ``keep``."""
        self._made_digests: dict[str, _Digests | _Changes] = {}

    def settled(
        self, account: Account, group_currency: str | None, settle: Callable[[Account, str | None], Account]
    ) -> Account:
        """Return an account settled with the currency of its rate group, the one of last time if that was the same."""
        found = self._settled.get(account.id)
        if found is None or found[0] is not account or found[1] != group_currency:
            found = account, group_currency, settle(account, group_currency)
        self._begun[account.id] = found
        return found[2]

    def sources(self, gateways: Mapping[str, MappingGateway]) -> SourceIndex | None:
        """Return the index of the source addresses of these gateways, if they are those of last time."""
        if self.last is None:
            return None
        before = self.last.catalogue
        is_as_many = len(gateways) == len(before.mapping_gateways) - len(before.phones)
        # Those of phones come last.
        same = is_as_many and all(map(is_, gateways.values(), before.mapping_gateways.values()))
        return before.sources if same else None

    def begin(self) -> None:
        """Begin another catalogue."""
        self._begun = {}
        self._made = self._gone = None
        self._made_digests = {}

    def keep(self, assembled: Assembled, gone: Iterable[str] | None = None) -> None:
        """Use a catalogue for the next one if it is taken.

        ``gone`` are the accounts of the last one that it does not have, where only changed ones were looked at; None =
        all were looked at.
        """
        self._made, self._gone = assembled, gone

    def renew(self) -> None:
        """Take what was kept."""
        made = self._made
        if made is not None:
            stripped = {field: replace(getattr(made.source, field), change=None) for field in CHANGING}
            self.last = made._replace(source=replace(made.source, **stripped))
            if self._gone is None:
                before, self._settled, self._begun = self._settled, self._begun, {}
                take_apart(before)
            else:
                for name in self._gone:
                    self._settled.pop(name, None)
                self._settled.update(self._begun)
        for kind, digests in self._made_digests.items():
            if isinstance(digests, _Digests):
                old = self._digests.get(kind)
                self._digests[kind] = digests
                if old is not None:
                    take_apart(old.by_name)
            else:
                by_name = self._digests[kind].by_name
                for name in digests.left:
                    by_name.pop(name, None)
                by_name.update(digests.by_name)
                self._digests[kind] = _Digests(by_name, digests.total)
        self.begin()

    def unused(self) -> list[object]:
        """Forget what was kept; return its parts, which may be large: freed together they would delay calls."""
        parts: list[object] = [self._begun, *self._made_digests.values()]
        if self._made is not None:
            catalogue, source, *others = self._made
            parts += [getattr(whole, each.name) for whole in (catalogue, source) for each in fields(whole)]
            parts += others
        self.begin()
        return parts

    def digest(self, kind: str, things: Mapping[str, msgspec.Struct]) -> str:
        """Return a digest of named objects that does not depend on their order: the sum of those of each."""
        before = self._digests[kind].by_name if kind in self._digests else {}
        now: dict[str, tuple[object, int]] = {}
        digest = _Digest().of
        for name, thing in chain.from_iterable(in_parts(things.items(), _WRITTEN_AT_ONCE)):
            found = before.get(name)
            now[name] = found if found is not None and found[0] is thing else (thing, digest(name, thing))
        made = _Digests(now, sum(number for _, number in now.values()))
        self._made_digests[kind] = made
        return str(made)

    def changed_digest(self, kind: str, changed: Mapping[str, msgspec.Struct], gone: Iterable[str]) -> str:
        """Return the same digest of the objects of last time with others in their place, and without some."""
        by_name, total = self._digests[kind]
        digest = _Digest().of
        now: dict[str, tuple[object, int]] = {name: (each, digest(name, each)) for name, each in changed.items()}
        left = [*now, *gone]
        total += sum(number for _, number in now.values()) - sum(by_name[name][1] for name in left if name in by_name)
        self._made_digests[kind] = _Changes(now, left, total)
        count = len(by_name) - sum(name in by_name for name in left) + len(now)
        return f"{count}:{total % (1 << 8 * _DIGEST_BYTES):x}"


class _Digest:
    """Digests named structs of one type: the values of their fields in order. A part that many share is written once.

    The digest of each part has the same length and stands in front.
    """

    def __init__(self) -> None:
        self._parts: dict[int, tuple[object, bytes]] = {}
        """The last part at each place, with its digest."""

    def of(self, name: str, thing: msgspec.Struct) -> int:
        """Return the digest of an object; a change of its name or of any value changes it."""
        values, of_parts = [name, *msgspec.structs.astuple(thing)], b""
        for place in _PARTS.get(type(thing), ()):
            part, of_part = self._parts.get(place, _NO_PART)
            if part is not values[place]:
                part, of_part = values[place], _digest(encoded(values[place]))
                self._parts[place] = part, of_part
            values[place] = None
            of_parts += of_part
        return int.from_bytes(_digest(of_parts + encoded(values)), "big")


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=_DIGEST_BYTES).digest()
