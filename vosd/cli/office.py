"""The office for one verb, and the principal at the terminal."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import click
from click.core import ParameterSource

from vosd.cli import output
from vosd.cli.arguments import ACTING, OPERATOR, operator as login
from vosd.cli.command import DaemonAwayError, Invocation
from vosd.processes import loops
from vosd.wiring.office import office_of

if TYPE_CHECKING:
    from pathlib import Path

    from vosd.admin.office.office import Done, Office
    from vosd.admin.office.principal import Principal
    from vosd.base.errors import VosError
    from vosd.wiring.kept_state import LeftState

Order = TypeVar("Order")
Result = TypeVar("Result")


def in_office(
    invocation: Invocation, act: "Callable[[Office], Awaitable[Result]]", *, with_database: bool = True
) -> Result:
    """Carry out an order, and return its result; ``with_database`` as ``office_of`` says."""

    async def within() -> Result:
        async with office_of(invocation, with_database=with_database, remark=invocation.remark) as office:
            return await act(office)

    return loops.run(within())


def ordered(
    invocation: Invocation,
    use_case: "Callable[[Office, Principal, Order], Awaitable[Result]]",
    order: "Order",
    who: "Principal | None" = None,
) -> Result:
    """Carry out an order of the person at the terminal, or of ``who``; the use case says whether without database."""
    from vosd.admin.office.office import WITHOUT_DATABASE

    giver, with_database = principal() if who is None else who, not getattr(use_case, WITHOUT_DATABASE, False)
    return in_office(invocation, lambda office: use_case(office, giver, order), with_database=with_database)


def in_office_or_kept(
    invocation: Invocation, act: "Callable[[Office], Awaitable[Result]]", kept: "Callable[[Path], LeftState[Result]]"
) -> Result:
    """Carry out an order; where no switch runs, return what one has left in its state directory, and say so.

    Raises:
        DaemonAwayError: no switch runs, and its state cannot be read.
    """
    from vosd.cdr.columns import iso_utc
    from vosd.control.client import NoDaemonError

    try:
        return in_office(invocation, act, with_database=False)
    except NoDaemonError as error:
        found = _kept(invocation, kept, error)
    if found.at is None:
        output.remark("no switch runs, and none has left such a state")
    else:
        output.remark(f"no switch runs: this is the state that it left, written at {iso_utc(found.at)}")
    return found.value


def _kept(invocation: Invocation, kept: "Callable[[Path], LeftState[Result]]", away: "VosError") -> "LeftState[Result]":
    from msgspec import DecodeError

    from vosd.config.places import state_dir_found_from

    state_dir = state_dir_found_from(invocation.config_path(), invocation.excerpt.state_dir)
    if not state_dir.is_absolute() and not state_dir.exists():
        # that of a running switch may be below the directory in which it was started
        raise DaemonAwayError(str(away))
    try:
        return kept(state_dir)
    except (OSError, DecodeError) as error:
        raise DaemonAwayError(f"{away}; the state that it left in {state_dir} cannot be read: {error}") from error


def from_memory(invocation: Invocation, act: "Callable[[Office], Awaitable[Result]]") -> Result:
    """Carry out an order about what a running switch has in memory alone.

    Raises:
        DaemonAwayError: no switch runs.
    """
    from vosd.control.client import NoDaemonError

    try:
        return in_office(invocation, act, with_database=False)
    except NoDaemonError as error:
        raise DaemonAwayError(f"{error}\nwhat is asked for is in the memory of a running switch alone") from error


def in_reporting_office(invocation: Invocation, act: "Callable[[Office], Awaitable[Result]]") -> Result:
    """Carry out an order that reads much, and return its result: behind the calls of a switch on this machine.

    It reads the replica, where there is one, by statements of limited time.
    """
    from vosd.processes.life import give_way

    give_way()
    replica, statement_s = invocation.report_database

    async def within() -> Result:
        beside = office_of(invocation, replica=replica, statement_s=statement_s, remark=invocation.remark)
        async with beside as office:
            return await act(office)

    return loops.run(within())


def warn_root(invocation: Invocation) -> None:
    """Say before a verb that makes files in ``state_dir`` what root has to do where that is another user's."""
    from vosd.daemon.claim import warning_to_root

    warning = warning_to_root(invocation.settings.state_dir)
    if warning is not None:
        invocation.remark(warning)


def principal() -> "Principal":
    """Return who gives the order: the person at the terminal, as ``--operator`` says, or the agent of ``--as``.

    Raises:
        UsageError: ``--operator`` and ``--as`` name two.
    """
    from vosd.admin.office.principal import ALL, SHIPPED, Means, Principal, Role

    proved, ctx = login(), click.get_current_context()
    acting = ctx.meta.get(ACTING)
    if acting is None:
        name = ctx.meta.get(OPERATOR) or proved
        return Principal(role=Role.OPERATOR, name=name, login=proved, means=Means.TERMINAL, permissions=ALL)
    source = ctx.get_parameter_source(OPERATOR)
    if source not in {None, ParameterSource.DEFAULT}:
        raise click.UsageError("--as says who does it: leave out --operator")
    of_agents = SHIPPED["agent"].permissions
    return Principal(
        role=Role.AGENT, name=proved, login=proved, means=Means.TERMINAL, permissions=of_agents, account=acting
    )


def outcome_of(done: "Done[Result]") -> Result:
    """Return an outcome; print why the audit has no line of it, if it has none."""
    if done.unaudited:
        output.remark(f"done, but the audit has no line of it: {done.unaudited}")
    return done.outcome
