"""Limit of the objects that agents make below them: the check of each change reads all that there are."""

import asyncio
from collections.abc import Mapping

from vosd.admin.office.ports import ConfiguredObjects
from vosd.base.errors import VosError
from vosd.billing.accounts import Account
from vosd.billing.agents import Hierarchy


class TooManyObjectsError(VosError):
    """An agent would have more objects below it than it may; nothing was changed."""

    remedy = "end some that are not needed, or ask an operator for more"


async def check_number(definitions: ConfiguredObjects, agent: str, made: int) -> None:
    """Check that an agent may have so many more objects below it, and each agent above it, too.

    Raises:
        TooManyObjectsError: one of them may not; which one above it is not said.
    """
    payers = await asyncio.to_thread(definitions.accounts_of("mapping_gateways", "phones"))
    refused = await asyncio.to_thread(_refused_by, definitions.accounts(), definitions.hierarchy(), payers, agent, made)
    if refused is None:
        return
    name, limit = refused
    if name != agent:
        raise TooManyObjectsError(f"an agent above {agent} may have no more accounts, gateways and phones below it")
    raise TooManyObjectsError(f"agent {agent} may have {limit} accounts, gateways and phones below it (max_objects)")


def _refused_by(
    accounts: Mapping[str, Account], hierarchy: Hierarchy, payers: Mapping[str, str], agent: str, made: int
) -> tuple[str, int] | None:
    """Return the first agent, from ``agent`` up, that may not have so many more, with its limit; None = all may.

    ``payers`` has the accounts of gateways and phones.
    """
    for name in (agent, *hierarchy.above(agent)):
        below = {*hierarchy.all_below(name)}
        number = len(below) + sum(account in below for account in payers.values())
        if number + made > accounts[name].max_objects:
            return name, accounts[name].max_objects
    return None
