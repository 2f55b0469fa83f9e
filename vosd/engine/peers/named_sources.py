"""Sources of customers' calls that are given by name: their present addresses in the index of the catalogue (ADR 173).

Owns what is logged about them. ``engine.peers.directory`` has the addresses, ``routing.identify`` says whose each is.
"""

from collections.abc import Callable, Iterable

from vosd.base.host import may_be_source
from vosd.obs.events import Event, log as _log
from vosd.routing.identify import NameConflict, SourceIndex
from vosd.trunks.gateways import HostName


class NamedSources:
    """The present addresses of customers' names, as an index."""

    def __init__(self, addresses: Callable[[HostName], Iterable[str]]) -> None:
        self._addresses = addresses
        self._configured = self._located = SourceIndex(())
        self._known: dict[HostName, tuple[str, ...]] = {}
        """The addresses that ``_located`` was made of."""
        self._conflicts: dict[tuple[str, str], NameConflict] = {}
        """Conflicts of ``_located``, by gateway and address."""

    def locate(self, configured: SourceIndex) -> SourceIndex:
        """Return the index with the present addresses of its names; itself where it has none.

        It is put in force by the caller: what has changed is logged.
        """
        known = {name: self._usable(name) for each in configured.named.values() for name in each.named_hosts}
        if configured is self._configured and known == self._known:
            return self._located
        located = configured.located(lambda name: known[name], self._located) if known else configured
        for name, addresses in known.items():
            before = self._known.get(name)
            if before is not None and before != addresses:
                _log.info("source_addresses_changed", name=str(name), before=[*before], addresses=[*addresses])
        self._report({(each.gateway, each.address): each for each in located.conflicts})
        self._configured, self._located, self._known = configured, located, known
        return located

    def _usable(self, name: HostName) -> tuple[str, ...]:
        return tuple(filter(may_be_source, self._addresses(name)))

    def _report(self, conflicts: dict[tuple[str, str], NameConflict]) -> None:
        """Log the conflicts that are new, and those that are over."""
        for key, each in conflicts.items():
            if self._conflicts.get(key) != each:
                _log.warning(
                    Event.SOURCE_CONFLICT,
                    gateway=each.gateway,
                    address=each.address,
                    name=str(each.name),
                    holder=each.holder,
                )
        for gateway, address in self._conflicts.keys() - conflicts.keys():
            _log.info(Event.SOURCE_CONFLICT_OVER, gateway=gateway, address=address)
        self._conflicts = conflicts
