"""At which of its addresses each gateway is called first: in turn, for gateways that spread their calls over them."""

from collections.abc import Container, Sequence
from typing import TypeVar

Place = TypeVar("Place")


class AddressTurns:
    """The turns, by gateway; they outlive a reload."""

    __slots__ = ("_next",)

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
