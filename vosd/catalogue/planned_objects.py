"""States of the objects of the database that a change makes: at its own moment, and at each later one that is planned.

It does not know what the objects mean.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from vosd.catalogue.problems import ConfigError, ProblemList, SourceLine
from vosd.catalogue.stored_objects import ObjectVersion
from vosd.cdr.columns import iso_utc


class ObjectsThen(NamedTuple):
    """Objects at a moment, as far as they differ from those in force now."""

    at: int
    """UTC milliseconds."""
    versions: Sequence[ObjectVersion]
    """With the change."""
    without: Sequence[ObjectVersion]
    """Without it: only what was planned before."""

    def error(self, error: ConfigError) -> ConfigError:
        """Return the mistakes of this moment, with the version that was planned for it in front."""
        begun = next(each for each in self.without if each.begins_at == self.at)
        place = SourceLine(f"{begun.kind} {begun.name} (version {begun.version}) in the database", 0)
        problems = ProblemList()
        problems.error(
            place,
            "begins_at",
            "a configuration that is valid then, too: the mistakes of that moment follow",
            iso_utc(self.at),
        )
        return ConfigError([*problems.in_order(), *error.problems])


def states_of(change: Sequence[ObjectVersion], planned: Iterable[ObjectVersion]) -> Iterator[ObjectsThen]:
    """Yield the state at the beginning of a change, whose versions all begin then, and at each later planned moment."""
    planned = [*planned]
    begins_at = change[0].begins_at
    later = {each.begins_at for each in planned if each.begins_at > begins_at}
    for at in (begins_at, *sorted(later)):
        yield ObjectsThen(at, _latest(chain(planned, change), at), _latest(planned, at))


def _latest(versions: Iterable[ObjectVersion], at: int) -> list[ObjectVersion]:
    found: dict[tuple[str, str], ObjectVersion] = {}
    for each in versions:
        known = found.get((each.kind, each.name))
        if each.begins_at <= at and (known is None or known.place < each.place):
            found[each.kind, each.name] = each
    return [*found.values()]
