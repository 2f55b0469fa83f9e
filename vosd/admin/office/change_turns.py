"""Turns of changes of objects: each is checked with those before it, so one process makes one after the other.

Operators come before agents and customers. Of these each account has two changes under way at most: with many at once
it would keep all others waiting until their time is over.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final, TypeVar

from vosd.admin.office.untaken_versions import UntakenVersions
from vosd.base.errors import VosError

_Result = TypeVar("_Result")

OF_ACCOUNT_MAX: Final = 2
"""Changes of one account under way: one that is made, and one that waits."""


class TooManyChangesError(VosError):
    """An agent or a customer has as many changes under way as it may; nothing was changed."""

    remedy = "send one change after the other, or many objects in one request"
    retry_after_s: Final = 1

    def __init__(self, account: str) -> None:
        super().__init__(f"{OF_ACCOUNT_MAX} changes of account {account} are under way already")


class ChangeTurns:
    """Turns of one process, and the versions of its changes that the running switch has not taken."""

    def __init__(self) -> None:
        self.untaken: Final = UntakenVersions()
        self._is_taken = False
        self._operators: deque[asyncio.Future[None]] = deque()
        self._accounts: deque[asyncio.Future[None]] = deque()
        self._under_way: Counter[str] = Counter()
        """By account."""
        self._lasting: set[asyncio.Task[Any]] = set()

    @contextmanager
    def under_way(self, account: str | None) -> Iterator[None]:
        """Count a change of an agent or a customer from its beginning until it is answered; None = an operator's.

        Raises:
            TooManyChangesError: the account has too many.
        """
        if account is None:
            yield
            return
        if self._under_way[account] >= OF_ACCOUNT_MAX:
            raise TooManyChangesError(account)
        self._under_way[account] += 1
        try:
            yield
        finally:
            self._under_way[account] -= 1
            if not self._under_way[account]:
                del self._under_way[account]

    @asynccontextmanager
    async def turn(self, account: str | None) -> AsyncIterator[None]:
        """Wait for the turn of a change, and hold it."""
        await self.take(account)
        try:
            yield
        finally:
            self.leave()

    async def take(self, account: str | None) -> None:
        """Wait for the turn of a change of an account; None = of an operator."""
        if not self._is_taken:
            self._is_taken = True
            return
        waiting = self._operators if account is None else self._accounts
        turn = asyncio.get_running_loop().create_future()
        waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                with suppress(ValueError):  # a change that has left meanwhile may have passed it over
                    waiting.remove(turn)
            else:  # it came in the same moment
                self.leave()
            raise

    def carry_out(self, step: Coroutine[Any, Any, _Result]) -> Awaitable[_Result]:
        """Begin a step that goes on where the request that waits for its result is given up."""
        task = asyncio.create_task(step)
        self._lasting.add(task)
        task.add_done_callback(self._lasting.discard)
        return asyncio.shield(task)

    def leave(self) -> None:
        """Give the turn to the next change."""
        for waiting in (self._operators, self._accounts):
            while waiting:
                turn = waiting.popleft()
                if not turn.done():
                    turn.set_result(None)
                    return
        self._is_taken = False
