"""Accounts of a switch, which records calls of some; a command about an account reads it without what records."""

from vosd.billing.accounts import Account
from vosd.catalogue.catalogue import CallParameters
from vosd.catalogue.problems import ProblemList
from vosd.config.assembly.accounts import account_of
from vosd.config.assembly.inventory import Written
from vosd.config.assembly.media import missing_recorder
from vosd.config.keys.accounts import AccountKeys
from vosd.config.keys.parameters import ParameterKeys


def account(
    written: Written[AccountKeys], parameters: ParameterKeys, installation: CallParameters, problems: ProblemList
) -> Account:
    """Return an account; warn where it wants recordings and nothing is recorded."""
    keys = written.thing
    if keys.record and (missing := missing_recorder(installation.media)) is not None:
        problems.warning(written.section.place_of("record"), f"{written.label}.record", missing, str(keys.record))
    return account_of(keys, parameters)
