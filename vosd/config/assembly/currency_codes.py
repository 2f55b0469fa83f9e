"""Currencies that do not exist: reported where they stand, not where their rates of exchange are missing."""

from collections.abc import Mapping
from typing import Any

from vosd.base.iso4217 import CODES
from vosd.billing.currencies import FeeDecimals
from vosd.catalogue.problems import ProblemList
from vosd.config.assembly.inventory import Inventory, Written
from vosd.config.assembly.rate_groups import ReadGroup
from vosd.config.keys.accounts import AccountKeys


def check_codes(
    groups: Inventory[ReadGroup],
    accounts: Inventory[AccountKeys],
    decimals: Mapping[str, FeeDecimals],
    problems: ProblemList,
) -> None:
    """Report currencies that are neither in ISO 4217 nor in ``currencies``."""

    def check(written: Written[Any], code: str | None) -> None:
        if code and code not in CODES and code not in decimals:
            expected = "a code of ISO 4217 such as USD, or one that stands in currencies"
            problems.error(written.section.place_of("currency"), f"{written.label}.currency", expected, code)

    for group in groups.written.values():
        check(group, group.thing.group.currency)
    for account in accounts.written.values():
        check(account, account.thing.currency)
