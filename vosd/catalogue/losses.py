"""What a reload would take away: a file that was emptied or cut off must not end every customer in silence.

Compares two catalogues. Refuses to decide what is done about it: ``daemon.reload`` asks for confirmation.
"""

from collections.abc import Collection, Iterator, Mapping, Set
from typing import Final, NamedTuple

from vosd.catalogue.catalogue import Catalogue

PART: Final = 5
"""A reload that removes one in so many of a kind, or more, needs confirmation."""
_NAMED: Final = 5
"""Names that one sentence lists."""


class Loss(NamedTuple):
    """Objects of one kind that the running catalogue has and the new one has not."""

    kind: str
    """The plural, for messages."""
    gone: tuple[str, ...]
    before: int
    """How many there were."""

    @property
    def is_sweeping(self) -> bool:
        """Whether it is a fifth or more of what there was."""
        return len(self.gone) * PART >= self.before

    def __str__(self) -> str:
        """Say how many of how many, and which."""
        return f"{len(self.gone)} of {self.before} {self.kind}{_listed(self.gone)}"


class Busy(NamedTuple):
    """Names of accounts and gateways that running calls use; a phone counts as a gateway."""

    accounts: Set[str]
    gateways: Set[str]


def losses(running: Catalogue, wanted: Catalogue) -> tuple[Loss, ...]:
    """Return what of the running catalogue is missing in the wanted one, by kind; kinds without loss are left out.

    Of a rate group that stays, the prefixes that lose their rate are counted.
    """
    trunks = set(running.mapping_gateways) - set(running.phones)
    kinds: list[tuple[str, Collection[str], Collection[str]]] = [
        ("accounts", running.accounts, wanted.accounts),
        ("mapping gateways", trunks, wanted.mapping_gateways),
        ("phones", running.phones, wanted.phones),
        ("routing gateways", running.routing_gateways, wanted.routing_gateways),
        *_rates(running, wanted),
    ]
    found = (Loss(kind, tuple(sorted(set(before) - set(after))), len(before)) for kind, before, after in kinds)
    return tuple(loss for loss in found if loss.gone)


def objections(found: tuple[Loss, ...], busy: Busy) -> tuple[str, ...]:
    """Return why a reload that loses so much needs confirmation, a sentence each; none where it does not."""
    return (*_in_use(found, busy), *(f"the file removes {loss}" for loss in found if loss.is_sweeping))


def _in_use(found: tuple[Loss, ...], busy: Busy) -> Iterator[str]:
    in_use: Mapping[str, Set[str]] = {
        "accounts": busy.accounts,
        "mapping gateways": busy.gateways,
        "phones": busy.gateways,
        "routing gateways": busy.gateways,
    }
    for loss in found:
        names = tuple(name for name in loss.gone if name in in_use.get(loss.kind, ()))
        if names:
            yield f"the file removes {loss.kind} that running calls use{_listed(names)}"


def _rates(running: Catalogue, wanted: Catalogue) -> Iterator[tuple[str, Collection[str], Collection[str]]]:
    for name, group in running.rate_groups.items():
        other = wanted.rate_groups.get(name)
        if other is None or other.version == group.version:
            continue  # a group that goes altogether is missed by whoever names it
        before, after = (set(each.table.prefixes()) for each in (group, other))
        yield f"rates of rate group {name!r}", before, after


def _listed(names: tuple[str, ...]) -> str:
    more = "" if len(names) <= _NAMED else f" and {len(names) - _NAMED} more"
    return f": {', '.join(names[:_NAMED])}{more}"
