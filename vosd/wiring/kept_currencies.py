"""Currencies of accounts from one planned moment to the next: each keeps its own, for it may have money by then."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress

from vosd.catalogue.catalogue import Catalogue
from vosd.catalogue.held_currencies import planned_currencies
from vosd.catalogue.problems import ConfigError, SourceLine
from vosd.catalogue.stored_objects import ObjectVersion
from vosd.config.load import Loaded


class KeptCurrencies:
    """Moments one after the other, each checked with the currencies that accounts had until then.

    An account that is gone meanwhile has the currency that it had before.
    """

    def __init__(
        self, load: Callable[[Sequence[ObjectVersion]], Loaded], moments: Iterable[Sequence[ObjectVersion]] = ()
    ) -> None:
        """``load`` loads a configuration file, and raises ConfigError; the first ``moments`` are not checked."""
        self._load = load
        self._had: dict[str, str] = {}
        for versions in moments:
            with suppress(ConfigError):
                self.note(load(versions).catalogue)

    def note(self, catalogue: Catalogue) -> None:
        """Note the accounts of the next moment without a check."""
        self._had |= _in(catalogue)

    def check(self, currencies: Mapping[str, str], places: Mapping[str, SourceLine]) -> None:
        """Raise ConfigError where accounts get another currency than they had until now; both are by account."""
        problems = planned_currencies(self._had, currencies, places)
        if problems:
            raise ConfigError(problems)

    def follow(self, versions: Sequence[ObjectVersion]) -> None:
        """Load the next moment, and check the currencies of its accounts.

        Raises:
            ConfigError: it is not valid, or accounts get another currency than they had until then.
        """
        loaded = self._load(versions)
        had, found = self._had, _in(loaded.catalogue)
        self._had = had | found
        problems = planned_currencies(had, found, loaded.account_places)
        if problems:
            raise ConfigError(problems)


def _in(catalogue: Catalogue) -> dict[str, str]:
    return {name: each.currency for name, each in catalogue.accounts.items()}
