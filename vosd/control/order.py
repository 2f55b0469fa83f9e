"""Base classes of orders, and the version of the protocol.

An order is a tagged struct whose generic argument is the type of its result: ``class Hangup(Order[HangupOutcome])``. A
client that asks gets that type, and a handler that returns another one is an error of mypy.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, ClassVar, Final, Generic, NamedTuple, Self, TypeVar, get_args

import msgspec

PROTOCOL: Final = 3
"""Version of the protocol; raised when a side of the version before could not read what the other one writes.

A new order, a new field of a result, and a new field of an order that has a default and is only sent where it is needed
are read by the version before. Version 1 had no structs; 2 had ended calls of a trace without
the types of their record.
"""
TAG_FIELD: Final = "order"
OF_ALL_VERSIONS: Final = frozenset({"restart"})
"""Orders whose form never changes."""
NAMES_MAX: Final = 10_000
"""Most names in an order: those of 64 characters fit into a line of the control socket."""

Result_co = TypeVar("Result_co", covariant=True)


class Handler(NamedTuple):
    """An order's type, and what carries it out in the switch: ``answer`` or, for a series of results, ``follow``."""

    order: "type[msgspec.Struct]"
    answer: Callable[[Any], Awaitable[object]] | None = None
    follow: Callable[[Any], AsyncGenerator[object, None]] | None = None

    @property
    def tag(self) -> str:
        """Name of the order on the wire."""
        return tag_of(self.order)

    @property
    def ends_with_client(self) -> bool:
        """Whether the order is given up when its client disconnects."""
        return bool(getattr(self.order, "ends_with_client", False))


class _Typed(msgspec.Struct, Generic[Result_co], frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    __orig_bases__: ClassVar[tuple[Any, ...]]
    is_change: ClassVar[bool] = False
    """Whether the switch changes something by it, so that it is not known what holds where its answer is lost."""
    ends_with_client: ClassVar[bool] = False
    """Whether the switch gives it up when its client disconnects: it may wait for long, and changes nothing."""


class Order(_Typed[Result_co], Generic[Result_co], frozen=True, tag_field=TAG_FIELD):
    """An order with one result."""

    @classmethod
    def answered_by(cls, handler: "Callable[[Self], Awaitable[Result_co]]") -> Handler:
        """Return the entry of a dispatch table."""
        return Handler(cls, answer=handler)


class Following(_Typed[Result_co], Generic[Result_co], frozen=True, tag_field=TAG_FIELD):
    """An order with a series of results, until it is finished or its client disconnects."""

    @classmethod
    def followed_by(cls, handler: "Callable[[Self], AsyncGenerator[Result_co, None]]") -> Handler:
        """Return the entry of a dispatch table; the handler yields at least every few seconds."""
        return Handler(cls, follow=handler)


class OrderDone(msgspec.Struct, frozen=True):
    """Result of an order that was carried out and has nothing to report."""


def fitting_names(names: frozenset[str] | None) -> frozenset[str] | None:
    """Return names as an order may have them; None, which asks for everything, where they are too many."""
    return None if names is None or len(names) > NAMES_MAX else names


def result_type(order: type[msgspec.Struct]) -> Any:
    """Return the type of the results of an order."""
    bases: tuple[Any, ...] = order.__dict__["__orig_bases__"]
    return get_args(bases[0])[0]


def tag_of(order: type[msgspec.Struct]) -> str:
    """Return the name of an order on the wire."""
    return str(order.__struct_config__.tag)
