"""Phones that are called as one: the terms on which each of them is called."""

import msgspec

from vosd.routing.failover import EVERY_CODE
from vosd.trunks.gateways import RoutingGateway
from vosd.trunks.ringing import RingGroup, RingOrder


def in_group(called: RoutingGateway, group: RingGroup) -> RoutingGateway:
    """Return the called half of a phone as it is called with the others of its group.

    The next one is tried after each of them, whatever it answers. Where they ring together, so do all its places. It is
    always the same object: a call compares the gateways of its choices.
    """
    if group not in called.in_groups:
        called.in_groups[group] = _in_group(called, group)
    return called.in_groups[group]


def _in_group(called: RoutingGateway, group: RingGroup) -> RoutingGateway:
    return msgspec.structs.replace(
        called,
        ring_timeout_ms=group.ring_timeout_ms,
        failover_after_ringing=True,
        failover_codes=EVERY_CODE,
        ring_group=group,
        rings_with=group.number if group.order is RingOrder.TOGETHER else called.rings_with,
    )
