"""Questions of a call to other servers before it is routed, and what holds without an answer (docs/routing.md)."""

from typing import NamedTuple

import msgspec

from vosd.trunks.ringing import RingGroup


class PortabilityTerms(msgspec.Struct, frozen=True):
    """Whether numbers are looked up before they are routed, and which number is rated then."""

    asks: bool = False
    """Whether there is a server to ask; otherwise only routing numbers that customers send are used."""
    timeout_ms: int = 1_000
    fail_open: bool = True
    """Whether a call without an answer is routed by the dialled number; else it is refused."""
    prefixes: tuple[str, ...] = ()
    """Beginnings of the numbers that are looked up; none = all numbers are."""
    rate_by_routing_number: bool = False
    """Whether the rates of the routing number hold, on both sides of the call; else those of the dialled number."""


class RedirectTerms(msgspec.Struct, frozen=True):
    """Whether a redirect server is asked for the gateways of a call."""

    timeout_ms: int = 2_000
    fail_open: bool = True
    """Whether the switch routes a call itself that the server does not redirect; else it is refused."""


class RedirectTarget(NamedTuple):
    """A place that a redirect server or the inventory of numbers names: a gateway, and the number to call there."""

    gateway: str
    callee: str
    group: RingGroup | None = None
    """The phones that it is one of; None = it is called as usual."""
