"""Limit of requests a second of each token, session and address."""

from collections.abc import Hashable
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address
from math import ceil
from typing import Final

from vosd.api.http import RequestError

BURST_S: Final = 2
"""So many seconds' worth of requests may come at once."""
SENDERS_MAX: Final = 10_000
"""The one that has been quiet for longest makes room for a further one."""
_NETWORK_BITS: Final = 64


class RequestRates:
    """Allowances of requests, of senders of one kind (generic cell rate algorithm); without a clock of its own."""

    def __init__(self, per_second: int, sender_kind: str) -> None:
        """0 = no limit; ``sender_kind``, such as ``this token``, is for the sentence of the refusal."""
        self._per_second = per_second
        self._sender_kind = sender_kind
        self._free_at: dict[Hashable, float] = {}
        """By sender, in the order of their latest requests: when all of its allowance is there again."""

    def take(self, sender: Hashable, now_s: float) -> None:
        """Count a request at a moment in seconds; raises RequestError with ``Retry-After`` where none is left."""
        if not self._per_second:
            return
        free_at = max(self._free_at.pop(sender, now_s), now_s)
        wait_s = free_at + 1 / self._per_second - now_s - BURST_S
        # Requests that are refused do not count: a sender that goes on asking gets its share all the same.
        self._free_at[sender] = free_at if wait_s > 0 else free_at + 1 / self._per_second
        if len(self._free_at) > SENDERS_MAX:
            del self._free_at[next(iter(self._free_at))]
        if wait_s > 0:
            raise RequestError(
                HTTPStatus.TOO_MANY_REQUESTS,
                "too_many_requests",
                f"more than {self._per_second} requests a second of {self._sender_kind}",
                remedy="send fewer, or ask for many objects in one request",
                headers=(("Retry-After", str(ceil(wait_s))),),
            )


def network_of(address: str) -> str:
    """Return what shares the limit of an address: of IPv6 the network of 64 bits that one customer has."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return address
    return (found.ipv4_mapped or IPv6Address(int(found) >> _NETWORK_BITS << _NETWORK_BITS)).compressed
