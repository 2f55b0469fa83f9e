"""The office: what every use case works with. One may serve any number of principals at the same time."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import msgspec

from vosd.admin.office.change_turns import ChangeTurns
from vosd.admin.office.drawn_calls import DrawnCalls
from vosd.admin.office.ports import ConfiguredObjects
from vosd.admin.office.principal import Principal
from vosd.admin.office.scope import Scope, scope_of
from vosd.base.errors import VosError
from vosd.control.client import AnswerLostError, RunningSwitch
from vosd.storage.audit_line import AuditLine

if TYPE_CHECKING:
    from vosd.storage.stores import SqlStores

Outcome = TypeVar("Outcome")


class Done(msgspec.Struct, Generic[Outcome], frozen=True):
    """Outcome of an order that the running switch carries out, or that changes files."""

    outcome: Outcome
    """Result of the order."""
    unaudited: str = ""
    """Why the audit has no line of it; empty if it has one, or if nothing was changed."""


class Office:
    """Definitions, database, running switch and clock of one installation."""

    def __init__(
        self,
        definitions: ConfiguredObjects,
        stores: "Callable[[], SqlStores]",
        switch: Callable[[], RunningSwitch],
        now: Callable[[], int],
        changing: ChangeTurns | None = None,
        until: float = math.inf,
        drawn: DrawnCalls | None = None,
        *,
        goes_by_earlier: bool = False,
    ) -> None:
        """``stores`` returns the database, ``switch`` the client of the running switch, ``now`` UTC milliseconds.

        ``changing`` and ``drawn`` are those of ``self``, where other offices of the process have them too.
        """
        self.definitions: Final = definitions
        self._stores = stores
        self._switch = switch
        self.now: Final = now
        self.changing: Final = changing or ChangeTurns()
        """Turns of changes of objects, each held from its check until it is stored."""
        self.until: Final = until
        """Time of the event loop at which a change that is not checked yet is refused."""
        self.drawn: Final = drawn or DrawnCalls()
        """Looks at running calls that the audit has."""
        self.goes_by_earlier: Final = goes_by_earlier
        """Whether the definitions are from before, because the files of the configuration cannot be read."""

    def in_time(self, until: float) -> "Office":
        """Return the same office, for a step that has until then, whatever the request has."""
        return Office(
            self.definitions,
            self._stores,
            self._switch,
            self.now,
            self.changing,
            until,
            self.drawn,
            goes_by_earlier=self.goes_by_earlier,
        )

    @property
    def stores(self) -> "SqlStores":
        """The database; a use case that needs none does not open it."""
        return self._stores()

    @property
    def switch(self) -> RunningSwitch:
        """The running switch, if one runs."""
        return self._switch()

    def scope_of(self, principal: Principal, *, was_agent: bool = False) -> Scope:
        """Return what a principal sees and may do; of an operator no account is read.

        ``was_agent``: an agent may have no account below it any more.

        Raises:
            UnknownAccountError, NoAgentError, MayNotActError: it may do nothing.
        """
        if principal.account is None:
            return scope_of(principal, {}, {})
        return scope_of(principal, self.definitions.accounts(), self.definitions.agents(), was_agent=was_agent)

    def audit_line(self, principal: Principal, order: msgspec.Struct, subject: str) -> AuditLine:
        """Return the line of a change, which the store writes in the transaction of the change."""
        return principal.audit_line(order, subject, self.now())

    async def carried_out(
        self, answer: Awaitable[Outcome], principal: Principal, order: msgspec.Struct, subject: str
    ) -> Outcome:
        """Return the result of an order that the running switch, or a thread, carries out.

        Where its answer is lost, or is no longer waited for, the audit has the line all the same, for the order may be
        carried out; and the key of the request is not kept, for it may not.
        """
        try:
            return await answer
        except (AnswerLostError, asyncio.CancelledError):
            await self.noted(None, msgspec.structs.replace(principal, request=None), order, subject)
            raise

    async def noted(self, outcome: Outcome, principal: Principal, order: msgspec.Struct, subject: str) -> Done[Outcome]:
        """Write the line of a change that was made outside of the database, and return the outcome of that.

        A database that is away does not undo the change, and an interruption waits until the line is written.
        """
        try:
            await to_the_end(self.stores.audit.add(self.audit_line(principal, order, subject)))
        except VosError as error:
            return Done(outcome, str(error))
        return Done(outcome)


async def to_the_end(work: Coroutine[object, object, Outcome]) -> Outcome:
    """Return the result of something that ends before interruptions of its caller, if there are any, go on."""
    task = asyncio.ensure_future(work)
    interruption: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            interruption = error
    if interruption is not None:
        with suppress(VosError, asyncio.CancelledError):
            task.result()
        raise interruption
    return task.result()
