"""A control socket of the test's own: it answers typed orders as the running switch does, and remembers them."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, cast

import msgspec

from vosd.control.installation import CatalogueState, DatabaseReport, MachineUse, SwitchStatus
from vosd.control.order import Following, Handler, Order
from vosd.control.server import ControlServer

Result = TypeVar("Result")


def status_of(database: str = "well") -> SwitchStatus:
    """Return the status of a switch whose database is in a state."""
    report, catalogue = DatabaseReport(database, "this", None, 0), CatalogueState("abc", "", None)
    listen = ["udp:127.0.0.1:5060"]
    return SwitchStatus("1", "sw1", "id", "/etc/vosd.yaml", 7, "", {}, {}, MachineUse(), report, catalogue, listen)


class FakeSwitch:
    """Answers the orders that it was told the results of; to others it says that it does not know them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._results: dict[type[msgspec.Struct], Any] = {}
        self._handlers: list[Handler] = []
        self._server: ControlServer | None = None
        self.asked: list[msgspec.Struct] = []
        """The orders, in the order in which they came."""

    def answers(
        self,
        order: type[Order[Result]],
        result: Result | Callable[[Any], Result] | Callable[[Any], Awaitable[Result]] | Exception,
    ) -> Self:
        """Answer an order with a result, with what a function makes of it now or later, or with an error."""
        if order not in self._results:
            self._handlers.append(Handler(order, answer=self._answer))
        self._results[order] = result
        return self

    def reports(self, order: type[Following[Result]], *results: Result | Awaitable[Result]) -> Self:
        """Answer an order with a series of results, each now or later."""
        if order not in self._results:
            self._handlers.append(Handler(order, follow=self._follow))
        self._results[order] = results
        return self

    async def __aenter__(self) -> Self:
        self._server = ControlServer(self._path, self._handlers)
        await self._server.open()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        await self._server.close()

    async def _answer(self, order: msgspec.Struct) -> object:
        self.asked.append(order)
        result = self._results[type(order)]
        if isinstance(result, Exception):
            raise result
        found = cast("object", result(order)) if callable(result) else result
        return await found if isinstance(found, Awaitable) else found

    async def _follow(self, order: msgspec.Struct) -> AsyncGenerator[object, None]:
        self.asked.append(order)
        for each in self._results[type(order)]:
            yield await each if isinstance(each, Awaitable) else each
