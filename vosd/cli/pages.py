"""Lists that the office returns in pages, read to their end."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import msgspec


class PagedOrder(Protocol):
    """An order of a list that begins behind the item of an id."""

    @property
    def after(self) -> int | None:
        """Id of the item behind which it begins; None = it has all."""

    @property
    def limit(self) -> int:
        """Items of a page."""


class PagedItem(Protocol):
    """An item of such a list."""

    @property
    def id(self) -> int:
        """Id by which the next page begins behind it."""


Order = TypeVar("Order", bound=PagedOrder)
Item = TypeVar("Item", bound=PagedItem)


async def all_pages(read: Callable[[Order], Awaitable[list[Item]]], order: Order) -> list[Item]:
    """Return the items of all pages; each page has as many as the order says, but the last one."""
    found: list[Item] = []
    while True:
        page = await read(order)
        found += page
        if len(page) < order.limit:
            return found
        order = msgspec.structs.replace(order, after=page[-1].id)
