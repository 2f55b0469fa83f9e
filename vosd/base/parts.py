"""Long lists handled in parts, so that other threads get their turn between two of them.

One call of the interpreter keeps it for as long as it takes, for 100,000 texts up to 20 ms. Calls of a switch would
wait for it while a thread reads a configuration.
"""

from collections.abc import Callable, Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import islice
from typing import Any, Final, TypeVar

AT_ONCE: Final = 1_000
"""Items that are handled by one call: they are in no cache of the processor, and take a microsecond each."""

_FREED_AT_ONCE: Final = 500
Item = TypeVar("Item")


_REST: Final[ContextVar[Callable[[], None] | None]] = ContextVar("rest", default=None)


@contextmanager
def giving_way(rest: Callable[[], None]) -> Iterator[None]:
    """Have what is done in this context, also by a thread that it starts, call ``rest`` where it says ``give_way``."""
    token = _REST.set(rest)
    try:
        yield
    finally:
        _REST.reset(token)


def give_way() -> None:
    """Let other threads go first, if that is wanted here: called between two steps of a millisecond or less."""
    rest = _REST.get()
    if rest is not None:
        rest()


def free(things: list[Any]) -> None:
    """Empty a list, some things at a time: to free a hundred thousand takes a tenth of a second."""
    while things:
        del things[-_FREED_AT_ONCE:]
        give_way()


def take_apart(*mappings: MutableMapping[Any, Any]) -> None:
    """Free the entries of mappings one by one, for the same reason; all at once where no thread waits for that."""
    for mapping in mappings:
        if _REST.get() is None:
            mapping.clear()
        while mapping:
            mapping.popitem()
            give_way()


def in_parts(items: Iterable[Item], at_once: int = AT_ONCE) -> Iterator[list[Item]]:
    """Yield all items, some at a time."""
    rest = iter(items)
    while part := [*islice(rest, at_once)]:
        yield part
        give_way()
