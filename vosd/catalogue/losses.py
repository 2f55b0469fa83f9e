"""List what a reload would remove, so that an emptied or truncated file does not remove customers unnoticed.

Compares two catalogues. ``daemon.reload`` asks for confirmation where this module objects.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Set
from functools import partial
from itertools import starmap
from types import MappingProxyType
from typing import Final, NamedTuple

from vosd.billing.derived_rates import DerivedTable
from vosd.billing.named_areas import NamedTable
from vosd.billing.ports import RateTable
from vosd.billing.rate_file import Gone
from vosd.catalogue.catalogue import Catalogue

PART: Final = 5
"""A reload that removes this part of the objects of a kind (one fifth), or more, needs confirmation."""
FEWEST: Final = 2
"""Fewest objects that such a removal has, unless there was only one: a file that was cut off seldom lacks one alone."""
_NAMED: Final = 5
"""Names that one message lists."""
_NOTHING: Final[Mapping[str, Gone]] = MappingProxyType({})
_NONE: Final[Set[str]] = frozenset()


class Ordered(NamedTuple):
    """Changes of the database by orders: each order has shown what it takes away."""

    has_ended: Callable[[str, str], bool] = lambda _kind, _name: False
    """Says whether an object, of a kind and a name, was ended."""
    was_planned: Callable[[str, str], bool] = lambda _kind, _name: False
    """Says whether its end was planned: when it comes, no operator is there to confirm it."""
    rate_groups: Set[str] = _NONE
    """Rate groups whose rates were changed."""
    number_lists: Set[str] = _NONE
    """Number lists whose numbers were changed."""


_NO_ORDER: Final = Ordered()


class Loss(NamedTuple):
    """Objects of one kind that the new catalogue does not have."""

    kind: str
    """The plural, for messages."""
    gone: tuple[str, ...]
    """Names: all of them, of prefixes of rates the first ones, of numbers in lists none."""
    number: int
    before: int
    """Number of objects in the running catalogue."""
    ended: Set[str] = _NONE
    """Names of those that orders have ended in the database: each was named, no file was truncated."""
    planned: Set[str] = _NONE
    """Names of those with an end that an order had planned."""

    @property
    def is_sweeping(self) -> bool:
        """Whether files take away a fifth or more of the objects, and not one of several alone."""
        from_files = self.number - len(self.ended)
        return from_files >= min(FEWEST, self.before) and from_files * PART >= self.before

    def __str__(self) -> str:
        """Write how many of how many are removed, and their names."""
        return f"{self.number} of {self.before} {self.kind}{_listed(self.gone, self.number)}"


class Busy(NamedTuple):
    """Names of accounts and gateways that running calls use; a phone counts as a gateway."""

    accounts: Set[str]
    gateways: Set[str]


def losses(
    running: Catalogue, wanted: Catalogue, gone_rates: Mapping[str, Gone] = _NOTHING, ordered: Ordered = _NO_ORDER
) -> tuple[Loss, ...]:
    """Return what of the running catalogue is missing in the wanted one, by kind; kinds without loss are left out.

    Of a rate group that stays, the prefixes that lose their rate are counted. ``gone_rates`` are those that were
    counted before, by rate group: comparing two large tables takes too long for a thread beside the calls. What
    was ``ordered`` is no part of what makes a loss sweeping.
    """
    accounts, phones, vendors = running.accounts, running.phones, running.routing_gateways
    trunks = running.mapping_gateways
    changes = wanted.changes_since(running)
    dids, dids_left = (_NONE, _NONE) if running.dids is wanted.dids else (_dids(running), _dids(wanted))
    kinds: list[tuple[str, Iterable[str], Collection[str], int]] = [
        ("accounts", accounts.keys() & changes.accounts, wanted.accounts, len(accounts)),
        (
            "mapping gateways",
            (trunks.keys() & changes.mapping_gateways) - phones.keys(),
            wanted.mapping_gateways,
            len(trunks) - len(phones),
        ),
        ("phones", phones.keys() & changes.phones, wanted.phones, len(phones)),
        ("routing gateways", vendors.keys() & changes.routing_gateways, wanted.routing_gateways, len(vendors)),
        ("dids", dids, dids_left, len(dids)),
        ("number lists", running.number_lists, wanted.number_lists, len(running.number_lists)),
        ("number pools", running.number_pools, wanted.number_pools, len(running.number_pools)),
        ("routing plans", running.plans, wanted.plans, len(running.plans)),
    ]
    found = [
        *starmap(partial(_loss, ordered), kinds),
        *_numbers(running, wanted, ordered.number_lists),
        *_rates(running, wanted, gone_rates, ordered.rate_groups),
    ]
    return tuple(loss for loss in found if loss.number)


def objections(found: tuple[Loss, ...], busy: Busy) -> tuple[str, ...]:
    """Return why a reload with these losses needs confirmation, one sentence each; none where it needs none."""
    return (*_in_use(found, busy), *(f"the file removes {loss}" for loss in found if loss.is_sweeping))


def settled(found: tuple[Loss, ...]) -> tuple[Loss, ...]:
    """Return losses without objections to what orders have ended: who ordered it was asked about running calls."""
    return tuple(loss._replace(planned=loss.planned | loss.ended) for loss in found)


def _in_use(found: tuple[Loss, ...], busy: Busy) -> Iterator[str]:
    in_use: Mapping[str, Set[str]] = {
        "accounts": busy.accounts,
        "mapping gateways": busy.gateways,
        "phones": busy.gateways,
        "routing gateways": busy.gateways,
    }
    for loss in found:
        names = tuple(name for name in loss.gone if name in in_use.get(loss.kind, ()) and name not in loss.planned)
        if names:
            yield f"the file removes {loss.kind} that running calls use{_listed(names, len(names))}"


def _loss(ordered: Ordered, kind: str, before: Iterable[str], after: Collection[str], number: int) -> Loss:
    gone = () if before is after else tuple(sorted(name for name in before if name not in after))
    section = kind.replace(" ", "_")
    ended = frozenset(name for name in gone if ordered.has_ended(section, name))
    planned = frozenset(name for name in gone if ordered.was_planned(section, name))
    return Loss(kind, gone, len(gone), number, ended, planned)


def _dids(catalogue: Catalogue) -> Set[str]:
    return _NONE if catalogue.dids is None else catalogue.dids.entries()


def _numbers(running: Catalogue, wanted: Catalogue, ordered: Set[str]) -> Iterator[Loss]:
    """Yield by how much number lists shrink; which numbers are gone is not compared, because there may be millions."""
    for name, numbers in running.number_lists.items():
        other = wanted.number_lists.get(name)
        if other is not None and name not in ordered:
            yield Loss(f"numbers of number list {name!r}", (), max(0, len(numbers) - len(other)), len(numbers))


def _rates(running: Catalogue, wanted: Catalogue, gone_rates: Mapping[str, Gone], ordered: Set[str]) -> Iterator[Loss]:
    for name, group in running.rate_groups.items():
        other = wanted.rate_groups.get(name)
        if other is None or other.version == group.version or name in ordered:
            continue  # a removed group is reported where it is referred to
        if _own(other.table).version == _own(group.table).version:
            continue  # its base, its areas or its rounding differ
        kind = f"rates of rate group {name!r}"
        counted = gone_rates.get(name)
        if counted is None:
            before = set(_own(group.table).prefixes())
            gone = sorted(prefix for prefix in before if not other.table.has(prefix))
            yield Loss(kind, tuple(gone), len(gone), len(before))
        else:
            yield Loss(kind, counted.first, counted.number, counted.before)


def _own(table: RateTable) -> RateTable:
    """Return the rates that a group has of its own: what its base loses is a loss of the base."""
    return _own(table.own) if isinstance(table, DerivedTable | NamedTable) else table


def _listed(names: tuple[str, ...], count: int) -> str:
    if not names:
        return ""
    more = "" if count <= _NAMED else f" and {count - _NAMED} more"
    return f": {', '.join(names[:_NAMED])}{more}"
