"""Choose among gateways that share calls by weight: smooth weighted round robin.

Of gateways with the weights 3 and 1 the calls go A A B A, A A B A: each gateway gets its share of every few calls, and
none gets all its calls in a row.
"""

from collections.abc import Container, Sequence
from typing import Final, NamedTuple, TypeVar

SHARES_MAX: Final = 10_000
"""Groups that have a turn of their own; further ones share that of their plan and priority."""
_FURTHER: Final = "further"
"""Stands in place of the prefix for the groups that share a turn."""
Place = TypeVar("Place")


class ShareKey(NamedTuple):
    """Identifies the gateways that share calls."""

    plan: str
    prefix: str
    priority: int


class Share(NamedTuple):
    """One of the gateways that share calls, with its weight."""

    gateway: str
    weight: int


class Turns:
    """The turns of all groups; they outlive a reload."""

    def __init__(self) -> None:
        self._credits: dict[ShareKey, dict[str, int]] = {}
        """By gateway, what it has gained by its weight and not yet used for calls."""

    def next_of(self, key: ShareKey, shares: Sequence[Share]) -> int:
        """Return the position of the gateway whose turn it is; one of weight 0 only where there is no other."""
        credits = self._credits.get(key)
        if credits is None:
            credits = self._credits.get(_shared(key), _NONE) if len(self._credits) >= SHARES_MAX else _NONE
        best, most = 0, None
        for position, (gateway, weight) in enumerate(shares):
            if weight:
                credit = credits.get(gateway, 0) + weight
                if most is None or credit > most:
                    best, most = position, credit
        return best

    def take(self, key: ShareKey, shares: Sequence[Share], gateway: str) -> None:
        """Count a call that a gateway is offered; ``shares`` are all that could have taken it."""
        credits = self._credits.get(key)
        if credits is None:
            own = _shared(key) if len(self._credits) >= SHARES_MAX else key
            credits = self._credits.setdefault(own, {})
        for name, weight in shares:
            credits[name] = credits.get(name, 0) + weight
        credits[gateway] -= sum(weight for _, weight in shares)

    def keep(self, plans: Container[str], gateways: Container[str]) -> None:
        """Forget all other plans and gateways, and groups without any of these: other groups take their places."""
        for key in [key for key in self._credits if key.plan not in plans]:
            del self._credits[key]
        for key, credits in [*self._credits.items()]:
            for name in [name for name in credits if name not in gateways]:
                del credits[name]
            if not credits:
                del self._credits[key]

    def copied(self) -> "Turns":
        """Return turns that begin as these, and change apart from them."""
        copied = Turns()
        copied._credits = {key: dict(credits) for key, credits in self._credits.items()}
        return copied


_NONE: Final[dict[str, int]] = {}


def _shared(key: ShareKey) -> ShareKey:
    """Return the key of the turn that a group shares: one of its own, begun anew, would always be the first's."""
    return ShareKey(key.plan, _FURTHER, key.priority)


class AddressTurns:
    """The address at which each gateway is called first, for those that spread their calls over several: in turn.

    The turns outlive a reload.
    """

    def __init__(self) -> None:
        self._next: dict[str, int] = {}

    def rotated(self, gateway: str, addresses: Sequence[Place]) -> Sequence[Place]:
        """Return the addresses from the one whose turn it is, the others behind it; the turn passes to the next."""
        first = self._next.get(gateway, 0) % len(addresses)
        self._next[gateway] = first + 1
        return [*addresses[first:], *addresses[:first]]

    def keep(self, gateways: Container[str]) -> None:
        """Forget all other gateways."""
        for name in [name for name in self._next if name not in gateways]:
            del self._next[name]
