"""The office: what every use case works with. One may serve any number of principals at the same time.

The permission that a use case needs stands in a decorator and not in the body, so that a program can read it: a test
finds the use case that needs none, and a front can say what a token may do.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Collection, Coroutine
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, Final, Generic, ParamSpec, TypeVar

import msgspec

from vosd.admin.office.change_turns import ChangeTurns
from vosd.admin.office.drawn_calls import DrawnCalls
from vosd.admin.office.ports import ConfiguredObjects
from vosd.admin.office.principal import OrderError, Permission, Principal, Scope, scope_of
from vosd.base.errors import VosError
from vosd.billing.agents import Hierarchy
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
            return scope_of(principal, {}, Hierarchy({}))
        return scope_of(principal, self.definitions.accounts(), self.definitions.hierarchy(), was_agent=was_agent)

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


_More = ParamSpec("_More")
_Result = TypeVar("_Result")
UseCase = Callable[Concatenate[Office, Principal, _More], _Result]
NEEDED: Final = "__permission__"
"""Attribute of a use case: its permission."""
BY_ACCOUNT: Final = "__by_account__"
"""Attribute of a use case: whether agents and customers may give the order about accounts of theirs."""
INSTEAD: Final = "__permissions_instead__"
"""Attribute of a use case: permissions any of which does for some of its objects, which the use case checks itself."""

WITHOUT_DATABASE: Final = "__without_database__"
"""Attribute of a use case: whether it works while the database is away, as far as it has then what to say."""


def require_text(order: object) -> None:
    """Check that audit, database and switch can keep all text of an order; what is no struct has none.

    An argument of a command that is not UTF-8 comes with lone surrogates in place of its bytes (PEP 383).

    Raises:
        OrderError: a field has such bytes.
    """
    if isinstance(order, msgspec.Struct) and not _is_text(order):
        names = (name for name in order.__struct_fields__ if not _is_text(getattr(order, name)))
        said = "has bytes that are not UTF-8"
        raise OrderError(next(names), said, "write it in a terminal whose locale is UTF-8")


def _is_text(value: object) -> bool:
    try:
        msgspec.json.encode(value)
    except UnicodeEncodeError:
        return False
    except TypeError:  # a value that no front sends, such as the first half of an import
        return True
    return True


class PermissionLackingError(VosError):
    """The principal has not the permission that the order needs."""


def require(who: Principal, permission: Permission) -> None:
    """Check that a principal has a permission; raises PermissionLackingError where it has not."""
    if permission not in who.permissions:
        raise PermissionLackingError(f"{who.name} may not do this: it needs the permission {permission.value}")


def waits_for_rows(
    run: Callable[Concatenate[Office, _More], Awaitable[Outcome]],
) -> Callable[Concatenate[Office, _More], Coroutine[object, object, Outcome]]:
    """Declare a use case to be a run of many transactions, which waits for rows (``Database.waiting_for_rows``)."""

    @wraps(run)
    async def waiting(office: Office, /, *args: _More.args, **kwargs: _More.kwargs) -> Outcome:
        with office.stores.database.waiting_for_rows():
            return await run(office, *args, **kwargs)

    return waiting


def needs(
    permission: Permission,
    *,
    by_account: bool = False,
    instead: Collection[Permission] = (),
    without_database: bool = False,
) -> Callable[[UseCase[_More, _Result]], UseCase[_More, _Result]]:
    """Declare the permission of a use case; check it, and that the text of the order is UTF-8, when it is called.

    ``by_account``: it is for agents and customers, too, and checks itself of which accounts; else it is about the
    installation as a whole, and refuses them with OperatorsOnlyError.
    ``without_database``: fronts do not open the database before it; it may be away.
    ``instead``: who has any of these is let in, too, and the use case checks itself for which objects that is enough.
    """

    def declared(use_case: UseCase[_More, _Result]) -> UseCase[_More, _Result]:
        @wraps(use_case)
        def checked(office: Office, who: Principal, /, *args: _More.args, **kwargs: _More.kwargs) -> _Result:
            if not by_account:
                office.scope_of(who).require_operator()
            if who.permissions.isdisjoint(instead):
                require(who, permission)
            for each in args:
                require_text(each)
            return use_case(office, who, *args, **kwargs)

        setattr(checked, NEEDED, permission)
        setattr(checked, BY_ACCOUNT, by_account)
        setattr(checked, INSTEAD, frozenset(instead))
        setattr(checked, WITHOUT_DATABASE, without_database)
        return checked

    return declared
