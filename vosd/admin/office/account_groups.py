"""Accounts by their group."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final

from vosd.base.parts import in_parts
from vosd.billing.accounts import Account

_AT_ONCE: Final = 200


async def names_of_group(accounts: Mapping[str, Account], group: str, names: Iterable[str]) -> list[str]:
    """Return those of some names that are accounts of a group; other requests are answered meanwhile."""
    found: list[str] = []
    for part in in_parts(names, _AT_ONCE):
        found += (name for name in part if group and name in accounts and accounts[name].group == group)
        await asyncio.sleep(0)
    return found
