"""The office for one verb, and the principal at the terminal."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import click
from click.core import ParameterSource

from vosd.cli import output
from vosd.cli.arguments import operator as login
from vosd.cli.command import Invocation
from vosd.wiring.office import office_of

if TYPE_CHECKING:
    from vosd.admin.office.office import Done, Office
    from vosd.admin.office.principal import Principal

Result = TypeVar("Result")


def in_office(
    invocation: Invocation, act: "Callable[[Office], Awaitable[Result]]", *, with_database: bool = True
) -> Result:
    """Carry out an order, and return its result; ``with_database`` as ``office_of`` says."""

    async def within() -> Result:
        async with office_of(invocation, with_database=with_database) as office:
            return await act(office)

    return asyncio.run(within())


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

    return asyncio.run(within())


def principal(operator: str | None = None, acting: str | None = None) -> "Principal":
    """Return who gives the order: the person at the terminal, under the name of ``--operator``, or an agent.

    Raises:
        UsageError: ``--operator`` and ``--as`` name two.
    """
    from vosd.admin.office.permissions import ALL, SHIPPED
    from vosd.admin.office.principal import Means, Principal, Role

    proved = login()
    if acting is None:
        return Principal(
            role=Role.OPERATOR, name=operator or proved, login=proved, means=Means.TERMINAL, permissions=ALL
        )
    source = click.get_current_context().get_parameter_source("operator")
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
