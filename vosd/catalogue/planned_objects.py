"""States of the objects of the database that a change makes: at its own moment, and at each later one that is planned.

It does not know what the objects mean.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from vosd.catalogue.problems import ConfigError, ProblemList
from vosd.catalogue.stored_objects import ObjectVersion
from vosd.cdr.columns import iso_utc

if TYPE_CHECKING:
    from vosd.billing.accounts import Account
    from vosd.catalogue.agent_domains import AgentDomains
    from vosd.catalogue.agent_numbers import AgentNumbers
    from vosd.catalogue.agent_sources import AgentSources


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
        problems = ProblemList()
        problems.error(
            begun.source,
            "begins_at",
            "a configuration that is valid then, too: the mistakes of that moment follow",
            iso_utc(self.at),
        )
        return type(error)([*problems.in_order(), *error.problems])


class ChangeCheck(NamedTuple):
    """A change that is to be checked, with all that the check of the configuration has to know of it."""

    states: Sequence[ObjectsThen]
    """The objects when the change begins, and at each later moment that is planned."""
    accounts: Collection[str] = ()
    """Accounts that are returned as they are when the change begins."""
    sources: "AgentSources | None" = None
    """Sources that an agent changes; None = an operator orders the change."""
    opened: Sequence[str] | None = None
    """Sockets for SIP of the running switch, which have to do; None = those of ``sip.listen`` will be opened."""
    numbers: "AgentNumbers | None" = None
    """Numbers that an agent gives to phones; None = an operator orders the change."""
    domains: "AgentDomains | None" = None
    """Users to which an agent gives domains; None = an operator orders the change."""
    is_planned: bool = False
    """Whether the change begins later: no account gets another currency by it than it has until then."""
    earlier: Sequence[ObjectsThen] = ()
    """The objects at each moment that is planned before the change begins."""


class CheckedObjects(NamedTuple):
    """Findings of a check that a change has passed; accounts are as they are when the change begins."""

    accounts: "Mapping[str, Account]"
    """Accounts that were asked for."""
    currencies: Mapping[str, str]
    """Currency of each account that gets another one by the change, or may get one: the check has no ledger."""
    definitions: int | None = None
    """Version of all definitions of the database that was checked; None = not known."""


def states_of(change: Sequence[ObjectVersion], planned: Iterable[ObjectVersion]) -> Iterator[ObjectsThen]:
    """Yield the state at the beginning of a change, whose versions all begin then, and at each later planned moment."""
    planned = [*planned]
    begins_at = change[0].begins_at
    later = {each.begins_at for each in planned if each.begins_at > begins_at}
    for at in (begins_at, *sorted(later)):
        yield ObjectsThen(at, _latest(chain(planned, change), at), _latest(planned, at))


def states_before(change: Sequence[ObjectVersion], planned: Iterable[ObjectVersion]) -> Iterator[ObjectsThen]:
    """Return the states at the planned moments before a change begins."""
    return states_planned([each for each in planned if each.begins_at < change[0].begins_at])


def states_planned(planned: Sequence[ObjectVersion]) -> Iterator[ObjectsThen]:
    """Yield the state at each planned moment."""
    for at in sorted({each.begins_at for each in planned}):
        versions = _latest(planned, at)
        yield ObjectsThen(at, versions, versions)


def _latest(versions: Iterable[ObjectVersion], at: int) -> list[ObjectVersion]:
    found: dict[tuple[str, str], ObjectVersion] = {}
    for each in versions:
        known = found.get((each.kind, each.name))
        if each.begins_at <= at and (known is None or known.place < each.place):
            found[each.kind, each.name] = each
    return [*found.values()]


def check_later(
    states: Iterable[ObjectsThen],
    check: Callable[[Sequence[ObjectVersion]], object],
    check_without: Callable[[ObjectsThen], object] | None = None,
) -> None:
    """Check the later states of a change; ``check`` raises ConfigError for objects that make no valid configuration.

    ``check_without`` does that for a state without the change; None = ``check`` does. One that is not valid without the
    change either is passed over: another change has to mend it.

    Raises:
        ConfigError: one is not valid because of the change.
    """

    def is_valid_without(state: ObjectsThen) -> bool:
        try:
            if check_without is None:
                check(state.without)
            else:
                check_without(state)
        except ConfigError:
            return False
        return True

    for state in states:
        try:
            check(state.versions)
        except ConfigError as error:
            if is_valid_without(state):
                raise state.error(error) from error
