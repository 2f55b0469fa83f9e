"""Telephones that are called as one: the places of a phone, or the phones of a number, in turn or together."""

from enum import Enum

import msgspec


class RingOrder(Enum):
    """Whether several telephones ring one after the other, or at the same time."""

    IN_TURN = "in_turn"
    TOGETHER = "together"


class RingGroup(msgspec.Struct, frozen=True, array_like=True):
    """Several phones of one number of the inventory; each of them is called on the terms of the group."""

    number: str
    """The number that was called."""
    ring_timeout_ms: int
    """From the INVITE to the final response."""
    order: RingOrder = RingOrder.IN_TURN
