"""Parts of the last catalogue that the next one uses again, because what they are made of is the same (ADR 60).

A load by difference returns the same definitions for what has not changed, so parts are compared by identity.
"""

import hashlib
from collections.abc import Callable, Mapping
from operator import is_
from typing import Final

from vosd.billing.accounts import Account
from vosd.catalogue.versions import encoded
from vosd.routing.identify import SourceIndex
from vosd.trunks.gateways import MappingGateway

_DIGEST_BYTES: Final = 16


class Reused:
    """What the last catalogue was made of."""

    def __init__(self) -> None:
        self._settled: dict[str, tuple[Account, str | None, Account]] = {}
        """The account as defined, the currency of its rate group, and the settled account, by name."""
        self._begun: dict[str, tuple[Account, str | None, Account]] = {}
        """The same of the catalogue that is being made."""
        self._sources: SourceIndex | None = None
        self._indexed: list[MappingGateway] = []
        """What ``_sources`` was made of."""
        self._digests: dict[str, dict[str, tuple[object, int]]] = {}

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
        same = len(gateways) == len(self._indexed) and all(map(is_, gateways.values(), self._indexed))
        return self._sources if same else None

    def begin(self) -> None:
        """Begin another catalogue."""
        self._begun = {}

    def keep(self, gateways: Mapping[str, MappingGateway], sources: SourceIndex) -> None:
        """Remember the accounts and source addresses of a catalogue without errors."""
        self._settled, self._begun = self._begun, {}
        self._indexed, self._sources = [*gateways.values()], sources

    def digest(self, kind: str, things: Mapping[str, object]) -> str:
        """Return a digest of named objects that does not depend on their order: the sum of those of each."""
        before = self._digests.get(kind, {})
        now: dict[str, tuple[object, int]] = {}
        for name, thing in things.items():
            found = before.get(name)
            now[name] = found if found is not None and found[0] is thing else (thing, _digest(name, thing))
        self._digests[kind] = now
        total = sum(number for _, number in now.values()) % (1 << 8 * _DIGEST_BYTES)
        return f"{len(now)}:{total:x}"


def _digest(name: str, thing: object) -> int:
    content = encoded((name, thing))
    return int.from_bytes(hashlib.blake2b(content, digest_size=_DIGEST_BYTES).digest(), "big")
