"""Interface of the running switch for lookups, which is made after them."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from vosd.b2bua.ports import Answer
from vosd.base.clock import Instant
from vosd.callcontrol.questions import Ticket
from vosd.sip.endpoint import Endpoint
from vosd.trunks.gateways import RoutingGateway


class Wiring(NamedTuple):
    """The parts of the switch."""

    endpoint: Endpoint
    answer_in_turn: Callable[[Ticket, Answer, Instant], None]
    """Gives an answer while a message or timer is processed (``Switch.take_answer``)."""
    answer: Callable[[Ticket, Answer], None]
    """Gives an answer at any other moment (``Loop.take_answer``)."""
    vendors_at: Callable[[str], Sequence[RoutingGateway]]
    """Returns the routing gateways that are configured at a host."""
